"""Figures of names and words that matplotlib, XML or the font would take for something else."""

import html
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from labelmer.figures import (
    calibration,
    confusion,
    deletion,
    examples,
    folds,
    missing_rates,
    pairs,
    robustness,
    salience,
    slices,
    style,
    training,
)
from labelmer.figures.turns import Turn

STRANGE = {  # id: its words
    "rec_$1_$2^": "what the f$#$ is this",
    "it $costs$": "it costs $5-$6 now, $\\frac{1}{2}$ of it",
    "_%s {x} <b> & \\begin": '_a ^b 100% {x} <b> & "q" \\begin C:\\new --> -- ]]>',
    "说话人": "我很高兴见到你 really 고마워요 ありがとう " * 3,
    "متكلم": "أنا سعيد جدا برؤيتك اليوم يا صديقي " * 5,
    "emoji 😀": "so 😀 happy 👩‍👩‍👧 🇩🇪 e\u0301 \u0007bell \u200b\ufeff tab\there\nand below",
    "long " + "x" * 200: "y" * 300 + " z",
    "empty": "",
}
NAMES = [*STRANGE, "nan", "_hidden"]
DESIGN = {"folds": 2, "seeds": 1, "utterances": 40, "speakers": 4}
ENCODERS = {"speech": "fb$a$nk_", "text": "<mini & $lm^>", "mode": "frozen"}


def written(draw, stem):
    """The texts of a figure, which are written into its SVG as comments, and its pixels."""
    style.save(draw, stem)
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    svg = ElementTree.parse(stem.with_name(f"{stem.name}.svg"), parser)  # it is XML
    texts = [html.unescape(c.text).strip() for c in svg.iter(ElementTree.Comment)]
    return texts, imread(stem.with_name(f"{stem.name}.png"))[..., :3]


