"""How far probabilities can be believed: calibration error, reliability, temperatures, weights.

Temperature scaling and the expected calibration error are those of Guo et al., "On calibration of
modern neural networks", ICML 2017. The weighted product of posteriors is the logarithmic opinion
pool of Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 1997.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

SMALLEST = 1e-12  # probabilities are taken to be at least this, so that no logarithm is infinite
COLDEST, HOTTEST = 0.1, 100.0  # bounds: a perfect validation part would ask for temperature 0
HEAVIEST = 1 / COLDEST  # bound of a weight, for the same reason
# When a search for weights ends: with the usual tolerances four digits of a weight may stand.
SEARCH = {"ftol": 1e-12, "gtol": 1e-8}
BINS = 15  # equal in width, from 0 to 1


def log_probabilities(p: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, all finite."""
    return np.log(np.maximum(p, SMALLEST))


def scaled(log: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities (N, C) of a posterior to the power 1 / temperature."""
    return log_softmax(log / temperature, axis=1)


def best_temperature(log: np.ndarray, true: np.ndarray) -> float:
    """The temperature with the least mean negative log probability of the true classes.

    log: (N, C) log probabilities; true: (N,) class indices; all of the validation part. Never
    infinite: what is scaled still names the class that it named before.
    """
    bounds = 1 / HOTTEST, 1 / COLDEST
    return float(1 / _least_loss(log[None], true, np.ones(1), bounds)[0])


def combined(logs: Sequence[np.ndarray] | np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Log probabilities (N, C): the product of M posteriors, each to the power of its weight.

    logs: (M, N, C) log probabilities; weights: M of them. Where all are 0, all classes are equally
    likely.
    """
    return log_softmax(sum(w * log for log, w in zip(logs, weights, strict=True)), axis=1)


def best_weights(logs: np.ndarray, true: np.ndarray) -> tuple[float, ...]:
    """The M weights, from 0, with the least mean negative log probability of the true classes.

    logs: (M, N, C) log probabilities; true: (N,) class indices; all of the validation part. The
    loss is convex in the weights, and the search starts from 0: a posterior that does not help, or
    that tells no class from another, keeps weight 0, and equal ones have equal weights. Of one
    posterior there is nothing to leave out: its weight is one over the best temperature.
    """
    if len(logs) == 1:
        return (1 / best_temperature(logs[0], true),)
    return tuple(map(float, _least_loss(logs, true, np.zeros(len(logs)), (0.0, HEAVIEST))))


def _least_loss(
    logs: np.ndarray,
    true: np.ndarray,
    start: np.ndarray,
    bounds: tuple[float, float],
) -> np.ndarray:
    """The weights (M,) within bounds that minimise the loss of `combined`, by L-BFGS-B.

    RuntimeError: not found in as many steps as it takes.
    """
    rows = np.arange(len(true))

    def loss_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.tensordot(weights, logs, axes=1)  # (N, C)
        log_sum = logsumexp(logits, axis=1, keepdims=True)
        p = np.exp(logits - log_sum)
        wanted = logs[:, rows, true]  # (M, N)
        loss = (log_sum[:, 0] - weights @ wanted).mean()
        return loss, ((p * logs).sum(axis=2) - wanted).mean(axis=1)

    found = minimize(
        loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[bounds] * len(start),
        options=SEARCH,
    )
    if found.status == 1:  # out of steps; 2 is at the minimum, where rounding hides a lower loss
        raise RuntimeError(f"the loss of {len(start)} weights has no minimum yet: {found.message}")
    return found.x


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
