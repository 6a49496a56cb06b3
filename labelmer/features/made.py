"""Features made elsewhere: a folder with one ID.npy per utterance, as other toolkits write them.

Each holds floating-point numbers (frames, width), or (width,) for the whole utterance. An id with a
slash is a file in a subfolder. Nothing is unpickled.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError
from labelmer.base.files import leaves
from labelmer.base.names import meant
from labelmer.base.ragged import RATE
from labelmer.features.items import Items

NAMED = 5  # ids that a message names
SLACK = 0.1, 3  # share and number of the frames by which a file may be off its audio


def path_of(folder: Path | str, name: str) -> Path:
    """Where the features of an utterance stand."""
    return Path(folder) / f"{name}.npy"


def names_in(folder: Path | str) -> list[str]:
    """The names that the files of a folder bear, sorted."""
    found = Path(folder).rglob("*.npy")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in found)


def check_names(folder: Path | str, names: Iterable[str]) -> None:
    """InputError if an utterance has no file in the folder."""
    wanted = list(names)
    if outside := [name for name in wanted if leaves(name)]:
        raise InputError(
            f"{folder}: {listed(outside)}: their files would not lie in this folder; rename these "
            "utterances in the corpus"
        )
    missing = [name for name in wanted if not path_of(folder, name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: no file for {len(missing)} of {len(wanted)} utterances: {listed(missing)}; "
            "expected ID.npy for each; make these too, or correct the files' names"
            f"{meant(missing[0], names_in(folder))}"
        )


def listed(names: Sequence[str]) -> str:
    """The first of some names, quoted."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more


def width_of(folder: Path | str) -> int:
    """The width of a folder's features, by the first of its files. InputError: it has none."""
    if not Path(folder).is_dir():
        raise InputError(f"there is no folder {folder}; correct the path")
    names = names_in(folder)
    if not names:
        raise InputError(f"{folder}: no file ends in .npy, expected ID.npy for each utterance")
    return read(path_of(folder, names[0])).shape[1]


def read(path: Path) -> np.ndarray:
    """The features in a file, (frames, width), mapped; InputError if they are none."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); expected an array of numbers as numpy.save writes "
            "it; make the file anew"
        ) from None
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.size == 0:
        shape = getattr(array, "shape", "several arrays")
        raise InputError(
            f"{path}: {shape}, expected the shape (frames, width), or (width,) for the whole "
            "utterance; make the file anew"
        )
    if array.dtype.kind != "f":
        raise InputError(
            f"{path}: numbers of type {array.dtype}, expected floating-point ones; make the file "
            "anew"
        )
    return np.atleast_2d(array)


class Arrays(Sequence[np.ndarray]):
    """The features of some files, each mapped when it is asked for: files may be many."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> "Arrays": ...
    def __getitem__(self, index: int | slice) -> "np.ndarray | Arrays":
        if isinstance(index, slice):
            return Arrays(self.paths[index])
        return read(self.paths[index])


def found(items: Items, folder: Path | str, width: int, rate_hz: float | None) -> Items:
    """The features of some utterances, in place of their audio.

    items: segments; rate_hz: frames per second; None: one row for each utterance. InputError: an
    utterance without a file, a file of another width, of numbers that are not finite, or of a
    length that is not its audio's.
    """
    check_names(folder, items.ids)
    arrays = Arrays([path_of(folder, name) for name in items.ids])
    for path, array, samples in zip(arrays.paths, arrays, items.inputs, strict=True):
        _check(path, array, width)
        _check_rows(path, len(array), len(samples) / RATE, rate_hz)
    contents = [file_digest(path) for path in arrays.paths]
    return Items(items.modality, items.ids, arrays, contents, rate_hz or 1)


def _check(path: Path, array: np.ndarray, width: int) -> None:
    if array.shape[1] != width:
        raise InputError(
            f"{path}: rows of {array.shape[1]} numbers, expected {width} as in the first file of "
            "the folder; make all with one model"
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"{path}: {array[row, column]} at row {row}, column {column}, expected finite "
            "numbers; make the file anew, or take the utterance out of the corpus"
        )


def _check_rows(path: Path, rows: int, seconds: float, rate_hz: float | None) -> None:
    if rate_hz is None and rows != 1:
        raise InputError(
            f"{path}: {rows} rows for {seconds:.2f} s, expected one, as the encoder has no "
            f"`rate_hz`; add it: {rows / max(seconds, 1 / RATE):.4g} by this file"
        )
    wanted = seconds * (rate_hz or 0)
    if rate_hz is not None and abs(rows - wanted) > max(SLACK[0] * wanted, SLACK[1]):
        raise InputError(
            f"{path}: {rows} rows for {seconds:.2f} s, expected about {wanted:.0f} by `rate_hz` "
            f"{rate_hz:g}; correct it, or make the file of this very audio"
        )
