"""Evaluation: what a table of predictions holds, and what its numbers depend on."""

import json

import numpy as np
import pytest
import torch
from test_batches import write_features
from test_train import CLASSES, NAMES, Corpus, altered, made_features, made_fold

from labelmer.base import tables
from labelmer.base.ragged import Ragged
from labelmer.learning import batches
from labelmer.models import evaluate, saved

torch.set_num_threads(1)
P = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    table = made_fold({"train": 12, "validation": 4, "test": 6})
    return Corpus(tmp_path_factory.mktemp("corpus"), table, made_features(table))


@pytest.fixture(scope="module")
def folder(corpus):
    return corpus.train("model", frame_stride=2, experts=True)


def perturbed(out):
    return out.with_name(f"{out.stem}.perturbed.tsv")


def salience(out):
    return out.with_name(f"{out.stem}.salience")


def run(corpus, folder, out, *more):
    """Evaluate by the command line; return the table that it wrote."""
    files = [a for m, paths in corpus.paths.items() for a in (f"--{m}", *map(str, paths))]
    beside = ["--perturbed", perturbed(out), "--salience", salience(out)]
    run = ["--run", *NAMES, "2", "7"]
    evaluate.main(list(map(str, [corpus.fold, folder, out, *beside, *files, *more, *run])))
    return tables.read(out, "predictions")


@pytest.fixture(scope="module")
def frame(corpus, folder):
    return run(corpus, folder, corpus.folder / "predictions.tsv")


def test_every_validation_and_test_utterance_is_predicted_once(corpus, frame):
    asked = corpus.table[corpus.table.part != "train"].set_index("id")
    assert frame.id.tolist() == asked.index.tolist()
    assert frame.part.tolist() == asked.part.tolist()
    assert frame.true.tolist() == asked.label.tolist()
    assert frame.part.value_counts().to_dict() == {"validation": 12, "test": 18}


def test_probabilities_sum_to_one_and_the_greatest_is_predicted(frame):
    p = frame[P].to_numpy()
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-7)
    assert (p > 0).all()
    assert frame.predicted.tolist() == [CLASSES[i] for i in p.argmax(1)]
    assert (frame.predicted == frame.true).mean() > 0.6  # the columns are the classes they name


def test_every_row_names_its_run(frame):
    own = frame[["speech", "text", "mode", "variant", "fold", "seed"]].drop_duplicates()
    assert own.to_numpy().tolist() == [[*NAMES, 2, "7"]]


def test_probabilities_are_the_softmax_of_the_saved_models_logits(corpus, folder, frame):
    loaded, _ = saved.load(folder)
    logits = batches.predict(loaded, corpus.part("test", loaded.options))
    np.testing.assert_allclose(frame[frame.part == "test"][P], logits.softmax(-1), atol=1e-6)


def test_a_repeat_is_equal_to_the_byte(corpus, folder, frame, tmp_path):
    run(corpus, folder, tmp_path / "again.tsv")
    again = (tmp_path / "again.tsv").read_bytes()
    assert again == (corpus.folder / "predictions.tsv").read_bytes()


def test_the_order_of_ids_does_not_matter(corpus, folder, frame, tmp_path):
    shuffled = corpus.table.sample(frac=1, random_state=3)
    assert shuffled.id.tolist() != corpus.table.id.tolist()
    other = run(Corpus(tmp_path, shuffled, corpus.features), folder, tmp_path / "p.tsv")
    matched = other.set_index("id").loc[frame.id]
    np.testing.assert_allclose(matched[P], frame[P], atol=1e-6)
    assert matched.predicted.tolist() == frame.predicted.tolist()


def test_neither_true_labels_nor_training_features_matter(corpus, folder, frame, tmp_path):
    other = altered(corpus, tmp_path / "a", "test", features=False)
    relabelled = run(other, folder, tmp_path / "a.tsv")
    assert not relabelled.true.equals(frame.true) and relabelled[P].equals(frame[P])
    retrained = run(altered(corpus, tmp_path / "b", "train"), folder, tmp_path / "b.tsv")
    assert retrained.equals(frame)
    changed = altered(corpus, tmp_path / "c", "test", labels=False)
    assert not run(changed, folder, tmp_path / "c.tsv")[P].equals(frame[P])


def test_a_missing_model_is_named(corpus, tmp_path, caplog):
    with pytest.raises(SystemExit):
        run(corpus, tmp_path / "nowhere", tmp_path / "p.tsv")
    assert "nowhere" in caplog.text and not (tmp_path / "p.tsv").exists()


def test_features_by_another_encoder_than_the_models_are_refused(corpus, folder, tmp_path, caplog):
    paths = {
        m: [write_features(tmp_path / f"{m}.h5", items, encoder=f"new-{m}")]
        for m, items in corpus.features.items()
    }
    other = Corpus(tmp_path / "other", corpus.table, corpus.features)
    other.paths = {**corpus.paths, "speech": paths["speech"]}
    with pytest.raises(SystemExit):
        run(other, folder, tmp_path / "p.tsv")
    assert f"{tmp_path}/speech.h5: encoder is 'new-speech', expected 'made'" in caplog.text
    assert f"on which the model in {folder} was trained" in caplog.text
    caplog.clear()
    with pytest.raises(SystemExit):
        run(corpus, folder, tmp_path / "p.tsv", "--transcripts", *paths["text"])
    assert f"{tmp_path}/text.h5: encoder is 'new-text', expected 'made'" in caplog.text
    assert not (tmp_path / "p.tsv").exists()


