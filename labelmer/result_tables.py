"""The result tables: their columns; reading and writing.

Apart from the other tables, so that a new metric trains nothing anew.
"""

import pandas as pd

from labelmer import tables
from labelmer.tables import VARIANT, Column

EXPERIMENT = ["speech", "text", "mode"]
PROTOCOL = {
    "protocol": Column(str, "what is held out, what validates, what becomes of shared scripts"),
    "selection": Column(str, "how the epoch was chosen"),
    "folds": Column(int, "number of folds"),
    "seeds": Column(int, "number of seeds"),
    "utterances": Column(int, "number of test utterances behind the row"),
}

RESULTS = {
    "folds": {
        **VARIANT,
        "fold": Column(int, "fold"),
        "held_out": Column(str, "session or speaker of the test part"),
        "seed": Column(int, "seed"),
        "wa": Column(float, "weighted accuracy"),
        "ua": Column(float, "unweighted accuracy"),
        "weighted_f1": Column(float, "F1, mean over classes by their size"),
        "macro_f1": Column(float, "F1, mean over classes"),
        **PROTOCOL,
    },
    "summary": {
        **VARIANT,
        "metric": Column(str, "name of the metric", ("wa", "ua", "weighted_f1", "macro_f1")),
        "mean": Column(float, "mean over folds of the mean over seeds"),
        "sd": Column(float, "standard deviation over folds of the mean over seeds", empty=True),
        "seed_sd": Column(float, "standard deviation over seeds of the fold mean", empty=True),
        "pooled": Column(float, "over the utterances of all folds at once, mean over seeds"),
        **PROTOCOL,
    },
    "classes": {
        **VARIANT,
        "label": Column(str, "class"),
        "precision": Column(float, "pooled over folds, mean over seeds", empty=True),
        "recall": Column(float, "pooled over folds, mean over seeds", empty=True),
        "f1": Column(float, "pooled over folds, mean over seeds", empty=True),
        "support": Column(int, "number of test utterances of the class"),
        **PROTOCOL,
    },
    "confusion": {
        **VARIANT,
        "true": Column(str, "class"),
        "predicted": Column(str, "class"),
        "count": Column(float, "test utterances, pooled over folds, mean over seeds"),
        "share": Column(float, "of the true class", empty=True),
        **PROTOCOL,
    },
    "compare": {
        **VARIANT,
        "ua": Column(float, "unweighted accuracy, fold mean"),
        "ua_sd": Column(float, "over folds", empty=True),
        "wa": Column(float, "weighted accuracy, fold mean"),
        "wa_sd": Column(float, "over folds", empty=True),
        "weighted_f1": Column(float, "fold mean"),
        "macro_f1": Column(float, "fold mean"),
        "ua_pooled": Column(float, "over the utterances of all folds at once"),
        "wa_pooled": Column(float, "over the utterances of all folds at once"),
        **PROTOCOL,
    },
}


def read(path, name):
    """Read the result table `name`; raise InputError if it is not what RESULTS says."""
    return tables.read(path, name, RESULTS)


def write(path, frame, name):
    """Check a frame against RESULTS and write it as a TSV file, whole or not at all."""
    tables.write(path, frame, name, RESULTS)


def percent(mean, sd=float("nan")):
    """A share as percent with one decimal, with its standard deviation; '–' if there is none."""
    if pd.isna(mean):
        return "–"
    return f"{100 * mean:.1f}" + ("" if pd.isna(sd) else f" ± {100 * sd:.1f}")
