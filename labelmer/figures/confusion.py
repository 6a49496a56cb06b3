"""Confusion matrix of each variant."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from labelmer.figures.style import INK, brief, design, entitle, experiment, percent

FIGURE = {
    "reads": "confusion",
    "heading": "Confusion",
    "alt": "Confusion matrix",
    "caption": (
        "Each row of a matrix adds up to 100 percent of a true class; the small numbers are "
        "test utterances, pooled over folds{{ over_seeds }}. {{ scope }}."
    ),
    "each_variant": True,
}

NUMBERED = 16  # classes up to which a confusion matrix has its numbers written in


def draw(rows: pd.DataFrame) -> Figure:
    """Row-normalised confusion matrix of one variant, from its rows of the table "confusion"."""
    classes = list(dict.fromkeys(rows["true"]))
    share = rows.pivot(index="true", columns="predicted", values="share").loc[classes, classes]
    count = rows.pivot(index="true", columns="predicted", values="count").loc[classes, classes]
    names = [brief(name) for name in classes]
    longest = max(map(len, names))
    numbered = len(classes) <= NUMBERED
    cell = 0.75 if numbered else max(12 / len(classes), 0.05)  # inches
    side = 1.3 + cell * len(classes) + 0.07 * longest
    figure = Figure(figsize=(side + 0.7, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * share, cmap="Blues", vmin=0, vmax=100)
    if numbered:
        write_numbers(axes, share.to_numpy(), count.to_numpy())
    else:
        bar = figure.colorbar(image, ax=axes, shrink=0.4, label="percent of the true class")
        bar.outline.set_visible(False)
    fitting: dict[str, Any] = {"fontsize": min(9, 58 * cell)}
    wide = 9 * 0.65 * longest > 72 * cell
    slanted: dict[str, Any] = {
        "rotation": 45 if numbered else 90,
        "ha": "right" if numbered else "center",
    }
    slanted |= {"va": "top"} if not numbered else {"rotation_mode": "anchor"}
    axes.set_xticks(range(len(classes)), names, **fitting, **(slanted if wide else {}))
    totals = [f"(n = {number(total)})" for total in count.sum(axis=1)]
    joint = "\n" if numbered else " "
    labels = [f"{name}{joint}{total}" for name, total in zip(names, totals, strict=True)]
    axes.set_yticks(range(len(classes)), labels, **fitting)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    first = rows.iloc[0]
    entitle(
        figure,
        f"{brief(first['variant'])}: percent of each true class"
        + (", number below" if numbered else "; numbers in confusion.tsv"),
        experiment(first),
        design(first["folds"], first["seeds"], first["utterances"]),
    )
    return figure


def write_numbers(axes: Axes, share: np.ndarray, count: np.ndarray) -> None:
    """Write percent and number of utterances into the cells of a confusion matrix, (C, C) each."""
    for (i, j), of_true in np.ndenumerate(share):
        cell: dict[str, Any] = {"ha": "center", "color": "white" if of_true > 0.62 else INK}
        axes.text(j, i, percent(of_true), va="bottom", **cell)
        axes.text(j, i + 0.08, number(float(count[i, j])), va="top", fontsize=7, **cell)


def number(count: float) -> str:
    """A count; one decimal if, as a mean over seeds, it is not whole."""
    return f"{count:,.0f}" if abs(count - round(count)) < 1e-3 else f"{count:,.1f}"
