"""What an encoder reads: the audio or the words of utterances, by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE, Ragged


@dataclass(frozen=True)
class Items:
    """What features are made of: ids (sorted), inputs, and what says when an input changed."""

    modality: str  # "speech" or "text"
    ids: list[str]
    inputs: Sequence[Any]  # int16 samples at 16 kHz, or strings
    contents: Sequence[bytes] | Sequence[str]  # the items' part of their keys
    rate: float = RATE  # of what an input holds, a second of speech
    file: Ragged | None = None  # that the inputs are mapped from


def read_items(path: Path | str) -> Items:
    """Items of a segments file (.h5), or of a table of utterances or of recognised words."""
    if Path(path).suffix == ".h5":
        segments = Ragged(path)
        if segments.attrs.get("kind") != "segments":
            raise InputError(
                f"{path}: a file of {segments.attrs.get('kind')}, expected segments; "
                "give the file that `labelmer segment` wrote"
            )
        inputs = [segments[i] for i in range(len(segments))]
        contents = [key.tobytes() for key in segments.keys]
        return Items("speech", segments.ids, inputs, contents, file=segments)
    return text_items(tables.texts(path))


def text_items(texts: dict[str, str]) -> Items:
    """Items of a dict of id and text."""
    ids = sorted(texts)
    inputs = [texts[i] for i in ids]
    return Items("text", ids, inputs, inputs)
