"""Differences from the reference variant."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from labelmer.figures.style import BLUE, GREY, INK, PALE, brief, entitle, speakers_design
from labelmer.report.text import p_text, points, points_interval

FIGURE = {
    "reads": "pairs",
    "heading": "Paired differences",
    "alt": "Differences in unweighted accuracy, with intervals",
    "caption": (
        "Pooled UA of each variant minus that of {{ e.pairs[0].other }}{{ over_seeds }}, with "
        "its 95% interval. Band: up to the smallest true difference that this design finds with a "
        "chance of 80%, two-sided at 5%. {{ scope }}."
    ),
}


def draw(rows: pd.DataFrame) -> Figure:
    """UA of each variant minus that of the reference, with its interval, from the table "pairs"."""
    reference = rows.iloc[0]["other"]  # the reference stands before all others (tabulate)
    rows = rows[rows["other"] == reference].sort_values("difference", kind="stable")
    places = range(len(rows))
    figure = Figure(figsize=(7.2, 1.7 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.use_sticky_edges = False  # or the longest band would touch the frame
    difference, low, high, detectable = (
        100 * rows[name] for name in ("difference", "low", "high", "detectable")
    )
    band = detectable.clip(upper=100)  # of two speakers it can be beyond any difference
    axes.barh(places, 2 * band, left=-band, height=0.5, color=PALE)
    axes.axvline(0, color=GREY, lw=1)
    axes.hlines(places, low, high, color=BLUE, lw=2)
    axes.scatter(difference, places, s=22, color=BLUE, zorder=3)
    lines = [
        (p, *texts) for p, texts in zip(places, map(pair_texts, rows.itertuples()), strict=True)
    ]
    for place, *texts in [*lines, (len(rows) - 0.3, "difference", "95%", "p (Holm)")]:
        for text, right in zip(texts, (50, 132, 180), strict=True):  # edges of the columns, points
            axes.annotate(
                text,
                (1, place),
                xycoords=axes.get_yaxis_transform(),
                xytext=(right, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                color=INK if place in places else GREY,
            )
    axes.set_yticks(places, [brief(name) for name in rows["variant"]])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"unweighted accuracy minus that of {brief(reference)} (percentage points)")
    axes.set_ylabel("variant")
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_axisbelow(True)
    first = rows.iloc[0]
    entitle(
        figure,
        f"Difference from {brief(reference)}: 95% interval (line); "
        "needed for 80% power (edge of band)",
        speakers_design(first),
    )
    return figure


def pair_texts(row: Any) -> tuple[str, str, str]:
    """What stands beside a row of the table "pairs": difference, interval, corrected p."""
    return points(row.difference), points_interval(row.low, row.high), p_text(row.p_jackknife_holm)
