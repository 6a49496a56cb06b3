"""Bundles: what they hold, what they say of new recordings and words, and what they refuse."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import REPOSITORY
from huggingface_hub import ModelCard
from studies import CLASSES, Study
from test_encoders import snapshot  # noqa: F401

import labelmer
from labelmer.base import tables, trial
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.ragged import Ragged
from labelmer.models import fuse
from labelmer.prediction import bundle, pauses, predict
from labelmer.prediction.bundled import cache
from labelmer.prediction.card import card
from labelmer.prediction.recordings import of_table, whole
from labelmer.prediction.utterance import Utterance
from labelmer.report import columns
from labelmer.scores.calibration import best_temperature, log_probabilities, scaled

torch.set_num_threads(1)
P = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def study(tmp_path_factory, snapshot):  # noqa: F811
    made = Study(tmp_path_factory.mktemp("study"))
    made.encoder("fbank", "speech", "builtin:fbank")
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2)
    return made


@pytest.fixture(scope="module")
def full(study):
    """The run of a model of both modalities."""
    return study.run("full", "fbank", "bert")


@pytest.fixture(scope="module")
def model(full, tmp_path_factory):
    """Its bundle."""
    out = tmp_path_factory.mktemp("bundles") / "full"
    bundle.bundle([full], out)
    return out


@pytest.fixture(autouse=True)
def cached(tmp_path_factory, monkeypatch):
    """Fetched encoders stay in a folder of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def given(study, *lacking):
    """The test utterances from their recordings, without the modalities that lack."""
    return [
        Utterance(
            row.id,
            None if "speech" in lacking else whole(study.wav(row.id)),
            None if "text" in lacking else row.text,
            row.speaker,
            row.start_s,
            row.end_s,
        )
        for row in study.tested().itertuples()
    ]


def bundled(out, *runs):
    bundle.bundle(runs, out)
    return labelmer.load(out)


def evaluated(study, folder, predictions):
    """What evaluate wrote of these utterances, (N, C)."""
    return study.predictions(folder).loc[[p.id for p in predictions], P].to_numpy()


def check(study, folder, predictions):
    """Is what one model says, before calibration, what evaluate wrote?"""
    found = np.stack([p.uncalibrated[0] for p in predictions])
    np.testing.assert_allclose(found, evaluated(study, folder, predictions), atol=1e-5)


# As evaluated


def test_it_says_of_a_recording_what_evaluate_says_of_the_utterance(study, full, model):
    predictor = labelmer.load(model)
    check(study, full, predictor.predict(given(study)))
    for row in study.tested().itertuples():
        alone = predictor(study.wav(row.id), row.text)
        wanted = study.predictions(full).loc[row.id, P].to_numpy(float)
        np.testing.assert_allclose(alone.uncalibrated[0], wanted, atol=1e-5)


@pytest.mark.parametrize("layer", ["all", 1])
def test_so_it_does_of_any_layer(study, snapshot, tmp_path, layer):  # noqa: F811
    name = f"wave-{layer}"
    study.encoder(name, "speech", f"path:{snapshot('wav2vec2-group')}", layer)
    folder = study.run("full", name, "bert")
    check(study, folder, bundled(tmp_path / "m", folder).predict(given(study)))


def test_so_it_does_of_fine_tuned_encoders(study, snapshot, tmp_path):  # noqa: F811
    for name, kind in (("tuned-wave", "wav2vec2-group"), ("tuned-bert", "bert")):
        modality = "text" if kind == "bert" else "speech"
        study.encoder(name, modality, f"path:{snapshot(kind)}", -1, tuned=True)
    folder = study.run("full", "tuned-wave", "tuned-bert", "finetuned")
    predictor = bundled(tmp_path / "m", folder)
    check(study, folder, predictor.predict(given(study)))
    assert (tmp_path / "m/encoders/tuned-wave/fold1.seed1/model.safetensors").exists()


def test_so_it_does_of_the_turns_of_a_dialogue(study, tmp_path, caplog):
    folder = study.run("context", "fbank", "bert", context_turns=2)
    predictor = bundled(tmp_path / "m", folder)
    turns = predictor.predict(given(study), dialogue=True)
    check(study, folder, turns)
    alone = predictor.predict(given(study))
    assert np.abs(alone[0].uncalibrated - turns[0].uncalibrated).max() < 1e-6  # it is the first
    assert np.abs(alone[-1].uncalibrated - turns[-1].uncalibrated).max() > 1e-6


def test_so_it_does_of_the_linear_baseline(study, tmp_path, said):
    folder = study.run("linear", "fbank", "bert", architecture="linear")
    predictor = bundled(tmp_path / "m", folder)
    check(study, folder, predictor.predict(given(study)))
    recording, tsv = study.wav(study.tested().id.iloc[0]), ("--tsv", tmp_path / "x.tsv")
    text = said(predict.main, tmp_path / "m", recording, "--explain", tmp_path / "x.html", *tsv)
    assert "linear models have no salience" in text
    assert not (tmp_path / "x.html").exists() and not (tmp_path / "x.tsv").exists()