# Salience


def test_salience_holds_the_tensors_of_the_prediction(corpus, folder, frame):
    loaded, _ = saved.load(folder)
    test = corpus.table[corpus.table.part == "test"]
    part = corpus.part("test", loaded.options)
    for m in ("speech", "text"):
        file = Ragged(salience(corpus.folder / "predictions.tsv") / f"{m}.h5")
        assert file.ids == sorted(test.id)
        says = ["says", *(f"says_{name}" for name in CLASSES)]
        columns = ["salience", "pooling", "expert_pooling", "received", *says]
        assert json.loads(file.attrs["columns"]) == columns
        for number, name in enumerate(test.id):
            with torch.inference_mode():
                output = loaded(next(part.batches([[number]], "cpu"))[0])
            tensors = [output.salience(), output.pooling, output.expert_pooling, output.received]
            tensors.append({m: output.says[m][:, :, output.logits[0].argmax()]})
            wanted = torch.cat([torch.stack([t[m][0] for t in tensors], 1), output.says[m][0]], 1)
            np.testing.assert_allclose(file[name], wanted, atol=1e-5)
            assert file[name][:, 0].sum() == pytest.approx(1, abs=1e-5)


def test_a_file_of_salience_says_whose_and_what_it_is(corpus, folder, frame):
    speech, text = (
        Ragged(salience(corpus.folder / "predictions.tsv") / f"{m}.h5") for m in ("speech", "text")
    )
    assert speech.attrs["kind"] == "salience" and speech.attrs["modality"] == "speech"
    assert (speech.attrs["variant"], speech.attrs["fold"], speech.attrs["seed"]) == (
        "full",
        "2",
        "7",
    )
    assert json.loads(speech.attrs["classes"]) == CLASSES
    assert speech.attrs["rate_hz"] == 50  # of a hundred frames a second, in pairs
    first = text.ids[0]
    assert text.marks(first) == [f"t{i}" for i in range(len(text[first]))]
    assert text.spans(first).tolist() == [[i, i + 1] for i in range(len(text[first]))]
    assert speech.marks(first) is None


# Disturbed inputs


def test_every_test_utterance_is_predicted_under_every_change(corpus, folder, frame):
    table = tables.read(perturbed(corpus.folder / "predictions.tsv"), "perturbed")
    test = frame[frame.part == "test"]
    changes = table.groupby(["change", "modality", "share"])
    assert len(changes) == 2 + 2 * 2 * 4
    for _, rows in changes:
        assert rows.id.tolist() == test.id.tolist() and rows.true.tolist() == test.true.tolist()
    assert (table.fold == 2).all() and (table.seed == "7").all()


def test_what_is_missing_does_not_matter_and_what_is_there_does(corpus, folder, frame, tmp_path):
    changed = altered(corpus, tmp_path, "test", labels=False)
    changed.paths["text"] = corpus.paths["text"]  # only the speech is other
    run(changed, folder, tmp_path / "p.tsv")
    before, after = (
        tables.read(perturbed(out), "perturbed").query("change == 'missing'")
        for out in (corpus.folder / "predictions.tsv", tmp_path / "p.tsv")
    )
    same = (before[P] == after[P]).all(axis=1)
    assert same[before.modality == "speech"].all() and not same[before.modality == "text"].any()


def test_one_modality_has_no_missing_one_and_no_file_of_the_other(corpus, tmp_path):
    alone = corpus.train("speech-alone", modalities=["speech"])
    run(corpus, alone, tmp_path / "p.tsv")
    assert set(tables.read(perturbed(tmp_path / "p.tsv"), "perturbed").modality) == {"speech"}
    assert [path.name for path in salience(tmp_path / "p.tsv").iterdir()] == ["speech.h5"]


def test_recognised_words_stand_in_for_the_corpus_own(corpus, folder, frame, tmp_path):
    heard = altered(corpus, tmp_path, "test", labels=False).paths["text"]
    run(corpus, folder, tmp_path / "p.tsv", "--transcripts", *heard)
    table = tables.read(perturbed(tmp_path / "p.tsv"), "perturbed")
    recognised = table[table.change == "transcripts"]
    swapped = Corpus(tmp_path / "swapped", corpus.table, corpus.features)
    swapped.paths["text"] = heard
    wanted = run(swapped, folder, tmp_path / "w.tsv").query("part == 'test'")
    np.testing.assert_allclose(recognised[P], wanted[P], atol=1e-6)
    assert tables.read(tmp_path / "p.tsv", "predictions").equals(frame)


def test_a_test_utterance_without_recognised_words_is_named(corpus, folder, tmp_path, caplog):
    with pytest.raises(SystemExit):
        run(corpus, folder, tmp_path / "p.tsv", "--transcripts", corpus.paths["text"][0])
    assert "has no recognised words" in caplog.text and "s1_" in caplog.text
    assert not (tmp_path / "p.tsv").exists()
