"""inspect: the facts of a ragged file, its stale and unsound items, and no traceback ever."""

import functools
import json
import os
import random
import shutil
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY

from labelmer import inspection
from labelmer.base import tables
from labelmer.base.digest import code_digest, content_key, file_digest
from labelmer.base.ragged import Ragged, feature_key, feature_params
from labelmer.base.ragged_writer import Writer

SOUNDS = {"a1": [1, 2, 3, 4] * 8000, "a2": [5, -6] * 4000, "b1": [0] * 800}
TEXTS = {"a1": "no", "a2": "not now", "b1": ""}
TOKENS = {"a1": ["[CLS]", "no", "[SEP]"], "a2": ["[CLS]", "not", "now", "[SEP]"], "b1": ["[CLS]"]}
CONTENT = "c0ffee"


def write_segments(path, sounds):
    attrs = {"kind": "segments", "unit": "samples", "rate_hz": 16000, "code": "c0de"}
    lengths = [len(samples) for samples in sounds.values()]
    with Writer(path, sounds, lengths, (), "int16", attrs) as writer:
        for index, samples in enumerate(sounds.values()):
            samples = np.array(samples, np.int16)
            writer.write(index, samples, content_key(samples if len(samples) else b""))
    return path


def write_utterances(path, texts):
    constant = {"session": "s", "dialogue": "d", "speaker": "p", "start_s": 0.0, "end_s": 1.0}
    frame = pd.DataFrame({"id": list(texts), **constant, "text": list(texts.values())})
    tables.write(path, frame, "utterances")


def write_features(path, contents, values, marks=None, layer=2, code=None, options=None, **made_on):
    """A file of features as extract writes it; values: {id: (rows, width)}."""
    code = code or code_digest("features.encoders.waveform")
    params = feature_params(CONTENT, layer, options or {}, code, **made_on)
    about = {"unit": "tokens"} if marks else {"unit": "frames", "rate_hz": 50.0}
    about |= {"kind": "features", "encoder": "tiny", "source": "path:x", "revision": ""}
    about |= {"family": "waveform", **made_on}
    about |= {"weights": "ab" * 32, "layer": layer, "params": params, "labelmer": "0.1.0"}
    shape = next(iter(values.values())).shape[1:]
    marks = marks and list(marks.values())
    spans = marks and [np.zeros((len(tokens), 2), int) for tokens in marks]
    lengths = [len(v) for v in values.values()]
    with Writer(path, values, lengths, shape, "float16", about, marks, spans) as writer:
        for index, name in enumerate(values):
            writer.write(index, values[name], feature_key(contents[name], params))
    return path


def drawn(rows, width=4, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, width))


class Corpus:
    """A finished run in a folder: a session's segments, utterances, features and encoder."""

    def __init__(self, folder):
        results = folder / "results" / "tiny"
        self.source = folder / "resources" / "encoders" / "tiny" / "source.json"
        self.source.parent.mkdir(parents=True)
        self.fetch(CONTENT)
        shutil.copytree(self.source.parent, self.source.parents[1] / "words")
        self.utterances = results / "utterances" / "S1.tsv"
        write_utterances(self.utterances, TEXTS)
        self.segments = write_segments(results / "segments" / "S1.h5", SOUNDS)
        places = (results / "features" / encoder / "frozen" for encoder in ("tiny", "words"))
        self.frames, self.tokens = (place / "S1.h5" for place in places)
        self.extract()
        values = {name: drawn(len(tokens)) for name, tokens in TOKENS.items()}
        write_features(self.tokens, TEXTS, values, TOKENS)

    def fetch(self, content):
        self.source.write_text(json.dumps({"content": content, "layers": 6}))

    def extract(self, **options):
        segments = Ragged(self.segments)
        keys = {i: key.tobytes() for i, key in zip(segments.ids, segments.keys, strict=True)}
        values = {"a1": drawn(99), "a2": drawn(24), "b1": drawn(2)}
        write_features(self.frames, keys, values, **options)


@pytest.fixture
def corpus(tmp_path):
    return Corpus(tmp_path)


