"""Late fusion: temperatures from the validation part alone, and the product that they give."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from labelmer.base import tables
from labelmer.base.tables import MODALITIES
from labelmer.models import fuse
from labelmer.scores import calibration
from labelmer.scores.accuracy import accuracies

CLASSES = ["angry", "happy", "neutral", "sad"]
PROBABILITIES = [f"p_{name}" for name in CLASSES]
HALF = 500  # utterances of a part


def made_up(seed, variant, strength, sharpness=1.0):
    """Predictions of one modality: evidence for the true class, independent between seeds.

    With sharpness 1 the posteriors are the true ones, so that temperature 1 is best.
    """
    truth = np.random.default_rng(0).integers(4, size=2 * HALF)
    noise = np.random.default_rng(seed).normal(size=(2 * HALF, 4))
    evidence = noise + strength * np.eye(4)[truth]
    p = np.exp(log_softmax(sharpness * strength * evidence, axis=1))
    names = np.array(CLASSES)
    frame = pd.DataFrame(
        {
            "id": [f"u{i:04}" for i in range(2 * HALF)],
            "session": "Session1",
            "dialogue": "d",
            "speaker": "s",
            "part": ["validation"] * HALF + ["test"] * HALF,
            "true": names[truth],
            "predicted": names[p.argmax(axis=1)],
        }
    )
    run = {"speech": "s", "text": "t", "mode": "frozen", "variant": variant, "fold": 1, "seed": 1}
    return frame.assign(**dict(zip(PROBABILITIES, p.T, strict=True)), **run)


@pytest.fixture(scope="module")
def speech():
    return made_up(1, "speech-only", 1.5)


@pytest.fixture(scope="module")
def text():
    return made_up(2, "text-only", 1.5, sharpness=4.0)


def test_softmax_of_two_posteriors_worked_out_by_hand():
    a, b = np.log([[0.8, 0.2]]), np.log([[0.5, 0.5]])
    np.testing.assert_allclose(np.exp(calibration.combined([a, b], (1, 1))), [[0.8, 0.2]])
    # Temperature 1/2 squares: 0.64 against 0.04.
    np.testing.assert_allclose(np.exp(calibration.combined([a, b], (0.5, 1))), [[16 / 17, 1 / 17]])


def test_an_overconfident_model_is_flattened_by_as_much(speech, text):
    _, (of_speech, of_text) = fuse.fuse_tables([speech, text], "late-fusion")
    assert of_speech == pytest.approx(1, rel=0.2)
    assert of_text == pytest.approx(4, rel=0.2)


def test_a_useless_model_is_all_but_ignored(speech):
    _, temperatures = fuse.fuse_tables([speech, made_up(3, "text-only", 0.01, 100)], "late-fusion")
    assert temperatures[0] == pytest.approx(1, rel=0.2)
    assert temperatures[1] > 5


def test_independent_evidence_adds_up(speech, text):
    fused, _ = fuse.fuse_tables([speech, text], "late-fusion")
    ua = [accuracies(t["true"][HALF:], t["predicted"][HALF:])["ua"] for t in (speech, text, fused)]
    assert ua[2] > max(ua[:2]) + 0.05


def test_the_test_part_chooses_nothing(speech, text):
    fused, temperatures = fuse.fuse_tables([speech, text], "late-fusion")
    changed = text.copy()
    changed.loc[HALF + 7, PROBABILITIES] = [0.97, 0.01, 0.01, 0.01]
    refused, same = fuse.fuse_tables([speech, changed], "late-fusion")
    assert same == temperatures
    differs = (fused[PROBABILITIES] != refused[PROBABILITIES]).any(axis=1)
    assert list(fused.index[differs]) == [HALF + 7]
    turned = [frame.copy() for frame in (speech, text)]
    for frame in turned:
        frame.loc[HALF:, "true"] = "sad"
    assert fuse.fuse_tables(turned, "late-fusion")[1] == temperatures


def test_a_perfect_validation_part_and_a_zero_probability_stay_finite(speech):
    sure = speech.copy()
    sure[PROBABILITIES] = np.eye(4)[pd.Index(CLASSES).get_indexer(sure["true"])]
    fused, temperatures = fuse.fuse_tables([sure, sure], "late-fusion")
    assert np.isfinite(fused[PROBABILITIES].to_numpy()).all()
    assert all(calibration.COLDEST <= t <= calibration.HOTTEST for t in temperatures)


def test_three_models_are_fused_as_two_are(speech, text):
    third = made_up(3, "another", 1.5, sharpness=2.0)
    fused, temperatures = fuse.fuse_tables([speech, text, third], "sum")
    assert temperatures == pytest.approx((1, 4, 2), rel=0.25)
    logs = [
        calibration.log_probabilities(t[PROBABILITIES].to_numpy()) for t in (speech, text, third)
    ]
    wanted = np.exp(calibration.combined(logs, temperatures))
    np.testing.assert_allclose(fused[PROBABILITIES], wanted, atol=1e-9)
    two, _ = fuse.fuse_tables([speech, text], "late-fusion")
    ua = [accuracies(t["true"][HALF:], t["predicted"][HALF:])["ua"] for t in (two, fused)]
    assert ua[1] > ua[0] + 0.02


SPEECH_AND_TEXT = [["speech"], ["text"]]


def disturbed(table, change, modality, seed=5):
    """A table "perturbed" of a model's test part, with predictions of its own."""
    test = table[table["part"] == "test"].drop(columns="part")
    p = np.random.default_rng(seed).dirichlet(np.ones(4), len(test))
    said = test.assign(predicted=np.array(CLASSES)[p.argmax(axis=1)])
    said[PROBABILITIES] = p
    return said.assign(change=change, modality=modality, share=1.0)


