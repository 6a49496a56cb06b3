"""Salience and rationales -> how much of what a variant weighs lies where the label is told.

For each variant, modality and measure: the mean share of the measure that lies on the rationale,
over the test utterances that have one, pooled over folds, mean over seeds. It is compared with the
share of the tokens or frames that lie there (uniform), and with the salience of a variant that has
plain attention and no labels. Intervals and tests are those of a jackknife over speakers.

--config holds {"protocol": sentence, "selection": sentence}.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import MODALITIES, is_recognised
from labelmer.report import columns
from labelmer.report.protocol import with_audit
from labelmer.report.runs import VARIANT
from labelmer.report.salience_file import SalienceFile, read_rationales, share_within
from labelmer.scores import intervals

MEASURED = [*VARIANT, "modality", "measure"]
PLAIN_ATTENTION = ("cross-attention", "additive")  # the first of them that there is


def shares_of(
    file: SalienceFile,
    rationales: Mapping[str, Mapping[str, tuple]],
) -> pd.DataFrame:
    """One file of salience: rows of run, modality, id, measure, share and uniform; none where a
    row is a whole utterance, which tells no stretch from another, or a recognised word, as
    rationales of text are stretches of the corpus' own words.

    rationales: {modality: {id: (start, end)}}.
    """
    rows = []
    if file.modality == "text" and is_recognised(file.run["mode"]):
        return pd.DataFrame()
    for name, (start, end) in rationales[file.modality].items():
        if name in file and not file.whole:
            inside = share_within(file.spans(name), start, end)  # (rows,)
            about = {**file.run, "modality": file.modality, "id": name, "uniform": inside.mean()}
            for measure in file.measures:
                share = inside @ file.weights(name, measure)
                rows.append({**about, "measure": measure, "share": share})
    return pd.DataFrame(rows)


def estimate(
    frame: pd.DataFrame,
    column: str,
    speakers: Mapping[str, str],
    ids: Sequence[str],
    seeds: Sequence[int],
) -> Any:
    """The mean of a column of one variant's shares, an Estimate over speakers.

    speakers: {id: speaker}. Raise InputError unless there are all ids with all seeds.
    """
    values = frame.pivot(index="id", columns="seed", values=column).reindex(ids, columns=seeds)
    partial = values.index[values.isna().any(axis=1)]
    if len(partial):
        raise InputError(
            f"id '{partial[0]}': {frame['variant'].iloc[0]} lacks its {frame['modality'].iloc[0]} "
            f"salience with one of the seeds {seeds}, expected the same test utterances of all "
            "variants and seeds; evaluate the models again"
        )
    return intervals.mean_over_speakers(values.to_numpy().T, values.index.map(speakers))


def salience_table(shares: pd.DataFrame, speakers: Mapping[str, str]) -> pd.DataFrame:
    """The table "salience" without protocol, folds and seeds, from the rows of all files."""
    wanted = list(columns.RESULTS["salience"])
    if len(shares) == 0:
        return pd.DataFrame(columns=wanted)
    ids = shares.groupby("modality")["id"].unique()
    seeds = sorted(shares["seed"].unique().tolist())
    estimates, uniforms = (
        {
            key: estimate(frame, column, speakers, ids[key[4]], seeds)
            for key, frame in shares.groupby(MEASURED, sort=False)
        }
        for column in ("share", "uniform")
    )
    rows = []
    for key, own in estimates.items():
        uniform = uniforms[key]
        row = {"share": own.value} | intervals.named_interval("", own)
        ratio = own.value / uniform.value if uniform.value > 0 else np.nan
        row |= {"uniform": uniform.value, "ratio": ratio}
        row |= intervals.named_difference("over_uniform", own - uniform)
        plain = plain_attention(key, estimates)
        if plain is not None:
            row["attention"] = plain[3]
            row |= intervals.named_difference("over_attention", own - estimates[plain])
        row |= {"utterances": len(ids[key[4]]), "speakers": len(own.without)}
        rows.append(dict(zip(MEASURED, key, strict=True)) | row)
    return pd.DataFrame(rows, columns=wanted)


def plain_attention(key: tuple, estimates: Mapping[tuple, Any]) -> Any:
    """The key of the plain attention that `key` is compared with, or None; not with itself."""
    *experiment, _, modality, _ = key
    keys = [(*experiment, variant, modality, "salience") for variant in PLAIN_ATTENTION]
    found = next((plain for plain in keys if plain in estimates), None)
    return None if found == key else found


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule salience."""
    parser = stage_parser(__doc__)
    parser.add_argument("rationales", type=Path, metavar="RATIONALES.tsv")
    parser.add_argument("out", type=Path, metavar="SALIENCE.tsv")
    parser.add_argument("--salience", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--segments", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--audit", type=Path, required=True, metavar="AUDIT.tsv")
    args = parse(parser, argv, {"protocol": TEXT, "selection": TEXT})
    utterances = tables.read_all(args.utterances, "utterances").set_index("id")
    segments = tables.read_all(args.segments, "segments").dropna(subset="seconds").set_index("id")
    texts = utterances["text"].to_dict()
    rationales = read_rationales(args.rationales, texts, segments["seconds"].to_dict())
    places = ((folder / f"{m}.h5") for folder in args.salience for m in MODALITIES)
    paths = [path for path in places if path.exists()]
    shares, runs = [], []
    for path in paths:
        file = SalienceFile(path)
        shares.append(shares_of(file, rationales))
        runs.append(file.run)
    shares, runs = pd.concat(shares), pd.DataFrame(runs)
    if len(shares) == 0:
        log.warning(
            "%s: no test utterance has a rationale of a modality that a variant sees: the table is "
            "empty; add some, or take rationales out of the config",
            args.rationales,
        )
    table = salience_table(shares, utterances["speaker"].to_dict()).assign(
        folds=runs["fold"].nunique(),
        seeds=runs["seed"].nunique(),
        protocol=with_audit(args.config["protocol"], tables.read(args.audit, "audit")),
        selection=args.config["selection"],
    )
    columns.write(args.out, table, "salience")
    log.info("%d rows from %d files of salience", len(table), len(paths))
