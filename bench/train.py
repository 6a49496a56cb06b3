"""Training at IEMOCAP's size: labelmer against the plain loop of public code.

Four sessions of made-up features, float16 of width 768: speech of 50 frames per second with
lengths like IEMOCAP's, text of about 14 tokens. Three sessions train, one validates. All ways fit
the same model (the full one) by AdamW with the same schedule and batch size, and score the
validation part after each epoch, on a GPU if there is one. The plain loop keeps every utterance as
a float32 tensor, frames already averaged, and pads random batches to their longest utterance; on
a GPU it copies each batch there and computes in float32. A third way is labelmer's with the layout
of batches that it would choose on the other kind of device (models/layout.py): padded on a CPU,
without padding on a GPU.

Each way has a process of its own, and they train in turns, an epoch at a time; compared are the
fastest epochs. Then a whole fold is trained by `python -m labelmer train` with its defaults, refit
included; its seconds and the most memory that it held count from its start, with all imports.
Then the same with context_turns: 8: the files hold the turns without a label, too, in dialogues of
about 66 turns, and each turn is pooled once. Prints a table and, as its last line, one JSON object:
epoch_vs_plain and epoch_vs_other_layout say how many times faster labelmer's epoch is,
context_vs_without how many times as long the fold takes with context.

    python bench/train.py [--tiny]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lengths import seconds_of_utterances
from torch.nn.utils.rnn import pad_sequence

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from labelmer.base import tables  # noqa: E402
from labelmer.base.ragged_writer import Writer  # noqa: E402
from labelmer.learning.batches import class_weights, load_part  # noqa: E402
from labelmer.learning.device import make_deterministic  # noqa: E402
from labelmer.models import architectures, layout, train  # noqa: E402
from labelmer.models.parts import loss_shares  # noqa: E402

TURNS, UTTERANCES, SESSIONS = 10039, 5531, 5  # of IEMOCAP; the last session would be the test part
DIALOGUES = 151
CONTEXT = {"context_turns": 8}
RATE, WIDTH, TOKENS_PER_SECOND = 50, 768, 3.1
CLASSES = {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
ROUNDS, THREADS = 2, 2
BATCH = 64
ATTRS = {"encoder": "made up", "source": "none", "revision": "none", "weights": "none", "layer": 0}
MEGABYTE = 1e6


def write_corpus(folder, turns, utterances):
    """The tables, and one feature file per modality and session, in a folder.

    turns: in dialogues, one after the other; utterances: so many of them have a label.
    """
    draw = np.random.default_rng(0)
    seconds = seconds_of_utterances(turns)
    tokens = np.round(seconds * TOKENS_PER_SECOND + draw.normal(0, 2, turns))
    rows = {"speech": np.round(seconds * RATE), "text": np.clip(tokens, 2, None)}
    dialogue = np.arange(turns) * DIALOGUES // turns
    session = dialogue % SESSIONS
    label = draw.choice(np.repeat(list(CLASSES), list(CLASSES.values())), turns)
    parts = ["train"] * (SESSIONS - 2) + ["validation", "test"]
    table = pd.DataFrame({"id": [f"s{s}_u{i:05d}" for i, s in enumerate(session)], "label": label})
    table = table.assign(session=session, dialogue=dialogue, speaker=draw.integers(2, size=turns))
    times = {"start_s": np.arange(turns), "end_s": np.arange(turns) + 1, "text": "made up"}
    said = table.drop(columns="label").assign(**times)
    tables.write(folder / "utterances.tsv", said, "utterances")
    labelled = table.assign(part=np.take(parts, session)).sample(utterances, random_state=0)
    tables.write(folder / "fold.tsv", labelled.sort_values("id"), "fold")
    for modality, lengths in rows.items():
        noise = draw.normal(0, 1, (int(lengths.max()) + 1000, WIDTH)).astype(np.float16)
        places = {c: draw.normal(0, 0.006, WIDTH).astype(np.float16) for c in CLASSES}
        for number in range(SESSIONS - 1):
            mine = np.flatnonzero(session == number)
            write_features(folder / f"{modality}{number}.h5", table, mine, lengths, noise, places)


def write_features(path, table, mine, lengths, noise, places):
    """A feature file of the table's rows `mine`: stretches of noise around their class' place."""
    draw = np.random.default_rng(len(mine))
    counts = lengths[mine].astype(int)
    with Writer(path, table.id[mine], counts, (WIDTH,), "float16", ATTRS) as writer:
        for index, (number, count) in enumerate(zip(mine, counts, strict=True)):
            start = draw.integers(len(noise) - count)
            values = noise[start : start + count] + places[table.label[number]]
            writer.write(index, values, b"k" * 32)


def files(folder, modality):
    return sorted(folder.glob(f"{modality}?.h5"))


class Labelmer:
    """One process' state: the parts of the fold and the model."""

    def __init__(self, folder, device):
        make_deterministic(1, THREADS, onednn=False)
        self.device = device
        self.training = train.TrainingOptions(epochs=1, updates=1, batch_size=BATCH)
        options = architectures.options({})
        table = tables.read(folder / "fold.tsv", "fold")
        paths = {m: files(folder, m) for m in options.modalities}
        table = table[table.part != "test"]
        strides = options.modalities, options.frame_stride
        whole = load_part(table, paths, list(CLASSES), *strides)
        whole.keep(device)
        self.train, self.validation = (
            whole.subset(table.part == part) for part in ("train", "validation")
        )
        self.model = train.build(options, self.train, list(CLASSES)).to(device)

    def epoch(self):
        """Train one epoch; returns validation's loss and the seconds spent waiting for batches."""
        (row,), _ = train.fit(self.model, self.train, self.validation, self.training, 1)
        return row["validation_loss"], row["waiting"] * row["seconds"]


