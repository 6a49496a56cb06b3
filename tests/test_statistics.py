"""Intervals and tests against cases with known answers: by hand, binomial, from textbooks."""

import numpy as np
import pytest
from scipy import stats

from labelmer import metrics, statistics

pytestmark = pytest.mark.filterwarnings("error")


def case(seed=0, speakers=8, each=40, seeds=2, classes=4, spread=0.0):
    """True classes (N,), predictions (seeds, N) and speakers (N,) who differ in accuracy."""
    draw = np.random.default_rng(seed)
    n = speakers * each
    true, wrong = draw.integers(classes, size=n), draw.integers(classes, size=(seeds, n))
    speaker = np.repeat(np.arange(speakers), each)
    easy = 0.5 + spread * np.linspace(-1, 1, speakers)[speaker]
    return true, np.where(draw.random((seeds, n)) < easy, true, wrong), speaker


def ua_of_speakers(true, predicted, speaker, classes=4):
    return statistics.resampled(*statistics.by_speaker(true, predicted, speaker, classes))["ua"]


def width(values):
    low, high = statistics.interval(values)
    return high - low


@pytest.mark.parametrize("classes", [4, 6])  # of which two have no utterance
def test_scores_of_counts_are_the_scores(classes):
    names = list("abcdef")[:classes]
    for seed in range(5):
        true, predicted, _ = case(seed)
        counts = np.stack([metrics.confusion(true, p, range(classes)) for p in predicted])
        found = metrics.scores_of_counts(counts)
        for i, of_seed in enumerate(predicted):
            texts = np.array(names)[true], np.array(names)[of_seed]
            expected = metrics.scores(*texts, names)
            assert {name: found[name][i] for name in expected} == pytest.approx(expected)


def test_counts_of_units_add_up_to_the_confusion_of_each_seed():
    true, predicted, speaker = case()
    whole = np.stack([metrics.confusion(true, p, range(4)) for p in predicted])
    of_speakers, ones = statistics.by_speaker(true, predicted, speaker, 4)
    assert (of_speakers.sum(axis=0) == whole).all() and list(ones) == [1] * 8
    assert (
        of_speakers[3, 1] == metrics.confusion(true[120:160], predicted[1, 120:160], range(4))
    ).all()
    kinds, times = statistics.by_utterance(true, predicted, 4)
    assert (np.tensordot(times, kinds, axes=1) == whole).all() and times.sum() == len(true)


def test_a_speaker_is_never_split():
    # One speaker is all right and one all wrong: a draw has none, one or two of the first.
    true, predicted = np.zeros(20, dtype=int), np.repeat([[0, 1]], 10, axis=1)
    units = statistics.by_speaker(true, predicted, np.repeat(["a", "b"], 10), 2)
    values, counts = np.unique(statistics.resampled(*units)["wa"], return_counts=True)
    assert list(values) == [0, 0.5, 1]
    np.testing.assert_allclose(counts / statistics.DRAWS, [0.25, 0.5, 0.25], atol=0.02)


def test_resampled_utterances_are_binomial():
    true, predicted = (
        np.zeros(100, dtype=int),
        np.repeat([[0] * 7 + [1] * 3], 10, axis=0).reshape(1, 100),
    )
    drawn = statistics.resampled(*statistics.by_utterance(true, predicted, 2))["wa"]
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.7) / 100
    assert statistics.interval(drawn) == pytest.approx(tuple(expected), abs=0.0101)
    assert drawn.std() == pytest.approx((0.7 * 0.3 / 100) ** 0.5, rel=0.03)


def test_a_mean_is_drawn_as_the_metrics_are():
    true, predicted, speaker = case(spread=0.3)
    of_speakers = statistics.by_speaker(true, predicted, speaker, 4)
    drawn = statistics.resampled_mean(predicted == true, speaker)
    np.testing.assert_allclose(drawn, statistics.resampled(*of_speakers)["wa"])
    assert np.isnan(statistics.resampled_mean(predicted == true, np.zeros_like(speaker))).all()


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_a_seed_given_twice_changes_no_interval(metric):
    true, predicted, speaker = case(seeds=1)
    for make in (
        lambda p: statistics.by_speaker(true, p, speaker, 4),
        lambda p: statistics.by_utterance(true, p, 4),
    ):
        once, thrice = (make(p) for p in (predicted, np.repeat(predicted, 3, axis=0)))
        a, b = (statistics.resampled(*units)[metric] for units in (once, thrice))
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_speakers_that_differ_make_the_interval_of_speakers_wider():
    true, predicted, speaker = case(spread=0.4)
    of_utterances = statistics.resampled(*statistics.by_utterance(true, predicted, 4))["ua"]
    assert width(ua_of_speakers(true, predicted, speaker)) > 2 * width(of_utterances)
    true, predicted, speaker = case(speakers=320, each=1)  # a speaker to an utterance
    of_utterances = statistics.resampled(*statistics.by_utterance(true, predicted, 4))["ua"]
    ratio = width(ua_of_speakers(true, predicted, speaker)) / width(of_utterances)
    assert ratio == pytest.approx(1, abs=0.05)


