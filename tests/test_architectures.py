"""To add an architecture is to add a file: a copy of the package with one more trains it."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
import yaml
from conftest import REPOSITORY, Workspace, tiny_config
from corpora import turns_of, write_release
from test_train import CLASSES, Corpus, made_features, made_fold

from labelmer import config
from labelmer.base import tables
from labelmer.base.digest import code_digest
from labelmer.base.errors import InputError
from labelmer.config import entries
from labelmer.models import architectures

pytestmark = pytest.mark.slow

MEANS = '''"""Mean pooling and a linear layer."""

from dataclasses import dataclass

from labelmer.base.options import option
from labelmer.models import options


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change."""

    architecture: str = option("what the model is", "mean-linear")
    bias: bool = option("of the linear layer", True)


def untrained(options, rows, classes):
    import torch

    from labelmer.models.parts import Network, Output, Pooling

    class MeanLinear(Network):
        def __init__(self):
            super().__init__(options, rows, classes)
            self.pool = Pooling("mean", options.width, classes)
            width = options.width * len(options.modalities)
            self.classify = torch.nn.Linear(width, classes, options.bias)

        def forward(self, inputs, present=None):
            states = self.states(inputs, present)
            pooled = {m: self.pool(state.hidden, state.layout) for m, state in states.items()}
            logits = self.classify(torch.cat([z for z, _ in pooled.values()], dim=-1))
            return Output(logits, pooling={m: weights for m, (_, weights) in pooled.items()})

    return MeanLinear()
