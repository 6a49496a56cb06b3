"""Ragged features -> padded batches with their masks, and a model's passes over them."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.ragged import located
from labelmer.learning.origin import opened

CPU_ROWS = 8192  # that go through a model at once
# Bytes for which a GPU takes one more row. With a base encoder's features, training keeps 15 KiB of
# a row, and 58 KiB where the features hold all layers; the rest is for other jobs and the features.
GPU_MEMORY_PER_ROW = 2**19
KEPT_BYTES = 2**30  # of features, on a CPU; on a GPU half of its free memory
EVALUATED = 64  # utterances of a batch that is only predicted


class Features:
    """One modality's features of some utterances, mapped from the sessions' ragged files.

    paths   ragged feature files by one encoder; together they hold every id
    ids     utterances, in the order by which items are numbered
    stride  this many neighbouring rows are averaged into one; the last mean is over what is left

    features[i] is a float32 array (rows, *row), where row is (width,), or (layers, width) if the
    files hold all layers. Means are rounded to the files' own type. Nothing stays in memory but
    the system's page cache, until keep() puts all rows on a device.
    """

    def __init__(self, paths: Iterable[Path | str], ids: Iterable[str], stride: int = 1) -> None:
        self.files = opened(paths)
        self.items = located(self.files, ids)
        self.stride = stride
        self.attrs = self.files[0].attrs
        self.row = self.files[0].values.shape[1:]
        self.dtype = torch.from_numpy(np.empty(0, self.files[0].values.dtype)).dtype
        rows = [file.offsets[i + 1] - file.offsets[i] for file, i in self.items]
        self.lengths = -(-np.array(rows, dtype=np.int64) // stride)
        self.kept: Any = (
            None  # on a device: all rows, one item after the other, and each item's first
        )
        # row and number of rows

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> np.ndarray:
        if self.kept is not None and self.kept[0].device.type == "cpu":
            rows, starts, lengths = self.kept
            return rows[starts[number] :][: lengths[number]].float().numpy()
        return self._rows(number).float().numpy()

    def marks(self, number: int) -> list[str] | None:
        """The token strings of an item's rows, or None where the files have none."""
        file, index = self.items[number]
        return file.marks(index)

    def spans(self, number: int) -> np.ndarray:
        """The characters that an item's rows (tokens) cover: (rows, 2)."""
        file, index = self.items[number]
        return file.spans(index)

    @property
    def size(self) -> int:
        """Bytes of all rows that a model sees."""
        return int(self.lengths.sum() * np.prod(self.row)) * self.dtype.itemsize

    def keep(self, device: torch.device | str) -> None:
        """Put all rows on a device, averaged once; batches are gathered there from then on."""
        if self.kept is not None:
            return
        kept = torch.empty((int(self.lengths.sum()), *self.row), dtype=self.dtype, device=device)
        for number, place in enumerate(kept.split(self.lengths.tolist())):
            place.copy_(self._rows(number))
            self.items[number][0].release()
        starts = torch.from_numpy(np.cumsum(self.lengths) - self.lengths).to(device)
        self.kept = kept, starts, torch.from_numpy(self.lengths).to(device)

    def subset(self, numbers: np.ndarray) -> "Features":
        """Those of the items, in that order, with the same rows."""
        some = copy.copy(self)
        some.items, some.lengths = [self.items[i] for i in numbers], self.lengths[numbers]
        if self.kept is not None:
            rows, *places = self.kept
            there = torch.from_numpy(numbers).to(rows.device)
            some.kept = rows, *(place[there] for place in places)
        return some

    def batch(self, numbers: np.ndarray, pinned: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Items as (values (B, T, *row), mask (B, T)); the mask is False on padding.

        pinned: in memory from which a GPU copies by itself.
        """
        longest = int(self.lengths[numbers].max())
        if self.kept is not None:
            return self._gathered(numbers, longest)
        shape = len(numbers), longest, *self.row
        values = torch.zeros(shape, dtype=self.dtype, pin_memory=pinned)
        for place, number in zip(values, numbers, strict=True):
            place[: self.lengths[number]] = self._rows(number)
        for file in self.files:
            file.release()
        mask = torch.arange(longest) < torch.from_numpy(self.lengths[numbers])[:, None]
        return values, mask.pin_memory() if pinned else mask

    def _rows(self, number: int) -> torch.Tensor:
        """An item's rows (rows, *row), neighbours averaged."""
        file, index = self.items[number]
        rows = torch.tensor(file[index])
        if self.stride == 1:
            return rows
        sums = torch.zeros((int(self.lengths[number]), *self.row))
        for neighbour in range(self.stride):
            some = rows[neighbour :: self.stride]
            sums[: len(some)] += some
        counts = torch.full((len(sums),), self.stride)
        counts[-1] = len(rows) - self.stride * (len(sums) - 1)
        return (sums / counts.view(-1, *[1] * len(self.row))).to(self.dtype)

    def _gathered(self, numbers: np.ndarray, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch from what a device keeps; nothing waits for the device."""
        kept, starts, lengths = self.kept
        numbers = torch.from_numpy(np.asarray(numbers)).to(kept.device, non_blocking=True)
        step = torch.arange(longest, device=kept.device)
        mask = step < lengths[numbers, None]  # (B, T)
        values = kept[torch.where(mask, starts[numbers, None] + step, 0)]
        return values.masked_fill_(~mask.view(*mask.shape, *[1] * len(self.row)), 0), mask


def rows_at_once(device: torch.device | str) -> int:
    """How many rows go through a model at once: of all modalities, with their padding."""
    device = torch.device(device)
    if device.type == "cpu":
        return CPU_ROWS
    # Of all its memory, not of what is free: equal seeds find equal batches.
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, memory // GPU_MEMORY_PER_ROW)


def in_order(
    lengths: np.ndarray | Sequence[int], size: int, rows: int | None = None
) -> list[np.ndarray]:
    """Batches of up to `size` items, shortest first: a list of arrays of item numbers.

    rows: a batch that has more with its padding is cut into pieces that do not, of about equally
    many items; an item that has more goes alone.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(lengths, kind="stable")
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    if rows is None:
        return batches
    return [
        piece
        for batch in batches
        for piece in np.array_split(batch, -(-len(batch) // max(1, rows // lengths[batch[-1]])))
    ]


def shuffled(items: int, size: int, generator: np.random.Generator) -> list[np.ndarray]:
    """An epoch of `items` items in random batches of up to `size`: a list of arrays of numbers.

    Which items meet is left to chance alone, and no batch is a small remainder: their sizes differ
    by one at most. generator: numpy.random.Generator.
    """
    return np.array_split(generator.permutation(items), -(-items // size))


def statistics(
    features: Features, labels: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and sd, of a row's shape, over a training part, and the means of its classes.

    labels: class number of each item; the third is (classes, *row). A dimension that never
    changes has sd 1.
    """
    total = np.zeros((classes, *features.row))
    squares = np.zeros(features.row)
    # The sums of an item are of float32, which is exact enough near zero.
    centre = features[int(features.lengths.argmax())].mean(0)
    for number, label in enumerate(labels):
        values = torch.from_numpy(features[number] - centre)
        total[label] += values.sum(0).numpy()
        squares += values.square_().sum(0).numpy()
    rows = np.bincount(labels, features.lengths, classes)
    mean = total.sum(0) / rows.sum()
    variance = squares / rows.sum() - mean**2
    sd = np.where(variance > 1e-10, np.sqrt(np.maximum(variance, 1e-10)), 1.0)
    return centre + mean, sd, centre + total / rows.reshape(-1, *[1] * len(features.row))


@dataclass
class Part:
    """Utterances of a part of a fold: {modality: Features}, class numbers (N,), {modality: Turns}.

    The turns around them (context.py) are there for models that look at these.
    """

    features: dict
    labels: np.ndarray
    context: dict = field(default_factory=dict)
    waited: float = 0.0  # seconds for which a batch was waited for, so far

    @property
    def size(self) -> int:
        """Bytes of the features that a model sees."""
        return sum(f.size for f in [*self.features.values(), *self.context.values()])

    def lengths(self) -> np.ndarray:
        """Rows of each utterance, all modalities together."""
        return sum(f.lengths for f in self.features.values())

    def subset(self, chosen: np.ndarray | pd.Series) -> "Part":
        """The part's utterances that a mask (N,) chooses, with the same rows."""
        numbers = np.flatnonzero(chosen)
        features, context = (
            {m: of_modality.subset(numbers) for m, of_modality in both.items()}
            for both in (self.features, self.context)
        )
        return Part(features, self.labels[numbers], context)

    def keep(self, device: torch.device | str) -> None:
        """Keep all rows on a device, averaged once, if they take a fair share of its memory."""
        device = torch.device(device)
        if device.type == "cuda" and self.size > torch.cuda.mem_get_info(device)[0] / 2:
            log.info(
                "%d MB of features are more than half of the GPU's free memory: batches come "
                "from pinned memory",
                self.size / 1e6,
            )
        elif device.type == "cuda" or self.size <= KEPT_BYTES:
            for features in self.features.values():
                # Where nothing is averaged, the system's page cache does as well.
                if device.type == "cuda" or features.stride > 1:
                    features.keep(device)
            self.context = {m: turns.keep(device) for m, turns in self.context.items()}
        elif any(features.stride > 1 for features in self.features.values()):
            log.info(
                "%d MB of features are more than the %d MB that are kept in memory: frames are "
                "averaged anew in each batch",
                *(self.size / 1e6, KEPT_BYTES / 1e6),
            )

    def batches(
        self, groups: Iterable[np.ndarray], device: torch.device | str
    ) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
        """Inputs {modality: (values, mask)} and labels (B,) of each group of utterance numbers.

        Of a part with context they have {modality: (values, who)} as "context", too. Rows that a
        GPU does not keep are made ready in pinned memory while it still computes.
        """
        device = torch.device(device)
        if device.type == "cpu" or all(f.kept for f in self.features.values()):
            made: Iterator[Any] = (self._made(numbers) for numbers in groups)
        else:
            made = _ahead(lambda numbers: self._made(numbers, pinned=True), groups)
        while True:
            start = time.perf_counter()
            batch = next(made, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            inputs, context, labels = batch
            given = _floats(inputs, device)
            if context:
                given["context"] = _floats(context, device)
            yield given, labels.to(device, non_blocking=True)

    def _made(
        self, numbers: np.ndarray, pinned: bool = False
    ) -> tuple[dict[str, Any], dict[str, Any], torch.Tensor]:
        inputs, context = (
            {m: of_modality.batch(numbers, pinned) for m, of_modality in both.items()}
            for both in (self.features, self.context)
        )
        return inputs, context, torch.from_numpy(self.labels[numbers])


def _floats(
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], device: torch.device
) -> dict[str, Any]:
    """{modality: (values, which)} on a device, the values as float32."""
    moved = {m: [x.to(device, non_blocking=True) for x in pair] for m, pair in pairs.items()}
    return {m: (values.float(), which) for m, (values, which) in moved.items()}


def _ahead(make: Callable[[Any], Any], groups: Iterable[Any]) -> Iterator[Any]:
    """make(group) of each group, the next one begun in a thread before one is given out."""
    with ThreadPoolExecutor(1) as thread:
        waiting = None
        for group in groups:
            coming = thread.submit(make, group)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


def class_numbers(labels: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Numbers (N,) of labels in the list of classes; InputError if one is not among them."""
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise InputError(f"fold table: labels {unknown}, expected some of {classes}; split anew")
    return np.array([classes.index(label) for label in labels], dtype=np.int64)


def class_weights(labels: np.ndarray, classes: int) -> torch.Tensor:
    """n / (C n_c) for each of C classes, from the class numbers of a training part: (C,).

    InputError: a class that has none, whose weight would be infinite.
    """
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise InputError(
            f"class {int(counts.argmin()) + 1} of {classes} has no training utterance, expected "
            "some of each; correct the classes, or split anew"
        )
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


def load_part(
    table: pd.DataFrame,
    paths: Mapping[str, Iterable[Path | str]],
    classes: Sequence[str],
    modalities: Iterable[str],
    frame_stride: int,
) -> Part:
    """The utterances of a table (columns id, label) and their features.

    paths: {modality: feature files}; classes: names in order; frame_stride: speech frames that
    are averaged into one.
    """
    labels = class_numbers(table.label, classes)
    strides = {"speech": frame_stride, "text": 1}
    features = {m: Features(paths[m], table.id, strides[m]) for m in modalities}
    return Part(features, labels)


@torch.inference_mode()
def passes(model: torch.nn.Module, part: Part) -> Iterator[tuple[np.ndarray, dict[str, Any], Any]]:
    """Every batch of a part through a model: (item numbers, inputs, what the model returns)."""
    model.eval()
    device = next(model.parameters()).device
    groups = in_order(part.lengths(), EVALUATED, rows_at_once(device))
    for numbers, (inputs, _) in zip(groups, part.batches(groups, device), strict=True):
        yield numbers, inputs, model(inputs)


def predict(model: torch.nn.Module, part: Part) -> torch.Tensor:
    """Logits of every utterance of a part, in its order: (N, C) on the CPU."""
    found = [(numbers, output.logits) for numbers, _, output in passes(model, part)]
    logits = torch.cat([rows for _, rows in found]).cpu()
    order = torch.from_numpy(np.concatenate([numbers for numbers, _ in found]))
    return torch.empty_like(logits).index_copy_(0, order, logits)


def probabilities(logits: torch.Tensor) -> np.ndarray:
    """The softmax of logits (N, C), as float64 in numpy."""
    return logits.double().softmax(-1).numpy()
