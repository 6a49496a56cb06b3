"""Weighted and unweighted accuracy, and how they choose the epoch in training and fine-tuning.

Apart from the other metrics, so that a new metric trains nothing anew.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

SMOOTHED = 3  # epochs over which the score that chooses is averaged

SELECTION = (
    "the epoch (of the linear baseline, C) with the best mean of WA and UA on the validation part, "
    f"epochs averaged with the {SMOOTHED - 1} before, from epoch {SMOOTHED} on"
)


def accuracies(true: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """WA and UA of N predictions, as a dict of floats.

    true, predicted: (N,) class names or numbers, N > 0. Without scikit-learn, whose import would
    cost a training job more than all its calls.
    """
    true = np.asarray(true)
    right = true == np.asarray(predicted)
    recalls = [right[true == name].mean() for name in np.unique(true)]
    return {"wa": float(right.mean()), "ua": float(np.mean(recalls))}


def best_epoch(history: Sequence[dict]) -> dict:
    """The row of the epoch that SELECTION describes; of equals, the first.

    history: a dict for each epoch so far, in order, with validation_wa and validation_ua. Averaged,
    as a small validation part makes a single epoch look good by luck; over earlier epochs alone, so
    that the best so far is known while training goes on. Of fewer epochs than are averaged, it is
    the last.
    """
    scores = [(row["validation_wa"] + row["validation_ua"]) / 2 for row in history]
    ends = range(min(SMOOTHED, len(scores)), len(scores) + 1)
    smooth = [np.mean(scores[max(0, end - SMOOTHED) : end]) for end in ends]
    return history[ends[int(np.argmax(smooth))] - 1]
