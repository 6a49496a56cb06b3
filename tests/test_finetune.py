"""Fine-tuning: the training part alone teaches, a kill costs an epoch, an encoder is kept."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from conftest import REPOSITORY
from safetensors.torch import load_file
from test_encoders import TEXTS, WAVEFORMS, one_thread, snapshot  # noqa: F401
from test_extract import write_segments, write_utterances

from labelmer.base import tables
from labelmer.demo import plan, speech
from labelmer.features import encoders, fetch, finetune
from labelmer.features.encoders.text import Text
from labelmer.features.encoders.whisper import SILENCES
from labelmer.learning import batches

CLASSES = ["angry", "neutral", "sad"]
WORDS = {"angry": "no no tree", "neutral": "my new car", "sad": "is falling old"}
PITCHES = {"angry": 400, "neutral": 1200, "sad": 3000}  # Hz
QUICK = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3}
COUNTS = {"train": 4, "validation": 2, "test": 2}  # utterances of each class


def made_fold(counts=COUNTS):
    """A fold table of two sessions, and what is said and how high in each utterance."""
    draw = np.random.default_rng(0)
    parts = [(part, label) for part, n in counts.items() for label in CLASSES for _ in range(n)]
    table = pd.DataFrame(parts, columns=["part", "label"]).sample(frac=1, random_state=1)
    table = table.assign(session="s", dialogue="d", speaker="p").reset_index(drop=True)
    table["id"] = [f"s{i % 2}_u{i:03d}" for i in range(len(table))]
    texts, clips = {}, {}
    for row in table.itertuples():
        words = draw.permutation(WORDS[row.label].split())[: draw.integers(1, 4)]
        texts[row.id] = " ".join(["the", *words])
        samples = np.arange(draw.integers(800, 2400))
        tone = 3000 * np.sin(2 * np.pi * PITCHES[row.label] / 16000 * samples)
        clips[row.id] = (tone + draw.normal(0, 300, len(samples))).astype(np.int16)
    return table, texts, clips


class Bench:
    """A fold on disk, an encoder, and what fine-tunes it."""

    def __init__(self, folder, origin, made):
        self.folder = Path(folder)
        self.table, self.texts, self.clips = made
        self.classes = sorted(set(self.table.label))
        self.speech = "preprocessor_config.json" in {p.name for p in Path(origin).iterdir()}
        self.encoder = self.folder / "encoder"
        fetch.fetch(f"path:{origin}", self.encoder)
        self.write()

    def write(self):
        tables.write(self.folder / "fold1.tsv", self.table, "fold")
        self.inputs = []
        content, write = (
            (self.clips, write_segments) if self.speech else (self.texts, write_utterances)
        )
        for session in ("s0", "s1"):
            mine = {name: content[name] for name in sorted(content) if name[:2] == session}
            path = self.folder / f"{session}.{'h5' if self.speech else 'tsv'}"
            self.inputs.append(write(path, mine))

    def arguments(self, name, seed=1, **options):
        config = {"classes": self.classes, "finetuning": {**QUICK, **options}, "code": "c0de"}
        paths = [self.folder / "fold1.tsv", self.encoder, self.folder / name]
        given = [*paths, "--history", self.folder / f"{name}.tsv", "--inputs", *self.inputs]
        given += ["--encoder", "tiny", "--fold", 1, "--seed", seed, "--config", json.dumps(config)]
        return [*map(str, given), "--log", str(self.folder / f"{name}.log")]

    def tune(self, name, seed=1, **options):
        """Fine-tune by the command line; return the folder of the snapshot."""
        finetune.main(self.arguments(name, seed, **options))
        assert not (self.folder / f"{name}.part").exists()
        return self.folder / name

    def history(self, name):
        return tables.read(self.folder / f"{name}.tsv", "finetuning")

    def said(self, name):
        return (self.folder / f"{name}.log").read_text()

    def parts(self, encoder):
        """The training and the validation part, as the encoder takes them."""
        content = self.clips if self.speech else self.texts
        items = {name: (given, "") for name, given in content.items()}
        rows = {part: self.table[self.table.part == part] for part in ("train", "validation")}
        return [finetune.load_part(r, items, encoder, self.classes) for r in rows.values()]


@pytest.fixture
def bench(tmp_path, snapshot):  # noqa: F811
    """bench(kind): a fold with a tiny encoder of that kind."""

    def make(kind="bert", made=None, name="bench"):
        (tmp_path / name).mkdir()
        return Bench(tmp_path / name, snapshot(kind), made or made_fold())

    return make


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def weights(folder):
    return (Path(folder) / "model.safetensors").read_bytes()


def timeless(history):
    return history.drop(columns="seconds")


class Nowhere:
    """In the place of Progress."""

    def advance(self, step):
        pass


# What is kept


@pytest.mark.parametrize("kind", [*WAVEFORMS, "whisper", *TEXTS])
def test_every_family_is_tuned_to_a_snapshot_like_the_one_before(kind, bench):
    made = bench(kind)
    (made.encoder / ".snakemake_timestamp").touch()
    folder = made.tune("out", freeze_front_end=kind == "wav2vec2-group")
    names = [{path.name for path in f.iterdir()} for f in (made.encoder, folder)]
    assert names[1] == names[0] - {".snakemake_timestamp"}
    old, new = (json.loads((f / "source.json").read_text()) for f in (made.encoder, folder))
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    assert changed.pop("finetuned") == {"fold": 1, "seed": 1}
    assert changed.keys() == {"weights", "content"} and old.keys() < new.keys()
    before, after = (load_file(f / "model.safetensors") for f in (made.encoder, folder))
    assert before.keys() <= after.keys()
    statistics = [name for name in before if "running" in name]
    assert all(torch.equal(before[name], after[name]) for name in statistics)
    _, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    content = list((made.clips if made.speech else made.texts).values())[:3]
    for layer in (1, -1):
        frozen, tuned = (encoders.load(f, layer).encode(content) for f in (made.encoder, folder))
        assert all(a.shape == b.shape for a, b in zip(frozen, tuned, strict=True))
        assert not any(np.allclose(a, b, atol=1e-4) for a, b in zip(frozen, tuned, strict=True))
    rows = made.history("out")
    assert rows.epoch.tolist() == [1, 2] and rows.chosen.sum() == 1
    run = rows[["encoder", "fold", "seed"]].drop_duplicates()
    assert run.to_numpy().tolist() == [["tiny", 1, 1]]
    assert np.isfinite(rows.train_loss).all() and rows.learning_rate.iloc[-1] == 0


# What teaches


@pytest.mark.parametrize("kind", ["bert", "wav2vec2-group"])
def test_the_test_part_teaches_nothing(kind, bench):
    plain = bytes_of(bench(kind).tune("out"))
    for part in ("test", "train"):
        table, texts, clips = made_fold()
        mine = table.part == part
        for name in table.id[mine]:
            texts[name], clips[name] = "my car is new", clips[name][::-1] // 3
        table.loc[mine, "label"] = np.roll(table.label[mine], 1)
        names = {name: f"{name}x" for name in table.id[mine]}
        table["id"] = table.id.replace(names)
        texts, clips = ({names.get(i, i): v for i, v in d.items()} for d in (texts, clips))
        altered = bench(kind, (table, texts, clips), name=part)
        same = bytes_of(altered.tune("out")) == plain
        assert same == (part == "test")


def test_a_seed_repeats_and_another_differs(bench):
    made = bench("wav2vec2-layer")
    first, again, other = made.tune("a"), made.tune("b"), made.tune("c", seed=2)
    assert bytes_of(first) == bytes_of(again)
    assert weights(first) != weights(other)
    assert timeless(made.history("a")).equals(timeless(made.history("b")))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", [*WAVEFORMS, "whisper", *TEXTS])
def test_a_seed_repeats_on_a_gpu(kind, bench):
    made = bench(kind)
    for name in ("a", "b"):
        finetune.main([*made.arguments(name, freeze_front_end=False), "--gpu", "1"])
    assert bytes_of(made.folder / "a") == bytes_of(made.folder / "b")


def test_validation_labels_teach_nothing_within_an_epoch(bench):
    made = bench()
    before = weights(made.tune("a", epochs=1))
    mine = made.table.part == "validation"
    made.table.loc[mine, "label"] = np.roll(made.table.label[mine], 1)
    made.write()
    assert weights(made.tune("b", epochs=1)) == before
    assert made.history("a").validation_loss[0] != made.history("b").validation_loss[0]


def test_the_chosen_epoch_is_the_best_on_validation(bench, monkeypatch):
    made = bench()
    # Their means, averaged over three epochs: .5, .55, .6, .52, .6
    scores = iter([(0.9, 0.1), (0.4, 0.8), (0.7, 0.7), (0.2, 0.3), (0.8, 0.7)])
    kept = []

    def accuracies(*_):
        kept.append({n: v.clone() for n, v in networks[-1].state_dict().items()})
        return dict(zip(("wa", "ua"), next(scores), strict=True))

    networks, load = [], finetune.load_encoder
    monkeypatch.setattr(
        finetune,
        "load_encoder",
        lambda *a: [encoder := load(*a), networks.append(encoder.model)][0],
    )
    monkeypatch.setattr(finetune, "accuracies", accuracies)
    folder = made.tune("out", epochs=5)
    assert made.history("out").chosen.tolist() == [0, 0, 1, 0, 0]
    saved = load_file(folder / "model.safetensors")
    assert all(torch.equal(saved[name], kept[2][name]) for name in saved)
    assert not all(torch.equal(saved[name], kept[4][name]) for name in saved)


def test_the_history_tells_what_the_kept_encoder_scores(bench):
    """With dropout off, and the head of the chosen epoch, which is the only one."""
    made = bench()
    made.tune("out", epochs=1, learning_rate=1e-9)
    encoder = finetune.load_encoder(made.folder / "out", "cpu")
    _, validation = made.parts(encoder)
    finetune.reseeded(1, 0)
    classifier = finetune.Classifier(encoder, 3, finetune.FinetuningOptions())
    logits = finetune.predict(classifier, validation, 4, Nowhere())
    expected = torch.nn.functional.cross_entropy(logits, torch.from_numpy(validation.labels))
    found = made.history("out").iloc[0]
    assert found.validation_loss == pytest.approx(expected.item(), rel=1e-4)
    means = [rows.mean(0) for rows in encoder.encode(validation.inputs)]
    alone = classifier.head(torch.from_numpy(np.stack(means)))
    torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-5)


# How it learns


def test_the_front_end_stays_as_it_is_unless_it_is_let_go(bench):
    made = bench("wav2vec2-group")
    before = load_file(made.encoder / "model.safetensors")
    for frozen, name in ((True, "frozen"), (False, "free")):
        after = load_file(made.tune(name, freeze_front_end=frozen) / "model.safetensors")
        ends = [n for n in before if n.startswith("feature_extractor")]
        above = [n for n in before if n.startswith("encoder.layers")]
        assert {torch.equal(before[n], after[n]) for n in ends} == {frozen}
        assert not any(torch.equal(before[n], after[n]) for n in above)


def silent(made, options):
    """The classifier of a fold in training, without any dropout."""
    encoder = finetune.load_encoder(made.encoder, "cpu")
    finetune.reseeded(1, 0)
    classifier = finetune.Classifier(encoder, 3, options).train()
    for module in classifier.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    encoder.model.config.layerdrop = encoder.model.config.attention_dropout = 0.0
    return classifier


def gradients(made, groups, **options):
    """The gradient of an update cut into batches in some way, by name, and its loss."""
    classifier = silent(made, finetune.FinetuningOptions(dropout=0.0, **options))
    train, _ = made.parts(classifier.encoder)
    loss = finetune.backward(classifier, train, groups, torch.tensor([0.5, 1, 2]), Nowhere())
    named = classifier.named_parameters()
    return {name: p.grad for name, p in named if p.grad is not None}, loss.item()


def assert_like(found, expected):
    for one, other in zip(found[0].values(), expected[0].values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert found[1] == pytest.approx(expected[1], rel=1e-5)


@pytest.mark.parametrize("kind", ["bert", "wav2vec2-group", "whisper"])
def test_batches_that_are_accumulated_are_one_batch(kind, bench):
    made = bench(kind)
    whole = gradients(made, [np.arange(4)])
    assert_like(gradients(made, [np.arange(2), np.arange(2, 4)]), whole)
    assert_like(gradients(made, [np.arange(3), np.arange(3, 4)]), whole)  # a last, short one


def test_an_epoch_is_adamw_on_clipped_gradients_of_the_weighted_loss(bench):
    made = bench()
    options = finetune.FinetuningOptions(dropout=0.0, batch_size=5, clip=0.1, learning_rate=0.01)
    weights = torch.tensor([0.5, 1.0, 2.0])
    after = []
    for plain in (False, True):
        classifier = silent(made, options)
        train, _ = made.parts(classifier.encoder)
        generator = finetune.reseeded(1, 1)
        optimiser = torch.optim.AdamW(classifier.parameters(), lr=0.01)
        if not plain:
            schedule = transformers.get_constant_schedule(optimiser)
            rest = optimiser, schedule, options, generator, Nowhere()
            finetune.train_epoch(classifier, train, weights, *rest)
        else:
            for numbers in batches.shuffled(len(train.ids), 5, generator):
                inputs, labels = train.batch(numbers, "cpu")
                optimiser.zero_grad()
                torch.nn.CrossEntropyLoss(weights)(classifier(inputs), labels).backward()
                torch.nn.utils.clip_grad_norm_(classifier.parameters(), 0.1)
                optimiser.step()
        after.append([p.detach() for p in classifier.parameters()])
    for one, other in zip(*after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_weight_decay_acts_on_matrices_alone(bench, monkeypatch):
    seen = []

    class Spy(torch.optim.AdamW):
        def __init__(self, groups, **options):
            seen.extend(groups)
            super().__init__(groups, **options)

    monkeypatch.setattr(torch.optim, "AdamW", Spy)
    bench().tune("out", epochs=1)
    pulled = [group for group in seen if group["weight_decay"]]
    free = [group for group in seen if not group["weight_decay"]]
    assert pulled and all(p.ndim > 1 for group in pulled for p in group["params"])
    assert {1} <= {p.ndim for group in free for p in group["params"]}


def test_accumulation_makes_fewer_updates(bench, monkeypatch):
    made, seen = bench(), []
    backward = finetune.backward

    def spy(classifier, part, group, *more):
        seen.append([len(numbers) for numbers in group])
        return backward(classifier, part, group, *more)

    monkeypatch.setattr(finetune, "backward", spy)
    made.tune("out", epochs=1, batch_size=5, accumulation=2)
    assert sorted(map(len, seen)) == [1, 2] and sum(map(sum, seen)) == 12
    assert made.history("out").learning_rate.iloc[-1] == 0  # the last of two updates


def test_every_epoch_has_an_order_and_a_dropout_of_its_own(bench, monkeypatch):
    orders, drops, shuffled = [], [], finetune.shuffled

    def spy(*arguments):
        drops.append(torch.get_rng_state().tolist())
        orders.append([numbers.tolist() for numbers in shuffled(*arguments)])
        return list(map(np.array, orders[-1]))

    monkeypatch.setattr(finetune, "shuffled", spy)
    bench().tune("out", epochs=3)
    assert len({str(order) for order in orders}) == len({str(state) for state in drops}) == 3
    for order in orders:
        assert sorted(number for numbers in order for number in numbers) == list(range(12))


@pytest.mark.parametrize("kind", ["bert", "wav2vec2-group", "whisper", "wavlm-group"])
def test_gradient_checkpointing_changes_nothing(kind, bench):
    made, group = bench(kind), [np.arange(4)]
    free = {"freeze_front_end": False}
    assert_like(
        gradients(made, group, gradient_checkpointing=True, **free), gradients(made, group, **free)
    )
    plain, thrifty = (made.tune(str(c), epochs=1, gradient_checkpointing=c) for c in (False, True))
    after = [load_file(folder / "model.safetensors") for folder in (plain, thrifty)]
    for name, value in after[0].items():
        torch.testing.assert_close(after[1][name], value, rtol=1e-4, atol=1e-5)


def test_whisper_is_tuned_with_the_silence_that_its_features_hear(bench):
    made, after = bench("whisper"), {}
    for silence in SILENCES:
        encoder = finetune.load_encoder(made.encoder, "cpu", silence=silence)
        options = finetune.FinetuningOptions(freeze_front_end=False)
        classifier = finetune.Classifier(encoder, 3, options).eval()
        inputs, labels = made.parts(encoder)[0].batch([0, 1, 2], "cpu")
        rows = encoders.load(made.encoder, -1, silence=silence).encode(inputs)
        expected = classifier.head(torch.from_numpy(np.stack([each.mean(0) for each in rows])))
        logits = classifier(inputs)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        torch.nn.functional.cross_entropy(logits, labels).backward()
        matrices = [
            p
            for part in (*encoder.front_end, *encoder.encoder.layers)
            for p in part.parameters()
            if p.ndim > 1
        ]
        assert all(p.grad.abs().max() > 0 for p in matrices)

        arguments = made.arguments(silence, epochs=1)
        place = arguments.index("--config") + 1
        config = {**json.loads(arguments[place]), "silence": silence}
        finetune.main([*arguments[:place], json.dumps(config), *arguments[place + 1 :]])
        after[silence] = weights(made.folder / silence)
    assert len(set(after.values())) == 3
    assert weights(made.tune("default", epochs=1)) == after["compact"]


def test_the_rate_rises_then_falls_to_nothing(bench):
    made = bench()
    made.tune("out", epochs=10, batch_size=12, warm_up=0.3, learning_rate=1e-3)
    rates = made.history("out").learning_rate / 1e-3
    np.testing.assert_allclose(rates, [1 / 3, 2 / 3, 1, *np.arange(6, -1, -1) / 7], atol=1e-9)


def test_every_option_counts(bench):
    made = bench("wav2vec2-group")
    plain = weights(made.tune("plain", epochs=1))
    others = {"batch_size": 3, "accumulation": 2, "learning_rate": 2e-3, "weight_decay": 0.5}
    others |= {"warm_up": 0.7, "clip": 0.01, "dropout": 0.5, "freeze_front_end": False}
    for name, value in others.items():
        assert weights(made.tune(name, epochs=1, **{name: value})) != plain, name


# Kills and changes


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(bench):
    made, epochs = bench("wav2vec2-group"), 25
    plain = made.tune("plain", epochs=epochs)
    arguments = made.arguments("killed", epochs=epochs)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.Popen(
        [sys.executable, "-m", "labelmer", "finetune", *arguments], env=environment
    )
    part = made.folder / "killed.part"
    deadline = time.monotonic() + 60
    while not any((part / f"epoch{n}").exists() for n in range(2, epochs)):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (made.folder / "killed").exists() and not (made.folder / "killed.tsv").exists()
    finetune.main(arguments)
    done = int(made.said("killed").partition("going on after epoch ")[2].split()[0])
    lines = [f"epoch {n}: training loss" in made.said("killed") for n in range(1, epochs + 1)]
    assert 2 <= done < epochs and lines == [False] * done + [True] * (epochs - done)
    assert bytes_of(made.folder / "killed") == bytes_of(plain) and not part.exists()
    assert timeless(made.history("killed")).equals(timeless(made.history("plain")))


@pytest.fixture
def stopped(bench, monkeypatch):
    """A fold whose fine-tuning "out" stopped after the second of its three epochs."""
    made, train_epoch = bench(), finetune.train_epoch
    calls = []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(finetune, "train_epoch", stopping)
        with pytest.raises(SystemExit):
            made.tune("out", epochs=3)
    assert not (made.folder / "out").exists()
    return made


def assert_ends_like_an_undisturbed_run(made, **options):
    assert bytes_of(made.folder / "out") == bytes_of(made.tune("plain", **options))
    assert timeless(made.history("out")).equals(timeless(made.history("plain")))


def test_an_interrupted_run_goes_on(stopped):
    stopped.tune("out", epochs=3)
    assert "going on after epoch 2 of 3" in stopped.said("out")
    assert_ends_like_an_undisturbed_run(stopped, epochs=3)


def other_label(made):
    mine = made.table.part == "validation"
    made.table.loc[mine, "label"] = np.roll(made.table.label[mine], 1)


def other_text(made):
    made.texts[made.table.id[made.table.part == "train"].iloc[0]] = "a car"


def other_encoder(made):
    fetch.fetch(f"path:{made.tune('another')}", made.encoder)


@pytest.mark.parametrize("change", [other_label, other_text, other_encoder])
def test_a_run_with_other_data_begins_anew(stopped, change):
    change(stopped)
    stopped.write()
    stopped.tune("out", epochs=3)
    assert "is of a run with other data, options or code; all epochs" in stopped.said("out")
    assert_ends_like_an_undisturbed_run(stopped, epochs=3)


@pytest.mark.parametrize("options", [{"dropout": 0.2}, {"seed": 2}, {"epochs": 4}])
def test_a_run_with_other_options_begins_anew(stopped, options):
    options = {"epochs": 3, **options}
    stopped.tune("out", **options)
    assert "is of a run with other data, options or code; all epochs" in stopped.said("out")
    assert_ends_like_an_undisturbed_run(stopped, **options)


def test_what_the_test_part_says_does_not_keep_a_run_from_going_on(stopped):
    stopped.table.loc[stopped.table.part == "test", "label"] = "sad"
    stopped.write()
    stopped.tune("out", epochs=3)
    assert "going on after epoch 2" in stopped.said("out")


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "digests.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_epoch_is_computed_anew(stopped, name, damage):
    path = stopped.folder / "out.part" / "epoch2" / name
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    else:
        path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    stopped.tune("out", epochs=3)
    said = stopped.said("out")
    assert "all epochs are computed" in said and "Traceback" not in said
    assert_ends_like_an_undisturbed_run(stopped, epochs=3)


def test_what_a_kill_between_two_files_leaves_is_no_epoch(stopped):
    part = stopped.folder / "out.part"
    shutil.copytree(part / "epoch2", part / "part")
    (part / "part" / "state.pt").unlink()
    (part / "snapshot").mkdir()
    stopped.tune("out", epochs=3)
    assert "going on after epoch 2" in stopped.said("out")
    assert_ends_like_an_undisturbed_run(stopped, epochs=3)


def test_only_the_last_and_the_best_epoch_take_disk(bench, monkeypatch):
    made, kept = bench(), []
    scores = iter([0.1, 0.6, 0.2, 0.7, 0.3])
    monkeypatch.setattr(
        finetune, "accuracies", lambda *_: dict.fromkeys(("wa", "ua"), next(scores))
    )
    save = finetune.Checkpoints.save

    def spy(self, *arguments):
        save(self, *arguments)
        kept.append(sorted(path.name for path in self.folder.iterdir()))

    monkeypatch.setattr(finetune.Checkpoints, "save", spy)
    made.tune("out", epochs=5)
    assert kept == [["epoch1"], ["epoch2"], ["epoch3"], ["epoch4"], ["epoch4", "epoch5"]]


def test_a_kill_while_epochs_are_removed_leaves_what_can_be_gone_on_from(bench, monkeypatch):
    made, scores, removed = bench(), iter([0.6, 0.6, 0.6, 0.2, 0.2]), []  # the third is the best
    monkeypatch.setattr(
        finetune, "accuracies", lambda *_: dict.fromkeys(("wa", "ua"), next(scores))
    )
    discard = finetune.Checkpoints._discard

    def killed(self, folder):
        if len(removed) == 3:  # the first two, and at the end the last
            raise KeyboardInterrupt
        removed.append(folder)
        discard(self, folder)

    with monkeypatch.context() as killing, pytest.raises(SystemExit):
        killing.setattr(finetune.Checkpoints, "_discard", killed)
        made.tune("out", epochs=4)
    shutil.rmtree(made.folder / "out")  # as Snakemake does
    made.tune("out", epochs=4)
    assert "going on after epoch 3 of 4" in made.said("out")


# What is said


def refusal(made, caplog, **options):
    with pytest.raises(SystemExit):
        made.tune("out", **options)
    assert not (made.folder / "out").exists() and "Traceback" not in caplog.text
    return caplog.text


def test_a_filterbank_has_nothing_to_fine_tune(bench, caplog):
    made = bench()
    fetch.fetch("builtin:fbank", made.encoder)
    assert "a filterbank has nothing to fine-tune" in refusal(made, caplog)
    assert "use mode: frozen" in caplog.text


def test_a_class_that_training_lacks_is_named(bench, caplog):
    made = bench()
    of_class = made.table.label == made.classes[0]
    made.table = made.table[~(of_class & (made.table.part == "train"))]
    made.write()
    assert f"no row of class '{made.classes[0]}' in part train" in refusal(made, caplog)


def test_a_class_may_lack_in_validation_but_not_all_of_it(bench, caplog):
    made = bench()
    validates = made.table.part == "validation"
    made.table = made.table[~(validates & (made.table.label == made.classes[0]))]
    made.write()
    made.tune("first")
    assert (made.folder / "first" / "config.json").exists()
    made.table = made.table[made.table.part != "validation"]
    made.write()
    assert "no row has part validation" in refusal(made, caplog)


def test_a_folder_of_something_else_is_not_replaced(bench):
    made = bench()
    (made.folder / "out").mkdir()
    (made.folder / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(SystemExit):
        made.tune("out")
    assert (made.folder / "out" / "thesis.txt").read_text() == "precious"


def test_others_can_read_the_weights_as_far_as_they_can_read_anything(bench):
    made = bench()
    modes = {path.stat().st_mode for path in made.tune("out").iterdir()}
    assert len(modes) == 1


def test_an_utterance_without_words_in_the_files_is_named(bench, caplog):
    made = bench()
    made.texts.pop(made.table.id[made.table.part == "train"].iloc[0])
    made.write()
    assert "(and 0 more) of the fold is in none of" in refusal(made, caplog)


def test_the_input_of_another_modality_is_refused(bench, caplog):
    made = bench()
    made.speech = True
    made.write()
    assert "s0.h5: an input for speech encoders, expected one for text" in refusal(made, caplog)


def test_a_lack_of_memory_says_what_to_lower(bench, caplog, monkeypatch):
    def lacking(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    for place, name in ((Text, "_run"), (torch.optim.AdamW, "step")):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, lacking)
            caplog.clear()
            said = refusal(bench(name=name), caplog)
        assert "on batches of 4 utterances, the longest of which is 's" in said
        assert "lower batch_size and raise accumulation, or set gradient_checkpointing" in said


def test_a_loss_that_is_no_number_says_what_to_lower(bench, caplog):
    said = refusal(bench(), caplog, learning_rate=1e30, warm_up=0.0)
    assert "the training loss is nan" in said and "lower learning_rate under finetuning" in said


# That it is any good: the demo corpus


def demo_turns():
    codes = plan.FOUR_CLASSES
    turns = [turn for dialogue in plan.dialogues(1) for turn in dialogue.turns]
    turns = [turn for turn in turns if turn.id and turn.emotion in codes]
    turns = [turn for turn in turns if "_impro" in turn.id or "_script" in turn.id]
    parts = {1: "test", 2: "validation"}
    rows = [
        (f"s{t.id[4]}{t.id}", parts.get(int(t.id[4]), "train"), codes[t.emotion]) for t in turns
    ]
    table = pd.DataFrame(rows, columns=["id", "part", "label"])
    table["id"] = [f"s{int(name[1]) % 2}_{name}" for name in table.id]
    return table.assign(session="s", dialogue="d", speaker="p"), turns


def tiny_bert(folder, texts):
    """A random BERT of two layers, with the word pieces of some texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = {"cls_token": "[CLS]", "pad_token": "[PAD]", "sep_token": "[SEP]"}
    special["unk_token"] = "[UNK]"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=list(special.values()))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(
        folder
    )
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 128, "vocab_size": tokenizer.get_vocab_size()}
    transformers.BertModel(transformers.BertConfig(**sizes, pad_token_id=1)).save_pretrained(folder)
    return folder


