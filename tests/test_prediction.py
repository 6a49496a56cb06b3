"""Bundles: what they hold, what they say of new recordings, and what they refuse."""

import numpy as np
import pytest
import torch
from studies import CLASSES, Study
from test_encoders import snapshot  # noqa: F401

import labelmer
from labelmer.prediction import bundle
from labelmer.prediction.utterance import Utterance

torch.set_num_threads(1)
P = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def study(tmp_path_factory, snapshot):  # noqa: F811
    made = Study(tmp_path_factory.mktemp("study"))
    made.encoder("fbank", "speech", "builtin:fbank")
    made.encoder("wave", "speech", f"path:{snapshot('wav2vec2-group')}", "all")
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2)
    return made


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def given(study, **without):
    """The test utterances as they are, from their recordings."""
    from labelmer.prediction.recordings import whole

    return [
        Utterance(row.id, whole(study.wav(row.id)), row.text, row.speaker, row.start_s, row.end_s)
        for row in study.tested().itertuples()
    ]


def bundled(study, out, *runs):
    bundle.main([*map(str, runs), "-o", str(out)])
    return labelmer.load(out)


def matches(study, folder, said):
    """Are these the predictions that evaluate wrote of a run, before calibration?"""
    wanted = study.predictions(folder).loc[[p.id for p in said], P].to_numpy()
    found = np.stack([p.uncalibrated[0] for p in said])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# As evaluated


def test_a_bundle_of_frozen_encoders_says_what_evaluate_says(study, tmp_path):
    for speech in ("fbank", "wave"):
        folder = study.run("full", speech, "bert")
        predictor = bundled(study, tmp_path / speech, folder)
        matches(study, folder, predictor.predict(given(study)))
