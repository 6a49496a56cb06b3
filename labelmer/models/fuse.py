"""Late fusion: the predictions of two models or more on the same utterances -> one set of them.

The fused probabilities are softmax(sum over models of log p_m / T_m): the product of the models'
posteriors, each sharpened or flattened by its temperature. No prior is divided out, because the
class weights of training make it uniform. The temperatures minimise the mean negative log
probability of the true class over the VALIDATION part; the test part chooses nothing.

Disturbed inputs are fused with the same temperatures: what a change leaves alone says what it
said before, and a model whose only modality is missing is left out of the product.

--config holds {"sees": [modalities of each model]}.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import MODALITIES
from labelmer.scores.calibration import best_temperatures, combined, log_probabilities

OF_UTTERANCES = ["session", "dialogue", "speaker", "part"]  # of predictions, not of perturbed


class Change(NamedTuple):
    """What was done to the inputs: the columns of perturbed that say so."""

    change: str
    modality: str
    share: float


CHANGE = list(Change._fields)
# Which rows are the most salient is for each model to say, so these deletions are not fused.
FUSED_CHANGES = ("missing", "transcripts", "random")


def fuse_tables(
    members: Sequence[pd.DataFrame], variant: str
) -> tuple[pd.DataFrame, tuple[float, ...]]:
    """Fuse tables of predictions (M frames); return the fused table and the M temperatures.

    Ids, parts, true classes and probability columns of all must agree (see `matched`). The
    columns that name the run are those of the first, but for the variant.
    """
    first, columns = members[0], probability_columns(members[0])
    classes = np.array([c.removeprefix("p_") for c in columns])
    logs = np.stack([log_probabilities(t[columns].to_numpy()) for t in members])  # (M, N, C)
    true = pd.Index(classes).get_indexer(first["true"])
    chooses = (first["part"] == "validation").to_numpy()
    temperatures = best_temperatures(logs[:, chooses], true[chooses])
    return saying(first, combined(logs, temperatures), variant), temperatures


def saying(rows: pd.DataFrame, logs: np.ndarray, variant: str) -> pd.DataFrame:
    """Rows of predictions with other log probabilities (N, C), and the class that these name."""
    columns, p = probability_columns(rows), np.exp(logs)
    classes = np.array([c.removeprefix("p_") for c in columns])
    said = rows.assign(predicted=classes[p.argmax(axis=1)], variant=variant)
    said[columns] = p
    return said


def fuse_perturbed(
    members: Sequence[pd.DataFrame],
    perturbed: Sequence[pd.DataFrame],
    temperatures: Sequence[float],
    variant: str,
    sees: Sequence[Sequence[str]],
) -> pd.DataFrame:
    """The table "perturbed" of a late fusion.

    members: the models' predictions; perturbed: their tables "perturbed"; temperatures: those
    that their predictions are fused with; sees: the modalities of each. Of models of metadata
    alone there are no rows.
    """
    columns = probability_columns(members[0])
    tests = [table[table["part"] == "test"].set_index("id") for table in members]
    fused = []
    for change in changes_of(pd.concat(perturbed), sees):
        rows = [under(change, *model) for model in zip(tests, perturbed, sees, strict=True)]
        said = [(r, t) for r, t in zip(rows, temperatures, strict=True) if r is not None]
        ids = tests[0].index
        logs = [log_probabilities(r.loc[ids, columns].to_numpy()) for r, _ in said]
        frame = saying(tests[0], combined(logs, [t for _, t in said]), variant)
        said = frame.drop(columns=OF_UTTERANCES)
        fused.append(said.assign(**change._asdict()).reset_index())
    return pd.concat(fused) if fused else perturbed[0].assign(variant=variant)


def changes_of(perturbed: pd.DataFrame, sees: Sequence[Sequence[str]]) -> list[Change]:
    """The changes that a late fusion is tested under, each a Change.

    perturbed: the tables "perturbed" of its models, as one; sees: the modalities of each. Together
    they may see both though none of them does.
    """
    seen = [m for m in MODALITIES if any(m in of_model for of_model in sees)]
    known = perturbed.loc[perturbed["change"].isin(FUSED_CHANGES), CHANGE].itertuples(index=False)
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


def read_members(paths: Sequence[Path]) -> list[pd.DataFrame]:
    """Tables of predictions that can be fused, in the order of the first.

    InputError: as of check and matched.
    """
    first, *others = (tables.read(path, "predictions") for path in paths)
    check(first, paths[0])
    matching = zip(others, paths[1:], strict=True)
    return [first, *(matched(first, table, paths[0], path) for table, path in matching)]


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
    for column in (*OF_UTTERANCES, "true", "fold", "seed", "speech", "text", "mode"):
        differs = (a[column] != b[column]).to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise InputError(
                f"{path_b}: id '{b['id'][row]}': {column} is '{b[column][row]}', expected "
                f"'{a[column][row]}' as in {path_a}; evaluate both models on the same fold and seed"
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
            f"{path}: no row has part 'validation', expected the part that chooses the "
            "temperatures; evaluate the model on validation and test"
        )


def probability_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns p_<class>, in the table's order."""
    return [c for c in table.columns if c.startswith("p_")]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Fuse files of predictions of one fold and seed."""
    parser = stage_parser(__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", metavar="PREDICTIONS.tsv")
    parser.add_argument("out", type=Path, metavar="OUT.tsv")
    parser.add_argument(
        "--perturbed",
        type=Path,
        nargs="+",
        required=True,
        metavar="TSV",
        help="of the same models, in their order",
    )
    parser.add_argument("--perturbed-out", type=Path, required=True, metavar="OUT.tsv")
    parser.add_argument("--variant", required=True, help="name of the fused variant")
    names = {"type": "array", "items": TEXT}
    args = parse(parser, argv, {"sees": {"type": "array", "items": names}})
    sees = args.config["sees"]
    if not 2 <= len(args.predictions) == len(args.perturbed) == len(sees):
        parser.error(
            "expected the predictions of two models or more, as many of --perturbed, and as many "
            "lists of modalities (--config: sees)"
        )
    members = read_members(args.predictions)
    fused, temperatures = fuse_tables(members, args.variant)
    perturbed = [tables.read(path, "perturbed") for path in args.perturbed]
    paths = zip(args.perturbed, args.predictions, strict=True)
    for table, member, (path, tested) in zip(perturbed, members, paths, strict=True):
        check_perturbed(table, path, member[member["part"] == "test"], tested)
    changed = fuse_perturbed(members, perturbed, temperatures, args.variant, sees)
    tables.write(args.out, fused, "predictions")
    tables.write(args.perturbed_out, changed, "perturbed")
    log.info(
        "temperatures chosen on %d validation utterances: %s",
        (fused["part"] == "validation").sum(),
        ", ".join(
            f"{t:.4g} for {member['variant'].iloc[0]}"
            for t, member in zip(temperatures, members, strict=True)
        ),
    )
