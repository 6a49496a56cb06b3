"""What the page shows of the test utterances: small numbers worked out by hand."""

import base64
import io
import json
import zlib

import numpy as np
import pandas as pd
import pytest
import soundfile

from labelmer.base import tables
from labelmer.base.ragged_writer import Writer
from labelmer.report import browser

CLASSES = ["angry", "sad"]
RUN = {"speech": "fbank", "text": "minilm", "mode": "frozen"}
# Both folds test "b"; "a" and "c" stand in one fold each.
FOLDS = {1: ["a", "b"], 2: ["b", "c"]}
TEXTS = {"a": "oh 😀 no", "b": "", "c": "well", "z": "before all"}
SPANS = {"a": [(0, 0), (0, 2), (3, 4), (5, 7)], "b": [(0, 0)], "c": [(0, 4)]}
SAMPLES = {"a": 16_000, "b": 8_000, "c": 40}
KEY = bytes(31) + b"1"


def write_run(root, variant, fold, seed, says=True, ids=None):
    """Predictions and salience of a run; of seed 2 the salience lies on the last token."""
    ids = ids or FOLDS[fold]
    run = {**RUN, "variant": variant, "fold": fold, "seed": seed}
    p = 0.9 if seed == 1 else 0.4  # of angry
    rows = pd.DataFrame({"id": ids, "session": "s", "dialogue": "d", "speaker": "p"})
    rows = rows.assign(part="test", true="sad", predicted="angry" if p > 0.5 else "sad")
    rows = rows.assign(p_angry=p, p_sad=1 - p, **run)
    path = root / f"{variant}.{fold}.{seed}.tsv"
    tables.write(path, rows, "predictions")
    folder = root / f"{variant}.{fold}.{seed}"
    columns = ["salience", *(f"says_{name}" for name in CLASSES if says)]
    attrs = {name: str(value) for name, value in run.items()}
    attrs |= {"kind": "salience", "columns": json.dumps(columns)}
    for modality in ("speech", "text"):
        lengths = [len(SPANS[name]) if modality == "text" else 4 for name in ids]
        told = [[["x"] * n for n in lengths], [SPANS[name] for name in ids]]
        own = attrs | {"modality": modality} | ({"rate_hz": 4.0} if modality == "speech" else {})
        where = folder / f"{modality}.h5", ids, lengths, (len(columns),), "float32", own
        with Writer(*where, *(told if modality == "text" else ())) as writer:
            for place, rows in enumerate(lengths):
                values = np.full((rows, len(columns)), 1 / rows)
                if seed == 2:
                    values[:, 0] = np.arange(rows) == rows - 1
                values[:, 1:] = [0.2, 0.8][: len(columns) - 1]
                writer.write(place, values, KEY)
    return path, folder


def write_corpus(root):
    """Utterances of one dialogue, and of one without a test utterance; and their audio."""
    rows = pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())})
    rows = rows.assign(session="s", dialogue="d", speaker="p", start_s=[3, 2, 1, 0])
    rows.loc[len(rows)] = ["y", "another", "s", "e", "q", 0]
    tables.write(root / "u.tsv", rows.assign(end_s=9), "utterances")
    with Writer(root / "s.h5", SAMPLES, list(SAMPLES.values()), (), "int16", {}) as writer:
        for place, count in enumerate(SAMPLES.values()):
            writer.write(place, np.linspace(0, 1000, count), KEY)


def shown(root, runs, audio=False, more=()):
    """What the stage writes of some runs; more: arguments."""
    paths, folders = zip(*runs, strict=True)
    write_corpus(root)
    arguments = ["--predictions", *paths, "--salience", *folders, "--utterances", root / "u.tsv"]
    arguments += ["--segments", root / "s.h5", "--out", root / "browser.json"]
    arguments += ["--config", json.dumps({"classes": CLASSES, "audio": audio})]
    browser.main([*map(str, arguments), *map(str, more)])
    return json.loads((root / "browser.json").read_text())


def unpacked(text, kind=np.uint8):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


@pytest.fixture
def found(tmp_path):
    grid = [(fold, seed) for fold in FOLDS for seed in (1, 2)]
    runs = [write_run(tmp_path, "full", *run) for run in grid]
    runs += [write_run(tmp_path, "plain", *run, says=False) for run in grid]
    return shown(tmp_path, runs)


def test_utterances_are_those_of_the_test_dialogues_in_order_of_time(found):
    about = found["about"]
    spoken = json.loads(unpacked(about["utterances"]).tobytes())
    assert spoken["id"] == ["z", "c", "b", "a"] and spoken["text"][3] == "oh 😀 no"
    assert [spoken["id"][u] for u in about["utterance"]] == ["a", "b", "b", "c"]
    assert about["fold"] == [1, 1, 2, 2] and about["true"] == [1] * 4
    assert about["seconds"] == [1.0, 0.5, 0.5, 0.0]
    assert about["variants"] == [["full", 0], ["plain", 0]]


