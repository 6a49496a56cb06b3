"""What config and audit say of folds and training, as the sentences of every result table."""

from collections.abc import Mapping, Sequence
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
    "dialogues": "whole dialogues of the training speakers validate (a share of {fraction:g}; "
    "their speakers train as well)",
    "part": "",
}
SCENARIOS = {
    "shared": "",
    "apart": " with one of {scenario_parts} groups of scenarios; training, validation and test "
    "share no scenario",
}
SCRIPTS = {
    "keep": "scripts that several speakers share are kept",
    "drop": "training turns whose words stand in validation or test are dropped",
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
    """A protocol with what the audit shows that test and training share.

    audit: the table "audit". Numbers are sums over folds.
    """
    test = audit[audit["part"] == "test"]
    tested = test["utterances"].sum()
    if known := test["known_scenario"].sum():
        protocol += (
            f"; {known:,} of {tested:,} test utterances are of scenarios that training knows"
        )
    for column, where in (("speakers_in_train", "train"), ("speakers_in_validation", "validate")):
        if shared := test[column].sum():
            protocol += f"; {shared:,} of {test['speakers'].sum():,} test speakers {where} as well"
    return protocol


def selection(refit: bool) -> str:
    """How the epoch is chosen, and what is trained anew then, if it is."""
    anew = "; then training and validation part train anew together, for as many updates (refit)"
    return f"{SELECTION}{anew if refit else ''}; the test part chooses nothing"
