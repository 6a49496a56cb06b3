"""The models of a bundle: each takes features of utterances and says the probabilities of classes.

Shapes: N utterances, C classes, T tokens or frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError

from labelmer.base.description import described
from labelmer.base.errors import InputError, in_words
from labelmer.learning.batches import (
    EVALUATED,
    Features,
    Part,
    in_order,
    probabilities,
    rows_at_once,
)
from labelmer.learning.context import pooled, turns_around
from labelmer.models import architectures, saved


@dataclass(frozen=True)
class Given:
    """What a model is given of N utterances."""

    ids: Sequence[str]
    features: Mapping[str, Path]  # {modality: ragged file}, rows for those that lack it too
    there: Mapping[str, np.ndarray]  # {modality: (N,) bool}: which have it
    dialogue: pd.DataFrame | None = None  # the table "utterances" of these turns, if they are some


@dataclass(frozen=True)
class Said:
    """What a model says of N utterances."""

    p: np.ndarray  # (N, C)
    # {modality: (T,) of each utterance}, of tokens or of the frames of its features
    salience: dict[str, list[np.ndarray]] = field(default_factory=dict)


def member(folder: Path, device: str) -> "Network | Linear":
    """The model in a folder, which `labelmer bundle` took from a run; InputError: it is damaged."""
    try:
        options = architectures.options(described(folder, "model")["model"])
        return Linear(folder, options) if options.kind == "linear" else Network(folder, device)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: not a whole model ({in_words(error)}); copy the bundle anew, or make it "
            "anew"
        ) from None


class Network:
    """A trained network."""

    def __init__(self, folder: Path, device: str) -> None:
        self.model, _ = saved.load(folder)
        self.model.to(device)
        options = self.model.options
        self.device, self.modalities, self.stride = device, options.modalities, options.frame_stride
        self.turns, self.after = options.turns
        # Was it trained with a modality missing now and then?
        self.takes_one = options.joint and options.modality_dropout > 0

    @torch.inference_mode()
    def say(self, given: Given, explain: bool) -> Said:
        """What it says of utterances of which each has all that it needs."""
        modalities, strides = self.modalities, {"speech": self.stride, "text": 1}
        features = {m: Features([given.features[m]], given.ids, strides[m]) for m in modalities}
        part = Part(features, np.zeros(len(given.ids), np.int64))
        if self.turns and given.dialogue is not None:
            part.context = self._context(given)
        p = np.zeros((len(given.ids), self.model.classes))
        salience: dict[str, dict[int, np.ndarray]] = {m: {} for m in modalities}
        groups = in_order(part.lengths(), EVALUATED, rows_at_once(self.device))
        # What a model of one modality says without it is not asked for.
        lacking = len(modalities) > 1 and not all(given.there[m].all() for m in modalities)
        for numbers, (inputs, _) in zip(groups, part.batches(groups, self.device), strict=True):
            present = None
            if lacking:
                present = {
                    m: torch.from_numpy(given.there[m][numbers]).to(self.device) for m in modalities
                }
            output = self.model(inputs, present)
            p[numbers] = probabilities(output.logits.cpu())
            for m, weights in output.salience().items() if explain else ():
                for number, row in zip(numbers, weights.cpu().double().numpy(), strict=True):
                    file, index = features[m].items[number]
                    salience[m][number] = _spread(row, len(file[index]), strides[m])
        ordered = {m: [rows[i] for i in range(len(rows))] for m, rows in salience.items() if rows}
        return Said(p, ordered)

    def _context(self, given: Given) -> dict[str, Any]:
        """The turns around each utterance, of each modality those that have it."""
        names, who = turns_around(given.dialogue, given.ids, self.turns, self.after)
        found = {}
        for m in self.modalities:
            lack = {n for n, there in zip(given.ids, given.there[m], strict=True) if not there}
            heard = np.where(np.isin(names, list(lack)), "", names)
            found[m] = pooled(heard, who, [given.features[m]])
        return found


def _spread(weights: np.ndarray, rows: int, stride: int) -> np.ndarray:
    """Weights of rows that were averaged by `stride`, and padding, on the rows as they were."""
    counts = np.minimum(stride, rows - np.arange(0, rows, stride))
    return np.repeat(weights[: len(counts)] / counts, counts)


class Linear:
    """The linear baseline; a modality that is missing is at its mean and adds nothing."""

    takes_one, turns = True, 0

    def __init__(self, folder: Path, options: Any) -> None:
        from labelmer.models import linear  # scikit-learn takes a second
        from labelmer.models.transfer.linear import loaded

        self.modalities = options.modalities
        self.model, _ = loaded(folder)
        self.means = linear.Means

    def say(self, given: Given, explain: bool) -> Said:
        """As of a network; there is no salience."""
        means = {}
        for m in self.modalities:
            found = self.means(m, [given.features[m]], 1).of(given.ids)
            means[m] = np.where(given.there[m][:, None], found, self.model.mean[m])
        return Said(self.model.probabilities(means))
