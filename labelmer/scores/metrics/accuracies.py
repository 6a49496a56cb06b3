"""Weighted and unweighted accuracy, from the recall r_c of each class c with its n_c utterances."""

import numpy as np

from labelmer.scores import confusion
from labelmer.scores.metrics import metric


@metric("WA", "weighted accuracy")
def wa(counts: np.ndarray) -> np.ndarray:
    """The share of all utterances that are right: sum of n_c r_c / n."""
    return confusion.right(counts).sum(axis=-1) / counts.sum(axis=(-2, -1))


@metric("UA", "unweighted accuracy")
def ua(counts: np.ndarray) -> np.ndarray:
    """The mean of r_c over the classes."""
    return confusion.mean_over_present(confusion.recall(counts), counts)
