"""Training histories -> after how many updates each variant was best, and if it was still rising.

Variants are compared fairly only where all were trained until validation stopped to rise: labels
may do no more than let a model learn faster. --config holds {"selection": sentence}.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import columns
from labelmer.report.columns import EXPERIMENT

LATE = 0.9  # of the updates: a model that is best after these may not have learned all it can


def convergence(history: pd.DataFrame) -> pd.DataFrame:
    """The table "convergence" of the histories of all runs, in one frame."""
    rows = []
    for names, runs in history.groupby([*EXPERIMENT, "variant"], sort=False):
        made = runs.groupby(["fold", "seed"])["updates"].max()
        chosen = runs[runs["chosen"] == 1].set_index(["fold", "seed"])["updates"]
        rows.append(
            {
                **dict(zip([*EXPERIMENT, "variant"], names, strict=True)),
                "runs": len(made),
                "updates": made.mean(),
                "chosen": chosen.mean(),
                "chosen_least": chosen.min(),
                "chosen_most": chosen.max(),
                "late": (chosen > LATE * made).mean(),
            }
        )
    return pd.DataFrame(rows)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule convergence."""
    parser = stage_parser(__doc__)
    parser.add_argument("--histories", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    args = parse(parser, argv, {"selection": TEXT})
    table = convergence(tables.read_all(args.histories, "history"))
    table = table.assign(selection=args.config["selection"])
    columns.write(args.out, table, "convergence")
    rising = table[table["late"] > 0]
    for row in rising.itertuples():
        log.info(
            "%s: %.0f%% of its runs were best in the last tenth of the updates",
            *(row.variant, 100 * row.late),
        )
