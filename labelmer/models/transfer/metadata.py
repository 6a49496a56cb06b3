"""What a baseline "metadata" guesses of another corpus."""

from argparse import Namespace
from collections.abc import Sequence

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.models.metadata import NUMBERS, metadata_of
from labelmer.models.transfer.linear import loaded


def as_inputs(known: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """What is known of utterances as the numbers (N, inputs) that a model was fitted to.

    known: of metadata_of; names: of the inputs, as config.json has them. A scenario, passage or
    role that the model does not know has zeros everywhere.
    """
    made = []
    for name in names:
        column, _, value = name.partition(" ")
        of_column = known[column]
        made.append(np.log1p(of_column.astype(float)) if column in NUMBERS else of_column == value)
    return np.column_stack(made).astype(float)


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes.

    args: of the rule transfer.
    """
    model, about = loaded(args.folder)
    known = metadata_of(
        tables.read_all(args.utterances, "utterances"), tables.read_all(args.segments, "segments")
    )
    inputs = as_inputs(known.loc[test["id"]], about["inputs"])
    return model.probabilities({"metadata": inputs}), about["classes"]
