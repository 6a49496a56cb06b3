"""Predictions of other corpora, and of the own one -> how far the models carry.

A row for each variant and other corpus, and beside it one for the study's own test parts, scored on
the same classes: those that both corpora have by name, given that it is one of these. On another
corpus each model, of every fold and seed, predicts all utterances; it is scored by itself, and the
row has the mean over models. On the own corpus the folds' test parts are taken at once, and the
mean is over seeds. Intervals are over the speakers of the corpus that is tested (statistics), with
all models at once: they do not say what other training data would give. Temperatures are fitted on
the validation part of the own corpus alone.

--config holds {"protocol": sentence, "selection": sentence, "classes": [names in order],
"trained_on": name, "others": {corpus: {"shared": [classes], "classes": [all that it has]}}}.
With --show, tables that exist, as of several studies, are printed as one and nothing is computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import NAMES, OBJECT, TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import columns, runs
from labelmer.report.columns import SCALINGS
from labelmer.report.protocol import with_audit
from labelmer.report.runs import RUN, VARIANT
from labelmer.report.text import aligned, encoders_text, percent
from labelmer.scores import calibration, intervals
from labelmer.scores.metrics import METRICS
from labelmer.scores.restriction import restricted


def scored(table: pd.DataFrame, classes: Sequence[str], kept: Sequence[str]) -> pd.DataFrame:
    """A run's predictions of the utterances of some classes, given that it is one of these.

    table: "predictions" with probabilities of `classes`; kept: some of these.
    """
    rows = table[table["true"].isin(kept)]
    p = restricted(rows[[f"p_{name}" for name in classes]].to_numpy(), classes, kept)
    found = rows[[*RUN, "id", "speaker", "part", "true"]].assign(
        predicted=np.array(kept)[p.argmax(axis=1)]
    )
    return found.assign(**{f"p_{name}": p[:, i] for i, name in enumerate(kept)})


def temperature_of(validation: pd.DataFrame, kept: Sequence[str], path: Path) -> float:
    """The temperature that a run's validation part asks for. validation: as scored gives it."""
    if validation.empty:
        raise InputError(
            f"{path}: no row of part 'validation' has a class of {list(kept)}, expected some, "
            "which the temperature is fitted on; take the corpus that shares these out of test_on"
        )
    logs = calibration.log_probabilities(validation[[f"p_{name}" for name in kept]].to_numpy())
    true = pd.Index(kept).get_indexer(validation["true"])
    return calibration.best_temperature(logs, true)


def with_confidence(rows: pd.DataFrame, kept: Sequence[str], temperature: float) -> pd.DataFrame:
    """Rows with the predicted class's probability, before and after scaling by a temperature."""
    p = rows[[f"p_{name}" for name in kept]].to_numpy()
    scaled = np.exp(calibration.scaled(calibration.log_probabilities(p), temperature))
    return rows.assign(confidence_none=p.max(axis=1), confidence_temperature=scaled.max(axis=1))


def measured(predictions: pd.DataFrame, kept: Sequence[str]) -> dict[str, Any]:
    """What one variant's predictions are worth: columns of the table.

    predictions: of some models, numbered in the column seed, each of the same utterances.
    """
    pooled = runs.pool(predictions, kept)
    found = intervals.over_speakers(pooled.true, pooled.predicted, pooled.speakers, len(kept))
    counts = np.bincount(pooled.true)
    right = predictions["true"] == predictions["predicted"]
    errors = {
        scaling: np.mean(
            [
                calibration.expected_calibration_error(
                    one[f"confidence_{scaling}"], right[one.index]
                )
                for _, one in predictions.groupby("seed")
            ]
        )
        for scaling in SCALINGS
    }
    return {
        **{name: found[name].value for name in METRICS},
        **intervals.named_interval("ua_", found["ua"]),
        **intervals.named_interval("wa_", found["wa"]),
        "chance": 1 / np.count_nonzero(counts),
        "largest": counts.max() / counts.sum(),
        "confidence": predictions["confidence_none"].mean(),
        "ece": errors["none"],
        "ece_scaled": errors["temperature"],
        "speakers": len(np.unique(pooled.speakers)),
        "utterances": len(pooled.true),
    }