class OtherLayout(Labelmer):
    """The same with padding where labelmer computes none, or without it where it does."""

    def __init__(self, folder, device):
        super().__init__(folder, device)
        padded = device == "cpu"
        layout.places_of = lambda mask: None if padded else mask.flatten().nonzero()[:, 0]


class Plain(Labelmer):
    """The loop that is written first; it computes the padding."""

    def __init__(self, folder, device):
        super().__init__(folder, device)
        layout.places_of = lambda mask: None
        self.tensors = {
            id(part): {
                m: [torch.from_numpy(features[i]) for i in range(len(features))]
                for m, features in part.features.items()
            }
            for part in (self.train, self.validation)
        }

    def batch(self, part, numbers):
        start, inputs = time.perf_counter(), {}
        for m, tensors in self.tensors[id(part)].items():
            items = [tensors[i] for i in numbers]
            lengths = torch.tensor([len(item) for item in items])
            values = pad_sequence(items, batch_first=True)
            mask = torch.arange(values.shape[1]) < lengths[:, None]
            inputs[m] = values.to(self.device), mask.to(self.device)
        labels = torch.from_numpy(part.labels[numbers]).to(self.device)
        self.waited += time.perf_counter() - start
        return inputs, labels

    def epoch(self):
        weights = class_weights(self.train.labels, len(CLASSES)).to(self.device)
        order = torch.randperm(len(self.train.labels)).numpy()
        steps = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        options, parameters = self.training, list(self.model.parameters())
        optimiser = torch.optim.AdamW(
            parameters, options.learning_rate, weight_decay=options.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            options.learning_rate,
            total_steps=len(steps) + 1,
            pct_start=train.WARM_UP,
            cycle_momentum=False,
        )
        self.waited = 0.0
        self.model.train()
        for numbers in steps:
            inputs, labels = self.batch(self.train, numbers)
            drawn = torch.rand(len(numbers), device=self.device)
            drop = self.model.options.modality_dropout
            present = {"speech": drawn >= drop, "text": drawn < 1 - drop}
            shares = loss_shares(labels, weights, present)
            loss = self.model.loss(self.model(inputs, present), labels, shares)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, train.CLIP)
            optimiser.step()
            schedule.step()
            loss.item()
        return self.validation_loss(weights), self.waited

    @torch.inference_mode()
    def validation_loss(self, weights):
        self.model.eval()
        logits = []
        for start in range(0, len(self.validation.labels), BATCH):
            inputs, _ = self.batch(
                self.validation, np.arange(len(self.validation.labels))[start : start + BATCH]
            )
            logits.append(self.model(inputs).logits)
        labels = torch.from_numpy(self.validation.labels).to(self.device)
        return torch.nn.functional.cross_entropy(torch.cat(logits), labels, weights).item()


