"""An experiment in short: how far its best variant leads, and where that errs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd


def leads(variant: str, pairs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """{other: how far a variant's UA lies above the other's}, from the pairs of an experiment.

    In shares: difference, low, high; p: of the jackknife, corrected.
    """
    found = {}
    for row in pairs.to_dict("records"):
        of_row = row["difference"], row["low"], row["high"], row["p_jackknife_holm"]
        if row["variant"] == variant:
            found[row["other"]] = of_row
        elif row["other"] == variant:
            difference, low, high, p = of_row
            found[row["variant"]] = -difference, -high, -low, p
    return {
        other: dict(zip(("difference", "low", "high", "p"), of_row, strict=True))
        for other, of_row in found.items()
    }


def ahead_of(
    compare: Sequence[Mapping[str, Any]],
    lead: Mapping[str, Mapping[str, float]],
    linear: Collection[str],
    without_features: Collection[str],
) -> list[tuple]:
    """What the first variant is held against: (its row, what it is, the lead over it) of each.

    compare: the rows of the experiment, that of the highest UA first. The next, and the best of the
    two kinds that a model must beat.
    """
    found: dict[str, tuple] = {}
    for wanted, what in (
        (lead, "the next"),
        (linear, "the best linear model"),
        (without_features, "which neither hears nor reads"),
    ):
        row = next((row for row in compare[1:] if row["variant"] in wanted), None)
        if row:
            said = found[row["variant"]][1] + ", " if row["variant"] in found else ""
            found[row["variant"]] = row, said + what, lead[row["variant"]]
    return list(found.values())


def errors(classes: pd.DataFrame, confusion: pd.DataFrame, variant: str) -> dict[str, Any]:
    """Where a variant errs most: its row of `classes` with the least recall (weakest), and that of
    `confusion` with the most utterances of another class (error, None where all are right).
    """
    own = classes[classes["variant"] == variant]
    wrong = confusion[
        (confusion["variant"] == variant)
        & (confusion["true"] != confusion["predicted"])
        & (confusion["count"] > 0)
    ]
    return {
        "weakest": own.nsmallest(1, "recall").to_dict("records")[0],
        "error": next(iter(wrong.nlargest(1, "count").to_dict("records")), None),
    }