def none():
    return {"count": 0, "first": []}


def current():
    return {"state": "current", "reasons": {}, "absent": none()}


@pytest.fixture
def said(said):
    """said(arguments): the error with which inspect ends."""
    return functools.partial(said, inspection.main)


def test_facts_of_segments(corpus, facts):
    found = facts(corpus.segments)
    assert found["path"] == str(corpus.segments)
    assert (found["kind"], found["unit"], found["dtype"]) == ("segments", "samples", "int16")
    assert (found["items"], found["rows"], found["rate_hz"]) == (3, 40800, 16000)
    assert found["hours"] == pytest.approx(40800 / 16000 / 3600)
    assert found["longest"] == {"id": "a1", "rows": 32000}
    assert found["shortest"] == {"id": "b1", "rows": 800}
    assert found["width"] is None and found["encoder"] is None
    assert found["constant"] == {"count": 1, "first": ["b1"]}
    assert found["nan"] == found["inf"] == found["unfinished"] == none()
    assert found["keys"] == current()


def test_facts_of_features(corpus, facts):
    found = facts(corpus.frames)
    assert (found["kind"], found["unit"], found["dtype"]) == ("features", "frames", "float16")
    assert (found["width"], found["rate_hz"], found["layer"]) == (4, 50, 2)
    assert found["hours"] == pytest.approx(125 / 50 / 3600)
    assert (found["encoder"], found["source"], found["revision"]) == ("tiny", "path:x", "")
    assert found["weights"] == ["ab" * 6] and found["versions"] == {"labelmer": "0.1.0"}
    assert found["keys"] == current()
    words = facts(corpus.tokens)
    assert words["rate_hz"] is words["hours"] is None
    assert words["keys"] == current()


def test_facts_of_an_item(corpus, facts):
    values = Ragged(corpus.frames)["a2"].astype(float)
    found = facts(corpus.frames, "a2")
    assert (found["id"], found["shape"], found["seconds"]) == ("a2", [24, 4], 24 / 50)
    assert found["mean"] == pytest.approx(values.mean())
    assert found["sd"] == pytest.approx(values.std())
    assert (found["min"], found["max"]) == (values.min(), values.max())
    assert (found["zeros"], found["nan"], found["inf"]) == (0, 0, 0)
    assert found["tokens"] is None and found["keys"] == current()
    assert facts(corpus.segments, "b1")["zeros"] == 1
    assert facts(corpus.tokens, "a2")["tokens"] == TOKENS["a2"]


