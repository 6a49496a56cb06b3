"""Late fusion: the predictions of several models on the same utterances -> one set of them.

The fused probabilities are softmax(sum over members of w_m log p_m): the product of the members'
posteriors, each to the power of its weight, which is one over its temperature. No prior is divided
out, because the class weights of training make it uniform. The weights are not negative and
minimise the mean negative log probability of the true class over the VALIDATION part; a member that
does not help there has weight 0 and is left out. The test part chooses nothing.

A member is a variant. With seeds together (a run's seed is 1+2+3) it has a model of each seed, and
p_m is their geometric mean. They share one weight: models that differ by chance alone have no claim
to different ones, and the fewer numbers a small validation part chooses, the better they hold.

Disturbed inputs are fused with the same weights: what a change leaves alone says what it said
before, and a member whose only modality is missing is left out of the product.

--config holds {"sees": [modalities of each member]}.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import RUN, command, parse, stage_parser
from labelmer.base.tables import MODALITIES, TOGETHER, VARIANT
from labelmer.scores.calibration import best_weights, combined, log_probabilities

OF_UTTERANCES = ["session", "dialogue", "speaker", "part"]  # of predictions, not of perturbed

Member = Sequence[pd.DataFrame]  # tables of one variant: a table for each of its models


class Change(NamedTuple):
    """What was done to the inputs: the columns of perturbed that say so."""

    change: str
    modality: str
    share: float


CHANGE = list(Change._fields)
# Which rows are the most salient is for each model to say, so these deletions are not fused.
FUSED_CHANGES = ("missing", "transcripts", "random")


def fuse_tables(
    members: Sequence[Member], run: Mapping[str, Any]
) -> tuple[pd.DataFrame, tuple[float, ...]]:
    """Fuse the predictions of M members; return the fused table and the M weights.

    Ids, parts, true classes and probability columns of all must agree (see `matched`). run: the
    columns that name the fused table's run.
    """
    first, columns = members[0][0], probability_columns(members[0][0])
    classes = np.array([c.removeprefix("p_") for c in columns])
    logs = np.stack([log_of(member, columns) for member in members])  # (M, N, C)
    true = pd.Index(classes).get_indexer(first["true"])
    chooses = (first["part"] == "validation").to_numpy()
    weights = best_weights(logs[:, chooses], true[chooses])
    return saying(first, combined(logs, weights), run), weights


def log_of(member: Member, columns: Sequence[str]) -> np.ndarray:
    """Log probabilities (N, C) of a member: the mean over its models."""
    return np.mean([log_probabilities(t[columns].to_numpy()) for t in member], axis=0)


def saying(rows: pd.DataFrame, logs: np.ndarray, run: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of predictions with other log probabilities (N, C), the class that these name, a run."""
    columns, p = probability_columns(rows), np.exp(logs)
    classes = np.array([c.removeprefix("p_") for c in columns])
    said = rows.assign(predicted=classes[p.argmax(axis=1)], **run)
    said[columns] = p
    return said


def fuse_perturbed(
    members: Sequence[Member],
    perturbed: Sequence[Member],
    weights: Sequence[float],
    run: Mapping[str, Any],
    sees: Sequence[Sequence[str]],
) -> pd.DataFrame:
    """The table "perturbed" of a late fusion.

    members: their predictions; perturbed: their tables "perturbed"; weights: those that their
    predictions are fused with; run: as of fuse_tables; sees: the modalities of each. Of members of
    metadata alone there are no rows.
    """
    columns = probability_columns(members[0][0])
    tests = [[t[t["part"] == "test"].set_index("id") for t in member] for member in members]
    first, fused = tests[0][0], []
    for change in changes_of([t for member in perturbed for t in member], sees):
        said = []
        for test, then, modalities, weight in zip(tests, perturbed, sees, weights, strict=True):
            rows = [under(change, *model, modalities) for model in zip(test, then, strict=True)]
            known = [r.loc[first.index] for r in rows if r is not None]  # of all models, or none
            said += [(log_of(known, columns), weight)] if known else []
        logs, of_these = zip(*said, strict=True)
        frame = saying(first, combined(logs, of_these), run).drop(columns=OF_UTTERANCES)
        fused.append(frame.assign(**change._asdict()).reset_index())
    return pd.concat(fused) if fused else perturbed[0][0].assign(**run)