def weighed(text):
    """A Weighed whose tokens are the single characters."""
    places = np.arange(max(1, len(text)))
    return examples.Weighed(
        np.stack([places, places + 1], axis=1), places % 5, places % 2, (0, min(4, len(text)))
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_words_and_ids_are_drawn_as_they_are(tmp_path, caplog):
    rows = pd.DataFrame({"id": list(STRANGE), "confidence": 0.5})
    rows = rows.assign(true=NAMES[: len(rows)], predicted="$x$", variant="$full_$", **ENCODERS)
    samples = np.arange(-8000, 8000).astype(np.int16)
    shown = [
        (text, samples, weighed(text), weighed("ab"), [Turn(-1, True, text, 0.7)])
        for text in STRANGE.values()
    ]
    scope = style.experiment(ENCODERS)
    texts, pixels = written(lambda: examples.draw((rows, shown, scope)), tmp_path / "examples")
    assert {"f$#$", "$5-$6", "$\\frac{1}{2}$", "^b", "{x}", "<b>", "100%"} <= set(texts)
    assert any(text.startswith("rec_$1_$2^: rec_$1_$2^, predicted $x$") for text in texts)
    assert any("$full_$" in text for text in texts)
    assert 0.01 < (pixels < 0.99).any(axis=2).mean() < 0.95
    assert len([r for r in caplog.records if "no installed font has" in r.message]) <= 1


@pytest.mark.parametrize("text", STRANGE.values())
def test_lines_hold_all_characters_in_their_columns(text):
    lines = examples.lines_of(text)
    assert all(text[at : at + len(line)] == line for at, line in lines)
    assert "".join("".join(line.split()) for _, line in lines) == "".join(text.split())
    for _, line in lines:
        edges = examples.edges_of(line)
        assert edges[-1] <= examples.COLUMNS
        drawn = examples.pieces(line)
        assert "".join(piece for _, piece in drawn) == "".join(line.split())
        assert all(line.startswith(piece, place) for place, piece in drawn)


def test_wide_characters_take_two_columns_and_marks_none():
    assert list(examples.edges_of("a你e\u0301")) == [0, 1, 3, 4, 4]
    assert examples.pieces("ab 你好c") == [(0, "ab"), (3, "你"), (4, "好"), (5, "c")]


def test_a_text_that_is_read_from_right_to_left_is_known():
    assert examples.is_right_to_left("123 שלום abc") and examples.is_right_to_left("أنا")
    assert not any(map(examples.is_right_to_left, ("abc שלום", "", "123 $")))


def tables_of_names(names):
    """Tables as plot draws them, in which all names are variants, classes and slices."""
    rows = pd.DataFrame({"variant": names, **ENCODERS, **DESIGN})
    share = np.linspace(0.3, 0.8, len(names))
    bounds = {
        f"{m}_{end}": share + d for m in ("ua", "wa") for end, d in (("low", 0), ("high", 0.1))
    }
    compared = rows.assign(
        other=names[0], difference=share - 0.5, low=share - 0.6, high=share - 0.4
    )
    cells = pd.MultiIndex.from_product([names, names], names=["true", "predicted"])
    counted = pd.DataFrame({"share": 1 / len(names), "count": 2.0}, index=cells)
    sliced = rows.merge(pd.DataFrame({"slice": names}), how="cross")
    epochs = pd.DataFrame({"epoch": [1, 2], "train_loss": 1.0, "validation_loss": 1.0})
    epochs = epochs.assign(validation_ua=0.5, chosen=[0, 1], run=0)
    deleted = pd.DataFrame({"share": [0, 0.5], "ua": 0.5, "ua_low": 0.4, "ua_high": 0.6})
    deleted = deleted.assign(modality="text", order="most-salient")
    bins = pd.DataFrame({"scaling": ["none", "temperature"], "bin": 1, "up_to": 1.0, "count": 9})
    bins = bins.assign(confidence=0.8, accuracy=0.7, ece=0.1)
    return {
        confusion.draw: counted.reset_index().assign(variant=names[0], **ENCODERS, **DESIGN),
        folds.draw: rows.assign(fold=1, ua=share, inputs="speech"),
        pairs.draw: compared.assign(detectable=np.nan, p_jackknife_holm=0.01),
        slices.draw: sliced.assign(
            slicing="class",
            above_s=np.nan,
            up_to_s=np.nan,
            ua=0.5,
            difference=0.1,
            difference_low=np.nan,
            difference_high=np.nan,
        ),
        calibration.draw: rows.merge(bins, how="cross"),
        robustness.draw: rows.assign(condition="all", ua=share, **bounds),
        deletion.draw: rows.merge(deleted, how="cross"),
        missing_rates.draw: rows.merge(deleted.assign(missing="either"), how="cross"),
        salience.draw: rows.assign(
            measure="salience",
            modality="text",
            share=share,
            low=share,
            high=share + 0.1,
            uniform=0.2,
            ratio=2.0,
        ),
        training.draw: rows.merge(epochs, how="cross"),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", range(10))
def test_every_figure_draws_names_as_they_are(tmp_path, kind):
    draw, rows = list(tables_of_names(NAMES).items())[kind]
    texts, pixels = written(lambda: draw(rows), tmp_path / "figure")
    shown = " ".join(texts)
    for name in NAMES:
        assert style.brief(name, style.PANEL) in shown or style.brief(name) in shown
    assert "fb$a$nk_ + <mini & $lm^>, frozen" in " ".join(shown.split())
    assert 0.005 < (pixels < 0.99).any(axis=2).mean() < 0.95


def test_a_long_name_lacks_its_middle():
    assert style.brief("abcdefghij", 7) == "abcd…ij"
    assert style.brief("abcdefg", 7) == "abcdefg"


@pytest.mark.slow
@pytest.mark.parametrize("length", [8, 40])
def test_a_confusion_matrix_of_many_classes_stays_small(tmp_path, length):
    names = [f"{i:02d}" + "c" * (length - 2) for i in range(60)]
    rows = tables_of_names(names)[confusion.draw]
    texts, pixels = written(lambda: confusion.draw(rows), tmp_path / "figure")
    assert max(pixels.shape) < 4000  # 12 million pixels; it were 90 with a number in each cell
    assert {style.brief(name) for name in names} <= set(texts)


def test_the_lowest_fold_stands_within_the_frame():
    # Of "same" all folds are equal, and lower than all others: dots and line lie on one number.
    rows = pd.DataFrame(
        [
            {**ENCODERS, **DESIGN, "variant": variant, "fold": fold, "ua": ua, "inputs": inputs}
            for variant, (inputs, *values) in {
                "same": ("speech", 0.375, 0.375),
                "other": ("scenario, role", 0.4, 0.5),
            }.items()
            for fold, ua in enumerate(values, start=1)
        ]
    )
    axes = folds.draw(rows).axes[0]
    left, right = axes.get_xlim()
    assert left < 37.5 - 0.4 and right > 50 + 0.4
    # What metadata alone can guess is a line through all rows.
    [line] = [x for x in axes.lines if x.get_linestyle() == "--"]
    assert line.get_xdata() == [45, 45]
