"""The turns around an example, and how much each was looked at."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from labelmer.figures.style import EVEN, GREY, INK, MOST
from labelmer.report.salience_file import SalienceFile

QUOTED = 72  # characters of a turn that is quoted
TOP, CELL, LINE = 0.2, 0.17, 0.2  # inches, from the upper edge on
HEIGHT = TOP + CELL + LINE  # that the turns of an utterance take


class Turn(NamedTuple):
    """A turn around an utterance."""

    distance: int  # in turns: below zero it was before, else it came after
    same: bool  # does the utterance's speaker say it?
    text: str
    weight: float  # mean attention; of all turns around an utterance the sum is one


def turns_of(
    file: SalienceFile | None, name: str, utterances: Mapping[str, pd.Series]
) -> list[Turn]:
    """The turns around an utterance in order of time.

    file: of modality context, None where it does not have the utterance; utterances: rows of the
    table "utterances" by id.
    """
    if file is None:
        return []
    own = utterances[name]
    found = zip(file.marks(name) or [], file.weights(name, "salience"), strict=True)
    before: list[Turn] = []
    after: list[Turn] = []
    for turn, weight in found:
        of_turn = utterances[turn]
        side, sign = (before, -1) if of_turn["start_s"] < own["start_s"] else (after, 1)
        same = of_turn["speaker"] == own["speaker"]
        side.append(Turn(sign * (len(side) + 1), same, of_turn["text"], float(weight)))
    return [*before[::-1], *after]


def told(turn: Turn) -> str:
    """A turn in words: how far it is, who speaks, how much it was looked at, what is said."""
    away = abs(turn.distance)
    where = f"{away} turn{'s' * (away > 1)} {'before' if turn.distance < 0 else 'after'}"
    who = "same speaker" if turn.same else "another speaker"
    said = textwrap.shorten(turn.text, QUOTED, placeholder=" ...") or "(no words)"
    return f"most looked at: {where}, {who} ({turn.weight:.0%}): {said}"


def draw_turns(axes: Axes, turns: Sequence[Turn], height: float, size: float) -> None:
    """Draw a cell for each turn, in order of time, and a line of the one most looked at.

    The utterance's own speaker's are numbered in bold.

    height: of the axes, in inches; size: of the text, in points.
    """
    font: dict[str, Any] = {"fontsize": size, "va": "center"}
    edges = np.linspace(0, 1, len(turns) + 1)
    for turn, left, right in zip(turns, edges[:-1], edges[1:], strict=True):
        fill = EVEN(turn.weight * len(turns) / MOST)
        axes.add_patch(
            Rectangle((left, TOP), right - left, CELL, fc=fill, ec=GREY, lw=0.4, clip_on=False)
        )
        own: dict[str, Any] = {"fontweight": "bold"} if turn.same else {}
        middle = (left + right) / 2
        axes.text(
            middle, TOP + CELL / 2, f"{turn.distance:+d}", color=INK, ha="center", **font, **own
        )
    said = told(max(turns, key=lambda turn: turn.weight)) if turns else "no turns around it"
    axes.text(0, TOP + CELL + LINE / 2, said, color=INK if turns else GREY, **font)
    axes.set(xlim=(0, 1), ylim=(height, 0))
    axes.axis("off")
