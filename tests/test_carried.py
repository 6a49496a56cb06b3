"""Models on another corpus: which utterances, which classes, and what the table holds."""

import json

import numpy as np
import pandas as pd
import pytest

from labelmer.corpus import match
from labelmer.corpus.match import matched
from labelmer.models.metadata import as_inputs
from labelmer.report import cross_corpus, tabulate
from labelmer.scores.restriction import restricted

CLASSES = ["angry", "happy", "sad"]


def test_what_is_of_no_shared_class_is_left_out_by_name():
    row = {"session": "S", "dialogue": "d", "scenario": "", "speaker": "p"}
    table = pd.DataFrame([{**row, "id": n, "label": n} for n in ("angry", "afraid")])
    gone = pd.DataFrame([{"session": "S", "id": "x", "reason": "no label"}])
    test, left_out = matched(table, gone, ["angry", "sad"])
    assert test[["id", "part"]].values.tolist() == [["angry", "test"]]
    assert left_out[["fold", "id", "reason"]].values.tolist() == [
        ["all", "x", "no label"],
        ["all", "afraid", "class 'afraid' is not shared"],
    ]


@pytest.mark.parametrize("shared, refused", [(["angry", "sad"], False), (["angry", "happy"], True)])
def test_only_shared_classes_need_an_utterance(tmp_path, caplog, shared, refused):
    row = {"session": "S", "dialogue": "d", "scenario": "", "speaker": "p", "text": ""}
    said = pd.DataFrame([{**row, "id": n, "start_s": None, "end_s": None} for n in ("a", "s")])
    made = {
        "utterances": said,
        "labels": pd.DataFrame({"id": ["a", "s"], "code": ["ang", "sad"]}),
        "segments": said[["id"]].assign(seconds=1.0, source="f.wav", problem="", audio=""),
        "unread": pd.DataFrame(columns=["file", "line", "text", "reason"]),
    }
    made["labels"][["valence", "activation", "dominance", "agreement"]] = None
    made["labels"]["raters"] = 0
    words = []
    for name, table in made.items():
        (tmp_path / name).mkdir()
        path = tmp_path / name / ("S.unread.tsv" if name == "unread" else "S.tsv")
        match.tables.write(path, table, name)
        words += [f"--{name}", str(path)]
    classes = [["angry", ["ang"]], ["happy", ["hap"]], ["sad", ["sad"]]]
    words += ["--config", json.dumps({"classes": classes, "shared": shared})]
    out = tmp_path / "test.tsv"
    words += ["--test", str(out), "--left-out", str(tmp_path / "left_out.tsv")]
    if refused:
        with pytest.raises(SystemExit):
            match.main(words)
        assert "no utterance of the class 'happy', codes ['hap']" in caplog.text
    else:
        match.main(words)
        assert match.tables.read(out, "fold")["label"].tolist() == ["angry", "sad"]


def test_probabilities_are_given_that_it_is_one_of_the_shared_classes():
    p = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        restricted(p, CLASSES, ["sad", "angry"]), [[0.6, 0.4], [0.5, 0.5]], atol=1e-9
    )


def test_however_small_the_shared_classes_are_their_proportions_stay():
    p = np.array([[3e-20, 1.0, 1e-20], [1e-14, 1.0, 3e-14]])
    np.testing.assert_allclose(
        restricted(p, CLASSES, ["angry", "sad"]), [[0.75, 0.25], [0.25, 0.75]]
    )


def test_metadata_that_a_model_does_not_know_is_zero_everywhere():
    known = pd.DataFrame(
        {"scenario": ["s1", "s 2", "new"], "quarter": ["1", "", "4"], "seconds": [1.0, 0.0, 3.0]}
    )
    made = as_inputs(known, ["scenario s 2", "scenario s1", "quarter 4", "seconds"])
    np.testing.assert_allclose(made, [[0, 1, 0, np.log(2)], [1, 0, 0, 0], [0, 0, 1, np.log(4)]])


def predictions(path, fold, classes, rows):
    """A file of predictions. rows: (id, speaker, part, true, *probabilities)."""
    run = {"speech": "s", "text": "t", "mode": "frozen", "variant": "full", "fold": fold, "seed": 1}
    names = ["id", "speaker", "part", "true", *(f"p_{name}" for name in classes)]
    frame = pd.DataFrame(rows, columns=names).assign(session="S", dialogue="d", **run)
    p = frame[names[4:]].to_numpy()
    frame["predicted"] = [classes[i] for i in p.argmax(1)]
    cross_corpus.tables.write(path, frame, "predictions")
    return path


