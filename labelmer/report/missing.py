"""A share of the test utterances lacks a modality: what a variant says of such a test part.

Predictions of one utterance do not depend on another, so nothing is predicted anew: those that lack
the modality have the prediction that was made without it, the others the one with all inputs.
Which utterances they are is drawn by lot from their ids: the same for all variants and seeds, and a
larger share holds the smaller ones.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from labelmer.base.digest import content_key
from labelmer.base.tables import MODALITIES
from labelmer.report.runs import Pooled
from labelmer.scores import intervals

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
EITHER = "either"  # half of the utterances that lack one lack speech, the others text


def missing_at_rates(
    whole: Pooled, changed: Mapping[tuple, Pooled]
) -> dict[tuple[str, str, float], Pooled]:
    """{("missing", modality or EITHER, share): a variant's predictions} of SHARES.

    whole: its predictions of the test utterances; changed: those of the same utterances by change.
    Empty for a variant that is not tested without the one and without the other.
    """
    lost = {m: ("missing", m, 1.0) for m in MODALITIES}
    without = {m: changed[change] for m, change in lost.items() if change in changed}
    if len(without) < len(lost):
        return {}
    place = places(whole.ids)
    found = {}
    for share in SHARES:
        lacks = place < round(share * len(place))
        for m in MODALITIES:
            found["missing", m, share] = replaced(whole, without[m], lacks)
        half = whole
        for turn, m in enumerate(MODALITIES):
            half = replaced(half, without[m], lacks & (place % 2 == turn))
        found["missing", EITHER, share] = half
    return found


def places(ids: np.ndarray) -> np.ndarray:
    """The place of each utterance (N,) in an order that is drawn by lot from ids."""
    drawn = [content_key(name, "missing") for name in ids]
    order = np.array(sorted(range(len(drawn)), key=drawn.__getitem__))
    return np.argsort(order)


def replaced(one: Pooled, other: Pooled, chosen: np.ndarray) -> Pooled:
    """The predictions of one, and of another where chosen (N,)."""
    predicted = np.where(chosen, other.predicted, one.predicted)
    p = np.where(chosen[:, None], other.p, one.p)
    return replace(one, predicted=predicted, p=p, voted=intervals.voted(predicted, p))
