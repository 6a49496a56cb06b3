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

import os
from pathlib import Path

import h5py
import numpy as np

from labelmer.digest import canonical_json, content_key
from labelmer.errors import InputError

FORMAT = 1
KEY_BYTES = 32
FEATURE_DTYPE = "float16"


def feature_params(encoder, layer, window_s, code):
    """What all items of a file of features were computed with, as canonical JSON.

    encoder   digest of the encoder's files (`content` of its source.json)
    layer     index of the hidden states, from 0, or "all"
    window_s  seconds of speech that the encoder sees at once, or None
    code      digest of the code that computes a feature
    """
    parts = {"encoder": encoder, "layer": layer, "window_s": window_s and float(window_s)}
    return canonical_json({**parts, "dtype": FEATURE_DTYPE, "code": code})


def feature_key(content, params):
    """Key of an item of features: its text, or the key of its segment, with feature_params()."""
    return content_key(content, params)


class Writer:
    """Writes a ragged file item by item, in any order, into a part file that then takes its place.

    ids      item names, sorted and unique
    lengths  rows of each item (frames, tokens, samples)
    shape    shape of one row: () for samples, (width,) for features
    marks    per item a list of `length` strings, or None
    attrs    provenance: strings, numbers

    Used as a context manager: on a clean exit the part file replaces path in one step, and it is
    an error if an item was not written; on an exception the part file is removed and path stays
    as it was.
    """

    def __init__(self, path, ids, lengths, shape, dtype, attrs, marks=None):
        ids = list(ids)
        if ids != sorted(set(ids)):
            raise ValueError(f"{path}: ids of a ragged file must be sorted and unique")
        self.path, self.ids = Path(path), ids
        self.part = self.path.with_name(self.path.name + ".part")
        self.offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        total = int(self.offsets[-1])
        with h5py.File(self.part, "w") as file:
            file.attrs.update({"format": FORMAT, **attrs})
            file["offsets"] = self.offsets
            file["ids"] = _fixed_utf8(ids)
            if marks is not None:
                file["marks"] = _fixed_utf8([mark for item in marks for mark in item])
            values = _contiguous(file, "values", (total, *shape), dtype)
            keys = _contiguous(file, "keys", (len(ids), KEY_BYTES), np.uint8)
            places = values.id.get_offset(), keys.id.get_offset()
        self.values = _map(self.part, dtype, (total, *shape), places[0], "r+")
        self.keys = _map(self.part, np.uint8, (len(ids), KEY_BYTES), places[1], "r+")

    def write(self, index, values, key):
        """Write item `index`: its values (length, ...) and its 32-byte key."""
        start, stop = self.offsets[index], self.offsets[index + 1]
        expected = (int(stop - start), *self.values.shape[1:])
        if np.shape(values) != expected:
            raise ValueError(
                f"{self.path}: {self.ids[index]}: values of shape {np.shape(values)}, "
                f"expected {expected}"
            )
        self.values[start:stop] = values
        self.keys[index] = np.frombuffer(key, np.uint8)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        unwritten = np.flatnonzero(~self.keys.any(axis=1))
        for mapped in (self.values, self.keys):
            if isinstance(mapped, np.memmap):
                mapped.flush()
        if kind is None and not len(unwritten):
            os.replace(self.part, self.path)
            return
        self.part.unlink(missing_ok=True)
        if kind is None:
            raise ValueError(f"{self.path}: item {self.ids[unwritten[0]]} was never written")


class Ragged:
    """A ragged file, mapped read-only.

    file[id_or_index] is a view of the item's values (length, ...); nothing is read before it is
    used. `ids`, `offsets`, `keys` and `attrs` are in memory; marks(id_or_index) lists the strings.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            with h5py.File(path, "r") as file:
                self.attrs = dict(file.attrs)
                if self.attrs.get("format") != FORMAT:
                    raise InputError(
                        f"{path}: ragged file format {self.attrs.get('format')}, expected "
                        f"{FORMAT}; remove the file, and it is made anew"
                    )
                self.ids = [i.decode() for i in file["ids"][:]]
                self.offsets = file["offsets"][:]
                self.keys = file["keys"][:]
                self._marks = file["marks"][:] if "marks" in file else None
                values = file["values"]
                mapped = values.dtype, values.shape, values.id.get_offset()
            self._check(*mapped)
            # A plain array on the mapped memory: numpy's own class for it is slow to slice.
            self.values = np.asarray(_map(self.path, *mapped, "r"))
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file") from None
        except InputError:
            raise
        except Exception as error:  # what h5py raises depends on which bytes are damaged
            raise InputError(
                f"{path}: not a whole ragged HDF5 file ({error}); remove it, and it is made anew"
            ) from None
        self.index = {name: i for i, name in enumerate(self.ids)}

    def __len__(self):
        return len(self.ids)

    def __contains__(self, name):
        return name in self.index

    def __getitem__(self, item):
        return self.values[self._rows(item)]

    def marks(self, item):
        """The strings of an item's rows (tokens), or None where the file has no marks."""
        if self._marks is None:
            return None
        return [mark.decode(errors="replace") for mark in self._marks[self._rows(item)]]

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


def _contiguous(file, name, shape, dtype):
    """An unchunked dataset with its space in the file taken at once, so that it has an address."""
    space = h5py.h5s.create_simple(shape)
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # equal content, equal bytes
    layout.set_layout(h5py.h5d.CONTIGUOUS)
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_ALLOC if name == "keys" else h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(np.dtype(dtype), logical=True)
    h5py.h5d.create(file.id, name.encode(), kind, space, layout)
    return file[name]


def _map(path, dtype, shape, offset, mode):
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype=dtype, mode=mode, shape=shape, offset=offset)


def _fixed_utf8(strings):
    """Fixed-length UTF-8: one flat block that every HDF5 tool reads."""
    encoded = [s.encode() for s in strings]
    longest = max(map(len, encoded), default=1) or 1
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))
