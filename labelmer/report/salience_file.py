"""A file of salience: what each token or frame weighs, and where in the utterance it stands.

evaluate writes one for each run and modality; rationales say where it should be high.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labelmer.base import names, tables
from labelmer.base.errors import InputError, in_words
from labelmer.base.options import TEXT, check, refuse
from labelmer.base.ragged import Ragged
from labelmer.base.stage import RUN
from labelmer.base.tables import MODALITIES

ROUNDING_S = 0.01  # an audio may end by so much before the rationale that reaches to its end
SAYS = "says"
COLUMNS = {"type": "array", "items": TEXT}
MODALITY = {"enum": [*MODALITIES, "context"]}


class SalienceFile(Ragged):
    """A ragged file of kind salience.

    modality   "speech" or "text"
    run        {column: value} of the run, by RUN
    rate       rows a second, of speech; 0: a row is the whole utterance
    measures   names of what weighs the rows: salience, pooling, expert_pooling, received and says
               (of the predicted class), as far as the variant has them
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        if self.attrs.get("kind") != "salience":
            raise InputError(
                f"{path}: a file of {self.attrs.get('kind')}, expected salience; "
                "give a file that `labelmer evaluate` wrote"
            )
        try:
            self.modality = self.attrs["modality"]
            self.run: dict[str, Any] = {name: str(self.attrs[name]) for name in RUN}
            self.run |= {name: int(self.run[name]) for name in ("fold", "seed")}
            self.rate = float(self.attrs["rate_hz"]) if self.modality == "speech" else 0.0
            self.columns = json.loads(self.attrs["columns"])
            refuse(check(COLUMNS, self.columns, "columns"))
            refuse(check(MODALITY, self.modality, "modality"))
        except (KeyError, ValueError, TypeError, InputError) as error:
            raise InputError(
                f"{path}: not a whole file of salience ({in_words(error)}), expected "
                "what `labelmer evaluate` writes; move it away, and it is made anew"
            ) from None
        self.measures = [c for c in self.columns if not c.startswith(f"{SAYS}_")]

    def weights(self, name: str, measure: str) -> np.ndarray:
        """What the rows of an utterance weigh: (rows,), the sum is one.

        Raise InputError if they are not all finite and from zero, or if those of another measure
        than says do not sum to one.
        """
        values = self.column(name, measure)
        total = values.sum()
        weighs = total > 0 if measure == SAYS else abs(total - 1) < 1e-3
        if not (weighs and (values >= 0).all()):
            raise InputError(
                f"{self.path}: id '{name}': the values of {measure} go from {values.min():g} and "
                f"sum to {total:g}, expected none below zero and a sum of one (says: above zero); "
                "the file is damaged, evaluate the model again"
            )
        return values / total

    @property
    def whole(self) -> bool:
        """Does a row stand for its utterance as a whole, and so for no stretch of it?"""
        return self.modality == "speech" and not self.rate

    def spans(self, item: str | int) -> np.ndarray:
        """Where the rows stand: (rows, 2), characters of the text, or seconds of the audio.

        Of a row that is the whole utterance the end is infinite.
        """
        if self.modality == "text":
            return super().spans(item)
        if self.whole:
            return np.array([[0, np.inf]])
        edges = np.arange(len(self[item]) + 1) / self.rate
        return np.stack([edges[:-1], edges[1:]], axis=1)

    def column(self, name: str, column: str) -> np.ndarray:
        """A column of an utterance: (rows,), float64."""
        return self[name][:, self.columns.index(column)].astype(float)


def share_within(spans: np.ndarray, start: float, end: float) -> np.ndarray:
    """The share of each of the spans (rows, 2) that lies in [start, end); 0 of an empty one."""
    inside = np.minimum(spans[:, 1], end) - np.maximum(spans[:, 0], start)
    length = spans[:, 1] - spans[:, 0]
    return np.divide(np.maximum(inside, 0), length, out=np.zeros(len(spans)), where=length > 0)


def read_rationales(
    path: Path | str,
    texts: Mapping[str, str],
    seconds: Mapping[str, float],
    others: Collection[str] = (),
) -> dict[str, dict[str, tuple[float, float]]]:
    """The table "rationales": {modality: {id: (start, end)}}.

    texts: {id: transcript}; seconds: {id: length of the audio}, of those that have audio; others:
    ids of the corpus that are left out. Raise
    InputError if an id is not in the corpus, or if a rationale lies outside of its utterance.
    """
    found: dict[str, dict] = {modality: {} for modality in MODALITIES}
    for row in tables.given(path, "rationales").itertuples():
        place = f"{path}: id '{row.id}'"
        if row.id in others:
            continue
        if row.id not in texts:
            raise InputError(
                f"{place}: no session of the config has such an utterance; correct the id, or "
                f"take the row out{names.meant(row.id, texts)}"
            )
        if row.modality == "text":
            end, unit, rounding = float(len(texts[row.id])), "characters", 0.0
            whole = row.start % 1 == 0 and row.end % 1 == 0
        else:
            end, unit, rounding = seconds.get(row.id, 0.0), "seconds", ROUNDING_S
            whole = True
        if not (whole and 0 <= row.start < row.end <= end + rounding):
            raise InputError(
                f"{place}: the {row.modality} rationale is [{row.start:g}, {row.end:g}), expected "
                f"a stretch of its {end:g} {unit}; correct the row, or take it out"
            )
        found[row.modality][row.id] = row.start, row.end
    return found
