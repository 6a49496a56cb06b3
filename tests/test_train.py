"""Training: nothing but the training part teaches, validation alone chooses, a seed repeats."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import REPOSITORY
from safetensors.torch import load_file
from test_batches import averaged, write_features

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.learning import batches
from labelmer.learning.device import decayed
from labelmer.models import saved, train
from labelmer.models.architectures import options as options_from
from labelmer.models.architectures.label_guided.network import LabelGuidedFusion
from labelmer.scores.accuracy import best_epoch

torch.set_num_threads(1)
CLASSES = ["angry", "neutral", "sad"]
WIDTHS = {"speech": 6, "text": 5}
SMALL = {"width": 16, "frame_stride": 2, "dropout": 0.1}
NAMES = ["made-speech", "made-text", "frozen", "full"]
QUICK = {"epochs": 3, "updates": 1, "batch_size": 16, "learning_rate": 5e-3, "refit": False}


def made_fold(counts, seed=0):
    """A fold table with counts[part] utterances of each class, in two sessions."""
    parts = [(p, c) for p, n in counts.items() for c in CLASSES for _ in range(n)]
    table = pd.DataFrame(parts, columns=["part", "label"]).sample(frac=1, random_state=seed)
    ids = [f"s{i % 2}_u{i:03d}" for i in range(len(table))]
    return table.assign(id=ids, session="s", dialogue="d", speaker="p").reset_index(drop=True)


def made_features(table, seed=0):
    """{modality: {id: (rows, width)}}: noise around a place of its own for each class."""
    draw = np.random.default_rng(seed)
    places = {m: draw.normal(0, 1, (len(CLASSES), w)) for m, w in WIDTHS.items()}
    features = {m: {} for m in WIDTHS}
    for row in table.itertuples():
        for m, width in WIDTHS.items():
            noise = draw.normal(0, 1, (draw.integers(1, 9), width))
            features[m][row.id] = 10 + 3 * (places[m][CLASSES.index(row.label)] + noise)
    return features


class Corpus:
    """A fold on disk: its table and, for each modality, the feature files of two sessions."""

    def __init__(self, folder, table, features):
        self.folder, self.table, self.features = Path(folder), table, features
        self.fold = self.folder / "fold1.tsv"
        tables.write(self.fold, table, "fold")
        self.paths = {}
        for m, items in features.items():
            by_session = {s: {i: v for i, v in items.items() if i[:2] == s} for s in ("s0", "s1")}
            self.paths[m] = [
                write_features(self.folder / f"{m}.{s}.h5", some) for s, some in by_session.items()
            ]

    def part(self, name, options):
        rows = self.table[self.table.part == name]
        strides = options.modalities, options.frame_stride
        return batches.load_part(rows, self.paths, CLASSES, *strides)

    def arguments(self, out, *more, seed=1, training=QUICK, **options):
        """The command line of a training."""
        config = {"classes": CLASSES, "model": {**SMALL, **options}, "training": training}
        files = [a for m, paths in self.paths.items() for a in (f"--{m}", *map(str, paths))]
        arguments = [str(self.fold), str(self.folder / out), *files, *more]
        run = [*NAMES, "1", str(seed)]
        return [*arguments, "--run", *run, "--config", json.dumps(config)]

    def train(self, out, *more, **settings):
        """Train by the command line; return the folder of the model."""
        train.main(self.arguments(out, *more, **settings))
        return self.folder / out


@pytest.fixture
def table():
    return made_fold({"train": 12, "validation": 5, "test": 5})


@pytest.fixture
def corpus(tmp_path, table):
    return Corpus(tmp_path, table, made_features(table))


def altered(corpus, folder, part, labels=True, features=True):
    """The corpus with other labels and other features in one part."""
    mine = corpus.table.part == part
    table = corpus.table.copy()
    if labels:
        table.loc[mine, "label"] = np.roll(table.label[mine], 1)
    other = {m: dict(items) for m, items in corpus.features.items()}
    if features:
        for items in other.values():
            items.update({i: -7 * items[i] for i in table.id[mine]})
    return Corpus(folder, table, other)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def history(folder):
    return tables.read(folder / "history.tsv", "history")


# All layers of an encoder


def test_all_layers_are_mixed_and_the_mix_is_learned(table, tmp_path):
    """Layer 0 and 2 are noise, layer 1 tells the class: the mix must lean towards it."""
    draw = np.random.default_rng(0)
    features = made_features(table)
    for items in features.values():
        for name, rows in items.items():
            layers = draw.normal(0, 1, (len(rows), 3, rows.shape[1]))
            layers[:, 1] = rows
            items[name] = layers
    stacked = Corpus(tmp_path, table, features)
    untrained, _ = saved.load(stacked.train("u", training={**QUICK, "learning_rate": 1e-9}))
    training = {**QUICK, "epochs": 20}
    trained, _ = saved.load(stacked.train("t", training=training, experts=True))
    for m, width in WIDTHS.items():
        assert trained.rows[m] == [3, width] and trained.sides[m].mean.shape == (3, width)
        equal = torch.full((3,), 1 / 3)
        assert torch.allclose(untrained.sides[m].layer_mix.softmax(0), equal, atol=1e-4)
        assert trained.sides[m].layer_mix.argmax() == 1
    test = stacked.part("test", trained.options)
    right = batches.predict(trained, test).argmax(-1).numpy() == test.labels
    assert right.mean() > 0.6  # chance is 0.25


# From features to a model on disk


def test_the_command_writes_a_model_its_description_and_its_history(corpus):
    folder = corpus.train("m")
    assert sorted(p.name for p in folder.iterdir()) == [
        *("config.json", "history.tsv", "model.safetensors", "validation.tsv")
    ]
    loaded, classes = saved.load(folder)
    assert (
        classes == CLASSES
        and loaded.rows == {m: [w] for m, w in WIDTHS.items()}
        and loaded.options.width == 16
    )
    about = json.loads((folder / "config.json").read_text())
    assert about["run"]["variant"] == "full" and about["run"]["seed"] == "1"
    assert about["training"]["epochs"] == 3
    assert about["encoders"]["speech"]["encoder"] == "made"
    rows = history(folder)
    assert rows.epoch.tolist() == [1, 2, 3] and rows.chosen.sum() == 1
    own = rows[["speech", "text", "mode", "variant", "fold", "seed"]].drop_duplicates()
    assert own.to_numpy().tolist() == [[*NAMES, 1, "1"]]
    assert rows.learning_rate.is_monotonic_decreasing and rows.learning_rate.iloc[-1] < 1e-5
    assert rows.waiting.between(0, 1, inclusive="neither").all()
    assert rows.peak_memory_mb.is_monotonic_increasing and rows.peak_memory_mb[0] > 100


def test_it_learns_something_easy(corpus):
    folder = corpus.train("m", training={**QUICK, "epochs": 6})
    assert history(folder).validation_ua.max() > 0.9
    loaded, _ = saved.load(folder)
    test = corpus.part("test", loaded.options)
    right = batches.predict(loaded, test).argmax(-1).numpy() == test.labels
    assert right.mean() > 0.9


def test_an_id_without_features_is_named(corpus, tmp_path, caplog):
    table = corpus.table.copy()
    table.loc[table.part == "validation", "id"] = [f"nobody{i}" for i in range(15)]
    tables.write(corpus.fold, table, "fold")
    with pytest.raises(SystemExit):
        corpus.train("m")
    assert "id 'nobody0' (and 14 more)" in caplog.text and "speech.s0.h5" in caplog.text
    assert not (tmp_path / "m").exists()


def test_one_modality_needs_no_files_of_the_other(corpus):
    corpus.paths = {"text": corpus.paths["text"]}
    loaded, _ = saved.load(corpus.train("m", modalities=["text"]))
    assert list(loaded.sides) == ["text"]


# What may teach


def test_a_seed_repeats_and_another_differs(corpus):
    first, again, other = corpus.train("a"), corpus.train("b"), corpus.train("c", seed=2)
    assert weights(first) == weights(again) != weights(other)
    vary = ["seconds", "waiting", "peak_memory_mb", "seed"]
    timeless = [history(f).drop(columns=vary) for f in (first, again, other)]
    assert timeless[0].equals(timeless[1]) and not timeless[0].equals(timeless[2])


def test_the_test_part_teaches_nothing(corpus, tmp_path):
    plain = weights(corpus.train("m"))
    assert weights(altered(corpus, tmp_path / "test", "test").train("m")) == plain
    assert weights(altered(corpus, tmp_path / "train", "train").train("m")) != plain


@pytest.mark.parametrize("part", ["validation", "train"])
def test_validation_changes_no_statistics_and_no_prototypes(corpus, tmp_path, part):
    frozen = {"label_embeddings": "frozen"}
    before = load_file(corpus.train("m", **frozen) / "model.safetensors")
    other = altered(corpus, tmp_path / "other", part)
    after = load_file(other.train("m", **frozen) / "model.safetensors")
    for m in WIDTHS:
        for name in ("mean", "sd", "label_embeddings"):
            same = torch.equal(before[f"sides.{m}.{name}"], after[f"sides.{m}.{name}"])
            assert same == (part == "validation"), name


def test_validation_labels_teach_nothing_within_an_epoch(corpus, tmp_path):
    one_epoch = {**QUICK, "epochs": 1}
    other = altered(corpus, tmp_path / "other", "validation")
    folders = [c.train("m", training=one_epoch) for c in (corpus, other)]
    assert weights(folders[0]) == weights(folders[1])
    losses = [history(folder).validation_loss[0] for folder in folders]
    assert losses[0] != losses[1]


def test_statistics_and_prototypes_come_from_the_training_part(corpus):
    options = options_from(SMALL)
    built = train.build(options, corpus.part("train", options), CLASSES)
    rows = corpus.table[corpus.table.part == "train"]
    for m, side in built.sides.items():
        stride = 2 if m == "speech" else 1
        halved = {i: np.float32(np.float16(corpus.features[m][i])) for i in rows.id}
        items = [averaged(value, stride) for value in halved.values()]
        frames, labels = np.concatenate(items), np.repeat(rows.label, list(map(len, items)))
        mean, sd = frames.mean(0, dtype=float), frames.std(0, dtype=float)
        np.testing.assert_allclose(side.mean, mean, rtol=1e-3)  # means of two are rounded
        np.testing.assert_allclose(side.sd, sd, rtol=1e-3)
        means = np.stack([((frames - mean) / sd)[labels == c].mean(0) for c in CLASSES])
        np.testing.assert_allclose(side.label_embeddings.detach(), unit(means), atol=1e-3)


def unit(means):
    centred = means - means.mean(0)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True))


def test_labels_may_start_from_their_words(corpus, tmp_path):
    draw = np.random.default_rng(5)
    words = {name: np.float16(draw.normal(10, 3, (3, 5))) for name in reversed(CLASSES)}
    path = write_features(tmp_path / "labels.h5", words)
    start = {"label_start": {"text": "words"}, "label_embeddings": "frozen"}
    saved = load_file(corpus.train("m", "--label-words", str(path), **start) / "model.safetensors")
    mean, sd = saved["sides.text.mean"].numpy(), saved["sides.text.sd"].numpy()
    means = np.stack([(words[name].astype(float).mean(0) - mean) / sd for name in CLASSES])
    np.testing.assert_allclose(saved["sides.text.label_embeddings"], unit(means), atol=1e-4)


def test_labels_that_start_from_words_and_have_none_stop(corpus, caplog):
    with pytest.raises(SystemExit):
        corpus.train("none", label_start={"text": "words"})
    assert "label_start: text: words needs the labels' words" in caplog.text


def test_random_labels_know_nothing_of_the_classes(corpus):
    options = options_from({**SMALL, "label_start": {"speech": "random"}})
    starts = []
    for name in ("train", "test"):
        torch.manual_seed(0)
        starts.append(train.build(options, corpus.part(name, options), CLASSES).sides)
    first, second = (s["speech"].label_embeddings for s in starts)
    assert torch.equal(first, second)
    assert not torch.equal(*(s["text"].label_embeddings for s in starts))
    np.testing.assert_allclose(first.detach().square().mean(1), 1, rtol=1e-5)


def test_unstandardised_features_stay_as_they_are(corpus):
    options = options_from({**SMALL, "standardise": False})
    for side in train.build(options, corpus.part("train", options), CLASSES).sides.values():
        assert not side.mean.any() and (side.sd == 1).all()


def test_a_training_that_diverges_says_where_and_what_to_do(corpus, caplog):
    with pytest.raises(SystemExit):
        corpus.train("d", training={**QUICK, "learning_rate": 1e20})
    assert "the training loss is nan in epoch" in caplog.text
    assert "lower training: learning_rate (1e+20)" in caplog.text
    assert not (corpus.folder / "d").exists()


def test_whoever_may_read_the_history_may_read_the_model(corpus):
    folder = corpus.train("a")
    modes = {(folder / f).stat().st_mode for f in ("model.safetensors", "history.tsv")}
    assert len(modes) == 1


# Steps


def gradient(corpus, pieces=1, **options):
    """What a batch of items of many lengths, some without a modality, teaches a new model.

    Returns its loss, the gradients, and the buffers that it moves.
    """
    options = options_from({**SMALL, "dropout": 0.0, "input_dropout": 0.0, **options})
    part = corpus.part("train", options)
    torch.manual_seed(0)
    built = train.build(options, part, CLASSES)
    numbers = np.random.default_rng(0).permutation(len(part.labels))
    present = train.missing(len(numbers), 0.3, np.random.default_rng(0))
    weights = torch.tensor([1.0, 2.0, 4.0])
    places = np.array_split(np.arange(len(numbers)), pieces)
    made = part.batches([numbers[p] for p in places], "cpu")
    loss = train.backward(built, part.labels[numbers], places, made, weights, present)
    learned = {name: p.grad for name, p in built.named_parameters()}
    return loss.item(), learned | dict(built.named_buffers())


def assert_alike(found, expected, share):
    """Two results of gradient() differ by no more than a share of each tensor's length.

    One shorter than a thousandth of all of them is a sum whose terms cancel, and counts as that.
    """
    assert found[0] == pytest.approx(expected[0], rel=share)
    least = torch.stack([tensor.norm() for tensor in expected[1].values()]).norm() / 1000
    for name, tensor in expected[1].items():
        assert (found[1][name] - tensor).norm() <= share * max(tensor.norm(), least), name


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"experts": True},
        {"keep_frames": 0.5},
        {"architecture": "lsgmer"},
        {"architecture": "ramer"},
        {"architecture": "deepmsi", "contrastive": 0},  # which is among those of a piece
    ],
)
def test_pieces_of_a_batch_teach_what_the_batch_teaches(corpus, options):
    whole = gradient(corpus, **options)
    assert_alike(gradient(corpus, pieces=7, **options), whole, share=1e-4)


@pytest.mark.parametrize("architecture", ["label-guided", "lsgmer", "ramer", "deepmsi"])
def test_mixed_precision_teaches_nearly_the_same(corpus, monkeypatch, architecture):
    """What a GPU does, in the CPU's bfloat16."""
    exact = gradient(corpus, architecture=architecture)
    monkeypatch.setattr(
        train, "mixed_precision", lambda device: torch.autocast(device, torch.bfloat16)
    )
    mixed = gradient(corpus, architecture=architecture)
    assert mixed[0] != exact[0]
    assert_alike(mixed, exact, share=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_repeats_and_learns_as_a_cpu_does(corpus):
    first, again = (corpus.train(name, "--gpu", "1") for name in "ab")
    assert weights(first) == weights(again)
    on_gpu, on_cpu = history(first), history(corpus.train("c"))
    np.testing.assert_allclose(on_gpu.validation_loss, on_cpu.validation_loss, rtol=0.2)
    assert on_gpu.validation_ua.max() > 0.9 and on_gpu.peak_memory_mb[0] > 1


def test_the_optimiser_steps_as_pytorchs_own():
    draw = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn(6, 50, generator=draw)
    ends = []
    for kind in (train.AdamW, torch.optim.AdamW):
        parameter = torch.nn.Parameter(start.clone())
        optimiser = kind([parameter], 1e-2, weight_decay=0.1, fused=True)
        for each in gradients:
            parameter.grad = each.clone()
            optimiser.step()
        ends.append(parameter.detach())
    assert torch.equal(*ends) and not torch.equal(ends[0], start)


def test_training_does_without_the_compiler(corpus):
    code = "import sys; from labelmer.models import train; train.main(sys.argv[1:]); "
    code += "sys.exit('torch._dynamo' in sys.modules)"
    command = [sys.executable, "-c", code, *corpus.arguments("m")]
    assert subprocess.run(command, cwd=REPOSITORY).returncode == 0
    assert (corpus.folder / "m" / "model.safetensors").exists()


# Weights, dropout, choice


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_each_modality_is_missing_at_times_and_never_both(probability):
    there = train.missing(20_000, probability, np.random.default_rng(0))
    assert (there["speech"] | there["text"]).all()
    for m in ("speech", "text"):
        assert (~there[m]).float().mean().item() == pytest.approx(probability, abs=0.01)


def test_modalities_are_dropped_in_training_only_and_only_where_there_are_two(corpus, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        train, "missing", lambda size, *_: drawn.append(size) or dict.fromkeys(WIDTHS, ones(size))
    )

    def ones(size):
        return torch.ones(size, dtype=torch.bool)

    corpus.train("a", modality_dropout=0.0)
    corpus.train("b", modalities=["speech"])
    assert drawn == []
    corpus.train("c")
    assert sum(drawn) == 3 * 36


def test_the_kept_epoch_is_the_best_one_on_validation(corpus, monkeypatch):
    options = options_from(SMALL)
    parts = {name: corpus.part(name, options) for name in ("train", "validation")}
    built = train.build(options, parts["train"], CLASSES)
    # WA and UA by epoch; their mean, averaged over three epochs: .5, .55, .6, .55, .6
    scores = iter([(0.9, 0.1), (0.4, 0.8), (0.7, 0.7), (0.3, 0.4), (0.8, 0.7)])
    seen = []

    def accuracies(true, _):
        assert true is parts["validation"].labels
        seen.append({name: value.clone() for name, value in built.state_dict().items()})
        return dict(zip(("wa", "ua"), next(scores), strict=True))

    monkeypatch.setattr(train, "accuracies", accuracies)
    training = train.TrainingOptions(**{**QUICK, "epochs": 5})
    rows, logits = train.fit(built, parts["train"], parts["validation"], training, seed=1)
    assert [row["chosen"] for row in rows] == [0, 0, 1, 0, 0]
    for name, value in built.state_dict().items():
        assert torch.equal(value, seen[2][name])
    assert not torch.equal(seen[2]["joint.3.weight"], seen[4]["joint.3.weight"])
    assert torch.equal(logits, batches.predict(built, parts["validation"]))


@pytest.mark.parametrize("patience, epochs", [(None, 9), (1, 4), (2, 7), (3, 9)])
def test_training_ends_where_validation_has_stopped_rising(corpus, monkeypatch, patience, epochs):
    options = options_from(SMALL)
    parts = {name: corpus.part(name, options) for name in ("train", "validation")}
    built = train.build(options, parts["train"], CLASSES)
    # Averaged over three epochs, from the third on: .3, .2, .5, .4, .4, .6, .6
    scores = iter([0.3, 0.3, 0.3, 0.0, 1.2, 0.0, 0.0, 1.8, 0.0])

    def accuracies(*_):
        return dict.fromkeys(("wa", "ua"), next(scores))

    monkeypatch.setattr(train, "accuracies", accuracies)
    training = train.TrainingOptions(**{**QUICK, "epochs": 9, "patience": patience})
    rows, _ = train.fit(built, parts["train"], parts["validation"], training, seed=1)
    assert len(rows) == epochs
    best = {4: 3, 7: 5, 9: 8}[epochs]
    assert [row["epoch"] for row in rows if row["chosen"]] == [best]


def test_one_lucky_epoch_does_not_choose():
    def chosen(*scores):
        rows = [
            {"epoch": i, "validation_wa": s, "validation_ua": s + 0.1}
            for i, s in enumerate(scores, 1)
        ]
        return best_epoch(rows)["epoch"]

    assert chosen(0.2, 0.9, 0.3, 0.5, 0.6, 0.6, 0.6) == 7
    assert chosen(0.9, 0.3, 0.5, 0.6, 0.6, 0.6) == 6
    assert chosen(0.62, 0.5, 0.55, 0.58, 0.6, 0.61, 0.61, 0.6, 0.61, 0.61) == 7
    assert chosen(0.5, 0.5, 0.5, 0.5) == 3  # of equals, the first
    assert chosen(0.3) == 1 and chosen(0.9, 0.3) == 2


def test_wa_and_ua_choose_alike():
    def chosen(*scores):
        rows = [
            {"epoch": i, "validation_wa": w, "validation_ua": u}
            for i, (w, u) in enumerate(scores, 1)
        ]
        return best_epoch(rows)["epoch"]

    level = [(0.5, 0.5)] * 4
    assert chosen(*level, *[(0.9, 0.2)] * 3, *[(0.8, 0.5)] * 3, *[(0.2, 0.9)] * 3) == 10
    assert chosen(*level, *[(0.2, 0.9)] * 3, *[(0.5, 0.8)] * 3, *[(0.9, 0.2)] * 3) == 10


@pytest.fixture
def rare(tmp_path):
    """A corpus of sound and words that say nothing, where one class stands for most that trains."""
    table = made_fold({"train": 30, "validation": 10, "test": 1})
    few = (table.part == "train") & (table.label != "angry") & (table.index % 6 > 0)
    table = table[~few].reset_index(drop=True)
    draw = np.random.default_rng(3)
    features = {m: {i: draw.normal(0, 1, (4, w)) for i in table.id} for m, w in WIDTHS.items()}
    return Corpus(tmp_path, table, features)


def test_every_class_weighs_alike_in_training(rare):
    teaching = rare.table[rare.table.part == "train"].label.value_counts()
    assert teaching["angry"] > 3 * teaching["sad"]
    options = options_from(SMALL)
    part = rare.part("train", options)
    built = train.build(options, part, CLASSES)
    for _ in train.updates(built, part, train.TrainingOptions(**QUICK), 1, 40):
        pass
    p = torch.softmax(train.predict(built, rare.part("validation", options)), -1).mean(0)
    np.testing.assert_allclose(p, 1 / 3, atol=0.1)


def test_the_loss_of_validation_weighs_classes_as_training_does(rare):
    folder = rare.train("m")
    said = tables.read(folder / "validation.tsv", "predictions")
    counts = rare.table[rare.table.part == "train"].label.value_counts()
    weights = 1 / counts[said.true].to_numpy()
    p = np.array([row[f"p_{row['true']}"] for _, row in said.iterrows()])
    loss = history(folder).query("chosen == 1").validation_loss.item()
    assert loss == pytest.approx(np.average(-np.log(p), weights=weights), rel=1e-4)
    assert loss != pytest.approx(np.mean(-np.log(p)), rel=1e-3)


def test_frames_are_averaged_once(corpus, monkeypatch, caplog):
    averaged = []
    rows = batches.Features._rows

    def counted(self, number):
        averaged.append(number)
        return rows(self, number)

    monkeypatch.setattr(batches.Features, "_rows", counted)
    corpus.train("kept")
    once = len(averaged)
    corpus.train("longer", training={**QUICK, "epochs": 9})
    text = len(averaged) - 2 * once  # of stride 1: nothing is averaged, and nothing kept
    averaged.clear()
    corpus.train("speech", modalities=["speech"])
    corpus.train("longer", modalities=["speech"], training={**QUICK, "epochs": 9})
    used = (corpus.table.part != "test").sum()
    assert len(averaged) == 2 * used and text > 0
    caplog.set_level("INFO")
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)
    corpus.train("not")
    assert "frames are averaged anew in each batch" in caplog.text


