"""Result tables -> figures, each as SVG and as PNG.

    plot confusion CONFUSION.tsv OUT_STEM --variant NAME   confusion matrix of one variant
    plot folds FOLDS.tsv OUT_STEM                          accuracy of every fold, per variant
    plot pairs PAIRS.tsv OUT_STEM                          differences from the reference variant
    plot slices SLICES.tsv OUT_STEM                        accuracy on slices, per variant
    plot calibration CALIBRATION.tsv OUT_STEM              accuracy by confidence, per variant
    plot robustness ROBUSTNESS.tsv OUT_STEM                accuracy without a modality, per variant
    plot deletion DELETION.tsv OUT_STEM                    accuracy by the share that is deleted
    plot salience SALIENCE.tsv OUT_STEM                    share of salience on the rationales
    plot training HISTORY.tsv ... OUT_STEM                 loss and accuracy over the epochs

OUT_STEM is the path without .svg and .png. The same tables give the same bytes.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import MODALITIES, ORDERS
from labelmer.figures.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    PALE,
    PURPLE,
    VERMILION,
    brief,
    counted,
    design,
    entitle,
    experiment,
    save,
    speakers_design,
)
from labelmer.report import columns
from labelmer.report.columns import CONDITIONS, SCALINGS
from labelmer.report.text import p_text, points, points_interval, slice_text

# Worse than the reference, the same, better: pale enough for ink on it, the same in all figures.
DIFFERENCES = LinearSegmentedColormap.from_list("differences", ["#e69e66", "white", "#66aad1"])
DIFFERENCES = DIFFERENCES.with_extremes(bad=PALE)  # the reference itself
DIFFERENCE_SCALE = Normalize(-10, 10)  # percentage points
SLICINGS_IN_WORDS = {
    "class": "true class (its recall)",
    "length": "length",
    "kind": "kind of dialogue",
    "alone": "text-only and speech-only",
}

NUMBERED = 16  # classes up to which a confusion matrix has its numbers written in
PANEL = 22  # characters of a name above a narrow panel
LEAST_JOINED = 0.01  # share of the utterances in a bin from which on a line goes through its dot


def confusion_figure(rows):
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
    fitting = {"fontsize": min(9, 58 * cell)}
    wide = 9 * 0.65 * longest > 72 * cell
    slanted = {"rotation": 45 if numbered else 90, "ha": "right" if numbered else "center"}
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


def write_numbers(axes, share, count):
    """Write percent and number of utterances into the cells of a confusion matrix, (C, C) each."""
    for (i, j), of_true in np.ndenumerate(share):
        cell = {"ha": "center", "color": "white" if of_true > 0.62 else INK}
        axes.text(j, i, percent(of_true), va="bottom", **cell)
        axes.text(j, i + 0.08, number(count[i, j]), va="top", fontsize=7, **cell)


def folds_figure(rows):
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
    axes.set_yticks(places, [brief(name) for name in per_fold.index])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("unweighted accuracy on the test part (percent)")
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


def pairs_figure(rows):
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


def pair_texts(row):
    """What stands beside a row of the table "pairs": difference, interval, corrected p."""
    return points(row.difference), points_interval(row.low, row.high), p_text(row.p_jackknife_holm)


def slices_figure(rows):
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


def draw_slicing(panel, rows, variants):
    """Draw the slices of one slicing into its axes: a row for each slice, a column per variant."""
    slices = rows.drop_duplicates("slice")
    rows = rows.assign(place=pd.factorize(rows["slice"])[0])
    difference = rows.pivot(index="place", columns="variant", values="difference")[variants]
    edges = (np.arange(count + 1) - 0.5 for count in (len(variants), len(slices)))
    colours = {"cmap": DIFFERENCES, "norm": DIFFERENCE_SCALE, "edgecolors": "white", "lw": 1}
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


def draw_scale_of_differences(figure, panels, label):
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


def panels_of(variants, block_height, heights, labels, bottom):
    """A figure with a panel above another for each variant, four across.

    block_height in inches; heights: of the upper and the lower panel, as a ratio; labels: of their
    axes; bottom: label below. Panels of one kind share their scale, so that variants can be
    compared. Returns (figure, [(variant, upper, lower), ...]).
    """
    across = min(len(variants), 4)
    blocks = -(-len(variants) // across)
    size = max(7.2, 1.9 * across), 0.9 + block_height * blocks
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(
        2 * blocks, across, sharex=True, squeeze=False, height_ratios=heights * blocks
    )
    pairs = []
    for place in range(blocks * across):
        block, column = divmod(place, across)
        upper, lower = panels[2 * block, column], panels[2 * block + 1, column]
        if place >= len(variants):
            upper.remove()
            lower.remove()
            continue
        upper.sharey(panels[0, 0])
        lower.sharey(panels[1, 0])
        below = place + across >= len(variants)
        lower.tick_params(labelbottom=below)
        lower.set_xlabel(bottom if below else "")
        for panel, label in zip((upper, lower), labels, strict=True):
            panel.set_ylabel("" if column else label)
            panel.tick_params(labelleft=not column)
        pairs.append((variants[place], upper, lower))
    return figure, pairs


def calibration_figure(rows):
    """Accuracy by confidence, and how often, per variant, from the table "calibration"."""
    rows = rows.assign(share=rows["count"] / rows["utterances"])
    variants = list(dict.fromkeys(rows["variant"]))
    colours = dict(zip(SCALINGS, (VERMILION, BLUE), strict=True))
    labels = "accuracy (percent)", "share\n(percent)"
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


def robustness_figure(rows):
    """UA under each condition with its interval, per variant, from the table "robustness"."""
    whole = rows[rows["condition"] == "all"].sort_values("ua", kind="stable")
    places = {variant: place for place, variant in enumerate(whole["variant"])}
    of_variant = rows.groupby("variant")["ua"]
    steps = of_variant.cumcount() - (of_variant.transform("size") - 1) / 2
    rows = rows.assign(at=rows["variant"].map(places) - 0.19 * steps)
    figure = Figure(figsize=(7.2, 1.6 + 0.55 * len(places)), layout="constrained")
    axes = figure.subplots()
    for condition, colour in zip(CONDITIONS, (BLUE, VERMILION, GREEN, PURPLE), strict=True):
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
    axes.set_xlabel("unweighted accuracy on the test part (percent)")
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


def deletion_figure(rows):
    """UA by the share deleted, most salient first or at random, from the table "deletion".

    Text above, speech below; a variant that does without a modality has no curve there.
    """
    variants = list(dict.fromkeys(rows["variant"]))
    labels = "text: UA (percent)", "speech: UA (percent)"
    figure, pairs = panels_of(variants, 3.6, [1, 1], labels, "deleted (percent)")
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


def draw_deletion(panel, rows):
    """Draw one variant's accuracy by the share deleted from one modality, a curve per order."""
    if len(rows) == 0:
        panel.text(0.5, 0.5, "not used", transform=panel.transAxes, color=GREY, ha="center")
    for order, colour in zip(ORDERS, (VERMILION, BLUE), strict=True):
        curve = rows[rows["order"] == order]
        share, ua, low, high = (100 * curve[name] for name in ("share", "ua", "ua_low", "ua_high"))
        panel.fill_between(share, low, high, color=colour, alpha=0.15, lw=0)
        panel.plot(share, ua, color=colour, lw=1.2, marker="o", ms=3)


