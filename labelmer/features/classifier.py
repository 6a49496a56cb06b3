"""What is fine-tuned: an encoder with a linear layer on it, and the utterances that it reads."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch

from labelmer.base.errors import InputError
from labelmer.features import encoders
from labelmer.features.finetuning import FinetuningOptions
from labelmer.features.items import read_items
from labelmer.learning.batches import class_numbers
from labelmer.learning.device import mixed_precision

if TYPE_CHECKING:
    from labelmer.features.encoders.base import Encoder


class Classifier(torch.nn.Module):
    """An encoder, the mean over an utterance's rows, and a linear layer on it."""

    def __init__(self, encoder: "Encoder", classes: int, options: FinetuningOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = encoder.model
        self.dropout = torch.nn.Dropout(options.dropout)
        self.head = torch.nn.Linear(encoder.width, classes, device=encoder.device)
        frozen = list(encoder.front_end) if options.freeze_front_end else []
        for module in frozen:
            module.requires_grad_(False)
        # The statistics of a few padded utterances are no good to a batch norm.
        norms = [m for m in self.network.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        self.as_used = [*frozen, *norms]
        if options.gradient_checkpointing:
            self.network.gradient_checkpointing_enable({"use_reentrant": False})

    def train(self, mode: bool = True) -> Self:
        """As torch.nn.Module.train(), but for what runs in training as it runs in use."""
        super().train(mode)
        for module in self.as_used:
            module.eval()
        return self

    def forward(self, inputs: list[Any]) -> torch.Tensor:
        """Logits (B, C) of B inputs, as the encoder takes them."""
        with mixed_precision(self.encoder.device, self.encoder.mixed):
            states = self.encoder.states(inputs)
        means = torch.stack([rows.mean(0) for rows in states])  # (B, width), float32
        return self.head(self.dropout(means))


def load_encoder(folder: Path, device: str, **options: Any) -> "Encoder":
    """The whole encoder of a snapshot, up to its last layer; InputError if it cannot be tuned."""
    family = encoders.family_of(folder)
    if not family.network:
        raise InputError(
            f"{folder}: {family.title} has nothing to fine-tune, expected a network; use mode: "
            "frozen with it, or choose another encoder"
        )
    encoder = encoders.load(folder, -1, device, **options)
    if encoder.on == "cuda":
        # A batch goes in one piece, however much memory is free: equal seeds give equal bytes.
        encoder.budget = sys.maxsize
    return encoder


@dataclass(frozen=True)
class Utterances:
    """A part of a fold, as an encoder takes it."""

    ids: list[str]
    inputs: list[Any]  # samples or strings
    labels: np.ndarray  # class numbers (N,)
    lengths: list[int]  # rows of each

    def batch(
        self, numbers: np.ndarray, device: torch.device | str
    ) -> tuple[list[Any], torch.Tensor]:
        """Inputs and labels (B,) of some utterances."""
        labels = torch.from_numpy(self.labels[numbers]).to(device)
        return [self.inputs[i] for i in numbers], labels


def load_part(
    rows: pd.DataFrame,
    items: Mapping[str, tuple[Any, Any]],
    encoder: "Encoder",
    classes: Sequence[str],
) -> Utterances:
    """The utterances of a fold table's rows, out of items by id."""
    inputs = [items[name][0] for name in rows.id]
    labels = class_numbers(rows.label, classes)
    return Utterances(list(rows.id), inputs, labels, encoder.lengths(inputs))


def load_items(
    paths: Sequence[Path], ids: Iterable[str], modality: str
) -> dict[str, tuple[Any, Any]]:
    """{id: (input, content)} of some utterances, out of files of segments or of utterances.

    InputError: a file for an encoder of the other modality, an id that is in none of the files.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for path in paths:
        items = read_items(path)
        if items.modality != modality:
            raise InputError(
                f"{path}: an input for {items.modality} encoders, expected one for {modality}; "
                "give segments to a speech encoder and utterances to a text encoder"
            )
        found.update(zip(items.ids, zip(items.inputs, items.contents, strict=True), strict=True))
    absent = [name for name in ids if name not in found]
    if absent:
        raise InputError(
            f"id '{absent[0]}' (and {len(absent) - 1} more) of the fold is in none of "
            f"{[str(path) for path in paths]}; give those of its sessions too"
        )
    return {name: found[name] for name in ids}
