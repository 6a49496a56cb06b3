"""Bundles of what the real workflow trained, and what inspect says of its results."""

import json

import numpy as np
import pytest
from huggingface_hub import ModelCard
from test_encoders import snapshot  # noqa: F401
from test_reruns import FOLDS, finished  # noqa: F401

import labelmer
from labelmer import inspection
from labelmer.base import tables
from labelmer.prediction import bundle

pytestmark = pytest.mark.slow

RUNS = "results/tiny/main/{}/fbank+bert/frozen/{}"


def test_each_model_says_of_its_test_part_what_evaluate_says(finished, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle.bundle([finished.folder / RUNS.format("models", "full")], tmp_path / "m")
    predictor = labelmer.load(tmp_path / "m")
    words = tables.read_all(
        (finished.folder / "results/tiny/utterances").glob("Session?.tsv"), "utterances"
    )
    texts = dict(zip(words["id"], words["text"], strict=True))
    for place, fold in enumerate(FOLDS):
        path = finished.folder / RUNS.format("predictions", f"full/fold{fold}.seed1.tsv")
        table = tables.read(path, "predictions").query("part == 'test'")
        row = table.iloc[0]
        wav = f"corpus/{row.session}/sentences/wav/{row.dialogue}/{row.id}.wav"
        said = predictor(finished.folder / wav, texts[row.id])
        p = [row[f"p_{name}"] for name in said.classes]
        np.testing.assert_allclose(said.uncalibrated[place], p, atol=1e-5)
    card = ModelCard.load(tmp_path / "m/README.md")
    assert "3 folds" in card.text and len(card.data.eval_results) == 4


def test_the_parts_of_a_late_fusion_are_known_as_it(finished, tmp_path):  # noqa: F811
    parts = [finished.folder / RUNS.format("models", v) for v in ("speech-only", "text-only")]
    made = bundle.bundle(parts, tmp_path / "m")
    assert [len(model["parts"]) for model in made["models"]] == [2, 2, 2]
    assert "# tiny, main: late-fusion" in (tmp_path / "m/README.md").read_text()


def test_a_config_makes_all_that_its_workflow_wrote(finished, capsys):  # noqa: F811
    results, config = finished.folder / "results", finished.folder / "test.yaml"
    inspection.main([str(results), "--configfile", str(config), "--json"])
    assert json.loads(capsys.readouterr().out)["unmade"] == {}
