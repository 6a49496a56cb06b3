"""test_on: which configs of other corpora go with one, and what is said of those that do not."""

import copy
import json

import pytest
import yaml
from conftest import REPOSITORY

from labelmer.base.errors import InputError
from labelmer.config import check, corpora
from labelmer.config.presence import files_of_nobody

DEMO = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())


@pytest.fixture
def tested(tmp_path, monkeypatch):
    """tested(change, ...): tested_on() of the demo's config and others.

    Each changes a copy of a config that goes with it, the second called other1.yaml.
    """
    monkeypatch.chdir(tmp_path)

    def tested(*changes):
        paths = []
        for number, change in enumerate(changes):
            other = copy.deepcopy(DEMO)
            other["corpus"] = {"name": f"other{number}", "reader": "iemocap", "root": f"at{number}"}
            change(other)
            paths.append(f"other{number}.yaml")
            (tmp_path / paths[-1]).write_text(yaml.safe_dump(other, sort_keys=False))
        config = {**copy.deepcopy(DEMO), "test_on": paths}
        check(config)
        return corpora.tested_on(config)

    return tested


def complaint(tested, *changes):
    with pytest.raises(InputError) as caught:
        tested(*changes)
    return str(caught.value)


def nothing(other):
    pass


def test_each_is_found_under_its_corpus_name(tested):
    assert list(tested(nothing, nothing)) == ["other0", "other1"]
    assert tested() == {}


def test_the_classes_that_both_have_are_in_the_first_ones_order():
    mine, theirs = (
        dict.fromkeys(["angry", "happy", "sad"]),
        dict.fromkeys(["sad", "afraid", "angry"]),
    )
    assert corpora.shared(mine, theirs) == ["angry", "sad"]


def test_fewer_than_two_classes_of_one_name_are_refused_with_both_lists(tested):
    def change(other):
        other["labels"] = {name: {"codes": [name], "words": name} for name in ("sad", "Angry")}

    said = complaint(tested, change)
    assert said.startswith("test_on: other0.yaml: its labels are ['sad', 'Angry']")
    assert "['angry', 'happy', 'neutral', 'sad']" in said


def test_a_name_or_a_root_that_is_taken_is_refused(tested):
    def renamed(name):
        return lambda other: other["corpus"].update(name=name)

    assert "corpus: name: 'Demo', but a corpus of this run is 'demo'" in complaint(
        tested, renamed("Demo")
    )
    assert "test_on: other1.yaml: corpus: name: 'other0'" in complaint(
        tested, nothing, renamed("other0")
    )
    same = complaint(
        tested, lambda other: other["corpus"].update(root="resources/../resources/demo")
    )
    assert "is that of 'demo', expected another corpus" in same


def test_an_encoder_of_one_name_must_be_the_same(tested):
    def of_layer(layer):
        return lambda other: other["encoders"]["minilm"].update(layer=layer)

    tested(of_layer(4))
    said = complaint(tested, of_layer(5))
    assert "encoders: 'minilm' is" in said and "'layer': 5" in said and "'layer': 4" in said
    # What is so anyway is no difference, and an encoder that only one has is no matter.
    tested(lambda other: other["encoders"]["fbank"].update(dtype="float16"))
    tested(lambda other: other["encoders"].update(more=other["encoders"]["fbank"]))


def test_a_transcriber_of_one_name_must_be_the_same(tested, monkeypatch):
    whisper = {"name": "whisper", "source": "path:whisper", "language": "en"}
    monkeypatch.setitem(DEMO, "transcriber", whisper)
    tested(lambda other: other["transcriber"].update(beam=1))
    said = complaint(tested, lambda other: other["transcriber"].update(beam=5))
    assert "transcriber: 'whisper' is" in said and "'beam': 5" in said


