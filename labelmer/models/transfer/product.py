"""What a late fusion says of another corpus: of its models' predictions there, their product."""

from argparse import Namespace

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.models.fuse import fuse_tables, probability_columns, read_members
from labelmer.scores.calibration import combined, log_probabilities


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes that are tested.

    args: of the rule transfer. The temperatures are those that the validation part of the models'
    own corpus asks for, as in their fusion there.
    """
    _, temperatures = fuse_tables(read_members(args.predictions), "")
    members = [tables.read(path, "predictions") for path in args.members]
    columns = probability_columns(members[0])
    logs = [log_probabilities(t.set_index("id").loc[test["id"], columns]) for t in members]
    classes = [name.removeprefix("p_") for name in columns]
    return np.exp(combined(np.stack(logs), temperatures)), classes
