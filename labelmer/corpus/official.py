"""A split that is given: the corpus' own, or a table beside it."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from labelmer.base import names, tables
from labelmer.base.errors import InputError


def official_parts(
    utterances: pd.DataFrame, path: Path | str | None, others: Iterable[str] = ()
) -> pd.DataFrame:
    """The split that is given, id, fold and part: the table "parts", or the corpus' own split.

    utterances: with id and part; others: ids of sessions that are left out, which the table may
    have. InputError: neither is there; ids of no utterance; an id that is tested in two folds;
    folds that are not 1, 2, and so on; a fold without one of the parts.
    """
    if path is None:
        own = utterances[utterances.part != ""]
        if len(own) == 0:
            raise InputError(
                "folds: hold_out: part needs a split, and no utterance of the sessions in use has "
                "a part; give a table with the columns id, fold and part by folds: parts:, or, "
                "with reader: manifest, add the column part (train, validation or test)"
            )
        made = own[["id", "part"]].assign(fold=1)
        _check_whole(made, "the corpus' own split, in the sessions in use")
        return made
    table = tables.given(path, "parts")
    if table.empty:
        raise InputError(
            f"{path}: no rows under the header, expected one with id, fold and part for each "
            "utterance of a fold; add them, or remove folds: parts:"
        )
    _check_ids(table, set(utterances.id) | set(others), path)
    numbers = sorted(table.fold.unique().tolist())
    expected = list(range(1, len(numbers) + 1))
    if numbers != expected:
        line, number = next(
            (line, number) for line, number in table.fold.items() if number not in expected
        )
        raise InputError(
            f"{path}:{line}: fold is {number}, and the table has the folds {numbers}, expected 1, "
            "2 and so on; renumber them"
        )
    _check_whole(table, path)
    _check_tested_once(table, path)
    return table.reset_index(drop=True)


def _check_ids(table: pd.DataFrame, known: set[str], path: Path | str) -> None:
    unknown = table.id[~table.id.isin(known)]
    if len(unknown):
        raise InputError(
            f"{path}:{unknown.index[0]}: id '{unknown.iloc[0]}' is no utterance of the corpus "
            f"({unknown.nunique()} such ids in all), expected ids that it has; correct the ids, or "
            f"remove their rows{names.meant(unknown.iloc[0], known)}"
        )


def _check_whole(table: pd.DataFrame, where: Path | str) -> None:
    for number, found in table.groupby("fold").part:
        if absent := [part for part in tables.PARTS if part not in set(found)]:
            raise InputError(
                f"{where}: fold {number} has no part {' and no part '.join(absent)}, expected each "
                f"of {', '.join(tables.PARTS)}; give it utterances (validation some of training's)"
            )


def _check_tested_once(table: pd.DataFrame, path: Path | str) -> None:
    """Scores, intervals and tests count each utterance once."""
    tested = table[table.part == "test"]
    again = tested[tested.id.duplicated()]
    if again.empty:
        return
    row = again.iloc[0]
    first = tested[tested.id == row.id].iloc[0]
    raise InputError(
        f"{path}:{row.name}: id '{row.id}' is tested in fold {row.fold}, and in fold {first.fold} "
        f"as well (line {first.name}), as are {again.id.nunique()} ids in all; expected each id in "
        "one test part at most, since scores would count it twice; where a split is repeated, make "
        "a study of each repeat (study:), each with a table of its own"
    )
