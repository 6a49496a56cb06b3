"""What a trained network says of another corpus."""

from argparse import Namespace

import numpy as np
import pandas as pd

from labelmer.learning.batches import load_part, predict, probabilities
from labelmer.learning.context import context_of
from labelmer.learning.device import device_of, make_deterministic
from labelmer.models.saved import check_encoders, load


def said(test: pd.DataFrame, args: Namespace) -> tuple[np.ndarray, list[str]]:
    """Probabilities (N, C) of the rows of a table "fold", and the C classes.

    args: of the rule transfer. InputError: features by other encoders than the model's.
    """
    make_deterministic(0, args.threads, onednn=False)
    model, classes = load(args.folder)
    model.to(device_of(args.gpu))
    options = model.options
    paths = {m: getattr(args, m) for m in options.modalities}
    part = load_part(test, paths, classes, options.modalities, options.frame_stride)
    if options.turns[0]:
        before, after = options.turns
        ids = test["id"].tolist()
        _, part.context = context_of(args.utterances, ids, paths, before, after, test, testing=True)
    check_encoders(args.folder, part)
    return probabilities(predict(model, part)), classes
