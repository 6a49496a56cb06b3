"""Accuracy on slices of the test utterances, on six utterances that are worked out by hand."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy import stats

from labelmer.base.errors import InputError
from labelmer.figures import plot
from labelmer.report import columns, runs, slices
from labelmer.report.text import slice_text

CLASSES = ["angry", "sad"]
CONFIG = {"protocol": "one session held out", "selection": "best epoch", "classes": CLASSES}
ENCODERS = {"speech": "fbank", "text": "minilm", "mode": "frozen"}
UTTERANCES = pd.DataFrame(
    [
        ("Ses01F_impro01_F000", 1, "Ses01F", "angry", 1.0),
        ("Ses01F_impro01_M000", 1, "Ses01M", "sad", 2.0),
        ("Ses01F_script01_1_F000", 1, "Ses01F", "angry", 3.0),
        ("Ses02F_clash01_M001", 2, "Ses02M", "sad", 6.0),
        ("Ses02F_impro01_F000", 2, "Ses02F", "angry", 4.0),
        ("Ses02F_script01_1_M000", 2, "Ses02M", "sad", 5.0),
    ],
    columns=["id", "fold", "speaker", "true", "seconds"],
)
# What each variant says by seed, a letter to an utterance.
SAID = {
    "text-only": {1: "aaaaaa", 2: "aaaaaa"},
    "full": {1: "asaaas", 2: "ssasas"},  # the votes: asaaas, a tie goes to the first class
    "speech-only": {1: "asssaa", 2: "asssaa"},
}


def predictions(variant, fold, seed, utterances=UTTERANCES):
    """One run's table; a class that is predicted is sure."""
    named = {"a": "angry", "s": "sad"}
    said = utterances.assign(predicted=[named[letter] for letter in SAID[variant][seed]])
    table = said.loc[said["fold"] == fold, ["id", "fold", "speaker", "true", "predicted"]]
    for name in CLASSES:
        table[f"p_{name}"] = (table["predicted"] == name).astype(float)
    table = table.assign(session=f"Session{fold}", dialogue="d", part="test")
    return table.assign(**ENCODERS, variant=variant, seed=str(seed))


def run_slices(folder, variants=tuple(SAID), utterances=UTTERANCES, texts=("minilm",)):
    """The table "slices" of these variants, utterances and text encoders, as slices.tsv has it."""
    told = [
        predictions(variant, fold, seed, utterances).assign(text=text)
        for text, variant, fold in itertools.product(texts, variants, (1, 2))
        for seed in SAID[variant]
    ]
    seconds = utterances.set_index("id")["seconds"]
    table = slices.slice_table(runs.grid(told, [1, 2]), seconds, CONFIG)
    columns.write(folder / "slices.tsv", table, "slices")
    return columns.read(folder / "slices.tsv", "slices")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return run_slices(tmp_path_factory.mktemp("slices"))


def row(table, slicing, name, variant):
    of_slice = table[(table["slicing"] == slicing) & (table["slice"] == name)]
    return of_slice.set_index("variant").loc[variant]