def test_classes_that_differ_in_spelling_alone_are_refused(tested):
    def change(other):
        other["labels"]["Happy"] = other["labels"].pop("happy")

    said = complaint(tested, change)
    assert "test_on: other0.yaml: labels: 'Happy' there and 'happy' here differ only" in said


def test_words_recognised_in_another_language_are_refused(tested, monkeypatch):
    whisper = {"name": "whisper", "source": "path:whisper", "language": "en"}
    monkeypatch.setitem(DEMO, "transcriber", whisper)

    def polish(other):
        other["transcriber"].update(name="polish", language="pl")

    tested(polish)
    monkeypatch.setitem(DEMO["experiments"][0], "words", "recognised")
    tested(lambda other: other["transcriber"].update(name="another"))
    assert "transcriber: language: 'pl' there, and 'en' here" in complaint(tested, polish)


def test_training_on_a_table_of_recognised_words_does_not_go_with_it(tested, monkeypatch):
    monkeypatch.setitem(DEMO["corpus"], "transcripts", "words.tsv")
    tested(nothing)
    monkeypatch.setitem(DEMO["experiments"][0], "words", "recognised")
    assert "take a transcriber: instead" in complaint(tested, nothing)


def test_what_is_wrong_with_another_config_is_said_with_its_file(tested, tmp_path):
    said = complaint(tested, lambda other: other["corpus"].pop("root"))
    assert said.startswith("test_on: other0.yaml: the config is not valid.")
    assert "corpus: root is missing" in said
    config = {**DEMO, "test_on": ["none.yaml"]}
    with pytest.raises(InputError, match=r"there is no file 'none.yaml'.*remove it"):
        corpora.tested_on(config)
    (tmp_path / "none.yaml").write_text("corpus: [")
    with pytest.raises(InputError, match=r"test_on: none\.yaml: .*\n.*: no YAML"):
        corpora.tested_on(config)


def test_another_config_may_be_json_as_the_first_may(tested, tmp_path):
    tested(nothing)
    other = yaml.safe_load((tmp_path / "other0.yaml").read_text())
    other.setdefault("training", {})["learning_rate"] = 1e-05
    (tmp_path / "other0.yaml").write_text(json.dumps(other, indent="\t"))
    assert list(corpora.tested_on({**DEMO, "test_on": ["other0.yaml"]})) == ["other0"]


def test_a_recording_that_both_corpora_cut_is_refused_by_name(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "link.wav").symlink_to("b.wav")

    def corpus(name, *files):
        rows = [f"{name}-{file}\t{file}.wav\tp\tsad\t" for file in files]
        root = tmp_path / f"{name}.tsv"
        root.write_text("\n".join(["id\tpath\tspeaker\tlabel\ttext", *rows]) + "\n")
        section = {"name": name, "reader": "manifest", "root": str(root)}
        return corpora.Corpus.of({"corpus": section, "labels": {}})

    one, other = corpus("one", "a", "b"), corpus("other", "link", "c")
    known = {"one": one, "other": other, "apart": corpus("apart", "c")}

    def utterances_of(name, session):
        return known[name].reader.utterances(known[name].root, session)[0]

    corpora.check_recordings([known["apart"]], one, utterances_of)
    with pytest.raises(InputError) as caught:
        corpora.check_recordings([known["apart"], other], one, utterances_of)
    said = str(caught.value)
    assert said.startswith(f"test_on: {other.root} and {one.root} have 1 audio files in common")
    assert f"{tmp_path}/b.wav (id 'other-link' there, 'one-b' here)" in said


def test_two_corpora_with_an_id_in_common_cannot_share_a_folder_of_features(tmp_path):
    (tmp_path / "a.npy").touch()
    config = copy.deepcopy(DEMO)
    config["encoders"]["fbank"]["source"] = f"files:{tmp_path}"
    assert files_of_nobody(config, lambda in_use: ["a"]) == []
    with pytest.raises(InputError, match=r"id 'a' .* stands in two corpora"):
        files_of_nobody(config, lambda in_use: ["a", "a"])