def test_memory_that_runs_out_is_told_from_other_errors():
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA out of memory")):
        with pytest.raises(InputError, match="lower training: batch_size"), train.memory_advised():
            raise error
    with pytest.raises(RuntimeError, match="shapes"), train.memory_advised():
        raise RuntimeError("shapes cannot be multiplied")


def test_a_refit_that_diverges_stops(corpus, monkeypatch):
    options = options_from(SMALL)
    part = corpus.part("train", options)
    made = []

    def diverging(*_):
        for number in range(1000):
            made.append(number)
            yield torch.tensor(float("nan") if number == 10 else 1.0), 0.1

    monkeypatch.setattr(train, "updates", diverging)
    with pytest.raises(
        InputError, match=r"loss is nan in the refit.*lower training: learning_rate"
    ):
        train.refit(None, part, train.TrainingOptions(), 1, 1000)
    assert len(made) == 100


def test_the_turns_around_are_missing_as_often_as_a_modality():
    there = train.missing(20_000, 0.3, np.random.default_rng(0), joint=False, context=True)
    assert set(there) == {"context"} and abs(there["context"].float().mean().item() - 0.7) < 0.02


def test_a_small_part_is_passed_over_more_often():
    options = train.TrainingOptions(epochs=8, updates=500, batch_size=32)
    assert options.passes(320) == 50 and options.batches(320) == 10
    assert options.batches(330) == 11 and options.passes(330) == 46  # 506 updates
    assert options.passes(5531) == 8


