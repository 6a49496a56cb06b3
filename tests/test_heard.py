"""Recognised words in use: bundles of runs that were trained on them, and recognising new ones."""

import json
import shutil

import numpy as np
import pytest
import torch
from studies import CLASSES, Study
from test_encoders import snapshot  # noqa: F401
from test_recogniser import make_transcriber

import labelmer
from labelmer import inspection
from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.prediction import bundle, predict

torch.set_num_threads(1)
P = [f"p_{name}" for name in CLASSES]
OPTIONS = {"beam": 2, "repetition": 1000.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory, snapshot):  # noqa: F811
    """A run on the corpus' words, .own, and one on those that the transcriber `ears` heard."""
    made = Study(tmp_path_factory.mktemp("study"))
    made.whisper = make_transcriber(tmp_path_factory.mktemp("whisper"))
    made.transcribe("ears", f"path:{made.whisper}", **OPTIONS)
    made.encoder("fbank", "speech", "builtin:fbank")
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2)
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2, heard_by="ears")
    made.own = made.run("full", "fbank", "bert")
    made.recognised = made.run("full", "fbank", "bert", "frozen-recognised")
    return made


@pytest.fixture(scope="module")
def model(study, tmp_path_factory):
    """The bundle of the run on recognised words."""
    out = tmp_path_factory.mktemp("bundles") / "m"
    bundle.bundle([study.recognised], out)
    return out