def test_models_are_calibrated_by_validation_and_averaged(study, full, tmp_path):
    other = study.run("full", "fbank", "bert", seed=2)
    predictor = bundled(tmp_path / "m", other.parent)
    predictions = predictor.predict(given(study))
    of_models = []
    for run in (full, other):
        validation = tables.read(predictions_of(study, run), "predictions").query("part != 'test'")
        true = pd.Index(P).get_indexer("p_" + validation["true"])
        temperature = best_temperature(log_probabilities(validation[P].to_numpy()), true)
        logs = log_probabilities(evaluated(study, run, predictions))
        of_models.append(np.exp(scaled(logs, temperature)))
    for number, prediction in enumerate(predictions):
        own = np.stack([p[number] for p in of_models])
        np.testing.assert_allclose(prediction.of_models, own, atol=1e-5)
        np.testing.assert_allclose(prediction.probabilities, own.mean(0), atol=1e-5)
        np.testing.assert_allclose(prediction.spread, own.std(0), atol=1e-5)
        assert prediction.label == CLASSES[own.mean(0).argmax()]
        assert prediction.confidence == pytest.approx(own.mean(0).max(), abs=1e-5)


def predictions_of(study, folder):
    path = study.study / "predictions" / folder.relative_to(study.study / "models")
    return path.with_name(f"{path.name}.tsv")


def fused(study, runs, variant, sees, seeds="1"):
    """Fuse the predictions of runs, member by member; returns what the folder of a run would be."""
    folder = runs[0].parents[1] / f"{variant}/fold1.seed{seeds}"
    paths = [predictions_of(study, run) for run in runs]
    out = predictions_of(study, folder)
    there = [str(path).replace("/predictions/", "/perturbed/") for path in (*paths, out)]
    told = [*paths, out, "--perturbed", *there[:-1], "--perturbed-out", there[-1]]
    told += ["--weights", str(out).replace("/predictions/", "/weights/")]
    told += ["--run", *runs[0].parts[-4].split("+"), "frozen", variant, 1, seeds]
    fuse.main([*map(str, told), "--config", json.dumps({"sees": sees})])
    return folder


def test_several_variants_become_their_late_fusion(study, tmp_path):
    runs = [study.run(f"{m}-only", "fbank", "bert", modalities=[m]) for m in ("speech", "text")]
    late = fused(study, runs, "late", [["speech"], ["text"]])
    predictor = bundled(tmp_path / "m", *runs)
    check(study, late, predictor.predict(given(study)))
    changed = str(predictions_of(study, late)).replace("/predictions/", "/perturbed/")
    missing = tables.read(changed, "perturbed").query("change == 'missing'")
    missing = missing.set_index(["modality", "id"])
    for lacking in ("speech", "text"):
        predictions = predictor.predict(given(study, lacking))
        wanted = missing.loc[lacking].loc[[p.id for p in predictions], P]
        found = np.stack([p.probabilities for p in predictions])
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_seeds_together_and_a_variant_of_another_experiment_are_multiplied(study, tmp_path):
    study.encoder("other", "speech", "builtin:fbank")
    runs = [
        study.run("linear", speech, "bert", seed=seed, architecture="linear", modalities=[m])
        for speech, m in (("fbank", "text"), ("other", "speech"))
        for seed in (1, 2)
    ]
    late = fused(study, runs, "late", [["text"], ["speech"]], "1+2")
    bundle.main([*map(str, runs), "--seeds", "together", "-o", str(tmp_path / "m")])
    told = json.loads((tmp_path / "m/bundle.json").read_text())
    assert told["variants"] == ["linear", "other+bert/frozen/linear"]
    assert [len(model["parts"]) for model in told["models"]] == [4]
    check(study, late, labelmer.load(tmp_path / "m").predict(given(study)))
    # The card has the weights as the reports have them, and tells of every member's words.
    path = str(predictions_of(study, late)).replace("/predictions/", "/weights/")
    weights = tables.read(path, "weights")["weight"]
    text = (tmp_path / "m/README.md").read_text()
    assert f"on validation | {weights.min():.2f} to {weights.max():.2f} |" in text
    assert "| words | the corpus' own |" in text
    own, other = told["models"][0]["parts"][1:3]
    assert list(own["encoders"]) == ["text"] and list(other["encoders"]) == ["speech"]
    heard = {**other, "folder": other["folder"].replace("frozen", "frozen-recognised")}
    for part, words in (
        (heard, "the corpus' own"),  # it does not read
        ({**heard, "encoders": own["encoders"]}, "recognised ones and the corpus' own"),
    ):
        model = {**told["models"][0], "parts": [own, part]}
        text = card({**told, "models": [model]}, study.study, {"model": {}}, "late")
        assert f"| words | {words} |" in text


def test_one_seed_is_not_several(study, full, tmp_path, said):
    text = said(bundle.main, full, "--seeds", "together", "-o", tmp_path / "m")
    assert "--seeds together: seeds ['1'] of fold 1, expected several" in text


# What is missing


def test_a_missing_modality_is_missing_as_in_training(study, full, model):
    changed = str(predictions_of(study, full)).replace("/predictions/", "/perturbed/")
    missing = tables.read(changed, "perturbed").query("change == 'missing'")
    predictor = labelmer.load(model)
    for lacking in ("speech", "text"):
        predictions = predictor.predict(given(study, lacking), salience=True)
        rows = missing[missing["modality"] == lacking].set_index("id")
        found = np.stack([p.uncalibrated[0] for p in predictions])
        np.testing.assert_allclose(found, rows.loc[[p.id for p in predictions], P], atol=1e-5)
        assert all(lacking not in p.salience for p in predictions)
    mixed = [*given(study, "text")[:2], *given(study)[2:]]
    both = predictor.predict(mixed)
    np.testing.assert_allclose(both[0].probabilities, predictions[0].probabilities, atol=1e-5)
    check(study, full, both[2:])


