"""Predictions of disturbed inputs -> what a lost modality, recognised words and deletions cost.

A modality is lost of all test utterances, or of a share of them (missing.py).

Only the test part is used, pooled over folds; values are means over seeds. Each change is held
against the unchanged predictions of the same runs, speaker by speaker (statistics).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.tables import MODALITIES, ORDERS
from labelmer.report import runs
from labelmer.report.columns import MISSING, RESULTS
from labelmer.report.missing import EITHER, SHARES, missing_at_rates
from labelmer.report.runs import VARIANT
from labelmer.scores import intervals
from labelmer.scores.metrics.accuracies import ua, wa

CHANGE = ["change", "modality", "share"]
UNCHANGED = ("none", "none", 0.0)
CHANGE_OF = {
    "all": UNCHANGED,
    "speech missing": ("missing", "speech", 1.0),
    "text missing": ("missing", "text", 1.0),
    "context missing": ("missing", "context", 1.0),
    "transcripts": ("transcripts", "text", 1.0),
}


def robustness_tables(
    predictions: pd.DataFrame,
    perturbed: Iterable[tuple[tuple, pd.DataFrame]],
    config: Mapping[str, Any],
) -> dict[str, pd.DataFrame]:
    """The tables "robustness", "missing_rates" and "deletion" by name; see measured.

    config: as tabulate has it.
    """
    # Sound that is one row for an utterance has nothing to delete, and metadata nothing to change.
    undisturbed = [v for v, names in config["inputs"].items() if "text" not in names]
    found = measured(predictions, perturbed, config["classes"], undisturbed)
    design = runs.protocol(predictions, config) | {
        "utterances": len(predictions[["fold", "id"]].drop_duplicates()),
        "speakers": predictions["speaker"].nunique(),
    }
    built = {
        "robustness": robustness_table(found),
        "missing_rates": missing_rates_table(found),
        "deletion": deletion_table(found),
    }
    return {name: table.assign(**design) for name, table in built.items()}


def measure(pooled: runs.Pooled, unchanged: runs.Pooled) -> dict[str, Any]:
    """Estimates of one variant under one change, over speakers: {"ua", "wa", "confidence", ...}.

    pooled: the runs.Pooled under the change; unchanged: that without it, of the same utterances.
    """
    said = pooled.true, pooled.predicted, pooled.speakers
    named = unchanged.predicted[..., None]  # (seeds, N, 1)
    confidence = np.take_along_axis(pooled.p, named, axis=2)[..., 0]
    return {
        **intervals.over_speakers(*said, pooled.p.shape[2], {"ua": ua, "wa": wa}),
        "confidence": intervals.mean_over_speakers(confidence, pooled.speakers),
    }


def with_intervals(estimates: Mapping[str, Any], *measures: str) -> dict[str, Any]:
    """Some of the estimates, each with its interval, as columns."""
    return {
        column: value
        for name in measures
        for column, value in {
            name: estimates[name].value,
            **intervals.named_interval(f"{name}_", estimates[name]),
        }.items()
    }


def measured(
    predictions: pd.DataFrame,
    perturbed: Iterable[tuple[tuple, pd.DataFrame]],
    classes: Sequence[str],
    undisturbed: Sequence[str] = (),
) -> dict[tuple, dict]:
    """{variant: {(change, modality, share): measure()}}, the unchanged predictions among them, and
    those of which a share lacks a modality.

    predictions: the test part of a complete grid (runs.grid); perturbed: the tables "perturbed" of
    the same runs (runs.disturbed); undisturbed: variants that are given nothing to change. Raise
    InputError unless each change of a variant has all that it predicts.
    """
    expected = dict(iter(predictions.groupby(VARIANT, sort=False)))
    found: dict[tuple, dict] = {}
    for variant, frame in perturbed:
        if variant not in expected:
            raise _not_both(variant)
        found[variant] = of_changes(expected[variant], frame, classes)
    for variant, unchanged in expected.items():
        if variant not in found:
            if variant[-1] not in undisturbed:
                raise _not_both(variant)
            whole = runs.pool(unchanged, classes)
            found[variant] = {UNCHANGED: measure(whole, whole)}
    return {variant: found[variant] for variant in expected}


def _not_both(variant: tuple) -> InputError:
    speech, text, mode, name = variant
    return InputError(
        f"{speech}+{text}, {mode}, {name}: only its disturbed or only its undisturbed inputs have "
        "predictions, expected both; evaluate its runs"
    )


def of_changes(
    unchanged: pd.DataFrame, perturbed: pd.DataFrame, classes: Sequence[str]
) -> dict[tuple, dict]:
    """{(change, modality, share): measure()} of one variant; see measured."""
    whole = runs.pool(unchanged, classes)
    changed = {
        change: runs.pool(matched(frame, unchanged, change), classes)
        for change, frame in perturbed.groupby(CHANGE)
    }
    pooled = {UNCHANGED: whole, **changed, **missing_at_rates(whole, changed)}
    return {change: measure(of_change, whole) for change, of_change in pooled.items()}


def matched(frame: pd.DataFrame, unchanged: pd.DataFrame, change: tuple) -> pd.DataFrame:
    """A variant's predictions under one change, with their speakers.

    unchanged: its predictions without the change. Raise InputError unless both are of the same
    runs, utterances and true classes.
    """
    key = ["fold", "seed", "id"]
    wanted = [*key, "true", "predicted", *(c for c in frame if c.startswith("p_"))]
    known = unchanged[[*key, "true", "speaker"]]
    both = frame[wanted].merge(known, on=[*key, "true"], how="outer", indicator=True)
    odd = both[(both["_merge"] != "both") | both.duplicated(key)]
    if len(odd):
        row, (what, modality, share) = odd.iloc[0], change
        run = (*unchanged[VARIANT].iloc[0], row["fold"], row["seed"])
        raise InputError(
            f"{runs.name_of(run)}: id '{row['id']}' is missing, stands twice or has another true "
            f"class where {modality} is changed ({what}, share {share:g}), expected the run's test "
            "utterances; evaluate that run again"
        )
    return both


def robustness_table(measured: Mapping[tuple, Any]) -> pd.DataFrame:
    """The table "robustness" without its design: a row for every variant and condition."""
    rows = [
        dict(zip(VARIANT, variant, strict=True))
        | {"condition": condition}
        | with_intervals(changes[change], "ua", "wa")
        | difference("difference", "ua", changes[change], changes[UNCHANGED])
        for variant, changes in measured.items()
        for condition, change in CHANGE_OF.items()
        if change in changes
    ]
    return pd.DataFrame(rows, columns=list(RESULTS["robustness"]))


def missing_rates_table(measured: Mapping[tuple, Any]) -> pd.DataFrame:
    """The table "missing_rates" without its design: a row per variant, what is missing, share."""
    rows = [
        dict(zip(VARIANT, variant, strict=True))
        | {"missing": missing, "share": share}
        | with_intervals(here, "ua", "wa")
        | difference("difference", "ua", here, changes[UNCHANGED])
        for variant, changes in measured.items()
        if ("missing", EITHER, SHARES[0]) in changes
        for missing in MISSING
        for share, here in [
            (0.0, changes[UNCHANGED]),
            *((share, changes["missing", missing, share]) for share in SHARES),
        ]
    ]
    return pd.DataFrame(rows, columns=list(RESULTS["missing_rates"]))


def deletion_table(measured: Mapping[tuple, Any]) -> pd.DataFrame:
    """The table "deletion" without its design: a row per variant, modality, order and share."""
    rows = [
        dict(zip(VARIANT, variant, strict=True)) | row
        for variant, changes in measured.items()
        for modality in MODALITIES
        for order in ORDERS
        for row in deletion_rows(changes, modality, order)
    ]
    table = pd.DataFrame(rows, columns=list(RESULTS["deletion"]))
    for test in ("against_random_p", "confidence_against_random_p"):
        table[f"{test}_holm"] = intervals.holm(table[test])
    return table


def deletion_rows(changes: Mapping[tuple, Any], modality: str, order: str) -> list[dict]:
    """The rows of one variant, modality and order, from nothing deleted on; none without them."""
    shares = sorted(share for *what, share in changes if what == [order, modality])
    rows = []
    for share in [0.0, *shares] if shares else []:
        here = changes[order, modality, share] if share else changes[UNCHANGED]
        row = {"modality": modality, "order": order, "share": share}
        row |= with_intervals(here, "ua", "confidence")
        random = changes.get(("random", modality, share))
        if order == "most-salient" and random:
            row |= difference("against_random", "ua", random, here)
            row |= difference("confidence_against_random", "confidence", random, here)
        rows.append(row)
    return rows


def difference(
    name: str,
    measure: str,
    a: Mapping[str, Any],
    b: Mapping[str, Any],
) -> dict[str, float]:
    """A measure of a minus that of b, with its interval and p, as columns."""
    return intervals.named_difference(name, a[measure] - b[measure])