WAY = []  # of this process


def begin(kind, folder, device):
    WAY.append(kind(folder, device))


def epoch():
    """Train one epoch in this process; returns what there is to say of it."""
    start = time.perf_counter()
    loss, waited = WAY[0].epoch()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "waiting": waited / seconds, "peak": peak, "loss": loss}


def epochs_in_turns(folder, device):
    """{way: what its fastest epoch was like, with the most memory and the last loss}."""
    found = {}
    with ExitStack() as stack:
        workers = {
            kind: stack.enter_context(
                ProcessPoolExecutor(
                    1, get_context("spawn"), initializer=begin, initargs=(kind, folder, device)
                )
            )
            for kind in (Labelmer, OtherLayout, Plain)
        }
        for _ in range(ROUNDS):
            for kind, worker in workers.items():
                found.setdefault(kind, []).append(worker.submit(epoch).result())
    return {
        kind: min(rows, key=lambda row: row["seconds"])
        | {name: rows[-1][name] for name in ("peak", "loss")}
        for kind, rows in found.items()
    }


def fold(folder, gpu, training, model):
    """Train a fold by the command line: (seconds, bytes of most resident memory, the history)."""
    config = {"classes": list(CLASSES), "model": model, "training": training}
    command = [sys.executable, "-m", "labelmer", "train", folder / "fold.tsv", folder / "model"]
    command += ["--utterances", folder / "utterances.tsv"]
    for modality in ("speech", "text"):
        command += [f"--{modality}", *files(folder, modality)]
    command += ["--run", "made", "up", "frozen", "full", "1", "1", "--threads", str(THREADS)]
    command += ["--gpu", str(int(gpu)), "--config", json.dumps(config)]
    start = time.perf_counter()
    running = subprocess.Popen(list(map(str, command)), cwd=REPOSITORY)
    _, status, usage = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit("labelmer.train failed")
    return seconds, usage.ru_maxrss * 1024, tables.read(folder / "model/history.tsv", "history")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    tiny = parser.parse_args().tiny
    gpu = torch.cuda.is_available()
    device = "cuda" if gpu else "cpu"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_corpus(folder, *((60, 40) if tiny else (TURNS, UTTERANCES)))
        rows = epochs_in_turns(folder, device)
        training = {"epochs": 1, "updates": 1} if tiny else {}
        seconds, peak, history = fold(folder, gpu, training, {})
        around, peak_around, history_around = fold(folder, gpu, training, CONTEXT)
    name = torch.cuda.get_device_name() if gpu else f"CPU, {THREADS} threads"
    print(f"{name}, torch {torch.__version__}; one epoch, the fastest of {ROUNDS}\n")
    print(f"{'way':12} {'seconds':>8} {'waiting':>8} {'validation loss':>16}")
    for kind, row in rows.items():
        print(f"{kind.__name__:12} {row['seconds']:8.1f} {row['waiting']:8.1%} {row['loss']:16.3f}")
    print(
        f"\na fold of {len(history)} epochs and the refit by the command line: {seconds:.0f} s, "
        f"{history.waiting.mean():.1%} of its epochs waiting\n"
        f"peak resident memory: {peak / MEGABYTE:.0f} MB in that fold, "
        f"{rows[Plain]['peak'] / MEGABYTE:.0f} MB in the plain loop\n"
        f"with the {CONTEXT['context_turns']} turns before: {around:.0f} s, of which epochs "
        f"{history_around.seconds.sum():.0f} s (without {history.seconds.sum():.0f} s), "
        f"{peak_around / MEGABYTE:.0f} MB"
    )
    if gpu:
        print(f"peak memory of its tensors on the GPU: {history.peak_memory_mb.max():.0f} MB")
    ours, other, plain = (row["seconds"] for row in rows.values())
    result = {"epoch_vs_plain": round(plain / ours, 2), "fold_seconds": round(seconds, 1)}
    result["epoch_vs_other_layout"] = round(other / ours, 2)
    result["context_vs_without"] = round(around / seconds, 2)
    print(json.dumps({**result, "peak_rss_mb": round(peak / MEGABYTE)}))


if __name__ == "__main__":
    main()
