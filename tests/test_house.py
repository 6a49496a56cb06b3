"""The house rules: who imports whom, what starts without torch, what the lists say."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import REPOSITORY

from labelmer.__main__ import VERBS
from labelmer.base.digest import PACKAGE, imported_modules

# Who may lean on whom, folders and the two modules beside them.
ARROWS = {
    "base": set(),
    "scores": {"base"},
    "corpus": {"base"},
    "demo": {"base"},
    "learning": {"base", "scores"},
    "features": {"base", "scores", "learning"},
    "models": {"base", "scores", "learning"},
    "report": {"base", "scores"},
    "figures": {"base", "scores", "report"},
    "prediction": {"base", "scores", "corpus", "learning", "features", "models", "report"},
    "inspection": {"base", "report", "config", "prediction"},
    # their names and options alone, without torch
    "config": {"base", "corpus", "features", "models"},
}


def modules():
    """Dotted names of all modules but the command line's, which imports one verb's at a time."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    return sorted(names - {"__init__", "__main__"})


def test_rooms_lean_on_no_other_rooms_than_the_arrows_say():
    found = {
        (module.split(".")[0], name) for module in modules() for name in imported_modules(module)
    }
    wrong = [
        (room, name) for room, name in found if name.split(".")[0] not in ARROWS[room] | {room}
    ]
    assert wrong == [] and {room for room, _ in found} | {"base"} >= ARROWS.keys() - {"scores"}


def test_no_module_has_the_name_of_one_of_pythons():
    assert not {module.split(".")[-1] for module in modules()} & sys.stdlib_module_names


@pytest.mark.parametrize("module", modules())
def test_the_package_knows_nothing_of_snakemake(module):
    place = PACKAGE.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    source = path.read_text()
    assert not re.search(r"^\s*(import|from) snakemake", source, re.MULTILINE)


HEAVY = {"fetch", "extract", "transcribe", "finetune", "train", "evaluate", "predict"}
LIGHT = ["config", *(module for verb, (module, _) in VERBS.items() if verb not in HEAVY)]


def test_light_stages_start_without_torch():
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"labelmer.{name}")
    if "torch" in sys.modules:
        sys.exit(f"{name} imports torch")
"""
    command = [sys.executable, "-c", code, *LIGHT]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_training_and_encoding_start_without_soundfile():
    code = (
        "import sys, labelmer.models.train, labelmer.models.evaluate, labelmer.features.extract, "
        "labelmer.features.recogniser, labelmer.features.transcribe; "
    )
    code += "sys.exit('soundfile' in sys.modules or 'snakemake' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def locked():
    """The lock file: {pin with its marker: its hashes}."""
    text = (REPOSITORY / "requirements.lock").read_text().replace(" \\\n    --hash=", " --hash=")
    pins = [line.split(" --hash=") for line in text.splitlines()]
    return {pin: hashes for pin, *hashes in pins}


def name_of(pin):
    """A package's name, as the lock file writes it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", pin)[0]).lower()


def test_the_lock_file_has_a_hash_of_all_that_may_be_installed():
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .*)?$", pin) for pin in locked())
    hashes = [hash for found in locked().values() for hash in found or [""]]
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", hash) for hash in hashes)


def test_the_conda_environment_equals_the_lock_file():
    environment = (REPOSITORY / "envs" / "labelmer.yaml").read_text().split("\n")
    pins = [line.removeprefix("    - ") for line in environment if line.startswith("    - ")]
    assert pins == list(locked())


def test_the_lock_file_pins_what_the_project_asks_for():
    project = (REPOSITORY / "pyproject.toml").read_text()
    asked = re.findall(r'^\s+"([A-Za-z0-9_-]+[<>=].*)"', project, re.MULTILINE)
    assert len(asked) > 15
    assert {name_of(package) for package in asked} <= {name_of(pin) for pin in locked()}


def test_the_table_of_licences_names_all_that_the_lock_file_does():
    page = (REPOSITORY / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| (\S+) +\| (\S+) +\| (.*?) +\|$", page, re.MULTILINE)[1:]
    assert {name_of(name) for name, _, _ in rows} == {name_of(pin) for pin in locked()}
    versions = {re.match(r"(\S+)==(\S+)", pin).groups() for pin in locked()}
    assert {(name_of(name), version) for name, version, _ in rows} <= versions


def test_verbs_are_listed_and_an_unknown_one_is_refused():
    run = [sys.executable, "-m", "labelmer"]
    listed = subprocess.run([*run, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
    assert all(verb in listed.stdout for verb in VERBS)
    refused = subprocess.run([*run, "nonsense"], cwd=REPOSITORY, capture_output=True, text=True)
    assert refused.returncode == 1 and "unknown verb 'nonsense'" in refused.stderr


def test_the_profile_for_slurm_names_the_long_rules_and_the_groups_that_there_are():
    profile = yaml.safe_load((REPOSITORY / "workflow/profiles/slurm/profile.yaml").read_text())
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow/rules").glob("*.smk"))
    names = re.findall(r"rule (?:\w+ as )?((?:extract|transcribe|finetune)\w*)", rules)
    long = {name for name in names if "labels" not in name}
    assert profile["set-resources"].keys() == profile["set-threads"].keys() == long
    cpus = {rule: given["cpus_per_task"] for rule, given in profile["set-resources"].items()}
    assert cpus == profile["set-threads"]
    groups = set(re.findall(r'group:\n\s+"(\S+)"', rules))
    assert groups == {*profile["group-components"], "reports"}  # which hang together
