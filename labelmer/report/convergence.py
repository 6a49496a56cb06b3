"""Training histories -> after how many updates each variant was best, and if it was still rising.

Variants are compared fairly only where all were trained until validation stopped to rise: labels
may do no more than let a model learn faster. --config holds {"selection": sentence, "training":
its options}.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import OBJECT, TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import columns
from labelmer.report.columns import EXPERIMENT

LATE = 0.9  # of the updates: a model that is best after these may not have learned all it can


def convergence(history: pd.DataFrame, patience: int | None = None) -> pd.DataFrame:
    """The table "convergence" of the histories of all runs, in one frame.

    patience: of the training; where it ended one, validation had stopped rising, and none is late.
    """
    rows = []
    for names, runs in history.groupby([*EXPERIMENT, "variant"], sort=False):
        last = runs.groupby(["fold", "seed"])[["updates", "epoch"]].max()
        best = runs[runs["chosen"] == 1].set_index(["fold", "seed"])[["updates", "epoch"]]
        made, chosen = last["updates"], best["updates"]
        late = chosen > LATE * made
        if patience:
            late &= last["epoch"] - best["epoch"] < patience
        rows.append(
            {
                **dict(zip([*EXPERIMENT, "variant"], names, strict=True)),
                "runs": len(made),
                "updates": made.mean(),
                "chosen": chosen.mean(),
                "chosen_least": chosen.min(),
                "chosen_most": chosen.max(),
                "late": late.mean(),
            }
        )
    return pd.DataFrame(rows)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule convergence."""
    parser = stage_parser(__doc__)
    parser.add_argument("--histories", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    args = parse(parser, argv, {"selection": TEXT, "training": OBJECT})
    patience = args.config["training"].get("patience")
    table = convergence(tables.read_all(args.histories, "history"), patience)
    table = table.assign(selection=args.config["selection"])
    columns.write(args.out, table, "convergence")
    rising = table[table["late"] > 0]
    for row in rising.itertuples():
        log.info(
            "%s: %.0f%% of its runs were best in the last tenth of the updates",
            *(row.variant, 100 * row.late),
        )
