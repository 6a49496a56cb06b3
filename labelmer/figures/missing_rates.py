"""Accuracy by the share of test utterances that lack a modality, per variant."""

from itertools import product

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labelmer.figures.style import (
    BLUE,
    GREEN,
    INK,
    PALE,
    PANEL,
    PURPLE,
    SKY,
    VERMILION,
    brief,
    entitle,
    speakers_design,
)
from labelmer.report.columns import reference_of

FIGURE = {
    "reads": "missing_rates",
    "heading": "A modality missing in a share of the utterances",
    "alt": "Unweighted accuracy by the share of test utterances that lack a modality, per variant",
    "caption": (
        "Pooled UA{{ over_seeds }}, where a share of the test utterances lacks speech, text, or "
        "either (half of these speech, the others text). Which these are is drawn by lot, the same "
        "for all variants. The black line is the reference, with its 95% interval by the jackknife "
        "over speakers. No model is trained anew. {{ scope }}; speakers: {{ design.speakers }}."
    ),
    "empty": "No variant takes both modalities",
}

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY)
LINES = [(colour, style) for style, colour in product(("-", "--", ":", "-."), COLOURS)]


def draw(rows: pd.DataFrame) -> Figure:
    """UA by the share, a panel for each thing missing, from the table "missing_rates"."""
    variants = list(dict.fromkeys(rows["variant"]))
    reference = reference_of(variants)
    others = [variant for variant in variants if variant != reference]
    # Of more variants than there are lines, some look alike: the table tells them apart.
    looks = {reference: (INK, "-")}
    looks |= {v: LINES[place % len(LINES)] for place, v in enumerate(others)}
    missing = list(dict.fromkeys(rows["missing"]))
    figure = Figure(figsize=(7.2, 3.2 + 0.2 * -(-len(variants) // 3)), layout="constrained")
    panels = figure.subplots(1, len(missing), sharey=True, squeeze=False)[0]
    for panel, what in zip(panels, missing, strict=True):
        for variant, (colour, line) in looks.items():
            curve = rows[(rows["missing"] == what) & (rows["variant"] == variant)]
            share, ua, low, high = (100 * curve[c] for c in ("share", "ua", "ua_low", "ua_high"))
            panel.plot(share, ua, line, color=colour, lw=1.2)
            if variant == reference:
                panel.fill_between(share, low, high, color=colour, alpha=0.12, lw=0)
        panel.set_title(f"{what} missing")
        panel.set_xlabel("of the utterances (percent)")
        panel.grid(color=PALE, lw=0.6)
    panels[0].set_ylabel("UA (percent)")
    keys = [Line2D([], [], color=c, ls=s, lw=1.2) for v, (c, s) in looks.items()]
    figure.legend(
        keys, [brief(v, PANEL) for v in looks], loc="outside lower center", ncols=3, frameon=False
    )
    entitle(
        figure,
        "Unweighted accuracy where some utterances lack a modality",
        speakers_design(rows.iloc[0]),
    )
    return figure