def test_what_a_model_cannot_do_without_is_asked_for(study, tmp_path, said):
    folder = study.run("brittle", "fbank", "bert", modality_dropout=0)
    bundle.bundle([folder], tmp_path / "m")
    name = study.wav(study.tested().id.iloc[0])
    text = said(predict.main, tmp_path / "m", name)
    assert f"'{name}': no words" in text and "modality_dropout: 0" in text
    text = said(predict.main, tmp_path / "m", "--text", "no")
    assert "'text': no audio, expected some" in text


def test_a_model_that_only_reads_is_not_given_sound(study, tmp_path, said):
    folder = study.run("text-only", "fbank", "bert", modalities=["text"])
    predictor = bundled(tmp_path / "m", folder)
    text = said(predict.main, tmp_path / "m", study.wav("u000"))
    assert "no words, expected some: these models go by nothing else" in text
    wav = study.wav("u000")
    assert predictor(wav, "no tree").probabilities.tolist() == (
        predictor(text="no tree").probabilities.tolist()
    )


def test_samples_are_int16(study, full, model):
    predictor = labelmer.load(model)
    row = study.tested().iloc[0]
    found = predictor(whole(study.wav(row.id)), row.text)
    wanted = study.predictions(full).loc[row.id, P].to_numpy(float)
    np.testing.assert_allclose(found.uncalibrated[0], wanted, atol=1e-5)


NOISE = np.random.default_rng(1).integers(-999, 999, 8000).astype(np.int16)


@pytest.mark.parametrize(
    ("audio", "text", "words"),
    [
        (NOISE[:0], "no", "'utterance': no samples, expected some"),
        (NOISE / 32768, "no", r"samples of float64 and shape \(8000,\), expected int16, mono"),
        (NOISE.reshape(-1, 2), "no", r"samples of int16 and shape \(4000, 2\)"),
        (list(NOISE), "no", "audio of type list, expected a file's path"),
        ((NOISE, 16_000), "no", "audio of type tuple"),
        (b"a.wav", "no", "audio of type bytes"),
        (NOISE, ["no"], r"words of type list, expected a text \(str\), or None"),
        (NOISE, float("nan"), "words of type float"),
        (None, None, "no audio or words"),
    ],
)
def test_what_python_gives_is_refused_by_name(model, audio, text, words):
    with pytest.raises(InputError, match=words):
        labelmer.load(model)(audio, text)


def test_no_other_device_or_folder_is_taken_for_one(model):
    for device in ("gpu", "cuda:0", None):
        with pytest.raises(InputError, match=f"device {device!r}, expected one of .*'cpu'"):
            labelmer.load(model, device)
    with pytest.raises(InputError, match="None, expected a bundle's folder"):
        labelmer.load(None)
    with pytest.raises(InputError, match=r"'a\.wav': a str, expected an Utterance"):
        labelmer.load(model).predict(["a.wav"])
    with pytest.raises(InputError, match="the id 3, expected a text"):
        Utterance(3, text="no")


def warned(caplog):
    """The warnings since the last time."""
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return [message for message in found if not message.startswith("fetching ")]


def test_blanks_silence_and_empty_words_are_as_in_a_corpus(model, caplog, tmp_path):
    predictor = labelmer.load(model)
    said = predictor(NOISE, "  no\t\n tree ")
    assert said.text == "no tree" and warned(caplog) == []
    assert said.probabilities.tolist() == predictor(NOISE, "no tree").probabilities.tolist()
    silence, wav = np.zeros(8000, np.int16), tmp_path / "silence.wav"
    given = predictor(silence, "no").probabilities
    assert warned(caplog) == ["'utterance': nothing but digital silence; check the samples"]
    soundfile.write(wav, silence, 16_000)
    assert predictor(wav, "no").probabilities.tolist() == given.tolist()
    assert warned(caplog) == [f"{wav}: nothing but digital silence; check the file and its times"]
    predictor(text=" ")
    assert warned(caplog) == ["'utterance': empty words and no audio: there is nothing to go by"]


def test_words_that_a_vocabulary_lacks_are_told_of_the_recording(study, model, caplog):
    wav = study.wav("u000")
    labelmer.load(model)(wav, "qqqq")
    (message,) = warned(caplog)
    assert message.startswith("encoder bert: the vocabulary lacks words: 1 of 3 tokens")
    assert f"'{wav}' (1 of 3)" in message


# What is explained


def test_salience_is_that_of_evaluate(study, full, model):
    predictions = labelmer.load(model).predict(given(study), salience=True)
    folder = study.study / "salience" / full.relative_to(study.study / "models")
    for m, stride in (("speech", 4), ("text", 1)):
        file = Ragged(folder / f"{m}.h5")
        column = json.loads(file.attrs["columns"]).index("salience")
        for prediction in predictions:
            shown, wanted = prediction.salience[m], file[prediction.id][:, column]
            places = np.arange(0, len(shown.weights), stride)
            np.testing.assert_allclose(np.add.reduceat(shown.weights, places), wanted, atol=1e-5)
            assert len(shown.spans) == len(shown.weights)
            if m == "text":
                assert shown.spans.tolist() == file.spans(prediction.id).tolist()


