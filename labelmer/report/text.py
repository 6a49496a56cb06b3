"""Numbers of a table as text for people."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from labelmer.base.tables import RECOGNISED, is_recognised


def encoders_text(mode: str) -> str:
    """How a run's mode is told: 'frozen encoders', 'frozen encoders, recognised words'."""
    encoders = f"{mode.removesuffix(RECOGNISED)} encoders"
    return f"{encoders}, recognised words" if is_recognised(mode) else encoders


def percent(mean: float, sd: float = float("nan")) -> str:
    """A share as percent with one decimal, with its standard deviation; '–' if there is none."""
    if pd.isna(mean):
        return "–"
    return f"{100 * mean:.1f}" + ("" if pd.isna(sd) else f" ± {100 * sd:.1f}")


def percent_interval(low: float, high: float) -> str:
    """An interval of shares as percent: '[70.1, 76.6]'; '–' if there is none."""
    return "–" if pd.isna(low) else f"[{100 * low:.1f}, {100 * high:.1f}]"


def points(difference: float) -> str:
    """A difference of shares in percent, with its sign: '+1.2', '−0.4', '0.0'."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def points_interval(low: float, high: float) -> str:
    """An interval of differences: '[−0.3, +2.5]'; '–' if there is none."""
    return "–" if pd.isna(low) else f"[{points(low)}, {points(high)}]"


def ratio_text(ratio: float) -> str:
    """A ratio to two decimals; '–' if there is none."""
    return "–" if pd.isna(ratio) else f"{ratio:.2f}"


def count_text(count: float) -> str:
    """A number of things, '1,117'; '–' if there is none."""
    return "–" if pd.isna(count) else f"{count:,.0f}"


def p_text(p: float) -> str:
    """A p-value to three decimals; '–' if there is none."""
    if pd.isna(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(count: int, noun: str, nouns: str = "") -> str:
    """'1 fold', '1,117 utterances'; nouns: the plural, unless an s makes it."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def slice_text(row: Any) -> str:
    """How a row of the table "slices" names its slice: 'angry', 'short, up to 2.2 s'."""
    above, up_to = f"{row.above_s:.1f}", f"{row.up_to_s:.1f}"
    if pd.isna(row.above_s):
        return row.slice if pd.isna(row.up_to_s) else f"{row.slice}, up to {up_to} s"
    bounds = f"above {above} s" if pd.isna(row.up_to_s) else f"{above} to {up_to} s"
    return f"{row.slice}, {bounds}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines of text: the first column left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def ensembles(compare: pd.DataFrame) -> str:
    """How many models each late fusion of a table "compare" multiplies, as a sentence.

    Empty where none multiplies those of all seeds.
    """
    together = compare["runs"] < compare["folds"] * compare["seeds"]
    if not together.any():
        return ""
    fused = compare.assign(together=together)[compare["models"] > 1].drop_duplicates("variant")
    said = [
        f"{row.variant} {row.models}{' (all seeds)' if row.together else ''}"
        for row in fused.itertuples()
    ]
    return (
        f"Models multiplied in a run: {', '.join(said)}. With all seeds in it there is one run to "
        "a fold, and no mean over seeds."
    )
