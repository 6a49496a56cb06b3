"""The turns around an utterance: which they are, what is heard of them, what a model makes of them.

IEMOCAP's size in test_half_of_the_label is 10,039 turns in 151 dialogues, 5,531 of them labelled,
in 5 sessions.
"""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from test_batches import write_features
from test_train import QUICK, SMALL

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.learning.context import NOBODY, OTHER, SAME, held_out, pooled, turns_around
from labelmer.models import architectures, evaluate, train

torch.set_num_threads(1)
RUN = ["made-speech", "made-text", "frozen", "context", "1", "1"]


def talk(*turns, dialogue="d"):
    """Rows of the table "utterances": of each turn id, speaker, start and end."""
    frame = pd.DataFrame(turns, columns=["id", "speaker", "start_s", "end_s"])
    return frame.assign(session="s0", dialogue=dialogue, text="said")


def near(utterances, name, count=3, **others):
    """The turns around one utterance: [(id, who)], nearest first."""
    names, who = turns_around(utterances, [name], count, **{"after": False, **others})
    return [(turn, int(w)) for turn, w in zip(names[0], who[0], strict=True) if turn]


def test_the_last_turns_that_had_ended():
    table = talk(("a", "F", 0, 1), ("b", "M", 1, 2), ("c", "F", 2, 3), ("d", "M", 3, 4))
    assert near(table, "d", 2) == [("c", OTHER), ("b", SAME)]
    assert near(table.sample(frac=1, random_state=1), "d", 2) == [("c", OTHER), ("b", SAME)]
    assert near(table, "b", 2) == [("a", OTHER)]
    assert near(table, "a") == []


def test_turns_that_overlap_are_not_around():
    table = talk(("a", "F", 0, 2.5), ("b", "M", 1, 2), ("c", "M", 2, 4), ("d", "F", 3.5, 5))
    assert near(table, "c") == [("b", SAME)]
    assert near(table, "c", after=True) == [("b", SAME)]
    assert near(table, "b", after=True) == [("c", SAME), ("d", OTHER)]


def test_as_many_later_turns_have_places_behind():
    table = talk(("a", "F", 0, 1), ("b", "M", 1, 2), ("c", "F", 2, 3), ("d", "M", 3, 4))
    names, who = turns_around(table, ["b"], 2, after=True)
    assert names.tolist() == [["a", "", "c", "d"]]
    assert who.tolist() == [[OTHER, NOBODY, OTHER, SAME]]


def test_other_dialogues_and_turns_without_times_are_not_around():
    there = talk(("a", "F", 0, 1), ("b", "M", np.nan, np.nan), ("c", "F", 2, 3))
    table = pd.concat([there, talk(("x", "F", 0, 1), dialogue="e")])
    assert near(table, "c") == [("a", SAME)]
    assert near(table, "b") == []


def test_dialogues_of_one_name_in_two_sessions_are_two():
    there, elsewhere = talk(("a", "F", 0, 1), ("b", "M", 2, 3)), talk(("c", "F", 1, 2))
    assert near(pd.concat([there, elsewhere.assign(session="s1")]), "b") == [("a", OTHER)]


def test_an_utterance_that_no_table_has():
    with pytest.raises(InputError, match=r"id 'z' .* expected those of all sessions of the fold"):
        turns_around(talk(("a", "F", 0, 1)), ["a", "z"], 2, after=False)


def test_before_the_test_nobody_hears_whom_it_holds_out():
    table = talk(("a", "F", 0, 1), ("b", "M", 1, 2), ("c", "F", 2, 3), ("d", "M", 3, 4))
    fold = pd.DataFrame({"id": ["a", "d"], "speaker": ["F", "M"], "part": ["test", "validation"]})
    assert held_out(table, fold) == {"a", "c"}  # c has no label, and is spoken by F
    trains_too = pd.concat([fold, fold[:1].assign(id="e", part="train")])
    assert held_out(table, trains_too) == {"a"}
    assert near(table, "d", unheard={"a", "c"}) == [("b", SAME)]


