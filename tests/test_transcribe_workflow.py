"""Recognised words through the real workflow: tested on, trained on, and what runs again."""

import json
import shutil

import numpy as np
import pytest
from conftest import Workspace, made_once, tiny_config
from corpora import turns_of, write_audio, write_release
from test_encoders import snapshot  # noqa: F401
from test_recogniser import make_transcriber

import labelmer
from labelmer import inspection
from labelmer.base import tables
from labelmer.base.ragged import Ragged
from labelmer.prediction import bundle
from labelmer.report import columns

pytestmark = pytest.mark.slow

SESSIONS = ("Session1", "Session2", "Session3")
TINY = "results/tiny"
WORDS = f"{TINY}/transcripts/tiny-asr"
FEATURES = f"{TINY}/features/bert/frozen/transcripts/tiny-asr"
TRANSCRIBE = {("transcribe", f"{WORDS}/{session}.tsv") for session in SESSIONS}
EXTRACT = {("extract_transcripts", f"{FEATURES}/{session}.h5") for session in SESSIONS}


@pytest.fixture(scope="session")
def finished(tmp_path_factory, snapshot):  # noqa: F811
    """A workspace in which all has run with a tiny transcriber, on both kinds of words."""

    def make(folder):
        workspace = Workspace(folder)
        turns = turns_of()
        write_release(workspace.folder / "corpus", turns)
        silent = workspace.folder / "corpus/Session1/sentences/wav" / turns[0].dialogue
        write_audio(silent / f"{turns[0].id}.wav", turns[0].end - turns[0].start, "silence")
        shutil.copytree(snapshot("bert"), workspace.folder / "bert")
        (workspace.folder / "whisper").mkdir()
        make_transcriber(workspace.folder / "whisper")
        config = tiny_config()
        config["encoders"]["bert"] = {"modality": "text", "source": "path:bert", "layer": 1}
        config["transcriber"] = {"name": "tiny-asr", "source": "path:whisper", "repetition": 1000.0}
        del config["encoders"]["minilm"], config["variants"]["additive"]
        config["variants"] = {name: config["variants"][name] for name in ("full", "linear-text")}
        own = {**config["experiments"][0], "text": "bert", "variants": ["full", "linear-text"]}
        config["experiments"] = [own, {**own, "words": "recognised"}]
        workspace.configure(config)
        workspace.snakemake()

    return made_once(tmp_path_factory, "transcribed", make)


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copied(tmp_path / "copy")


def recognised_rules(jobs):
    return {(rule, path) for rule, path in jobs if rule in ("transcribe", "extract_transcripts")}


def test_models_are_tested_and_trained_on_recognised_words(finished):
    folder = finished.folder
    first = tables.read(folder / WORDS / "Session1.tsv", "recognised").set_index("id")
    silent = turns_of()[0].id
    assert (first.text[silent], first.reason[silent]) == ("", "silence")
    assert first.text.drop(silent).all()
    features = Ragged(folder / FEATURES / "Session1.h5")
    assert features.ids == list(first.index)
    assert features.marks(silent) == ["[CLS]", "[SEP]"]

    reports = folder / TINY / "main/reports"
    compare = columns.read(reports / "compare.tsv", "compare")
    assert set(zip(compare["mode"], compare["variant"], strict=True)) == {
        (mode, variant)
        for mode in ("frozen", "frozen-recognised")
        for variant in ("full", "linear-text")
    }
    robustness = columns.read(reports / "robustness.tsv", "robustness")
    tested = robustness[robustness["condition"] == "transcripts"]
    assert set(tested["mode"]) == {"frozen"} and len(tested) == 2

    heard = Ragged(
        folder / TINY / "main/salience/fbank+bert/frozen-recognised/full/fold1.seed1/text.h5"
    )
    assert heard.attrs["mode"] == "frozen-recognised" and silent in heard
    assert all(heard.marks(name) == features.marks(name) for name in heard.ids)

    errors = tables.read(reports / "recognition.tsv", "recognition", columns.RECOGNITION)
    row = errors.iloc[0]
    assert row["slice"] == "all" and row["wer"] > 0.8  # the network is random
    assert set(errors["slicing"]) == {"all", "class", "session"}
    assert {"angry", "happy", "neutral", "sad", *SESSIONS} <= set(errors["slice"])
    page = (reports / "index.html").read_text()
    assert ">Recognised words</h2>" in page
    assert "fbank + bert, frozen encoders, recognised words" in page
    figures = {path.name for path in (reports / "figures/fbank+bert/frozen-recognised").iterdir()}
    assert "folds.svg" in figures and "examples.svg" not in figures


