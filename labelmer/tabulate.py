"""Predictions of every fold, seed and variant -> the result tables of a corpus.

Only the test part is reported. Each fold's metrics are averaged over seeds first; mean and
standard deviation are then taken over folds. "Pooled" takes the utterances of all folds at once,
for each seed, and averages over seeds. Every table states protocol, selection rule, numbers of
folds, seeds and utterances.

--config holds {"protocol": sentence, "selection": sentence, "classes": [names in order]}.
With --show, a compare table that exists is printed and nothing is computed.
"""

from pathlib import Path

import pandas as pd

from labelmer import result_tables, tables
from labelmer.errors import InputError
from labelmer.metrics import METRICS, by_class, confusion, scores
from labelmer.result_tables import EXPERIMENT, percent
from labelmer.stage import command, log, parse, stage_parser

VARIANT = [*EXPERIMENT, "variant"]


def read_run(path, classes):
    """One run's test predictions: the run's columns, id, true, predicted.

    Raise InputError if the file's classes are not `classes` or if it holds more than one run.
    """
    table = tables.read(path, "predictions")
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
    test = table[table["part"] == "test"]
    if len(test) == 0:
        raise InputError(
            f"{path}: no row has part 'test', expected one run's test predictions; "
            "evaluate the model again"
        )
    runs = test[[*VARIANT, "fold", "seed"]].drop_duplicates()
    if len(runs) > 1:
        raise InputError(
            f"{path}: holds the runs {runs.to_dict('records')}, expected one run to a file; "
            "evaluate the model again"
        )
    return test[[*VARIANT, "fold", "seed", "id", "true", "predicted"]]


def check_grid(predictions, folds):
    """Raise InputError unless each variant has each fold and seed once, on the same utterances.

    predictions: the concatenated runs; folds: numbers of the folds that the audit lists.
    """
    columns = [*VARIANT, "fold", "seed"]
    twice = predictions[predictions.duplicated([*columns, "id"])]
    if len(twice):
        run = tuple(twice[columns].iloc[0])
        raise InputError(f"predictions of {name_of(run)} are given twice; give each file once")
    runs = set(predictions[columns].drop_duplicates().itertuples(index=False, name=None))
    seeds = sorted({int(run[-1]) for run in runs})
    wanted = {(*run[:-2], fold, seed) for run in runs for fold in folds for seed in seeds}
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


def check_same_utterances(predictions, fold):
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


def name_of(run):
    """How a message names a run: (speech, text, mode, variant, fold, seed)."""
    speech, text, mode, variant, fold, seed = run
    return f"{speech}+{text}, {mode}, {variant}, fold {fold}, seed {seed}"


def fold_table(predictions, held_out, classes):
    """The table "folds" without its protocol: one row of metrics for every fold and seed.

    held_out: {fold: session or speaker of its test part}.
    """
    rows = [
        dict(zip([*VARIANT, "fold", "seed"], run, strict=True))
        | {"held_out": held_out[run[-2]], "utterances": len(frame)}
        | scores(frame["true"], frame["predicted"], classes)
        for run, frame in predictions.groupby([*VARIANT, "fold", "seed"], sort=False)
    ]
    return pd.DataFrame(rows)


def pooled_table(predictions, classes):
    """Metrics over the utterances of all folds at once: one row for every variant and seed."""
    rows = [
        dict(zip([*VARIANT, "seed"], run, strict=True))
        | scores(frame["true"], frame["predicted"], classes)
        for run, frame in predictions.groupby([*VARIANT, "seed"], sort=False)
    ]
    return pd.DataFrame(rows)


def summary_table(folds, pooled):
    """The table "summary" without its protocol, from the tables of folds and of pooled metrics.

    sd and seed_sd have n - 1 in the denominator; they are nan for one fold or one seed.
    """
    rows = []
    for variant, frame in folds.groupby(VARIANT, sort=False):
        of_variant = (pooled[VARIANT] == list(variant)).all(axis=1)
        for metric in METRICS:
            over_folds = frame.groupby("fold")[metric].mean()
            over_seeds = frame.groupby("seed")[metric].mean()
            rows.append(
                dict(zip(VARIANT, variant, strict=True))
                | {"metric": metric, "mean": over_folds.mean(), "sd": over_folds.std()}
                | {"seed_sd": over_seeds.std(), "pooled": pooled.loc[of_variant, metric].mean()}
            )
    return pd.DataFrame(rows)


def class_table(predictions, classes):
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