def test_few_updates_are_warned_of(corpus, caplog):
    corpus.train("few", training=QUICK)  # 36 utterances in 3 batches, 3 epochs
    assert "training made 9 updates only" in caplog.text and "training: updates" in caplog.text
    assert "the refit" not in caplog.text
    corpus.train("most", training={**QUICK, "updates": 99})
    assert "training made 99 updates only" in caplog.text
    caplog.clear()
    corpus.train("more", training={**QUICK, "updates": 100})
    assert "updates only" not in caplog.text
    # Of 100 epochs patience lets it make a few; the refit then makes fewer than that.
    corpus.train("ended", training={**QUICK, "updates": 300, "patience": 1, "refit": True})
    made = history(corpus.folder / "ended").updates.max()
    assert made < 100
    assert f"training made {made} updates only" in caplog.text and "or patience" in caplog.text
    assert "the refit makes" in caplog.text


def test_refit_learns_from_validation_too_and_for_as_long_as_was_best(corpus, tmp_path):
    plain = corpus.train("plain", training={**QUICK, "epochs": 6})
    anew = corpus.train("anew", training={**QUICK, "epochs": 6, "refit": True})
    assert (
        history(anew)
        .drop(columns=["seconds", "waiting", "peak_memory_mb"])
        .equals(history(plain).drop(columns=["seconds", "waiting", "peak_memory_mb"]))
    )
    # What it says of validation comes from the model that had not learned from it.
    assert (anew / "validation.tsv").read_bytes() == (plain / "validation.tsv").read_bytes()
    chosen = int(history(anew).query("chosen == 1").epoch.iloc[0])
    about = json.loads((anew / "config.json").read_text())
    assert about["updates"] == 3 * chosen and about["training"]["refit"] is True

    # Statistics of both parts; another validation part is another model, another test part not.
    both = corpus.table[corpus.table.part != "test"]
    rows = np.concatenate([np.float16(corpus.features["text"][i]) for i in both.id])
    saved = load_file(anew / "model.safetensors")
    np.testing.assert_allclose(saved["sides.text.mean"], rows.mean(0, dtype=float), rtol=1e-5)
    options = {**QUICK, "epochs": 6, "refit": True}
    assert weights(corpus.train("again", training=options)) == weights(anew) != weights(plain)
    other = altered(corpus, tmp_path / "test", "test")
    assert weights(other.train("m", training=options)) == weights(anew)


