"""What is predicted of."""

from dataclasses import dataclass

import numpy as np

from labelmer.base.errors import InputError


@dataclass(frozen=True, eq=False)
class Utterance:
    """Something said; what is not known is None.

    Blanks in the text are single, as in a corpus; an empty text is: no words were said. InputError:
    an id or words that are no Unicode text, audio that is no such samples, or has none.
    """

    id: str
    samples: np.ndarray | None = None  # int16, mono, 16 kHz
    text: str | None = None  # the words, with single blanks
    speaker: str = ""
    start_s: float | None = None  # in its dialogue, or in its recording
    end_s: float | None = None
    source: str = ""  # the recording

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InputError(f"an utterance with the id {self.id!r}, expected a text; name it")
        if not isinstance(self.text, str | None):
            raise InputError(
                f"'{self.id}': words of type {_kind(self.text)}, expected a text (str), or None "
                "where they are not known; give one"
            )
        for what, said in (("id", self.id), ("words", self.text or "")):
            try:
                said.encode()
            except UnicodeEncodeError as error:  # as of a file name in another encoding
                raise InputError(
                    f"{self.id!r}: {what} with {said[error.start]!r}, expected Unicode text; give "
                    "the words in UTF-8, and rename a file whose name is not"
                ) from None
        if self.text is not None:
            object.__setattr__(self, "text", " ".join(self.text.split()))
        if self.samples is not None:
            self._check_samples(self.samples)

    def _check_samples(self, samples: np.ndarray) -> None:
        if not isinstance(samples, np.ndarray):
            raise InputError(
                f"'{self.id}': audio of type {_kind(samples)}, expected a file's path (str or "
                "Path), or a numpy array of int16 samples, mono, at 16 kHz; give one of these"
            )
        if (samples.dtype, samples.ndim) != (np.int16, 1):
            raise InputError(
                f"'{self.id}': samples of {samples.dtype} and shape {samples.shape}, expected "
                "int16, mono, at 16 kHz; give the file's path, or convert them (floats from -1 to "
                "1: (32767 * samples).astype(numpy.int16))"
            )
        if not len(samples):
            raise InputError(f"'{self.id}': no samples, expected some; give None if there are none")

    def has(self, modality: str) -> bool:
        """Is there audio, or are there words?"""
        return (self.samples if modality == "speech" else self.text) is not None


def _kind(value: object) -> str:
    return type(value).__name__