def salience_figure(rows):
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


def untold_figure(experiment_columns):
    """What stands for salience_figure where no rationale is of a modality that a variant sees."""
    figure = Figure(figsize=(7.2, 1.0), layout="constrained")
    entitle(
        figure,
        "No test utterance has a rationale of a modality that a variant sees",
        experiment(experiment_columns),
    )
    return figure


def draw_shares(axes, rows, variants):
    """Draw the shares of one modality, a place for each of the variants."""
    places = rows["variant"].map(variants.index)
    share, low, high, uniform = (100 * rows[c] for c in ("share", "low", "high", "uniform"))
    axes.vlines(uniform, places - 0.5, places + 0.5, color=VERMILION, lw=1.5)
    axes.hlines(places, low, high, color=BLUE, lw=2)
    axes.scatter(share, places, s=22, color=BLUE, zorder=3)
    beside = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    beside |= {"xytext": (28, 0), "va": "center", "ha": "right"}
    for place, ratio in zip(places, rows["ratio"], strict=True):
        axes.annotate("" if pd.isna(ratio) else f"{ratio:.1f}", (1, place), **beside)
    axes.annotate("ratio", (1, len(variants) - 0.3), color=GREY, **beside)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE, lw=0.6)
    axes.set_axisbelow(True)


def training_figure(histories, where):
    """Loss (above) and validation UA (below) over epochs: a pair of panels for every variant.

    histories: rows of the table "history" with a column run, the number of their file; where:
    names the experiment in the title.
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
        figure, "Training: a line per fold and seed", f"{where}; {counted(runs, 'run')} per variant"
    )
    return figure


def draw_training(loss, accuracy, histories):
    """Draw one variant's runs into its two axes."""
    for _, run in histories.groupby("run"):
        chosen = run[run["chosen"] == 1]
        loss.plot(run["epoch"], run["train_loss"], color=GREY, lw=0.7, alpha=0.6)
        for axes, name, factor in ((loss, "validation_loss", 1), (accuracy, "validation_ua", 100)):
            axes.plot(run["epoch"], factor * run[name], color=BLUE, lw=0.7, alpha=0.6)
            axes.scatter(chosen["epoch"], factor * chosen[name], color=VERMILION, s=9, zorder=3)


