"""Samples at any rate -> at 16 kHz."""

from collections.abc import Iterable, Iterator

import numpy as np

from labelmer.base.ragged import RATE


def resampled_length(frames: int, rate: int) -> int:
    """Samples at 16 kHz that `frames` at `rate` Hz become: rounded up."""
    return -(-frames * RATE // rate)


def resampled(blocks: Iterable[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks of samples (N,) at `rate` Hz -> blocks at 16 kHz, which never are in memory together.

    Together they are what one block of all samples would become, bit for bit.
    """
    if rate == RATE:
        yield from blocks
        return
    # Imported here: most corpora are at 16 kHz already.
    import soxr

    stream = soxr.ResampleStream(rate, RATE, num_channels=1, dtype="float64", quality="VHQ")
    given = done = 0
    for block in blocks:
        piece = stream.resample_chunk(block)
        given, done = given + len(block), done + len(piece)
        yield piece
    # Silence behind the last sample: without it, soxr would round the length to the nearest.
    rest = stream.resample_chunk(np.zeros(-(-rate // RATE)), last=True)
    yield rest[: resampled_length(given, rate) - done]
