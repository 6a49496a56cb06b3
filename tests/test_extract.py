"""extract: what the feature file holds, and that a change computes just what it changes."""

import json
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY
from test_encoders import (
    SENTENCES,
    SPECIALS,
    chinese_words,
    make_whisper,
    noise,
    snapshot,  # noqa: F401
    with_tokenizer,
)

from labelmer.base import ragged, ragged_writer, tables
from labelmer.base.digest import canonical_json, code_digest, content_key
from labelmer.base.errors import InputError
from labelmer.base.ragged import LARGEST, Ragged
from labelmer.base.ragged_writer import Writer
from labelmer.features import encoders, extract, fetch, items
from labelmer.features.encoders.base import ROWS_PER_BATCH
from labelmer.features.encoders.waveform import Waveform


def write_segments(path, clips):
    lengths = [len(clip) for clip in clips.values()]
    attrs = {"kind": "segments", "unit": "samples", "rate_hz": 16000}
    with Writer(path, clips, lengths, (), "int16", attrs) as writer:
        for index, clip in enumerate(clips.values()):
            writer.write(index, clip, content_key(clip))
    return path


def write_utterances(path, texts):
    constant = {"session": "s", "dialogue": "d", "speaker": "p", "start_s": 0.0, "end_s": 1.0}
    frame = pd.DataFrame({"id": list(texts), **constant, "text": list(texts.values())})
    tables.write(path, frame, "utterances")
    return path


CLIPS = dict(zip("abcd", noise(1.0, 0.2, 0.01, 0.6), strict=True))
TEXTS = dict(zip("dcba", SENTENCES, strict=True))


@pytest.fixture
def speech(tmp_path, snapshot):  # noqa: F811
    """run(clips, layer, code): (kept, computed) of an extraction into tmp_path/out.h5."""
    return runner(tmp_path, snapshot("wav2vec2-group"), write_segments, "segments.h5")


@pytest.fixture
def text(tmp_path, snapshot):  # noqa: F811
    """The same for text."""
    return runner(tmp_path, snapshot("bert"), write_utterances, "utterances.tsv")


@pytest.fixture
def hearing(tmp_path, snapshot):  # noqa: F811
    """The same for Whisper's encoder, which hears silence behind a clip."""
    return runner(tmp_path, snapshot("whisper"), write_segments, "segments.h5")


def runner(tmp_path, origin, write, name):
    folder = tmp_path / "encoder"
    fetch.fetch(f"path:{origin}", folder)
    facts = encoders.read_facts(folder, "tiny")

    def run(content, layer=2, code="c0de", out="out.h5", dtype="float16", **options):
        # options: the encoder's precision on a CPU, and those of its family
        found = items.read_items(write(tmp_path / name, content))
        encoder = encoders.load(folder, layer, **options)
        return extract.extract(found, encoder, facts, tmp_path / out, code, dtype)

    run.out, run.folder = tmp_path / "out.h5", folder
    return run


def test_speech_file(speech):
    assert speech(CLIPS, layer=-2) == (0, 4)
    file = Ragged(speech.out)
    alone = encoders.load(speech.folder, 2)
    assert file.ids == list("abcd") and file.values.dtype == np.float16
    for name, clip in CLIPS.items():
        assert np.allclose(file[name], alone.encode([clip])[0], rtol=2e-3, atol=1e-3)
    source = json.loads((speech.folder / "source.json").read_text())
    expected = {"kind": "features", "unit": "frames", "rate_hz": 50, "width": 16, "layer": 2}
    expected |= {"encoder": "tiny", "source": source["source"], "weights": source["weights"]}
    expected |= {"dtype": "float16", "code": "c0de", "revision": ""}
    expected |= {"family": "waveform", "device": "cpu", "precision": "float32"}
    assert {name: file.attrs[name] for name in expected} == expected
    assert set(json.loads(file.attrs["params"])) == {
        "encoder",
        "layer",
        "window_s",
        "dtype",
        "code",
        "device",
        "precision",
    }
    assert {"labelmer", "torch", "transformers"} < set(file.attrs)
    assert file.marks("a") is None


