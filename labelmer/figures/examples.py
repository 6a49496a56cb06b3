"""Six test utterances at most with their salience.

Four are right and two are wrong, all of one variant and seed, and a rule chooses them. The right
ones are of the first four classes (of fewer, as many of each). Where a class has utterances with a
rationale, only these are candidates. Of the candidates the half whose length is nearest to the
median is kept, and of these the one with the median confidence is drawn; of the wrong ones those at
a quarter and at three quarters.

Behind the words and the audio stands the salience, in times of an even share; below it, what each
token or frame says of the predicted class. A line above is the rationale. The turns around an
utterance, where the variant looks at them, stand below (turns.py).
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from labelmer.base import tables
from labelmer.base.ragged import RATE, Ragged
from labelmer.figures.style import BLUE, EVEN, GREY, INK, MOST, brief, entitle, experiment
from labelmer.figures.turns import HEIGHT, Turn, draw_turns, turns_of
from labelmer.report.salience_file import SAYS, SalienceFile, read_rationales
from labelmer.report.text import counted

FIGURE = {
    "reads": "utterances",
    "heading": "Examples",
    "alt": "Test utterances with their salience",
    "caption": (
        "Test utterances of one seed that a rule chose: right ones of middling length and median "
        "confidence{% if e.salience %}, where there are some with a rationale{% endif %}; wrong "
        "ones of middling length, at a quarter and at three quarters of the confidences. Salience "
        "is in times of an even share. The page's browser of utterances has all of them."
    ),
}

RIGHT, WRONG = 4, 2  # utterances that are drawn
POINTS = 8  # size of the words, whose characters are each 0.602 of it wide
COLUMNS = 104  # characters of a line; a wide one, such as a Chinese one, takes two columns
WIDTH, LINE, SOUND, GAP = COLUMNS * 0.602 * POINTS / 72, 0.21, 0.55, 0.5  # inches
MARGIN, TOP, BOTTOM = 0.2, 0.9, 0.2  # inches
STRIPES = 6  # of a band: salience four, what is said one, one stays empty
MIDDLE = 2  # of the stripes of salience
TURNS = "below an utterance: the turns around it, -1 is that before, bold: of the same speaker"
SURE = LinearSegmentedColormap.from_list("says", ["white", BLUE])


@dataclass(frozen=True)
class Weighed:
    """The rows of one modality of an utterance."""

    spans: np.ndarray  # (rows, 2): characters or seconds
    salience: np.ndarray  # (rows,), in times of an even share
    says: np.ndarray  # (rows,), between 0 and 1; nan without labels
    rationale: tuple[float, float] | None  # (start, end)


# An utterance's transcript, its samples (int16), what weighs its words and its sound, and the turns
# around it.
Shown = tuple[str, np.ndarray, Weighed | None, Weighed | None, list[Turn] | None]
File = TypeVar("File", bound=Ragged)


def chosen(
    predictions: pd.DataFrame, classes: Sequence[str], explained: Collection[str]
) -> pd.DataFrame:
    """The rows of the predictions to draw, by the rule above; fewer where there are too few.

    predictions: columns id, true, predicted, confidence, seconds; explained: ids with a rationale.
    """
    right = predictions["true"] == predictions["predicted"]
    rows = []
    for number, name in enumerate(classes[:RIGHT]):
        candidates = predictions[right & (predictions["true"] == name)]
        known = candidates[candidates["id"].isin(explained)]
        wanted = len(range(number, RIGHT, len(classes)))
        rows.append(typical(known if len(known) else candidates, wanted))
    return pd.concat([*rows, typical(predictions[~right], WRONG)])


def typical(candidates: pd.DataFrame, count: int) -> pd.DataFrame:
    """Up to `count` rows of middling length, evenly spread over the ranks of confidence."""
    distance = (candidates["seconds"] - candidates["seconds"].median()).abs()
    near = candidates.assign(distance=distance).sort_values(["distance", "id"])
    half = near[: -(-len(near) // 2)].sort_values(["confidence", "id"])
    ranks = {(2 * i + 1) * len(half) // (2 * count) for i in range(count)}
    return half.iloc[sorted(ranks)[: len(half)]]


def weighed(
    file: SalienceFile | None,
    name: str,
    rationales: Mapping[str, Mapping[str, tuple[float, float]]],
) -> Weighed | None:
    """An utterance's rows in a file of salience: a Weighed, or None where there is no file."""
    if file is None:
        return None
    salience = file.weights(name, "salience") * len(file[name])
    says = file.column(name, SAYS) if SAYS in file.measures else np.full(len(salience), np.nan)
    return Weighed(file.spans(name), salience, says, rationales[file.modality].get(name))


