"""False alarms of the two paired tests, and their power at the difference called detectable.

Two variants of 70% accuracy on 2,000 made-up utterances of four classes. `spread` is the standard
deviation over speakers of the difference in accuracy: which variant suits a speaker. Prints, of
1,000 experiments each, the share below p = 0.05 without a true difference, the mean detectable
difference, and the share below p = 0.05 where the true difference is that large.

    python bench/intervals.py
"""

import numpy as np

from labelmer import statistics

CLASSES, UTTERANCES, EXPERIMENTS, DRAWS = 4, 2000, 1000, 2000
DESIGNS = ((10, 0.0), (10, 0.03), (30, 0.03))  # speakers, spread


def rejections(speakers, spread, difference, seed):
    """Shares of experiments in which bootstrap and McNemar reject, and the mean detectable."""
    draw = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), UTTERANCES // speakers)
    n = len(speaker)
    found = []
    for _ in range(EXPERIMENTS):
        true = draw.integers(CLASSES, size=n)
        suits = difference + draw.normal(0, spread, size=speakers)
        difficulty = draw.random((2, n))
        difficulty[1] = np.where(draw.random(n) < 0.7, *difficulty)  # mostly the same errors
        wrong = (true + draw.integers(1, CLASSES, size=(2, n))) % CLASSES
        right = difficulty < 0.7 + np.outer([0.5, -0.5], suits[speaker])
        ua = [
            statistics.resampled(*statistics.by_speaker(true, p[None], speaker, CLASSES), DRAWS)[
                "ua"
            ]
            for p in np.where(right, true, wrong)
        ]
        of_draws = statistics.paired(*ua)
        p = of_draws["p"], statistics.mcnemar(*right)[2]
        found.append((p[0] < 0.05, p[1] < 0.05, of_draws["detectable"]))
    return np.mean(found, axis=0)


def main():
    """Print a row for every design."""
    print("speakers  spread  false alarms (bootstrap, McNemar)  detectable  power there")
    for speakers, spread in DESIGNS:
        *alarms, detectable = rejections(speakers, spread, 0.0, seed=0)
        power = rejections(speakers, spread, detectable, seed=1)[:2]
        print(
            f"{speakers:8}  {spread:6.2f}  {alarms[0]:23.3f}, {alarms[1]:.3f}"
            f"  {detectable:14.4f}  {power[0]:.3f}, {power[1]:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
