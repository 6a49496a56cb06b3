"""What is predicted of."""

from dataclasses import dataclass

import numpy as np

from labelmer.base.errors import InputError


@dataclass(frozen=True, eq=False)
class Utterance:
    """Something said; what is not known is None.

    InputError: an id or words that are no Unicode text, as of a file name in another encoding.
    """

    id: str
    samples: np.ndarray | None = None  # int16, mono, 16 kHz
    text: str | None = None  # the words, with single blanks
    speaker: str = ""
    start_s: float | None = None  # in its dialogue, or in its recording
    end_s: float | None = None
    source: str = ""  # the recording

    def __post_init__(self) -> None:
        if self.text is not None:  # as the words stand in a corpus' tables
            object.__setattr__(self, "text", " ".join(self.text.split()))
        for what, said in (("id", self.id), ("words", self.text or "")):
            try:
                said.encode()
            except UnicodeEncodeError as error:
                raise InputError(
                    f"{self.id!r}: {what} with {said[error.start]!r}, expected Unicode text; give "
                    "the words in UTF-8, and rename a file whose name is not"
                ) from None

    def has(self, modality: str) -> bool:
        """Is there audio, or are there words?"""
        return (self.samples if modality == "speech" else self.text) is not None