def test_models_of_them_are_bundled_and_hear_them(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = "fbank+bert/frozen-recognised/full"
    bundle.bundle([finished.folder / TINY / "main/models" / place], tmp_path / "m")
    path = finished.folder / TINY / f"main/predictions/{place}/fold1.seed1.tsv"
    row = tables.read(path, "predictions").query("part == 'test'").iloc[0]
    wav = f"corpus/{row.session}/sentences/wav/{row.dialogue}/{row.id}.wav"
    said = labelmer.load(tmp_path / "m")(finished.folder / wav, transcribe=True)
    words = tables.texts(finished.folder / WORDS / f"{row.session}.tsv")
    assert said.text == words[row.id]
    p = [row[f"p_{name}"] for name in said.classes]
    np.testing.assert_allclose(said.uncalibrated[0], p, atol=1e-5)
    config = finished.folder / "test.yaml"
    inspection.main([str(finished.folder / "results"), "--configfile", str(config), "--json"])
    assert json.loads(capsys.readouterr().out)["unmade"] == {}


def test_nothing_runs_again_and_one_sessions_audio_alone(copy):
    assert copy.jobs() == set()
    turn = next(t for t in turns_of() if t.session == "Session2")
    path = copy.folder / "corpus/Session2/sentences/wav" / turn.dialogue / f"{turn.id}.wav"
    write_audio(path, turn.end - turn.start, "silence")
    copy.snakemake(f"{WORDS}/Session2.tsv", "splits")  # behind which Snakemake plans anew
    log = (copy.folder / "logs/tiny/transcripts/tiny-asr/Session2.log").read_text()
    assert "19 utterances kept, 1 recognised" in log and "without words: silence" in log
    jobs = recognised_rules(copy.jobs())
    assert jobs == {("extract_transcripts", f"{FEATURES}/Session2.h5")}


def test_another_beam_recognises_all_and_another_transcriber_stands_beside(copy):
    config = copy.config()
    config["transcriber"]["beam"] = 2
    copy.configure(config)
    assert recognised_rules(copy.jobs()) == TRANSCRIBE | EXTRACT
    config["transcriber"].update(beam=1, name="other")
    copy.configure(config)
    made = {path for _, path in recognised_rules(copy.jobs())}
    assert made == {path.replace("tiny-asr", "other") for _, path in TRANSCRIBE | EXTRACT}
    config["transcriber"]["name"] = "tiny-asr"
    copy.configure(config)
    assert copy.jobs() == set()


def test_another_language_is_asked_of_the_checkpoint_before_anything_runs(copy):
    config = copy.config()
    config["transcriber"]["language"] = "pl"
    copy.configure(config)
    status, output = copy.snakemake("--dry-run", check=False)
    assert status == 1 and "language 'pl', but the checkpoint knows English alone" in output


def test_without_experiments_on_them_nothing_trains_on_recognised_words(copy):
    config = copy.config()
    del config["experiments"][1]
    copy.configure(config)
    assert not {rule for rule, _ in copy.jobs()} & {"train", "linear", "evaluate", "transcribe"}
    del config["transcriber"]
    copy.configure(config)
    jobs = {rule for rule, _ in copy.jobs()}
    assert {"evaluate", "linear"} <= jobs and not jobs & {"train", "recognition", "transcribe"}


def test_a_checkpoint_without_a_decoder_is_named(copy, snapshot):  # noqa: F811
    shutil.copytree(snapshot("whisper"), copy.folder / "deaf")
    config = copy.config()
    config["transcriber"].update(name="deaf", source="path:deaf")
    copy.configure(config)
    status, output = copy.snakemake("--dry-run", check=False)
    assert status == 1 and "deaf: an encoder alone, expected its decoder as well" in output
    config["transcriber"]["source"] = "path:nowhere"
    copy.configure(config)
    status, output = copy.snakemake("--dry-run", check=False)
    assert status == 1 and "transcriber: source: there is no folder 'nowhere'" in output