def test_the_page_escapes_what_it_shows_and_asks_for_nothing(study, model, tmp_path, capsys):
    out = tmp_path / "page.html"
    words = "<script>alert('no')</script> & the old tree"
    predict.main([str(model), str(study.wav("u000")), "--text", words, "--explain", str(out)])
    page = out.read_text()
    assert "<script" not in page and "&lt;" in page and "&amp;" in page
    assert "http" not in page and "src=" not in page
    marked = [piece.partition("</mark>")[0].partition(">")[2] for piece in page.split("<mark")[1:]]
    assert "tree" in "".join(marked)
    assert page.count('class="wave"') > 100 and "prefers-color-scheme: dark" in page


# The command line


def test_a_table_of_words_and_what_is_written(study, model, tmp_path, capsys):
    rows = study.tested()[:3]
    words = tmp_path / "words.tsv"
    lines = [f"{row.id}\t{row.text}" for row in rows.itertuples()]
    words.write_text("\n".join(["id\ttext", *lines]) + "\n")
    wavs = [str(study.wav(name)) for name in rows.id[::-1]]
    out = tmp_path / "out.tsv"
    predict.main([str(model), *wavs, "--texts", str(words), "--tsv", str(out), "--json"])
    found = json.loads(capsys.readouterr().out)
    table = tables.read(out, "new", predict.TABLE)
    assert table.id.tolist() == [row["id"] for row in found] == rows.id.tolist()
    assert table.text.tolist() == rows.text.tolist()
    assert table.source.tolist() == [str(study.wav(name)) for name in rows.id]
    wanted = labelmer.load(model).predict(given(study)[:3])
    p = np.stack([x.probabilities for x in wanted])
    np.testing.assert_allclose(table[P], p, atol=1e-5)
    assert table.predicted.tolist() == [x.label for x in wanted]
    assert found[0]["probabilities"][CLASSES[0]] == pytest.approx(p[0, 0], abs=1e-5)


def test_a_recording_that_a_table_names_twice_or_by_another_path(study, model, tmp_path, said):
    words, wav = tmp_path / "words.tsv", study.wav("u000")
    words.write_text(f"id\ttext\nu000\tno\n{wav.name}\tyes\n")
    twice = said(predict.main, model, wav, "--texts", words)
    assert "stands there as 'u000' and as 'u000.wav', expected one row" in twice
    (tmp_path / "linked").symlink_to(wav.parent)
    words.write_text(f"id\ttext\n{tmp_path}/linked/{wav.name}\tno\n")
    (found,) = of_table([wav], words)
    assert found.text == "no"
    words.write_text(f"id\ttext\n{wav}\tno\n{wav.parent}/./{wav.name}\tyes\n")
    assert "expected one row" in said(predict.main, model, wav, "--texts", words)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    words.write_text(f"id\ttext\n{tmp_path}/loop\tno\n{wav}\tyes\n")
    (found,) = of_table([wav], words)
    assert found.text == "yes"


def test_segments_without_an_end_are_refused(study, model, tmp_path, said):
    cuts = tmp_path / "cuts.tsv"
    for end in ("inf", "1e400"):
        cuts.write_text(f"id\tstart\tend\na\t0\t{end}\n")
        told = said(predict.main, model, study.wav("u000"), "--segments", cuts)
        assert f"{cuts}: id 'a': 0 to inf s, expected a start" in told


def test_segments_of_one_long_recording(study, model, tmp_path, capsys):
    """Cut out again, each is what it was by itself."""
    rows, place, sounds, lines = study.tested()[:4], 0.0, [], ["id\tstart\tend\ttext\tspeaker"]
    for row in rows.itertuples():
        sound, rate = soundfile.read(study.wav(row.id), dtype="int16")
        sounds.append(sound)
        end = place + len(sound) / rate
        lines.append(f"{row.id}\t{place:.6f}\t{end:.6f}\t{row.text}\t{row.speaker}")
        place = end
    long, cuts, out = tmp_path / "long.flac", tmp_path / "cuts.tsv", tmp_path / "out.tsv"
    soundfile.write(long, np.concatenate(sounds), rate)
    cuts.write_text("\n".join(lines) + "\n")
    told = ["--segments", str(cuts), "--tsv", str(out)]
    predict.main([str(model), str(long), *told])
    alone = labelmer.load(model).predict(given(study)[:4])
    table = tables.read(out, "new", predict.TABLE)
    np.testing.assert_allclose(table[P], np.stack([p.probabilities for p in alone]), atol=1e-5)
    assert table.start_s.tolist()[1:] == table.end_s.tolist()[:-1]
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()] == rows.id.tolist()


