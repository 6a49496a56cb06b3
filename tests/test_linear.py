"""The baseline linear: what it computes, what chooses, what teaches, and what it refuses."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_batches import write_features
from test_train import CLASSES, Corpus, altered, made_features, made_fold

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.models import linear
from labelmer.models.deletions import SHARES

P = [f"p_{name}" for name in CLASSES]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    table = made_fold({"train": 12, "validation": 6, "test": 6})
    few = table.label == table.part.map({"train": "sad", "validation": "angry"})
    few &= table.groupby(["part", "label"]).cumcount() > 3
    table = table[~few].reset_index(drop=True)  # WA is not UA
    features = made_features(table)
    for items in features.values():  # a task that is not trivial
        draw = np.random.default_rng(1)
        items.update({i: x + draw.normal(0, 4, x.shape[1]) for i, x in items.items()})
        for x in items.values():
            x[:, 0] = 3  # what never changes has no deviation to divide by
    return Corpus(tmp_path_factory.mktemp("corpus"), table, features)


def run(corpus, folder, *more, refit=False, seed=1, classes=CLASSES, **options):
    """Run the stage by the command line; return its tables of predictions and perturbed."""
    folder.mkdir(parents=True, exist_ok=True)
    out, then = folder / "p.tsv", folder / "then.tsv"
    files = [a for m, paths in corpus.paths.items() for a in (f"--{m}", *map(str, paths))]
    config = {"classes": classes, "model": {"architecture": "linear", **options}, "refit": refit}
    arguments = [corpus.fold, folder / "model", out, "--perturbed", then, *files, *more]
    name = ["--run", "s", "t", "frozen", "linear", "1", seed]
    linear.main([*map(str, [*arguments, *name]), "--config", json.dumps(config)])
    return tables.read(out, "predictions"), tables.read(then, "perturbed")


def by_hand(corpus, c, teaching, asked):
    """scikit-learn's own pipeline on the means of both modalities: probabilities of a part."""

    def part(*names):
        rows = corpus.table[corpus.table.part.isin(names)]
        means = [
            np.concatenate(
                [
                    corpus.features[m][i].astype(np.float16).mean(0, dtype=float)
                    for m in corpus.paths
                ]
            )
            for i in rows.id
        ]
        return np.stack(means), rows.label

    fit = LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    pipeline = make_pipeline(StandardScaler(), fit).fit(*part(*teaching))
    assert pipeline.classes_.tolist() == CLASSES
    return pipeline.predict_proba(part(asked)[0])


def chosen(folder):
    return json.loads((folder / "model" / "config.json").read_text())


@pytest.fixture(scope="module")
def plain(corpus):
    return run(corpus, corpus.folder / "plain")


def test_it_is_logistic_regression_on_the_means_with_the_c_best_on_validation(corpus, plain):
    said, about = plain[0], chosen(corpus.folder / "plain")
    for part in ("validation", "test"):
        wanted = by_hand(corpus, about["c"], ["train"], part)
        np.testing.assert_allclose(said[said.part == part][P], wanted, atol=1e-3)
    true = corpus.table[corpus.table.part == "validation"].label.to_numpy()
    right, apart = {}, set()
    for c in (1e-4, 1e-3, 0.01, 0.1, 1.0):
        found = np.array(CLASSES)[by_hand(corpus, c, ["train"], "validation").argmax(1)] == true
        ua = np.mean([found[true == name].mean() for name in CLASSES])
        right[c] = (found.mean() + ua) / 2
        apart |= {ua - found.mean()} - {0}
    assert apart
    assert about["scores"] == {f"{c:g}": pytest.approx(score) for c, score in right.items()}
    assert about["c"] == max(right, key=right.get) and len(set(right.values())) > 1


def test_of_equally_good_c_the_smallest_is_taken():
    labels = np.array(["a", "b"] * 4)
    part = {"text": np.where(labels == "a", 1.0, -1.0)[:, None]}, labels
    _, c, scores = linear.chosen(part, part, ["a", "b"])
    assert set(scores.values()) == {1} and c == min(linear.GRID)


def test_every_validation_and_test_utterance_is_predicted_once(corpus, plain):
    said = plain[0]
    asked = corpus.table[corpus.table.part != "train"]
    assert said[["id", "part", "true"]].to_numpy().tolist() == (
        asked[["id", "part", "label"]].to_numpy().tolist()
    )
    assert said.predicted.tolist() == [CLASSES[i] for i in said[P].to_numpy().argmax(1)]
    assert (said.predicted == said.true).mean() > 0.5


