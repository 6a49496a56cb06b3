"""Intervals and tests against cases with known answers: by hand, binomial, from textbooks."""

import numpy as np
import pytest
from scipy import stats

from labelmer.scores import confusion, intervals, metrics

pytestmark = pytest.mark.filterwarnings("error")


def case(seed=0, speakers=8, each=40, seeds=2, classes=4, spread=0.0):
    """True classes (N,), predictions (seeds, N) and speakers (N,) who differ in accuracy."""
    draw = np.random.default_rng(seed)
    n = speakers * each
    true, wrong = draw.integers(classes, size=n), draw.integers(classes, size=(seeds, n))
    speaker = np.repeat(np.arange(speakers), each)
    easy = 0.5 + spread * np.linspace(-1, 1, speakers)[speaker]
    return true, np.where(draw.random((seeds, n)) < easy, true, wrong), speaker


def over_speakers(true, predicted, speaker, classes=4):
    return intervals.over_speakers(true, predicted, speaker, classes)


def width(estimate):
    low, high = intervals.interval(estimate)
    return high - low


@pytest.mark.parametrize("classes", [4, 6])  # of which two have no utterance
def test_metrics_of_many_confusions_are_the_scores(classes):
    names = list("abcdef")[:classes]
    for seed in range(5):
        true, predicted, _ = case(seed)
        counts = intervals.confusions(true, predicted, np.zeros_like(true), classes)[0]
        found = {name: of_counts(counts) for name, of_counts in metrics.METRICS.items()}
        for i, of_seed in enumerate(predicted):
            texts = np.array(names)[true], np.array(names)[of_seed]
            expected = metrics.scores(*texts, names)
            assert {name: found[name][i] for name in expected} == pytest.approx(expected)


def test_confusions_are_of_each_speaker_and_seed():
    true, predicted, speaker = case()
    found = intervals.confusions(true, predicted, speaker, 4)[3, 1]
    expected = confusion.confusion(true[120:160], predicted[1, 120:160], range(4))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("speakers", [8, 320])
def test_an_estimate_is_what_the_metric_is_without_each_speaker_or_utterance(metric, speakers):
    true, predicted, speaker = case(speakers=speakers, each=320 // speakers)
    found = over_speakers(true, predicted, speaker)[metric]

    def without(left_out):
        kept = speaker != left_out
        of_seeds = [metrics.scores(true[kept], p[kept], range(4))[metric] for p in predicted]
        return np.mean(of_seeds)

    assert found.value == pytest.approx(without(None))
    places = [0, 3, speakers - 1]
    np.testing.assert_allclose(found.without[places], [without(place) for place in places])
    if speakers == len(true):  # an utterance to each
        of_utterances = intervals.over_utterances(true, predicted, 4)[metric]
        np.testing.assert_allclose(of_utterances.without, found.without)
        assert of_utterances.value == pytest.approx(found.value)


def test_the_error_of_a_mean_is_that_of_the_textbook():
    draw = np.random.default_rng(0)
    values, speakers = draw.random((3, 12)), np.arange(12)
    found = intervals.mean_over_speakers(values, speakers)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(stats.sem(values.mean(axis=0)))


def test_the_test_of_a_mean_is_the_paired_t_test():
    a, b = np.random.default_rng(0).random((2, 1, 9))
    speakers = np.arange(9)
    found = intervals.tested(
        intervals.mean_over_speakers(a, speakers) - intervals.mean_over_speakers(b, speakers)
    )
    expected = stats.ttest_rel(a[0], b[0])
    assert found["p"] == pytest.approx(expected.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected.confidence_interval()))


def test_a_mean_is_estimated_as_the_metrics_are():
    true, predicted, speaker = case(spread=0.3)
    found = intervals.mean_over_speakers(predicted == true, speaker)
    expected = over_speakers(true, predicted, speaker)["wa"]
    assert (found.value, found.error) == pytest.approx((expected.value, expected.error))


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_a_seed_given_twice_changes_no_interval(metric):
    true, predicted, speaker = case(seeds=1)
    thrice = np.repeat(predicted, 3, axis=0)
    for once, again in (
        (over_speakers(true, p, speaker)[metric] for p in (predicted, thrice)),
        (intervals.over_utterances(true, p, 4)[metric] for p in (predicted, thrice)),
    ):
        assert intervals.interval(once) == pytest.approx(intervals.interval(again))