def test_pauses_part_a_long_recording(study, model, tmp_path, capsys):
    draw, rate = np.random.default_rng(1), 16_000
    quiet = draw.normal(0, 3, rate)
    loud = draw.normal(0, 3000, 3 * rate)
    samples = np.concatenate([quiet, loud, quiet, loud[:rate], quiet[:4000], loud[:rate]])
    found = pauses.utterances(samples.astype(np.int16))
    np.testing.assert_allclose(found, [(0.9, 4.1), (4.9, 7.25)], atol=0.05)
    assert pauses.utterances(np.zeros(rate, np.int16)) == []
    pieces = pauses.utterances(np.tile(loud, 20).astype(np.int16))
    lengths = [end - start for start, end in pieces]
    assert max(lengths) <= pauses.LONGEST_S and sum(lengths) == pytest.approx(60)
    wav = tmp_path / "long.wav"
    soundfile.write(wav, np.tile(samples, 3).astype(np.int16), rate)
    predict.main([str(model), str(wav), "--json"])
    cut = json.loads(capsys.readouterr().out)
    assert len(cut) == 6 and cut[0]["id"] == f"{wav}@0.90" and cut[0]["text"] is None


def test_a_dialogue_needs_speakers(study, model, tmp_path, said):
    words = tmp_path / "words.tsv"
    words.write_text("id\ttext\nu000\tno\n")
    told = [model, study.wav("u000"), "--texts", words, "--dialogue"]
    assert "'u000' has no speaker" in said(predict.main, *told)


def test_a_table_without_rows_is_refused(study, model, tmp_path, said):
    table = tmp_path / "none.tsv"
    table.write_text("id\tstart\tend\ttext\n")
    assert f"{table}: no rows" in said(predict.main, model, "--texts", table)
    told = [model, study.wav("u000"), "--segments", table]
    assert f"{table}: no rows" in said(predict.main, *told)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (["--tsv", "{wav}"], "a.wav is what is read, and would be lost"),
        (["--explain", "{wav}"], "a.wav is what is read, and would be lost"),
        (["--tsv", "{texts}"], "words.tsv is what is read"),
        (["--tsv", "{model}/bundle.json"], "stands in the bundle"),
        (["--explain", "{folder}"], "is a folder, expected a file"),
        (["--tsv", "{wav}/x.tsv"], "x.tsv: cannot be written (Not a directory"),
        (["--tsv", "/proc/x.tsv"], "/proc/x.tsv: cannot be written"),
        (["--explain", "/proc/x/y.html"], "/proc/x/y.html: cannot be written"),
        (["--tsv", "/dev/null"], "/dev/null is no regular file, and would be lost"),
        (["--log", "/proc/x.log"], "/proc/x.log: cannot be written"),
        (["--tsv", "{folder}/x", "--explain", "{folder}/x"], "give each a file of its own"),
        (["--log", "{wav}"], "a.wav is what another argument names, and would be lost"),
        (["--log", "{texts}"], "words.tsv is what another argument names"),
        (["--log", "{model}/bundle.json"], "bundle.json is there and no log, and would be lost"),
        (["--log", "{folder}/x", "--tsv", "{folder}/x"], "x is what another argument names"),
        (["--tsv", "{other}"], "other.tsv is there and not of labelmer predict"),
        (["--explain", "{other}"], "other.tsv is there and not of labelmer predict"),
    ],
)
def test_nothing_that_is_read_is_written_over(study, model, tmp_path, said, outputs, words):
    wav, texts = tmp_path / "a.wav", tmp_path / "words.tsv"
    shutil.copy(study.wav("u000"), wav)
    texts.write_text("id\ttext\na\tno\n")
    other = tmp_path / "other.tsv"
    other.write_text("id\ttext\nb\tyes\n")
    before = {path: path.read_bytes() for path in (wav, texts, other, model / "bundle.json")}
    places = {"wav": wav, "other": other, "texts": texts, "model": model, "folder": tmp_path}
    told = [model, wav, "--texts", texts, *(text.format(**places) for text in outputs)]
    assert words in said(predict.main, *told)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(tmp_path.iterdir()) == sorted([wav, texts, other])


def test_what_was_written_before_is_written_anew(study, model, tmp_path, capsys):
    outputs = ["--tsv", "t.tsv", "--explain", "p.html", "--log", "l.log"]
    told = [str(tmp_path / name) if "." in name else name for name in outputs]
    for text in ("no", "tree"):
        predict.main([str(model), str(study.wav("u000")), "--text", text, *told])
        assert text in (tmp_path / "t.tsv").read_text()
        assert text in (tmp_path / "p.html").read_text()
    log.removeHandler(log.handlers[-1])
    assert (tmp_path / "l.log").read_text().count("wrote") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to predict"),
        (["gone.wav"], "gone.wav: there is no such file"),
        (["a.wav", "b.wav", "--text", "no"], "--text with 2 recordings, expected one"),
        (["a.wav", "b.wav", "--segments", "c.tsv"], "--segments c.tsv with 2 recordings"),
        (["--text", "no", "--transcribe"], None),
        (["--texts", "gone.tsv"], "gone.tsv: there is no such file"),
        (["--text", "caf\udce9"], "'text': words with '\\udce9', expected Unicode text"),
    ],
)
def test_bad_arguments_are_refused_by_name(model, said, capsys, arguments, words):
    if words is None:
        with pytest.raises(SystemExit):
            predict.main([str(model), *arguments])
        assert "not allowed with" in capsys.readouterr().err
    else:
        assert words in said(predict.main, model, *arguments)