def test_a_turn_is_the_mean_of_its_rows(tmp_path):
    items = {name: np.arange(6.0).reshape(3, 2) + place for place, name in enumerate("abc")}
    path = write_features(tmp_path / "f.h5", items)
    names = np.array([["a", "b"], ["", ""], ["c", "no audio"]], dtype=object)
    who = np.array([[SAME, OTHER], [NOBODY, NOBODY], [SAME, SAME]])
    values, said = pooled(names, who, [path]).batch(np.array([2, 0, 1]))
    assert values.tolist() == [[[4, 5], [0, 0]], [[2, 3], [3, 4]], [[0, 0], [0, 0]]]
    assert said.tolist() == [[SAME, NOBODY], [SAME, OTHER], [NOBODY, NOBODY]]


class Talk:
    """A corpus of dialogues on disk: tables of utterances and of a fold, features of all turns."""

    def __init__(self, folder, utterances, table, features):
        self.folder, self.fold = folder, folder / "fold1.tsv"
        self.utterances, self.table, self.features = folder / "utterances.tsv", table, features
        tables.write(self.utterances, utterances, "utterances")
        tables.write(self.fold, table, "fold")
        self.classes = sorted(set(table["label"]))
        self.files = [
            word
            for m, items in features.items()
            for word in (f"--{m}", str(write_features(folder / f"{m}.h5", items)))
        ]
        self.files += ["--utterances", str(self.utterances)]

    def train(self, out, training=QUICK, **options):
        """Train by the command line; the folder of the model."""
        model = {**SMALL, "frame_stride": 1, "context_turns": 3, **options}
        config = {"classes": self.classes, "model": model, "training": training}
        command = [str(self.fold), str(self.folder / out), *self.files, "--run", *RUN]
        train.main([*command, "--config", json.dumps(config)])
        return self.folder / out

    def evaluate(self, model):
        """Evaluate by the command line: predictions and perturbed predictions of the test part."""
        out, perturbed = model / "said.tsv", model / "perturbed.tsv"
        command = [str(self.fold), str(model), str(out), "--perturbed", str(perturbed), *self.files]
        evaluate.main([*command, "--salience", str(model / "salience"), "--run", *RUN])
        said = tables.read(out, "predictions")
        return said[said["part"] == "test"], tables.read(perturbed, "perturbed")


def dialogues(sizes, sessions):
    """Turns of dialogues of so many turns, one after the other: a table "utterances"."""
    speakers = np.random.default_rng(0)
    frames = []
    for number, size in enumerate(sizes):
        session = f"s{number % sessions}"
        who = [f"{session}{'FM'[i]}" for i in speakers.integers(2, size=size)]
        rows = zip(
            [f"{session}_d{number:03d}_{i:03d}" for i in range(size)],
            *(who, range(size), range(1, size + 1)),
            strict=True,
        )
        frames.append(talk(*rows, dialogue=f"d{number:03d}").assign(session=session))
    return pd.concat(frames, ignore_index=True)


def half_of_the_label(folder, sizes, labelled, shuffled=False):
    """A Talk in which a turn tells one half of its own label, and the other half of the next one's.

    shuffled: the turns of a dialogue stand in another order than they were made in.
    """
    draw = np.random.default_rng(1)
    turns = dialogues(sizes, sessions=5)
    own, cue = draw.integers(2, size=(2, len(turns)))
    before = np.where(turns["start_s"] > 0, np.roll(cue, 1), draw.integers(2, size=len(turns)))
    places = {m: draw.normal(0, 1, (4, 8)) for m in ("speech", "text")}
    features = {
        m: {
            name: of_class + draw.normal(0, 0.3, (2, 8))
            for name, of_class in zip(turns["id"], place[2 * own + cue], strict=True)
        }
        for m, place in places.items()
    }
    labels = np.array(["first", "second", "third", "fourth"])[2 * own + before]
    parts = {"s3": "validation", "s4": "test"}
    table = turns.assign(label=labels, part=turns["session"].map(parts).fillna("train"))
    if shuffled:
        order = turns.sample(frac=1, random_state=2).groupby("dialogue", sort=False).cumcount()
        turns = turns.assign(start_s=order.sort_index(), end_s=order.sort_index() + 1)
    table = table.sample(labelled, random_state=3).sort_values("id", ignore_index=True)
    return Talk(folder, turns, table[[*tables.TABLES["fold"].keys() - {"scenario"}]], features)


