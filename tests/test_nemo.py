"""Real speech through the real workflow: nemo-mini, a corpus given as a table."""

import pandas as pd
import yaml
from conftest import REPOSITORY, Workspace

from labelmer import result_tables, tables


def half_of(nemo, folder):
    """A manifest of every second sentence of nemo-mini, for each speaker and emotion."""
    manifest = pd.read_csv(nemo / "manifest.tsv", sep="\t", dtype=str, keep_default_na=False)
    half = manifest.groupby(["speaker", "label"]).nth(slice(None, None, 2)).copy()
    half["path"] = [str(nemo / path) for path in half["path"]]
    path = folder / "nemo.tsv"
    half.to_csv(path, sep="\t", index=False)
    return path, half


def test_speech_alone_is_far_above_chance_on_speakers_never_heard(nemo, whisper, tmp_path):
    workspace = Workspace(tmp_path / "nemo")
    manifest, half = half_of(nemo, workspace.folder)
    config = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    config["corpus"] = {"name": "nemo", "reader": "manifest", "root": str(manifest)}
    config["labels"] = {name: {"codes": [name]} for name in sorted(set(half["label"]))}
    config["encoders"]["whisper"] = {"modality": "speech", "source": f"path:{whisper}", "layer": 2}
    config["experiments"][0].update(speech="whisper", variants=["speech-only"])
    config["model"] = {"frame_stride": 2}
    config["training"] = {"epochs": 8, "batch_size": 16}
    workspace.configure(config)
    workspace.snakemake()

    results = workspace.folder / "results" / "nemo"
    compare = result_tables.read(results / "reports" / "compare.tsv", "compare")
    assert compare["utterances"].tolist() == [len(half)]
    assert compare["ua"].tolist()[0] > 0.45  # chance is 0.25
    audit = tables.read(results / "splits" / "audit.tsv", "audit")
    heard = audit[audit["part"] == "test"]
    assert len(heard) == 5 and set(
        heard["speakers_in_train"] + heard["speakers_in_validation"]
    ) == {0}
    assert len(tables.read(results / "splits" / "left_out.tsv", "left_out")) == 0
    assert not (results / "features" / "minilm").exists()  # nothing asked for the words
