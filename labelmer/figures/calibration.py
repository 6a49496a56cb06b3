"""Accuracy by confidence, per variant."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labelmer.figures.style import (
    BLUE,
    GREY,
    PANEL,
    VERMILION,
    brief,
    design,
    entitle,
    experiment,
    panels_of,
    percent,
)
from labelmer.report.columns import SCALINGS

FIGURE = {
    "reads": "calibration",
    "heading": "Calibration",
    "alt": "Accuracy by confidence, per variant",
    "caption": (
        "Share of right predictions in each of 15 bins of equal width of the predicted class's "
        "probability, and the share of utterances in each bin; as predicted, and after scaling "
        "each run by the temperature that its validation part asks for. ECE: mean distance "
        "from the diagonal, weighted by the bins' counts{{ over_seeds }}. {{ scope }}."
    ),
}

LEAST_JOINED = 0.01  # share of the utterances in a bin from which on a line goes through its dot


def draw(rows: pd.DataFrame) -> Figure:
    """Accuracy by confidence, and how often, per variant, from the table "calibration"."""
    rows = rows.assign(share=rows["count"] / rows["utterances"])
    variants = list(dict.fromkeys(rows["variant"]))
    colours = dict(zip(SCALINGS, (VERMILION, BLUE), strict=True))
    labels = "accuracy (percent)", "utterances\n(percent)"
    figure, pairs = panels_of(variants, 3.1, [3, 1], labels, "confidence (percent)")
    for variant, curve, bars in pairs:
        of_variant = rows[rows["variant"] == variant]
        curve.plot([0, 100], [0, 100], color=GREY, lw=0.8)
        errors = []
        for scaling, colour in colours.items():
            bins = of_variant[of_variant["scaling"] == scaling]
            used = bins[bins["count"] > 0]
            at = 100 * used["confidence"], 100 * used["accuracy"]
            joined = used["share"] >= LEAST_JOINED
            curve.plot(*(values[joined] for values in at), color=colour, lw=0.7, alpha=0.6)
            curve.scatter(
                *at, s=3 + 60 * used["share"], color=colour, lw=0, zorder=3, clip_on=False
            )
            edges = [0, *(100 * bins["up_to"])]
            bars.stairs(100 * bins["share"], edges, color=colour, lw=1)
            errors.append(percent(bins["ece"].iloc[0]))
        curve.set_title(f"{brief(variant, PANEL)}\nECE {' → '.join(errors)}")
        curve.set(xlim=(0, 100), ylim=(0, 100), xticks=(0, 50, 100), yticks=(0, 50, 100))
        bars.set_ylim(0, 105 * rows["share"].max())
    keys = [
        Line2D([], [], color=GREY, lw=1, label="confidence = accuracy"),
        Line2D([], [], color=VERMILION, marker="o", ms=3, lw=1, label="as predicted"),
        Line2D([], [], color=BLUE, marker="o", ms=3, lw=1, label="scaled by temperature"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
    first = rows.iloc[0]
    entitle(
        figure,
        f"Calibration: accuracy and share of utterances in {rows['bin'].max()} bins of confidence; "
        "ECE before → after scaling (percent)",
        f"{experiment(first)}; {design(first['folds'], first['seeds'], first['utterances'])}",
    )
    return figure
