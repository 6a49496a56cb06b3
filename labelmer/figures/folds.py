"""Accuracy of every fold, per variant."""

import pandas as pd
from matplotlib.figure import Figure

from labelmer.figures.style import (
    BLUE,
    INK,
    PALE,
    VERMILION,
    brief,
    design,
    entitle,
    experiment,
)
from labelmer.report.columns import without_features

FIGURE = {
    "reads": "folds",
    "alt": "Unweighted accuracy of every fold, per variant",
    "caption": (
        "Unweighted accuracy of every fold{{ over_seeds }}, with mean"
        "{% if design.folds > 1 %} and standard deviation{% endif %} over folds."
        "{% if e.without_features %} The dashed line is what can be guessed from metadata alone, "
        "which a model must beat.{% endif %} {{ scope }}."
    ),
}


def draw(rows: pd.DataFrame) -> Figure:
    """UA of every fold (mean over seeds), mean and sd per variant, from the table "folds"."""
    per_fold = rows.groupby(["variant", "fold"])["ua"].mean().unstack() * 100  # (variants, folds)
    per_fold = per_fold.loc[per_fold.mean(axis=1).sort_values(kind="stable").index]
    mean, sd = per_fold.mean(axis=1), per_fold.std(axis=1)
    figure = Figure(figsize=(7.2, 1.3 + 0.36 * len(per_fold)), layout="constrained")
    axes = figure.subplots()
    axes.use_sticky_edges = False  # or the lowest band would touch the frame
    places = range(len(per_fold))
    axes.barh(places, 2 * sd, left=mean - sd, height=0.5, color=PALE)
    axes.vlines(mean, [p - 0.25 for p in places], [p + 0.25 for p in places], BLUE, lw=2)
    for step, fold in enumerate(per_fold):
        # Folds stand a little below one another, so that equal ones stay visible.
        offset = 0.3 * (0.5 - (step + 0.5) / per_fold.shape[1])
        axes.scatter(per_fold[fold], [p + offset for p in places], s=14, color=INK, zorder=3)
    for place, variant in enumerate(per_fold.index):
        spread = "" if pd.isna(sd[variant]) else f" ± {sd[variant]:.1f}"
        axes.text(
            1.01,
            place,
            f"{mean[variant]:.1f}{spread}",
            transform=axes.get_yaxis_transform(),
            va="center",
        )
    for variant in without_features(rows):
        axes.axvline(mean[variant], color=VERMILION, lw=1, ls="--", zorder=0)
    axes.set_yticks(places, [brief(name) for name in per_fold.index])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel="unweighted accuracy on the test part (percent)", ylabel="variant")
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_axisbelow(True)
    first = rows.iloc[0]
    tested = rows.groupby("fold")["utterances"].first().sum()
    entitle(
        figure,
        "Unweighted accuracy: a dot per fold, mean (line) ± sd (band)",
        f"{experiment(first)}; {design(first['folds'], first['seeds'], tested)}",
    )
    return figure