def test_features_in_bfloat16_are_near_and_never_mixed_with_others(speech):
    assert speech(CLIPS) == (0, 4)
    exact = {name: np.array(Ragged(speech.out)[name], np.float32) for name in CLIPS}
    assert speech(CLIPS, precision="bfloat16") == (0, 4)  # nothing is taken over
    file = Ragged(speech.out)
    assert file.attrs["precision"] == "bfloat16" and file.values.dtype == np.float16
    for name, rows in exact.items():
        away = np.linalg.norm(file[name] - rows) / np.linalg.norm(rows)
        assert 1e-4 < away < 0.05  # rounded to 8 bits, and no more
    assert speech(CLIPS, precision="bfloat16") == (4, 0)
    assert speech(CLIPS) == (0, 4)


def test_a_processor_without_bfloat16_is_told_of(speech, monkeypatch, caplog):
    for quick, precision, told in (
        (False, "bfloat16", True),
        (False, "float32", False),
        (True, "bfloat16", False),
    ):
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda quick=quick: {"avx512_bf16": quick}
        )
        encoders.load(speech.folder, 2, precision=precision)
        assert ("neither AMX nor AVX512-BF16" in caplog.text) == told
        caplog.clear()


def test_a_precision_that_there_is_not(speech):
    with pytest.raises(InputError, match="bad precision 'float16', expected one of"):
        encoders.load(speech.folder, 2, precision="float16")


def test_silence_is_in_the_key_of_whispers_features(hearing):
    assert hearing(CLIPS) == (0, 4)
    file = Ragged(hearing.out)
    assert json.loads(file.attrs["params"])["silence"] == file.attrs["silence"] == "compact"
    before = {name: file[name].copy() for name in file.ids}
    assert hearing(CLIPS, silence="compact") == (4, 0)
    for silence in ("full", "none"):
        assert hearing(CLIPS, silence=silence) == (0, 4)
        file = Ragged(hearing.out)
        assert file.attrs["silence"] == silence
        # Behind the second of "a" the window of this tiny encoder ends before silence is compact.
        same = [name for name in file.ids if np.array_equal(file[name], before[name])]
        assert same == (["a"] if silence == "full" else [])


def test_what_a_gpu_computed_does_not_stay_beside_a_cpus(speech):
    speech(CLIPS)
    file, whole = Ragged(speech.out), speech.out.read_bytes()
    params = {**json.loads(file.attrs["params"]), "device": "cuda", "precision": "float16"}
    found = items.read_items(speech.out.with_name("segments.h5"))
    lengths = np.diff(file.offsets)
    with Writer(speech.out, found.ids, lengths, (16,), "float16", {}) as writer:
        for i, content in enumerate(found.contents):
            key = ragged.feature_key(content, canonical_json(params))
            writer.write(i, np.zeros((lengths[i], 16)), key)
    assert speech(CLIPS) == (0, 4)
    assert speech.out.read_bytes() == whole


def test_text_file(text):
    assert text(TEXTS) == (0, 4)
    file = Ragged(text.out)
    assert file.ids == list("abcd")
    assert file.marks("d") == ["[CLS]", "[SEP]"]  # the empty text
    assert file.marks("c") == ["[CLS]", "no", "[SEP]"]
    assert file.spans("c").tolist() == [[0, 0], [0, 2], [0, 0]]
    assert file["c"].shape == (3, 16)
    assert "rate_hz" not in file.attrs and file.attrs["unit"] == "tokens"


def test_a_session_without_utterances_is_a_file_without_items(text):
    assert text({}) == (0, 0)
    assert Ragged(text.out).ids == []
    assert text(TEXTS) == (0, 4) and text({}) == (0, 0)


def test_equal_content_gives_equal_bytes(speech):
    speech(CLIPS)
    speech(CLIPS, out="again.h5")
    first = speech.out.read_bytes()
    assert first == speech.out.with_name("again.h5").read_bytes()
    assert speech(CLIPS) == (4, 0)
    assert first == speech.out.read_bytes()


def test_a_change_computes_what_it_changes(speech):
    assert speech({"b": CLIPS["b"], "d": CLIPS["d"]}) == (0, 2)
    before = Ragged(speech.out)["b"].copy()
    assert speech(CLIPS) == (2, 2)
    assert (Ragged(speech.out)["b"] == before).all()
    assert speech({**CLIPS, "a": CLIPS["a"] + np.int16(1)}) == (3, 1)
    assert speech({"a": CLIPS["a"]}) == (0, 1)
    assert speech(CLIPS) == (1, 3)
    assert speech(CLIPS, layer=-2) == (4, 0)  # layer 2 by another name
    assert speech(CLIPS, layer=1) == (0, 4)
    assert speech(CLIPS, layer=1, code="other") == (0, 4)