@pytest.fixture
def table(tmp_path):
    """The table "cross_corpus" of two folds; `happy` is no class of the other corpus."""
    own = [
        predictions(
            tmp_path / f"own{fold}.tsv",
            fold,
            CLASSES,
            [
                (f"v{fold}", "a", "validation", "angry", 0.7, 0.2, 0.1),
                (f"w{fold}", "a", "validation", "sad", 0.6, 0.1, 0.3),
                (f"t{fold}", f"b{fold}", "test", "angry", 0.4, 0.5, 0.1),  # of two: angry
                (f"u{fold}", f"b{fold}", "test", "happy", 0.1, 0.8, 0.1),
                (f"x{fold}", f"b{fold}", "test", "sad", 0.5, 0.4, 0.1),
            ],
        )
        for fold in (1, 2)
    ]
    right = {1: (0.9, 0.1), 2: (0.4, 0.6)}  # of the angry one, which fold 2 takes for sad
    there = [
        predictions(
            tmp_path / f"there{fold}.tsv",
            fold,
            ["angry", "sad"],
            [
                ("1", "k", "test", "angry", *right[fold]),
                ("2", "k", "test", "sad", 0.2, 0.8),
                ("3", "l", "test", "sad", 0.2, 0.8),
            ],
        )
        for fold in (1, 2)
    ]
    config = {
        "protocol": "2 folds",
        "selection": "the best",
        "classes": CLASSES,
        "trained_on": "mine",
        "others": {"theirs": {"shared": ["angry", "sad"], "classes": ["sad", "angry", "afraid"]}},
    }
    return cross_corpus.cross_corpus_table(own, {"theirs": there}, [1, 2], config)


def test_each_model_is_scored_by_itself_and_the_own_corpus_on_the_same_classes(table):
    own, there = table.set_index("tested_on").loc[["mine", "theirs"]].to_dict("records")
    assert there["wa"] == pytest.approx((1 + 2 / 3) / 2)
    assert there["ua"] == pytest.approx((1 + 1 / 2) / 2)
    assert there["chance"] == 0.5 and there["largest"] == pytest.approx(2 / 3)
    assert there["utterances"] == 3 and there["speakers"] == 2
    assert there["confidence"] == pytest.approx((0.9 + 0.6 + 4 * 0.8) / 6)
    # Bins: 0.9, right; 0.8, right; and of fold 2 0.6, wrong.
    assert there["ece"] == pytest.approx(np.mean([(0.1 + 0.4) / 3, (0.6 + 0.4) / 3]))
    assert own["utterances"] == 4 and own["speakers"] == 2 and own["ua"] == own["wa"] == 0.5
    assert own["confidence"] == pytest.approx((0.8 + 5 / 6) / 2)
    for row in (own, there):
        assert row["classes"] == "angry, sad"
        assert row["not_tested"] == "happy" and row["not_trained"] == "afraid"
        assert row["folds"] == 2 and row["ua_low"] <= row["ua"] <= row["ua_high"]
    assert own["protocol"] == "2 folds" and "every utterance of theirs" in there["protocol"]


def test_tables_of_several_studies_are_printed_corpora_by_corpora(tmp_path, table, capsys):
    back = {"mine": "theirs", "theirs": "mine"}
    names = {name: table[name].replace(back) for name in ("trained_on", "other", "tested_on")}
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    cross_corpus.columns.write(paths[0], table.assign(ua=[0.75, 0.5]), "cross_corpus")
    cross_corpus.columns.write(paths[1], table.assign(**names, ua=[0.9, 0.25]), "cross_corpus")
    cross_corpus.main(["--show", *map(str, paths)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mine", "50.0", "(75.0)", "–"] in lines
    assert ["theirs", "–", "25.0", "(90.0)"] in lines


def test_a_table_of_other_corpora_has_a_command_of_its_own(tmp_path, table, said):
    path = tmp_path / "cross_corpus.tsv"
    cross_corpus.columns.write(path, table, "cross_corpus")
    assert f"labelmer cross_corpus --show {path}" in said(tabulate.main, "--show", path)


def test_a_missing_run_is_named(tmp_path, table):
    config = {"protocol": "", "selection": "", "classes": CLASSES, "trained_on": "mine"}
    config["others"] = {"theirs": {"shared": ["angry", "sad"], "classes": ["angry", "sad"]}}
    own = [tmp_path / "own1.tsv", tmp_path / "own2.tsv"]
    there = {"theirs": [tmp_path / "there1.tsv"]}
    named = r"missing: s\+t, frozen, full, fold 2, seed 1"
    with pytest.raises(cross_corpus.InputError, match=named):
        cross_corpus.cross_corpus_table(own, there, [1, 2], config)
