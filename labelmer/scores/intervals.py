"""How sure a metric is: jackknife intervals, paired tests, and what could have been seen at all.

The metric of a variant is the mean over its seeds of the metric over all test utterances. Seeds are
never counted as more utterances: what is left out is a speaker, or an utterance, and the
predictions of every seed go with it. The jackknife (Efron and Tibshirani, "An introduction to the
bootstrap", 1993, chapter 11) takes a number's standard error from what it would be without each of
them in turn. Student's t, with a degree of freedom less than there are of them, makes intervals and
p of it. This p has no floor, as that of a bootstrap has, and bench/intervals.py measures that it
raises false alarms as often as it should.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import binomtest, t
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from labelmer.scores.metrics import METRICS, Metric

LEVEL = 0.95  # of the intervals
ALPHA, POWER = 0.05, 0.8  # of the smallest difference that can be detected


@dataclass(frozen=True)
class Estimate:
    """A number, and what it would be without each of its units: speakers, or utterances."""

    value: float
    without: np.ndarray  # (units,); nan of a single unit, without which there is nothing
    trials: float = np.inf  # of an accuracy: the utterances, each right or wrong

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference of two estimates with the same units."""
        return Estimate(self.value - other.value, self.without - other.without)

    @property
    def error(self) -> float:
        """The standard error by the jackknife; nan of a single unit."""
        units = len(self.without)
        away = np.round(self.without - self.without.mean(), 12)  # or equal ones would differ
        return float(np.sqrt((units - 1) / units * np.sum(away**2)))

    @property
    def quantile(self) -> float:
        """Student's t, beyond which lies half of what LEVEL leaves."""
        return float(t.ppf((1 + LEVEL) / 2, len(self.without) - 1))


def confusions(
    true: np.ndarray, predicted: np.ndarray, units: np.ndarray, classes: int
) -> np.ndarray:
    """The confusion matrix of each unit and seed: counts (units, seeds, C, C), rows true classes.

    true: (N,) class indices; predicted: (seeds, N); units: (N,), from 0; classes: C.
    """
    seeds, number = len(predicted), int(units.max()) + 1
    places = (units * seeds + np.arange(seeds)[:, None]) * classes + true  # (seeds, N)
    cells = places * classes + predicted
    counts = np.bincount(cells.ravel(), minlength=number * seeds * classes**2)
    return counts.reshape(number, seeds, classes, classes)


def over_speakers(
    true: np.ndarray,
    predicted: np.ndarray,
    speakers: np.ndarray,
    classes: int,
    metrics: Mapping[str, Metric] = METRICS,
) -> dict[str, Estimate]:
    """{metric: Estimate} of the metrics; their units are speakers.

    true: (N,) class indices; predicted: (seeds, N); speakers: (N,); classes: C; metrics: {name:
    Metric}.
    """
    names, units = np.unique(speakers, return_inverse=True)
    of_units = confusions(true, predicted, units, classes)
    whole = of_units.sum(axis=0)  # (seeds, C, C)
    found = {}
    for name, of_counts in metrics.items():
        without = np.full((1, 1), np.nan)
        if len(names) > 1:
            without = of_counts(whole - of_units)  # (units, seeds)
        found[name] = Estimate(float(of_counts(whole).mean()), without.mean(axis=1), len(true))
    return found


def over_utterances(true: np.ndarray, predicted: np.ndarray, classes: int) -> dict[str, Estimate]:
    """{metric: Estimate} of the METRICS; their units are utterances. See over_speakers."""
    if len(true) < 2:
        return over_speakers(true, predicted, np.zeros_like(true), classes)
    whole = confusions(true, predicted, np.zeros_like(true), classes)[0]  # (seeds, C, C)
    without = [
        without_each(counts, true * classes + said)
        for counts, said in zip(whole, predicted, strict=True)
    ]
    return {
        name: Estimate(
            float(of_counts(whole).mean()), np.mean([w[name] for w in without], axis=0), len(true)
        )
        for name, of_counts in METRICS.items()
    }


