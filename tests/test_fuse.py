"""Late fusion: weights from the validation part alone, and the product that they give."""

import json
from argparse import Namespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from labelmer.base import tables
from labelmer.base.tables import MODALITIES
from labelmer.models import fuse
from labelmer.models.transfer import product
from labelmer.report import columns, weights
from labelmer.scores import calibration
from labelmer.scores.accuracy import accuracies

CLASSES = ["angry", "happy", "neutral", "sad"]
PROBABILITIES = [f"p_{name}" for name in CLASSES]
HALF = 500  # utterances of a part
RUN = {"speech": "s", "text": "t", "mode": "frozen", "variant": "late", "fold": 1, "seed": "1"}


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
    run = {**RUN, "variant": variant}
    return frame.assign(**dict(zip(PROBABILITIES, p.T, strict=True)), **run)


@pytest.fixture(scope="module")
def speech():
    return made_up(1, "speech-only", 1.5)


@pytest.fixture(scope="module")
def text():
    return made_up(2, "text-only", 1.5, sharpness=4.0)


def fused(*tables, seeds=1, **run):
    """The fused table and the weights of tables: of a member each, or of so many seeds of each."""
    members = [tables[i : i + seeds] for i in range(0, len(tables), seeds)]
    return fuse.fuse_tables(members, {"variant": "late-fusion", **run})


def test_softmax_of_two_posteriors_worked_out_by_hand():
    a, b = np.log([[0.8, 0.2]]), np.log([[0.5, 0.5]])
    np.testing.assert_allclose(np.exp(calibration.combined([a, b], (1, 1))), [[0.8, 0.2]])
    # Weight 2 squares: 0.64 against 0.04.
    np.testing.assert_allclose(np.exp(calibration.combined([a, b], (2, 1))), [[16 / 17, 1 / 17]])
    np.testing.assert_allclose(np.exp(calibration.combined([a, b], (0, 0))), [[0.5, 0.5]])


def test_an_overconfident_model_is_flattened_by_as_much(speech, text):
    _, (of_speech, of_text) = fused(speech, text)
    assert of_speech == pytest.approx(1, rel=0.2)
    assert of_text == pytest.approx(1 / 4, rel=0.2)


def test_weights_worked_out_by_hand():
    """A model that is right on three utterances of four should say 0.75: odds of 3, not of 9."""
    sure, fair = np.log([[0.9, 0.1]] * 4), np.log([[0.75, 0.25]] * 4)
    true = np.array([0, 0, 0, 1])
    assert calibration.best_weights(sure[None], true) == pytest.approx([0.5], rel=1e-3)
    assert calibration.best_weights(fair[None], true) == pytest.approx([1], rel=1e-3)
    nothing = np.log(np.full((4, 2), 0.5))
    assert calibration.best_weights(np.stack([sure, nothing]), true) == pytest.approx([0.5, 0])
    wrong = sure[:, ::-1]
    assert calibration.best_weights(np.stack([wrong, fair]), true) == pytest.approx([0, 1])


def test_a_useless_model_is_left_out(speech):
    alone = fused(speech)[1]
    says_nothing, errs = speech.copy(), speech.copy()
    says_nothing[PROBABILITIES] = 0.25
    errs[PROBABILITIES] = np.roll(speech[PROBABILITIES], 1, axis=1)
    for useless in (says_nothing, errs):
        _, weights = fused(speech, useless)
        assert weights == (pytest.approx(alone[0], rel=1e-3), 0)
    found, weights = fused(says_nothing, errs)
    assert weights == (0, 0)
    np.testing.assert_allclose(found[PROBABILITIES], 0.25)


def test_a_member_alone_is_never_left_out(speech):
    errs = speech.copy()
    errs[PROBABILITIES] = np.roll(speech[PROBABILITIES], 1, axis=1)
    found, (weight,) = fused(errs)
    assert weight == pytest.approx(1 / calibration.HOTTEST)
    named = errs[PROBABILITIES].to_numpy().argmax(axis=1)
    assert (found[PROBABILITIES].to_numpy().argmax(axis=1) == named).all()


def test_equal_models_have_equal_weights(speech, text):
    _, (one, other, of_text) = fused(speech, speech.assign(variant="again"), text)
    assert one == other
    assert (2 * one, of_text) == pytest.approx(fused(speech, text)[1], rel=1e-4)


def test_no_weights_do_better_on_validation(speech, text):
    third = made_up(3, "another", 0.3, sharpness=2.0)
    members = (speech, text, third)
    _, weights = fused(*members)
    logs = np.log([t[PROBABILITIES][:HALF].to_numpy() for t in members])
    true = pd.Index(CLASSES).get_indexer(speech["true"][:HALF])

    def loss(weights):
        return -calibration.combined(logs, weights)[np.arange(HALF), true].mean()

    steps = np.vstack([np.eye(3), -np.eye(3)]) * 0.01
    assert all(loss(np.maximum(weights + step, 0)) >= loss(weights) for step in steps)


