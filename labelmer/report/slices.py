"""Predictions -> accuracy on slices of the test utterances: where does a variant help?

    slicing   slices
    class     the utterances of each true class: UA is the recall of that class
    length    short, middle, long: thirds of the test utterances by seconds of audio
    kind      the kind of dialogue that IEMOCAP's ids tell: improvised, scripted, or the id's word
    alone     agree, disagree: do text-only and speech-only, seeds voting, name the same class?

A slicing that a corpus or an experiment does not have, or that leaves all utterances in one slice,
has no rows. Within a slice all is as in tabulate: pooled over folds, mean over seeds, tested
against the experiment's reference.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.report import columns, runs
from labelmer.report.columns import EXPERIMENT
from labelmer.scores import intervals
from labelmer.scores.metrics.accuracies import ua, wa

LENGTHS = ("short", "middle", "long")
ALONE = ("agree", "disagree")
KIND = re.compile(r"Ses\d\d[FM]_([a-z]+)\d")  # Ses01F_impro01_F000, Ses01F_script01_1_F000
KINDS = {"impro": "improvised", "script": "scripted"}


def read_seconds(paths: Iterable[Path]) -> pd.Series:
    """The seconds of audio of every utterance, from the tables of segments: a series by id."""
    return tables.read_all(paths, "segments").set_index("id")["seconds"]


def seconds_of(ids: np.ndarray, seconds: pd.Series) -> np.ndarray:
    """The seconds (N,) of utterances; raise InputError if one has none."""
    found = pd.Series(ids).map(seconds)
    if found.isna().any():
        raise InputError(
            f"id '{ids[found.isna().to_numpy()][0]}' has no seconds in any table of segments, "
            "expected those of every test utterance; segment the corpus again"
        )
    return found.to_numpy()


def kind_of(name: str) -> str | None:
    """The kind of dialogue that an utterance's id tells, or None."""
    found = KIND.match(name)
    return KINDS.get(found[1], found[1]) if found else None


def shared_slicings(
    utterances: runs.Pooled,
    seconds: np.ndarray,
    cuts: Sequence[float],
    classes: Sequence[str],
) -> dict[str, Any]:
    """The slicings that are the same for all experiments: {slicing: categorical (N,)}.

    utterances: a runs.Pooled; seconds: (N,); cuts: the terciles of seconds. An utterance in no
    slice has no category.
    """
    return {
        "class": pd.Categorical.from_codes(utterances.true, classes),
        "length": pd.Categorical.from_codes(np.searchsorted(cuts, seconds), LENGTHS),
        "kind": pd.Categorical([kind_of(name) for name in utterances.ids]),
    }


def slicings_of(variants: dict[str, runs.Pooled], shared: dict[str, Any]) -> dict[str, Any]:
    """The slicings of one experiment; variants: {name: runs.Pooled}."""
    text, speech = variants.get("text-only"), variants.get("speech-only")
    if text is None or speech is None:
        return shared
    disagree = (text.voted != speech.voted).astype(int)
    return {**shared, "alone": pd.Categorical.from_codes(disagree, ALONE)}


def slice_rows(variants: dict[str, runs.Pooled], inside: np.ndarray, size: int) -> list[dict]:
    """A row for each variant on the utterances of one slice.

    variants: {name: runs.Pooled}, the reference first; inside: (N,) which utterances are in the
    slice; size: number of classes.
    """
    rows, reference = [], None
    for variant, pooled in variants.items():
        said = pooled.true[inside], pooled.predicted[:, inside], pooled.speakers[inside]
        found = intervals.over_speakers(*said, size, {"ua": ua, "wa": wa})
        of_ua, right = found["ua"], pooled.right[inside]
        row = {"variant": variant, "utterances": len(right), "speakers": len(of_ua.without)}
        row |= {"ua": of_ua.value, "wa": found["wa"].value}
        row |= intervals.named_interval("", of_ua)
        if reference is None:
            reference = variant, of_ua, right, pooled.voters
        else:
            row |= compared(of_ua, right, pooled.voters, *reference)
        rows.append(row)
    return rows


def compared(
    of_ua: Any,
    right: np.ndarray,
    voters: int,
    reference: str,
    reference_ua: Any,
    reference_right: np.ndarray,
    reference_voters: int,
) -> dict[str, Any]:
    """The columns that compare a variant's UA on a slice with the reference's, but for Holm's."""
    alike = voters == reference_voters
    tests = intervals.compared(of_ua, reference_ua, right, reference_right, alike)
    return {
        "other": reference,
        "difference": of_ua.value - reference_ua.value,
        "difference_low": tests.pop("low"),
        "difference_high": tests.pop("high"),
        **tests,
    }


def experiment_rows(
    variants: dict[str, runs.Pooled],
    slicings: Mapping[str, Any],
    size: int,
) -> list[dict]:
    """The rows of one experiment: by slicing, slice and variant, the reference first."""
    reference = columns.reference_of(list(variants))
    ordered = {reference: variants[reference], **variants}
    rows = []
    for slicing, slices in slicings.items():
        present = slices.remove_unused_categories().categories
        for name in present if len(present) > 1 else ():
            of_slice = slice_rows(ordered, np.asarray(slices == name), size)
            rows += [{"slicing": slicing, "slice": name, **row} for row in of_slice]
    return rows


def slice_table(
    predictions: pd.DataFrame,
    seconds: pd.Series,
    config: Mapping[str, Any],
) -> pd.DataFrame:
    """The table "slices" from the test predictions of a complete grid (runs.grid).

    seconds: a series by id; config: as tabulate has it.
    """
    classes = config["classes"]
    pooled = runs.pooled(predictions, classes)
    utterances = next(iter(pooled.values()))  # the same in all variants (runs.grid)
    lengths = seconds_of(utterances.ids, seconds)
    cuts = np.quantile(lengths, [1 / 3, 2 / 3])
    shared = shared_slicings(utterances, lengths, cuts, classes)
    experiments: dict[tuple, dict] = {}
    for (*names, variant), of_variant in pooled.items():
        experiments.setdefault(tuple(names), {})[variant] = of_variant
    rows = [
        {**dict(zip(EXPERIMENT, names, strict=True)), **row}
        for names, variants in experiments.items()
        for row in experiment_rows(variants, slicings_of(variants, shared), len(classes))
    ]
    table = pd.DataFrame(rows, columns=list(columns.RESULTS["slices"]))
    by_length = table["slice"].where(table["slicing"] == "length")
    table["above_s"] = by_length.map(dict(zip(LENGTHS[1:], cuts, strict=True)))
    table["up_to_s"] = by_length.map(dict(zip(LENGTHS[:-1], cuts, strict=True)))
    table = intervals.with_holm(table)
    return table.assign(**runs.protocol(predictions, config))
