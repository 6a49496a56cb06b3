"""What a late fusion says of another corpus: of its models' predictions there, their product."""

from argparse import Namespace

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.tables import TOGETHER
from labelmer.models.fuse import (
    by_member,
    fuse_tables,
    log_of,
    probability_columns,
    read_members,
)
from labelmer.scores.calibration import combined


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes that are tested.

    args: of the rule transfer. The weights are those that the validation part of the models' own
    corpus asks for, as in their fusion there.
    """
    seeds = args.run[-1].split(TOGETHER)
    _, weights = fuse_tables(read_members(args.predictions, seeds), {})
    there = [tables.read(path, "predictions").set_index("id") for path in args.members]
    columns = probability_columns(there[0])
    members = by_member([table.loc[test["id"]] for table in there], seeds)
    logs = [log_of(member, columns) for member in members]
    classes = [name.removeprefix("p_") for name in columns]
    return np.exp(combined(logs, weights)), classes