def percent(share):
    """A share as percent with one decimal; nothing where there is no share."""
    return "" if pd.isna(share) else f"{100 * share:.1f}"


def number(count):
    """A count; one decimal if, as a mean over seeds, it is not whole."""
    return f"{count:,.0f}" if abs(count - round(count)) < 1e-3 else f"{count:,.1f}"


def select(table, path, **wanted):
    """The rows of a table that match every wanted value; raise InputError if there are none."""
    rows = table
    for column, value in wanted.items():
        if value not in set(rows[column]):
            raise InputError(
                f"{path}: no row has {column} '{value}', expected one of "
                f"{sorted(set(rows[column]))}; name one of these"
            )
        rows = rows[rows[column] == value]
    return rows


def of_experiment(table, experiment_columns):
    """The rows of an experiment, if there are any."""
    return table[(table[list(experiment_columns)] == pd.Series(experiment_columns)).all(axis=1)]


OF_ALL_VARIANTS = {
    "folds": folds_figure,
    "pairs": pairs_figure,
    "slices": slices_figure,
    "calibration": calibration_figure,
    "robustness": robustness_figure,
    "deletion": deletion_figure,
    "salience": salience_figure,
}


def draw_table(kind, path, variant, experiment_columns):
    """The figure of one table of results: kind is confusion or one of OF_ALL_VARIANTS."""
    table = columns.read(path, kind)
    if kind == "salience" and not len(of_experiment(table, experiment_columns)):
        return untold_figure(experiment_columns)
    rows = select(table, path, **experiment_columns)
    if kind in OF_ALL_VARIANTS:
        return OF_ALL_VARIANTS[kind](rows)
    return confusion_figure(select(rows, path, variant=variant))


def draw_histories(paths, experiment_columns):
    """The training figure of one history per path."""
    histories = [tables.read(path, "history").assign(run=i) for i, path in enumerate(paths)]
    return training_figure(pd.concat(histories), experiment(experiment_columns))


@command
def main(argv=None):
    """Draw one figure."""
    parser = stage_parser(__doc__)
    parser.add_argument("kind", choices=("confusion", *OF_ALL_VARIANTS, "training"))
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE.tsv")
    parser.add_argument("out", type=Path, metavar="OUT_STEM")
    parser.add_argument("--speech", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--mode", required=True)
    parser.add_argument("--variant", help="for confusion")
    args = parse(parser, argv)
    columns = {"speech": args.speech, "text": args.text, "mode": args.mode}
    if args.kind != "training" and len(args.tables) > 1:
        parser.error(f"plot {args.kind}: {len(args.tables)} tables, expected one")
    if (args.kind == "confusion") != (args.variant is not None):
        parser.error(f"plot {args.kind}: --variant goes with confusion, and with it alone")
    if args.kind == "training":
        save(lambda: draw_histories(args.tables, columns), args.out)
    else:
        save(lambda: draw_table(args.kind, args.tables[0], args.variant, columns), args.out)