def test_text_for_people(corpus, capsys):
    inspection.main([str(corpus.frames)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(corpus.frames)
    shown = dict(line.split(maxsplit=1) for line in lines[1:])
    assert shown["longest"] == "a1, 99 rows" and shown["hours"] == "0.000694444"
    assert shown["keys"] == "current" and shown["nan"] == "none"
    assert "revision" not in shown
    inspection.main([str(corpus.tokens), "a2"])
    text = capsys.readouterr().out
    assert "  shape      4 × 4\n" in text and "  tokens     [CLS] not now [SEP]\n" in text


def test_unsound_items_are_named(tmp_path, facts, capsys):
    values = {f"u{i}": drawn(3) for i in range(9)}
    for i in range(7):
        values[f"u{i}"][1, 1] = np.nan
    values["u1"][2, 0], values["u7"][0, 0] = np.inf, -np.inf
    values["u8"][:] = 3
    path = write_features(tmp_path / "f.h5", dict.fromkeys(values, "x"), values)
    found = facts(path)
    assert found["nan"] == {"count": 7, "first": ["u0", "u1", "u2", "u3", "u4"]}
    assert found["inf"] == {"count": 2, "first": ["u1", "u7"]}
    assert found["constant"] == {"count": 1, "first": ["u8"]}
    item = facts(path, "u1")
    assert (item["nan"], item["inf"]) == (1, 1)
    finite = Ragged(path)["u1"].astype(float)
    assert item["mean"] == pytest.approx(finite[np.isfinite(finite)].mean())
    inspection.main([str(path)])
    assert "  nan        7: u0, u1, u2, u3, u4, ...\n" in capsys.readouterr().out


def test_items_longer_than_a_piece(tmp_path, facts, monkeypatch):
    values = {"alike": np.ones((10, 4)), "late": drawn(10), "wide": drawn(10)}
    values["late"][9, 3] = np.nan
    path = write_features(tmp_path / "f.h5", dict.fromkeys(values, "x"), values)
    whole = [facts(path)] + [facts(path, name) for name in values]
    monkeypatch.setattr(inspection.facts, "PIECE", 5)
    for before, after in zip(whole, [facts(path)] + [facts(path, n) for n in values], strict=True):
        assert {
            k: pytest.approx(v) if isinstance(v, float) else v for k, v in before.items()
        } == after
    assert whole[0]["constant"]["first"] == ["alike"] and whole[0]["nan"]["first"] == ["late"]


def test_memory_does_not_grow_with_the_file(tmp_path, facts):
    path = write_segments(tmp_path / "s.h5", {"long": np.arange(2**25, dtype=np.int16)})  # 64 MB
    tracemalloc.start()
    try:
        assert facts(path)["keys"]["state"] == facts(path, "long")["keys"]["state"] == "current"
        assert tracemalloc.get_traced_memory()[1] < 40e6
    finally:
        tracemalloc.stop()


def test_files_without_items_or_rows(tmp_path, facts):
    empty = facts(write_segments(tmp_path / "none.h5", {}))
    assert (empty["items"], empty["rows"], empty["longest"]) == (0, 0, None)
    path = write_segments(tmp_path / "short.h5", {"x": []})
    assert facts(path)["constant"] == none() and facts(path)["keys"] == current()
    item = facts(path, "x")
    assert item["shape"] == [0] and item["mean"] is item["min"] is None


def stale(reasons, absent=()):
    keys = {"state": "stale", "reasons": reasons}
    return {**keys, "absent": {"count": len(absent), "first": list(absent)}}


def test_changed_encoder_layer_and_code(corpus, facts, capsys):
    assert facts(corpus.frames, "--config", '{"layer": -5}')["keys"] == current()  # of 6: layer 2
    assert facts(corpus.frames, "--config", '{"layer": 3}')["keys"] == stale({"layer changed": 3})
    window = facts(corpus.frames, "--config", '{"window_s": 9}')["keys"]
    assert window == stale({"window_s changed": 3})
    silence = facts(corpus.frames, "--config", '{"silence": "full"}')["keys"]
    assert silence == stale({"silence changed": 3})
    dtype = facts(corpus.frames, "--config", '{"dtype": "float32"}')["keys"]
    assert dtype == stale({"dtype changed": 3})
    corpus.fetch("another")
    assert facts(corpus.frames)["keys"] == stale({"encoder changed": 3})
    assert facts(corpus.frames, "a1")["keys"] == stale({"encoder changed": 1})
    corpus.extract(code="other")
    assert facts(corpus.frames)["keys"] == stale({"code and encoder changed": 3})
    inspection.main([str(corpus.frames)])
    assert "  keys       stale: 3 (code and encoder changed)\n" in capsys.readouterr().out


def test_features_are_judged_by_the_device_that_they_were_made_on(corpus, facts, capsys):
    corpus.extract(device="cuda", precision="float16")
    found = facts(corpus.frames)
    assert (found["keys"], found["family"]) == (current(), "waveform")
    assert (found["device"], found["precision"]) == ("cuda", "float16")
    inspection.main([str(corpus.frames)])
    assert "  device     cuda\n  precision  float16\n" in capsys.readouterr().out
    corpus.fetch("another")
    assert facts(corpus.frames)["keys"] == stale({"encoder changed": 3})


def test_the_options_of_an_encoders_family_are_shown_and_compared(corpus, facts):
    corpus.extract(options={"window_s": 20.0})
    assert facts(corpus.frames)["window_s"] == 20
    assert facts(corpus.frames, "--config", '{"window_s": 20}')["keys"] == current()
    other = facts(corpus.frames, "--config", '{"window_s": 30}')["keys"]
    assert other == stale({"window_s changed": 3})


def test_features_of_a_family_that_is_gone_are_stale(corpus, facts):
    with h5py.File(corpus.frames, "r+") as file:
        file.attrs["family"] = "forgotten"
    assert facts(corpus.frames)["keys"] == stale({"code changed": 3})


def test_features_of_a_fine_tuned_encoder(corpus, facts):
    """They are compared with the encoder of their own fold and seed."""
    study, run = corpus.utterances.parents[1] / "main", "fold1.seed2"
    frames = study / "features" / "tiny" / "finetuned" / run / "S1.h5"
    words = study / "labels" / "tiny" / f"{run}.h5"
    frames.parent.mkdir(parents=True)
    words.parent.mkdir(parents=True)
    frames.write_bytes(corpus.frames.read_bytes())
    assert facts(frames)["keys"]["why"].endswith(
        "encoders/tiny/fold1.seed2/source.json is not there"
    )
    source = study / "encoders" / "tiny" / run / "source.json"
    source.parent.mkdir(parents=True)
    source.write_text(json.dumps({"content": CONTENT, "layers": 6}))
    corpus.fetch("the one that it was made from")
    assert facts(frames)["keys"] == current()
    write_features(words, {"angry": "x"}, {"angry": drawn(2)}, {"angry": ["[CLS]", "x"]})
    assert facts(words, "--config", '{"labels": {"angry": "x"}}')["keys"] == current()
    source.write_text(json.dumps({"content": "tuned anew", "layers": 6}))
    assert facts(frames)["keys"] == stale({"encoder changed": 3})


@pytest.mark.parametrize("transcripts", ["transcripts", "transcripts/whisper"])
@pytest.mark.parametrize(
    "folder", ["features/tiny/frozen", "main/features/tuned/finetuned/fold1.seed2"]
)
def test_features_of_recognised_words(corpus, facts, folder, transcripts):
    """They are compared with the recognised words, by the same encoder as their neighbours."""
    results = corpus.utterances.parents[1]
    source = results / "main" / "encoders" / "tuned" / "fold1.seed2" / "source.json"
    source.parent.mkdir(parents=True)
    source.write_text(corpus.source.read_text())
    recognised = {"a1": "know", "a2": "not now"}
    tokens = results / folder / transcripts / "S1.h5"
    values = {name: drawn(3) for name in recognised}
    write_features(tokens, recognised, values, {name: ["x"] * 3 for name in recognised})
    words = results / transcripts / "S1.tsv"
    assert facts(tokens)["keys"] == {"state": "unknown", "why": f"{words} is not there"}
    write_utterances(words, recognised)
    assert facts(tokens)["keys"] == current()
    write_utterances(words, {**recognised, "a1": "no", "b1": "oh"})
    assert facts(tokens)["keys"] == stale({"utterance changed": 1}, ["b1"])


def test_all_layers(corpus, facts):
    segments = Ragged(corpus.segments)
    keys = {i: key.tobytes() for i, key in zip(segments.ids, segments.keys, strict=True)}
    write_features(corpus.frames, keys, {i: np.zeros((2, 7, 4)) for i in keys}, layer="all")
    found = facts(corpus.frames)
    assert (found["layer"], found["width"], found["keys"]) == ("all", 4, current())


def test_changed_utterances(corpus, facts, capsys):
    write_utterances(corpus.utterances, {"a1": "no", "a2": "not then", "c1": "new"})
    assert facts(corpus.tokens)["keys"] == stale(
        {"utterance changed": 1, "utterance gone": 1}, ["c1"]
    )
    assert facts(corpus.tokens, "a1")["keys"] == current()
    inspection.main([str(corpus.tokens)])
    assert "1 (utterance changed); 1 (utterance gone); not in the file yet: 1: c1\n" in (
        capsys.readouterr().out
    )
    write_segments(corpus.segments, {**SOUNDS, "a1": [7, 8]})
    assert facts(corpus.frames)["keys"] == stale({"utterance changed": 1})
    corpus.fetch("another")
    reasons = {"utterance and encoder changed": 1, "encoder changed": 2}
    assert facts(corpus.frames)["keys"] == stale(reasons)


def test_samples_that_changed_behind_their_key(corpus, facts):
    with h5py.File(corpus.segments, "r+") as file:
        file["values"][3] = 99
    assert facts(corpus.segments)["keys"] == stale({"samples not those of the key": 1})


def test_unfinished_items(corpus, facts):
    part = corpus.frames.with_name("S1.h5.part")
    part.write_bytes(corpus.frames.read_bytes())
    with h5py.File(part, "r+") as file:
        file["keys"][1] = 0
    found = facts(part)
    assert found["unfinished"] == {"count": 1, "first": ["a2"]}
    assert found["keys"] == stale({"unfinished": 1})


def test_what_cannot_be_compared_is_said(corpus, facts, tmp_path):
    elsewhere = tmp_path / "S1.h5"
    elsewhere.write_bytes(corpus.frames.read_bytes())
    assert "does not stand at" in facts(elsewhere)["keys"]["why"]
    for needed, path in [
        (corpus.segments, corpus.frames),
        (corpus.utterances, corpus.tokens),
        (corpus.source, corpus.frames),
    ]:
        content = needed.read_bytes()
        needed.unlink()
        assert facts(path)["keys"] == {"state": "unknown", "why": f"{needed} is not there"}
        needed.write_bytes(content)
    corpus.source.write_text("[]")
    assert "source.json: [], expected one entry" in facts(corpus.frames)["keys"]["why"]
    with h5py.File(elsewhere, "r+") as file:
        file.attrs["kind"] = "other"
    assert facts(elsewhere)["keys"]["why"].startswith("only the keys of segments, features and")


def test_label_words_come_from_the_config(corpus, facts):
    labels = corpus.utterances.parents[1] / "main" / "labels" / "tiny.h5"
    labels.parent.mkdir(parents=True)
    words = {"angry": "angry and furious"}
    write_features(labels, words, {"angry": drawn(2)}, {"angry": ["[CLS]", "x"]})
    assert "the words of the labels" in facts(labels)["keys"]["why"]
    for given, keys in [
        (words, current()),
        ({"angry": "x"}, stale({"utterance changed": 1})),
    ]:
        assert facts(labels, "--config", json.dumps({"labels": given}))["keys"] == keys


RUN = {"speech": "fbank", "text": "tiny", "mode": "frozen", "variant": "full"}
RUN |= {"fold": "1", "seed": "2"}


@pytest.fixture
def salience(tmp_path):
    """A file of salience as evaluate writes it, beside its model; b1 does not sum to one."""
    run = "fbank+tiny/frozen/full/fold1.seed2"
    model = tmp_path / "results/tiny/main/models" / run / "model.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    columns = ["salience", "says_sad"]
    attrs = {"kind": "salience", "modality": "text", "columns": json.dumps(columns), **RUN}
    values = {"a1": [0.25, 0.7, 0.05], "a2": [0.1, 0.2, 0.3, 0.4], "b1": [0.9]}
    path, lengths = tmp_path / "results/tiny/main/salience" / run / "text.h5", [3, 4, 1]
    marks = list(TOKENS.values())
    with Writer(path, values, lengths, (2,), "float32", attrs, marks) as writer:
        for index, (name, rows) in enumerate(values.items()):
            item = np.stack([rows, np.full(len(rows), 0.5)], axis=1)
            writer.write(index, item, content_key(file_digest(model), name))
    return path, model


def test_salience(salience, facts, capsys):
    path, model = salience
    found = facts(path)
    assert (found["kind"], found["modality"]) == ("salience", "text")
    assert found["run"] == "fbank, tiny, frozen, full, 1, 2"
    assert found["columns"] == ["salience", "says_sad"]
    assert found["not_one"] == {"count": 1, "first": ["b1"]}
    assert found["keys"] == current()
    assert facts(path, "a2")["most"] == ["[SEP]:0.400", "now:0.300", "not:0.200", "[CLS]:0.100"]
    inspection.main([str(path), "a1"])
    assert "  most       no:0.700 [CLS]:0.250 [SEP]:0.050\n" in capsys.readouterr().out
    model.write_bytes(b"trained anew")
    assert facts(path)["keys"] == stale({"model changed": 3})
    model.unlink()
    assert facts(path)["keys"]["why"] == f"{model} is not there"


def test_salience_without_its_attributes(salience, facts):
    path, _ = salience
    with h5py.File(path, "r+") as file:
        del file.attrs["columns"]
    assert facts(path)["columns"] == [] and facts(path)["not_one"]["count"] == 3
    assert facts(path, "a1")["most"] == []


def test_from_the_folder_itself(corpus, facts, monkeypatch):
    monkeypatch.chdir(corpus.frames.parent)
    assert facts("S1.h5")["keys"] == facts("../frozen/S1.h5")["keys"] == current()


def test_an_unknown_id_names_the_nearest(corpus, said, tmp_path):
    assert "id 'a11' is not among the file's 3; the nearest are a1, " in said(corpus.frames, "a11")
    assert "among the file's 0\n" in said(write_segments(tmp_path / "none.h5", {}), "a")


def test_other_files_are_refused(corpus, said, tmp_path):
    assert "no such file" in said(tmp_path / "no.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1]
    (tmp_path / "empty").touch()
    for other in (corpus.utterances, corpus.source, "foreign.h5", "empty"):
        message = said(tmp_path / other)
        assert "not a ragged file" in message and "results/NAME/segments/SESSION.h5" in message
        assert "remove it" not in message


def test_damaged_files_are_refused(corpus, said):
    whole = corpus.tokens.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        corpus.tokens.write_bytes(whole[:size])
        assert "S1.h5: not a whole ragged HDF5 file" in said(corpus.tokens)
    for name, wrong in [
        ("offsets", np.array([0, 3, 2, 8])),
        ("offsets", np.array([0, 3, 7, 9])),
        ("offsets", np.array([0.0, 3, 7, 8])),
        ("keys", np.zeros((2, 32), np.uint8)),
        ("marks", np.arange(8)),
        ("spans", np.zeros((8, 3), int)),
        ("values", np.array([b"x"] * 8)),
    ]:
        corpus.tokens.write_bytes(whole)
        with h5py.File(corpus.tokens, "r+") as file:
            del file[name]
            file[name] = wrong
        assert "S1.h5: not a whole ragged HDF5 file" in said(corpus.tokens)
    for name in ("values", "ids"):
        corpus.tokens.write_bytes(whole)
        with h5py.File(corpus.tokens, "r+") as file:
            values = file[name][:]
            del file[name]
            file.create_dataset(name, data=values, compression="gzip")
        message = said(corpus.tokens)
        assert f"({name} in pieces, packed or elsewhere, expected one contiguous block)" in message


@pytest.mark.slow
def test_a_flipped_bit_never_ends_in_a_traceback(corpus, capsys, caplog, monkeypatch):
    # A process more for each of hundreds of files: test_harmful_hdf5.py has it.
    monkeypatch.setattr(inspection, "try_to_open", lambda path: None)
    draw = random.Random(1)
    refused = 0
    for path, name in [(corpus.tokens, "a2"), (corpus.segments, "b1")]:
        whole = path.read_bytes()
        for _ in range(80):
            damaged = bytearray(whole)
            damaged[draw.randrange(min(len(whole), 12000))] ^= 1 << draw.randrange(8)
            path.write_bytes(damaged)
            for arguments in ([str(path)], [str(path), name]):
                try:
                    inspection.main(arguments)
                except SystemExit:
                    refused += 1
    assert "Traceback" not in caplog.text
    assert 6 < refused < 288


def test_it_starts_in_under_a_second_and_without_heavy_imports(corpus):
    program = (
        "import sys; from labelmer.inspection import main\n"
        "main(sys.argv[1:])\n"
        "assert not {'torch', 'pandas', 'transformers'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, str(corpus.frames)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "current" in done.stdout
