"""A new figure and a new metric are a file each, and rerun nothing that does not use them."""

import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY, Workspace, tiny_config
from corpora import turns_of, write_release

from labelmer.__main__ import VERBS
from labelmer.base.digest import code_digest
from labelmer.figures import FIGURES
from labelmer.report import columns

pytestmark = pytest.mark.slow

FIGURE = '''"""How many utterances each fold tests."""

from matplotlib.figure import Figure

FIGURE = {
    "reads": "folds",
    "heading": "Sizes of the folds",
    "alt": "Test utterances of each fold",
    "caption": "Test utterances of each fold. {{ scope }}.",
}


def draw(rows):
    """A bar for each fold."""
    figure = Figure()
    figure.subplots().bar(rows["fold"], rows["utterances"])
    return figure
'''
METRIC = '''"""Cohen's kappa."""

from labelmer.scores import confusion
from labelmer.scores.metrics import metric


@metric("kappa", "agreement beyond chance")
def kappa(counts):
    """Share that is right, less what chance gives, as a share of what chance leaves."""
    total = counts.sum(axis=(-2, -1))
    right = confusion.right(counts).sum(axis=-1) / total
    chance = (counts.sum(axis=-1) * counts.sum(axis=-2)).sum(axis=-1) / total**2
    return (right - chance) / (1 - chance)
'''
REPORT = """
import sys
from pathlib import Path
import test_reports as reports
root = Path(sys.argv[1])
reports.write_splits(root / "splits")
paths = reports.write_predictions(root / "predictions")
reports.run_tabulate(paths, root)
figures = root / "reports/figures/fbank+minilm/frozen"
reports.draw_all(root, figures)
(figures / "examples.svg").write_text("<svg/>")
reports.run_page(root / "reports", root / "splits", root / "reports/index.html")
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A copy of the repository with a figure and a metric more, and a tiny corpus."""
    made = Workspace(tmp_path_factory.mktemp("registries") / "work")
    files = {
        "labelmer/figures/sizes.py": FIGURE,
        "workflow/report/sizes-figure.rst": "Test utterances of each fold.\n",
        "labelmer/scores/metrics/kappa.py": METRIC,
    }
    for path, text in files.items():
        (made.folder / path).write_text(text)
    write_release(made.folder / "corpus", turns_of())
    config = tiny_config()
    made.configure(config)
    return made


def test_a_dropped_figure_and_metric_stand_on_the_page_and_in_the_tables(workspace, tmp_path):
    path = os.pathsep.join(map(str, (workspace.folder, REPOSITORY / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        cwd=workspace.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = tmp_path / "reports/figures/fbank+minilm/frozen"
    assert (figures / "sizes.svg").exists() and (figures / "sizes.png").exists()
    html = (tmp_path / "reports/index.html").read_text()
    assert ">Sizes of the folds</h3>" in html
    assert 'alt="Test utterances of each fold"' in html
    assert html.count('<th scope="col">kappa</th>') == 2  # variants compared, every fold and seed
    summary = (tmp_path / "reports/summary.tsv").read_text()
    assert "\tkappa\t" in summary
    for name in ("compare", "folds"):
        header = (tmp_path / f"reports/{name}.tsv").read_text().split("\n")[0].split("\t")
        assert "kappa" in header
        assert [c for c in header if c != "kappa"] == list(columns.RESULTS[name])


def test_the_workflow_draws_a_dropped_figure(workspace):
    jobs = {path for rule, path in workspace.jobs() if rule == "plot_sizes"}
    experiments = workspace.config()["experiments"]
    folders = [f"{e['speech']}+{e['text']}/{e['mode']}" for e in experiments]
    assert jobs == {f"results/tiny/main/reports/figures/{folder}/sizes.svg" for folder in folders}


def test_a_dropped_file_reruns_nothing_that_does_not_use_it(workspace):
    figures = [f"figures.{name}" for name in FIGURES]
    for module in [*(module for module, _ in VERBS.values()), *figures]:
        assert code_digest(module, workspace.folder / "labelmer") == code_digest(module), module


def test_the_pages_template_is_part_of_its_code(tmp_path):
    copy = Workspace(tmp_path / "work").folder / "labelmer"
    template = copy / "report/page.experiment.html"
    template.write_text(template.read_text().replace("Variants compared", "Variants"))
    assert code_digest("report.page", copy) != code_digest("report.page")
    assert code_digest("report.tabulate", copy) == code_digest("report.tabulate")