def test_speakers_that_differ_make_the_interval_of_speakers_wider():
    true, predicted, speaker = case(spread=0.4)
    of_utterances = intervals.over_utterances(true, predicted, 4)["ua"]
    assert width(over_speakers(true, predicted, speaker)["ua"]) > 2 * width(of_utterances)


def test_the_interval_of_utterances_is_that_of_a_share():
    true, predicted = np.zeros(100, dtype=int), np.repeat([[0] * 7 + [1] * 3], 10, axis=0)
    found = intervals.over_utterances(true, predicted.reshape(1, 100), 2)["wa"]
    wilson = stats.binomtest(70, 100).proportion_ci(method="wilson")
    assert intervals.interval(found) == pytest.approx(tuple(wilson), abs=0.003)


def test_no_more_trials_are_counted_than_there_are():
    alike = intervals.Estimate(0.5, np.array([0.5001, 0.4999] * 5), trials=30)
    square = alike.quantile**2
    half = np.sqrt(square * (0.25 * 30 + square / 4)) / (30 + square)
    assert intervals.interval(alike) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize("right", [0, 1, 59, 60])
def test_intervals_near_the_bounds_stay_within_and_are_not_certain(right):
    true = np.zeros(60, dtype=int)
    predicted = (np.arange(60) >= right).astype(int)[None]
    for found in (
        over_speakers(true, predicted, np.repeat(range(6), 10), 2)["wa"],
        intervals.over_utterances(true, predicted, 2)["wa"],
    ):
        low, high = intervals.interval(found)
        assert 0 <= low <= right / 60 <= high <= 1 and high - low > 0.04


def test_one_speaker_has_no_interval_and_no_test():
    true, predicted, speaker = case(speakers=1)
    found = over_speakers(true, predicted, speaker)["ua"]
    assert np.isnan(intervals.interval(found)).all()
    assert np.isnan(list(intervals.tested(found - found).values())).all()
    mean = intervals.mean_over_speakers(predicted == true, speaker)
    assert np.isnan(intervals.interval(mean)).all()


def test_classes_that_are_not_there_are_left_out_of_every_mean():
    # Class 1 is spoken by one of two speakers: without her there is class 0 alone.
    true, predicted = np.array([0, 0, 1, 1]), np.array([[0, 0, 1, 0]])
    found = over_speakers(true, predicted, np.array(["a", "a", "b", "b"]), classes=5)["ua"]
    assert (found.value, *found.without) == (0.75, 0.5, 1)


def test_the_same_predictions_do_not_differ_and_nothing_is_said_of_other_speakers():
    found = over_speakers(*case())["ua"]
    said = intervals.tested(found - found)
    assert said.pop("p") == 1
    assert np.isnan(list(said.values())).all()


@pytest.mark.parametrize("speakers", [2, 5])
def test_speakers_with_the_same_difference_make_nothing_certain(speakers):
    """The same five of each one's 20 clips are right with the one variant alone."""
    true = np.zeros(20 * speakers, dtype=int)
    predicted = np.tile([[0] * 20, [1] * 5 + [0] * 15], speakers)
    speaker = np.repeat(range(speakers), 20)
    a, b = (over_speakers(true, p[None], speaker, 2)["ua"] for p in predicted)
    assert (a - b).value == pytest.approx(0.25)
    assert np.isnan(list(intervals.tested(a - b).values())).all()


def test_p_has_no_floor():
    true, predicted, speaker = case(speakers=30, seeds=1)
    better = np.where(np.random.default_rng(3).random(predicted.shape) < 0.6, true, predicted)
    a, b = (over_speakers(true, p, speaker)["ua"] for p in (better, predicted))
    said = intervals.tested(a - b)
    assert said["p"] < 1e-9 and said["low"] > 0
    assert intervals.holm([said["p"]] * 1000)[0] < 1e-6


def test_two_as_good_as_each_other_do_not_differ():
    true, predicted, speaker = case(speakers=20)  # two seeds of the same accuracy
    a, b = (over_speakers(true, p[None], speaker)["ua"] for p in predicted)
    said = intervals.tested(a - b)
    assert said["p"] > 0.05 and said["low"] < 0 < said["high"]


