"""What the variants are given, as the tables "compare" and "folds" have it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from labelmer.base.description import described
from labelmer.base.tables import experiment_name


def with_columns(inputs: Mapping[str, list[str]], paths: Sequence[Path]) -> dict[str, list[str]]:
    """What each variant is given, with the columns that models of metadata used in any fold.

    paths: the config.json of these models.
    """
    told = [described(path.parent, "columns")["columns"] for path in paths]
    used = list(dict.fromkeys(name for columns in told for name in columns))
    return {
        variant: [name for each in names for name in (used if each == "metadata" else [each])]
        for variant, names in inputs.items()
    }


def of_rows(table: pd.DataFrame, inputs: Mapping[str, list[str]]) -> list[str]:
    """The column `inputs` of a table: what the variant of each row is given.

    A late fusion may name the experiment of a member though it is the row's own: then it is left
    out.
    """
    return [
        ", ".join(
            name
            for name in inputs[row.variant]
            if name != experiment_name(row.speech, row.text, row.mode)
        )
        for row in table.itertuples()
    ]