def test_a_refit_is_as_long_as_was_best_and_begins_as_the_first_fit_did(corpus, monkeypatch):
    seen = []

    def counted(model, part, options, seed, count):
        seen.append((count, len(part.labels), torch.rand(1).item()))

    monkeypatch.setattr(train, "refit", counted)
    for patience in (1, 2):
        training = {**QUICK, "epochs": 40, "patience": patience, "refit": True}
        rows = history(corpus.train(f"m{patience}", training=training))
        assert rows.epoch.max() - rows.query("chosen == 1").epoch.item() == patience
        count, utterances, _ = seen[-1]
        assert (count, utterances) == (rows.query("chosen == 1").updates.item(), 51)
    assert seen[0][2] == seen[1][2]  # however long the first fit was


def steps(corpus):
    """Four updates of a new model."""
    options = options_from(SMALL)
    part = corpus.part("train", options)
    built = train.build(options, part, CLASSES)
    training = train.TrainingOptions(**{**QUICK, "batch_size": 12})
    for _ in train.updates(built, part, training, 1, 4):
        pass


def test_the_momentum_stays_as_it_is(corpus, monkeypatch):
    seen = []

    class Spy(train.AdamW):
        def step(self, *given):
            seen.extend(group["betas"] for group in self.param_groups)
            return super().step(*given)

    monkeypatch.setattr(train, "AdamW", Spy)
    steps(corpus)
    assert len(seen) == 8 and set(seen) == {(0.9, 0.999)}


