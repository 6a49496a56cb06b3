"""What a model says of the validation and the test part of a fold, as the tables of its run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged


def check_classes(table: pd.DataFrame, classes: Sequence[str], path: Path | str) -> None:
    """InputError unless a fold trains each class, and no other, and has something to validate."""
    taught = set(table["label"][table["part"] == "train"])
    for name in [name for name in classes if name not in taught]:
        raise InputError(
            f"{path}: no row of class '{name}' in part train, expected some of each of {classes}; "
            "correct the classes, or split anew"
        )
    if not (table["part"] == "validation").any():
        raise InputError(
            f"{path}: no row has part validation, expected the part that chooses; split anew"
        )
    unknown = sorted(set(table["label"]) - set(classes))
    if unknown:
        raise InputError(
            f"{path}: labels {unknown}, expected some of {classes}; correct the classes, or split "
            "anew"
        )


def predicted(rows: pd.DataFrame, p: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Rows of a fold table with predicted class and probabilities p (N, C)."""
    columns = {f"p_{name}": p[:, i] for i, name in enumerate(classes)}
    named = rows.rename(columns={"label": "true"})
    return named.assign(predicted=[classes[i] for i in p.argmax(1)], **columns)


def predictions_table(
    parts: Iterable[tuple[pd.DataFrame, np.ndarray]], classes: Sequence[str], run: Mapping[str, Any]
) -> pd.DataFrame:
    """The table "predictions" of a run, in the order of its fold table.

    parts: rows of the fold table and their probabilities (N, C), of the validation and of the test
    part; run: the columns that name it.
    """
    frame = pd.concat([predicted(rows, p, classes) for rows, p in parts])
    return frame.sort_index().assign(**run)


def perturbed_table(
    test: pd.DataFrame,
    changed: Mapping[tuple[str, str, float], np.ndarray],
    classes: Sequence[str],
    run: Mapping[str, Any],
) -> pd.DataFrame:
    """The table "perturbed" of a run.

    test: rows of the fold table; changed: {(change, modality, share): probabilities (N, C)}.
    """
    frames = [
        predicted(test[["id", "label"]], p, classes).assign(
            change=change, modality=modality, share=share
        )
        for (change, modality, share), p in changed.items()
    ]
    nothing = predicted(test[["id", "label"]][:0], np.empty((0, len(classes))), classes)
    nothing = nothing.assign(change="", modality="", share=0.0)
    return pd.concat(frames or [nothing]).assign(**run)


def check_recognised(ids: Iterable[str], paths: Sequence[Path]) -> None:
    """InputError if an utterance has no features of recognised words in the files `paths`."""
    known = {name for path in paths for name in Ragged(path).ids}
    absent = [name for name in ids if name not in known]
    if absent:
        raise InputError(
            f"{paths[0].parent}: the test utterance '{absent[0]}' (and {len(absent) - 1} more) has "
            "no recognised words; add it to the table that corpus: transcripts names, with an "
            "empty text if nothing was recognised"
        )
