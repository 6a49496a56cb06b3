"""transcribe: a session's table of recognised words, kept by key, and whole after a kill."""

import json
import multiprocessing
import re
import time

import numpy as np
import pytest
import torch
from test_encoders import noise
from test_extract import finish, write_segments, write_utterances
from test_recogniser import make_transcriber

from labelmer.base import tables
from labelmer.features import fetch, transcribe
from labelmer.features.items import read_items
from labelmer.features.recogniser import Recogniser

CLIPS = dict(zip("abcde", noise(1.0, 0.2, 5.0, 0.6, 0.0), strict=True))
MANY = {f"u{i:02d}": clip for i, clip in enumerate(noise(*np.linspace(0.1, 1.3, 24)))}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The folder of a tiny random Whisper, as fetch writes it."""
    folder = tmp_path_factory.mktemp("transcriber")
    fetch.fetch(f"path:{make_transcriber(folder / 'origin')}", folder / "fetched")
    return folder / "fetched"


@pytest.fixture
def run(tmp_path, checkpoint):
    """run(clips, config): the stage into tmp_path/out.tsv; the table, and (kept, recognised)."""

    def run(clips, config='{"repetition": 1000.0}', out="out.tsv", folder=checkpoint):
        segments = write_segments(tmp_path / "segments.h5", clips)
        log = tmp_path / "log"
        arguments = [segments, folder, tmp_path / out, "--threads", 1, "--config", config]
        transcribe.main([*map(str, arguments), "--log", str(log)])
        counts = re.findall(r"(\d+) utterances kept, (\d+) recognised", log.read_text())[-1]
        return tables.read(tmp_path / out, "recognised"), tuple(map(int, counts))

    run.out = tmp_path / "out.tsv"
    return run


def test_the_table_has_what_the_recogniser_says(run, checkpoint):
    table, _ = run(CLIPS)
    assert list(table.id) == sorted(CLIPS)
    found = Recogniser(checkpoint, repetition=1000.0).recognise(list(CLIPS.values()))
    assert list(table.text) == list(table.heard) == [said.text for said in found]
    rows = table.set_index("id")
    assert rows.text["a"] and not rows.reason["a"] and rows.windows["c"] > 2
    assert (rows.text["e"], rows.reason["e"]) == ("", "silence")
    assert np.isnan(rows.no_speech["e"]) and 0 < rows.no_speech["a"] < 1
    how = json.loads(run.out.with_suffix(".json").read_text())
    assert how["repetition"] == 1000.0 and how["beam"] == 1 and how["language"] is None
    assert how["checkpoint"] == json.loads((checkpoint / "source.json").read_text())["content"]
    assert table.key.is_unique and set(table.key.str.len()) == {64}


def test_what_was_thrown_away_is_kept_beside_the_words(run, checkpoint):
    table, _ = run(CLIPS, '{"repetition": 1.0001}')
    found = Recogniser(checkpoint, repetition=1.0001).recognise(list(CLIPS.values()))
    assert list(table.heard) == [said.heard for said in found]
    assert ((table.text == "") & (table.heard != "")).any()


def test_what_did_not_change_is_kept_and_the_rest_recognised(run, tmp_path, checkpoint):
    assert run(CLIPS)[1] == (0, 5)
    before = run.out.read_bytes()
    assert run(CLIPS)[1] == (5, 0) and run.out.read_bytes() == before
    other = {**CLIPS, "b": CLIPS["a"][:8000], "f": CLIPS["d"]}
    table, counts = run(other)
    assert counts == (4, 2) and list(table.id) == sorted(other)
    assert run(CLIPS)[1] == (4, 1) and run.out.read_bytes() == before
    assert run(CLIPS, '{"repetition": 1000.0, "beam": 2}')[1] == (0, 5)
    assert run(CLIPS, '{"repetition": 1.0001, "beam": 2}')[1] == (0, 5)
    origin = make_transcriber(tmp_path / "origin", seed=1)
    fetch.fetch(f"path:{origin}", tmp_path / "other")
    assert run(CLIPS, folder=tmp_path / "other")[1] == (0, 5)
    assert run.out.read_bytes() != before


def test_a_damaged_table_in_its_place_is_not_taken_over(run, caplog):
    run.out.write_text("id\ttext\tkey\na\tthe dog\n")
    assert run(CLIPS)[1] == (0, 5) and "nothing is taken over from it" in caplog.text


def test_another_table_in_its_place_stays_there(run, caplog):
    run.out.write_text("id\twords\na\tthe dog\n")
    with pytest.raises(SystemExit):
        run(CLIPS)
    assert "out.tsv: is there and no table of recognised words, and would be lost" in caplog.text
    assert run.out.read_text() == "id\twords\na\tthe dog\n"


def test_words_go_on_to_a_text_encoder(run):
    table, _ = run(CLIPS)
    items = read_items(run.out)
    assert (items.modality, items.ids, items.inputs) == ("text", list("abcde"), list(table.text))


def killed_after(count, run):
    """Kill a process that transcribes when so many utterances are done; how many are."""

    def target():
        torch.set_num_threads(1)
        recognise = Recogniser.recognise

        def slow(*arguments):
            time.sleep(0.2)
            return recognise(*arguments)

        Recogniser.recognise = slow
        run(MANY)

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    part = run.out.with_name("out.tsv.part")
    while not part.exists() or len(tables.read(part, "recognised")) < count:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    return len(tables.read(part, "recognised"))


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [False, True])
def test_a_kill_costs_a_batch_and_changes_no_byte(earlier, run):
    def undisturbed():
        if earlier:
            run(dict(list(MANY.items())[::3]))
        run(MANY)

    in_process(undisturbed)
    expected = run.out.read_bytes()
    run.out.unlink()
    if earlier:
        in_process(lambda: run(dict(list(MANY.items())[::3])))
    before = run.out.read_bytes() if earlier else None
    done = killed_after(10, run)
    assert 10 <= done < len(MANY)
    assert (run.out.read_bytes() if earlier else None) == before
    _, (kept, recognised) = run(MANY)
    assert (kept, recognised) == (done, len(MANY) - done)
    assert run.out.read_bytes() == expected
    assert not list(run.out.parent.glob("out.tsv.*"))


def in_process(target):
    """Do something in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    finish(process)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"language": "pl"}, "knows English alone"),
        ({"beam": 0}, "beam: 0, expected a whole number from 1"),
        ({"no_speach": 0.5}, "unknown keys ['no_speach']"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_written(change, said, run, caplog):
    with pytest.raises(SystemExit):
        run(CLIPS, json.dumps(change))
    assert said in caplog.text and not run.out.exists()


def test_a_table_is_no_segments(run, checkpoint, tmp_path, caplog):
    words = write_utterances(tmp_path / "words.tsv", {"a": "the dog"})
    with pytest.raises(SystemExit):
        transcribe.main([str(words), str(checkpoint), str(run.out)])
    assert "a table, expected segments" in caplog.text