def changes_of(perturbed: Member, sees: Sequence[Sequence[str]]) -> list[Change]:
    """The changes that a late fusion is tested under, each a Change.

    perturbed: the tables "perturbed" of all its models; sees: the modalities of each member.
    Together they may see both though none of them does.
    """
    seen = [m for m in MODALITIES if any(m in of_model for of_model in sees)]
    done = pd.concat([t[CHANGE].drop_duplicates() for t in perturbed])  # whole, they are gigabytes
    known = done[done["change"].isin(FUSED_CHANGES)].itertuples(index=False)
    missing = [Change("missing", m, 1.0) for m in seen] if len(seen) > 1 else []
    return list(dict.fromkeys([*missing, *map(Change._make, known)]))


def under(
    change: Change, test: pd.DataFrame, perturbed: pd.DataFrame, sees: Sequence[str]
) -> pd.DataFrame | None:
    """What a model says under a change, by id; None if it is left with nothing to go by.

    test: its test predictions, by id, which hold where the change does not touch it; sees: its
    modalities.
    """
    changed = (perturbed[CHANGE] == list(change)).all(axis=1)
    if changed.any():
        return perturbed[changed].set_index("id")
    alone = list(sees) == [change.modality]
    return None if change.change == "missing" and alone else test


def check_perturbed(
    table: pd.DataFrame, path: Path, test: pd.DataFrame, path_of_test: Path
) -> None:
    """InputError unless each change of a table "perturbed" has what the model predicts of a test.

    test: the model's test predictions.
    """
    for change, rows in table.groupby(CHANGE, sort=False):
        absent = test["id"][~test["id"].isin(rows["id"])]
        if len(absent):
            raise InputError(
                f"{path}: id '{absent.iloc[0]}' is missing under {' '.join(map(str, change))}, "
                f"expected because {path_of_test} tests it; evaluate the model again"
            )


def read_members(paths: Sequence[Path], seeds: Sequence[str]) -> list[Member]:
    """The members whose predictions are to be fused, rows in the order of the first table.

    paths: member by member, a table for each of the run's seeds. InputError: as of check and
    matched; a table that is not where its variant and seed belong.
    """
    first = tables.read(paths[0], "predictions")
    check(first, paths[0])
    others = [matched(first, tables.read(p, "predictions"), paths[0], p) for p in paths[1:]]
    read = [first, *others]
    for number, (table, path) in enumerate(zip(read, paths, strict=True)):
        place = number % len(seeds)
        variant = read[number - place][list(VARIANT)].iloc[0]
        expected = (*variant, seeds[place])
        found = tuple(table[[*VARIANT, "seed"]].iloc[0])
        if found != expected:
            raise InputError(
                f"{path}: {named(found[:-1])} with seed '{found[-1]}', expected "
                f"{named(variant)} with seed '{seeds[place]}'; give member by member the tables of "
                f"seeds {TOGETHER.join(seeds)}"
            )
    return by_member(read, seeds)


def by_member(given: Sequence[Any], seeds: Sequence[str]) -> list[Sequence[Any]]:
    """What is given member by member, for each of the run's seeds: a sequence of each member's."""
    return [given[i : i + len(seeds)] for i in range(0, len(given), len(seeds))]


def named(variant: Sequence[str]) -> str:
    """SPEECH+TEXT/MODE/VARIANT."""
    *experiment, name = variant
    return f"{tables.experiment_name(*experiment)}/{name}"