def confusion_table(predictions, classes):
    """The table "confusion" without its protocol: pooled over folds, mean over seeds."""
    cells = pd.MultiIndex.from_product([classes, classes], names=["true", "predicted"])
    rows = []
    for variant, frame in predictions.groupby(VARIANT, sort=False):
        counts = confusion(frame["true"], frame["predicted"], classes) / frame["seed"].nunique()
        table = pd.DataFrame({"count": counts.ravel()}, index=cells).reset_index()
        table["share"] = table["count"] / table.groupby("true")["count"].transform("sum")
        rows.append(table.assign(**dict(zip(VARIANT, variant, strict=True))))
    return pd.concat(rows)


def compare_table(summary):
    """The table "compare" from the summary: one row per variant, best fold mean of UA first."""
    wide = summary.pivot(index=VARIANT, columns="metric", values=["mean", "sd", "pooled"])
    compared = pd.DataFrame({metric: wide["mean", metric] for metric in METRICS})
    for metric in ("ua", "wa"):
        compared[f"{metric}_sd"] = wide["sd", metric]
        compared[f"{metric}_pooled"] = wide["pooled", metric]
    protocol = summary.drop_duplicates(VARIANT)[[*VARIANT, *result_tables.PROTOCOL]]
    compared = protocol.merge(compared.reset_index(), on=VARIANT)  # experiments in their order
    return pd.concat(
        frame.sort_values("ua", ascending=False)
        for _, frame in compared.groupby(EXPERIMENT, sort=False)
    )


def all_tables(predictions, held_out, config):
    """Every result table by name, from the concatenated test predictions of a complete grid."""
    classes = config["classes"]
    protocol = {
        "protocol": config["protocol"],
        "selection": config["selection"],
        "folds": predictions["fold"].nunique(),
        "seeds": predictions["seed"].nunique(),
    }
    folds = fold_table(predictions, held_out, classes)
    summary = summary_table(folds, pooled_table(predictions, classes))
    # Each run of a fold tests the same utterances (check_grid), so one number holds for all.
    protocol["utterances"] = len(predictions[["fold", "id"]].drop_duplicates())
    built = {
        "summary": summary,
        "classes": class_table(predictions, classes),
        "confusion": confusion_table(predictions, classes),
    }
    built = {name: table.assign(**protocol) for name, table in built.items()}
    built["folds"] = folds.assign(**{k: protocol[k] for k in protocol if k != "utterances"})
    built["compare"] = compare_table(built["summary"])
    return built


def compare_text(compare):
    """A compare table as aligned plain text, in percent: one block per experiment."""
    blocks = []
    for (speech, text, mode), frame in compare.groupby(EXPERIMENT, sort=False):
        rows = [("variant", "UA", "WA", "weighted F1", "macro F1", "n")]
        rows += [
            (
                row.variant,
                percent(row.ua, row.ua_sd),
                percent(row.wa, row.wa_sd),
                percent(row.weighted_f1),
                percent(row.macro_f1),
                str(row.utterances),
            )
            for row in frame.itertuples()
        ]
        blocks.append(f"{speech} + {text}, {mode} encoders, in percent\n\n{aligned(rows)}")
    first = compare.iloc[0]
    blocks.append(
        f"Mean ± standard deviation over folds; folds: {first['folds']}, seeds: {first['seeds']}; "
        f"n test utterances.\nProtocol: {first['protocol']}.\nSelection: {first['selection']}."
    )
    return "\n\n".join(blocks)


def aligned(rows):
    """Rows of cells as lines of text: the first column left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)


@command
def main(argv=None):
    """Write the result tables of a corpus, or print a compare table."""
    parser = stage_parser(__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", metavar="FILE", help="one per run")
    parser.add_argument("--audit", type=Path, metavar="AUDIT.tsv", help="names what is held out")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="gets the tables")
    parser.add_argument("--show", type=Path, metavar="COMPARE.tsv", help="print this and stop")
    args = parse(parser, argv)
    if args.show:
        print(compare_text(result_tables.read(args.show, "compare")))
        return
    if not (args.predictions and args.audit and args.out):
        parser.error("--predictions, --audit and --out are needed")
    audit = tables.read(args.audit, "audit")
    held_out = dict(zip(audit["fold"], audit["held_out"], strict=True))
    classes = args.config["classes"]
    predictions = pd.concat([read_run(path, classes) for path in args.predictions])
    check_grid(predictions, sorted(held_out))
    for name, table in all_tables(predictions, held_out, args.config).items():
        result_tables.write(args.out / f"{name}.tsv", table, name)
    log.info("%d runs tabulated in %s", len(args.predictions), args.out)


if __name__ == "__main__":
    main()
