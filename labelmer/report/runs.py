"""The test predictions of every fold, seed and variant: reading them, and that none is missing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.options import NAMES, OBJECT, TEXT
from labelmer.base.tables import TOGETHER
from labelmer.scores import intervals

VARIANT, RUN = list(tables.VARIANT), list(tables.RUN)
# What a stage is told to state with its results, and the classes that these are of.
STATED = {"protocol": TEXT, "selection": TEXT, "classes": NAMES, "inputs": OBJECT}


def read(path: Path | str, classes: Sequence[str]) -> pd.DataFrame:
    """One run's predictions, of the validation and the test part.

    Raise InputError if the file's classes are not `classes`, if it holds more than one run or has
    no test part.
    """
    table = read_run(path, "predictions", classes)
    if not (table["part"] == "test").any():
        raise InputError(
            f"{path}: no row has part 'test', expected one run's test predictions; "
            "evaluate the model again"
        )
    return table


def read_run(path: Path | str, name: str, classes: Sequence[str]) -> pd.DataFrame:
    """One run's table `name`, predictions or perturbed.

    Raise InputError if the file's classes are not `classes` or if it holds more than one run.
    """
    table = tables.read(path, name)
    found = [c.removeprefix("p_") for c in table.columns if c.startswith("p_")]
    if set(found) != set(classes):
        raise InputError(
            f"{path}: has probabilities for {found}, expected {list(classes)}; "
            "evaluate the model again"
        )
    for column in ("true", "predicted"):
        unknown = table[~table[column].isin(classes)]
        if len(unknown):
            raise InputError(
                f"{path}: id '{unknown['id'].iloc[0]}': {column} is '{unknown[column].iloc[0]}', "
                f"expected one of {list(classes)}; evaluate the model again"
            )
    held = table[RUN].drop_duplicates()
    if len(held) > 1:
        raise InputError(
            f"{path}: holds the runs {held.to_dict('records')}, expected one run to a file; "
            "evaluate the model again"
        )
    return table


def disturbed(
    paths: Iterable[Path], classes: Sequence[str]
) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """(variant, its tables "perturbed" in one frame), one variant after the other.

    Of a large corpus those of all variants would take gigabytes. Tables without rows are of none.
    """
    homes: dict[tuple, list[Path]] = {}
    for path in paths:
        homes.setdefault(_variant_in(path), []).append(path)
    for variant, of_variant in homes.items():
        table = pd.concat(read_run(path, "perturbed", classes) for path in of_variant)
        if len(table):
            yield variant, table


def _variant_in(path: Path) -> tuple:
    """The variant that a table's first row names; what is wrong with a table, read_run says."""
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8", errors="replace") as file:
        header, first = (file.readline().rstrip("\r\n").split("\t") for _ in range(2))
    return tuple(dict(zip(header, first, strict=False)).get(name) for name in VARIANT)


def grid(tested: Iterable[pd.DataFrame], folds: Iterable[int]) -> pd.DataFrame:
    """The runs of all variants in one frame.

    tested: frames of test predictions, a run each; folds: numbers of the folds that the audit
    lists. Raise InputError unless each variant has each fold and seed once, on the same utterances,
    and each of these one speaker.
    """
    predictions = pd.concat(tested, ignore_index=True)
    check_grid(predictions, folds)
    check_speakers(predictions)
    return predictions


def check_speakers(predictions: pd.DataFrame) -> None:
    """Raise InputError if an utterance has two speakers."""
    named = predictions[["id", "speaker"]].drop_duplicates()
    twice = named[named["id"].duplicated()]
    if len(twice):
        name = twice["id"].iloc[0]
        raise InputError(
            f"id '{name}' has the speakers {sorted(named.loc[named['id'] == name, 'speaker'])} in "
            "the predictions, expected the same in every fold and run; split the corpus again, and "
            "evaluate the models"
        )


