"""What all figures share: colours, type, titles, and how they are saved."""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.report.text import counted

# Okabe and Ito's palette: told apart by colour-blind readers, too.
BLUE, VERMILION, GREEN, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"
GREY, PALE, INK = "#8a8a8a", "#d5d9dd", "#222222"
EVEN = LinearSegmentedColormap.from_list("salience", ["white", VERMILION])
MOST = 4  # of a salience, in times an even share: full colour

PANEL = 22  # characters of a name above a narrow panel
FONT = "DejaVu Sans"  # comes with matplotlib: the same on every machine
OF_FORMULAS = re.compile("cm.*|STIX.*|Last Resort.*")  # fonts that come with it, too, and have none
NOT_OF_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
STYLE = {
    "font.family": FONT,
    "text.parse_math": False,  # a dollar sign in a name or in a transcript is one
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.hashsalt": "labelmer",  # ids in the SVG are random without it
}


def entitle(figure: Figure, *lines: str) -> None:
    """Give a figure its title; a line that is wider than the figure goes on below."""
    width = int(figure.get_figwidth() * 72 / (0.5 * 9.5))  # characters
    wrapped = [part for line in lines for part in textwrap.wrap(line, width)]
    figure.suptitle("\n".join(wrapped), fontsize=9.5, linespacing=1.5)


def brief(name: str, most: int = 36) -> str:
    """A name in at most so many characters: what is too long lacks its middle."""
    tail = most // 2 - 1
    return name if len(name) <= most else f"{name[: most - tail - 1]}…{name[-tail:]}"


def experiment(row: Mapping[str, Any] | pd.Series) -> str:
    """How a title names a row's encoders."""
    return f"{brief(row['speech'])} + {brief(row['text'])}, {row['mode']}"


def design(folds: int, seeds: int, utterances: int) -> str:
    """How a title says what the numbers rest on."""
    parts = counted(folds, "fold"), counted(seeds, "seed"), counted(utterances, "utterance")
    return "{}, {}, n = {}".format(*parts)


def speakers_design(row: pd.Series) -> str:
    """How a title says what a row with an interval over speakers rests on."""
    folds, seeds, utterances, speakers = row[["folds", "seeds", "utterances", "speakers"]]
    return f"{experiment(row)}; {design(folds, seeds, utterances)}, {counted(speakers, 'speaker')}"


def percent(share: float) -> str:
    """A share as percent with one decimal; nothing where there is no share."""
    return "" if pd.isna(share) else f"{100 * share:.1f}"


def panels_of(
    variants: Sequence[str],
    block_height: float,
    heights: list[float],
    labels: tuple[str, str],
    bottom: str,
) -> tuple[Figure, list[tuple[str, Axes, Axes]]]:
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


def laid_out(figure: Figure) -> Figure:
    """A figure with its layout worked out and its axes where that puts them, to nine decimals.

    The solver's last bits depend on where objects lie in memory; ids in the SVG depend on them.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        bounds = (round(number, 9) for number in axes.get_position().bounds)
        axes.set_position(Bbox.from_bounds(*bounds))
    return figure


def letters_of(figure: Figure) -> set[str]:
    """All characters of a figure's texts."""
    return set("".join(text.get_text() for text in figure.findobj(Text))) - {"\n"}


def fallbacks(letters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Installed fonts for the letters that FONT has not, and the letters that no font has."""
    missing, found = {c for c in letters if not has(findfont(FONT), c)}, []
    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        if missing and font.style == "normal" and not OF_FORMULAS.fullmatch(font.name):
            drawn = {c for c in missing if has(font.fname, c)}
            found += [font.name] if drawn else []
            missing -= drawn
    return found, missing


def has(path: str, letter: str) -> bool:
    """Does the font in a file have a letter?"""
    return ord(letter) in get_font(path).get_charmap()


def save(draw: Callable[[], Figure], stem: Path) -> None:
    """Write the figure that draw() returns as stem.svg and stem.png, without dates or versions.

    What the font lacks is drawn in other installed fonts; the log names what none of them has.
    """
    nothing = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    with rc_context(STYLE), warnings.catch_warnings():
        more, missing = fallbacks(letters_of(draw()))
    if missing:
        letters = "".join(sorted(missing))
        log.warning(
            "%s: no installed font has %s (%s): drawn as boxes; install a font that has them",
            stem,
            letters,
            " ".join(f"U+{ord(c):04X}" for c in sorted(missing)[:5]),
        )
    with rc_context({**STYLE, "font.family": [FONT, *more]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the log names them
        figure = draw()
        for text in figure.findobj(Text):
            text.set_text(NOT_OF_XML.sub("\ufffd", text.get_text()))
        figure = laid_out(figure)
        for kind, metadata in nothing.items():
            path = stem.with_name(f"{stem.name}.{kind}")
            drawn = io.BytesIO()
            figure.savefig(drawn, format=kind, dpi=200, metadata=metadata)
            write_atomically(path, drawn.getvalue())
            log.info("wrote %s", path)