def matched(a: pd.DataFrame, b: pd.DataFrame, path_a: Path, path_b: Path) -> pd.DataFrame:
    """Table b in the order of table a; InputError unless both predict the same utterances."""
    if set(probability_columns(a)) != set(probability_columns(b)):
        raise InputError(
            f"{path_b}: classes are {probability_columns(b)}, expected {probability_columns(a)} "
            f"as in {path_a}; evaluate both models again"
        )
    for path, these, other, others in ((path_a, a, path_b, b), (path_b, b, path_a, a)):
        alone = these["id"][~these["id"].isin(others["id"])]
        if len(alone):
            raise InputError(
                f"{other}: id '{alone.iloc[0]}' is missing, expected because {path} has it; "
                "evaluate both models on the same fold"
            )
    b = b.set_index("id").loc[a["id"]].reset_index()
    for column in (*OF_UTTERANCES, "true", "fold"):
        differs = (a[column] != b[column]).to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise InputError(
                f"{path_b}: id '{b['id'][row]}': {column} is '{b[column][row]}', expected "
                f"'{a[column][row]}' as in {path_a}; evaluate both models on the same fold"
            )
    return b


def check(table: pd.DataFrame, path: Path) -> None:
    """Raise InputError unless the true classes have probabilities and a validation part exists."""
    columns = probability_columns(table)
    unknown = table[~("p_" + table["true"]).isin(columns)]
    if len(unknown):
        raise InputError(
            f"{path}: id '{unknown['id'].iloc[0]}': true is '{unknown['true'].iloc[0]}', expected "
            f"a class with a column of probabilities, one of {columns}; evaluate the model again"
        )
    if not (table["part"] == "validation").any():
        raise InputError(
            f"{path}: no row has part 'validation', expected the part that chooses the weights; "
            "evaluate the model on validation and test"
        )


def probability_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns p_<class>, in the table's order."""
    return [c for c in table.columns if c.startswith("p_")]


def weight_table(
    members: Sequence[Member], weights: Sequence[float], run: Mapping[str, Any]
) -> pd.DataFrame:
    """The table "weights" of a run; arguments as of fuse_perturbed."""
    rows = [
        {
            **run,
            "member": named(member[0][list(VARIANT)].iloc[0]),
            "models": len(member),
            "weight": weight,
        }
        for member, weight in zip(members, weights, strict=True)
    ]
    return pd.DataFrame(rows)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Fuse files of predictions of one fold."""
    parser = stage_parser(__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", metavar="PREDICTIONS.tsv")
    parser.add_argument("out", type=Path, metavar="OUT.tsv")
    parser.add_argument(
        "--perturbed",
        type=Path,
        nargs="+",
        required=True,
        metavar="TSV",
        help="of the same models, in their order: member by member, seed by seed",
    )
    parser.add_argument("--perturbed-out", type=Path, required=True, metavar="OUT.tsv")
    parser.add_argument("--weights", type=Path, required=True, metavar="OUT.tsv")
    parser.add_argument("--run", nargs=len(RUN), required=True, metavar=tuple(map(str.upper, RUN)))
    names = {"type": "array", "items": TEXT}
    args = parse(parser, argv, {"sees": {"type": "array", "items": names}})
    sees, run = args.config["sees"], dict(zip(RUN, args.run, strict=True))
    seeds = run["seed"].split(TOGETHER)
    models = len(seeds) * len(sees)
    if not 2 <= len(args.predictions) == len(args.perturbed) == models:
        parser.error(
            "expected the predictions of two models or more, as many of --perturbed, and as many "
            f"lists of modalities (--config: sees) as there are members with seeds {run['seed']}"
        )
    members = read_members(args.predictions, seeds)
    fused, weights = fuse_tables(members, run)
    read = [tables.read(path, "perturbed") for path in args.perturbed]
    tested = [table[table["part"] == "test"] for member in members for table in member]
    for of_model in zip(read, args.perturbed, tested, args.predictions, strict=True):
        check_perturbed(*of_model)
    changed = fuse_perturbed(members, by_member(read, seeds), weights, run, sees)
    table = weight_table(members, weights, run)
    tables.write(args.out, fused, "predictions")
    tables.write(args.perturbed_out, changed, "perturbed")
    tables.write(args.weights, table, "weights")
    if not any(weights):
        log.warning(
            "%s: no member helps on validation: all have weight 0, and all classes are equally "
            "likely",
            args.out,
        )
    log.info(
        "weights chosen on %d validation utterances: %s",
        (fused["part"] == "validation").sum(),
        ", ".join(
            f"{row.weight:.4g}{'' if row.weight else ' (left out)'} for {row.member}"
            for row in table.itertuples()
        ),
    )
