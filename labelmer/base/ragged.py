"""The ragged HDF5 file: many items of unequal length, flat in one memory-mappable dataset.

    /values   (total, ...) contiguous    item i is values[offsets[i]:offsets[i + 1]]
    /offsets  (items + 1) int64
    /ids      (items) UTF-8              sorted, unique
    /keys     (items, 32) uint8          digest of what item i was computed from; zeros: unfinished
    /marks    (total) UTF-8, text only   the token strings, with the same offsets
    /spans    (total, 2) int32, text     the characters [start, end) that each token covers
    attrs                                where the values come from

One flat, unchunked, uncompressed dataset is mapped, not read: several processes share one page
cache, and an item costs one slice. The audio, the features and the salience are all such files.
Here they are read; ragged_writer.py writes them, and a change of it changes no reader's code.
"""

import math
import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from labelmer.base.bfloat16 import BFLOAT16, Bfloat16, hdf5_bfloat16
from labelmer.base.digest import canonical_json, content_key
from labelmer.base.errors import InputError

FORMAT = 1
RATE = 16_000  # Hz, of all samples
KEY_BYTES = 32
FEATURE_DTYPE = "float16"
LARGEST = {  # finite number of each type that features may have
    "float16": float(np.finfo(np.float16).max),
    BFLOAT16: (2 - 2**-7) * 2.0**127,
    "float32": float(np.finfo(np.float32).max),
}


class NotRagged(InputError):
    """What is at a path is readable, and something else than a ragged file."""


class NotWhole(InputError):
    """What is at a path is readable, and a ragged file at best in part."""


def feature_params(
    encoder: str,
    layer: int | str,
    options: Mapping[str, object],
    code: str,
    dtype: str = FEATURE_DTYPE,
    device: str = "cpu",
    precision: str = "float32",
) -> str:
    """What all items of a file of features were computed with, as canonical JSON.

    encoder    digest of the encoder's files (`content` of its source.json)
    layer      index of the hidden states, from 0, or "all"
    options    of the encoder's family, by name
    code       digest of the code that computes a feature
    dtype      of the numbers in the file, one of LARGEST
    device     "cpu" or "cuda", and
    precision  of the arithmetic there, "float32" or "float16": a file holds features of one kind
    """
    parts = {"encoder": encoder, "layer": layer, "code": code, "dtype": dtype}
    return canonical_json({**options, **parts, "device": device, "precision": precision})


def feature_key(content: str | bytes, params: str) -> bytes:
    """Key of an item of features: its text, or the key of its segment, with feature_params()."""
    return content_key(content, params)