def test_refit_tests_with_a_fit_of_both_parts_and_validates_with_that_of_one(corpus, plain):
    said, _ = run(corpus, corpus.folder / "refit", refit=True)
    about = chosen(corpus.folder / "refit")
    assert about["c"] == chosen(corpus.folder / "plain")["c"] and about["refit"] is True
    wanted = by_hand(corpus, about["c"], ["train", "validation"], "test")
    np.testing.assert_allclose(said[said.part == "test"][P], wanted, atol=1e-3)
    before = plain[0]
    assert said[said.part == "validation"].equals(before[before.part == "validation"])
    assert not said[P].equals(before[P])


def test_the_test_part_chooses_and_teaches_nothing(corpus, plain, tmp_path):
    said = plain[0]
    for refit in (False, True):
        was, _ = run(corpus, tmp_path / f"was.{refit}", refit=refit)
        relabelled, _ = run(
            altered(corpus, tmp_path / f"a.{refit}", "test", features=False),
            tmp_path / f"a.{refit}",
            refit=refit,
        )
        assert relabelled[P].equals(was[P]) and not relabelled.true.equals(was.true)
        moved, _ = run(
            altered(corpus, tmp_path / f"b.{refit}", "test", labels=False),
            tmp_path / f"b.{refit}",
            refit=refit,
        )
        kept = was.part == "validation"
        assert moved[kept].equals(was[kept]) and not moved[~kept][P].equals(was[~kept][P])
    taught, _ = run(altered(corpus, tmp_path / "c", "train"), tmp_path / "c")
    assert not taught[P].equals(said[P])


def test_neither_chance_nor_seed_nor_the_order_of_rows_matters(corpus, plain, tmp_path):
    run(corpus, tmp_path / "again")
    for name in ("p.tsv", "then.tsv", "model/model.safetensors", "model/config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (
            corpus.folder / "plain" / name
        ).read_bytes()
    other, _ = run(corpus, tmp_path / "seed", seed=2)
    assert other.drop(columns="seed").equals(plain[0].drop(columns="seed"))
    shuffled = corpus.table.sample(frac=1, random_state=3)
    mixed, _ = run(Corpus(tmp_path / "mixed", shuffled, corpus.features), tmp_path / "mixed")
    np.testing.assert_allclose(mixed.set_index("id").loc[plain[0].id][P], plain[0][P], atol=1e-4)


def test_the_saved_tensors_are_the_model(corpus, plain):
    saved = load_file(corpus.folder / "plain" / "model" / "model.safetensors")
    test = corpus.table[corpus.table.part == "test"]
    logits = saved["intercept"] + sum(
        (
            (
                np.stack(
                    [corpus.features[m][i].astype(np.float16).mean(0, dtype=float) for i in test.id]
                )
                - saved[f"{m}.mean"]
            )
            / saved[f"{m}.sd"]
        )
        @ saved[f"{m}.weights"].T
        for m in ("speech", "text")
    )
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(plain[0][plain[0].part == "test"][P], p, atol=1e-4)


def test_two_classes_are_told_apart_as_scikit_learn_does(corpus, tmp_path):
    table = corpus.table[corpus.table.label != "neutral"].reset_index(drop=True)
    two = Corpus(tmp_path, table, corpus.features)
    said, _ = run(two, tmp_path / "two", classes=["sad", "angry"])
    assert (said.predicted == said.true).mean() > 0.6
    np.testing.assert_allclose(said[["p_sad", "p_angry"]].sum(axis=1), 1, atol=1e-7)


def test_of_several_layers_the_mean_counts(corpus, plain, tmp_path):
    """Each layer plus something that cancels in the mean of the layers."""
    paths = {
        m: [
            write_features(
                tmp_path / path.name,
                {
                    i: np.stack([x + 8, x - 8], 1)
                    for i, x in corpus.features[m].items()
                    if i[:2] == path.name.split(".")[1]
                },
            )
            for path in files
        ]
        for m, files in corpus.paths.items()
    }
    stacked = Corpus(tmp_path / "corpus", corpus.table, corpus.features)
    stacked.paths = paths
    said, _ = run(stacked, tmp_path / "out")
    np.testing.assert_allclose(said[P], plain[0][P], atol=0.01)


# Disturbed inputs


