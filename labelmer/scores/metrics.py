"""What a set of predictions is worth: weighted and unweighted accuracy, F1, confusion.

With n_c utterances of class c, of which a share r_c (recall) is found:

    WA, weighted accuracy      share of all utterances that are right = sum of n_c r_c / n
    UA, unweighted accuracy    mean of r_c over the classes
    weighted F1                mean of F1_c over the classes, weighted by n_c
    macro F1                   mean of F1_c over the classes

A class without utterances in `true` has no recall; it is left out of every mean. A class that is
never predicted has precision 0. Everything is a share between 0 and 1. F1, precision and confusion
are scikit-learn's.
"""

from collections.abc import Sequence

import numpy as np

from labelmer.scores.accuracy import accuracies

METRICS = ("wa", "ua", "weighted_f1", "macro_f1")


def scores(
    true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> dict[str, float]:
    """WA, UA, weighted F1 and macro F1 of N predictions, as a dict of floats by METRICS.

    true, predicted: (N,) class names, N > 0; classes: every name that may occur.
    """
    per_class = by_class(true, predicted, classes)
    f1, support = per_class["f1"], per_class["support"]
    present = support > 0
    return accuracies(true, predicted) | {
        "weighted_f1": float(np.average(f1[present], weights=support[present])),
        "macro_f1": float(f1[present].mean()),
    }


def scores_of_tallies(
    right: np.ndarray, support: np.ndarray, named: np.ndarray
) -> dict[str, np.ndarray]:
    """The METRICS of many sets of predictions at once: a dict of arrays (...,).

    Of each class, how many utterances are right, are there and are named so: arrays (..., C), with
    at least one utterance in each set.
    """
    present = support > 0
    recall = np.divide(right, support, out=np.zeros(right.shape), where=present)
    f1 = np.divide(2 * right, support + named, out=np.zeros(right.shape), where=present)
    classes, total = present.sum(axis=-1), support.sum(axis=-1)
    return {
        "wa": right.sum(axis=-1) / total,
        "ua": recall.sum(axis=-1) / classes,
        "weighted_f1": (f1 * support).sum(axis=-1) / total,
        "macro_f1": f1.sum(axis=-1) / classes,
    }


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


def confusion(true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """Counts (C, C): rows are true classes, columns predicted ones, in the order of classes."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(true, predicted, labels=list(classes))
