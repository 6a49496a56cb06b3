"""Probabilities of some of a model's classes alone."""

from collections.abc import Sequence

import numpy as np


def restricted(p: np.ndarray, classes: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    """Probabilities (N, K) of the classes `kept`, given that it is one of these.

    p: (N, C) of all classes, in their order. All are alike where none of them has any.
    """
    p = p[:, [list(classes).index(name) for name in kept]]
    total = p.sum(axis=1, keepdims=True)
    return np.divide(p, total, out=np.full(p.shape, 1 / len(kept)), where=total > 0)