def test_a_device_says_how_many_rows_go_through_the_model_at_once(corpus, monkeypatch):
    seen, asked = [], []
    monkeypatch.setattr(batches, "rows_at_once", lambda device: asked.append(device) or 20)
    loss = train.backward

    def spy(model, labels, places, *rest):
        seen.append(len(places))
        return loss(model, labels, places, *rest)

    monkeypatch.setattr(train, "backward", spy)
    steps(corpus)
    assert asked == [torch.device("cpu")] and min(seen) > 1


def test_no_update_waits_for_the_device(corpus, monkeypatch):
    def waits(*_):
        raise AssertionError("a tensor's value was asked for")

    for name in ("item", "cpu", "__bool__", "__float__"):
        monkeypatch.setattr(torch.Tensor, name, waits)
    steps(corpus)


def test_weight_decay_acts_on_matrices_alone(corpus):
    options = options_from({**SMALL, "context_turns": 2})
    built = train.build(options, corpus.part("train", options), CLASSES)
    named = {id(p): n for n, p in built.named_parameters()}
    pulled, free = ({named[id(p)] for p in group["params"]} for group in decayed(built, 0.01))
    assert pulled | free == set(named.values()) and not pulled & free
    assert {"sides.text.project.inward.0.weight", "joint.0.weight"} <= pulled
    assert {"sides.text.label_embeddings", "sides.text.log_sharpness", "sides.speech.null"} <= free
    assert {"context.speaker", "context.distance"} <= free
    assert all(n.endswith("weight") for n in pulled) and "sides.text.norm.weight" in free


