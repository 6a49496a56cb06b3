"""Confusion matrices, and what they say of each class: recall, precision, F1.

A class without utterances in `true` has no recall. A class that is never predicted has precision 0.
Everything is a share between 0 and 1.
"""

from collections.abc import Sequence

import numpy as np


def confusion(true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Counts (C, C): rows are true classes, columns predicted ones, in the order of classes.

    true, predicted: (N,) class names; classes: every name that may occur.
    """
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true, predicted, labels=list(classes))


def by_class(
    true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support: a dict of arrays (C,) in the order of classes.

    The first three are nan for a class without utterances in `true`.
    """
    from sklearn.metrics import precision_recall_fscore_support

    *shares, support = precision_recall_fscore_support(
        true, predicted, labels=list(classes), zero_division=0.0
    )
    present = support > 0
    values = {
        name: np.where(present, share, np.nan)
        for name, share in zip(("precision", "recall", "f1"), shares, strict=True)
    }
    return values | {"support": support}


def support(counts: np.ndarray) -> np.ndarray:
    """Utterances of each class (..., C), from counts (..., C, C) as confusion() has them."""
    return counts.sum(axis=-1)


def right(counts: np.ndarray) -> np.ndarray:
    """Utterances of each class that are right (..., C), from counts (..., C, C)."""
    return counts.diagonal(axis1=-2, axis2=-1)


def recall(counts: np.ndarray) -> np.ndarray:
    """The share of each class that is right (..., C); 0 for a class that is not there."""
    return _shares(right(counts), support(counts), counts)


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each class (..., C); 0 for a class that is not there."""
    return _shares(2 * right(counts), support(counts) + counts.sum(axis=-2), counts)


def mean_over_present(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean (...,) of values (..., C) over the classes that are there; the others are 0."""
    return values.sum(axis=-1) / (support(counts) > 0).sum(axis=-1)


def _shares(part: np.ndarray, whole: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """part / whole where a class is there, else 0."""
    return np.divide(part, whole, out=np.zeros(part.shape), where=support(counts) > 0)