@pytest.mark.parametrize("option", ["--texts", "--segments"])
def test_a_table_without_rows_is_refused_by_name(study, model, tmp_path, said, option):
    (tmp_path / "t.tsv").write_text("id\tstart\tend\n" if option == "--segments" else "id\ttext\n")
    told = [model, study.wav("u000"), option, tmp_path / "t.tsv"]
    assert "t.tsv: no rows under the header" in said(predict.main, *told)


def test_a_recording_that_the_table_spells_otherwise_is_named(study, model, tmp_path, caplog):
    shutil.copy(study.wav("u000"), tmp_path / "Jose\u0301.wav")
    (tmp_path / "t.tsv").write_text("id\ttext\nJos\u00e9\tno\n")
    told = [model, tmp_path / "Jose\u0301.wav", "--texts", tmp_path / "t.tsv"]
    predict.main([*map(str, told)])
    assert "left out; 'Jose\u0301' differs from it only as spellings do (U+00E9" in caplog.text


def test_recordings_that_the_table_does_not_name_are_told(study, model, tmp_path, caplog):
    (tmp_path / "t.tsv").write_text("id\ttext\nu000\tno\n")
    told = [model, study.wav("u000"), study.wav("u001"), "--texts", tmp_path / "t.tsv"]
    predict.main([*map(str, told)])
    assert f"no row for 1 of 2 recordings, such as {study.wav('u001')}: they are" in caplog.text


def test_recordings_without_words_are_predicted_without_a_word(study, model, caplog):
    predict.main([str(model), str(study.wav("u000")), str(study.wav("u001"))])
    assert "are empty" not in caplog.text


def test_words_have_single_blanks_as_in_a_corpus():
    assert Utterance("a", text=" one\n two\t").text == "one two"
    assert Utterance("a").text is None


def test_there_is_no_speech_recogniser_in_a_bundle_without_one(study, model, said):
    text = said(predict.main, model, study.wav("u000"), "--transcribe")
    assert "has no speech recogniser; give the words" in text


# The folder


def test_a_bundle_suffices_alone(study, full, tmp_path, monkeypatch):
    """Moved away from its study, and without a cache."""
    bundle.bundle([full], tmp_path / "first/m")
    shutil.move(tmp_path / "first/m", tmp_path / "m")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    check(study, full, labelmer.load(tmp_path / "m").predict(given(study)))
    (fetched,) = cache().iterdir()
    assert fetched.name.startswith("fbank-") and (fetched / "source.json").exists()
    suffixes = {path.suffix for path in (tmp_path / "m").rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".safetensors", ".md", ".txt"}


def test_the_cache_must_be_one_that_can_be_written_until_all_is_in_it(
    study, model, said, monkeypatch, tmp_path
):
    given = model, study.wav("u000"), "--text", "no tree"
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/x")
    text = said(predict.main, *given)
    assert "/proc/x/labelmer/encoders/fbank-" in text and "let XDG_CACHE_HOME name" in text
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    predict.main([*map(str, given)])
    for name in ("refuse_unwritable", "alone"):  # as where the cache may only be read
        monkeypatch.setattr(f"labelmer.prediction.bundled.{name}", None)
    predict.main([*map(str, given)])


@pytest.mark.parametrize(
    "name", ["source.json", "config.json", "model.safetensors", "tokenizer.json"]
)
def test_a_damaged_encoder_is_refused_with_what_brings_it_anew(model, tmp_path, monkeypatch, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = shutil.copytree(model, tmp_path / "m")
    told = json.loads((folder / "bundle.json").read_text())
    own = folder / told["encoders"]["bert"]["folder"]
    cut_off(own / name)
    with pytest.raises(InputError, match=r"encoders/bert: .*; copy the bundle anew"):
        labelmer.load(folder)(text="no")
    told["encoders"]["bert"]["folder"] = None  # as one that is fetched
    (folder / "bundle.json").write_text(json.dumps(told))
    labelmer.load(folder)(text="no")
    (cached,) = cache().glob("bert-*")
    cut_off(cached / name)
    with pytest.raises(InputError, match=f"remove {cached}, and it is fetched anew"):
        labelmer.load(folder)(text="no")
    shutil.rmtree(cached)
    labelmer.load(folder)(text="no")


def test_the_licence_of_what_comes_of_a_path_goes_with_it(full, snapshot, tmp_path):  # noqa: F811
    licence = Path(snapshot("bert")) / "LICENSE"
    licence.write_text("for nobody")
    try:
        bundle.bundle([full], tmp_path / "m")
    finally:
        licence.unlink()
    assert (tmp_path / "m/encoders/bert.LICENSE").read_text() == "for nobody"
    labelmer.load(tmp_path / "m")(text="no")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-20])


def test_another_encoder_than_the_bundles_is_refused(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "m")
    source = folder / "encoders/bert/source.json"
    source.write_text(json.dumps({**json.loads(source.read_text()), "weights": "f00d"}))
    with pytest.raises(InputError, match="weights f00d of path:"):
        labelmer.load(folder)(text="no")