def test_weight_decay_leaves_the_gains_of_an_encoder_alone():
    encoder = torch.nn.Module()
    encoder.position = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(4, 4, 3), dim=2)
    encoder.of_heads = torch.nn.Parameter(torch.ones(1, 2, 1, 1))
    encoder.score = torch.nn.Linear(4, 1, bias=False)
    shapes = [sorted(p.shape for p in group["params"]) for group in decayed(encoder, 0.01)]
    assert shapes == [[(1, 4), (4, 4, 3)], [(1, 1, 3), (1, 2, 1, 1), (4,)]]


def test_a_class_that_cannot_teach_is_named(corpus, caplog):
    table = corpus.table[(corpus.table.part != "train") | (corpus.table.label != "sad")]
    tables.write(corpus.fold, table, "fold")
    with pytest.raises(SystemExit):
        corpus.train("m")
    assert "no row of class 'sad' in part train" in caplog.text and "fold1.tsv" in caplog.text


@pytest.mark.parametrize(
    "training, options, said",
    [
        ({"epoch": 3}, {}, "training: unknown keys ['epoch'], expected some of ['batch_size', 'ep"),
        ({"epochs": 0}, {}, "training: epochs: 0, expected a whole number from 1"),
        ({}, {"pooling": "max"}, "model: pooling: 'max', expected one of ['attention', "),
    ],
)
def test_what_the_stage_is_told_is_checked_as_the_config_is(
    corpus, caplog, training, options, said
):
    with pytest.raises(SystemExit):
        corpus.train("m", training=training, **options)
    assert said in caplog.text and "Traceback" not in caplog.text


