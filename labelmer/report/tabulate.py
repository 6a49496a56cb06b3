"""Predictions of every fold, seed and variant -> the result tables of a corpus.

All tables come from one reading of the predictions; those on slices of the utterances are made in
slices.py, those on disturbed inputs in robustness.py.

Only the test part is reported. Each fold's metrics are averaged over seeds first; mean and
standard deviation are then taken over folds. "Pooled" takes the utterances of all folds at once,
for each seed, and averages over seeds; so do intervals and tests (statistics) and the
calibration error, after each run's temperature was fitted on its validation part. A late fusion of
seeds together has one run to a fold: nothing of it is a mean over seeds. Every table states
protocol, selection rule, numbers of folds, seeds and utterances.

--config holds {"protocol": sentence, "selection": sentence, "classes": [names in order], "inputs":
{variant: ["speech", "text", SPEECH+TEXT/MODE of a member's experiment], or ["metadata"] where
--metadata tells its columns}, "models": {late fusion: how many it multiplies}}.
With --show, a compare table that exists is printed and nothing is computed.
"""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base import tables, tsv
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import OBJECT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import columns, inputs, robustness, runs, slices
from labelmer.report.columns import EXPERIMENT, SCALINGS
from labelmer.report.protocol import with_audit
from labelmer.report.runs import RUN, VARIANT
from labelmer.report.text import aligned, encoders_text, ensembles, percent, percent_interval
from labelmer.scores import calibration, intervals
from labelmer.scores.confusion import by_class, confusion
from labelmer.scores.metrics import METRICS, scores

DESIGN = [*columns.SPEAKERS, *columns.PROTOCOL]