def assert_it_learned(made, **options):
    made.tune("out", batch_size=8, **options)
    found = made.history("out")
    best = found.validation_ua[found.chosen == 1].item()
    assert best > 0.5 and best > found.validation_ua[0] + 0.1  # chance is 0.25


@pytest.mark.slow
def test_a_tiny_text_encoder_learns_on_the_demo_corpus(tmp_path):
    table, turns = demo_turns()
    texts = dict(zip(table.id, (turn.text for turn in turns), strict=True))
    origin = tiny_bert(tmp_path / "bert", [texts[i] for i in table.id[table.part == "train"]])
    assert_it_learned(Bench(tmp_path, origin, (table, texts, {})), epochs=6)


@pytest.mark.slow
def test_a_tiny_speech_encoder_learns_on_the_demo_corpus(tmp_path, snapshot):  # noqa: F811
    pytest.importorskip("espeakng_loader")
    table, turns = demo_turns()
    synthesiser, draw, clips = speech.Synthesiser(), np.random.default_rng(1), {}
    for name, turn in zip(table.id, turns, strict=True):
        voice = speech.VOICES[int(turn.id[4]), turn.speaker]
        samples, _ = speech.speak_turn(synthesiser, draw, voice, turn)
        clips[name] = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    made = Bench(tmp_path, snapshot("whisper"), (table, {}, clips))
    assert_it_learned(made, epochs=3, learning_rate=3e-3, freeze_front_end=False)
