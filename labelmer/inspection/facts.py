"""What is in a ragged file, without a look at anything beside it."""

import difflib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from labelmer.base.progress import Progress
from labelmer.base.ragged import Ragged
from labelmer.base.stage import RUN

PIECE = 1 << 20  # numbers looked at in one go: 8 MB as float64
NAMED = 5  # items of a kind that are named
UNIT = 1e-3  # by so much may rounding move a sum of one


def about_salience(file: Ragged) -> dict[str, Any]:
    """Whose salience it is, its columns, and the items in which it is none: it must sum to one."""
    weights = {name: _salience(file, name) for name in file.ids}
    odd = [n for n, w in weights.items() if not ((w >= 0).all() and abs(w.sum() - 1) < UNIT)]
    return {
        "modality": attribute(file, "modality"),
        "run": ", ".join(str(attribute(file, name)) for name in RUN),
        "columns": _list(file, "columns"),
        "not_one": named(odd),
    }


def most_salient(file: Ragged, name: str) -> list:
    """The rows with most of an item's salience, as text: token or seconds, and how much."""
    weights, marks, rate = _salience(file, name), file.marks(name), rate_of(file)
    most = np.argsort(-weights, kind="stable")[:NAMED]
    where = [marks[i] if marks else f"{i / rate:.2f}s" if rate else str(i) for i in most]
    return [f"{place}:{weights[i]:.3f}" for place, i in zip(where, most, strict=True)]


def _salience(file: Ragged, name: str) -> Any:
    """An item's column of salience, as float64; empty where the file has none."""
    columns = _list(file, "columns")
    if "salience" not in columns or file.values.shape[1:] != (len(columns),):
        return np.zeros(0)
    return file[name][:, columns.index("salience")].astype(float)


def _list(file: Ragged, name: str) -> list:
    """An attribute that is a list as JSON; empty where it is none."""
    try:
        value = json.loads(str(attribute(file, name)))
    except ValueError:
        return []
    return list(map(str, value)) if isinstance(value, list) else []


@np.errstate(all="ignore")
def statistics(values: Any) -> dict[str, Any]:
    """Mean, sd, min, max and share of zeros of the finite numbers; how many are NaN and Inf."""
    count, zeros, nan, total, low, high = 0, 0, 0, 0.0, math.inf, -math.inf
    for piece in _pieces(values, np.float64):
        finite = piece[np.isfinite(piece)]
        count += finite.size
        zeros += finite.size - int(np.count_nonzero(finite))
        nan += int(np.count_nonzero(np.isnan(piece)))
        total += finite.sum()
        low, high = min(low, finite.min(initial=low)), max(high, finite.max(initial=high))
    mean, squares = total / max(count, 1), 0.0
    for piece in _pieces(values, np.float64):
        squares += np.square(piece[np.isfinite(piece)] - mean).sum()
    spread = {"mean": mean, "sd": np.sqrt(squares / max(count, 1)), "min": low, "max": high}
    spread["zeros"] = zeros / max(count, 1)
    known = {name: _plain(value) if count else None for name, value in spread.items()}
    return {**known, "nan": int(nan), "inf": int(values.size - nan - count)}


def unsound(file: Ragged) -> dict[str, Any]:
    """The items with NaN, those with Inf, and those of several numbers that are all the same."""
    found: dict[str, list[str]] = {"nan": [], "inf": [], "constant": []}
    with Progress("inspect", int(file.offsets[-1]), "rows") as progress:
        for index, name in enumerate(file.ids):
            values = file[index]
            for fault in _faults(values):
                found[fault].append(name)
            progress.advance(len(values))
    return {fault: named(names) for fault, names in found.items()}


@np.errstate(all="ignore")
def _faults(values: Any) -> set[str]:
    """Which of "nan", "inf" and "constant" an item is."""
    faults, low, high = set(), math.inf, -math.inf
    for piece in _pieces(values, np.promote_types(values.dtype, np.float32)):
        least, most = piece.min(), piece.max()  # both are NaN where one number is
        if not (np.isfinite(least) and np.isfinite(most)):
            faults |= {"nan"} if np.isnan(piece).any() else set()
            faults |= {"inf"} if np.isinf(piece).any() else set()
        low, high = min(low, least), max(high, most)
    return faults | ({"constant"} if low == high and values.size > 1 else set())


def _pieces(values: Any, dtype: Any) -> Iterator[np.ndarray]:
    """The numbers of an item, some rows at a time, so that memory does not grow with the item."""
    rows = max(1, PIECE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values) if values.size else 0, rows):
        yield values[start : start + rows].astype(dtype)


def rate_of(file: Ragged) -> float | None:
    """Rows per second, or None."""
    rate = attribute(file, "rate_hz")
    return rate if isinstance(rate, int | float) and rate > 0 else None


def attribute(file: Ragged, name: str) -> Any:
    """An attribute of the file as JSON has it; None where there is none."""
    return _plain(file.attrs.get(name))


def _plain(value: Any) -> Any:
    """A value of HDF5 or numpy as JSON has it; what JSON cannot hold is None, or its text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    return str(value).encode(errors="replace").decode()


def extreme(file: Ragged, lengths: np.ndarray, choose: Callable) -> dict[str, Any] | None:
    """The item that choose(lengths) gives, and its rows; None of a file without items."""
    if not len(lengths):
        return None
    index = int(choose(lengths))
    return {"id": file.ids[index], "rows": int(lengths[index])}


def nearest(name: str, ids: Iterable[str]) -> str:
    """The end of a complaint about an id that is not there: which ids are spelt most like it."""
    near = difflib.get_close_matches(name, ids, n=3, cutoff=0.0)
    return f"; the nearest are {', '.join(near)}" if near else ""


def named(names: Sequence[str]) -> dict[str, Any]:
    """How many items, and the first of them."""
    return {"count": len(names), "first": names[:NAMED]}
