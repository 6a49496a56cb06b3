"""The turns around an utterance: which they are, and the features of each as one row.

A turn stands before an utterance if it ended before the utterance began, and after it if it began
when the utterance had ended; turns that overlap are neither. Labels are not looked at, and turns
without one count as well. What has no times has no turns around it.

Shapes: N utterances, P places for turns around each.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.learning.batches import Features
from labelmer.learning.origin import opened

NOBODY, SAME, OTHER = 0, 1, 2  # who speaks a turn: the utterance's speaker, or another one


def turns_around(
    utterances: pd.DataFrame,
    ids: Sequence[str],
    count: int,
    after: bool,
    unheard: Collection[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """The turns around utterances, nearest first: their ids (N, P), and who speaks them (N, P).

    utterances: the table "utterances" of whole dialogues; count: of turns before, and with `after`
    as many after, in the places behind; unheard: ids that are not to be looked at. A place without
    a turn has "" and NOBODY. InputError: an id is not in the table.
    """
    known = utterances.set_index("id")
    names = np.full((len(ids), count * (1 + after)), "", dtype=object)
    who = np.full(names.shape, NOBODY)
    if absent := [name for name in ids if name not in known.index]:
        raise InputError(
            f"id '{absent[0]}' (and {len(absent) - 1} more) is in no table of utterances, expected "
            "those of all sessions of the fold; give them by --utterances"
        )
    timed = utterances[~utterances["id"].isin(unheard)].dropna(subset=["start_s", "end_s"])
    turns = timed.sort_values(["start_s", "id"])
    dialogues = {
        key: (turn["id"].to_numpy(), turn[["start_s", "end_s"]].to_numpy().T, turn["speaker"])
        for key, turn in turns.groupby(["session", "dialogue"])
    }
    wanted = known.loc[ids, ["session", "dialogue", "speaker", "start_s", "end_s"]]
    for number, (*key, speaker, start, end) in enumerate(wanted.itertuples(index=False)):
        if tuple(key) not in dialogues or not start < end:  # as where there are no times
            continue
        of_dialogue, (starts, ends), speakers = dialogues[tuple(key)]
        before = np.flatnonzero(ends <= start)[: -count - 1 : -1]
        near = [before, np.flatnonzero(starts >= end)[:count]] if after else [before]
        for side, found in enumerate(near):
            places = count * side + np.arange(len(found))
            names[number, places] = of_dialogue[found]
            same = (speakers.iloc[found] == speaker).to_numpy()
            who[number, places] = np.where(same, SAME, OTHER)
    return names, who


@dataclass(frozen=True)
class Turns:
    """One modality's features of the turns around N utterances: the mean over each turn's rows."""

    rows: torch.Tensor  # (turns + 1, *row): zeros, then the means, in the type of the files
    places: torch.Tensor  # (N, P): which of the rows; 0 where there is no turn
    who: torch.Tensor  # (N, P): NOBODY, SAME or OTHER

    @property
    def size(self) -> int:
        """Bytes of the rows."""
        return self.rows.numel() * self.rows.element_size()

    def keep(self, device: torch.device | str) -> "Turns":
        """The same on a device."""
        return Turns(self.rows.to(device), self.places.to(device), self.who.to(device))

    def subset(self, numbers: np.ndarray) -> "Turns":
        """Those around some of the utterances, in that order."""
        there = torch.from_numpy(numbers).to(self.places.device, non_blocking=True)
        return replace(self, places=self.places[there], who=self.who[there])

    def batch(self, numbers: np.ndarray, pinned: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Values (B, P, *row), zeros where there is no turn, and who speaks (B, P), of utterances.

        pinned: in memory from which a GPU copies by itself.
        """
        some = self.subset(numbers)
        both = some.rows[some.places], some.who
        return tuple(x.pin_memory() for x in both) if pinned else both  # type: ignore[return-value]


def pooled(names: np.ndarray, who: np.ndarray, paths: Sequence[Path | str]) -> Turns:
    """The Turns of one modality from its mapped feature files; each turn is read once.

    names, who: as of turns_around(). A turn that the files lack, as one without audio, is no turn.
    """
    known = {name for file in opened(paths) for name in file.ids}
    wanted = sorted((set(names.flat) & known) - {""})
    number = {name: place for place, name in enumerate(wanted, 1)}
    places = np.array([number.get(name, 0) for name in names.flat], np.int64).reshape(names.shape)
    features = Features(paths, wanted)
    rows = torch.zeros((len(wanted) + 1, *features.row), dtype=features.dtype)
    for place in range(len(wanted)):
        rows[place + 1] = torch.from_numpy(features[place].mean(0))
        features.items[place][0].release()
    who = np.where(places > 0, who, NOBODY)
    return Turns(rows, torch.from_numpy(places), torch.from_numpy(who))


def held_out(utterances: pd.DataFrame, table: pd.DataFrame) -> set[str]:
    """Ids of the turns that nothing may hear before the test: those of the test part of a fold,
    and all of speakers who are held out.

    table: the whole fold table. Turns without a label are in no part, and yet spoken by somebody.
    """
    test, train = (table[table["part"] == part] for part in ("test", "train"))
    speakers = set(test["speaker"]) - set(train["speaker"])
    return {*test["id"], *utterances["id"][utterances["speaker"].isin(speakers)]}


def context_of(
    paths: Sequence[Path],
    ids: Sequence[str],
    files: Mapping[str, Sequence[Path | str]],
    count: int,
    after: bool,
    fold: pd.DataFrame,
    testing: bool = False,
) -> tuple[np.ndarray, dict[str, Turns]]:
    """The turns around utterances: their ids (N, P), and {modality: Turns}.

    paths: tables of utterances; files: {modality: feature files}; count, after: as of
    turns_around(); fold: the whole fold table. Before the test nothing is heard of what it holds
    out, and in the test no turn whose label may have taught the model.
    """
    if not paths:
        raise InputError(
            "context_turns looks at the turns around an utterance, and there are no tables of "
            "utterances; give those of all sessions of the fold by --utterances"
        )
    utterances = tables.read_all(paths, "utterances")
    taught = set(fold["id"][fold["part"] != "test"])
    unheard = taught if testing else held_out(utterances, fold)
    names, who = turns_around(utterances, ids, count, after, unheard)
    alone = int((who == NOBODY).all(axis=1).sum())
    log.info("%d of %d utterances have no turn around them", alone, len(names))
    if alone == len(names):
        log.warning(
            "%s: no utterance has a turn around it: the dialogues have no times, or one turn each; "
            "context_turns does nothing here",
            paths[0].parent,
        )
    turns = {m: pooled(names, who, of_modality) for m, of_modality in files.items()}
    heard = np.any([(of.who != NOBODY).numpy() for of in turns.values()], axis=0)
    return np.where(heard, names, ""), turns