def test_blocks_of_draws_change_nothing(monkeypatch):
    units = statistics.by_utterance(*case()[:2], 4)
    whole = statistics.resampled(*units)["ua"]
    monkeypatch.setattr(statistics, "BLOCK", 50_000)
    np.testing.assert_array_equal(statistics.resampled(*units)["ua"], whole)


def test_one_speaker_has_no_interval_and_no_test():
    true, predicted, speaker = case(speakers=1)
    drawn = ua_of_speakers(true, predicted, speaker)
    assert np.isnan(statistics.interval(drawn)).all()
    assert np.isnan(list(statistics.paired(drawn, drawn).values())).all()


def test_classes_that_are_not_there_are_left_out_of_every_draw():
    # Class 1 is spoken by one of two speakers: a draw without her has class 0 alone.
    true, predicted = np.array([0, 0, 1, 1]), np.array([[0, 0, 1, 0]])
    drawn = ua_of_speakers(true, predicted, np.array(["a", "a", "b", "b"]), classes=5)
    assert set(drawn) == {1, 0.75, 0.5}


def test_the_same_predictions_do_not_differ():
    drawn = ua_of_speakers(*case())
    found = statistics.paired(drawn, drawn.copy())
    assert found == {"low": 0, "high": 0, "p": 1, "detectable": 0}


def test_a_clear_difference_is_seen():
    true, predicted, speaker = case(speakers=20)
    better = np.where(np.random.default_rng(3).random(predicted.shape) < 0.3, true, predicted)
    found = statistics.paired(*(ua_of_speakers(true, p, speaker) for p in (better, predicted)))
    assert found["p"] == pytest.approx(2 / (statistics.DRAWS + 1)) and found["low"] > 0


def test_two_as_good_as_each_other_do_not_differ():
    true, predicted, speaker = case(speakers=20)  # two seeds of the same accuracy
    found = statistics.paired(*(ua_of_speakers(true, p[None], speaker) for p in predicted))
    assert found["p"] > 0.05 and found["low"] < 0 < found["high"]


def test_pairing_removes_what_speakers_share():
    true, predicted, speaker = case(spread=0.45, speakers=10)
    other = predicted.copy()
    other[:, ::50] = true[::50]  # a little better, everywhere
    a, b = (ua_of_speakers(true, p, speaker) for p in (other, predicted))
    assert width(a - b) < width(a) / 3


def test_the_detectable_difference_is_that_of_a_power_calculation():
    draws = np.random.default_rng(0).normal(0.03, 0.01, size=10_000)
    found = statistics.paired(draws, np.zeros(10_000))
    assert found["detectable"] == pytest.approx(0.028, rel=0.03)  # (1.96 + 0.84) standard errors
    assert (found["low"], found["high"]) == pytest.approx((0.0104, 0.0496), abs=0.001)
    # With a true difference of that size 4 of 5 experiments come out beyond 1.96 standard errors.
    assert stats.norm.sf(1.96 - found["detectable"] / 0.01) == pytest.approx(0.8, abs=0.04)


def test_mcnemar_by_hand():
    right_a = np.array([1] * 8 + [0] * 2 + [1] * 20 + [0] * 5, dtype=bool)
    right_b = np.array([0] * 8 + [1] * 2 + [1] * 20 + [0] * 5, dtype=bool)
    # 2 (1 + 10 + 45) / 1024: as few as 2 heads, or as many as 8, in 10 throws
    assert statistics.mcnemar(right_a, right_b) == (8, 2, pytest.approx(0.109375))
    assert statistics.mcnemar(right_b, right_a) == (2, 8, pytest.approx(0.109375))
    assert statistics.mcnemar(right_a, right_a) == (0, 0, 1)


def test_mcnemar_of_many_is_near_the_chi_square_of_the_textbook():
    # Agresti's approval ratings: 150 and 86 changed their minds, z = 4.17.
    right_a = np.arange(1600) < 794 + 150
    right_b = (np.arange(1600) < 794) | (np.arange(1600) >= 1600 - 86)
    *alone, p = statistics.mcnemar(right_a, right_b)
    assert alone == [150, 86]
    assert p == pytest.approx(2 * stats.norm.sf(4.17), rel=0.25)


def test_seeds_vote_and_the_mean_probability_breaks_a_tie():
    predicted = np.array([[0, 0, 2], [1, 0, 1], [1, 2, 0]])
    p = np.full((3, 3, 3), 1 / 3)
    p[:, 2] = [[0.1, 0.2, 0.7], [0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]  # means 0.23, 0.33, 0.43
    assert list(statistics.voted(predicted, p)) == [1, 0, 2]
    # Two votes outweigh any probability.
    sure = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])
    assert list(statistics.voted(np.array([[0], [0], [1]]), sure)) == [0]


def test_holm_of_the_textbook():
    found = statistics.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(statistics.holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    assert list(statistics.holm([])) == []
