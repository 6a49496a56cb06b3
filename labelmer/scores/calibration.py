"""How far probabilities can be believed: calibration error, reliability, temperatures.

Temperature scaling and the expected calibration error are those of Guo et al., "On calibration of
modern neural networks", ICML 2017.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

SMALLEST = 1e-12  # probabilities are taken to be at least this, so that no logarithm is infinite
COLDEST, HOTTEST = 0.1, 100.0  # bounds: a perfect validation part would ask for temperature 0
BINS = 15  # equal in width, from 0 to 1


def log_probabilities(p: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, all finite."""
    return np.log(np.maximum(p, SMALLEST))


def combined(logs: Sequence[np.ndarray] | np.ndarray, temperatures: Sequence[float]) -> np.ndarray:
    """Log probabilities (N, C): the product of M posteriors, each to the power 1 / temperature.

    logs: (M, N, C) log probabilities; temperatures: M of them. Of one posterior: its scaling.
    """
    return log_softmax(sum(log / t for log, t in zip(logs, temperatures, strict=True)), axis=1)


def best_temperatures(logs: np.ndarray, true: np.ndarray) -> tuple[float, ...]:
    """The M temperatures with the least mean negative log probability of the true classes.

    logs: (M, N, C) log probabilities; true: (N,) class indices; all of the validation part.
    The loss is convex in the inverse temperatures, so the minimum does not depend on the start.
    """
    rows = np.arange(len(true))

    def loss_and_gradient(inverse: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.tensordot(inverse, logs, axes=1)  # (N, C)
        log_sum = logsumexp(logits, axis=1, keepdims=True)
        p = np.exp(logits - log_sum)
        wanted = logs[:, rows, true]  # (M, N)
        loss = (log_sum[:, 0] - inverse @ wanted).mean()
        return loss, ((p * logs).sum(axis=2) - wanted).mean(axis=1)

    start, bounds = np.ones(len(logs)), [(1 / HOTTEST, 1 / COLDEST)] * len(logs)
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return tuple(float(t) for t in 1 / found.x)


def reliability(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> dict[str, np.ndarray]:
    """What confidence comes to: count, mean confidence and accuracy of each bin, arrays (bins,).

    confidence: (N,) probability of the predicted class; right: (N,) was it the true class? Bin i
    holds i / bins < confidence <= (i + 1) / bins. An empty bin's means are nan.
    """
    place = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    return {
        "count": count,
        "confidence": np.bincount(place, confidence, minlength=bins) / divisor,
        "accuracy": np.bincount(place, right, minlength=bins) / divisor,
    }


def expected_calibration_error(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> float:
    """ECE: the mean distance of a bin's accuracy from its confidence, weighted by its count."""
    found = reliability(confidence, right, bins)
    distance = np.abs(found["accuracy"] - found["confidence"])
    return float(np.nansum(found["count"] * distance) / found["count"].sum())