def run(tmp_path, *members):
    """Fuse by the command line; the first model sees speech, the others text."""
    paths = [tmp_path / f"{letter}.tsv" for letter in "abc"[: len(members)]]
    others = [path.with_suffix(".then.tsv") for path in paths]
    for table, modality, path, other in zip(
        members, ("speech", "text", "text"), paths, others, strict=False
    ):
        tables.write(path, table, "predictions")
        tables.write(other, disturbed(table, "random", modality), "perturbed")
    out = tmp_path / "out.tsv"
    beside = ["--perturbed", *others, "--perturbed-out", tmp_path / "out.then.tsv"]
    config = json.dumps({"sees": [["speech"], ["text"], ["text"]][: len(members)]})
    arguments = [*paths, out, *beside, "--variant", "late-fusion", "--config", config]
    arguments += ["--log", tmp_path / "log"]
    fuse.main(list(map(str, arguments)))
    return out


def test_without_a_modality_the_other_model_speaks_alone(speech, text):
    alone = [disturbed(speech, "random", "speech"), disturbed(text, "random", "text")]
    found = fuse.fuse_perturbed([speech, text], alone, (2.0, 1.0), "late-fusion", SPEECH_AND_TEXT)
    assert set(found["change"]) == {"missing", "random"}
    assert set(found["variant"]) == {"late-fusion"}
    missing = found[found["change"] == "missing"]
    for modality, other in (("speech", text), ("text", speech)):
        rows = missing[missing["modality"] == modality].set_index("id")
        test = other[HALF:].set_index("id")
        assert rows["predicted"].equals(test["predicted"].loc[rows.index])
    of_text = missing[missing["modality"] == "speech"][PROBABILITIES].to_numpy()
    np.testing.assert_allclose(of_text, text[HALF:][PROBABILITIES], atol=1e-9)  # its temperature: 1


def test_a_model_of_which_nothing_is_deleted_still_has_a_modality_to_miss(speech, text):
    heard = disturbed(text, "random", "text")
    then = [heard[:0], heard]
    found = fuse.fuse_perturbed([speech, text], then, (2.0, 1.0), "late-fusion", SPEECH_AND_TEXT)
    missing = found[found["change"] == "missing"]
    for modality, other in (("speech", text), ("text", speech)):
        rows = missing[missing["modality"] == modality].set_index("id")
        assert rows["predicted"].equals(other[HALF:].set_index("id")["predicted"].loc[rows.index])


def test_recognised_words_change_the_text_model_alone(speech, text):
    heard = disturbed(text, "transcripts", "text")
    then = [disturbed(speech, "random", "speech"), heard]
    found = fuse.fuse_perturbed([speech, text], then, (2.0, 1.0), "late-fusion", SPEECH_AND_TEXT)
    rows = found[found["change"] == "transcripts"][PROBABILITIES].to_numpy()
    logs = [np.log(t[PROBABILITIES].to_numpy()) for t in (speech[HALF:], heard)]
    np.testing.assert_allclose(rows, np.exp(calibration.combined(logs, (2.0, 1.0))), atol=1e-9)


def test_models_of_both_modalities_say_themselves_what_they_do_without_one(speech, text):
    then = [
        pd.concat([disturbed(t, "missing", m, seed) for m in ("speech", "text")])
        for seed, t in enumerate((speech, text))
    ]
    found = fuse.fuse_perturbed([speech, text], then, (1.0, 1.0), "late-fusion", 2 * [MODALITIES])
    rows = found[found["modality"] == "text"][PROBABILITIES].to_numpy()
    logs = [np.log(t[t["modality"] == "text"][PROBABILITIES].to_numpy()) for t in then]
    np.testing.assert_allclose(rows, np.exp(calibration.combined(logs, (1.0, 1.0))), atol=1e-9)