def draw(examples: tuple[pd.DataFrame, list[Shown], str]) -> Figure:
    """The figure of the chosen rows, from (rows, utterances, scope), as read() has them.

    utterances: a Shown for each row; scope: what the title says of what they were chosen from.
    """
    rows, utterances, scope = examples
    lines = [lines_of(text) for text, *_ in utterances]
    around = any(turns is not None for *_, turns in utterances)
    below, top = (HEIGHT + GAP, TOP + LINE) if around else (GAP, TOP)
    heights = [height for wrapped in lines for height in (LINE * len(wrapped), SOUND, below)]
    width, height = WIDTH + 2 * MARGIN, top + sum(heights) + BOTTOM
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(
        len(heights),
        gridspec_kw={"height_ratios": heights, "hspace": 0}
        | {"left": MARGIN / width, "right": 1 - MARGIN / width}
        | {"bottom": BOTTOM / height, "top": 1 - top / height},
    ).reshape(-1, 3)
    for row, (_, samples, words, sound, turns), wrapped, (upper, lower, gap) in zip(
        rows.itertuples(), utterances, lines, panels, strict=True
    ):
        draw_words(upper, wrapped, words)
        upper.set_title(heading(row), loc="left", fontsize=POINTS, pad=6)
        upper.set_title(beside_words(words), loc="right", fontsize=POINTS - 1, color=GREY, pad=6)
        draw_sound(lower, samples, sound)
        if turns is None:
            gap.remove()
        else:
            draw_turns(gap, turns, below, POINTS - 1)
    about = {"frameon": False, "fontsize": POINTS, "handlelength": 1.5, "columnspacing": 1.2}
    figure.legend(handles=keys(utterances), loc="lower center", ncols=7, **about)
    entitle(
        figure,
        f"Salience of the variant {brief(rows.iloc[0]['variant'])} in "
        f"{counted(len(rows), 'utterance')} that a rule chose",
        *([TURNS] if around else []),
        scope,
    )
    return figure


def heading(row: Any) -> str:
    """What stands above an utterance."""
    verdict = "right" if row.true == row.predicted else "WRONG"
    said = f"{brief(row.true, 20)}, predicted {brief(row.predicted, 20)} ({row.confidence:.0%})"
    return f"{brief(row.id)}: {said}: {verdict}"


def beside_words(words: Weighed | None) -> str:
    """How much of the salience no word shows: that of special tokens."""
    if words is None:
        return "the variant sees no words"
    nowhere = words.spans[:, 0] == words.spans[:, 1]
    return f"{words.salience[nowhere].sum() / len(nowhere):.0%} of the salience on no word"


def edges_of(text: str) -> np.ndarray:
    """The columns between which the characters of a text stand, one behind the other: (N + 1,)."""
    none, two = ("Mn", "Me", "Cf"), ("W", "F")  # marks on others; characters as wide as high
    widths = [
        0 if unicodedata.category(c) in none else 1 + (unicodedata.east_asian_width(c) in two)
        for c in text
    ]
    return np.concatenate([[0], np.cumsum(widths, dtype=int)])


def lines_of(text: str) -> list[tuple[int, str]]:
    """A text in lines of at most COLUMNS columns: [(place of the line's first character, line)].

    Between words, or within one that is longer than a line.
    """
    found, at, edges = [], 0, edges_of(text)
    while at < len(text):
        end = int(np.searchsorted(edges, edges[at] + COLUMNS, side="right")) - 1
        if end < len(text):
            blanks = [blank.start() for blank in re.finditer(r"\s", text[at : end + 1])]
            end = at + blanks[-1] if blanks and blanks[-1] else end
        found.append((at, text[at:end]))
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found or [(0, "")]


