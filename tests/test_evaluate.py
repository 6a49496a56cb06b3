"""Evaluation: what a table of predictions holds, and what its numbers depend on."""

import numpy as np
import pytest
import torch
from test_train import CLASSES, NAMES, Corpus, altered, made_features, made_fold

from labelmer import batches, evaluate, model, tables

torch.set_num_threads(1)
P = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    table = made_fold({"train": 12, "validation": 4, "test": 6})
    return Corpus(tmp_path_factory.mktemp("corpus"), table, made_features(table))


@pytest.fixture(scope="module")
def folder(corpus):
    return corpus.train("model")


def run(corpus, folder, out):
    """Evaluate by the command line; return the table that it wrote."""
    files = [a for m, paths in corpus.paths.items() for a in (f"--{m}", *map(str, paths))]
    evaluate.main([str(corpus.fold), str(folder), str(out), *files, "--run", *NAMES, "2", "7"])
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
    assert own.to_numpy().tolist() == [[*NAMES, 2, 7]]


def test_probabilities_are_the_softmax_of_the_saved_models_logits(corpus, folder, frame):
    loaded, _ = model.load(folder)
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
