"""Real speech through the real workflow: nemo-mini, a corpus given as a table."""

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY, Workspace

from labelmer.base import tables
from labelmer.report import columns

pytestmark = pytest.mark.slow


def third_of(nemo, folder):
    """A manifest of every third sentence of nemo-mini, for each speaker and emotion; three
    speakers are a session."""
    manifest = pd.read_csv(nemo / "manifest.tsv", sep="\t", dtype=str, keep_default_na=False)
    third = manifest.groupby(["speaker", "label"]).nth(slice(None, None, 3)).copy()
    third["path"] = [str(nemo / path) for path in third["path"]]
    third["session"] = [f"S{number // 3}" for number in third["speaker"].factorize(sort=True)[0]]
    path = folder / "nemo.tsv"
    third.to_csv(path, sep="\t", index=False)
    return path, third


def test_speech_is_far_above_chance_and_words_that_say_nothing_do_not_hurt(nemo, whisper, tmp_path):
    workspace = Workspace(tmp_path / "nemo")
    manifest, third = third_of(nemo, workspace.folder)
    config = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    config["corpus"] = {"name": "nemo", "reader": "manifest", "root": str(manifest)}
    config["labels"] = {name: {"codes": [name]} for name in sorted(set(third["label"]))}
    config["encoders"]["whisper"] = {"modality": "speech", "source": f"path:{whisper}", "layer": 2}
    config["experiments"][0].update(speech="whisper", variants=["full", "speech-only"])
    config["model"] = {"width": 64}
    config["training"] = {"updates": 200}
    workspace.configure(config)
    workspace.snakemake("results/nemo/main/reports/pairs.tsv")

    results = workspace.folder / "results" / "nemo" / "main"
    compare = columns.read(results / "reports" / "compare.tsv", "compare")
    assert set(compare["utterances"]) == {len(third)}
    assert compare["ua"].min() > 0.45  # chance is 0.25
    (pair,) = columns.read(results / "reports" / "pairs.tsv", "pairs").itertuples()
    assert (pair.variant, pair.other) == ("speech-only", "full")
    assert pair.low < 0.01 and pair.difference < 0.05  # speech-only minus full
    audit = tables.read(results / "splits" / "audit.tsv", "audit")
    heard = audit[audit["part"] == "test"]
    assert len(heard) == 3 and set(
        heard["speakers_in_train"] + heard["speakers_in_validation"]
    ) == {0}
    assert len(tables.read(results / "splits" / "left_out.tsv", "left_out")) == 0