def check_grid(predictions: pd.DataFrame, folds: Iterable[int]) -> None:
    """Raise InputError unless each variant has each fold and seed once, on the same utterances.

    predictions: the concatenated runs; folds: numbers of the folds that the audit lists.
    """
    twice = predictions[predictions.duplicated([*RUN, "id"])]
    if len(twice):
        run = tuple(twice[RUN].iloc[0])
        raise InputError(f"predictions of {name_of(run)} are given twice; give each file once")
    runs = set(predictions[RUN].drop_duplicates().itertuples(index=False, name=None))
    seeds = seeds_in(predictions)
    together = TOGETHER.join(seeds)
    fused = {run[:-2] for run in runs if TOGETHER in run[-1]}
    wanted = {
        (*run[:-2], fold, seed)
        for run in runs
        for fold in folds
        for seed in ([together] if run[:-2] in fused else seeds)
    }
    if wanted - runs:
        missing = "; ".join(name_of(run) for run in sorted(wanted - runs))
        raise InputError(
            f"predictions are missing: {missing}; expected folds {list(folds)} and seeds {seeds} "
            "of every variant; evaluate those runs"
        )
    if runs - wanted:
        raise InputError(
            f"predictions of {name_of(min(runs - wanted))} belong to no fold of the audit, "
            f"expected one of the folds {list(folds)}; leave that file out"
        )
    for fold, frame in predictions.groupby("fold"):
        check_same_utterances(frame, fold)


def seeds_in(predictions: pd.DataFrame) -> list[str]:
    """The seeds of the models behind predictions, in the order of the numbers.

    Also of those that a run multiplies with others (its seed is 1+2+3).
    """
    return sorted(
        {seed for run in set(predictions["seed"]) for seed in run.split(TOGETHER)}, key=int
    )


def check_same_utterances(predictions: pd.DataFrame, fold: int) -> None:
    """Raise InputError unless all runs of a fold test the same ids with the same true classes."""
    true = predictions.pivot(index="id", columns=[*VARIANT, "seed"], values="true")
    differs = true.ne(true.iloc[:, 0], axis=0)  # an id that a run lacks differs, too
    if differs.to_numpy().any():
        of_id = true[differs.any(axis=1)].iloc[0]
        counts = {str(k): int(n) for k, n in of_id.fillna("absent").value_counts().items()}
        raise InputError(
            f"id '{of_id.name}' of fold {fold}: the runs disagree on its true class (runs: "
            f"{counts}), expected the same test utterances in every run; evaluate them again"
        )


def name_of(run: tuple) -> str:
    """How a message names a run: (speech, text, mode, variant, fold, seed)."""
    speech, text, mode, variant, fold, seed = run
    return f"{speech}+{text}, {mode}, {variant}, fold {fold}, seed {seed}"


def protocol(predictions: pd.DataFrame, config: Mapping[str, Any]) -> dict[str, Any]:
    """What every result table says of how its numbers came about, without utterances."""
    return {
        "protocol": config["protocol"],
        "selection": config["selection"],
        "folds": predictions["fold"].nunique(),
        "seeds": len(seeds_in(predictions)),
    }


@dataclass(frozen=True)
class Pooled:
    """One variant's predictions on the test utterances of all folds, in order of fold and id."""

    ids: np.ndarray  # (N,)
    speakers: np.ndarray  # (N,)
    true: np.ndarray  # (N,) class indices
    predicted: np.ndarray  # (seeds, N) class indices; (1, N) of a run of all seeds together
    p: np.ndarray  # (seeds, N, C) probabilities
    voted: np.ndarray  # (N,) the class that most seeds name

    @property
    def voters(self) -> int:
        """How many seeds vote."""
        return len(self.predicted)

    @property
    def right(self) -> np.ndarray:
        """(N,) is the class that most seeds name the true one?"""
        return self.voted == self.true


def pooled(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[tuple, "Pooled"]:
    """{variant: Pooled} of a complete grid: all variants on the same utterances."""
    return {
        variant: pool(frame, classes) for variant, frame in predictions.groupby(VARIANT, sort=False)
    }


def pool(predictions: pd.DataFrame, classes: Sequence[str]) -> "Pooled":
    """The predictions of one variant's runs as a Pooled."""
    ordered = predictions.sort_values(["seed", "fold", "id"])
    seeds, size = ordered["seed"].nunique(), len(classes)
    one = ordered[: len(ordered) // seeds]  # each seed has the same utterances (check_grid)
    predicted = pd.Index(classes).get_indexer(ordered["predicted"]).reshape(seeds, -1)
    p = ordered[[f"p_{name}" for name in classes]].to_numpy().reshape(seeds, -1, size)
    return Pooled(
        ids=one["id"].to_numpy(),
        speakers=one["speaker"].to_numpy(),
        true=pd.Index(classes).get_indexer(one["true"]),
        predicted=predicted,
        p=p,
        voted=intervals.voted(predicted, p),
    )