def test_all_layers_make_rows_of_layers(speech):
    assert speech(CLIPS, layer="all") == (0, 4)
    file = Ragged(speech.out)
    last = encoders.load(speech.folder, -1)
    assert file.attrs["layer"] == "all"
    for name, clip in CLIPS.items():
        assert file[name].shape[1:] == (4, 16)
        assert np.allclose(file[name][:, -1], last.encode([clip])[0], rtol=2e-3, atol=1e-3)


def test_one_corrected_transcript_computes_one(text):
    text(TEXTS)
    assert text({**TEXTS, "b": "the new tree"}) == (3, 1)
    assert text({name: TEXTS[name] for name in "ab"}) == (1, 1)


def test_another_tokenizer_computes_all(text):
    text(TEXTS)
    settings = text.folder / "tokenizer_config.json"
    settings.write_text(settings.read_text() + " ")
    fetch.fetch(f"path:{text.folder}", text.folder.with_name("other"))
    facts = encoders.read_facts(text.folder.with_name("other"), "tiny")
    found, encoder = items.text_items(TEXTS), encoders.load(text.folder, 2)
    assert extract.extract(found, encoder, facts, text.out, "c0de") == (0, 4)


def test_words_that_the_vocabulary_lacks_are_told(text, caplog):
    text(TEXTS)
    assert "are [UNK]" not in caplog.text
    strange = {"a": "the tree 我 很 高 兴", "b": "no", "c": "no 🙂", "d": "no " + 101 * "x"}
    text(strange)
    said = "6 of 19 tokens are [UNK], in 3 of 4 texts; most in 'a' (4 of 8), 'c' (1 of 4), 'd' (1"
    assert said in caplog.text and "out.h5" in caplog.text


def test_characters_that_nobody_sees_are_told(text, caplog):
    text({"a": "the\u200btree", "b": "the tree", "c": "no\x07", "d": "tre\u200de"})
    assert "2 texts have characters that nobody sees" in caplog.text
    assert "'a' (U+200B), 'c' (U+0007)" in caplog.text
    text({"e": "caf\ufffd"})
    assert "1 texts have characters that nobody sees" in caplog.text and "(U+FFFD)" in caplog.text


def test_what_was_computed_again_for_lack_of_memory_is_counted(text, caplog, monkeypatch):
    load = encoders.load

    def short_of_memory(*given, **options):
        encoder = load(*given, **options)
        encoder.repeated = 7
        return encoder

    monkeypatch.setattr(encoders, "load", short_of_memory)
    with caplog.at_level("INFO"):
        text(TEXTS)
    assert "of these, 7 were computed once more in smaller batches" in caplog.text


def test_texts_without_words_are_told(snapshot, tmp_path, caplog):  # noqa: F811
    fetch.fetch(f"path:{snapshot('bert')}", tmp_path / "bert")

    def run(**texts):
        table = write_utterances(tmp_path / "u.tsv", texts)
        argv = [table, tmp_path / "bert", tmp_path / "out.h5", "--encoder", "bert"]
        extract.main([*map(str, argv), "--config", '{"layer": 1}'])

    run(a="", b="no", c="so")
    assert "are empty" not in caplog.text
    run(a=" ", b="no", c="")
    assert "2 of 3 texts are empty, such as that of 'a'" in caplog.text


CHARACTER = "have what stands for a character on web pages, in program code or in another encoding"
AROUND = "have what a program put around or between the words"


@pytest.mark.parametrize(
    "what, words, said",
    [
        (CHARACTER, "can&#39;t", "&#39;"),
        (CHARACTER, "you &amp; me", "&amp;"),
        (CHARACTER, "can\u00e2\u20ac\u2122t", "\u00e2\u20ac\u2122"),
        (CHARACTER, "caf\u00c3\u00a9", "\u00c3\u00a9"),
        (CHARACTER, r"can\u2019t", r"\u2019"),
        (CHARACTER, "can%27t", "%27"),
        (AROUND, "<|0.00|> so it is<|2.00|>", "<|0.00|>"),
        (AROUND, "[BLANK_AUDIO]", "[BLANK_AUDIO]"),
        (AROUND, "I <i>do</i> know", "<i>"),
        (AROUND, "['so it is']", "['"),
        (AROUND, "b'so it is'", "b'"),
        (AROUND, '{"text": "so it is"}', '{"'),
        (AROUND, r"she said \"no\"", r"\""),
        (AROUND, "caf=C3=A9 ok", "=C3=A9"),
    ],
)
def test_what_is_no_word_in_a_text_is_told(text, caplog, what, words, said):
    text({"a": words, "b": "no"})
    assert f"1 texts {what}: 'a' ({said})" in caplog.text