def test_probabilities_are_means_over_seeds_and_the_class_is_voted(found):
    p = unpacked(found["about"]["p"]).reshape(2, 4, 2)
    assert (p == np.rint([0.65 * 255, 0.35 * 255])).all()
    # One seed names each class: the one with the greater mean probability is said.
    assert (unpacked(found["about"]["predicted"]) == 0).all()


def test_salience_is_the_mean_over_seeds_in_times_of_an_even_share(found):
    tokens = found["about"]["tokens"][0]
    assert unpacked(tokens["counts"], "<u4").tolist() == [4, 1, 1, 1]
    spans = unpacked(tokens["spans"], "<u4").reshape(-1, 2).tolist()
    assert spans == [[0, 0], [0, 2], [3, 4], [5, 7], [0, 0], [0, 0], [0, 4]]
    full, plain = found["salience"]
    text = unpacked(full["text"]).reshape(3, 7)
    # Of four tokens seed 1 has one share on each, seed 2 all four on the last; 15 is four shares.
    assert text[0].tolist() == [2, 2, 2, 9, 4, 4, 4]
    assert (text[1:] == [[3], [12]]).all()
    assert unpacked(plain["text"]).tolist() == text[0].tolist()
    speech = unpacked(full["speech"]).reshape(3, 4, browser.STRETCHES)
    quarter = browser.STRETCHES // 4
    assert speech[0, 0].tolist() == [2] * 3 * quarter + [9] * quarter
    assert speech[0, 1].tolist() == [2] * browser.STRETCHES  # its audio ends with the second frame


def test_an_experiment_on_recognised_words_shows_these(tmp_path, monkeypatch):
    runs = [write_run(tmp_path, "full", fold, 1) for fold in FOLDS]
    assert shown(tmp_path, runs)["about"]["words"] == [None]
    monkeypatch.setitem(RUN, "mode", "frozen-recognised")
    runs = [write_run(tmp_path, "full", fold, 1) for fold in FOLDS]
    heard = tables.read(tmp_path / "u.tsv", "utterances").query("id == 'a'").assign(text="oh well")
    tables.write(tmp_path / "heard.tsv", heard, "utterances")
    found = shown(tmp_path, runs, more=["--transcripts", tmp_path / "heard.tsv"])
    assert json.loads(unpacked(found["about"]["words"][0]).tobytes()) == ["", "", "", "oh well"]


def test_the_outline_is_the_loudest_of_each_stretch(found):
    outline = unpacked(found["about"]["outline"]).reshape(4, browser.OUTLINE)
    assert (outline[:, -1] == 255).all() and (np.diff(outline[0].astype(int)) > 0).all()
    assert found["audio"] == [None] * 4


def test_audio_is_mp3_and_of_more_than_a_page_holds_every_second_one(tmp_path, monkeypatch):
    runs = [write_run(tmp_path, "full", fold, 1) for fold in FOLDS]
    played = shown(tmp_path, runs, audio=True)["audio"]
    sound = soundfile.info(io.BytesIO(base64.b64decode(played[0])))
    assert (sound.format, sound.samplerate, sound.channels) == ("MP3", 16_000, 1)
    assert abs(sound.duration - 1) < 0.1 and None not in played
    monkeypatch.setattr(browser, "LISTENED_S", 1.5)
    played = shown(tmp_path, runs, audio=True)["audio"]
    assert [sound is not None for sound in played] == [True, False, True, False]


def test_salience_of_another_utterance_is_named(tmp_path, caplog):
    runs = [write_run(tmp_path, "full", fold, 1) for fold in FOLDS]
    _, other = write_run(tmp_path, "other", 1, 1, ids=["c"])
    with pytest.raises(SystemExit):
        shown(tmp_path, [*runs, (runs[0][0], other)])
    assert "predictions of" in caplog.text and "twice" in caplog.text  # a file given twice
    caplog.clear()
    (runs[0][1] / "text.h5").write_bytes((other / "text.h5").read_bytes())
    with pytest.raises(SystemExit):
        shown(tmp_path, runs)
    assert "id 'c' is not among the test predictions of fold 1" in caplog.text


def test_a_seed_without_salience_is_named(tmp_path, caplog):
    runs = [write_run(tmp_path, "full", fold, seed) for fold in FOLDS for seed in (1, 2)]
    (runs[0][1] / "speech.h5").unlink()
    with pytest.raises(SystemExit):
        shown(tmp_path, runs)
    said = "2 of 4 test utterances have no salience of speech in one of the 2 seeds"
    assert said in caplog.text
    (runs[0][1] / "text.h5").unlink()
    with pytest.raises(SystemExit):
        shown(tmp_path, runs)
    assert f"{runs[0][1]}: no file of salience in it" in caplog.text


def test_an_utterance_without_audio_is_named(tmp_path, caplog, monkeypatch):
    runs = [write_run(tmp_path, "full", fold, 1) for fold in FOLDS]
    monkeypatch.delitem(SAMPLES, "c")
    with pytest.raises(SystemExit):
        shown(tmp_path, runs)
    assert "id 'c' is in none of" in caplog.text