class Ragged:
    """A ragged file, mapped read-only.

    file[id_or_index] is a view of the item's values (length, ...); nothing is read before it is
    used. `ids`, `offsets`, `keys`, `attrs` and `dtype` (a name) are in memory; marks(id_or_index)
    lists the strings, spans(id_or_index) is where they stand. Values of bfloat16 are given as
    float32.

    No lock is asked for: nothing is ever written into a file that stands at its path. InputError:
    no such file, one that may not or cannot be read, one of a newer labelmer; NotRagged, NotWhole.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.path.open("rb").close()
            with h5py.File(path, "r", locking=False) as file:
                self.attrs = dict(file.attrs)
                self._check_format()
                self.ids = [i.decode() for i in _dataset(file, "ids")[:]]
                self.offsets = _dataset(file, "offsets")[:]
                self.keys = _dataset(file, "keys")[:]
                has = file.id.links.exists  # `in` would follow a link
                self._marks = _dataset(file, "marks")[:] if has(b"marks") else None
                self._spans = _dataset(file, "spans")[:] if has(b"spans") else None
                values = _dataset(file, "values")
                mapped = values.dtype, values.shape, values.id.get_offset()
                short = values.id.get_type() == hdf5_bfloat16()
            dtype, *rest = mapped
            self._check(*rest[:1])
            self.dtype = BFLOAT16 if short else str(dtype)  # as in the file
            values, self.mapping = _map(self.path, np.uint16 if short else dtype, *rest)
            self.values = Bfloat16(values) if short else values
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except IsADirectoryError:
            raise NotRagged(f"{path}: a folder, expected a ragged file; correct the name") from None
        except InputError:
            raise
        except Exception as error:  # what h5py raises depends on which bytes are damaged
            # With a number, it is the operating system that speaks, and not of what is in the file.
            if isinstance(error, OSError) and error.errno:
                raise InputError(
                    f"{path}: cannot be read ({os.strerror(error.errno)}); let it be read, and "
                    "run again; the file itself was left as it is"
                ) from None
            raise NotWhole(
                f"{path}: not a whole ragged HDF5 file ({error}); if no other program is writing "
                "it, move it away, and it is made anew"
            ) from None
        self.index = {name: i for i, name in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, name: str) -> bool:
        return name in self.index

    def __getitem__(self, item: str | int) -> np.ndarray:
        return self.values[self._rows(item)]

    def release(self) -> None:
        """Give back the memory of what was read: it is the page cache's, but counts as ours."""
        if self.mapping is not None:
            self.mapping.madvise(mmap.MADV_DONTNEED)

    def marks(self, item: str | int) -> list[str] | None:
        """The strings of an item's rows (tokens), or None where the file has no marks."""
        if self._marks is None:
            return None
        return [mark.decode(errors="replace") for mark in self._marks[self._rows(item)]]

    def spans(self, item: str | int) -> np.ndarray:
        """The characters [start, end) of its text that an item's rows (tokens) cover: (rows, 2)."""
        if self._spans is None:
            raise InputError(
                f"{self.path}: does not say where tokens stand in their text, as an earlier "
                "labelmer wrote it; move it away, and it is made anew"
            )
        return self._spans[self._rows(item)]

    def _check_format(self) -> None:
        found = self.attrs.get("format")
        if isinstance(found, int | np.integer) and found > FORMAT:
            raise InputError(
                f"{self.path}: ragged file format {found}, expected {FORMAT}: a newer labelmer "
                "wrote it; update labelmer, or let this one write elsewhere (another `name`)"
            )
        if found != FORMAT:
            raise NotRagged(
                f"{self.path}: an HDF5 file of ragged file format {found}, expected {FORMAT}: it "
                "is another program's; give another name, or move it away"
            )

    def _check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the parts of the file do not fit together."""
        items, steps = len(self.ids), np.diff(self.offsets)
        if len(self.offsets) != items + 1 or self.offsets.dtype != np.int64 or (steps < 0).any():
            raise ValueError("offsets that are not those of its items")
        if (self.offsets[0], self.offsets[-1]) != (0, shape[0]):
            raise ValueError(f"{shape[0]} rows, but offsets up to {self.offsets[-1]}")
        if self.keys.shape != (items, KEY_BYTES) or self.keys.dtype != np.uint8:
            raise ValueError(f"keys of shape {self.keys.shape}, expected {(items, KEY_BYTES)}")
        marks = self._marks
        if marks is not None and (marks.shape != shape[:1] or marks.dtype.kind != "S"):
            raise ValueError("marks that are not one string per row")
        spans = self._spans
        if spans is not None and (spans.shape != (shape[0], 2) or spans.dtype.kind != "i"):
            raise ValueError("spans that are not two whole numbers per row")

    def _rows(self, item: str | int) -> slice:
        if isinstance(item, str):
            if item not in self.index:
                raise InputError(f"{self.path}: id '{item}' is not in this file")
            item = self.index[item]
        return slice(self.offsets[item], self.offsets[item + 1])


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset that stands in the file itself, in one block, as all of a ragged file do.

    Looked at before it is read, as a file may come from anybody: a link, outer storage or another
    dataset's view would show what lies in other files, and what is packed, or claims more than
    there is, would take all memory. ValueError: it is none.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"no {name}, or a link to something else")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        raise ValueError(f"{name} without rows")
    layout, kind = dataset.id.get_create_plist(), dataset.dtype.kind
    whole = layout.get_layout() == h5py.h5d.CONTIGUOUS and not layout.get_external_count()
    if not whole:
        raise ValueError(f"{name} in pieces, packed or elsewhere, expected one contiguous block")
    if kind not in ("iuf" if name == "values" else "iuS"):
        raise ValueError(f"{name} of type {dataset.dtype}, which no ragged file has")
    size = math.prod(dataset.shape) * dataset.id.get_type().get_size()
    start, end = dataset.id.get_offset(), Path(file.filename).stat().st_size
    if size and (start is None or start + size > end):
        raise ValueError(f"{name} of {size} bytes, more than the file has")
    return dataset


def located(files: Iterable[Ragged], ids: Iterable[str]) -> list[tuple[Ragged, int]]:
    """Where items are: [(file, index in it)]; InputError if an id is in none of the files."""
    home = {name: file for file in files for name in file.ids}
    absent = [name for name in ids if name not in home]
    if absent:
        raise InputError(
            f"id '{absent[0]}' (and {len(absent) - 1} more) of the fold is in none of "
            f"{[str(file.path) for file in files]}; move them away, and they are made anew"
        )
    return [(home[name], home[name].index[name]) for name in ids]


def _map(
    path: Path, dtype: np.dtype | type, shape: tuple[int, ...], offset: int
) -> tuple[np.ndarray, mmap.mmap | None]:
    """The values on mapped memory, and the mapping; None where there is nothing to map."""
    if 0 in shape:
        return np.zeros(shape, dtype), None
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # A plain array: numpy's own class for mapped memory is slow to slice.
    values = np.frombuffer(mapping, dtype, int(np.prod(shape)), offset)
    return values.reshape(shape), mapping
