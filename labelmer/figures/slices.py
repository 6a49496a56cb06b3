"""Accuracy on slices of the test utterances, per variant."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from labelmer.figures.style import GREY, PALE, brief, design, entitle, experiment, percent
from labelmer.report.text import slice_text

FIGURE = {
    "reads": "slices",
    "heading": "Where it helps",
    "alt": "Unweighted accuracy on slices of the test utterances, per variant",
    "caption": (
        "UA of each variant on slices of the test utterances, pooled over folds{{ over_seeds }}; "
        "n: utterances of the slice.{% if e.pairs %} The colour is the difference from "
        "{{ e.slices[0].variant }}. Bold: its 95% interval does not hold zero; this is not "
        "corrected for the number of comparisons, so some are bold by chance.{% endif %} "
        "{{ scope }}."
    ),
}

# Worse than the reference, the same, better: pale enough for ink on it, the same in all figures.
DIFFERENCES = LinearSegmentedColormap.from_list(
    "differences", ["#e69e66", "white", "#66aad1"]
).with_extremes(bad=PALE)  # the reference itself
DIFFERENCE_SCALE = Normalize(-10, 10)  # percentage points
SLICINGS_IN_WORDS = {
    "class": "true class (its recall)",
    "length": "length",
    "kind": "kind of dialogue",
    "alone": "text-only and speech-only",
}


def draw(rows: pd.DataFrame) -> Figure:
    """UA of each variant on each slice, coloured by its difference from the reference.

    rows: of the table "slices", in which the reference stands before the other variants.
    """
    variants = list(dict.fromkeys(rows["variant"]))
    slicings = list(dict.fromkeys(rows["slicing"]))
    heights = [rows.loc[rows["slicing"] == slicing, "slice"].nunique() for slicing in slicings]
    size = max(7.2, 2.4 + 0.62 * len(variants)), 2.2 + 0.27 * sum(heights) + 0.3 * len(slicings)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(slicings), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for slicing, panel in zip(slicings, panels, strict=True):
        draw_slicing(panel, rows[rows["slicing"] == slicing], variants)
        panel.annotate(
            SLICINGS_IN_WORDS[slicing],
            (0, 1),
            xycoords="axes fraction",
            xytext=(-3.5, 3),
            textcoords="offset points",
            ha="right",
            color=GREY,
        )
    panels[0].tick_params(axis="x", labeltop=True)
    panels[0].set_xticks(
        range(len(variants)), [brief(name) for name in variants], rotation=40, ha="left"
    )
    panels[0].get_xticklabels()[0].set_fontweight("bold")
    panels[0].set_xlabel("variant")
    panels[0].xaxis.set_label_position("top")
    title = ["Unweighted accuracy on slices of the test utterances (percent)"]
    if len(variants) > 1:
        title.append("bold: the 95% interval of the difference (colour) does not hold zero")
        label = f"unweighted accuracy minus that of {brief(variants[0])} (percentage points)"
        draw_scale_of_differences(figure, panels, label)
    first = rows.iloc[0]
    tested = rows[rows["slicing"] == slicings[0]].groupby("slice")["utterances"].first().sum()
    about = f"{experiment(first)}; {design(first['folds'], first['seeds'], tested)}"
    entitle(figure, *title, about)
    return figure


def draw_slicing(panel: Axes, rows: pd.DataFrame, variants: list[str]) -> None:
    """Draw the slices of one slicing into its axes: a row for each slice, a column per variant."""
    slices = rows.drop_duplicates("slice")
    rows = rows.assign(place=pd.factorize(rows["slice"])[0])
    difference = rows.pivot(index="place", columns="variant", values="difference")[variants]
    edges = (np.arange(count + 1) - 0.5 for count in (len(variants), len(slices)))
    colours: dict[str, Any] = {
        "cmap": DIFFERENCES,
        "norm": DIFFERENCE_SCALE,
        "edgecolors": "white",
        "lw": 1,
    }
    panel.pcolormesh(*edges, 100 * difference, **colours)
    panel.invert_yaxis()
    for row in rows.itertuples():
        sure = row.difference_low > 0 or row.difference_high < 0
        panel.text(
            variants.index(row.variant),
            row.place,
            percent(row.ua),
            ha="center",
            va="center",
            fontweight="bold" if sure else "normal",
        )
    labels = [f"{brief(slice_text(row))} (n = {row.utterances:,})" for row in slices.itertuples()]
    panel.set_yticks(range(len(labels)), labels)
    panel.tick_params(length=0, labelbottom=False)
    panel.spines[:].set_visible(False)


def draw_scale_of_differences(figure: Figure, panels: np.ndarray, label: str) -> None:
    """Draw below the panels what their colours mean."""
    bar = figure.colorbar(
        ScalarMappable(DIFFERENCE_SCALE, DIFFERENCES),
        ax=panels,
        location="bottom",
        extend="both",
        shrink=0.6,
        aspect=40,
        ticks=[-10, -5, 0, 5, 10],
        label=label,
    )
    bar.outline.set_visible(False)