def test_seeds_together_share_one_weight(speech, text):
    seeds = [made_up(s, "full", 1.5).assign(seed=str(s)) for s in (5, 6, 7)]
    found, (of_speech, of_full) = fused(*(3 * [speech]), *seeds, seeds=3, seed="5+6+7")
    assert set(found["seed"]) == {"5+6+7"}
    logs = np.log([t[PROBABILITIES].to_numpy() for t in (speech, *seeds)])
    each = (of_speech, *(3 * [of_full / 3]))
    np.testing.assert_allclose(
        found[PROBABILITIES], np.exp(calibration.combined(logs, each)), atol=1e-9
    )
    same = fused(*(3 * [speech]), *seeds[::-1], seeds=3, seed="5+6+7")[1]
    assert same == pytest.approx((of_speech, of_full))
    one = np.mean([accuracies(t["true"][HALF:], t["predicted"][HALF:])["ua"] for t in seeds])
    together, _ = fused(*seeds, seeds=3, seed="5+6+7")
    assert accuracies(together["true"][HALF:], together["predicted"][HALF:])["ua"] > one + 0.1


def test_independent_evidence_adds_up(speech, text):
    both, _ = fused(speech, text)
    ua = [accuracies(t["true"][HALF:], t["predicted"][HALF:])["ua"] for t in (speech, text, both)]
    assert ua[2] > max(ua[:2]) + 0.05


def test_the_test_part_chooses_nothing(speech, text):
    found, weights = fused(speech, text)
    changed = text.copy()
    changed.loc[HALF + 7, PROBABILITIES] = [0.97, 0.01, 0.01, 0.01]
    then, same = fused(speech, changed)
    assert same == weights
    differs = (found[PROBABILITIES] != then[PROBABILITIES]).any(axis=1)
    assert list(found.index[differs]) == [HALF + 7]
    turned = [frame.copy() for frame in (speech, text)]
    for frame in turned:
        frame.loc[HALF:, "true"] = "sad"
    assert fused(*turned)[1] == weights


def test_a_perfect_validation_part_and_a_zero_probability_stay_finite(speech):
    sure = speech.copy()
    sure[PROBABILITIES] = np.eye(4)[pd.Index(CLASSES).get_indexer(sure["true"])]
    found, weights = fused(sure, sure)
    assert np.isfinite(found[PROBABILITIES].to_numpy()).all()
    assert all(0 < w <= calibration.HEAVIEST for w in weights)


def test_three_models_are_fused_as_two_are(speech, text):
    third = made_up(3, "another", 1.5, sharpness=2.0)
    found, weights = fused(speech, text, third)
    assert weights == pytest.approx((1, 1 / 4, 1 / 2), rel=0.25)
    logs = [
        calibration.log_probabilities(t[PROBABILITIES].to_numpy()) for t in (speech, text, third)
    ]
    wanted = np.exp(calibration.combined(logs, weights))
    np.testing.assert_allclose(found[PROBABILITIES], wanted, atol=1e-9)
    two, _ = fused(speech, text)
    ua = [accuracies(t["true"][HALF:], t["predicted"][HALF:])["ua"] for t in (two, found)]
    assert ua[1] > ua[0] + 0.02


SPEECH_AND_TEXT = [["speech"], ["text"]]


def perturbed_of(members, perturbed, weights, sees):
    """The table "perturbed" of the fusion of tables, of one seed each."""
    members, perturbed = ([[t] for t in tables] for tables in (members, perturbed))
    return fuse.fuse_perturbed(members, perturbed, weights, {"variant": "late-fusion"}, sees)


def disturbed(table, change, modality, seed=5):
    """A table "perturbed" of a model's test part, with predictions of its own."""
    test = table[table["part"] == "test"].drop(columns="part")
    p = np.random.default_rng(seed).dirichlet(np.ones(4), len(test))
    said = test.assign(predicted=np.array(CLASSES)[p.argmax(axis=1)])
    said[PROBABILITIES] = p
    return said.assign(change=change, modality=modality, share=1.0)


