"""Late fusion: the predictions of two models on the same utterances -> one set of predictions.

The fused probabilities are softmax(log p_a / T_a + log p_b / T_b): the product of the two
posteriors, each sharpened or flattened by its temperature. No prior is divided out, because the
class weights of training make it uniform. The two temperatures minimise the mean negative log
probability of the true class over the VALIDATION part; the test part chooses nothing.

Disturbed inputs are fused with the same temperatures: what a change leaves alone says what it
said before, and a model whose only modality is missing is left out of the product.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from labelmer import tables
from labelmer.calibration import best_temperatures, combined, log_probabilities
from labelmer.errors import InputError
from labelmer.stage import command, log, parse, stage_parser


def fuse(log_a, log_b, temperatures):
    """Log probabilities (N, C) of the product of two posteriors, given as logs (N, C)."""
    return combined([log_a, log_b], temperatures)


def fuse_tables(a, b, variant):
    """Fuse two tables of predictions (frames); return the fused table and (T_a, T_b).

    Ids, parts, true classes and probability columns of both must agree (see `matched`). The
    columns that name the run are those of a, but for the variant.
    """
    columns = probability_columns(a)
    classes = np.array([c.removeprefix("p_") for c in columns])
    logs = np.stack([log_probabilities(t[columns].to_numpy()) for t in (a, b)])  # (2, N, C)
    true = pd.Index(classes).get_indexer(a["true"])
    chooses = (a["part"] == "validation").to_numpy()
    temperatures = best_temperatures(logs[:, chooses], true[chooses])
    return saying(a, fuse(*logs, temperatures), variant), temperatures


def saying(rows, logs, variant):
    """Rows of predictions with other log probabilities (N, C), and the class that these name."""
    columns, p = probability_columns(rows), np.exp(logs)
    classes = np.array([c.removeprefix("p_") for c in columns])
    said = rows.assign(predicted=classes[p.argmax(axis=1)], variant=variant)
    said[columns] = p
    return said


def fuse_perturbed(tables_of_two, perturbed, temperatures, variant):
    """The table "perturbed" of a late fusion: where a modality is missing or its words are others.

    tables_of_two: the two models' predictions; perturbed: their tables "perturbed"; temperatures:
    those that their predictions are fused with.
    """
    columns = probability_columns(tables_of_two[0])
    tests = [table[table["part"] == "test"].set_index("id") for table in tables_of_two]
    fused = []
    for change, modality in (("missing", "speech"), ("missing", "text"), ("transcripts", "text")):
        rows = [under(change, modality, t, p) for t, p in zip(tests, perturbed, strict=True)]
        said = [(r, t) for r, t in zip(rows, temperatures, strict=True) if r is not None]
        if not said or all(r is t for r, t in zip(rows, tests, strict=True)):
            continue
        ids = tests[0].index
        logs = [log_probabilities(r.loc[ids, columns].to_numpy()) for r, _ in said]
        frame = saying(tests[0], combined(logs, [t for _, t in said]), variant)
        frame = frame.drop(columns="part").assign(change=change, modality=modality, share=1.0)
        fused.append(frame.reset_index())
    return pd.concat(fused)


def under(change, modality, test, perturbed):
    """What a model says under a change, by id; None if it is left with nothing to go by.

    test: its test predictions, by id, which hold where the change does not touch it.
    """
    changed = (perturbed["change"] == change) & (perturbed["modality"] == modality)
    if changed.any():
        return perturbed[changed].set_index("id")
    alone = set(perturbed["modality"]) == {modality}
    return None if change == "missing" and alone else test


def matched(a, b, path_a, path_b):
    """Table b in the order of table a; raise InputError unless both predict the same utterances."""
    for path, these, other, others in ((path_a, a, path_b, b), (path_b, b, path_a, a)):
        alone = these["id"][~these["id"].isin(others["id"])]
        if len(alone):
            raise InputError(
                f"{other}: id '{alone.iloc[0]}' is missing, expected because {path} has it; "
                "evaluate both models on the same fold"
            )
    b = b.set_index("id").loc[a["id"]].reset_index()
    for column in ("part", "true", "fold", "seed", "speech", "text", "mode"):
        differs = (a[column] != b[column]).to_numpy()
        if differs.any():
            row = int(differs.argmax())
            raise InputError(
                f"{path_b}: id '{b['id'][row]}': {column} is '{b[column][row]}', expected "
                f"'{a[column][row]}' as in {path_a}; evaluate both models on the same fold and seed"
            )
    return b


def check(table, path):
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


def probability_columns(table):
    """Names of the columns p_<class>, in the table's order."""
    return [c for c in table.columns if c.startswith("p_")]


@command
def main(argv=None):
    """Fuse two files of predictions of one fold and seed."""
    parser = stage_parser(__doc__)
    parser.add_argument("a", type=Path, metavar="PREDICTIONS_A.tsv")
    parser.add_argument("b", type=Path, metavar="PREDICTIONS_B.tsv")
    parser.add_argument("out", type=Path, metavar="OUT.tsv")
    parser.add_argument(
        "--perturbed", type=Path, nargs=2, required=True, metavar=("A.tsv", "B.tsv")
    )
    parser.add_argument("--perturbed-out", type=Path, required=True, metavar="OUT.tsv")
    parser.add_argument("--variant", required=True, help="name of the fused variant")
    args = parse(parser, argv)
    a, b = (tables.read(path, "predictions") for path in (args.a, args.b))
    if set(probability_columns(a)) != set(probability_columns(b)):
        raise InputError(
            f"{args.b}: classes are {probability_columns(b)}, expected {probability_columns(a)} "
            f"as in {args.a}; evaluate both models again"
        )
    check(a, args.a)
    b = matched(a, b, args.a, args.b)
    fused, temperatures = fuse_tables(a, b, args.variant)
    perturbed = [tables.read(path, "perturbed") for path in args.perturbed]
    changed = fuse_perturbed([a, b], perturbed, temperatures, args.variant)
    tables.write(args.out, fused, "predictions")
    tables.write(args.perturbed_out, changed, "perturbed")
    log.info(
        "temperatures chosen on %d validation utterances: %.4g for %s, %.4g for %s",
        (fused["part"] == "validation").sum(),
        temperatures[0],
        a["variant"].iloc[0],
        temperatures[1],
        b["variant"].iloc[0],
    )


if __name__ == "__main__":
    main()