@pytest.fixture(autouse=True)
def cached(tmp_path_factory, monkeypatch):
    """Fetched encoders stay in a folder of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def heard(study):
    """{id: recognised words} of all utterances."""
    return tables.texts(study.corpus / "transcripts/ears/s.tsv")


def test_recordings_alone_are_heard_and_judged_as_evaluate_did(study, model, capsys, tmp_path):
    """Other batches, so to the rounding of the device; the words are the same."""
    wavs = {str(study.wav(name)): name for name in study.tested().id}
    told = [str(model), *wavs, "--transcribe", "--json", "--tsv", str(tmp_path / "out.tsv")]
    predict.main(told)
    rows = json.loads(capsys.readouterr().out)
    words = heard(study)
    assert [row["text"] for row in rows] == [words[wavs[row["id"]]] for row in rows]
    assert len({row["text"] for row in rows}) > 2
    table = tables.read(tmp_path / "out.tsv", "new", predict.TABLE)
    assert table.text.tolist() == [row["text"] for row in rows]
    predictor = labelmer.load(model)
    for path, name in list(wavs.items())[:3]:
        alone = predictor(path, transcribe=True)
        assert alone.text == words[name]
        wanted = study.predictions(study.recognised).loc[name, P].to_numpy(float)
        np.testing.assert_allclose(alone.uncalibrated[0], wanted, atol=1e-5)


def test_a_bundle_has_the_studys_transcriber_whole(study, model, tmp_path):
    told = json.loads((model / "bundle.json").read_text())["transcriber"]
    assert told["source"] == f"path:{study.whisper}" and told["folder"] == "transcriber"
    assert told["options"] == {"language": None, "no_speech": 0.6, **OPTIONS}
    card = (model / "README.md").read_text()
    assert "| words | recognised ones |" in card and "`transcribe=True`" in card
    shutil.copytree(model, tmp_path / "m")
    facts = inspection.about_folder(tmp_path / "m", [])
    assert facts["transcriber"] == f"ears (path:{study.whisper}, in the bundle)"
    assert f"transcriber {facts['transcriber']}" in inspection.as_text(facts)
    source = tmp_path / "m/transcriber/source.json"
    source.write_text(json.dumps({**json.loads(source.read_text()), "weights": "f00d"}))
    with pytest.raises(InputError, match="weights f00d of path:"):
        labelmer.load(tmp_path / "m")(study.wav("u000"), transcribe=True)


def test_inspect_reads_recognised_words(study, facts, said, tmp_path):
    table = study.corpus / "transcripts/ears/s.tsv"
    found = facts(table)
    assert (found["kind"], found["utterances"]) == ("recognised words", len(study.table))
    assert found["words"] == sum(len(text.split()) for text in heard(study).values())
    assert found["beam"] == OPTIONS["beam"] and found["language"] is None
    assert facts(table, "u001")["text"] == heard(study)["u001"]
    message = said(inspection.main, table, "U001")
    assert f"id 'U001' is not among the table's {len(study.table)}; the nearest are u001" in message
    shutil.copy(table, tmp_path)
    message = said(inspection.main, tmp_path / table.name)
    assert "s.tsv: not a ragged file" in message and "with the .json beside it" in message
    assert "fold1.tsv" in said(inspection.main, study.fold)


def test_words_that_are_given_are_words_given(study, model):
    row = study.tested().iloc[0]
    given = labelmer.load(model)(study.wav(row.id), heard(study)[row.id])
    wanted = study.predictions(study.recognised).loc[row.id, P].to_numpy(float)
    np.testing.assert_allclose(given.uncalibrated[0], wanted, atol=1e-5)


def test_models_of_the_corpus_words_have_the_transcriber_too(study, tmp_path):
    bundle.bundle([study.own], tmp_path / "m")
    assert "| words | the corpus' own |" in (tmp_path / "m/README.md").read_text()
    predictor = labelmer.load(tmp_path / "m")
    said = predictor(study.wav("u000"), transcribe=True)
    assert said.text == heard(study)["u000"]
    assert predictor(study.wav("u000"), said.text).probabilities.tolist() == (
        said.probabilities.tolist()
    )
    alone = study.run("speech-only", "fbank", "bert", modalities=["speech"])
    assert bundle.bundle([alone], tmp_path / "deaf")["transcriber"] is None


def test_what_has_words_already_or_no_sound_is_not_transcribed(study, model, tmp_path, said):
    cuts = tmp_path / "cuts.tsv"
    cuts.write_text("id\tstart\tend\ttext\na\t0\t0.2\tno tree\n")
    arguments = model, study.wav("u000"), "--segments", cuts, "--transcribe"
    assert "'a': words already, expected audio" in said(predict.main, *arguments)
    predictor = labelmer.load(model)
    with pytest.raises(InputError, match="words already"):
        predictor(study.wav("u000"), "no tree", transcribe=True)
    with pytest.raises(InputError, match="'utterance': no audio"):
        predictor(transcribe=True)


def test_silence_has_no_words_and_is_named(model, caplog):
    silent = labelmer.load(model)(np.zeros(16_000, np.int16), transcribe=True)
    assert silent.text == "" and "no words are recognised: silence" in caplog.text


def test_of_several_transcribers_one_is_chosen_by_name(study, tmp_path, said):
    folder = study.corpus / "transcripts/other"
    shutil.copytree(study.corpus / "transcripts/ears", folder)
    try:
        text = said(bundle.main, study.own, "-o", tmp_path / "m")
        assert "the transcribers ['ears', 'other'], expected one; choose one by --tran" in text
        text = said(bundle.main, study.own, "-o", tmp_path / "m", "--transcriber", "eyes")
        assert "expected 'eyes'" in text and not (tmp_path / "m").exists()
        bundle.main([str(study.own), "-o", str(tmp_path / "m"), "--transcriber", "ears"])
        assert labelmer.load(tmp_path / "m").bundle.about["transcriber"]["name"] == "ears"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"checkpoint": "f00d"}, "recognised by checkpoint f00d, expected "),
        ({"beam": 3}, "sessions recognised in different ways"),
        (None, "t.json: cannot be read"),
    ],
)
def test_how_words_were_recognised_must_be_known(study, tmp_path, said, change, words):
    folder = study.corpus / "transcripts/ears"
    told = json.loads((folder / "s.json").read_text())
    shutil.copy(folder / "s.tsv", folder / "t.tsv")
    if change:
        (folder / "t.json").write_text(json.dumps({**told, **change}))
    try:
        text = said(bundle.main, study.own, "-o", tmp_path / "m")
        assert words in text and "run the workflow to its end" in text
    finally:
        for path in folder.glob("t.*"):
            path.unlink()
