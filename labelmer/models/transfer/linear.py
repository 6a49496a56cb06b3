"""What a fitted baseline "linear" says of another corpus."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from labelmer.base.description import described
from labelmer.base.errors import InputError
from labelmer.learning.origin import check_origin
from labelmer.models.linear import Linear, Means


def loaded(folder: Path, *needed: str) -> tuple[Linear, dict[str, Any]]:
    """A saved baseline, and its config.json, with the keys that are needed.

    InputError: not a whole one.
    """
    try:
        about = described(folder, *needed)
        tensors = load_file(folder / "model.safetensors")
        parts: dict[str, dict[str, np.ndarray]] = {"mean": {}, "sd": {}, "weights": {}}
        for name, values in tensors.items():
            modality, _, part = name.rpartition(".")
            if modality:
                parts[part][modality] = values
        return Linear(**parts, intercept=tensors["intercept"]), about
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise InputError(
            f"{folder}: not a whole model ({error}); move the folder away, and fit it anew; of a "
            "bundle: copy the bundle anew, or bundle the runs anew"
        ) from None


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes.

    args: of the rule transfer. InputError: features by other encoders than the model's.
    """
    model, about = loaded(args.folder, "encoders")
    means = {}
    for m in model.mean:
        files = Means(m, getattr(args, m), 1)
        trained_on = about["encoders"][m]
        check_origin(files.files[0], trained_on, f"as the model in {args.folder} was trained on")
        means[m] = files.of(test["id"])
    return model.probabilities(means), about["classes"]
