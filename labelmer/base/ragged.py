"""The ragged HDF5 file: many items of unequal length, flat in one memory-mappable dataset.

    /values   (total, ...) contiguous    item i is values[offsets[i]:offsets[i + 1]]
    /offsets  (items + 1) int64
    /ids      (items) UTF-8              sorted, unique
    /keys     (items, 32) uint8          digest of what item i was computed from; zeros: unfinished
    /marks    (total) UTF-8, text only   the token strings, with the same offsets
    attrs                                where the values come from

One flat, unchunked, uncompressed dataset is mapped, not read: several processes share one page
cache, and an item costs one slice. The audio, the features and the salience are all such files.
"""

import logging
import mmap
import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np

from labelmer.base.digest import canonical_json, content_key
from labelmer.base.errors import InputError
from labelmer.base.lock import alone

log = logging.getLogger("labelmer")

FORMAT = 1
RATE = 16_000  # Hz, of all samples
KEY_BYTES = 32
FEATURE_DTYPE = "float16"
BFLOAT16 = "bfloat16"
LARGEST = {  # finite number of each type that features may have
    "float16": float(np.finfo(np.float16).max),
    BFLOAT16: (2 - 2**-7) * 2.0**127,
    "float32": float(np.finfo(np.float32).max),
}
HEADER_BYTES = 2**16  # of a file without items, with room to spare
COMMIT_S = 1.0  # between two times that what is written is made to last


class NotRagged(InputError):
    """What is at a path is readable, and something else than a ragged file."""


class NotWhole(InputError):
    """What is at a path is readable, and a ragged file at best in part."""


def feature_params(
    encoder, layer, options, code, dtype=FEATURE_DTYPE, device="cpu", precision="float32"
):
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


def feature_key(content, params):
    """Key of an item of features: its text, or the key of its segment, with feature_params()."""
    return content_key(content, params)


class Writer:
    """Writes a ragged file item by item, in any order; it takes its place when it is whole.

    ids      item names, sorted and unique
    lengths  rows of each item (frames, tokens, samples)
    shape    shape of one row: () for samples, (width,) for features
    dtype    numpy's, or "bfloat16", to which numbers are rounded as they are written
    marks    per item a list of `length` strings, or None
    attrs    provenance: strings, numbers

    Used as a context manager. On a clean exit the new file replaces path in one step, and it is an
    error if an item was not written. Until then, and after an exception or a kill, path stays as
    it was. After take_over() the unfinished file lasts too, as PATH.part, for the next Writer.

    One process at a time writes a path: a second one says so, and waits. InputError: there is not
    enough space, or the disk refuses to be written.
    """

    def __init__(self, path, ids, lengths, shape, dtype, attrs, marks=None):
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
        with self._written(), ExitStack() as stack:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(self.path))
            stack.callback(self._discard)
            self._create(attrs, marks)
            self.stack = stack.pop_all()  # left at the end of the writing

    def _create(self, attrs, marks):
        names, marked = _fixed_utf8(self.ids), None
        if marks is not None:
            marked = _fixed_utf8([mark for item in marks for mark in item])
        header = HEADER_BYTES + sum(x.nbytes for x in (names, self.offsets, self.keys))
        header += 0 if marked is None else marked.nbytes
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
            file["offsets"] = self.offsets
            file["ids"] = names
            if marked is not None:
                file["marks"] = marked
            keys = _contiguous(file, "keys", self.keys.shape, _kind(np.uint8))
            values = _contiguous(
                file, "values", self.shape, _bfloat16() if self.short else _kind(self.dtype)
            )
            self.starts = values.id.get_offset(), keys.id.get_offset()
        self.file = self.place.open("r+b")

    def take_over(self, keys):
        """Copy the items that are there already under the given keys; from now on nothing is lost.

        keys: of every item, 32 bytes each.

        Returns two sets of indices: of the items that the file at path holds, and of those that an
        interrupted Writer left behind.
        """
        with self._written():
            left = self._copied(self.part, keys)
            held = self._copied(self.path, keys)
            self._commit()
            os.replace(self.place, self.part)
        self.place = self.part
        return held, left

    def _copied(self, source, keys):
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

    def write(self, index, values, key):
        """Write item `index`: its values (length, ...) and its 32-byte key."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        expected = (int(stop - start), *self.shape[1:])
        if np.shape(values) != expected:
            raise ValueError(
                f"{self.path}: {self.ids[index]}: values of shape {np.shape(values)}, "
                f"expected {expected}"
            )
        with self._written():
            if np.size(values):
                self.file.seek(self.starts[0] + int(start) * self.dtype.itemsize * self._row())
                numbers = _rounded(values) if self.short else values
                self.file.write(np.ascontiguousarray(numbers, self.dtype))
            self.keys[index] = np.frombuffer(key, np.uint8)

    def commit(self):
        """Make what is written last, if it is a while since the last time."""
        if time.monotonic() - self.committed > COMMIT_S:
            with self._written():
                self._commit()

    def _row(self):
        return int(np.prod(self.shape[1:]))

    def _commit(self):
        """Bring the values to the disk, and only then the keys that say that they are there."""
        if len(self.keys):
            self._synchronise()
            self.file.seek(self.starts[1])
            self.file.write(self.keys)
        self._synchronise()
        self.committed = time.monotonic()

    def _synchronise(self):
        self.file.flush()
        os.fsync(self.file.fileno())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        unwritten = np.flatnonzero(~self.keys.any(axis=1))
        with self.stack:
            if kind is None and len(unwritten):
                raise ValueError(f"{self.path}: item {self.ids[unwritten[0]]} was never written")
            with self._written():
                self._commit()
                self.file.close()
                if kind is None:
                    os.replace(self.place, self.path)

    def _discard(self):
        """Remove what was written, but for what the next Writer can take over."""
        if self.place != self.part:
            self.place.unlink(missing_ok=True)

    @contextmanager
    def _written(self):
        """What the operating system says against writing, as an InputError."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror or error}); make room there, or "
                "correct its permissions; what was there before is whole"
            ) from error


