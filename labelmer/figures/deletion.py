"""Accuracy by the share of tokens or frames that is deleted, per variant."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labelmer.base.tables import ORDERS
from labelmer.figures.style import (
    BLUE,
    GREY,
    PANEL,
    VERMILION,
    brief,
    entitle,
    panels_of,
    speakers_design,
)

FIGURE = {
    "reads": "deletion",
    "heading": "Deletion",
    "alt": "Unweighted accuracy by the share of tokens or frames deleted",
    "caption": (
        "Pooled UA{{ over_seeds }}, after the tokens or frames with the highest salience are "
        "deleted, and after as many are deleted at random, with 95% intervals. {{ scope }}."
    ),
    "empty": "No variant has tokens or frames to delete",
}


def draw(rows: pd.DataFrame) -> Figure:
    """UA by the share deleted, most salient first or at random, from the table "deletion".

    Text above, speech below; a variant has no curve where it has nothing to delete: of a
    modality that it does without, or of sound that is one row for an utterance.
    """
    variants = list(dict.fromkeys(rows["variant"]))
    labels = "text: UA (percent)", "speech: UA (percent)"
    figure, pairs = panels_of(variants, 3.6, [1, 1], labels, "deleted (percent of them)")
    for variant, *panels in pairs:
        panels[0].set_title(brief(variant, PANEL))
        of_variant = rows[rows["variant"] == variant]
        for modality, panel in zip(("text", "speech"), panels, strict=True):
            draw_deletion(panel, of_variant[of_variant["modality"] == modality])
    keys = [
        Line2D([], [], color=VERMILION, marker="o", ms=3, lw=1.2, label="most salient deleted"),
        Line2D([], [], color=BLUE, marker="o", ms=3, lw=1.2, label="as many deleted at random"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    first = rows.iloc[0]
    entitle(
        figure,
        "Unweighted accuracy without some tokens or frames, with 95% intervals (bands)",
        speakers_design(first),
    )
    return figure


def draw_deletion(panel: Axes, rows: pd.DataFrame) -> None:
    """Draw one variant's accuracy by the share deleted from one modality, a curve per order."""
    if len(rows) == 0:
        panel.text(0.5, 0.5, "none to delete", transform=panel.transAxes, color=GREY, ha="center")
    for order, colour in zip(ORDERS, (VERMILION, BLUE), strict=True):
        curve = rows[rows["order"] == order]
        share, ua, low, high = (100 * curve[name] for name in ("share", "ua", "ua_low", "ua_high"))
        panel.fill_between(share, low, high, color=colour, alpha=0.15, lw=0)
        panel.plot(share, ua, color=colour, lw=1.2, marker="o", ms=3)