def run(tmp_path, *members, seed="1"):
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
    beside += ["--weights", tmp_path / "weights.tsv"]
    beside += ["--run", "s", "t", "frozen", "late-fusion", 1, seed]
    seen = [["speech"], ["text"], ["text"]][: len(members) // len(seed.split("+"))]
    config = json.dumps({"sees": seen})
    arguments = [*paths, out, *beside, "--config", config]
    arguments += ["--log", tmp_path / "log"]
    fuse.main(list(map(str, arguments)))
    return out


def test_without_a_modality_the_other_model_speaks_alone(speech, text):
    alone = [disturbed(speech, "random", "speech"), disturbed(text, "random", "text")]
    found = perturbed_of([speech, text], alone, (2.0, 1.0), SPEECH_AND_TEXT)
    assert set(found["change"]) == {"missing", "random"}
    assert set(found["variant"]) == {"late-fusion"}
    missing = found[found["change"] == "missing"]
    for modality, other in (("speech", text), ("text", speech)):
        rows = missing[missing["modality"] == modality].set_index("id")
        test = other[HALF:].set_index("id")
        assert rows["predicted"].equals(test["predicted"].loc[rows.index])
    of_text = missing[missing["modality"] == "speech"][PROBABILITIES].to_numpy()
    np.testing.assert_allclose(of_text, text[HALF:][PROBABILITIES], atol=1e-9)  # its weight: 1


def test_a_model_of_which_nothing_is_deleted_still_has_a_modality_to_miss(speech, text):
    heard = disturbed(text, "random", "text")
    then = [heard[:0], heard]
    found = perturbed_of([speech, text], then, (2.0, 1.0), SPEECH_AND_TEXT)
    missing = found[found["change"] == "missing"]
    for modality, other in (("speech", text), ("text", speech)):
        rows = missing[missing["modality"] == modality].set_index("id")
        assert rows["predicted"].equals(other[HALF:].set_index("id")["predicted"].loc[rows.index])


def test_recognised_words_change_the_text_model_alone(speech, text):
    heard = disturbed(text, "transcripts", "text")
    then = [disturbed(speech, "random", "speech"), heard]
    found = perturbed_of([speech, text], then, (2.0, 1.0), SPEECH_AND_TEXT)
    rows = found[found["change"] == "transcripts"][PROBABILITIES].to_numpy()
    logs = [np.log(t[PROBABILITIES].to_numpy()) for t in (speech[HALF:], heard)]
    np.testing.assert_allclose(rows, np.exp(calibration.combined(logs, (2.0, 1.0))), atol=1e-9)


def test_models_of_both_modalities_say_themselves_what_they_do_without_one(speech, text):
    then = [
        pd.concat([disturbed(t, "missing", m, seed) for m in ("speech", "text")])
        for seed, t in enumerate((speech, text))
    ]
    found = perturbed_of([speech, text], then, (1.0, 1.0), 2 * [MODALITIES])
    rows = found[found["modality"] == "text"][PROBABILITIES].to_numpy()
    logs = [np.log(t[t["modality"] == "text"][PROBABILITIES].to_numpy()) for t in then]
    np.testing.assert_allclose(rows, np.exp(calibration.combined(logs, (1.0, 1.0))), atol=1e-9)


def test_models_of_one_modality_lack_none_and_lose_the_same_rows(speech):
    other = made_up(4, "full", 1.5)
    then = [
        pd.concat([disturbed(t, c, "speech", seed) for c in ("random", "most-salient")])
        for seed, t in enumerate((speech, other))
    ]
    found = perturbed_of([speech, other], then, (1.0, 2.0), [["speech"], ["speech"]])
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
    found = perturbed_of([full, speech, text], then, (1.0, 2.0, 4.0), sees)
    for modality, other, weight in (("speech", text, 4.0), ("text", speech, 2.0)):
        rows = found[(found["change"] == "missing") & (found["modality"] == modality)]
        logs = [
            calibration.log_probabilities(t[PROBABILITIES].to_numpy())
            for t in (without[modality], other[HALF:])
        ]
        wanted = np.exp(calibration.combined(logs, (1.0, weight)))
        np.testing.assert_allclose(rows[PROBABILITIES], wanted, atol=1e-9)


def test_the_file_is_a_table_of_predictions_named_after_the_variant(tmp_path, speech, text):
    out = run(tmp_path, speech, text.sample(frac=1, random_state=0))
    written = tables.read(out, "predictions")
    assert list(written["id"]) == list(speech["id"])
    assert set(written["variant"]) == {"late-fusion"}
    assert set(written["fold"]) == {1} and set(written["seed"]) == {"1"}
    np.testing.assert_allclose(written[PROBABILITIES].sum(axis=1), 1, atol=1e-6)
    expected, _ = fused(speech, text)
    assert list(written["predicted"]) == list(expected["predicted"])
    assert "500 validation utterances" in (tmp_path / "log").read_text()
    table = tables.read(tmp_path / "weights.tsv", "weights")
    assert list(table["member"]) == ["s+t/frozen/speech-only", "s+t/frozen/text-only"]
    assert list(table["weight"]) == pytest.approx(fused(speech, text)[1])


def test_files_of_three_models_are_fused_and_a_third_that_does_not_match_is_named(
    tmp_path, caplog, speech, text
):
    third = made_up(3, "another", 1.5)
    written = tables.read(run(tmp_path, speech, text, third), "predictions")
    expected, _ = fused(speech, text, third)
    assert list(written["predicted"]) == list(expected["predicted"])
    assert "for s+t/frozen/speech-only" in (tmp_path / "log").read_text()
    assert "for s+t/frozen/another" in (tmp_path / "log").read_text()
    (tmp_path / "odd").mkdir()
    with pytest.raises(SystemExit):
        run(tmp_path / "odd", speech, text, third.assign(fold=2))
    assert "c.tsv: id 'u0000': fold is '2', expected '1' as in" in caplog.text


def test_models_of_another_experiment_are_fused_and_named(tmp_path, speech):
    other = made_up(4, "speech-only", 1.5).assign(speech="s2")
    run(tmp_path, speech, other)
    table = tables.read(tmp_path / "weights.tsv", "weights")
    assert list(table["member"]) == ["s+t/frozen/speech-only", "s2+t/frozen/speech-only"]
    assert set(tables.read(tmp_path / "out.tsv", "predictions")["speech"]) == {"s"}


def test_seeds_together_stand_member_by_member(tmp_path, caplog, speech, text):
    again = made_up(4, "speech-only", 1.5).assign(seed="2")
    written = tables.read(run(tmp_path, speech, again, seed="1+2"), "predictions")
    assert set(written["seed"]) == {"1+2"}
    table = tables.read(tmp_path / "weights.tsv", "weights")
    assert table[["models", "seed"]].values.tolist() == [[2, "1+2"]]
    (tmp_path / "odd").mkdir()
    with pytest.raises(SystemExit):
        run(tmp_path / "odd", speech, text, seed="1+2")
    assert "b.tsv: s+t/frozen/text-only with seed '1', expected s+t/frozen/speech-only" in (
        caplog.text
    )


def test_a_late_fusion_of_two_experiments_has_a_row_of_each(tmp_path, speech, text):
    """The table of weights over runs: of the same members, and of a variant of the same name."""
    members = [[speech], [text]]
    runs = [
        fuse.weight_table(members, (1.0, weight), {**RUN, "speech": encoder, "fold": fold})
        for encoder in ("s", "s2")
        for fold, weight in ((1, 0.0), (2, 0.5))
    ]
    for number, of_run in enumerate(runs):
        tables.write(tmp_path / f"{number}.tsv", of_run, "weights")
    told = ["--weights", *(tmp_path / f"{number}.tsv" for number in range(4))]
    told += ["--out", tmp_path / "weights.tsv", "--config", '{"selection": "the last"}']
    weights.main(list(map(str, told)))
    table = columns.read(tmp_path / "weights.tsv", "weights")
    assert set(table.selection) == {"the last"}
    assert table[["speech", "member", "weight", "left_out"]].values.tolist() == [
        [encoder, f"s+t/frozen/{member}", weight, left_out]
        for encoder in ("s", "s2")
        for member, weight, left_out in (("speech-only", 1, 0), ("text-only", 0.25, 0.5))
    ]


def test_seeds_together_say_of_another_corpus_what_their_own_weights_make_of_it(tmp_path):
    """Of a member of each of two experiments, with two seeds; there the classes are in no order."""
    models = [
        made_up(number, "full", 1.5, sharpness).assign(speech=speech, seed=seed)
        for speech, sharpness in (("s", 1.0), ("s2", 4.0))
        for number, seed in ((1, "1"), (2, "2"))
    ]
    own = [tmp_path / f"{number}.tsv" for number in range(4)]
    there = [path.with_suffix(".there.tsv") for path in own]
    for table, path, beside in zip(models, own, there, strict=True):
        tables.write(path, table, "predictions")
        tables.write(beside, table[HALF:].sample(frac=1, random_state=0), "predictions")
    args = Namespace(run=[*RUN.values(), "1+2"], predictions=own, members=there)
    p, classes = product.said(models[0][HALF:], args)
    expected, _ = fused(*models, seeds=2)
    np.testing.assert_allclose(p, expected[[f"p_{name}" for name in classes]][HALF:], atol=1e-6)


def test_one_model_alone_is_no_late_fusion(tmp_path, capsys, speech):
    with pytest.raises(SystemExit):
        run(tmp_path, speech)
    assert "expected the predictions of two models or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.drop(index=3), ["b.tsv", "'u0003' is missing"]),
        (lambda t: pd.concat([t, t[:1].assign(id="new")]), ["a.tsv", "'new' is missing"]),
        (lambda t: t.assign(seed="2"), ["b.tsv", "seed '2'", "text-only with seed '1'"]),
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