@pytest.mark.parametrize(
    "words",
    [
        *("AT&T; no", "100% 27 trees", "\u00c2me", "S\u00c3O", "no \\ tree", "50%ab"),
        *("[laughs] no", "a < b and c > d", "he 'said' it", "x = AB", "a|b"),
    ],
)
def test_what_people_write_is_not_taken_for_that(text, caplog, words):
    text({"a": words})
    assert "stands for a character" not in caplog.text and "a program put" not in caplog.text


def test_accents_apart_from_their_letters_are_told_where_they_make_other_tokens(caplog):
    found = items.Items("text", ["a", "b"], ["the cafe\u0301", "caf\u00e9"], [])

    def letters(texts):
        return [list(text) for text in texts]

    def without_accents(texts):
        return [list(unicodedata.normalize("NFD", t).replace("\u0301", "")) for t in texts]

    for marks, told in ((letters, True), (without_accents, False)):
        caplog.clear()
        encoder = SimpleNamespace(marks=marks, unknown=None)
        extract.tell_of_lost_words(found, marks(found.inputs), encoder, Path("t.h5"))
        said = "t.h5: 1 texts write accents as characters of their own, which makes other tokens"
        assert (f"{said}: 'a'; compose them" in caplog.text) == told == bool(caplog.text)


def test_letters_that_no_token_or_more_than_one_has_are_told(caplog):
    found = items.Items("text", ["a", "b"], ["the дом", "no"], [])
    whole, no = [(0, 3), (4, 7)], [(0, 2)]
    cases = {
        "": [whole, no],
        "3 of 8 letters and digits of the words are in no token": [[(0, 3)], no],
        "2 of 8 letters and digits of the words are parted into bytes": [
            [(0, 3), (4, 5), (4, 5), (5, 6), (5, 6), (6, 7)],
            no,
        ],
    }
    for said, spans in cases.items():
        caplog.clear()
        extract.tell_of_lost_letters(found, [np.array(item) for item in spans], "out.h5")
        assert said in caplog.text and bool(said) == bool(caplog.text)
        assert not said or "most in 'a'" in caplog.text


def test_letters_in_no_token_are_told_by_extract(snapshot, tmp_path, caplog):  # noqa: F811
    folder = with_tokenizer(tmp_path / "t", snapshot, chinese_words("<s> $A </s>"), **SPECIALS)
    encoder = encoders.load(folder, 1)
    encoders.write_facts(folder, {"source": "path:x", "revision": ""})
    facts = encoders.read_facts(folder, "tiny")
    found = items.text_items({"a": "我 爱 他 dog", "b": "我"})
    extract.extract(found, encoder, facts, tmp_path / "o.h5", "c0de")
    assert "4 of 7 letters and digits of the words are in no token" in caplog.text
    assert "most in 'a' (4)" in caplog.text


def test_label_words_like_special_tokens_are_words(snapshot, tmp_path):  # noqa: F811
    fetch.fetch(f"path:{snapshot('bert')}", tmp_path / "bert")
    config = json.dumps({"layer": 1, "labels": {"sad": "no [SEP] tree"}})
    argv = [str(tmp_path / "bert"), str(tmp_path / "labels.h5"), "--encoder", "bert"]
    extract.main([*argv, "--threads", "1", "--config", config])
    marks = Ragged(tmp_path / "labels.h5").marks("sad")
    assert (marks.count("[CLS]"), marks.count("[SEP]"), marks[-2]) == (1, 1, "tree")


def test_no_items(speech):
    assert speech({}) == (0, 0)
    assert len(Ragged(speech.out)) == 0