def test_memory_that_runs_out_gives_advice(corpus, caplog, monkeypatch):
    def full(*_):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(LabelGuidedFusion, "loss", full)
    with pytest.raises(SystemExit):
        corpus.train("m")
    assert "memory ran out in training" in caplog.text and "batch_size" in caplog.text


def test_the_history_tells_what_the_kept_model_scores(corpus):
    folder = corpus.train("m")
    chosen = history(folder).query("chosen == 1").iloc[0]
    loaded, _ = saved.load(folder)
    part = corpus.part("validation", loaded.options)
    logits = batches.predict(loaded, part)
    right = logits.argmax(-1).numpy() == part.labels
    assert chosen.validation_wa == pytest.approx(right.mean())
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(part.labels))
    assert chosen.validation_loss == pytest.approx(loss.item(), rel=1e-5)  # equal classes


def test_the_rate_rises_then_falls_in_one_cycle(corpus):
    one_batch = {**QUICK, "epochs": 40, "batch_size": 64, "learning_rate": 1e-2}
    rates = history(corpus.train("m", training=one_batch)).learning_rate
    top = rates.argmax()
    assert 4 <= top <= 6  # 15 % of 40 steps
    assert rates[:top].is_monotonic_increasing and rates[top:].is_monotonic_decreasing
    assert rates.max() == pytest.approx(1e-2, rel=0.05) and rates.iloc[-1] < 1e-6


def test_poor_corpora_train_to_finite_numbers(tmp_path):
    table = made_fold({"train": 1, "validation": 1, "test": 1})  # one utterance of each class
    features = made_features(table)
    for items in features.values():
        for name, value in items.items():
            value[:, 0] = 3.3  # a dimension that never changes
            items[name] = value[:1]  # one token
    corpus = Corpus(tmp_path, table, features)
    folder = corpus.train("m", training={**QUICK, "batch_size": 1}, modality_dropout=0.5)
    saved = load_file(folder / "model.safetensors")
    assert all(value.isfinite().all() for value in saved.values())
    assert np.isfinite(history(folder).train_loss).all()
