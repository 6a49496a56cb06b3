"""Share of salience on the rationales, per variant."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labelmer.base.tables import MODALITIES
from labelmer.figures.style import BLUE, GREY, PALE, VERMILION, brief, entitle, experiment
from labelmer.report.text import counted

FIGURE = {
    "reads": "salience",
    "heading": "Salience and rationales",
    "alt": "Share of the salience on the rationales, per variant",
    "caption": (
        "Share of the salience on the rationale, the stretch that is known to carry the label: "
        "mean over the test utterances that have one (their number stands above each panel), "
        "pooled over folds{{ over_seeds }}, with its 95% interval. Uniform: the share of the "
        "tokens or frames that lie there."
    ),
    "empty": "No test utterance has a rationale of a modality that a variant sees",
}


def draw(rows: pd.DataFrame) -> Figure:
    """Share of salience on the rationale per variant, by modality, from the table "salience"."""
    rows = rows[rows["measure"] == "salience"]
    variants = list(dict.fromkeys(rows["variant"]))[::-1]  # the first one above
    modalities = [m for m in MODALITIES[::-1] if m in set(rows["modality"])]
    figure = Figure(figsize=(7.2, 2.0 + 0.34 * len(variants)), layout="constrained")
    panels = figure.subplots(1, len(modalities), sharex=True, sharey=True, squeeze=False)[0]
    for axes, modality in zip(panels, modalities, strict=True):
        of_modality = rows[rows["modality"] == modality]
        draw_shares(axes, of_modality, variants)
        axes.set_title(f"{modality}, n = {of_modality['utterances'].iloc[0]:,} utterances")
        axes.set_xlabel("share on the rationale (percent)")
    panels[0].set(
        ylabel="variant",
        yticks=range(len(variants)),
        yticklabels=[brief(name) for name in variants],
        ylim=(-0.6, len(variants)),
    )
    panels[0].set_xlim(left=0)
    keys = [
        Line2D([], [], color=BLUE, marker="o", ms=4, lw=2, label="salience, 95% interval"),
        Line2D([], [], color=VERMILION, lw=1.5, label="uniform: share of the tokens or frames"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    first = rows.iloc[0]
    folds, seeds = first["folds"], first["seeds"]
    entitle(
        figure,
        "How much of the salience lies on the rationale; ratio: share divided by uniform",
        f"{experiment(first)}; {counted(folds, 'fold')}, {counted(seeds, 'seed')}",
    )
    return figure


def draw_shares(axes: Axes, rows: pd.DataFrame, variants: list[str]) -> None:
    """Draw the shares of one modality, a place for each of the variants."""
    places = rows["variant"].map(variants.index)
    share, low, high, uniform = (100 * rows[c] for c in ("share", "low", "high", "uniform"))
    axes.vlines(uniform, places - 0.5, places + 0.5, color=VERMILION, lw=1.5)
    axes.hlines(places, low, high, color=BLUE, lw=2)
    axes.scatter(share, places, s=22, color=BLUE, zorder=3)
    beside: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    beside |= {"xytext": (28, 0), "va": "center", "ha": "right"}
    for place, ratio in zip(places, rows["ratio"], strict=True):
        axes.annotate("" if pd.isna(ratio) else f"{ratio:.1f}", (1, place), **beside)
    axes.annotate("ratio", (1, len(variants) - 0.3), color=GREY, **beside)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_axisbelow(True)