def test_a_damaged_file_is_made_anew(speech):
    speech(CLIPS)
    whole = speech.out.read_bytes()
    speech.out.write_bytes(whole[:100])
    assert speech(CLIPS) == (0, 4)
    assert speech.out.read_bytes() == whole


@pytest.fixture
def one_value(monkeypatch):
    """one_value(value): from now on the utterance b has that value in row 1, dimension 3."""
    run = Waveform._run
    return lambda value: monkeypatch.setattr(Waveform, "_run", broken(run, value))


def broken(run, value):

    def replaced(self, batch):
        hidden = run(self, batch)
        for clip, rows in zip(batch, hidden, strict=True):
            if len(clip) == len(CLIPS["b"]):
                rows[1, 3] = value
        return hidden

    return replaced


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", LARGEST)
def test_what_is_no_finite_number_is_an_error(value, dtype, speech, one_value):
    speech(CLIPS)
    before = speech.out.read_bytes()
    one_value(value)
    with pytest.raises(InputError, match=r"out\.h5: b: largest feature (nan|inf) .* take it out"):
        speech(CLIPS, code="other", dtype=dtype)
    assert speech.out.read_bytes() == before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_an_utterance_beyond_float16_stops_nothing(dtype, speech, one_value, caplog):
    one_value(-70000.0)
    with caplog.at_level("INFO", "labelmer"):
        assert speech(CLIPS, dtype=dtype) == (0, 4)
    file = Ragged(speech.out)
    assert (file.dtype, file.attrs["dtype"]) == (dtype, dtype)
    held = {"float16": -65504, "bfloat16": -70144, "float32": -70000}
    assert file["b"][1, 3] == held[dtype]
    warned = "b: largest feature 70000, but float16 holds numbers up to 65504" in caplog.text
    assert warned == ("1 were computed once more in float32" in caplog.text) == (dtype == "float16")
    exact = encoders.load(speech.folder, 2).encode([CLIPS["a"]])[0]
    digits = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 1e-6}
    assert np.allclose(file["a"], exact, rtol=digits[dtype], atol=1e-5)
    assert speech(CLIPS, dtype=dtype) == (4, 0)
    other = "float32" if dtype != "float32" else "float16"
    assert speech(CLIPS, dtype=other) == (0, 4)  # another type is other features


def test_another_dtype_is_refused(speech):
    with pytest.raises(InputError, match=r"bad dtype 'float8', expected one of .*'bfloat16'"):
        speech(CLIPS, dtype="float8")


@pytest.fixture
def overflowing(monkeypatch):
    """overflowing(): from now on the first of a batch overflows, unless it is computed exactly."""

    def begin(self, inputs, dtype, exact=False):
        features = given(self, inputs, dtype, exact)()
        if not exact:
            features[0][:] = np.inf
        return lambda: features

    given = Waveform.begin
    return lambda: monkeypatch.setattr(Waveform, "begin", begin)


def test_what_overflows_in_mixed_precision_is_computed_again_in_float32(speech, overflowing):
    speech(CLIPS)
    expected = speech.out.read_bytes()
    overflowing()
    assert speech(CLIPS, out="other.h5") == (0, 4)
    assert speech.out.with_name("other.h5").read_bytes() == expected


# Interruptions. The encoders here take their time, so that a kill strikes at every stage.

MANY = {f"u{i:02d}": clip for i, clip in enumerate(noise(*np.linspace(0.1, 1.3, 40)))}


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setitem(ROWS_PER_BATCH, "cpu", 100)
    monkeypatch.setattr(ragged_writer, "COMMIT_S", 0.0)


def in_another_process(run, *arguments, delay=0.0):
    """Start run(*arguments) in a process of its own, with a delay before each batch."""

    def target():
        torch.set_num_threads(1)  # a forked process cannot use the parent's threads
        begin = Waveform.begin

        def slow(*arguments, **options):
            time.sleep(delay)
            return begin(*arguments, **options)

        Waveform.begin = slow
        run(*arguments)

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    return process


