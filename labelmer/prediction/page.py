"""The page that `labelmer predict --explain` writes: what counted for a prediction, and how much.

It needs nothing else, network included. It is laid out in page.html.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.prediction.predictor import Prediction
from labelmer.prediction.salience import Salience
from labelmer.prediction.utterance import Utterance

TEMPLATE = Path(__file__).with_suffix(".html")
MOST = 4.0  # times an even share: full colour
BARS = 240  # of a waveform


def render(title: str, given: Sequence[Utterance], said: Sequence[Prediction]) -> str:
    """The page as text. InputError: predictions of models that have no salience."""
    if not all(prediction.salience for prediction in said):
        raise InputError(
            f"{title}: linear models have no salience, so there is nothing to show; predict "
            "without --explain, or bundle a network"
        )
    shown = [entry(u, p) for u, p in zip(given, said, strict=True)]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return page.render(title=title, entries=shown, models=len(said[0].of_models), most=MOST)


def entry(given: Utterance, said: Prediction) -> dict[str, Any]:
    """What the template shows of one utterance."""
    classes = zip(said.classes, said.probabilities, said.spread, strict=True)
    words, sound = said.salience.get("text"), said.salience.get("speech")
    return {
        "id": said.id,
        "label": said.label,
        "confidence": said.confidence,
        "classes": sorted(classes, key=lambda row: -row[1]),
        "words": pieces(given.text, words) if words and given.text else [],
        "bars": bars(given.samples, sound) if sound and given.samples is not None else [],
        "seconds": 0 if given.samples is None else len(given.samples) / RATE,
    }


def pieces(text: str, salience: Salience) -> list[tuple[str, float]]:
    """A text in stretches, each with its salience in times of an even share; 0 of what is no token.

    Special tokens cover nothing, so the stretches may have less than all of it.
    """
    shares = np.zeros(len(text))
    for (start, end), weight in zip(salience.spans, salience.weights, strict=True):
        shares[start:end] = np.maximum(shares[start:end], weight * len(salience.weights))
    cuts = [0, *(np.flatnonzero(np.diff(shares)) + 1), len(text)]
    return [(text[a:b], float(shares[a])) for a, b in itertools.pairwise(cuts) if a < b]


def bars(samples: np.ndarray, salience: Salience) -> list[tuple[float, float, float]]:
    """A waveform in up to BARS bars: (lowest, highest, salience) of each.

    Both amplitudes are shares of the loudest; salience is in times of an even share.
    """
    count = min(BARS, len(samples))
    edges = np.linspace(0, len(samples), count + 1).astype(int)
    peak = max(1, int(np.abs(samples.astype(np.int32)).max(initial=1)))
    middles = (edges[:-1] + edges[1:]) / 2 / RATE
    # Frames end before the audio does, by less than one.
    rows = np.searchsorted(salience.spans[:, 1], middles).clip(max=len(salience.weights) - 1)
    shares = salience.weights[rows] * len(salience.weights)
    return [
        (float(samples[a:b].min()) / peak, float(samples[a:b].max()) / peak, float(share))
        for a, b, share in zip(edges[:-1], edges[1:], shares, strict=True)
    ]
