"""F1 of each class, its harmonic mean of precision and recall, in two means over the classes."""

import numpy as np

from labelmer.scores import confusion
from labelmer.scores.metrics import metric


@metric("weighted F1", "F1, mean over classes by their size")
def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """The mean of F1_c over the classes, weighted by their utterances."""
    weighted = confusion.f1(counts) * confusion.support(counts)
    return weighted.sum(axis=-1) / counts.sum(axis=(-2, -1))


@metric("macro F1", "F1, mean over classes")
def macro_f1(counts: np.ndarray) -> np.ndarray:
    """The mean of F1_c over the classes."""
    return confusion.mean_over_present(confusion.f1(counts), counts)
