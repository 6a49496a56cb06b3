"""Loss and accuracy over the epochs, per variant."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from labelmer.figures.style import (
    BLUE,
    GREY,
    PANEL,
    VERMILION,
    brief,
    entitle,
    experiment,
    panels_of,
)
from labelmer.report.text import counted

FIGURE = {
    "reads": "histories",
    "heading": "Training",
    "alt": "Loss and unweighted accuracy over the epochs, per variant",
    "caption": (
        "A line per fold{% if design.seeds > 1 %} and seed{% endif %}. The training loss sums all "
        "terms, the validation loss is that of the prediction alone, so their heights do not "
        "compare. {{ scope }}."
    ),
}


def draw(histories: pd.DataFrame) -> Figure:
    """Loss (above) and validation UA (below) over epochs: a pair of panels for every variant.

    histories: rows of the table "history" with a column run, the number of their file.
    """
    variants = list(dict.fromkeys(histories["variant"]))
    labels = "loss", "validation UA\n(percent)"
    figure, pairs = panels_of(variants, 2.9, [1.2, 1], labels, "epoch")
    for variant, loss, accuracy in pairs:
        draw_training(loss, accuracy, histories[histories["variant"] == variant])
        loss.set_title(brief(variant, PANEL))
        accuracy.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    runs = histories.groupby("variant")["run"].nunique().max()
    keys = [
        Line2D([], [], color=GREY, lw=1, label="training loss"),
        Line2D([], [], color=BLUE, lw=1, label="validation"),
        Line2D([], [], color=VERMILION, marker="o", ms=4, lw=0, label="chosen epoch"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
    entitle(
        figure,
        "Training: a line per fold and seed",
        f"{experiment(histories.iloc[0])}; {counted(runs, 'run')} per variant",
    )
    return figure


def draw_training(loss: Axes, accuracy: Axes, histories: pd.DataFrame) -> None:
    """Draw one variant's runs into its two axes."""
    for _, run in histories.groupby("run"):
        chosen = run[run["chosen"] == 1]
        loss.plot(run["epoch"], run["train_loss"], color=GREY, lw=0.7, alpha=0.6)
        for axes, name, factor in ((loss, "validation_loss", 1), (accuracy, "validation_ua", 100)):
            axes.plot(run["epoch"], factor * run[name], color=BLUE, lw=0.7, alpha=0.6)
            axes.scatter(chosen["epoch"], factor * chosen[name], color=VERMILION, s=9, zorder=3)