def is_right_to_left(text: str) -> bool:
    """Does the first letter of a text belong to a script that is read from right to left?"""
    directions = map(unicodedata.bidirectional, text)
    return next((d in ("R", "AL") for d in directions if d in ("L", "R", "AL")), False)


def draw_words(axes: Axes, lines: list[tuple[int, str]], words: Weighed | None) -> None:
    """Draw the lines of a transcript, each character with the salience of its token behind it."""
    backwards = is_right_to_left("".join(line for _, line in lines))
    font: dict[str, Any] = {
        "family": ["DejaVu Sans Mono", *rcParams["font.family"]],
        "fontsize": POINTS,
    }
    font |= {"va": "center", "ha": "right" if backwards else "left"}
    for number, (_, line) in enumerate(lines):
        edges = edges_of(line)
        for start, piece in pieces(line):  # each where it belongs: rounding adds up in a line
            axes.text(edges[start], STRIPES * number + MIDDLE, piece, **font)
    if words is not None:
        draw_band(axes, np.concatenate([band_of_line(*line, words) for line in lines]), COLUMNS)
        for number, (first, line) in enumerate(lines):
            stretch = np.clip(words.rationale or (0, 0), first, first + len(line)) - first
            draw_rationale(axes, edges_of(line)[stretch.astype(int)], STRIPES * number)
    axes.set(xlim=(COLUMNS, 0) if backwards else (0, COLUMNS), ylim=(STRIPES * len(lines), 0))
    axes.axis("off")


def pieces(line: str) -> list[tuple[int, str]]:
    """What is drawn as a whole: [(place in the line, word or wide character)]."""
    found: list[tuple[int, str]] = []
    blank, narrow = True, False
    for place, (character, columns) in enumerate(zip(line, np.diff(edges_of(line)), strict=True)):
        if character.isspace():
            blank = True
            continue
        if not blank and (columns == 0 or (columns == 1 and narrow)):
            found[-1] = found[-1][0], found[-1][1] + character
        else:
            found.append((place, character))
        blank, narrow = False, columns == 1 or (columns == 0 and narrow)
    return found


def band_of_line(first: int, line: str, words: Weighed) -> np.ndarray:
    """The band behind a line that starts at character `first`: (STRIPES, COLUMNS, 4)."""
    salience, says = np.full((2, COLUMNS), np.nan)
    edges = edges_of(line)
    for span, of_token, said in zip(words.spans, words.salience, words.says, strict=True):
        start, end = edges[np.clip(span - first, 0, len(line)).astype(int)]
        salience[start:end], says[start:end] = of_token, said
    return band(salience, says)


