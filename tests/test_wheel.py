"""What `pip install labelmer` brings, outside of the repository: prediction, inspection, and the
workflow, which runs where it is written."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, tiny_study
from corpora import turns_of, write_release
from packaging.requirements import Requirement

from labelmer.base.errors import InputError
from labelmer.config import workflow

WITHOUT_EXTRAS = "without-extras"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the wheel as pip installs it."""
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    top = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", top], REPOSITORY)
    (wheel,) = top.glob("labelmer-*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    run([*pip, "--target", top / "site", wheel], top)
    lacks = f"import sys; sys.modules.update(dict.fromkeys({sorted(of_extras(top / 'site'))}))"
    (top / "site" / WITHOUT_EXTRAS).mkdir()
    (top / "site" / WITHOUT_EXTRAS / "sitecustomize.py").write_text(lacks)
    return top / "site"


def of_extras(site):
    """The modules that are installed here and that `pip install labelmer` would not bring."""
    (installed,) = metadata.distributions(name="labelmer", path=[str(site)])
    wanted, found = list(installed.requires), set()
    while wanted:
        asked = Requirement(wanted.pop())
        name = re.sub(r"[-_.]+", "-", asked.name).lower()
        if name not in found and (asked.marker is None or asked.marker.evaluate({"extra": ""})):
            found.add(name)
            wanted += metadata.requires(name) or []
    for module, names in metadata.packages_distributions().items():
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & {*found, "labelmer"}:
            yield module


def run(command, folder, *paths, check=True):
    """Run a command in a folder, with paths as PYTHONPATH; return what it prints, if all is well,
    and otherwise what it says of it."""
    told = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == check, done.stdout + done.stderr
    return done.stdout if check else done.stderr


@pytest.fixture(scope="module")
def installed(site):
    """installed(folder, arguments): what `labelmer ...` prints, with no more than
    `pip install labelmer` brings."""

    def call(folder, *arguments, check=True):
        command = [sys.executable, site / "bin/labelmer", *arguments]
        return run(command, folder, site / WITHOUT_EXTRAS, site, check=check)

    return call


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_wheel_writes_the_files_of_the_repository(installed, tmp_path):
    said = installed(tmp_path, "workflow", "mine")
    assert 'pip install "labelmer[workflow]"' in said
    names = [*workflow.RULES, *workflow.SETTINGS]
    tracked = run(["git", "ls-files", "-z", *names], REPOSITORY).split("\0")[:-1]
    assert files(tmp_path / "mine") == {
        Path(name): (REPOSITORY / name).read_bytes() for name in tracked
    }


@pytest.mark.slow
def test_the_wheel_runs_the_workflow_and_predicts_with_it(site, installed, tmp_path):
    installed(tmp_path, "workflow", "mine")
    folder = tmp_path / "mine"
    write_release(folder / "corpus", turns_of(sessions=2))
    linear = {"linear-speech": {"architecture": "linear", "modalities": ["speech"]}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_study(linear)))
    snakemake = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2"]
    run([*snakemake, "--resources", "gpu=1"], folder, site)
    assert (folder / "results/tiny/main/reports/index.html").exists()
    again = run([*snakemake, "--resources", "gpu=1", "--dry-run"], folder, site)
    assert "Nothing to be done" in again
    models = "results/tiny/main/models/fbank+minilm/frozen/linear-speech"
    installed(folder, "bundle", models, "-o", "bundle")
    wav = next((folder / "corpus").glob("Session1/sentences/wav/*/*.wav"))
    assert wav.stem in installed(folder, "predict", "bundle", wav)
    assert "linear-speech" in installed(folder, "inspect", "bundle")


# Into which folders it is written


def test_written_again_it_mends_what_lacks_and_keeps_settings(tmp_path, caplog, capsys):
    folder = tmp_path / "mine"
    workflow.main([str(folder)])
    whole = files(folder)
    (folder / "config.yaml").write_text("study: mine\n")
    (folder / "workflow/rules/common.smk").unlink()
    (folder / "corpus.tsv").write_text("id\n")
    workflow.main([str(folder)])
    assert caplog.messages == [
        f"{folder}/config.yaml: differs from what labelmer 0.1.0 would write; it stays"
    ]
    mine = {Path("config.yaml"): b"study: mine\n", Path("corpus.tsv"): b"id\n"}
    assert files(folder) == whole | mine


def test_rules_that_were_changed_are_not_written_over(tmp_path, said):
    folder = tmp_path / "mine"
    workflow.write_workflow(folder)
    (folder / "workflow/rules/common.smk").write_text("changed")
    (folder / "workflow/rules/models.smk").unlink()
    before = files(folder)
    error = said(workflow.main, folder)
    assert "workflow/rules/common.smk differ" in error and "models.smk" not in error
    assert files(folder) == before


@pytest.mark.parametrize("name", ["notes.txt", "config.yaml"])
def test_a_folder_that_holds_something_else_is_refused(name, tmp_path, said):
    (tmp_path / name).write_text("of another thing")
    assert f"it holds {name}, and no Snakefile" in said(workflow.main, tmp_path)
    assert f"{name}: a file, expected a folder" in said(workflow.main, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_package_alone_says_that_its_workflow_lacks(tmp_path):
    with pytest.raises(InputError, match="Snakefile: not there; install labelmer"):
        workflow.carried(workflow.RULES, tmp_path / "labelmer")