IEMOCAP = [66] * 73 + [67] * 78, 5531  # turns of each dialogue; labelled ones, of all
BRIEF = {"epochs": 4, "updates": 1, "batch_size": 32, "learning_rate": 5e-3, "refit": False}


def right(said):
    return (said["true"] == said["predicted"]).mean()


@pytest.mark.slow
def test_half_of_the_label_that_the_turn_before_tells_is_found(tmp_path):
    corpus = half_of_the_label(tmp_path, *IEMOCAP)
    full, context = (
        right(corpus.evaluate(corpus.train(f"k{k}", BRIEF, context_turns=k))[0]) for k in (0, 8)
    )
    assert full == pytest.approx(0.5, abs=0.05)
    assert context > 0.95


@pytest.mark.slow
def test_in_shuffled_dialogues_it_is_not_found(tmp_path):
    corpus = half_of_the_label(tmp_path, *IEMOCAP, shuffled=True)
    model = corpus.train("model", BRIEF, context_turns=8)
    assert right(corpus.evaluate(model)[0]) == pytest.approx(0.5, abs=0.05)


@pytest.fixture
def corpus(tmp_path):
    return half_of_the_label(tmp_path, [9] * 10, labelled=80)


P = [f"p_{name}" for name in ("first", "fourth", "second", "third")]