def draw_sound(axes: Axes, samples: np.ndarray, sound: Weighed | None) -> None:
    """Draw the waveform of int16 samples over the salience of its frames."""
    starts = np.arange(0, len(samples), max(1, len(samples) // 800))  # finer would not be seen
    scale = MIDDLE / max(1, np.abs(samples.astype(int)).max())
    low, high = (
        MIDDLE + scale * edge.reduceat(samples, starts) for edge in (np.minimum, np.maximum)
    )
    axes.fill_between(starts / RATE, low, high, color=INK, lw=0.3)
    if sound is not None:
        width = min(sound.spans[-1, 1], len(samples) / RATE)
        draw_band(axes, band(sound.salience, sound.says), width)
        draw_rationale(axes, sound.rationale or (0, 0), 0)
    axes.set(xlim=(0, len(samples) / RATE), ylim=(STRIPES - 1, -1))
    seconds = len(samples) / RATE
    axes.set(yticks=[], xticks=np.arange(0, seconds, max(1, round(seconds / 40))))
    axes.tick_params(labelsize=6, length=2, pad=1)
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.spines[:].set_visible(False)


def band(salience: np.ndarray, says: np.ndarray) -> np.ndarray:
    """Colours (STRIPES, n, 4) of n places; nothing where there is nan."""
    above, below = (
        colours(np.ma.masked_invalid(values))
        for colours, values in ((EVEN, salience / MOST), (SURE, says))
    )
    return np.stack([*[above] * (STRIPES - 2), below, np.zeros_like(below)])


def draw_band(axes: Axes, colours: np.ndarray, width: float) -> None:
    """Draw bands (stripes, n, 4) from the upper edge on, as wide as said."""
    extent = (0, width, len(colours), 0)
    axes.imshow(colours, extent=extent, aspect="auto", interpolation="nearest", zorder=0)


def draw_rationale(axes: Axes, stretch: Iterable[float], upper_edge: float) -> None:
    """Draw the line above a stretch of a band."""
    start, end = stretch
    if end > start:
        place = [upper_edge - 0.4] * 2
        axes.plot([start, end], place, color=INK, lw=1.5, solid_capstyle="butt", clip_on=False)


def keys(utterances: Sequence[Shown]) -> list[Artist]:
    """The entries of the legend: of what these utterances have."""
    sides = [side for _, _, *both, _ in utterances for side in both if side is not None]
    found: list[Artist] = [
        Patch(facecolor=EVEN(times / MOST), edgecolor=GREY, lw=0.4, label=label)
        for times, label in ((0, "salience 0"), (1, "even share"), (2, "2 ×"), (4, "4 × or more"))
    ]
    says = [
        Patch(facecolor=SURE(share), edgecolor=GREY, lw=0.4, label=label)
        for share, label in ((0.5, "says predicted class 50%"), (1.0, "100%"))
    ]
    line = Line2D([], [], color=INK, lw=1.5, label="rationale")
    if any(np.isfinite(side.says).any() for side in sides):
        found += says
    return [*found, line] if any(side.rationale for side in sides) else found


def read_predictions(
    paths: Iterable[Path], seconds: Mapping[str, float]
) -> tuple[pd.DataFrame, list[str]]:
    """The test predictions of all folds, as chosen() takes them, and the names of the classes."""
    table = tables.read_all(paths, "predictions")
    p = [column for column in table.columns if column.startswith("p_")]
    test = table[table["part"] == "test"]
    test = test.assign(confidence=test[p].max(axis=1), seconds=test["id"].map(seconds))
    return test, [name.removeprefix("p_") for name in p]


def scope_of(predictions: pd.DataFrame) -> str:
    """What the title says of the predictions that the utterances were chosen from."""
    first, right = predictions.iloc[0], predictions["true"] == predictions["predicted"]
    whence = f"of n = {len(predictions):,} test utterances {right.sum():,} are right"
    return f"{experiment(first)}; seed {first['seed']}; {whence}"


def by_id(files: Iterable[File]) -> dict[str, File]:
    """{id: file} of ragged files."""
    return {name: file for file in files for name in file.ids}


def read(files: Mapping[str, list[Path]]) -> tuple[pd.DataFrame, list[Shown], str]:
    """What draw() is given: the rows of the predictions to draw, what is shown of each, the scope.

    files: paths of the reference variant's predictions and salience with the first seed, and of all
    utterances, segments and rationales, by these names.
    """
    utterances = tables.read_all(files["utterances"], "utterances")
    texts = dict(zip(utterances["id"], utterances["text"], strict=True))
    audio = by_id(map(Ragged, files["segments"]))
    seconds = {name: len(file[name]) / RATE for name, file in audio.items()}
    rationales: dict[str, dict] = {"speech": {}, "text": {}}
    for path in files["rationales"]:
        rationales = read_rationales(path, texts, seconds)
    stored = [SalienceFile(path) for folder in files["salience"] for path in folder.glob("*.h5")]
    homes = [by_id(f for f in stored if f.modality == m) for m in ("text", "speech")]
    context = [file for file in stored if file.modality == "context"]
    spoken = {row["id"]: row for _, row in utterances.iterrows()} if context else {}
    around = by_id(context)
    predictions, classes = read_predictions(files["predictions"], seconds)
    rows = chosen(predictions, classes, set(rationales["speech"]) | set(rationales["text"]))
    shown = []
    for name in rows["id"]:
        sides = [weighed(home.get(name), name, rationales) for home in homes]
        turns = turns_of(around.get(name), name, spoken) if context else None
        shown.append((texts[name], audio[name][name], *sides, turns))
    return rows, shown, scope_of(predictions)