@pytest.mark.parametrize("name", ["bundle.json", "config.json", "model.safetensors"])
def test_a_damaged_bundle_is_refused_by_name(model, tmp_path, name):
    folder = shutil.copytree(model, tmp_path / "m")
    (path,) = [path for path in folder.rglob(name) if "encoders" not in path.parts]
    whole_file = path.read_bytes()
    for damaged in (b"", b"{}", whole_file[: len(whole_file) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=str(path.parent)):
            labelmer.load(folder)
    path.unlink()
    with pytest.raises(InputError, match=str(path.parent)):
        labelmer.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(classes=told["classes"][::-1]), "was trained on"),
        (lambda told: told.update(classes=told["classes"][:2]), "was trained on"),
        (lambda told: told["models"][0]["parts"][0].update(weight=-1), "a number from 0"),
        (lambda told: told.update(format=1), "format 1, expected 3"),
    ],
)
def test_a_changed_description_is_refused(model, tmp_path, change, words):
    folder = shutil.copytree(model, tmp_path / "m")
    told = json.loads((folder / "bundle.json").read_text())
    change(told)
    (folder / "bundle.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=words):
        labelmer.load(folder)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_damaged_model_is_not_bundled_and_the_old_bundle_stays(full, tmp_path, said, size):
    bundle.bundle([full], tmp_path / "m")
    before = (tmp_path / "m/bundle.json").read_bytes()
    weights = full / "model.safetensors"
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:size])
        assert f"{full}: not a whole model" in said(bundle.main, full, "-o", tmp_path / "m")
    finally:
        weights.write_bytes(whole)
    assert (tmp_path / "m/bundle.json").read_bytes() == before


def test_what_is_no_bundle_is_refused_and_left(full, tmp_path, said):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("words")
    text = said(bundle.main, full, "-o", tmp_path / "thesis")
    assert "chapter1.tex and no bundle.json" in text
    assert (tmp_path / "thesis/chapter1.tex").read_text() == "words"
    assert "no bundle.json is there" in said(predict.main, tmp_path / "thesis", "--text", "no")
    assert "no model, expected the folder of a run" in (
        said(bundle.main, full.parents[1] / "late-fusion", "-o", tmp_path / "m")
    )
    bundle.bundle([full], tmp_path / "m")
    bundle.bundle([full], tmp_path / "m")  # its own kind is replaced
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "thesis"]


