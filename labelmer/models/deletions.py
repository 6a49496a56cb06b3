"""Which tokens or frames of an utterance go when a share of them is deleted at random."""

import numpy as np

from labelmer.base.digest import content_key
from labelmer.base.ragged import Ragged

SHARES = (0.1, 0.2, 0.3, 0.5)  # of the rows, that are deleted


def deletable(modality: str, features: Ragged) -> bool:
    """Have utterances rows that can go? Not where one stands for an utterance as a whole."""
    return modality == "text" or bool(features.attrs.get("rate_hz"))


def chances_of(name: str, modality: str, rows: int) -> np.ndarray:
    """A number in [0, 1) for each row of an utterance, by which rows are deleted at random.

    It depends on the utterance's id, the modality and the row alone: each model, seed and share
    deletes from the same order.
    """
    seed = int.from_bytes(content_key(name, modality)[:8], "little")
    return np.random.default_rng(seed).random(rows)


def left_at_random(name: str, modality: str, rows: int) -> np.ndarray:
    """Rows that stay, for each of SHARES: (shares, rows) bool; at least one goes, one stays."""
    order = np.argsort(-chances_of(name, modality, rows), kind="stable")
    gone = np.round(np.float32(rows) * np.array(SHARES, np.float32)).clip(1, rows - 1)
    return np.argsort(order) >= gone[:, None]
