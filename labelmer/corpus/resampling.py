"""Samples at any rate -> at 16 kHz."""

import functools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE

RATES = 4_000, 384_000  # Hz, of what may be audio
CROSSINGS = 24  # zero crossings of the low-pass filter to a side
CUTOFF, WINDOW = 0.98, 8.0  # of half the lower rate; Kaiser's beta, ripples below -80 dB
LONGEST = 20_000  # up or down factor of ratios whose whole filter is kept
BATCH = 256  # samples made at once, where it is not
STEPS = 1024  # taps between two zero crossings, where it is not


def check_rate(path: Path, rate: int) -> None:
    """InputError if no audio has such a rate."""
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(
            f"{path}: a sample rate of {rate} Hz, expected {RATES[0]} to {RATES[1]}; "
            "mend its header"
        )


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
    up, down = RATE // shared, rate // shared
    if max(up, down) > LONGEST:
        return _resample_at(mono, up, down)
    return resample_poly(mono, up, down, window=_kernel(max(up, down)))


@functools.lru_cache(2)
def _kernel(longest: int) -> np.ndarray:
    """Low-pass filter; longest: the larger one of the two factors."""
    from scipy.signal import firwin

    return firwin(2 * CROSSINGS * longest + 1, CUTOFF / longest, window=("kaiser", WINDOW))


def _resample_at(mono: np.ndarray, up: int, down: int) -> np.ndarray:
    """resample() where the filter would have millions of taps, of which each sample uses few.

    Those are interpolated from a filter of STEPS taps a crossing.
    """
    scale = max(up, down) / up  # samples of the input from one crossing to the next
    width = math.ceil(CROSSINGS * scale)
    kernel = _kernel(STEPS) * STEPS / scale
    places = np.arange(-CROSSINGS * STEPS, CROSSINGS * STEPS + 1) / STEPS
    padded, around = np.pad(mono, width), np.arange(-width, width + 1)
    made = np.empty(-(-len(mono) * up // down))
    for start in range(0, len(made), BATCH):
        # Whole numbers: a block's samples are those of the whole, to the last bit.
        at, part = np.divmod(np.arange(start, min(start + BATCH, len(made))) * down, up)
        away = (around - part[:, None] / up) / scale
        taps = np.interp(away, places, kernel, left=0, right=0)
        made[start : start + BATCH] = (taps * padded[at[:, None] + around + width]).sum(axis=1)
    return made
