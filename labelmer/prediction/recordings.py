"""Recordings and words as people give them -> utterances.

Audio goes the way of `labelmer segment`: any format that it reads, channels averaged, 16 kHz,
16 bit.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from labelmer.base import names, tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.ragged import RATE
from labelmer.base.tables import Column
from labelmer.base.tsv import cells
from labelmer.corpus import audio
from labelmer.prediction import pauses
from labelmer.prediction.utterance import Utterance

if TYPE_CHECKING:
    from labelmer.base.tables import Tables

SPOKEN = {
    "text": Column(str, "the words", empty=True, lacking=True),
    "speaker": Column(str, "who speaks, for --dialogue", empty=True, lacking=True),
}
GIVEN: "Tables" = {
    "words": {"id": Column(str, "a recording, by its path or its name"), **SPOKEN},
    "segments": {
        "id": Column(str, "utterance"),
        "start": Column(float, "seconds into the recording"),
        "end": Column(float, "seconds into the recording"),
        **SPOKEN,
    },
}


def whole(path: Path) -> np.ndarray:
    """A recording as int16 samples (N,), mono at 16 kHz; what is odd about it is a warning.

    InputError: there is no such file, it is no audio, or there is nothing in it.
    """
    source = _source(path)
    return _cut(source, *source.span())


def _source(path: Path) -> audio.Source:
    try:
        source = audio.Source(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; correct the path") from None
    for _, sentence in source.findings:
        log.warning("%s: %s", path, sentence)
    if source.problem:
        raise InputError(f"{path}: {source.problem}, expected some sound; give another file")
    return source


def _cut(source: audio.Source, first: int, stop: int, name: str = "") -> np.ndarray:
    """Frames first:stop; name: of the utterance, for messages."""
    place = f"{source.path}: id '{name}'" if name else str(source.path)
    if stop <= first:
        raise InputError(f"{place}: no samples, expected some; correct the times, or take it out")
    samples, odd = source.read(first, stop)
    for _, sentence in odd:
        log.warning("%s: %s", place, sentence)
    return samples


def table(path: Path, kind: str) -> pd.DataFrame:
    """A table of GIVEN; a column that it lacks is None throughout."""
    raw = cells(path, quoted=True).map(lambda cell: " ".join(cell.split()))
    if raw.empty:
        raise InputError(f"{path}: no rows under the header; expected one for each utterance")
    frame = tables.typed(raw, kind, path, GIVEN)
    absent = [name for name in SPOKEN if name not in raw.columns]
    return frame.astype(dict.fromkeys(absent, object)).assign(**dict.fromkeys(absent))


def of_segments(path: Path, cuts: Path) -> list[Utterance]:
    """The utterances that a table names (id, start, end, perhaps text and speaker)."""
    source, found = _source(path), []
    for row in table(cuts, "segments").itertuples():
        if not 0 <= row.start < row.end < float("inf"):
            raise InputError(
                f"{cuts}: id '{row.id}': {row.start:g} to {row.end:g} s, expected a start from 0 "
                "and an end after it, not infinite; correct the row"
            )
        if row.end > source.frames / source.rate + 0.05:
            log.warning(
                "%s: id '%s' ends at %.10g s, but %s at %.3f s; cut there",
                *(cuts, row.id, row.end, path, source.frames / source.rate),
            )
        samples = _cut(source, *source.span(row.start, row.end), row.id)
        said = row.text, row.speaker or ""
        found.append(Utterance(row.id, samples, *said, row.start, row.end, str(path)))
    return found


def of_table(paths: Sequence[Path], words: Path) -> list[Utterance]:
    """What a table of words (id, text, perhaps speaker) names, in its order.

    Recordings are matched by path, by name or by name without its ending; those that the table
    does not name follow, without words. Without recordings, it is the words alone.
    """
    named = table(words, "words")
    if named["text"].isna().any():
        raise InputError(f"{words}: no column 'text', expected the words; add it")
    if not paths:
        return [Utterance(r.id, None, r.text, r.speaker or "") for r in named.itertuples()]
    found = _matched(paths, named["id"], words)
    known = {name for path in paths for name in _names(path)}
    for name in named["id"][~named["id"].isin(found)]:
        meant = names.meant(name, known)
        log.warning("%s: id '%s' names none of the recordings; left out%s", words, name, meant)
    made = [
        utterance
        for row in named.itertuples()
        if row.id in found
        for utterance in of_recording(found[row.id], row.text, row.id, row.speaker or "")
    ]
    others = [path for path in paths if path not in found.values()]
    if others:
        log.warning(
            "%s: no row for %d of %d recordings, such as %s: they are predicted without words",
            *(words, len(others), len(paths), others[0]),
        )
    return [*made, *(utterance for path in others for utterance in of_recording(path))]


def _names(path: Path) -> tuple[str, str, str]:
    """What a table may call a recording."""
    return str(path), path.name, path.stem


def _matched(paths: Sequence[Path], ids: pd.Series, words: Path) -> Mapping[str, Path]:
    """{id of a table: the recording that it means}."""
    found: dict[str, Path] = {}
    known = set(ids)
    real: dict[str, set[str]] = {}
    for name in known:
        if os.sep in name:
            real.setdefault(os.path.realpath(name), set()).add(name)
    for path in paths:
        called = known.intersection((*real.get(os.path.realpath(path), ()), *_names(path)))
        if not called:
            continue
        if len(called) > 1:
            raise InputError(
                f"{words}: {path} stands there as {' and as '.join(map(repr, sorted(called)))}, "
                "expected one row for each recording; remove the other"
            )
        (name,) = called
        if name in found:
            raise InputError(
                f"{words}: '{name}' may be {found[name]} or {path}, expected one; name them by "
                "their paths"
            )
        found[name] = path
    return found


def of_recording(
    path: Path, text: str | None = None, name: str = "", speaker: str = ""
) -> Iterator[Utterance]:
    """A recording as one utterance, or, if it is long and without words, what its pauses part."""
    samples, name = whole(path), name or str(path)
    seconds = len(samples) / RATE
    if text is not None or seconds <= pauses.LONGEST_S:
        yield Utterance(name, samples, text, speaker, None, None, str(path))
        return
    pieces = pauses.utterances(samples)
    log.warning(
        "%s: %.0f s, cut at its pauses into %d utterances; give --segments to cut it elsewhere",
        *(path, seconds, len(pieces)),
    )
    if not pieces:
        raise InputError(f"{path}: nothing but silence, expected some sound; give another file")
    for start, end in pieces:
        piece = samples[round(start * RATE) : round(end * RATE)]
        yield Utterance(f"{name}@{start:.2f}", piece, None, speaker, start, end, str(path))
