"""One figure, as SVG and as PNG.

    plot FIGURE TABLE.tsv OUT_STEM                 of a result table
    plot confusion TABLE.tsv OUT_STEM --variant V  the same of one variant
    plot training HISTORY.tsv ... OUT_STEM         of training histories
    plot examples OUT_STEM --predictions ...       of utterances: their words, audio and salience

FIGURE is a file in labelmer/figures. OUT_STEM is the path without .svg and .png. The same files
give the same bytes.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from labelmer import figures
from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.stage import command, parse, stage_parser
from labelmer.figures.style import entitle, experiment, save
from labelmer.report import columns

OF_UTTERANCES = ("predictions", "salience", "utterances", "segments", "rationales")


def read_rows(
    reads: str, paths: Sequence[Path], names: Mapping[str, str], variant: str | None = None
) -> pd.DataFrame:
    """The rows of one experiment, and of one variant if it is given; none if all are of others.

    reads: name of a result table, of which there is one path, or "histories", which get a column
    run; names: speech, text and mode of the experiment. Raise InputError if there is no such
    variant.
    """
    if reads == "histories":
        histories = [tables.read(path, "history").assign(run=i) for i, path in enumerate(paths)]
        table = pd.concat(histories)
    else:
        table = columns.read(paths[0], reads)
    rows = table[(table[list(names)] == pd.Series(names)).all(axis=1)]
    if variant is None:
        return rows
    if variant not in set(rows["variant"]):
        raise InputError(
            f"{paths[0]}: no row of {experiment(names)} has variant '{variant}', expected one of "
            f"{sorted(set(rows['variant']))}; name one of these"
        )
    return rows[rows["variant"] == variant]


def draw_rows(
    figure: figures.Figure,
    draw: Callable[[pd.DataFrame], Figure],
    rows: pd.DataFrame,
    paths: Sequence[Path],
    names: Mapping[str, str],
) -> Figure:
    """The figure of an experiment's rows; without any, what stands for it.

    Raise InputError where nothing does.
    """
    if len(rows):
        return draw(rows)
    if not figure.empty:
        raise InputError(
            f"{paths[0]}: no row is of {experiment(names)}, expected some; name an experiment that "
            "the table has"
        )
    blank = Figure(figsize=(7.2, 1.0), layout="constrained")
    entitle(blank, figure.empty, experiment(names))
    return blank


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Draw one figure."""
    parser = stage_parser(__doc__)
    parser.add_argument(
        "figure", choices=figures.FIGURES, metavar="FIGURE", help=", ".join(figures.FIGURES)
    )
    parser.add_argument("tables", type=Path, nargs="*", metavar="TABLE.tsv")
    parser.add_argument("out", type=Path, metavar="OUT_STEM")
    for name in ("speech", "text", "mode"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--variant", help="of a figure that there is for each variant")
    for name in OF_UTTERANCES:
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[], metavar="PATH")
    args = parse(parser, argv)
    figure = figures.FIGURES[args.figure]
    draw = importlib.import_module(f"labelmer.figures.{args.figure}")
    names = {"speech": args.speech, "text": args.text, "mode": args.mode}
    if figure.each_variant != (args.variant is not None):
        parser.error(
            f"plot {args.figure}: --variant {args.variant}, expected one with "
            f"{[name for name, of in figures.FIGURES.items() if of.each_variant]}, and with them "
            "alone"
        )
    if figure.reads == "utterances":
        read = draw.read({name: getattr(args, name) for name in OF_UTTERANCES})
        save(lambda: draw.draw(read), args.out)
        return
    if not args.tables or (figure.reads != "histories" and len(args.tables) > 1):
        parser.error(f"plot {args.figure}: {len(args.tables)} tables, expected one")
    rows = read_rows(figure.reads, args.tables, names, args.variant)
    save(lambda: draw_rows(figure, draw.draw, rows, args.tables, names), args.out)
