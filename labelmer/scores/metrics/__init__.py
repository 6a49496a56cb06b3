"""What a set of predictions is worth: metrics, each one number of a confusion matrix.

To add a metric is to add a file to this folder: a function with @metric. Its name is the name of a
column in the result tables. It takes counts (..., C, C), rows true classes and columns predicted
ones, at least one utterance in each matrix, and gives numbers (...,), shares between 0 and 1. A
class without utterances is to be left out of means.

The files are loaded by their names, in that order: so none of them is in the digest of the code
that asks for all (base/digest.py), and MODULES names them to whoever depends on all of them.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from labelmer.base.errors import InputError
from labelmer.scores.confusion import confusion


@dataclass(frozen=True)
class Metric:
    """A metric; called with counts (..., C, C) it gives numbers (...,)."""

    name: str  # of its column
    heading: str  # of its column where people read it
    words: str  # what it is
    function: Callable[[np.ndarray], np.ndarray]

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        return self.function(counts)


METRICS: dict[str, Metric] = {}  # name: Metric


def metric(heading: str, words: str) -> Callable[[Callable], Metric]:
    """Decorate a function of counts: it becomes the Metric of its name.

    Raise InputError if there is one of that name.
    """

    def register(function: Callable[[np.ndarray], np.ndarray]) -> Metric:
        name = function.__name__
        if name in METRICS:
            raise InputError(
                f"{function.__module__}: there is a metric '{name}' already, expected another "
                "name; rename the function"
            )
        METRICS[name] = Metric(name, heading, words, function)
        return METRICS[name]

    return register


def scores(
    true: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> dict[str, float]:
    """Every metric of N predictions, as a dict of floats by METRICS.

    true, predicted: (N,) class names, N > 0; classes: every name that may occur.
    """
    counts = confusion(true, predicted, classes)
    return {name: float(of_counts(counts)) for name, of_counts in METRICS.items()}


MODULES = [f"scores.metrics.{found.name}" for found in pkgutil.iter_modules(__path__)]
for module in MODULES:
    importlib.import_module(f"labelmer.{module}")
