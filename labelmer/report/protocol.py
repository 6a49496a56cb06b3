"""What the config says of folds and training, as the sentences that every result table states."""

from collections.abc import Mapping
from typing import Any

from labelmer.scores.accuracy import SELECTION


def protocol(folds: Mapping[str, Any], number: int) -> str:
    """What is held out, what validates, what becomes of shared scripts.

    folds: that section of the config; number: of folds.
    """
    validation = {
        "session": "the next session validates",
        "partner": "the other speaker of the session validates",
        "dialogues": f"whole dialogues of the training sessions validate (a share of "
        f"{folds['fraction']:g}; their speakers train as well)",
    }[folds["validation"]]
    scripts = {
        "keep": "scripts that several sessions share are kept",
        "drop": "training turns whose words stand in validation or test are dropped",
    }[folds["shared_scripts"]]
    return f"{number} folds, one {folds['hold_out']} held out; {validation}; {scripts}"


def selection(refit: bool) -> str:
    """How the epoch is chosen, and what is trained anew then, if it is."""
    anew = "; then training and validation part train anew together, for as many updates (refit)"
    return f"{SELECTION}{anew if refit else ''}; the test part chooses nothing"
