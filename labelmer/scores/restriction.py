"""Probabilities of some of a model's classes alone."""

from collections.abc import Sequence

import numpy as np

from labelmer.scores.calibration import combined, log_probabilities


def restricted(p: np.ndarray, classes: Sequence[str], kept: Sequence[str]) -> np.ndarray:
    """Probabilities (N, K) of the classes `kept`, given that it is one of these.

    p: (N, C) of all classes, in their order.
    """
    places = [list(classes).index(name) for name in kept]
    return np.exp(combined([log_probabilities(p[:, places])], [1.0]))
