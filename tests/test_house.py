"""The house rules: who imports whom, what starts without torch, what the lists say."""

import re
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from labelmer.__main__ import VERBS
from labelmer.digest import imported_modules

LAYERS = [
    {"errors", "stage", "digest", "tables", "ragged", "containers", "names"},
    {"iemocap", "manifest", "readers", "config", "audio", "encoders"}
    | {"batches", "model", "options", "metrics", "accuracy", "compute", "result_tables", "inputs"}
    | {"checkpoints", "statistics", "calibration", "perturbations", "demo_lines", "runs"}
    | {"alignment", "salience_file", "figures", "words", "deletions", "predictions"},
    set(VERBS),
]
# Within a layer, these lean on a sibling.
SIBLINGS = {
    "stage": {"errors"},
    "tables": {"errors", "stage"},
    "ragged": {"digest", "errors"},
    "readers": {"iemocap", "manifest"},
    "config": {"readers", "options"},
    "model": {"options"},
    "metrics": {"accuracy"},
    "statistics": {"metrics"},
    "runs": {"statistics"},
    "salience_file": {"alignment"},
    "perturbations": {"deletions"},
}


def modules():
    names = {path.stem for path in (REPOSITORY / "labelmer").glob("*.py")}
    return sorted(names - {"__init__", "__main__"})


def test_every_module_has_a_layer():
    assert sorted(set().union(*LAYERS)) == modules()


@pytest.mark.parametrize("module", modules())
def test_modules_import_only_from_lower_layers(module):
    height = next(i for i, layer in enumerate(LAYERS) if module in layer)
    lower = set().union(*LAYERS[:height])
    assert imported_modules(module) - lower <= SIBLINGS.get(module, set())


@pytest.mark.parametrize("module", modules())
def test_the_package_knows_nothing_of_snakemake(module):
    source = (REPOSITORY / "labelmer" / f"{module}.py").read_text()
    assert not re.search(r"^\s*(import|from) snakemake", source, re.MULTILINE)


LIGHT = [
    "tabulate",
    "slices",
    "stress",
    "split",
    "annotate",
    "fuse",
    "segment",
    "config",
    "inspect",
]
LIGHT += ["salience", "illustrate", "rationales", "linear"]


@pytest.mark.parametrize("module", LIGHT)
def test_light_stages_start_without_torch(module):
    code = f"import sys, labelmer.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_training_and_encoding_start_without_soundfile():
    code = "import sys, labelmer.train, labelmer.evaluate, labelmer.encoders, labelmer.extract; "
    code += "sys.exit('soundfile' in sys.modules or 'snakemake' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_the_conda_environment_equals_the_lock_file():
    lock = (REPOSITORY / "requirements.lock").read_text().split("\n")
    environment = (REPOSITORY / "envs" / "labelmer.yaml").read_text().split("\n")
    pins = [line.removeprefix("    - ") for line in environment if line.startswith("    - ")]
    assert pins == [line for line in lock if line]


def test_the_lock_file_pins_what_the_project_asks_for():
    project = (REPOSITORY / "pyproject.toml").read_text()
    asked = re.findall(r'^\s+"([A-Za-z0-9_-]+)[<>=]', project, re.MULTILINE)
    lock = (REPOSITORY / "requirements.lock").read_text().lower().replace("_", "-")
    assert len(asked) > 15
    assert [a for a in asked if f"\n{a.lower().replace('_', '-')}==" not in f"\n{lock}"] == []


def test_verbs_are_listed_and_an_unknown_one_is_refused():
    run = [sys.executable, "-m", "labelmer"]
    listed = subprocess.run([*run, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
    assert all(verb in listed.stdout for verb in VERBS)
    refused = subprocess.run([*run, "nonsense"], cwd=REPOSITORY, capture_output=True, text=True)
    assert refused.returncode == 1 and "unknown verb 'nonsense'" in refused.stderr
