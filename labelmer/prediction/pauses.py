"""Where a long recording is cut: at its pauses, by loudness alone.

A pause is PAUSE_S or longer in which no stretch of HOP_S comes within QUIET_DB of the loud ones
(the 95th percentile of all). What stands between pauses is an utterance, with MARGIN_S of the
pause to each side. What is longer than LONGEST_S is halved at its quietest third of a second, away
from its ends, until it is not. What is shorter than SHORTEST_S is taken for a noise and left out.
"""

import numpy as np

from labelmer.base.ragged import RATE

HOP_S, PAUSE_S, MARGIN_S = 0.02, 0.4, 0.1
QUIET_DB = 30.0
SHORTEST_S, LONGEST_S = 0.2, 20.0
SMOOTH_S, ENDS_S = 0.3, 2.0
BLOCK = 1 << 12  # hops whose levels are found at once: recordings are long


def utterances(samples: np.ndarray) -> list[tuple[float, float]]:
    """Start and end in seconds of what is said in int16 samples (N,) at 16 kHz, in order.

    Of digital silence there is none.
    """
    levels = _levels(samples)
    loud = levels > np.percentile(levels, 95) - QUIET_DB if len(levels) else levels > 0
    loud &= levels > _decibels(np.zeros(1))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    stretches = edges.reshape(-1, 2) * HOP_S  # (stretches, 2)
    joined: list[list[float]] = []
    for start, end in stretches:
        if joined and start - joined[-1][1] < PAUSE_S:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    length = len(samples) / RATE
    return [
        piece
        for start, end in joined
        if end - start >= SHORTEST_S
        for piece in _halved(levels, max(0.0, start - MARGIN_S), min(length, end + MARGIN_S))
    ]


def _halved(levels: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """A stretch in pieces of LONGEST_S or less."""
    if end - start <= LONGEST_S:
        return [(round(start, 3), round(end, 3))]
    window = round(SMOOTH_S / HOP_S)
    smooth = np.convolve(levels, np.ones(window) / window, "same")
    first, last = round((start + ENDS_S) / HOP_S), round((end - ENDS_S) / HOP_S)
    middle = HOP_S * (first + int(smooth[first:last].argmin()))
    return _halved(levels, start, middle) + _halved(levels, middle, end)


def _levels(samples: np.ndarray) -> np.ndarray:
    """Decibels of each HOP_S, of full scale."""
    hop = round(HOP_S * RATE)
    pieces = [samples[i : i + BLOCK * hop] for i in range(0, len(samples), BLOCK * hop)]
    return np.concatenate([np.zeros(0, np.float32), *(_of_hops(piece, hop) for piece in pieces)])


def _of_hops(samples: np.ndarray, hop: int) -> np.ndarray:
    count = -(-len(samples) // hop)
    padded = np.zeros(count * hop, np.float32)
    padded[: len(samples)] = samples.astype(np.float32) / 32768
    return _decibels(np.square(padded.reshape(count, hop)).mean(axis=1))


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power + 1e-10)