def finish(process):
    process.join(60)
    assert process.exitcode == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_at_random_moments_ends_in_the_same_bytes(seed, speech, small_batches):
    finish(in_another_process(speech, MANY, 2, "c0de", "undisturbed.h5"))
    expected = speech.out.with_name("undisturbed.h5").read_bytes()
    draw = random.Random(seed)
    if seed % 2:  # an earlier file is there, of some of the items
        finish(in_another_process(speech, dict(list(MANY.items())[::3])))
        shutil.copy(speech.out, speech.out.with_name("undisturbed.h5"))
        finish(in_another_process(speech, MANY, 2, "c0de", "undisturbed.h5"))
        expected = speech.out.with_name("undisturbed.h5").read_bytes()
    before = speech.out.read_bytes() if speech.out.exists() else None
    for _ in range(5):
        process = in_another_process(speech, MANY, delay=0.05)
        process.join(draw.uniform(0.02, 0.6))
        if not process.is_alive():
            break
        process.kill()
        process.join()
        # The old file, or the whole new one if the kill came just behind the end.
        now = speech.out.read_bytes() if speech.out.exists() else None
        assert now in (before, expected)
    finish(in_another_process(speech, MANY))
    assert speech.out.read_bytes() == expected
    assert not list(speech.out.parent.glob("out.h5.*"))


def killed_after(count, speech):
    """Kill an extraction when so many items are finished; returns how many are."""
    process = in_another_process(speech, MANY, delay=0.05)
    part = speech.out.with_name("out.h5.part")
    while not part.exists() or Ragged(part).keys.any(axis=1).sum() < count:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    return int(Ragged(part).keys.any(axis=1).sum())


def test_what_was_finished_before_a_kill_is_not_computed_again(speech, small_batches, caplog):
    done = killed_after(10, speech)
    with caplog.at_level("INFO", "labelmer"):
        kept, computed = speech(MANY)
    assert f"{done} items were left by an interrupted run" in caplog.text
    again = re.search(r"(\d) were computed once more, as an interrupted run", caplog.text)
    assert done - kept == (int(again[1]) if again else 0)
    assert done - 3 < kept <= done  # a batch begun (of three here) is computed whole
    assert kept + computed == len(MANY)


@pytest.mark.slow
def test_what_was_finished_before_a_kill_serves_other_plans(speech, small_batches, monkeypatch):
    done = killed_after(20, speech)
    monkeypatch.setitem(ROWS_PER_BATCH, "cpu", 70)
    kept, computed = speech({**MANY, "x": CLIPS["a"]})
    assert done - 3 < kept <= done
    assert kept + computed == len(MANY) + 1 == len(Ragged(speech.out))


@pytest.mark.slow
def test_what_overflows_does_not_change_the_bytes_after_a_kill(speech, small_batches, overflowing):
    overflowing()
    finish(in_another_process(speech, MANY, 2, "c0de", "undisturbed.h5"))
    for count in (8, 22):
        killed_after(count, speech)
    finish(in_another_process(speech, MANY))
    expected = speech.out.with_name("undisturbed.h5").read_bytes()
    assert speech.out.read_bytes() == expected


