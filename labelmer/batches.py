"""Ragged features -> padded batches with their masks, items of like length together."""

from dataclasses import dataclass

import numpy as np
import torch

from labelmer.errors import InputError
from labelmer.ragged import Ragged


class Features:
    """One modality's features of some utterances, mapped from the sessions' ragged files.

    paths   ragged feature files; together they hold every id
    ids     utterances, in the order by which items are numbered
    stride  this many neighbouring rows are averaged into one

    features[i] is a float32 array (rows, *row), where row is (width,), or (layers, width) if the
    files hold all layers. Nothing stays in memory but the page cache.
    """

    def __init__(self, paths, ids, stride=1):
        files = [Ragged(path) for path in paths]
        home = {name: file for file in files for name in file.ids}
        absent = [name for name in ids if name not in home]
        if absent:
            raise InputError(
                f"id '{absent[0]}' (and {len(absent) - 1} more) of the fold is in none of "
                f"{[str(f.path) for f in files]}; remove these files, and they are made anew"
            )
        self.items = [(home[name], home[name].index[name]) for name in ids]
        self.stride = stride
        self.attrs = files[0].attrs
        self.row = files[0].values.shape[1:]
        rows = [file.offsets[i + 1] - file.offsets[i] for file, i in self.items]
        self.lengths = -(-np.array(rows, dtype=np.int64) // stride)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        file, index = self.items[number]
        return averaged(np.asarray(file[index], dtype=np.float32), self.stride)

    def marks(self, number):
        """The token strings of an item's rows, or None where the files have none."""
        file, index = self.items[number]
        return file.marks(index)

    def batch(self, numbers):
        """Items as (values (B, T, *row), mask (B, T)); the mask is False on padding."""
        items = [torch.from_numpy(self[i]) for i in numbers]
        values = torch.nn.utils.rnn.pad_sequence(items, batch_first=True)
        lengths = torch.tensor([len(item) for item in items])
        return values, torch.arange(values.shape[1]) < lengths[:, None]


def averaged(values, stride):
    """Mean of every `stride` rows: (rows, ...) -> (ceil(rows / stride), ...).

    The last mean is over the rows that are left.
    """
    if stride == 1:
        return values
    starts = np.arange(0, len(values), stride)
    counts = np.minimum(stride, len(values) - starts)
    counts = counts.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float32)
    return np.add.reduceat(values, starts, axis=0) / counts


def in_order(lengths, size):
    """Batches of up to `size` items, shortest first: a list of arrays of item numbers."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + size] for i in range(0, len(order), size)]


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
    rows = np.zeros(classes)
    for number, label in enumerate(labels):
        values = features[number].astype(np.float64)
        total[label] += values.sum(0)
        squares += (values**2).sum(0)
        rows[label] += len(values)
    mean = total.sum(0) / rows.sum()
    variance = squares / rows.sum() - mean**2
    sd = np.where(variance > 1e-10, np.sqrt(np.maximum(variance, 1e-10)), 1.0)
    return mean, sd, total / rows.reshape(-1, *[1] * len(features.row))


@dataclass
class Part:
    """Utterances of a part of a fold: {modality: Features} and class numbers (N,)."""

    features: dict
    labels: np.ndarray

    def batch(self, numbers, device):
        """Inputs {modality: (values, mask)} and labels (B,) of some utterances."""
        inputs = {m: f.batch(numbers) for m, f in self.features.items()}
        inputs = {m: (x.to(device), mask.to(device)) for m, (x, mask) in inputs.items()}
        return inputs, torch.from_numpy(self.labels[numbers]).to(device)

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
    for numbers in in_order(part.lengths(), size):
        inputs, _ = part.batch(numbers, device)
        yield numbers, inputs, model(inputs)


def predict(model, part, size=64):
    """Logits of every utterance of a part, in its order: (N, C) on the CPU."""
    logits = [None] * len(part.labels)
    for numbers, _, output in passes(model, part, size):
        for number, row in zip(numbers, output.logits.cpu(), strict=True):
            logits[number] = row
    return torch.stack(logits)
