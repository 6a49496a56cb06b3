"""Ragged features -> padded batches with their masks, items of like length together."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from labelmer.errors import InputError
from labelmer.ragged import Ragged, located

ROWS = 8192  # of both modalities, that go through a model at once: memory grows with them


class Features:
    """One modality's features of some utterances, mapped from the sessions' ragged files.

    paths   ragged feature files; together they hold every id
    ids     utterances, in the order by which items are numbered
    stride  this many neighbouring rows are averaged into one; the last mean is over what is left

    features[i] is a float32 array (rows, *row), where row is (width,), or (layers, width) if the
    files hold all layers. Nothing stays in memory but the system's page cache, until to() puts
    all rows on a device.
    """

    def __init__(self, paths, ids, stride=1):
        self.files = [Ragged(path) for path in paths]
        self.items = located(self.files, ids)
        self.stride = stride
        self.attrs = self.files[0].attrs
        self.row, self.dtype = self.files[0].values.shape[1:], self.files[0].values.dtype
        rows = [file.offsets[i + 1] - file.offsets[i] for file, i in self.items]
        self.rows = np.array(rows, dtype=np.int64)  # of each item, in the files
        self.lengths = -(-self.rows // stride)
        self.kept = None  # all rows, one item after the other, on a device

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.batch([number])[0][0].cpu().numpy()

    def marks(self, number):
        """The token strings of an item's rows, or None where the files have none."""
        file, index = self.items[number]
        return file.marks(index)

    @property
    def size(self):
        """Bytes of all rows, as they are in the files."""
        return int(self.rows.sum() * np.prod(self.row)) * self.dtype.itemsize

    def to(self, device):
        """Put all rows on a device, as they are in the files; batches are gathered there then."""
        if self.kept is not None:
            return
        dtype = torch.from_numpy(np.empty(0, self.dtype)).dtype
        kept = torch.empty((int(self.rows.sum()), *self.row), dtype=dtype, device=device)
        for place, (file, index) in zip(kept.split(self.rows.tolist()), self.items, strict=True):
            place.copy_(torch.tensor(file[index]))
            file.release()
        self.kept = kept

    def batch(self, numbers):
        """Items as (values (B, T, *row), mask (B, T)); the mask is False on padding."""
        rows = self._padded(numbers).unflatten(1, (-1, self.stride))  # (B, T, stride, *row)
        values = rows[:, :, 0].float()
        for neighbour in range(1, self.stride):
            values += rows[:, :, neighbour]
        starts = torch.arange(values.shape[1], device=values.device) * self.stride
        left = torch.tensor(self.rows[numbers], device=values.device)[:, None] - starts  # (B, T)
        if self.stride > 1:
            values /= left.clamp(1, self.stride).view(*left.shape, *[1] * len(self.row))
        return values, left > 0

    def _padded(self, numbers):
        """Items as they are in the files, with zeros up to a length (B, T * stride, *row)."""
        longest = int(self.lengths[numbers].max()) * self.stride
        if self.kept is not None:
            return self._gathered(numbers, longest)
        padded = np.zeros((len(numbers), longest, *self.row), self.dtype)
        for place, number in zip(padded, numbers, strict=True):
            file, index = self.items[number]
            place[: self.rows[number]] = file[index]
        for file in self.files:
            file.release()
        return torch.from_numpy(padded)

    def _gathered(self, numbers, longest):
        """The same from what a device keeps."""
        device = self.kept.device
        starts = torch.tensor((np.cumsum(self.rows) - self.rows)[numbers], device=device)
        rows = torch.tensor(self.rows[numbers], device=device)
        step = torch.arange(longest, device=device)
        inside = step < rows[:, None]  # (B, T * stride)
        values = self.kept[torch.where(inside, starts[:, None] + step, 0)]
        return values.masked_fill_(~inside.view(*inside.shape, *[1] * len(self.row)), 0)


def in_order(lengths, size, rows=None):
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


def shuffled(lengths, size, generator):
    """Batches for training: in random order, of items whose lengths are alike.

    Items are shuffled, then sorted by length within stretches of twenty batches, so that padding
    is small and yet no two epochs see the same batches. generator: numpy.random.Generator.
    """
    order = generator.permutation(len(lengths))
    stretches = [order[i : i + 20 * size] for i in range(0, len(order), 20 * size)]
    batches = [s[b] for s in stretches for b in in_order(np.asarray(lengths)[s], size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def statistics(features, labels, classes):
    """Mean and sd, of a row's shape, over a training part, and the means of its classes.

    labels: class number of each item; the third is (classes, *row). A dimension that never
    changes has sd 1.
    """
    total = np.zeros((classes, *features.row))
    squares = np.zeros(features.row)
    # The sums of an item are of float32, which is exact enough near zero.
    centre = features[features.lengths.argmax()].mean(0)
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
    """Utterances of a part of a fold: {modality: Features} and class numbers (N,)."""

    features: dict
    labels: np.ndarray
    waited: float = 0.0  # seconds that it took to make batches, so far

    @property
    def size(self):
        """Bytes of the features."""
        return sum(f.size for f in self.features.values())

    def to(self, device):
        """Put the features on a device, from where batches then come."""
        for features in self.features.values():
            features.to(device)

    def batch(self, numbers, device):
        """Inputs {modality: (values, mask)} and labels (B,) of some utterances."""
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize()  # what it still computes is no waiting for this batch
        start = time.perf_counter()
        inputs = {m: f.batch(numbers) for m, f in self.features.items()}
        inputs = {m: (x.to(device), mask.to(device)) for m, (x, mask) in inputs.items()}
        labels = torch.from_numpy(self.labels[numbers]).to(device)
        self.waited += time.perf_counter() - start
        return inputs, labels

    def lengths(self):
        """Rows of each utterance, all modalities together: what padding is saved by."""
        return sum(f.lengths for f in self.features.values())


def class_numbers(labels, classes):
    """Numbers (N,) of labels in the list of classes; InputError if one is not among them."""
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise InputError(f"fold table: labels {unknown}, expected some of {classes}; split anew")
    return np.array([classes.index(label) for label in labels], dtype=np.int64)


def class_weights(labels, classes):
    """n / (C n_c) for each class, from a training part's labels: (C,)."""
    counts = np.bincount(labels, minlength=classes)
    return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)


def load_part(table, paths, classes, modalities, frame_stride):
    """The utterances of a table (columns id, label) and their features.

    paths: {modality: feature files}; classes: names in order; frame_stride: speech frames that
    are averaged into one.
    """
    labels = class_numbers(table.label, classes)
    strides = {"speech": frame_stride, "text": 1}
    features = {m: Features(paths[m], table.id, strides[m]) for m in modalities}
    return Part(features, labels)


@torch.inference_mode()
def passes(model, part, size=64):
    """Every batch of a part through a model: (item numbers, inputs, what the model returns)."""
    model.eval()
    device = next(model.parameters()).device
    for numbers in in_order(part.lengths(), size, ROWS):
        inputs, _ = part.batch(numbers, device)
        yield numbers, inputs, model(inputs)


def predict(model, part, size=64):
    """Logits of every utterance of a part, in its order: (N, C) on the CPU."""
    logits = [None] * len(part.labels)
    for numbers, _, output in passes(model, part, size):
        for number, row in zip(numbers, output.logits.cpu(), strict=True):
            logits[number] = row
    return torch.stack(logits)
