"""Weights of late fusions, chosen in each run -> those of each member, over runs.

--config holds {"selection": sentence}.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import VARIANT
from labelmer.report import columns


def weights(chosen: pd.DataFrame) -> pd.DataFrame:
    """The result table "weights" of the tables "weights" of all runs, in one frame."""
    by = chosen.groupby([*VARIANT, "member", "models"], sort=False)["weight"]
    said = {"weight": "mean", "weight_least": "min", "weight_most": "max", "runs": "size"}
    return by.agg(**said, left_out=lambda weight: (weight == 0).mean()).reset_index()


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule weights."""
    parser = stage_parser(__doc__)
    parser.add_argument("--weights", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    args = parse(parser, argv, {"selection": TEXT})
    table = weights(tables.read_all(args.weights, "weights"))
    table = table.assign(selection=args.config["selection"])
    columns.write(args.out, table, "weights")
    for row in table[table["left_out"] > 0].itertuples():
        log.info(
            "%s: %s is left out of %.0f%% of its runs",
            *(row.variant, row.member, 100 * row.left_out),
        )
