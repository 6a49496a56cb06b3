"""What all figures share: colours, type, titles, and how they are saved."""

import os

from matplotlib import rc_context

from labelmer.stage import log

# Okabe and Ito's palette: told apart by colour-blind readers, too.
BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
GREY, PALE, INK = "#8a8a8a", "#d5d9dd", "#222222"

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
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


def entitle(figure, *lines):
    """Give a figure its title, the first line a little larger."""
    figure.suptitle("\n".join(lines), fontsize=9.5, linespacing=1.5)


def experiment(row):
    """How a title names a row's encoders."""
    return f"{row['speech']} + {row['text']}, {row['mode']}"


def design(folds, seeds, utterances):
    """How a title says what the numbers rest on."""
    return f"{counted(folds, 'fold')}, {counted(seeds, 'seed')}, n = {utterances:,} utterances"


def speakers_design(row):
    """How a title says what a row with an interval over speakers rests on."""
    folds, seeds, utterances, speakers = row[["folds", "seeds", "utterances", "speakers"]]
    return f"{experiment(row)}; {design(folds, seeds, utterances)}, {counted(speakers, 'speaker')}"


def counted(count, noun):
    """'1 fold', '5 folds'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def laid_out(figure):
    """A figure with its layout worked out and its axes where that puts them, to nine decimals.

    The solver's last bits depend on where objects lie in memory; ids in the SVG depend on them.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(number, 9) for number in axes.get_position().bounds])
    return figure


def save(draw, stem):
    """Write the figure that draw() returns as stem.svg and stem.png, without dates or versions."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    nothing = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    with rc_context(STYLE):
        figure = laid_out(draw())
        for kind, metadata in nothing.items():
            path = stem.with_name(f"{stem.name}.{kind}")
            part = path.with_name(path.name + ".part")
            figure.savefig(part, format=kind, dpi=200, metadata=metadata)
            os.replace(part, path)
            log.info("wrote %s", path)
