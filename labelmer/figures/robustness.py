"""Accuracy without a modality and on recognised words, per variant."""

import pandas as pd
from matplotlib.figure import Figure

from labelmer.figures.style import (
    BLUE,
    GREEN,
    INK,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    brief,
    entitle,
    speakers_design,
)
from labelmer.report.columns import CONDITIONS

FIGURE = {
    "reads": "robustness",
    "heading": "Missing modality{% if e.transcripts %}, recognised words{% endif %}",
    "alt": "Unweighted accuracy by what the model is given, per variant",
    "caption": (
        "Pooled UA{{ over_seeds }}, with its 95% interval. No model is trained anew: only the "
        "input of the test part changes. {{ scope }}."
    ),
}

COLOURS = (BLUE, VERMILION, GREEN, SKY, PURPLE)


def draw(rows: pd.DataFrame) -> Figure:
    """UA under each condition with its interval, per variant, from the table "robustness"."""
    whole = rows[rows["condition"] == "all"].sort_values("ua", kind="stable")
    places = {variant: place for place, variant in enumerate(whole["variant"])}
    of_variant = rows.groupby("variant")["ua"]
    steps = of_variant.cumcount() - (of_variant.transform("size") - 1) / 2
    rows = rows.assign(at=rows["variant"].map(places) - 0.19 * steps)
    figure = Figure(figsize=(7.2, 1.6 + 0.55 * len(places)), layout="constrained")
    axes = figure.subplots()
    for condition, colour in zip(CONDITIONS, COLOURS, strict=True):
        given = rows[rows["condition"] == condition]
        if len(given):
            axes.barh(
                given["at"], 100 * given["ua"], 0.17, color=colour, label=CONDITIONS[condition]
            )
            axes.hlines(given["at"], 100 * given["ua_low"], 100 * given["ua_high"], INK, lw=1)
    for place in range(1, len(places)):
        axes.axhline(place - 0.5, color=PALE, lw=0.6)
    axes.set_yticks(range(len(places)), [brief(name) for name in places])
    axes.set_ylim(-0.5, len(places) - 0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel="unweighted accuracy on the test part (percent)", ylabel="variant")
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(CONDITIONS), frameon=False)
    first = rows.iloc[0]
    entitle(
        figure,
        "Unweighted accuracy by what the model is given, with 95% intervals (lines)",
        speakers_design(first),
    )
    return figure