def test_every_test_utterance_is_predicted_under_every_change(corpus, plain):
    said, then = plain
    deleted = {("random", m, share) for m in ("speech", "text") for share in SHARES}
    changes = then.groupby(["change", "modality", "share"])
    assert set(changes.groups) == deleted | {("missing", m, 1.0) for m in ("speech", "text")}
    for _, rows in changes:
        assert rows.id.tolist() == said[said.part == "test"].id.tolist()


def test_what_is_missing_does_not_matter_and_what_is_there_does(corpus, plain, tmp_path):
    changed = altered(corpus, tmp_path, "test", labels=False)
    changed.paths["text"] = corpus.paths["text"]  # only the speech is other
    before, after = (
        then[then.change == "missing"] for then in (plain[1], run(changed, tmp_path / "out")[1])
    )
    same = (before[P] == after[P]).all(axis=1)
    assert same[before.modality == "speech"].all() and not same[before.modality == "text"].any()


def test_one_modality_alone_reads_nothing_of_the_other(corpus, tmp_path):
    alone = Corpus(tmp_path, corpus.table, corpus.features)
    alone.paths = {"speech": alone.paths["speech"]}
    _, then = run(alone, tmp_path / "out", modalities=["speech"])
    assert set(zip(then.change, then.modality, strict=True)) == {("random", "speech")}


def test_recognised_words_stand_in_for_the_corpus_own(corpus, plain, tmp_path):
    heard = altered(corpus, tmp_path, "test", labels=False).paths["text"]
    said, then = run(corpus, tmp_path / "out", "--transcripts", *heard)
    assert said.equals(plain[0])
    swapped = Corpus(tmp_path / "swapped", corpus.table, corpus.features)
    swapped.paths["text"] = heard
    wanted, _ = run(swapped, tmp_path / "swapped")
    recognised = then[then.change == "transcripts"]
    np.testing.assert_allclose(recognised[P], wanted[wanted.part == "test"][P], atol=1e-7)


def test_whole_strides_are_deleted_as_a_model_loses_them(corpus):
    means = linear.Means("speech", corpus.paths["speech"], stride=3)
    left = means._left("s0_u000", 20)
    assert left.shape == (len(SHARES), 20)
    groups = left[:, :18].reshape(len(SHARES), 6, 3)
    assert (groups.all(2) | ~groups.any(2)).all()
    assert [7 - int(row[::3].sum()) for row in left] == [1, 1, 2, 4]


# What it refuses, and what it warns of


def test_a_class_that_nothing_teaches_is_named(corpus, tmp_path, caplog):
    table = corpus.table[(corpus.table.part != "train") | (corpus.table.label != "sad")]
    with pytest.raises(SystemExit):
        run(Corpus(tmp_path, table, corpus.features), tmp_path / "out")
    assert "no row of class 'sad' in part train" in caplog.text and "fold1.tsv" in caplog.text


@pytest.mark.parametrize("spoil", [lambda x: np.full_like(x, 1e6), lambda x: x[:0]])
def test_features_without_a_finite_mean_are_named(corpus, tmp_path, caplog, spoil):
    name = corpus.table.id[3]
    features = {**corpus.features, "text": dict(corpus.features["text"])}
    features["text"][name] = spoil(features["text"][name])  # 1e6 is infinite as float16
    with pytest.raises(SystemExit), np.errstate(over="ignore"):
        run(Corpus(tmp_path, corpus.table, features), tmp_path / "out")
    assert f"id '{name}'" in caplog.text and "text.s" in caplog.text
    assert not (tmp_path / "out" / "p.tsv").exists()


def test_an_utterance_without_features_is_named(corpus):
    means = linear.Means("text", corpus.paths["text"], stride=1)
    with pytest.raises(InputError, match=r"id 'nobody' .and 0 more. of the fold is in none of"):
        means.of(["s0_u000", "nobody"])


def test_recognised_words_by_another_encoder_are_refused(corpus, tmp_path, caplog):
    heard = write_features(tmp_path / "heard.h5", corpus.features["text"], layer=3)
    with pytest.raises(SystemExit):
        run(corpus, tmp_path, "--transcripts", heard)
    assert f"{heard}: layer is '3', expected '0' as the model was trained on" in caplog.text
    assert not (tmp_path / "p.tsv").exists()


def test_a_fit_that_does_not_converge_is_told(corpus, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(linear, "ITERATIONS", 1)
    run(corpus, tmp_path)
    assert "C = 1: not converged after 1 iterations" in caplog.text
