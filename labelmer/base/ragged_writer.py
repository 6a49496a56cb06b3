"""Writing a ragged file (ragged.py): resumable, and seen by others only when it is whole."""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from labelmer.base.bfloat16 import BFLOAT16, hdf5_bfloat16, rounded
from labelmer.base.errors import InputError
from labelmer.base.files import refuse_loss, writing
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.base.ragged import FORMAT, KEY_BYTES, NotWhole, Ragged

HEADER_BYTES = 2**16  # of a file without items, with room to spare
COMMIT_S = 1.0  # between two times that what is written is made to last


class Writer:
    """Writes a ragged file item by item, in any order; it takes its place when it is whole.

    ids      item names, sorted and unique
    lengths  rows of each item (frames, tokens, samples)
    shape    shape of one row: () for samples, (width,) for features
    dtype    numpy's, or "bfloat16", to which numbers are rounded as they are written
    marks    per item a list of `length` strings, or None
    spans    per item whole numbers (length, 2), or None
    attrs    provenance: strings, numbers

    Used as a context manager. On a clean exit the new file replaces path in one step, and it is an
    error if an item was not written. Until then, and after an exception or a kill, path stays as
    it was. After take_over() the unfinished file lasts too, as PATH.part, for the next Writer.

    One process at a time writes a path: a second one says so, and waits. InputError: another
    program's file is there, there is not enough space, or the disk refuses to be written.
    """

    def __init__(
        self,
        path: Path | str,
        ids: Iterable[str],
        lengths: Sequence[int],
        shape: tuple[int, ...],
        dtype: str,
        attrs: Mapping[str, str | float],
        marks: Iterable[Iterable[str]] | None = None,
        spans: Iterable[np.ndarray] | None = None,
    ) -> None:
        ids = list(ids)
        if ids != sorted(set(ids)):
            raise ValueError(f"{path}: ids of a ragged file must be sorted and unique")
        self.path, self.ids = Path(path), ids
        self.part = self.path.with_name(self.path.name + ".part")
        self.place = self.path.with_name(self.path.name + ".new")  # where it is written
        self.offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.keys = np.zeros((len(ids), KEY_BYTES), np.uint8)
        self.short = dtype == BFLOAT16  # numpy does not know it: what is written are its bits
        self.shape = (int(self.offsets[-1]), *shape)
        self.dtype = np.dtype(np.uint16 if self.short else dtype)
        self.committed = time.monotonic()
        with writing(self.path), ExitStack() as stack:
            stack.enter_context(alone(self.path))
            _refuse_foreign(self.path)
            stack.callback(self._discard)
            self._create(attrs, marks, spans)
            self.stack = stack.pop_all()  # left at the end of the writing

    def _create(
        self,
        attrs: Mapping[str, str | float],
        marks: Iterable[Iterable[str]] | None,
        spans: Iterable[np.ndarray] | None,
    ) -> None:
        small = {"offsets": self.offsets, "ids": _fixed_utf8(self.ids)}
        if marks is not None:
            small["marks"] = _fixed_utf8([mark for item in marks for mark in item])
        if spans is not None:
            small["spans"] = np.concatenate([np.zeros((0, 2)), *spans]).astype(np.int32)
        header = HEADER_BYTES + self.keys.nbytes + sum(x.nbytes for x in small.values())
        needed = header + self.dtype.itemsize * int(np.prod(self.shape))
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise InputError(
                f"{self.path}: needs {needed / 1e9:.3f} GB, but only {free / 1e9:.3f} GB are free "
                "there; make room, or let `results` be a link to a larger disk"
            )
        # HDF5 crashes where it cannot write its header, as a quota may have it: we try before.
        self.place.write_bytes(bytes(header))
        # Its own lock would be on a file that nobody else looks at.
        with h5py.File(self.place, "w", locking=False) as file:
            file.attrs.update({"format": FORMAT, **attrs})
            for name, numbers in small.items():
                file[name] = numbers
            keys = _contiguous(file, "keys", self.keys.shape, _kind(np.uint8))
            values = _contiguous(
                file, "values", self.shape, hdf5_bfloat16() if self.short else _kind(self.dtype)
            )
            self.starts = values.id.get_offset(), keys.id.get_offset()
        self.file = self.place.open("r+b")

    def take_over(self, keys: Sequence[bytes]) -> tuple[set[int], set[int]]:
        """Copy the items that are there already under the given keys; from now on nothing is lost.

        keys: of every item, 32 bytes each.

        Returns two sets of indices: of the items that the file at path holds, and of those that an
        interrupted Writer left behind.
        """
        with writing(self.path):
            left = self._copied(self.part, keys)
            held = self._copied(self.path, keys)
            self._commit()
            os.replace(self.place, self.part)
        self.place = self.part
        return held, left

    def _copied(self, source: Path, keys: Sequence[bytes]) -> set[int]:
        """Indices of the items of a ragged file that have the given keys, after copying them."""
        if not source.exists():
            return set()
        try:
            old = Ragged(source)
        except NotWhole as error:
            log.warning("%s; nothing is taken over from it", error)
            return set()
        copied = set()
        for index, name in enumerate(self.ids):
            if name in old and old.keys[old.index[name]].tobytes() == keys[index]:
                self.write(index, old[name], keys[index])
                copied.add(index)
        return copied

    def write(self, index: int, values: np.ndarray, key: bytes) -> None:
        """Write item `index`: its values (length, ...) and its 32-byte key."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        expected = (int(stop - start), *self.shape[1:])
        if np.shape(values) != expected:
            raise ValueError(
                f"{self.path}: {self.ids[index]}: values of shape {np.shape(values)}, "
                f"expected {expected}"
            )
        with writing(self.path):
            if np.size(values):
                self.file.seek(self.starts[0] + int(start) * self.dtype.itemsize * self._row())
                numbers = rounded(values) if self.short else values
                self.file.write(np.ascontiguousarray(numbers, self.dtype).data)
            self.keys[index] = np.frombuffer(key, np.uint8)

    def commit(self) -> None:
        """Make what is written last, if it is a while since the last time."""
        if time.monotonic() - self.committed > COMMIT_S:
            with writing(self.path):
                self._commit()

    def _row(self) -> int:
        return int(np.prod(self.shape[1:]))

    def _commit(self) -> None:
        """Bring the values to the disk, and only then the keys that say that they are there."""
        if len(self.keys):
            self._synchronise()
            self.file.seek(self.starts[1])
            self.file.write(self.keys.data)
        self._synchronise()
        self.committed = time.monotonic()

    def _synchronise(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        unwritten = np.flatnonzero(~self.keys.any(axis=1))
        with self.stack:
            if kind is None and len(unwritten):
                raise ValueError(f"{self.path}: item {self.ids[unwritten[0]]} was never written")
            with writing(self.path):
                self._commit()
                self.file.close()
                if kind is None:
                    os.replace(self.place, self.path)

    def _discard(self) -> None:
        """Remove what was written, but for what the next Writer can take over."""
        if self.place != self.part:
            self.place.unlink(missing_ok=True)


def _refuse_foreign(path: Path) -> None:
    """InputError where another program's file stands, which the new one would replace."""
    if not path.exists():
        return
    try:
        Ragged(path)
    except NotWhole:
        refuse_loss(path, "HDF5 file", h5py.is_hdf5)


def _kind(dtype: type | np.dtype) -> h5py.h5t.TypeID:
    return h5py.h5t.py_create(np.dtype(dtype), logical=True)


def _contiguous(
    file: h5py.File, name: str, shape: tuple[int, ...], kind: h5py.h5t.TypeID
) -> h5py.Dataset:
    """An unchunked dataset with its space in the file taken at once, so that it has an address."""
    space = h5py.h5s.create_simple(shape)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # equal content, equal bytes
    layout.set_layout(h5py.h5d.CONTIGUOUS)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_ALLOC if name == "keys" else h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, name.encode(), kind, space, layout)
    return file[name]


def _fixed_utf8(strings: Iterable[str]) -> np.ndarray:
    """Fixed-length UTF-8: one flat block that every HDF5 tool reads."""
    encoded = [s.encode() for s in strings]
    longest = max(map(len, encoded), default=1) or 1
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))
