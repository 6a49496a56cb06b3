"""What config and audit say of folds and training, as the sentences of every result table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from labelmer.scores.accuracy import SELECTION

HELD_OUT = {
    "session": "one session held out",
    "speaker": "one speaker held out",
    "speakers": "a group of speakers held out",
    "part": "the parts are given",
}
VALIDATES = {
    "session": "the next session validates",
    "speakers": "the next group of speakers validates",
    "partner": "the other speaker of the session validates",
    "dialogues": "whole dialogues of the training speakers validate (a share of {fraction:g})",
    "part": "",
}
SCENARIOS = {
    "shared": "",
    "apart": " with one of {scenario_parts} groups of scenarios; training, validation and test "
    "share no scenario",
}
SCRIPTS = {
    "keep": "scripts that several speakers share are kept",
    "drop": "training turns whose words stand in validation or test, and validation turns whose "
    "words stand in test, are dropped",
}


def protocol(folds: Mapping[str, Any], number: int, later: Sequence[str] = ()) -> str:
    """What is held out, what validates, what becomes of shared scripts, who looks ahead.

    folds: that section of the config, with its defaults, what is `validating`, and how many groups
    of scenarios there are (`scenario_parts`); number: of folds; later: variants that are given
    turns after the utterance.
    """
    parts = [HELD_OUT[folds["hold_out"]] + SCENARIOS[folds["scenarios"]]]
    parts += [VALIDATES[folds["validating"]], SCRIPTS[folds["shared_scripts"]]]
    said = "; ".join(part for part in parts if part).format_map(folds)
    if later:
        said += f"; {', '.join(later)}: given later turns as well, for offline use alone"
    return f"{number} fold{'s' * (number > 1)}, {said}"


def with_audit(protocol: str, audit: pd.DataFrame) -> str:
    """A protocol with what the audit shows that parts share, and that they lack.

    audit: the table "audit". Numbers are sums over folds.
    """
    test, validation = (audit[audit["part"] == part] for part in ("test", "validation"))
    said, tested = [protocol], test["utterances"].sum()
    if known := test["known_scenario"].sum():
        said.append(f"{known:,} of {tested:,} test utterances are of scenarios that training knows")
    for column, what in (("audio_in_train", "trains"), ("audio_in_validation", "validates")):
        if copies := test[column].sum():
            heard = f"{copies:,} of {tested:,} test utterances are the audio of one that {what}"
            said.append(f"{heard}, sample for sample")
    for rows, part, what, other, does in (
        (test, "test", "speakers", "train", "train"),
        (test, "test", "speakers", "validation", "validate"),
        (validation, "validation", "speakers", "train", "train"),
        (test, "test", "dialogues", "train", "train"),
        (test, "test", "dialogues", "validation", "validate"),
    ):
        if shared := rows[f"{what}_in_{other}"].sum():
            said.append(f"{shared:,} of {rows[what].sum():,} {part} {what} {does} as well")
    said += [*_lacking(test), *_lacking(validation)]
    return "; ".join(said)


def _lacking(rows: pd.DataFrame) -> Iterator[str]:
    """What is said of classes that a part lacks. rows: of the audit, one part of every fold."""
    classes = [column for column in rows.columns if column.startswith("n_")]
    lacking = rows[(rows[classes] == 0).any(axis=1)]
    if len(lacking) == 1:
        row = lacking.iloc[0]
        absent = " or ".join(f"'{name[2:]}'" for name in classes if row[name] == 0)
        yield (
            f"in fold {row['fold']} the {row['part']} part has no utterance of {absent}: its UA is "
            "over fewer classes"
        )
    elif len(lacking):
        yield (
            f"in {len(lacking)} folds the {lacking['part'].iloc[0]} part lacks classes: its UA "
            "there is over fewer"
        )


def selection(refit: bool) -> str:
    """How the epoch is chosen, and what is trained anew then, if it is."""
    anew = "; then training and validation part train anew together, for as many updates (refit)"
    return f"{SELECTION}{anew if refit else ''}; the test part chooses nothing"
