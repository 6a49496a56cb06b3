"""What a baseline "metadata" guesses of another corpus."""

from argparse import Namespace

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.models.metadata import as_inputs, metadata_of
from labelmer.models.transfer.linear import loaded


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes.

    args: of the rule transfer.
    """
    model, about = loaded(args.folder, "inputs")
    known = metadata_of(
        tables.read_all(args.utterances, "utterances"), tables.read_all(args.segments, "segments")
    )
    inputs = as_inputs(known.loc[test["id"]], about["inputs"])
    return model.probabilities({"metadata": inputs}), about["classes"]
