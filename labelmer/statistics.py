"""How sure a metric is: bootstrap intervals, paired tests, and what could have been seen at all.

The metric of a variant is the mean over its seeds of the metric over all test utterances. Seeds are
never resampled and never counted as more utterances: what is drawn is a speaker, or an utterance,
and the predictions of every seed go with it. So everything is worked out from confusions per unit
that is drawn, (units, seeds, C, C), and a draw is one row of a matrix product. Draws start from one
fixed seed, so that all variants with the same units see the same ones, which pairs them.
"""

import numpy as np
from scipy.stats import binomtest, norm
from statsmodels.stats.multitest import multipletests

from labelmer.metrics import METRICS, scores_of_counts

DRAWS, SEED = 10_000, 1
LEVEL = 0.95  # of the intervals
ALPHA, POWER = 0.05, 0.8  # of the smallest difference that can be detected
BLOCK = 4_000_000  # numbers of one block of draws, to bound the memory


def counts_by_unit(true, predicted, units, classes):
    """Confusions (units, seeds, C, C) of every unit: rows are true classes.

    true: (N,) class indices; predicted: (seeds, N); units: (N,), from 0; classes: C.
    """
    number, seeds = int(units.max()) + 1, len(predicted)
    cells = ((units * seeds + np.arange(seeds)[:, None]) * classes + true) * classes + predicted
    counts = np.bincount(cells.ravel(), minlength=number * seeds * classes**2)
    return counts.reshape(number, seeds, classes, classes)


def by_speaker(true, predicted, speakers, classes):
    """The units of a bootstrap over speakers: their confusions, and 1 for each of them."""
    names, units = np.unique(speakers, return_inverse=True)
    return counts_by_unit(true, predicted, units, classes), np.ones(len(names), dtype=int)


def by_utterance(true, predicted, classes):
    """The units of a bootstrap over utterances: confusions (units, seeds, C, C), times (units,).

    Utterances with the same class and the same prediction of every seed are one unit, which is
    there as many times: their draws are multinomial, and there are far fewer of them.
    """
    kinds, times = np.unique(np.vstack([true, predicted]).T, axis=0, return_counts=True)
    counts = counts_by_unit(kinds[:, 0], kinds[:, 1:].T, np.arange(len(kinds)), classes)
    return counts, times


def resampled(counts, times, draws=DRAWS, seed=SEED):
    """METRICS of every draw, mean over seeds: a dict of arrays (draws,).

    counts: (units, seeds, C, C); times: (units,) how often each unit is there. A draw takes as many
    as there are, with replacement. All is nan where there is only one: nothing can vary.
    """
    total = times.sum()
    if total < 2:
        return {name: np.full(draws, np.nan) for name in METRICS}
    flat = counts.reshape(len(counts), -1).astype(float)
    blocks = [
        scores_of_counts((weights @ flat).reshape(-1, *counts.shape[1:]))
        for weights in drawn(times, max(flat.shape), draws, seed)
    ]
    return {name: np.concatenate([b[name].mean(axis=1) for b in blocks]) for name in METRICS}


def resampled_mean(values, speakers, draws=DRAWS, seed=SEED):
    """The mean of values, mean over seeds, in every draw of speakers: (draws,).

    values: (seeds, N); speakers: (N,). The draws are those of resampled over the same speakers.
    """
    names, units = np.unique(speakers, return_inverse=True)
    if len(names) < 2:
        return np.full(draws, np.nan)
    sums = np.bincount(units, values.mean(axis=0))
    sizes = np.bincount(units)
    times = np.ones(len(names), dtype=int)
    blocks = drawn(times, len(names), draws, seed)
    return np.concatenate([weights @ sums / (weights @ sizes) for weights in blocks])


def drawn(times, width, draws, seed):
    """Blocks of draws: how often each unit is in each, (block, units).

    times: (units,) how often it is there; width: numbers of a draw, to bound the memory.
    """
    generator = np.random.default_rng(seed)
    total = times.sum()
    step = max(1, BLOCK // width)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        yield generator.multinomial(total, times / total, size=size).astype(float)


def interval(values):
    """The percentile interval (low, high) of a bootstrap's values, at LEVEL."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def named_interval(prefix, values):
    """The interval of a bootstrap's values, as the columns {prefix}low and {prefix}high."""
    low, high = interval(values)
    return {f"{prefix}low": low, f"{prefix}high": high}


def paired(a, b):
    """What a bootstrap says of the difference a - b: a dict of low, high, p and detectable.

    a, b: (draws,) a metric of two variants on the same draws. p is two-sided: twice the smaller of
    the shares of draws on either side of zero, (1 + count) / (1 + draws) each, so it goes with the
    interval and is never 0. detectable: the smallest true difference that a two-sided test at ALPHA
    would have found with the chance POWER, (1.96 + 0.84) standard errors of the difference.
    """
    difference = np.round(a - b, 12)  # or rounding would tell equal values apart
    low, high = interval(difference)
    if np.isnan(low):
        return {"low": low, "high": high, "p": np.nan, "detectable": np.nan}
    tails = [(1 + np.sum(side)) / (1 + len(a)) for side in (difference <= 0, difference >= 0)]
    return {
        "low": low,
        "high": high,
        "p": float(min(1, 2 * min(tails))),
        "detectable": float((norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER)) * difference.std(ddof=1)),
    }


def named_difference(name, value, a, b):
    """A difference of two variants, with what paired(a, b) says of it: four columns."""
    found = paired(a, b)
    return {name: value} | {f"{name}_{key}": found[key] for key in ("low", "high", "p")}


def voted(predicted, p):
    """One prediction (N,) of all seeds: the class that most of them name.

    predicted: (seeds, N) class indices; p: (seeds, N, C). Among classes with as many votes, that
    with the greatest mean probability.
    """
    votes = (predicted[..., None] == np.arange(p.shape[2])).sum(axis=0)
    return (votes + p.mean(axis=0) / 2).argmax(axis=1)


def mcnemar(right_a, right_b):
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


def compared(a, b, right_a, right_b):
    """Both tests that two variants differ, by the names of their columns in the result tables.

    a, b: (draws,) their metric on the same draws; right_a, right_b: (N,) as for mcnemar.
    """
    of_draws = paired(a, b)
    only_a, only_b, p = mcnemar(right_a, right_b)
    return {
        "low": of_draws["low"],
        "high": of_draws["high"],
        "p_bootstrap": of_draws["p"],
        "right_alone": only_a,
        "other_right_alone": only_b,
        "p_mcnemar": p,
        "detectable": of_draws["detectable"],
    }


def holm(p):
    """p-values corrected for their number by Holm's method; nan stays and is not counted."""
    corrected = np.array(p, dtype=float)
    known = ~np.isnan(corrected)
    if known.any():
        corrected[known] = multipletests(corrected[known], method="holm")[1]
    return corrected


def with_holm(table):
    """A frame whose rows hold compared(), with the p-values of each test corrected together."""
    tests = ("p_bootstrap", "p_mcnemar")
    return table.assign(**{f"{test}_holm": holm(table[test]) for test in tests})