def test_an_interruption_leaves_the_old_file(speech, monkeypatch):
    speech({"b": CLIPS["b"]})
    before = speech.out.read_bytes()

    def interrupted(self, inputs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Waveform, "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            speech(CLIPS)
    assert speech.out.read_bytes() == before
    assert speech(CLIPS) == (1, 3)


def test_two_processes_on_one_output_take_turns(speech, small_batches):
    processes = [in_another_process(speech, MANY, delay=0.02) for _ in range(3)]
    for process in processes:
        finish(process)
    finish(in_another_process(speech, MANY, 2, "c0de", "alone.h5"))
    assert speech.out.read_bytes() == speech.out.with_name("alone.h5").read_bytes()
    assert not list(speech.out.parent.glob("out.h5.*"))


def test_wrong_input_is_an_error(text, tmp_path):
    with pytest.raises(InputError, match="'x' is a speech encoder, expected one for text"):
        facts = {"encoder": "x"}
        encoder = encoders.load(fetched(tmp_path / "fbank"), None)
        extract.extract(items.text_items(TEXTS), encoder, facts, tmp_path / "x.h5", "c")
    text(TEXTS)
    with pytest.raises(InputError, match="a file of features, expected segments"):
        items.read_items(text.out)
    with pytest.raises(InputError, match="labelmer fetch"):
        encoders.read_facts(tmp_path / "nowhere", "x")


def fetched(folder):
    fetch.fetch("builtin:fbank", folder)
    return folder


def test_command_line_of_speech(tmp_path):
    segments = write_segments(tmp_path / "segments.h5", CLIPS)
    out, log = tmp_path / "new" / "out.h5", tmp_path / "logs" / "out.log"
    argv = [segments, fetched(tmp_path / "fbank"), out, "--encoder", "fbank", "--threads", 1]
    argv += ["--config", '{"code": "abc"}', "--log", log]
    extract.main([str(word) for word in argv])
    assert "0 items kept, 4 computed" in log.read_text()
    assert "seconds of audio/s" in log.read_text()
    file = Ragged(out)
    assert file.attrs["code"] == code_digest("features.encoders.filterbank")
    assert file["a"].shape == (98, 80)


def test_an_extraction_does_not_overwrite_what_it_reads(tmp_path, capsys):
    table = write_utterances(tmp_path / "words.tsv", TEXTS)
    before = table.read_bytes()
    segments = write_segments(tmp_path / "segments.h5", CLIPS)
    fbank = fetched(tmp_path / "fbank")
    for out in (table, tmp_path, segments):
        argv = [segments, fbank, out, "--encoder", "fbank"]
        with pytest.raises(SystemExit):
            extract.main([str(word) for word in argv])
    assert table.read_bytes() == before and Ragged(segments).attrs["kind"] == "segments"


def test_command_line_of_labels(snapshot, tmp_path):  # noqa: F811
    fetch.fetch(f"path:{snapshot('bert')}", tmp_path / "bert")
    config = {"layer": 1, "labels": {"sad": "old and no", "angry": "tree"}}
    argv = [str(tmp_path / "bert"), str(tmp_path / "labels.h5"), "--encoder", "bert"]
    extract.main([*argv, "--threads", "1", "--config", json.dumps(config)])
    file = Ragged(tmp_path / "labels.h5")
    assert file.ids == ["angry", "sad"]
    assert file.marks("angry") == ["[CLS]", "tree", "[SEP]"]
    assert file.attrs["code"] == code_digest("features.encoders.text") and file.dtype == "float16"
    wide = json.dumps({**config, "dtype": "float32"})
    extract.main([*argv, "--threads", "1", "--config", wide])
    assert Ragged(tmp_path / "labels.h5").dtype == "float32"
    with pytest.raises(SystemExit):  # neither input nor labels
        extract.main([*argv, "--config", '{"layer": 1}'])


@pytest.mark.parametrize(
    "config, said",
    [
        (
            {"layr": 3},
            "--config: unknown keys ['layr'], expected some of ['code', 'dtype', 'files', 'labels'",
        ),
        ({"dtype": "float8"}, "--config: dtype: 'float8', expected one of ['float16', 'bfloat16'"),
        ({"window_s": 0}, "--config: window_s: 0, expected a number from 1"),
        ({"layer": "last"}, "--config: layer: 'last', expected a whole number, or all"),
    ],
)
def test_what_the_stage_is_told_is_checked_as_the_config_is(tmp_path, caplog, config, said):
    argv = [str(tmp_path), str(tmp_path / "out.h5"), "--encoder", "x"]
    with pytest.raises(SystemExit):
        extract.main([*argv, "--config", json.dumps(config)])
    assert said in caplog.text


@pytest.mark.parametrize("stage", ["extract", "fetch"])
def test_help_does_not_import_torch(stage):
    program = (
        f"import sys; from labelmer.features.{stage} import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=root)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2500])
def test_an_hour_of_speech_takes_under_2_gb_of_memory(count, tmp_path):
    (tmp_path / "made").mkdir()
    made = make_whisper(tmp_path / "made", 80, seconds=30, width=128)
    fetch.fetch(f"path:{made}", tmp_path / "whisper")
    draw = np.random.default_rng(0)
    lengths = draw.multinomial(3600 * 16000, np.full(count, 1 / count))
    clips = {f"u{i:04d}": draw.integers(-999, 999, n, np.int16) for i, n in enumerate(lengths)}
    segments = write_segments(tmp_path / "segments.h5", clips)
    command = [sys.executable, "-m", "labelmer", "extract", segments, tmp_path / "whisper"]
    command += [tmp_path / "out.h5", "--encoder", "whisper", "--config", '{"layer": 1}']
    process = subprocess.Popen(command, cwd=REPOSITORY)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0 and len(Ragged(tmp_path / "out.h5")) == count
    assert usage.ru_maxrss < 2e6  # kilobytes
