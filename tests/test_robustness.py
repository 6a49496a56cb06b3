"""What disturbed inputs cost, on the grid of test_reports, small enough to compute by hand."""

import numpy as np
import pytest
from test_reports import (
    ODD,
    SAID,
    TRUE,
    perturbed,
    read,
    run_tabulate,
    write_perturbed,
    write_predictions,
    write_splits,
)

from labelmer.base import tables
from labelmer.base.digest import content_key
from labelmer.report.missing import places


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A results folder with the tables of the stage."""
    root = tmp_path_factory.mktemp("results")
    write_splits(root / "splits")
    run_tabulate(write_predictions(root), root)
    return root


def test_robustness_by_hand(root):
    full = read(root, "robustness", variant="full").set_index("condition")
    assert list(full.index) == ["all", "speech missing", "text missing", "transcripts"]
    # Seeds: undisturbed (4/4 + 1/2) / 2 and (3/4 + 2/2) / 2; all sad and all angry else.
    assert list(full["ua"]) == pytest.approx([13 / 16, 1 / 2, 13 / 16, 1 / 2])
    assert list(full["wa"]) == pytest.approx([5 / 6, 2 / 6, 5 / 6, 4 / 6])
    assert list(full["difference"]) == pytest.approx([0, -5 / 16, 0, -5 / 16])
    assert list(read(root, "robustness", variant=ODD)["condition"]) == ["all"]


def test_where_nothing_changes_nothing_is_said_of_other_speakers(root):
    same = read(root, "robustness", variant="full", condition="text missing").iloc[0]
    assert same["ua_low"] < same["ua"] < same["ua_high"]
    assert same["difference"] == 0
    assert same[["difference_low", "difference_high"]].isna().all()


def test_missing_rates_by_hand(root):
    rows = read(root, "missing_rates")
    assert set(rows["variant"]) == {"full"}  # the other one has one modality
    assert list(rows["missing"].unique()) == ["speech", "text", "either"]
    shares = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert all(list(curve["share"]) == shares for _, curve in rows.groupby("missing"))
    # Drawn from the ids alone: the order in which utterances lose something.
    ids = [f"f{fold}u{i}" for fold, true in TRUE.items() for i in range(len(true))]
    order = sorted(ids, key=lambda name: content_key(name, "missing"))
    true = dict(zip(ids, (label for of_fold in TRUE.values() for label in of_fold), strict=True))
    for _, row in rows.iterrows():
        lacking = order[: round(row["share"] * 6)]
        ua = []
        for seed in (1, 2):
            of_seed = (SAID["full", fold, seed] for fold in TRUE)
            said = dict(zip(ids, (label for of_fold in of_seed for label in of_fold), strict=True))
            for place, name in enumerate(lacking):  # without speech all is sad, without text as is
                if row["missing"] == "speech" or (row["missing"] == "either" and place % 2 == 0):
                    said[name] = "sad"
            recalls = [[said[i] == c for i in ids if true[i] == c] for c in ("angry", "sad")]
            ua.append(sum(sum(r) / len(r) for r in recalls) / 2)
        assert row["ua"] == pytest.approx(sum(ua) / 2)
        assert row["difference"] == pytest.approx(sum(ua) / 2 - 13 / 16)
    speech = rows[rows["missing"] == "speech"].set_index("share")["ua"]
    assert speech[0.7] < speech[0] == 13 / 16


def test_who_lacks_a_modality_is_drawn_from_ids_alone():
    ids = np.array([f"u{i}" for i in range(500)])
    drawn = places(ids)
    assert sorted(drawn) == list(range(500)) != list(drawn)
    assert list(places(ids[::-1])) == list(drawn[::-1])


def test_deletion_by_hand(root):
    full = read(root, "deletion", variant="full")
    assert list(zip(full["order"], full["share"], strict=True)) == [
        ("most-salient", 0),
        ("most-salient", 0.5),
        ("random", 0),
        ("random", 0.5),
    ]
    assert set(full["modality"]) == {"text"}
    # The most salient deleted, the other class is named; what was named keeps 1/4.
    assert list(full["ua"]) == pytest.approx([13 / 16, 3 / 16, 13 / 16, 13 / 16])
    assert list(full["confidence"]) == pytest.approx([1, 1 / 4, 1, 3 / 4])
    assert full["confidence_high"].isna().all()  # the same of every speaker


def test_deletion_is_held_against_random_deletion(root):
    full = read(root, "deletion", variant="full").set_index(["order", "share"])
    row = full.loc[("most-salient", 0.5)]
    assert row["against_random"] == pytest.approx(10 / 16)
    assert row["against_random_low"] <= 10 / 16 <= row["against_random_high"]
    assert row["confidence_against_random"] == pytest.approx(1 / 2)
    untold = [f"confidence_against_random_{end}" for end in ("low", "high", "p", "p_holm")]
    assert row[untold].isna().all()  # the same of every speaker
    odd = read(root, "deletion", variant=ODD).set_index(["order", "share"])
    assert odd.loc[("most-salient", 0.5), "confidence_against_random"] == pytest.approx(-1 / 2)
    # Two rows are compared, and corrected together.
    p = sorted([row["against_random_p"], odd.loc[("most-salient", 0.5), "against_random_p"]])
    assert row["against_random_p_holm"] == pytest.approx(
        min(1, 2 * p[0]) if row["against_random_p"] == p[0] else max(min(1, 2 * p[0]), p[1])
    )
    other_rows = full.drop(index=("most-salient", 0.5)).filter(like="against_random")
    assert other_rows.isna().all(axis=None)


@pytest.mark.filterwarnings("error")
def test_without_deletions_the_table_is_empty(tmp_path):
    write_splits(tmp_path / "splits")
    runs = [run for run in SAID if run[0] == "full"]
    paths = write_perturbed(tmp_path, runs)
    for path in paths:
        table = tables.read(path, "perturbed")
        tables.write(path, table[table["change"] == "missing"], "perturbed")
    run_tabulate(write_predictions(tmp_path, runs), tmp_path, changed=paths)
    assert len(read(tmp_path, "deletion")) == 0
    assert len(read(tmp_path, "robustness")) == 3


def refused(tmp_path, caplog, change):
    """The message with which the stage refuses these runs when the first file is changed."""
    write_splits(tmp_path / "splits")
    paths = write_perturbed(tmp_path, SAID)
    tables.write(paths[0], change(perturbed("full", 1, 1)), "perturbed")
    with pytest.raises(SystemExit):
        run_tabulate(write_predictions(tmp_path), tmp_path, changed=paths)
    assert not (tmp_path / "reports").exists()
    return caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.drop(index=0),
            ["full, fold 1, seed 1", "speech is changed (missing, share 1)", "id 'f1u0'"],
        ),
        (lambda t: t.assign(true="sad"), ["full, fold 1, seed 1", "id 'f1u0'"]),
        (lambda t: t.assign(seed=2), ["full, fold 1, seed", "id 'f1u0'"]),
        (
            lambda t: t[t["change"] != "random"],
            ["full, fold 1, seed 1", "text is changed (random, share 0.5)"],
        ),
        (lambda t: t.assign(predicted="glad"), ["perturbed0.tsv", "predicted is 'glad'"]),
    ],
)
def test_disturbed_predictions_that_do_not_fit_are_refused(tmp_path, caplog, change, words):
    message = refused(tmp_path, caplog, change)
    assert all(word in message for word in words)


def test_a_variant_without_disturbed_predictions_is_named(tmp_path, caplog):
    write_splits(tmp_path / "splits")
    paths = write_perturbed(tmp_path, [run for run in SAID if run[0] == ODD])
    with pytest.raises(SystemExit):
        run_tabulate(write_predictions(tmp_path), tmp_path, changed=paths)
    assert "fbank+minilm, frozen, full: " in caplog.text
    assert not (tmp_path / "reports").exists()