@pytest.mark.parametrize("speakers", [5, 10, 30])
def test_false_alarms_are_as_frequent_as_they_should_be(speakers):
    draw, alarms, trials = np.random.default_rng(speakers), 0, 2500
    for _ in range(trials):
        true = draw.integers(3, size=(1, 20 * speakers))
        suits = draw.normal(0, 0.05, speakers).repeat(20)
        right = draw.random((2, true.size)) < 0.7 + np.outer([1, -1], suits)
        said = np.where(right, true, (true + 1) % 3)
        speaker = np.repeat(np.arange(speakers), 20)
        a, b = (over_speakers(true[0], p[None], speaker, 3)["ua"] for p in said)
        alarms += intervals.tested(a - b)["p"] < 0.05
    assert 0.04 <= alarms / trials <= 0.065


def test_differences_stay_within_their_bounds():
    true, predicted = np.zeros(4, dtype=int), np.array([[0, 0, 0, 0], [1, 1, 1, 0]])
    a, b = (over_speakers(true, p[None], np.array([1, 1, 2, 2]), 2)["wa"] for p in predicted)
    said = intervals.tested(a - b)
    assert (said["low"], said["high"]) == (-1, 1) and said["p"] > 0.05


def test_pairing_removes_what_speakers_share():
    true, predicted, speaker = case(spread=0.45, speakers=10)
    other = predicted.copy()
    other[:, ::50] = true[::50]  # a little better, everywhere
    a, b = (over_speakers(true, p, speaker)["ua"] for p in (other, predicted))
    said = intervals.tested(a - b)
    assert said["high"] - said["low"] < width(a) / 3


@pytest.mark.parametrize("speakers", [2, 5, 10, 30])
def test_the_detectable_difference_is_found_with_the_power_that_it_names(speakers):
    away = np.linspace(-1, 1, speakers)
    estimate = intervals.Estimate(0.03, 0.03 + 0.002 * away)
    said = intervals.tested(estimate)
    effect, freedom = said["detectable"] / estimate.error, speakers - 1
    beyond = stats.t.ppf(0.975, freedom)
    power = stats.nct.sf(beyond, freedom, effect) + stats.nct.cdf(-beyond, freedom, effect)
    assert power == pytest.approx(0.8, abs=1e-3)


def test_mcnemar_by_hand():
    right_a = np.array([1] * 8 + [0] * 2 + [1] * 20 + [0] * 5, dtype=bool)
    right_b = np.array([0] * 8 + [1] * 2 + [1] * 20 + [0] * 5, dtype=bool)
    # 2 (1 + 10 + 45) / 1024: as few as 2 heads, or as many as 8, in 10 throws
    assert intervals.mcnemar(right_a, right_b) == (8, 2, pytest.approx(0.109375))
    assert intervals.mcnemar(right_b, right_a) == (2, 8, pytest.approx(0.109375))
    assert intervals.mcnemar(right_a, right_a) == (0, 0, 1)


def test_votes_are_not_tested_against_a_single_prediction():
    right, same = np.array([True, True, False]), intervals.Estimate(0.5, np.array([0.4, 0.6]))
    found = intervals.compared(same, same, right, ~right, alike=False)
    assert np.isnan([found[k] for k in ("right_alone", "other_right_alone", "p_mcnemar")]).all()
    assert found["p_jackknife"] == 1
    assert intervals.compared(same, same, right, ~right, alike=True)["right_alone"] == 2


def test_mcnemar_of_many_is_near_the_chi_square_of_the_textbook():
    # Agresti's approval ratings: 150 and 86 changed their minds, z = 4.17.
    right_a = np.arange(1600) < 794 + 150
    right_b = (np.arange(1600) < 794) | (np.arange(1600) >= 1600 - 86)
    *alone, p = intervals.mcnemar(right_a, right_b)
    assert alone == [150, 86]
    assert p == pytest.approx(2 * stats.norm.sf(4.17), rel=0.25)


def test_seeds_vote_and_the_mean_probability_breaks_a_tie():
    predicted = np.array([[0, 0, 2], [1, 0, 1], [1, 2, 0]])
    p = np.full((3, 3, 3), 1 / 3)
    p[:, 2] = [[0.1, 0.2, 0.7], [0.1, 0.6, 0.3], [0.5, 0.2, 0.3]]  # means 0.23, 0.33, 0.43
    assert list(intervals.voted(predicted, p)) == [1, 0, 2]
    # Two votes outweigh any probability.
    sure = np.array([[[0.51, 0.49]], [[0.51, 0.49]], [[0.0, 1.0]]])
    assert list(intervals.voted(np.array([[0], [0], [1]]), sure)) == [0]


def test_holm_of_the_textbook():
    found = intervals.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(intervals.holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(intervals.holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    assert list(intervals.holm([])) == []