def read_run(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    """One run's test predictions: the run's columns, id, speaker, true, predicted, p_CLASS.

    temperature is the one fitted on the run's validation part; confidence_none and
    confidence_temperature are the predicted class's probability before and after it.
    """
    table = runs.read(path, classes)
    test, validation = (table[table["part"] == part] for part in ("test", "validation"))
    if len(validation) == 0:
        raise InputError(
            f"{path}: no row has part 'validation', expected the part that the temperature is "
            "fitted on; evaluate the model again"
        )
    columns = [f"p_{name}" for name in classes]
    true = pd.Index(classes).get_indexer(validation["true"])
    of_validation, of_test = (
        calibration.log_probabilities(t[columns].to_numpy()) for t in (validation, test)
    )
    fitted = calibration.best_temperature(of_validation, true)
    return test[[*RUN, "id", "speaker", "true", "predicted", *columns]].assign(
        temperature=fitted,
        confidence_none=test[columns].max(axis=1),
        confidence_temperature=np.exp(calibration.scaled(of_test, fitted)).max(axis=1),
    )


def fold_table(
    predictions: pd.DataFrame,
    held_out: Mapping[int, str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """The table "folds" without its protocol: one row of metrics for every fold and seed.

    held_out: {fold: session or speaker of its test part}.
    """
    rows = [
        dict(zip(RUN, run, strict=True))
        | {"held_out": held_out[run[-2]], "utterances": len(frame)}
        | scores(frame["true"], frame["predicted"], classes)
        for run, frame in predictions.groupby(RUN, sort=False)
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Estimated:
    """What a variant's predictions are worth, pooled over folds, and the votes of its seeds."""

    speakers: dict  # {metric: Estimate over speakers}
    utterances: dict  # {metric: Estimate over utterances}
    right: np.ndarray  # (N,) is the class that most seeds name the true one?
    voters: int  # how many seeds these are


def estimated(pooled: runs.Pooled, size: int) -> Estimated:
    """The Estimated of one variant's predictions (runs.Pooled) of `size` classes."""
    said = pooled.true, pooled.predicted
    return Estimated(
        speakers=intervals.over_speakers(*said, pooled.speakers, size),
        utterances=intervals.over_utterances(*said, size),
        right=pooled.right,
        voters=pooled.voters,
    )


def summary_table(folds: pd.DataFrame, estimates: Mapping[tuple, Any]) -> pd.DataFrame:
    """The table "summary" without its protocol, from the table of folds.

    estimates: {variant: Estimated}. sd and seed_sd have n - 1 in the denominator; they are nan for
    one fold or one seed.
    """
    rows = []
    for variant, frame in folds.groupby(VARIANT, sort=False):
        for metric in METRICS:
            over_folds = frame.groupby("fold")[metric].mean()
            over_seeds = frame.groupby("seed")[metric].mean()
            rows.append(
                dict(zip(VARIANT, variant, strict=True))
                | {"metric": metric, "mean": over_folds.mean(), "sd": over_folds.std()}
                | {"seed_sd": over_seeds.std(), "pooled": estimates[variant].speakers[metric].value}
                | intervals.named_interval("speaker_", estimates[variant].speakers[metric])
                | intervals.named_interval("utterance_", estimates[variant].utterances[metric])
            )
    return pd.DataFrame(rows)


def pair_table(summary: pd.DataFrame, estimates: Mapping[tuple, Any]) -> pd.DataFrame:
    """The table "pairs": a row for any two variants of an experiment, with Holm's corrections.

    Each variant is compared with those before it, and the experiment's reference is before all.
    """
    of_ua = summary[summary["metric"] == "ua"].set_index(VARIANT)
    rows = []
    for names, frame in of_ua.groupby(level=EXPERIMENT, sort=False):
        known = list(frame.index.get_level_values("variant"))
        reference = columns.reference_of(known)
        variants = [reference, *(name for name in known if name != reference)]
        for other, variant in itertools.combinations(variants, 2):
            a, b = estimates[*names, variant], estimates[*names, other]
            alike = a.voters == b.voters
            tests = intervals.compared(a.speakers["ua"], b.speakers["ua"], a.right, b.right, alike)
            row = of_ua.loc[(*names, variant)]
            rows.append(
                dict(zip(VARIANT, (*names, variant), strict=True))
                | {"other": other, "difference": row["pooled"] - frame.loc[(*names, other)].pooled}
                | tests
                | {name: row[name] for name in DESIGN}
            )
    pairs = pd.DataFrame(rows, columns=list(columns.RESULTS["pairs"]))
    return intervals.with_holm(pairs)


def calibration_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table "calibration" without its protocol: pooled over folds, mean over seeds.

    The errors are means over seeds of the error of one seed; the bins hold all seeds.
    """
    edges = np.arange(calibration.BINS + 1) / calibration.BINS
    rows = []
    for variant, frame in predictions.groupby(VARIANT, sort=False):
        right = frame["true"] == frame["predicted"]
        for scaling in SCALINGS:
            confidence = frame[f"confidence_{scaling}"]
            errors = [
                calibration.expected_calibration_error(confidence[one.index], right[one.index])
                for _, one in frame.groupby("seed")
            ]
            bins = pd.DataFrame(calibration.reliability(confidence, right))
            bins["count"] /= len(errors)
            bins = bins.assign(bin=bins.index + 1, above=edges[:-1], up_to=edges[1:])
            bins = bins.assign(scaling=scaling, ece=np.mean(errors))
            rows.append(bins.assign(**dict(zip(VARIANT, variant, strict=True))))
    return pd.concat(rows)


def class_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The table "classes" without its protocol: pooled over folds, mean over seeds."""
    per_seed = pd.concat(
        pd.DataFrame(by_class(frame["true"], frame["predicted"], classes))
        .assign(label=list(classes))
        .assign(**dict(zip(VARIANT, run, strict=False)))
        for run, frame in predictions.groupby([*VARIANT, "seed"], sort=False)
    )
    return (
        per_seed.groupby([*VARIANT, "label"], sort=False)
        .mean()
        .reset_index()
        .astype({"support": int})
    )


def confusion_table(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The table "confusion" without its protocol: pooled over folds, mean over seeds."""
    cells = pd.MultiIndex.from_product([classes, classes], names=["true", "predicted"])
    rows = []
    for variant, frame in predictions.groupby(VARIANT, sort=False):
        counts = confusion(frame["true"], frame["predicted"], classes) / frame["seed"].nunique()
        table = pd.DataFrame({"count": counts.ravel()}, index=cells).reset_index()
        table["share"] = table["count"] / table.groupby("true")["count"].transform("sum")
        rows.append(table.assign(**dict(zip(VARIANT, variant, strict=True))))
    return pd.concat(rows)


def compare_table(
    summary: pd.DataFrame,
    calibrated: pd.DataFrame,
    predictions: pd.DataFrame,
) -> pd.DataFrame:
    """The table "compare" from the summary: one row per variant, best fold mean of UA first.

    calibrated: the table "calibration"; predictions: for the temperatures.
    """
    values = ["mean", "sd", "pooled", "speaker_low", "speaker_high"]
    wide = summary.pivot(index=VARIANT, columns="metric", values=values)
    compared = pd.DataFrame({metric: wide["mean", metric] for metric in METRICS})
    for metric in ("ua", "wa"):
        compared[f"{metric}_sd"] = wide["sd", metric]
        compared[f"{metric}_pooled"] = wide["pooled", metric]
        compared[f"{metric}_low"] = wide["speaker_low", metric]
        compared[f"{metric}_high"] = wide["speaker_high", metric]
    errors = calibrated.groupby([*VARIANT, "scaling"])["ece"].first().unstack()
    compared["ece"], compared["ece_scaled"] = errors["none"], errors["temperature"]
    of_runs = predictions.groupby(RUN)["temperature"].first()
    compared["temperature"] = np.exp(np.log(of_runs).groupby(VARIANT).mean())
    compared["runs"] = of_runs.groupby(VARIANT).size()
    protocol = summary.drop_duplicates(VARIANT)[[*VARIANT, *DESIGN]]
    compared = protocol.merge(compared.reset_index(), on=VARIANT)  # experiments in their order
    return pd.concat(
        frame.sort_values("ua", ascending=False)
        for _, frame in compared.groupby(EXPERIMENT, sort=False)
    )


def all_tables(
    predictions: pd.DataFrame,
    held_out: Mapping[int, str],
    config: Mapping[str, Any],
) -> dict[str, pd.DataFrame]:
    """The tables of all test utterances by name, from the predictions of a complete grid."""
    classes = config["classes"]
    protocol = runs.protocol(predictions, config)
    folds = fold_table(predictions, held_out, classes)
    estimates = {
        variant: estimated(pooled, len(classes))
        for variant, pooled in runs.pooled(predictions, classes).items()
    }
    summary = summary_table(folds, estimates)
    # Each run of a fold tests the same utterances (runs.grid), so one number holds for all.
    protocol["utterances"] = len(predictions[["fold", "id"]].drop_duplicates())
    built = {
        "summary": summary.assign(speakers=predictions["speaker"].nunique()),
        "calibration": calibration_table(predictions),
        "classes": class_table(predictions, classes),
        "confusion": confusion_table(predictions, classes),
    }
    built = {name: table.assign(**protocol) for name, table in built.items()}
    built["folds"] = folds.assign(**{k: protocol[k] for k in protocol if k != "utterances"})
    built["compare"] = compare_table(built["summary"], built["calibration"], predictions)
    for name in ("folds", "compare"):
        built[name] = built[name].assign(inputs=inputs.of_rows(built[name], config["inputs"]))
    models = built["compare"]["variant"].map(config.get("models", {}))
    built["compare"] = built["compare"].assign(models=models.fillna(1).astype(int))
    built["pairs"] = pair_table(built["summary"], estimates)
    return built


def compare_text(compare: pd.DataFrame) -> str:
    """A compare table as aligned plain text, in percent: one block per experiment."""
    blocks = []
    for (speech, text, mode), frame in compare.groupby(EXPERIMENT, sort=False):
        others = [METRICS[name].heading for name in columns.OTHERS]
        rows = [("variant", "UA", "WA", *others, "UA pooled", "ECE")]
        rows += [
            (
                row.variant,
                percent(row.ua, row.ua_sd),
                percent(row.wa, row.wa_sd),
                *(percent(getattr(row, name)) for name in columns.OTHERS),
                f"{percent(row.ua_pooled)} {percent_interval(row.ua_low, row.ua_high)}",
                percent(row.ece),
            )
            for row in frame.itertuples()
        ]
        named = f"{speech} + {text}, {encoders_text(mode)}, in percent"
        blocks.append(f"{named}\n\n{aligned(rows)}")
    first = compare.iloc[0]
    blocks += [
        f"{variant} neither hears nor reads: it is given {names}."
        for variant, names in columns.without_features(compare).items()
    ]
    blocks += [textwrap.fill(said, 88)] if (said := ensembles(compare)) else []
    blocks.append(
        "Mean ± standard deviation over folds; pooled: over all folds at once, with its 95%\n"
        f"interval over {first['speakers']} speakers; ECE: expected calibration error.\n"
        f"Folds: {first['folds']}, seeds: {first['seeds']}, n = {first['utterances']:,} test "
        f"utterances.\nProtocol: {first['protocol']}.\nSelection: {first['selection']}."
    )
    return "\n\n".join(blocks)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write the result tables of a corpus, or print a compare table."""
    parser = stage_parser(__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", metavar="FILE", help="one per run")
    parser.add_argument("--perturbed", type=Path, nargs="+", metavar="FILE", help="one per run")
    parser.add_argument("--metadata", type=Path, nargs="*", default=[], metavar="CONFIG.json")
    parser.add_argument("--segments", type=Path, nargs="+", metavar="SESSION.tsv")
    parser.add_argument(
        "--audit", type=Path, metavar="AUDIT.tsv", help="what is held out and shared"
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="gets the tables")
    parser.add_argument("--show", type=Path, metavar="COMPARE.tsv", help="print this and stop")
    args = parse(parser, argv, optional={**runs.STATED, "models": OBJECT})
    if args.show:
        if "trained_on" in tsv.cells(args.show).columns:
            raise InputError(
                f"{args.show}: a table of other corpora, expected compare.tsv; print it by: "
                f"labelmer cross_corpus --show {args.show}"
            )
        print(compare_text(columns.read(args.show, "compare")))
        return
    needed = ("predictions", "perturbed", "segments", "audit", "out")
    if absent := [f"--{name}" for name in needed if not getattr(args, name)]:
        parser.error(f"without --show, {', '.join(absent)} must be given")
    audit = tables.read(args.audit, "audit")
    held_out = dict(zip(audit["fold"], audit["held_out"], strict=True))
    config = {
        **args.config,
        "protocol": with_audit(args.config["protocol"], audit),
        "inputs": inputs.with_columns(args.config["inputs"], args.metadata),
    }
    classes = config["classes"]
    read = [read_run(path, classes) for path in args.predictions]
    predictions = runs.grid(read, sorted(held_out))
    perturbed = runs.disturbed(args.perturbed, classes)
    seconds = slices.read_seconds(args.segments)
    built = {
        **all_tables(predictions, held_out, config),
        "slices": slices.slice_table(predictions, seconds, config),
        **robustness.robustness_tables(predictions, perturbed, config),
    }
    for name, table in built.items():
        columns.write(args.out / f"{name}.tsv", table, name)
    log.info("%d runs tabulated in %s", len(args.predictions), args.out)
