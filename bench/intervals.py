"""False alarms of tests that two variants differ, and their power, on made-up predictions.

Two variants of 70% accuracy on utterances of four classes. `spread` is the standard deviation over
speakers of the difference in accuracy: which variant suits a speaker. In the uneven designs some
speakers have four times the utterances of others, and each his own frequencies of the classes.
Each row has 1,000 experiments: the share below p = 0.05 without a true difference, where 5% should
be, then the mean difference called detectable, and the share below p = 0.05 where the true
difference is that large, where 80% should be.

    jackknife     labelmer's own: a jackknife over speakers, with Student's t
    percentile    a bootstrap over speakers, by the share of its draws on either side of zero
    bootstrap-t   the same, by the draws' distances from the difference in standard errors
    McNemar       exact, takes utterances to be independent

    python bench/intervals.py [--tiny]
"""

import argparse

import numpy as np

from labelmer.scores import confusion, intervals
from labelmer.scores.metrics.accuracies import ua

CLASSES, ACCURACY, DRAWS = 4, 0.7, 999
TESTS = ("jackknife", "percentile", "bootstrap-t", "McNemar")
DESIGNS = (  # speakers, utterances, spread, uneven
    (3, 600, 0.03, False),
    (5, 100, 0.0, False),
    (5, 2000, 0.03, False),
    (5, 2000, 0.03, True),
    (10, 2000, 0.0, False),
    (10, 2000, 0.03, False),
    (10, 2000, 0.03, True),
    (30, 2000, 0.03, False),
    (30, 2000, 0.03, True),
)


def experiment(draw, speakers, utterances, spread, uneven, difference):
    """True classes (N,), two variants' predictions (2, N) and speakers (N,)."""
    sizes = np.exp(np.linspace(-0.7, 0.7, speakers) if uneven else np.zeros(speakers))
    counts = np.maximum(1, np.round(utterances * sizes / sizes.sum())).astype(int)
    speaker = np.repeat(np.arange(speakers), counts)
    n = len(speaker)
    even = np.full((speakers, CLASSES), 1 / CLASSES)
    frequencies = draw.dirichlet(np.full(CLASSES, 2.0), speakers) if uneven else even
    chance = frequencies.cumsum(axis=1)[speaker, :-1]
    true = (draw.random((n, 1)) > chance).sum(axis=1)
    suits = difference + draw.normal(0, spread, size=speakers)
    difficulty = draw.random((2, n))
    difficulty[1] = np.where(draw.random(n) < 0.7, *difficulty)  # mostly the same errors
    right = difficulty < ACCURACY + np.outer([0.5, -0.5], suits[speaker])
    wrong = (true + draw.integers(1, CLASSES, size=(2, n))) % CLASSES
    return true, np.where(right, true, wrong), speaker


def bootstrapped(true, predicted, speaker):
    """p of the percentile bootstrap and of the bootstrap-t of the difference in UA."""
    of_units = intervals.confusions(true, predicted, speaker, CLASSES)  # (units, 2, C, C)
    units = len(of_units)
    weights = np.random.default_rng(1).multinomial(units, np.full(units, 1 / units), size=DRAWS)
    weights = np.vstack([np.ones((1, units)), weights])  # the first one is what was seen
    drawn = np.tensordot(weights, of_units, axes=1)  # (1 + draws, 2, C, C)
    difference = np.round(ua(drawn[:, 0]) - ua(drawn[:, 1]), 12)
    tails = (1 + np.sum(difference[1:] <= 0), 1 + np.sum(difference[1:] >= 0))
    # The standard error of each draw by the delta method: what a unit adds to the difference.
    drawn_support, unit_support = confusion.support(drawn[:, 0]), confusion.support(of_units[:, 0])
    support = np.maximum(drawn_support, 1)  # (1 + draws, C)
    drawn_right, unit_right = confusion.right(drawn), confusion.right(of_units)
    lead = unit_right[:, 0] - unit_right[:, 1]  # (units, C)
    mean_lead = (drawn_right[:, 0] - drawn_right[:, 1]) / support
    present = (drawn_support > 0).sum(axis=1)
    adds = (1 / support) @ lead.T - (mean_lead / support) @ unit_support.T
    adds /= present[:, None]
    error = np.sqrt(units / (units - 1) * (weights * adds**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.abs(difference - difference[0])[1:] / error[1:]
        seen = np.abs(difference[0]) / error[0]
    beyond = np.sum(~(away < seen))
    return min(1, 2 * min(tails) / (1 + DRAWS)), (1 + beyond) / (1 + DRAWS)


def rejections(design, difference, seed, experiments):
    """Shares of experiments in which each of the TESTS rejects, and the mean detectable."""
    draw = np.random.default_rng(seed)
    found, detectable = [], []
    for _ in range(experiments):
        true, predicted, speaker = experiment(draw, *design, difference)
        a, b = (intervals.over_speakers(true, p[None], speaker, CLASSES) for p in predicted)
        jackknife = intervals.tested(a["ua"] - b["ua"])
        *_, mcnemar = intervals.mcnemar(*(predicted == true))
        p = jackknife["p"], *bootstrapped(true, predicted, speaker), mcnemar
        found.append(np.less(p, 0.05))
        detectable.append(jackknife["detectable"])
    return np.mean(found, axis=0), np.nanmean(detectable)


def main():
    """Print a row for every design."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    tiny = parser.parse_args().tiny
    designs, experiments = (DESIGNS[1:2], 5) if tiny else (DESIGNS, 1000)
    print(f"{'':34}  {'false alarms':^{12 * len(TESTS)}}  {'':10}  power there")
    names = "".join(f"{name:>12}" for name in TESTS)
    print(f"speakers  utterances  spread  {'':4}{names}  detectable{names}")
    for design in designs:
        speakers, utterances, spread, uneven = design
        alarms, detectable = rejections(design, 0.0, 0, experiments)
        power, _ = rejections(design, detectable, 1, experiments)
        shares = ["".join(f"{share:12.1%}" for share in each) for each in (alarms, power)]
        print(
            f"{speakers:8}  {utterances:10}  {spread:6.2f}  {'uneven' if uneven else '':6}"
            f"{shares[0]}  {detectable:10.3f}{shares[1]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