def rows_of(
    own: pd.DataFrame, there: pd.DataFrame, other: str, config: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The rows of one other corpus: for each variant the own corpus', then the other's.

    own, there: predictions of all runs (runs.grid), as with_confidence gives them. config: the
    stage's.
    """
    said = config["others"][other]
    kept, classes = said["shared"], config["classes"]
    design = {
        "trained_on": config["trained_on"],
        "other": other,
        "classes": ", ".join(kept),
        "not_tested": ", ".join(name for name in classes if name not in kept),
        "not_trained": ", ".join(name for name in said["classes"] if name not in kept),
    }
    # Each model of another corpus' utterances is one of its own, as a seed is of the own corpus'.
    models = there.assign(seed=there.groupby(["fold", "seed"]).ngroup(), fold=0)
    foreign = f"{config['protocol']}; tested on every utterance of {other} that is of these classes"
    tested = {
        config["trained_on"]: (own, config["protocol"]),
        other: (models, foreign),
    }
    rows = []
    for variant, _ in own.groupby(VARIANT, sort=False):
        for corpus, (frame, protocol) in tested.items():
            mine = frame[(frame[VARIANT] == list(variant)).all(axis=1)]
            named = dict(zip(VARIANT, variant, strict=True))
            row = {**named, **design, "tested_on": corpus, **measured(mine, kept)}
            rows.append({**row, **runs.protocol(own, config), "protocol": protocol})
    return rows


def cross_corpus_table(
    own: Iterable[Path], others: Mapping[str, Iterable[Path]], folds: Iterable[int], config: Mapping
) -> pd.DataFrame:
    """The table "cross_corpus" from files of predictions, of every run each.

    own: of the study's own corpus; others: {corpus: of it}; folds: numbers in the audit.
    InputError: a run is missing, or predicts other utterances than the rest.
    """
    folds, rows = list(folds), []
    read = {path: runs.read(path, config["classes"]) for path in own}
    runs.grid([table[table["part"] == "test"] for table in read.values()], folds)
    for other, paths in others.items():
        kept = config["others"][other]["shared"]
        known = {path: scored(table, config["classes"], kept) for path, table in read.items()}
        temperatures, tested = {}, []
        for path, table in known.items():
            temperature = temperature_of(table[table["part"] == "validation"], kept, path)
            temperatures[tuple(table[RUN].iloc[0])] = temperature
            tested.append(with_confidence(table[table["part"] == "test"], kept, temperature))
        there = []
        for path in paths:
            table = scored(runs.read(path, kept), kept, kept)
            run = tuple(table[RUN].iloc[0])
            if run not in temperatures:
                raise InputError(
                    f"{path}: {runs.name_of(run)} has no predictions of its own corpus, expected "
                    "both; evaluate that run"
                )
            there.append(with_confidence(table, kept, temperatures[run]))
        mine = pd.concat(tested, ignore_index=True)
        rows += rows_of(mine, runs.grid(there, folds), other, config)
    return pd.DataFrame(rows)


def matrix_text(table: pd.DataFrame) -> str:
    """Tables "cross_corpus" of several studies, as one, for people: corpora x corpora.

    A block for each variant, a row for each corpus that trained it and a column for each that
    tested it: UA in percent, and in brackets that of the same models on their own test parts, of
    the same classes.
    """
    blocks = []
    for variant, rows in table.groupby(VARIANT, sort=False):
        own = rows[rows["tested_on"] == rows["trained_on"]].set_index(["trained_on", "other"])["ua"]
        there = rows[rows["tested_on"] == rows["other"]].set_index(["trained_on", "other"])["ua"]
        trained, tested = (list(dict.fromkeys(rows[name])) for name in ("trained_on", "other"))
        lines = [["trained on", *tested]]
        for corpus in trained:
            pairs = [(corpus, other) for other in tested]
            cells = [
                f"{percent(there[pair])} ({percent(own[pair])})" if pair in there.index else "–"
                for pair in pairs
            ]
            lines.append([corpus, *cells])
        speech, text, mode, name = variant
        blocks.append(f"{speech} + {text}, {encoders_text(mode)}, {name}\n\n{aligned(lines)}")
    blocks.append(
        "UA in percent on the corpus of the column; in brackets the same models on their own test\n"
        "parts, of the same classes. Which classes these are, chance and intervals: the tables."
    )
    return "\n\n".join(blocks)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule cross_corpus."""
    parser = stage_parser(__doc__)
    parser.add_argument("--predictions", type=Path, nargs="+", metavar="TSV")
    parser.add_argument(
        "--tested",
        nargs="+",
        action="append",
        metavar=("CORPUS", "TSV"),
        help="another corpus, and the predictions of it, one per run",
    )
    parser.add_argument("--audit", type=Path, metavar="AUDIT.tsv")
    parser.add_argument("--out", type=Path, metavar="TSV", help="table to write")
    parser.add_argument(
        "--show",
        type=Path,
        nargs="+",
        metavar="TSV",
        help="print these, corpora x corpora, and stop",
    )
    told = {"protocol": TEXT, "selection": TEXT, "classes": NAMES}
    args = parse(parser, argv, optional={**told, "trained_on": TEXT, "others": OBJECT})
    if args.show:
        print(matrix_text(pd.concat(columns.read(path, "cross_corpus") for path in args.show)))
        return
    needed = ("predictions", "tested", "audit", "out")
    if absent := [f"--{name}" for name in needed if not getattr(args, name)]:
        parser.error(f"without --show, {', '.join(absent)} must be given")
    audit = tables.read(args.audit, "audit")
    config = {**args.config, "protocol": with_audit(args.config["protocol"], audit)}
    others = {name: [Path(path) for path in paths] for name, *paths in args.tested}
    folds = sorted(set(audit["fold"]))
    table = cross_corpus_table(args.predictions, others, folds, config)
    columns.write(args.out, table, "cross_corpus")
    log.info("%d runs on %s", len(args.predictions), ", ".join(others))