def test_no_label_of_a_test_dialogue_is_read(corpus):
    model = corpus.train("model")
    said, changed = corpus.evaluate(model)
    table = corpus.table.copy()
    test = table["part"] == "test"
    turned = dict(zip(corpus.classes, corpus.classes[1:] + corpus.classes[:1], strict=True))
    table.loc[test, "label"] = table.loc[test, "label"].map(turned)
    tables.write(corpus.fold, table, "fold")
    again, changed_again = corpus.evaluate(model)
    assert (said["true"] != again["true"]).all()
    pd.testing.assert_frame_equal(said[["id", *P]], again[["id", *P]])
    pd.testing.assert_frame_equal(changed[["id", *P]], changed_again[["id", *P]])
    trained = [(corpus.train(name) / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert trained == [(model / "model.safetensors").read_bytes()] * 2


def test_a_turn_without_a_label_is_heard(corpus):
    known = set(corpus.table["id"])
    without = [name for name in corpus.features["text"] if name not in known]
    before, _ = corpus.evaluate(corpus.train("model"))
    for items in corpus.features.values():
        for name in without:
            items[name] = -items[name]
    for m, items in corpus.features.items():
        write_features(corpus.folder / f"{m}.h5", items)
    after, _ = corpus.evaluate(corpus.folder / "model")
    followed = before["id"].map(lambda name: any(n[:-3] == name[:-3] and n < name for n in without))
    assert followed.any() and not followed.all()
    changed = (before[P] != after[P]).any(axis=1)
    assert (changed == followed).all()


def test_training_hears_nothing_of_the_test_speakers(tmp_path):
    """Of a speaker's dialogue partner who is held out; with a label or without one."""
    corpus = half_of_the_label(tmp_path, [9] * 10, labelled=80)
    table = corpus.table
    is_one = table["speaker"] == "s4F"
    table["part"] = np.where(is_one, "test", table["part"].replace("test", "validation"))
    tables.write(corpus.fold, table, "fold")
    first = corpus.train("first")
    of_one = tables.read(corpus.utterances, "utterances").query("speaker == 's4F'")["id"]
    for m, items in corpus.features.items():
        for name in of_one:
            items[name] = items[name] + 100
        write_features(corpus.folder / f"{m}.h5", items)
    second = corpus.train("second")
    for name in ("model.safetensors", "validation.tsv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_in_the_test_no_turn_is_heard_whose_label_taught(tmp_path):
    """As of a partner in the dialogue who validates, and trains in the end."""
    corpus = half_of_the_label(tmp_path, [9] * 10, labelled=80)
    table = corpus.table
    partner, tested = (table["speaker"] == name for name in ("s4M", "s4F"))
    table["part"] = table["part"].replace("test", "train").mask(partner, "validation")
    table["part"] = table["part"].mask(tested, "test")
    tables.write(corpus.fold, table, "fold")
    model = corpus.train("model")
    said, _ = corpus.evaluate(model)
    for m, items in corpus.features.items():
        for name in table["id"][partner]:
            items[name] = -items[name]
        write_features(corpus.folder / f"{m}.h5", items)
    again, _ = corpus.evaluate(model)
    pd.testing.assert_frame_equal(said, again)
    taught = set(table["id"][~tested])
    turns = Ragged(model / "salience/context.h5")
    heard = {mark for name in turns.ids for mark in turns.marks(name)}
    assert heard and not heard & taught


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modalities": ["speech"]},
        {"modalities": ["text"], "expert_statistics": False},
        {"label_interaction": False, "label_guidance": False, "pooling": "attention"},
        {"cross_attention": False},
        {"experts": True},
        {"context": "both"},
    ],
    ids=["full", "speech", "text", "no labels", "no cross-attention", "experts", "both"],
)
def test_every_label_guided_variant_takes_context(corpus, options):
    said, changed = corpus.evaluate(corpus.train("model", **options))
    heard = options.get("modalities", ["speech", "text"])
    missing = changed[changed["change"] == "missing"]
    expected = {"context", *(heard if len(heard) == 2 else [])}
    assert set(missing["modality"]) == expected
    without = missing[missing["modality"] == "context"].set_index("id").loc[said["id"]]
    first = said["id"].str.endswith("_000").to_numpy()
    same = np.isclose(said[P].to_numpy(), without[P].to_numpy(), atol=1e-6).all(axis=1)
    if options.get("context") != "both":  # where a dialogue's first turn has later ones around it
        assert same[first].all()
    assert not same[~first].any()
    turns = Ragged(corpus.folder / "model/salience/context.h5")
    assert json.loads(turns.attrs["columns"]) == ["salience", *heard]
    for name in turns.ids:
        np.testing.assert_allclose(turns[name].sum(axis=0), 1, atol=1e-5)
        assert all(mark[:-3] == name[:-3] and mark != name for mark in turns.marks(name))
    counts = np.diff(turns.offsets)
    assert counts.max() == (6 if options.get("context") == "both" else 3)


def test_predictions_do_not_depend_on_who_else_is_predicted(corpus):
    model = corpus.train("model")
    said, _ = corpus.evaluate(model)
    some = corpus.table[(corpus.table["part"] != "test") | corpus.table["id"].isin(said["id"][::3])]
    tables.write(corpus.fold, some, "fold")
    alone, _ = corpus.evaluate(model)
    both = said.set_index("id").loc[alone["id"], P]
    np.testing.assert_allclose(both.to_numpy(), alone[P].to_numpy(), atol=1e-6)


def test_a_corpus_without_times_has_no_context(corpus, caplog):
    untimed = tables.read(corpus.utterances, "utterances").assign(start_s=np.nan, end_s=np.nan)
    tables.write(corpus.utterances, untimed, "utterances")
    said, changed = corpus.evaluate(corpus.train("model"))
    without = changed[changed["modality"] == "context"].set_index("id").loc[said["id"]]
    np.testing.assert_array_equal(said[P].to_numpy(), without[P].to_numpy())
    assert "no utterance has a turn around it" in caplog.text


def test_context_needs_the_utterances(corpus):
    corpus.files = corpus.files[:-2]
    with pytest.raises(SystemExit):
        corpus.train("model")


def test_both_goes_with_turns():
    with pytest.raises(InputError, match="context: both goes with context_turns"):
        architectures.options({"context": "both"})