def test_models_of_one_modality_lack_none_and_lose_the_same_rows(speech):
    other = made_up(4, "full", 1.5)
    then = [
        pd.concat([disturbed(t, c, "speech", seed) for c in ("random", "most-salient")])
        for seed, t in enumerate((speech, other))
    ]
    found = fuse.fuse_perturbed([speech, other], then, (1.0, 2.0), "sum", [["speech"], ["speech"]])
    assert set(found["change"]) == {"random"} and len(found) == HALF
    logs = [calibration.log_probabilities(t[:HALF][PROBABILITIES].to_numpy()) for t in then]
    wanted = np.exp(calibration.combined(logs, (1.0, 2.0)))
    np.testing.assert_allclose(found[PROBABILITIES], wanted, atol=1e-9)


def test_without_a_modality_those_speak_that_still_see_something(speech, text):
    """A model of both modalities with one of speech and one of text."""
    full = made_up(4, "full", 1.5)
    without = {m: disturbed(full, "missing", m, seed) for seed, m in enumerate(("speech", "text"))}
    then = [
        pd.concat(without.values()),
        disturbed(speech, "random", "speech"),
        disturbed(text, "random", "text"),
    ]
    sees = [MODALITIES, *SPEECH_AND_TEXT]
    found = fuse.fuse_perturbed([full, speech, text], then, (1.0, 2.0, 4.0), "sum", sees)
    for modality, other, temperature in (("speech", text, 4.0), ("text", speech, 2.0)):
        rows = found[(found["change"] == "missing") & (found["modality"] == modality)]
        logs = [
            calibration.log_probabilities(t[PROBABILITIES].to_numpy())
            for t in (without[modality], other[HALF:])
        ]
        wanted = np.exp(calibration.combined(logs, (1.0, temperature)))
        np.testing.assert_allclose(rows[PROBABILITIES], wanted, atol=1e-9)


def test_the_file_is_a_table_of_predictions_named_after_the_variant(tmp_path, speech, text):
    out = run(tmp_path, speech, text.sample(frac=1, random_state=0))
    written = tables.read(out, "predictions")
    assert list(written["id"]) == list(speech["id"])
    assert set(written["variant"]) == {"late-fusion"}
    assert set(written["fold"]) == set(written["seed"]) == {1}
    np.testing.assert_allclose(written[PROBABILITIES].sum(axis=1), 1, atol=1e-6)
    expected, _ = fuse.fuse_tables([speech, text], "late-fusion")
    assert list(written["predicted"]) == list(expected["predicted"])
    assert "500 validation utterances" in (tmp_path / "log").read_text()


def test_files_of_three_models_are_fused_and_a_third_that_does_not_match_is_named(
    tmp_path, caplog, speech, text
):
    third = made_up(3, "another", 1.5)
    written = tables.read(run(tmp_path, speech, text, third), "predictions")
    expected, _ = fuse.fuse_tables([speech, text, third], "late-fusion")
    assert list(written["predicted"]) == list(expected["predicted"])
    assert "for speech-only" in (tmp_path / "log").read_text()
    assert "for another" in (tmp_path / "log").read_text()
    (tmp_path / "odd").mkdir()
    with pytest.raises(SystemExit):
        run(tmp_path / "odd", speech, text, third.assign(fold=2))
    assert "c.tsv: id 'u0000': fold is '2', expected '1' as in" in caplog.text


def test_one_model_alone_is_no_late_fusion(tmp_path, capsys, speech):
    with pytest.raises(SystemExit):
        run(tmp_path, speech)
    assert "expected the predictions of two models or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop(index=3), ["b.tsv", "'u0003' is missing"]),
        (lambda t: pd.concat([t, t[:1].assign(id="new")]), ["a.tsv", "'new' is missing"]),
        (lambda t: t.assign(seed=2), ["b.tsv", "'u0000'", "seed is '2'", "'1'"]),
        (lambda t: t.assign(true="sad"), ["b.tsv", "true is 'sad'"]),
        (lambda t: t.drop(columns="p_sad"), ["b.tsv", "p_sad"]),
    ],
)
def test_tables_that_do_not_match_are_refused(tmp_path, caplog, speech, text, spoil, words):
    with pytest.raises(SystemExit):
        run(tmp_path, speech, spoil(text))
    assert all(word in caplog.text for word in words)
    assert not (tmp_path / "out.tsv").exists()


def test_without_a_validation_part_nothing_is_fused(tmp_path, caplog, speech, text):
    with pytest.raises(SystemExit):
        run(tmp_path, speech[HALF:], text[HALF:])
    assert "no row has part 'validation'" in caplog.text


def test_a_change_that_lacks_an_utterance_is_named(tmp_path, caplog, monkeypatch, speech, text):
    whole = disturbed
    monkeypatch.setitem(globals(), "disturbed", lambda *given: whole(*given).iloc[1:])
    with pytest.raises(SystemExit):
        run(tmp_path, speech, text)
    assert "a.then.tsv: id 'u0500' is missing under random speech 1.0, expected" in caplog.text
    assert not (tmp_path / "out.tsv").exists()
