"""Recipes and the workflow: the examples' configs, and two corpora from their folders to scores."""

import numpy as np
import pytest
import soundfile
import yaml
from conftest import REPOSITORY, Workspace
from whole_releases import PARTS, WHOLE

from labelmer.base import tables
from labelmer.corpus import manifest
from labelmer.report import columns

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("recipe", PARTS)
def test_the_config_of_an_example_is_what_its_recipe_writes_and_can_be_run(
    recipe, tmp_path, monkeypatch
):
    workspace = Workspace(tmp_path / "work")
    PARTS[recipe]().write(workspace.folder / "corpora" / recipe)
    monkeypatch.chdir(workspace.folder)
    example = f"examples/{recipe}.yaml"
    table = f"corpora/{recipe}.tsv"
    manifest.main([recipe, f"corpora/{recipe}", table, "--config", example])
    assert (workspace.folder / example).read_text() == (REPOSITORY / example).read_text()
    rules = {rule for rule, _ in workspace.jobs(config=example)}
    assert {"segment", "utterances", "labels", "split"} <= rules


def sound(path, number):
    """A second of noise of its own."""
    noise = np.random.default_rng(number).normal(0, 0.1, 16000)
    soundfile.write(path, noise, 16000)


def small_ravdess():
    """Three actors, all emotions: folds over speakers."""
    return [p for p in WHOLE["ravdess"]() if int(p[6:8]) <= 3 and p.split("-")[5] == "01"]


def small_esd():
    """Two speakers with clips of each official part."""
    firsts = {"Neutral": 0, "Angry": 350, "Happy": 700, "Sad": 1050, "Surprise": 1400}
    return [
        f"{speaker}/{emotion}/{speaker}_{first + n:06}.wav"
        for speaker in ("0001", "0011")
        for emotion, first in firsts.items()
        for n in (1, 2, 21, 22, 51, 52, 53)
    ]


@pytest.mark.parametrize(
    ("recipe", "paths", "folds"), [("ravdess", small_ravdess, 3), ("esd", small_esd, 1)]
)
def test_a_corpus_goes_from_its_folder_to_scores(recipe, paths, folds, tmp_path, monkeypatch):
    workspace = Workspace(tmp_path / "work")
    monkeypatch.chdir(workspace.folder)
    for number, path in enumerate(paths()):
        (workspace.folder / "corpus" / path).parent.mkdir(parents=True, exist_ok=True)
        sound(workspace.folder / "corpus" / path, number)
    manifest.main([recipe, "corpus", "corpus.tsv", "--config", "written.yaml"])
    config = yaml.safe_load((workspace.folder / "written.yaml").read_text())
    demo = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    config["encoders"] = demo["encoders"]
    config["experiments"][0].update(speech="fbank", text="minilm", variants=["linear-speech"])
    workspace.configure(config)
    workspace.snakemake(f"results/{recipe}/main/reports/compare.tsv")
    results = workspace.folder / "results" / recipe / "main"
    (row,) = columns.read(results / "reports" / "compare.tsv", "compare").itertuples()
    assert (row.variant, row.folds) == ("linear-speech", folds)
    assert len(tables.read(results / "splits" / "left_out.tsv", "left_out")) == 0