@pytest.mark.parametrize(
    "place", ["/proc/b", "/proc/a/b", "{folder}/file/b", "{folder}/" + 300 * "x"]
)
def test_where_nothing_can_be_written_no_bundle_is(full, tmp_path, said, place):
    (tmp_path / "file").touch()
    text = said(bundle.main, full, "-o", place.format(folder=tmp_path))
    assert "/b: cannot be written (" in text or "xxx: cannot be written (File name too long" in text
    assert text.count("\n") == 1 and "give another place" in text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_bundle_that_cannot_be_finished_leaves_the_old_one(full, tmp_path, said, monkeypatch):
    bundle.bundle([full], tmp_path / "m")
    before = (tmp_path / "m/bundle.json").read_bytes()
    full_disk = OSError(28, "No space left on device", "a", None, str(tmp_path / "m.part/x"))
    with monkeypatch.context() as patch:
        patch.setattr(bundle.shutil, "copyfile", lambda *_: raised(full_disk))
        assert "No space left on device, " in said(bundle.main, full, "-o", tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert (tmp_path / "m/bundle.json").read_bytes() == before


def test_features_at_which_hdf5_hangs_make_no_bundle(full, tmp_path, said, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.5)
    monkeypatch.setattr(trial, "Ragged", lambda _: time.sleep(30))
    text = said(bundle.main, full, "-o", tmp_path / "m")
    assert "frozen/s.h5: not a ragged file, or a damaged one (HDF5 was not done after" in text
    assert not (tmp_path / "m").exists()


def test_an_old_bundle_that_a_kill_left_aside_goes_back_to_its_place(full, tmp_path, said):
    bundle.bundle([full], tmp_path / "m")
    before = (tmp_path / "m/bundle.json").read_bytes()
    (tmp_path / "m.part").mkdir()
    (tmp_path / "m").rename(tmp_path / "m.part/old")
    run = tmp_path / "elsewhere" / full.relative_to(full.parents[4])
    shutil.copytree(full, run)
    text = said(bundle.main, run, "-o", tmp_path / "m")
    assert "the bundle of tiny/main, fbank+bert/frozen/full stands there, expected that of" in text
    assert (tmp_path / "m/bundle.json").read_bytes() == before
    assert not (tmp_path / "m.part").exists()


def raised(error):
    raise error


def test_the_bundle_of_other_runs_is_not_replaced(study, full, tmp_path, said):
    other = study.run("text-only", "fbank", "bert", modalities=["text"])
    bundle.bundle([full], tmp_path / "m")
    (tmp_path / "link").symlink_to("m")
    before = (tmp_path / "m/bundle.json").read_bytes()
    for name in ("m", "link"):
        text = said(bundle.main, other, "-o", tmp_path / name)
        assert (
            "the bundle of tiny/main, fbank+bert/frozen/full stands there, expected that of" in text
        )
        assert "fbank+bert/frozen/text-only" in text and "give another folder" in text
    assert (tmp_path / "m/bundle.json").read_bytes() == before
    bundle.bundle([full], tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "m/bundle.json").read_bytes() == before
    (tmp_path / "m/bundle.json").write_text("{")
    assert "what would be replaced is not known" in said(bundle.main, full, "-o", tmp_path / "m")
    (tmp_path / "m/bundle.json").write_text('{"corpus": "tiny"}')
    message = said(bundle.main, full, "-o", tmp_path / "m")
    assert "bundle.json: study is missing, expected text" in message


def test_what_is_no_bundle_is_named_with_what_makes_one_of_it(study, full, model, said, tmp_path):
    variant = full.parent
    for given, kind, made in (
        (full, "a run, not a bundle", full),
        (variant, "a variant's runs, not a bundle", variant),
        (variant.parent, "results, not a bundle", variant),
        (study.study, "results, not a bundle", variant),
        (study.corpus, "results, not a bundle", variant),
        (study.corpus.parent, "results, not a bundle", variant),
    ):
        text = said(predict.main, given, study.wav("u000"))
        assert f"{given}: {kind}" in text and f"labelmer bundle {variant.parent}/" in text
        assert given in (variant.parent, *variant.parents) or f"labelmer bundle {made} -o" in text
    assert f"a part of the bundle {model}" in said(predict.main, model / "models", "--text", "no")
    assert "there is no such folder" in said(predict.main, tmp_path / "gone", "--text", "no")
    assert "a file, expected the folder" in said(predict.main, study.wav("u000"), "--text", "no")


def test_runs_that_do_not_go_together_are_refused(study, full, tmp_path, said):
    other = study.run("full", "fbank", "bert", seed=2)
    alone = study.run("text-only", "fbank", "bert", modalities=["text"])
    text = said(bundle.main, full, other, alone, "-o", tmp_path / "m")
    assert "fold1.seed2 is given of" in text and "but not of both" in text
    assert "is given twice" in said(bundle.main, full, full, "-o", tmp_path / "m")
    predictions = predictions_of(study, other)
    predictions.rename(predictions.with_suffix(".away"))
    text = said(bundle.main, other, "-o", tmp_path / "m")
    predictions.with_suffix(".away").rename(predictions)
    assert "there are no predictions of" in text and not (tmp_path / "m").exists()


def test_the_card_is_one_that_hugging_face_reads(study, full, model, tmp_path):
    found = ModelCard.load(model / "README.md")
    assert found.data.library_name == "labelmer" and found.data.eval_results is None
    assert "in no report of their study" in found.text
    study.report(full)
    bundle.bundle([full], tmp_path / "m")
    shutil.rmtree(study.study / "reports")
    card = ModelCard.load(tmp_path / "m/README.md")
    assert card.data.pipeline_tag == "audio-classification"
    assert "emotion-recognition" in card.data.tags
    said = study.predictions(full)
    right = 100 * (said["true"] == said["predicted"]).mean()
    results = {result.metric_name: result for result in card.data.eval_results}
    accuracy = results["weighted accuracy"]
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", round(right, 2))
    assert accuracy.dataset_type == "tiny"
    for words in ("What it is not for", "Confusion", "Calibration", "builtin:fbank", "[95%]"):
        assert words in card.text


def test_the_card_says_how_far_the_models_carry(study, full, tmp_path):
    study.report(full)
    path = study.study / "reports/cross_corpus.tsv"
    run = {"speech": "fbank", "text": "bert", "mode": "frozen", "variant": "full"}
    design = {
        "trained_on": "tiny",
        "other": "far",
        "classes": "angry, sad",
        "not_tested": "neutral",
    }
    numbers = {"wa": 0.5, "weighted_f1": 0.5, "macro_f1": 0.5, "ua_low": 0.41, "ua_high": 0.59}
    numbers |= {"wa_low": 0.4, "wa_high": 0.6, "chance": 0.5, "largest": 0.6, "confidence": 0.9}
    numbers |= {"ece": 0.1, "ece_scaled": 0.05, "speakers": 3, "folds": 1, "seeds": 1}
    words = {"not_trained": "", "protocol": "one fold", "selection": "the best"}
    rows = [
        {**run, **design, **words, **numbers, "tested_on": corpus, "ua": ua, "utterances": n}
        for corpus, ua, n in (("tiny", 0.8, 6), ("far", 0.52, 20))
    ]
    columns.write(path, pd.DataFrame(rows), "cross_corpus")
    bundle.bundle([full], tmp_path / "m")
    card = (tmp_path / "m/README.md").read_text()
    assert "## On other corpora" in card and "untested, but for the corpora above" in card
    assert "| far | angry, sad | 20 | 52.0 [41.0, 59.0] | 80.0 | 50.0 |" in card
    shutil.rmtree(study.study / "reports")
    bundle.bundle([full], tmp_path / "m")
    assert "other corpora" not in (tmp_path / "m/README.md").read_text()


# Without the workflow


def test_predicting_needs_nothing_of_the_workflow(study, model):
    code = """
import sys
for name in ("snakemake", "matplotlib", "jsonschema", "statsmodels", "pygments"):
    sys.modules[name] = None  # so that it is not found
import labelmer
print(labelmer.Predictor(sys.argv[1])(sys.argv[2], "no tree").label)
import labelmer.prediction.predict
"""
    told = [sys.executable, "-c", code, str(model), str(study.wav("u000"))]
    done = subprocess.run(told, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in CLASSES