class Ragged:
    """A ragged file, mapped read-only.

    file[id_or_index] is a view of the item's values (length, ...); nothing is read before it is
    used. `ids`, `offsets`, `keys`, `attrs` and `dtype` (a name) are in memory; marks(id_or_index)
    lists the strings. Values of bfloat16 are given as float32.

    No lock is asked for: nothing is ever written into a file that stands at its path. InputError:
    no such file, one that may not or cannot be read, one of a newer labelmer; NotRagged, NotWhole.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            self.path.open("rb").close()
            with h5py.File(path, "r", locking=False) as file:
                self.attrs = dict(file.attrs)
                self._check_format()
                self.ids = [i.decode() for i in file["ids"][:]]
                self.offsets = file["offsets"][:]
                self.keys = file["keys"][:]
                self._marks = file["marks"][:] if "marks" in file else None
                values = file["values"]
                mapped = values.dtype, values.shape, values.id.get_offset()
                short = values.id.get_type() == _bfloat16()
            self._check(*mapped)
            dtype, *rest = mapped
            self.dtype = BFLOAT16 if short else str(dtype)  # as in the file
            self.values, self.mapping = _map(self.path, np.uint16 if short else dtype, *rest)
            self.values = Bfloat16(self.values) if short else self.values
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

    def __len__(self):
        return len(self.ids)

    def __contains__(self, name):
        return name in self.index

    def __getitem__(self, item):
        return self.values[self._rows(item)]

    def release(self):
        """Give back the memory of what was read: it is the page cache's, but counts as ours."""
        if self.mapping is not None:
            self.mapping.madvise(mmap.MADV_DONTNEED)

    def marks(self, item):
        """The strings of an item's rows (tokens), or None where the file has no marks."""
        if self._marks is None:
            return None
        return [mark.decode(errors="replace") for mark in self._marks[self._rows(item)]]

    def _check_format(self):
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

    def _check(self, dtype, shape, place):
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
        if dtype.kind not in "iuf" or (place is None and 0 not in shape):
            raise ValueError(f"values of {dtype}, expected one contiguous block of numbers")

    def _rows(self, item):
        if isinstance(item, str):
            if item not in self.index:
                raise InputError(f"{self.path}: id '{item}' is not in this file")
            item = self.index[item]
        return slice(self.offsets[item], self.offsets[item + 1])


def located(files, ids):
    """Where items are: [(file, index in it)]; InputError if an id is in none of the files."""
    home = {name: file for file in files for name in file.ids}
    absent = [name for name in ids if name not in home]
    if absent:
        raise InputError(
            f"id '{absent[0]}' (and {len(absent) - 1} more) of the fold is in none of "
            f"{[str(file.path) for file in files]}; move them away, and they are made anew"
        )
    return [(home[name], home[name].index[name]) for name in ids]


class Bfloat16:
    """Numbers of bfloat16 in memory, where numpy sees their bits; a slice is float32."""

    dtype = np.dtype(np.float32)

    def __init__(self, bits):
        self.bits, self.shape, self.ndim = bits, bits.shape, bits.ndim

    def __getitem__(self, rows):
        return (self.bits[rows].astype(np.uint32) << 16).view(np.float32)


def _rounded(values):
    """The bits of the bfloat16 nearest to each number, of two equally near the even one."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _bfloat16():
    """HDF5's description of bfloat16, by which every HDF5 tool reads it."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)  # where sign, exponent and mantissa are
    kind.set_size(2)
    return kind


def _kind(dtype):
    return h5py.h5t.py_create(np.dtype(dtype), logical=True)


def _contiguous(file, name, shape, kind):
    """An unchunked dataset with its space in the file taken at once, so that it has an address."""
    space = h5py.h5s.create_simple(shape)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # equal content, equal bytes
    layout.set_layout(h5py.h5d.CONTIGUOUS)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_ALLOC if name == "keys" else h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, name.encode(), kind, space, layout)
    return file[name]


def _map(path, dtype, shape, offset):
    """The values on mapped memory, and the mapping; None where there is nothing to map."""
    if 0 in shape:
        return np.zeros(shape, dtype), None
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # A plain array: numpy's own class for mapped memory is slow to slice.
    values = np.frombuffer(mapping, dtype, int(np.prod(shape)), offset)
    return values.reshape(shape), mapping


def _fixed_utf8(strings):
    """Fixed-length UTF-8: one flat block that every HDF5 tool reads."""
    encoded = [s.encode() for s in strings]
    longest = max(map(len, encoded), default=1) or 1
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))