def test_slices_stand_in_order_with_the_reference_first(table):
    named = table[["slicing", "slice"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(named) == [
        *(("class", name) for name in CLASSES),
        *(("length", name) for name in ("short", "middle", "long")),
        *(("kind", name) for name in ("clash", "improvised", "scripted")),
        *(("alone", name) for name in ("agree", "disagree")),
    ]
    assert list(table["variant"]) == ["full", "text-only", "speech-only"] * 10


@pytest.mark.parametrize(
    ("slicing", "name", "utterances", "speakers", "full", "text", "speech"),
    [
        ("class", "angry", 3, 2, (1 + 2 / 3) / 2, 1, 2 / 3),
        ("class", "sad", 3, 2, (2 / 3 + 1) / 2, 0, 2 / 3),
        ("length", "short", 2, 2, (1 + 1 / 2) / 2, 1 / 2, 1),
        ("length", "middle", 2, 2, 1, 1, 1 / 2),
        ("length", "long", 2, 1, (1 / 2 + 1) / 2, 0, 1 / 2),
        ("kind", "improvised", 3, 3, (1 + 3 / 4) / 2, 1 / 2, 1),
        ("kind", "clash", 1, 1, 1 / 2, 0, 1),
        ("alone", "agree", 3, 3, (1 + 3 / 4) / 2, 1 / 2, 1 / 2),
        ("alone", "disagree", 3, 3, (3 / 4 + 1) / 2, 1 / 2, 1 / 2),
    ],
)
def test_accuracy_by_hand(table, slicing, name, utterances, speakers, full, text, speech):
    found = [row(table, slicing, name, v) for v in ("full", "text-only", "speech-only")]
    assert {(r["utterances"], r["speakers"]) for r in found} == {(utterances, speakers)}
    assert [r["ua"] for r in found] == pytest.approx([full, text, speech])
    assert [r["difference"] for r in found[1:]] == pytest.approx([text - full, speech - full])


def test_a_row_states_its_wa_and_where_it_comes_from(table):
    full = row(table, "alone", "agree", "full")
    assert full["wa"] == pytest.approx((1 + 2 / 3) / 2)
    assert (full["folds"], full["seeds"]) == (2, 2)
    assert (full["protocol"], full["selection"]) == (CONFIG["protocol"], CONFIG["selection"])


def test_thirds_by_length_state_their_bounds(table):
    lengths = table[table["slicing"] == "length"].drop_duplicates("slice").set_index("slice")
    cuts = 1 + 5 / 3, 1 + 10 / 3  # of the seconds 1 to 6
    assert list(lengths["up_to_s"])[:2] == pytest.approx(cuts)
    assert list(lengths["above_s"])[1:] == pytest.approx(cuts)
    others = table[table["slicing"] != "length"]
    assert others[["above_s", "up_to_s"]].isna().all(axis=None)
    assert pd.isna(lengths.loc["short", "above_s"]) and pd.isna(lengths.loc["long", "up_to_s"])


def test_the_reference_is_compared_with_none(table):
    full = table[table["variant"] == "full"]
    assert set(full["other"]) == {""} and set(table["other"]) == {"", "full"}
    numbers = ["difference", "difference_low", "difference_high", "right_alone", "p_mcnemar"]
    assert full[numbers].isna().all(axis=None)
    assert full[["p_jackknife", "p_jackknife_holm", "detectable"]].isna().all(axis=None)


def test_an_interval_by_hand(table):
    # Without one or the other of two speakers full has UA 1 and 1/2, text-only 0 and 1: a class
    # that is then not there is left out of the mean. t is 12.7.
    text = row(table, "length", "short", "text-only")
    assert (text["difference_low"], text["difference_high"]) == (-1, 1)
    test = stats.ttest_rel([0, 1], [1, 1 / 2])
    assert text["p_jackknife"] == pytest.approx(test.pvalue)
    assert 0 <= text["low"] < text["ua"] < text["high"] <= 1


def test_votes_of_the_seeds_are_tested_within_a_slice(table):
    columns = ["right_alone", "other_right_alone", "p_mcnemar"]
    assert list(row(table, "alone", "disagree", "speech-only")[columns]) == [1, 1, 1]
    assert list(row(table, "class", "sad", "text-only")[columns]) == [0, 2, 0.5]


def test_a_slice_of_one_speaker_has_no_interval(table):
    speech = row(table, "kind", "clash", "speech-only")
    assert speech[["low", "high", "difference_low", "p_jackknife", "detectable"]].isna().all()
    assert (speech["difference"], speech["p_mcnemar"]) == (0.5, 1)


def test_holm_counts_the_rows_with_a_p_of_all_experiments(table, tmp_path):
    both = run_slices(tmp_path, texts=("minilm", "bert"))
    for found in (table, both):
        p = found["p_jackknife"].dropna()
        least = found["p_jackknife_holm"].min()
        assert least == pytest.approx(min(1, p.min() * len(p)))
    assert both["p_jackknife"].count() == 2 * table["p_jackknife"].count() > 0
    np.testing.assert_array_equal(both["ua"][: len(table)], both["ua"][len(table) :])


def test_what_a_corpus_or_an_experiment_does_not_tell_has_no_rows(tmp_path):
    plain = UTTERANCES.assign(id=list("uvwxyz"), seconds=1.5)
    table = run_slices(tmp_path, ("text-only", "full"), plain)
    assert set(table["slicing"]) == {"class"}
    assert list(table["variant"]) == ["full", "text-only"] * 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Ses01F_impro01_F000", "improvised"),
        ("Ses05M_script02_1b_M013", "scripted"),
        ("Ses03M_long01_F002", "long"),
        ("a_impro01_F000", None),
    ],
)
def test_ids_of_iemocap_tell_the_kind_of_dialogue(name, kind):
    assert slices.kind_of(name) == kind


def test_an_utterance_without_seconds_is_named(tmp_path):
    seconds = [1.0, 2.0, None, 4.0, 5.0, 6.0]
    with pytest.raises(InputError, match="id 'Ses01F_script01_1_F000' has no seconds in any table"):
        run_slices(tmp_path, utterances=UTTERANCES.assign(seconds=seconds))


@pytest.mark.parametrize(
    ("above", "up_to", "text"),
    [
        (np.nan, np.nan, "short"),
        (np.nan, 2.21, "short, up to 2.2 s"),
        (2.21, 2.78, "short, 2.2 to 2.8 s"),
        (2.78, np.nan, "short, above 2.8 s"),
    ],
)
def test_a_slice_is_named_with_its_bounds(above, up_to, text):
    row = SimpleNamespace(slice="short", above_s=above, up_to_s=up_to)
    assert slice_text(row) == text


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("variants", [tuple(SAID), ("full",)])
def test_the_figure_is_the_same_each_time_and_not_blank(tmp_path, variants):
    run_slices(tmp_path, variants)
    for name in ("once", "again"):
        files = [str(tmp_path / "slices.tsv"), str(tmp_path / name)]
        plot.main(["slices", *files, *(f"--{k}={v}" for k, v in ENCODERS.items())])
    pixels = imread(tmp_path / "once.png")[..., :3]
    assert 0.01 < (pixels < 0.99).any(axis=2).mean() < 0.95
    for kind in ("png", "svg"):
        once, again = (tmp_path / f"{name}.{kind}" for name in ("once", "again"))
        assert once.read_bytes() == again.read_bytes()