def without_each(counts: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
    """{metric: (N,)}: what the METRICS would be without each of N utterances.

    counts: (C, C) of all of them; cells: (N,) the cell of each, counted through row by row. What is
    left depends on the cell alone.
    """
    known, mine = np.unique(cells, return_inverse=True)
    alone = (known[:, None] == np.arange(counts.size)).reshape(-1, *counts.shape)
    return {name: of_counts(counts - alone)[mine] for name, of_counts in METRICS.items()}


def mean_over_speakers(values: np.ndarray, speakers: np.ndarray) -> Estimate:
    """An Estimate of the mean of values between 0 and 1, mean over seeds; its units are speakers.

    values: (seeds, N); speakers: (N,).
    """
    names, units = np.unique(speakers, return_inverse=True)
    sums, sizes = np.bincount(units, values.mean(axis=0)), np.bincount(units)
    without = np.full(1, np.nan)
    if len(names) > 1:
        without = (sums.sum() - sums) / (sizes.sum() - sizes)
    return Estimate(float(values.mean()), without)


def ratio_over_speakers(above: np.ndarray, below: np.ndarray, speakers: np.ndarray) -> Estimate:
    """An Estimate of the sum of some numbers divided by that of others; its units are speakers.

    above, below: (N,), from 0; speakers: (N,).
    """
    names, units = np.unique(speakers, return_inverse=True)
    sums, sizes = np.bincount(units, above), np.bincount(units, below)
    without = np.full(len(names), np.nan)
    left = sizes.sum() - sizes
    np.divide(sums.sum() - sums, left, out=without, where=left > 0)
    return Estimate(float(sums.sum() / sizes.sum()), without)


def interval_of_ratio(estimate: Estimate) -> tuple[float, float]:
    """The interval (low, high) at LEVEL of a number that is not below 0; nan of a single unit."""
    reach = estimate.quantile * estimate.error
    return max(0.0, estimate.value - reach) if reach >= 0 else np.nan, estimate.value + reach


def interval(estimate: Estimate) -> tuple[float, float]:
    """The interval (low, high) at LEVEL of a number between 0 and 1, and within these bounds.

    Wilson's interval, with Student's t, of the share in as many independent trials as have the
    estimate's standard error, but not more than there are (Korn and Graubard, "Confidence intervals
    for proportions with small expected number of positive counts estimated from survey data",
    Survey Methodology 24, 1998). nan of a single unit, and of a mean that all units share.
    """
    value, error, trials = estimate.value, estimate.error, estimate.trials
    variance = max(0.0, value * (1 - value))  # of one trial
    if error > 0:
        trials = min(trials, variance / error**2)
    if np.isnan(error) or np.isinf(trials):
        return np.nan, np.nan
    square = estimate.quantile**2
    middle = (value * trials + square / 2) / (trials + square)
    half = np.sqrt(square * (variance * trials + square / 4)) / (trials + square)
    return float(middle - half), float(middle + half)


def named_interval(prefix: str, estimate: Estimate) -> dict[str, float]:
    """The interval of an estimate, as the columns {prefix}low and {prefix}high."""
    low, high = interval(estimate)
    return {f"{prefix}low": low, f"{prefix}high": high}


def tested(difference: Estimate) -> dict[str, float]:
    """What is said of a difference, an Estimate: a dict of low, high, p and detectable.

    low, high: the interval at LEVEL, within -1 and 1. p: two-sided, of Student's t. detectable: the
    smallest true difference that this test at ALPHA would have found with the chance POWER, were
    the standard error the true one. All are nan of a single unit, and where every unit has the same
    difference, since then nothing tells how it varies; but p is 1 where there is no difference.
    """
    error, value = difference.error, round(difference.value, 12)
    if not error > 0:
        p = 1.0 if error == 0 and value == 0 else np.nan
        return {"low": np.nan, "high": np.nan, "p": p, "detectable": np.nan}
    units, reach = len(difference.without), difference.quantile * error
    return {
        "low": max(-1.0, difference.value - reach),
        "high": min(1.0, difference.value + reach),
        "p": float(2 * t.sf(abs(value) / error, units - 1)),
        "detectable": errors_detected(units) * error,
    }


@cache
def errors_detected(units: int) -> float:
    """The smallest true difference, in standard errors, that Student's t finds with POWER."""
    deviations = TTestPower().solve_power(nobs=units, alpha=ALPHA, power=POWER)
    return float(deviations * np.sqrt(units))


def named_difference(name: str, difference: Estimate) -> dict[str, float]:
    """A difference, an Estimate, with what is said of it: four columns."""
    found = tested(difference)
    return {name: difference.value} | {f"{name}_{k}": found[k] for k in ("low", "high", "p")}


def voted(predicted: np.ndarray, p: np.ndarray) -> np.ndarray:
    """One prediction (N,) of all seeds: the class that most of them name.

    predicted: (seeds, N) class indices; p: (seeds, N, C). Among classes with as many votes, that
    with the greatest mean probability.
    """
    votes = (predicted[..., None] == np.arange(p.shape[2])).sum(axis=0)
    return (votes + p.mean(axis=0) / 2).argmax(axis=1)


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> tuple[int, int, float]:
    """McNemar's exact test that two variants are right equally often: (only a, only b, p).

    right_a, right_b: (N,) is the variant right on this utterance? One prediction to an utterance:
    seeds are to be put together before (voted), or each would count as an utterance of its own. p
    is the two-sided binomial one of the utterances on which just one of the two is right; 1 where
    there are none. It takes utterances to be independent, also those of one speaker.
    """
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    if only_a + only_b == 0:
        return 0, 0, 1.0
    return only_a, only_b, float(binomtest(only_a, only_a + only_b).pvalue)


def compared(
    a: Estimate, b: Estimate, right_a: np.ndarray, right_b: np.ndarray, alike: bool
) -> dict[str, float]:
    """Both tests that two variants differ, by the names of their columns in the result tables.

    a, b: Estimates of their metric with the same units; right_a, right_b: (N,) as for mcnemar.
    alike: do as many seeds vote in both? A vote is better than its voters, as an ensemble is, so
    McNemar's test of several against one would tell votes from none: it is left out, all nan.
    """
    found = tested(a - b)
    only_a, only_b, p = mcnemar(right_a, right_b) if alike else 3 * (np.nan,)
    return {
        "low": found["low"],
        "high": found["high"],
        "p_jackknife": found["p"],
        "right_alone": only_a,
        "other_right_alone": only_b,
        "p_mcnemar": p,
        "detectable": found["detectable"],
    }


def holm(p: Sequence[float]) -> np.ndarray:
    """p-values corrected for their number by Holm's method; nan stays and is not counted."""
    corrected = np.array(p, dtype=float)
    known = ~np.isnan(corrected)
    if known.any():
        corrected[known] = multipletests(corrected[known], method="holm")[1]
    return corrected


def with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """A frame whose rows hold compared(), with the p-values of each test corrected together."""
    tests = ("p_jackknife", "p_mcnemar")
    return table.assign(**{f"{test}_holm": holm(table[test]) for test in tests})