'''
FILE = "labelmer/models/architectures/mean_linear.py"
MODEL = {"width": 16, "frame_stride": 2, "heads": 4, "label_loss": 0.2}


@pytest.fixture
def workspace(tmp_path):
    """The repository's code with one file more."""
    made = Workspace(tmp_path / "work")
    (made.folder / FILE).write_text(MEANS)
    return made


def labelmer(workspace, *arguments):
    """Run a verb of the copy."""
    done = subprocess.run(
        [sys.executable, "-m", "labelmer", *map(str, arguments)],
        cwd=workspace.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_file_is_an_architecture_that_trains_and_predicts(workspace, tmp_path):
    table = made_fold({"train": 12, "validation": 5, "test": 5})
    corpus = Corpus(tmp_path, table, made_features(table))
    files = [a for m, paths in corpus.paths.items() for a in (f"--{m}", *paths)]
    run = ["--run", "made", "up", "frozen", "means", "1", "1"]
    given = {"architecture": "mean-linear", "width": 16, "frame_stride": 2, "bias": False}
    training = {"epochs": 6, "updates": 1, "learning_rate": 5e-3}
    sections = {"classes": CLASSES, "model": given, "training": training}
    model, out = tmp_path / "model", tmp_path / "p.tsv"
    labelmer(
        *(workspace, "train", corpus.fold, model, *files, *run, "--config", json.dumps(sections))
    )
    beside = ["--perturbed", tmp_path / "perturbed.tsv", "--salience", tmp_path / "salience"]
    labelmer(workspace, "evaluate", corpus.fold, model, out, *beside, *files, *run)
    said = tables.read(out, "predictions")
    assert (said.predicted == said.true)[said.part == "test"].mean() > 0.6  # chance: a third
    about = json.loads((model / "config.json").read_text())["model"]
    assert about["architecture"] == "mean-linear" and about["bias"] is False
    assert "heads" not in about and "pooling" not in about


def test_one_file_and_a_variant_in_the_config_are_a_variant_of_the_workflow(workspace):
    write_release(workspace.folder / "corpus", turns_of(sessions=2))
    given = tiny_config()
    given["folds"].update(validation="dialogues", fraction=0.5)
    means = {"architecture": "mean-linear", "modalities": ["speech"], "bias": False}
    given["variants"] = {"means": means, "speech-only": {"modalities": ["speech"]}}
    given["experiments"][0]["variants"] = ["means"]
    workspace.configure(given)
    table = "predictions/fbank+minilm/frozen/means/fold1.seed1.tsv"
    workspace.snakemake(f"results/tiny/main/{table}")
    said = tables.read(workspace.folder / "results/tiny/main" / table, "predictions")
    assert set(said.part) == {"validation", "test"} and (said.variant == "means").all()
    given["variants"]["means"]["bias"] = "yes"
    workspace.configure(given)
    status, output = workspace.snakemake("--dry-run", check=False)
    assert status == 1 and "variants: means: bias: 'yes', expected true or false" in output


# What a variant takes


POOLING = """
    pooling: str = option("over time", "mean", enum=["mean", "largest"])
"""
COMPLAINTS = """
import json, sys
from labelmer import config
from labelmer.base.errors import InputError

for given in json.load(sys.stdin):
    try:
        print(config.check(given))
    except InputError as error:
        print(str(error).splitlines()[1])
"""


def test_an_option_of_one_name_takes_in_each_architecture_what_that_one_takes(workspace):
    path = workspace.folder / FILE
    path.write_text(path.read_text().replace("\n\n\ndef untrained", f"{POOLING}\n\ndef untrained"))
    given = []
    for architecture in ("mean-linear", "label-guided"):
        for pooling in ("largest", "leam", "none"):
            demo = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
            demo["variants"]["x"] = {"architecture": architecture, "pooling": pooling}
            given.append(demo)
    done = subprocess.run(
        [sys.executable, "-c", COMPLAINTS],
        cwd=workspace.folder,
        input=json.dumps(given),
        capture_output=True,
        text=True,
    )
    own, others = "['mean', 'largest']", "['attention', 'label-attention', 'mean', 'leam']"
    either = f"variants: x: pooling: 'none', expected one of {others}, or one of {own}"
    assert done.stdout.splitlines() == [
        "None",
        f"variants: x: model: pooling: 'leam', expected one of {own}",
        either,
        f"variants: x: model: pooling: 'largest', expected one of {others}",
        "None",
        either,
    ]


def complaint(variants, **model):
    given = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    given["model"].update(model)
    given["variants"].update(variants)
    with pytest.raises(InputError) as caught:
        config.check(given)
    return str(caught.value)


def test_a_variant_takes_of_the_shared_options_those_that_its_architecture_has():
    kinds = ("label-guided", "lsgmer", "linear")
    given = {"model": MODEL, "variants": {kind: {"architecture": kind} for kind in kinds}}
    found = {kind: set(entries.options_of(given, kind)) - {"architecture"} for kind in kinds}
    assert found == {"label-guided": set(MODEL), "lsgmer": set(MODEL), "linear": {"frame_stride"}}
    given["model"] = {"pooling": "mean", "label_start": {"text": "words"}, "dropout": 0.1}
    assert set(entries.options_of(given, "lsgmer")) == {"architecture", "dropout"}
    assert not entries.starts_from_words(entries.options_of(given, "lsgmer"))
    assert entries.starts_from_words(entries.options_of(given, "label-guided"))


@pytest.mark.parametrize("name", architectures.names())
def test_every_default_of_an_architecture_may_be_written_down(name):
    options = architectures.options({"architecture": name})
    given = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    written = json.loads(json.dumps(asdict(options)))
    given["variants"]["written"] = {k: v for k, v in written.items() if k not in options.idle}
    config.check(given)
    assert architectures.options(entries.options_of(given, "written")) == options


def test_an_option_of_another_architecture_is_refused_where_a_variant_names_it_itself():
    said = complaint({"signals": {"architecture": "lsgmer", "pooling": "mean", "heads": 2}})
    assert "variants: signals: ['pooling'] say nothing to architecture lsgmer" in said
    assert "expected some of ['architecture', 'dropout', 'frame_stride', 'heads'" in said


def test_an_architecture_that_is_not_there_is_named_with_those_that_are():
    known = ["deepmsi", "label-guided", "linear", "lsgmer", "metadata", "ramer"]
    expected = f"expected one of {known}"
    said = complaint({"other": {"architecture": "label_guided"}})
    assert f"variants: other: architecture: 'label_guided', {expected}" in said
    with pytest.raises(InputError) as caught:
        architectures.options({"architecture": "transformer"})
    assert f"model: architecture 'transformer', {expected}" in str(caught.value)


# What runs again


def test_one_architecture_is_in_no_digest_of_another(workspace, tmp_path):
    """The param `code` of train and evaluate: the stage and the variant's own architecture."""
    modules = ["models.train", "models.evaluate", "models.linear", "config"]
    modules += map(architectures.module_of, ("label-guided", "lsgmer", "linear"))

    def digests(workspace):
        return {module: code_digest(module, workspace.folder / "labelmer") for module in modules}

    without = workspace.copied(tmp_path / "without")
    (without.folder / FILE).unlink()
    assert digests(without) == digests(workspace)
    edited = workspace.copied(tmp_path / "edited")
    network = edited.folder / "labelmer/models/architectures/lsgmer/network.py"
    network.write_text(network.read_text().replace("KEPT = 0.9", "KEPT = 0.8"))
    before, after = digests(workspace), digests(edited)
    assert {m for m in modules if before[m] != after[m]} == {"models.architectures.lsgmer"}


def test_the_example_of_the_docs_is_the_one_that_is_tested():
    assert f"```python\n{MEANS}```" in (REPOSITORY / "docs" / "extending.md").read_text()
