"""Samples at any rate -> at 16 kHz."""

import functools
import math
from collections.abc import Iterable, Iterator

import numpy as np

from labelmer.base.ragged import RATE

CROSSINGS = 24  # zero crossings of the low-pass filter to a side


def resampled_length(frames: int, rate: int) -> int:
    """Samples at 16 kHz that `frames` at `rate` Hz become."""
    return -(-frames * RATE // rate)


def resampled(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks of samples (N,) at `rate` Hz -> blocks at 16 kHz: together what resample() makes of
    them together, which never are in memory."""
    if rate == RATE:
        yield from blocks
        return
    shared = math.gcd(rate, RATE)
    up, down = RATE // shared, rate // shared
    # Samples to each side that the filter reaches, as all places here a multiple of `down`, so
    # that a sample of the output stands there.
    reach = -(-CROSSINGS * max(up, down) // (up * down)) * down
    held, done = np.zeros(0), 0  # samples, and how many at their start have been yielded
    for block in blocks:
        held = np.concatenate([held, block])
        ready = (len(held) - reach) // down * down
        if ready > done:
            yield resample(held[: ready + reach], rate)[done * up // down : ready * up // down]
            kept = max(ready - reach, 0)
            held, done = held[kept:], ready - kept
    if len(held):
        yield resample(held, rate)[done * up // down :]


def resample(mono: np.ndarray, rate: int) -> np.ndarray:
    """Samples at `rate` Hz -> at 16 kHz, of resampled_length(). One kernel serves all of a rate."""
    # Imported here: most corpora are at 16 kHz already.
    from scipy.signal import resample_poly

    shared = math.gcd(rate, RATE)
    return resample_poly(mono, RATE // shared, rate // shared, window=_kernel(rate))


@functools.lru_cache(2)
def _kernel(rate: int) -> np.ndarray:
    """Low-pass filter with ripples below -80 dB."""
    from scipy.signal import firwin

    longest = max(rate, RATE) // math.gcd(rate, RATE)
    return firwin(2 * CROSSINGS * longest + 1, 0.98 / longest, window=("kaiser", 8.0))
