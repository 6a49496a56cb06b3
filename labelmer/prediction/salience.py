"""How much each token and frame of an utterance counts for what is predicted, over several models.

Shapes: N utterances, T tokens or frames of one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelmer.base.ragged import Ragged


@dataclass(frozen=True, eq=False)
class Salience:
    """Of one modality of an utterance; the weights sum to one."""

    spans: np.ndarray  # (T, 2): characters of the text; seconds of the audio, of a whole one 0, inf
    weights: np.ndarray  # (T,): mean over the models


class Weights:
    """The salience of N utterances, collected from one model after the other.

    ids: of the utterances; there: {modality: (N,) bool}: which have it.
    """

    def __init__(self, ids: Sequence[str], there: Mapping[str, np.ndarray]) -> None:
        self.ids, self.there = ids, there
        self.sums: dict[str, dict[str, np.ndarray]] = defaultdict(dict)  # {modality: {id: (T,)}}
        self.files: dict[str, Ragged] = {}
        self.models: dict[str, int] = defaultdict(int)

    def add(self, found: Mapping[str, Sequence[np.ndarray]], paths: Mapping[str, Path]) -> None:
        """Take in what a model says: {modality: (T,) of each utterance}, and its features."""
        for m, of_each in found.items():
            if m not in self.files:
                self.files[m] = Ragged(paths[m])
            self.models[m] += 1
            for name, weights in zip(self.ids, of_each, strict=True):
                self.sums[m][name] = self.sums[m].get(name, 0) + weights

    def means(self) -> list[dict[str, Salience]]:
        """Of each utterance: {modality: Salience}, of those modalities that it has."""
        shown: list[dict[str, Salience]] = [{} for _ in self.ids]
        for m, file in self.files.items():
            for number in np.flatnonzero(self.there[m]).tolist():
                name = self.ids[number]
                weights = self.sums[m][name] / self.models[m]
                shown[number][m] = Salience(_spans(file, name, m), weights)
        return shown


def _spans(file: Ragged, name: str, modality: str) -> np.ndarray:
    """Where the rows of an item stand: (T, 2)."""
    if modality == "text":
        return file.spans(name)
    if "rate_hz" not in file.attrs:
        return np.array([[0, np.inf]])
    edges = np.arange(len(file[name]) + 1) / file.attrs["rate_hz"]
    return np.stack([edges[:-1], edges[1:]], axis=1)
