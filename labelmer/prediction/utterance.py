"""What is predicted of."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Utterance:
    """Something said; what is not known is None."""

    id: str
    samples: np.ndarray | None = None  # int16, mono, 16 kHz
    text: str | None = None
    speaker: str = ""
    start_s: float | None = None  # in its dialogue, or in its recording
    end_s: float | None = None
    source: str = ""  # the recording

    def has(self, modality: str) -> bool:
        """Is there audio, or are there words?"""
        return (self.samples if modality == "speech" else self.text) is not None
