"""One fold, one seed: fit the model to the training part, keep the epoch best on validation.

The test part is not read. Means, deviations, prototypes and class weights come from the training
part alone.
"""

import inspect
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from labelmer import batches, tables
from labelmer.accuracy import accuracies
from labelmer.batches import class_weights, load_part, predict
from labelmer.compute import device_of, make_deterministic, mixed_precision
from labelmer.errors import InputError
from labelmer.model import ModelOptions, loss_shares, model_of, parameter_count, save
from labelmer.ragged import Ragged
from labelmer.stage import RUN, Progress, command, log, parse, run_parser


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is fitted."""

    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3  # at its height
    weight_decay: float = 0.01
    warm_up: float = 0.15  # share of the steps in which the rate rises
    clip: float = 1.0  # greatest norm of the gradient


class AdamW(torch.optim.AdamW):
    """PyTorch's, without the import of its compiler: 1.2 s and 120 MB of every job."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def build(options, train, classes, label_words=None):
    """A model with the statistics and label embeddings of a training part.

    label_words: {class: (tokens, width)}, needed where the options start from words.
    """
    model = model_of(options, {m: f.row for m, f in train.features.items()}, len(classes))
    for m, side in model.sides.items():
        mean, sd, starts = batches.statistics(train.features[m], train.labels, len(classes))
        if not options.standardise:
            mean, sd = np.zeros_like(mean), np.ones_like(sd)
        side.mean.copy_(torch.from_numpy(mean))
        side.sd.copy_(torch.from_numpy(sd))
        if options.labels and options.label_start[m] == "words":
            starts = np.stack([label_words[name].mean(0) for name in classes])
        if options.labels and options.label_start[m] != "random":
            starts = (starts - mean) / sd
            if starts.ndim == 3:  # all layers count alike at the start
                starts = starts.mean(1)
            side.start_labels(torch.from_numpy(starts).float())
    return model


def missing(size, probability, generator):
    """Who lacks which modality in a training batch: {modality: (B,) bool}, never both missing."""
    draw = torch.from_numpy(generator.random(size))
    return {"speech": draw >= probability, "text": draw < 1 - probability}


def fit(model, train, validation, options, seed, device="cpu"):
    """Fit a model in place, leave it at its best epoch, and return the history's rows.

    Best is the mean of weighted and unweighted accuracy on validation; of equals, the first.
    """
    model.to(device)
    keep_on(device, train, validation)
    weights = class_weights(train.labels, model.classes).to(device)
    generator = np.random.default_rng(seed)
    steps = options.epochs * -(-len(train.labels) // options.batch_size)
    optimiser = AdamW(
        model.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, total_steps=steps + 1, pct_start=options.warm_up
    )
    history, best, kept = [], -1.0, None
    with Progress("training", options.epochs, "epochs") as progress:
        for epoch in range(1, options.epochs + 1):
            start, waited = time.perf_counter(), train.waited + validation.waited
            loss = train_epoch(model, train, weights, optimiser, schedule, options, generator)
            if not np.isfinite(loss):
                raise InputError(
                    f"the training loss is {loss} in epoch {epoch}, expected a number; lower "
                    f"training: learning_rate ({options.learning_rate:g})"
                )
            logits = predict(model, validation)
            target = torch.from_numpy(validation.labels)
            scores = accuracies(validation.labels, logits.argmax(-1).numpy())
            score = (scores["wa"] + scores["ua"]) / 2
            if score > best:
                best = score
                kept = {name: value.clone() for name, value in model.state_dict().items()}
            seconds = time.perf_counter() - start
            history.append(
                {
                    "epoch": epoch,
                    "learning_rate": schedule.get_last_lr()[0],
                    "train_loss": loss,
                    "validation_loss": F.cross_entropy(logits, target, weights.cpu()).item(),
                    "validation_wa": scores["wa"],
                    "validation_ua": scores["ua"],
                    "score": score,
                    "seconds": seconds,
                    "waiting": (train.waited + validation.waited - waited) / seconds,
                    "peak_memory_mb": peak_memory(device),
                }
            )
            progress.advance(1)
    model.load_state_dict(kept)
    chosen = next(row for row in history if row["score"] == best)
    return [{**row, "chosen": int(row is chosen)} for row in history]


def keep_on(device, *parts):
    """Put parts on a GPU, from where batches come at no cost, if they fill at most half of it."""
    if device == "cpu" or sum(p.size for p in parts) > torch.cuda.mem_get_info()[0] / 2:
        return
    for part in parts:
        part.to(device)


def train_epoch(model, train, weights, optimiser, schedule, options, generator):
    """One pass over the training part; returns the mean loss of its batches."""
    model.train()
    losses = []
    for numbers in batches.shuffled(train.lengths(), options.batch_size, generator):
        present = None
        if model.options.joint and model.options.modality_dropout:
            present = missing(len(numbers), model.options.modality_dropout, generator)
        model.zero_grad()
        losses.append(backward(model, train, numbers, weights, present))
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimiser.step()
        schedule.step()
    return torch.stack(losses).mean().item()


def backward(model, train, numbers, weights, present):
    """Add the gradient of a batch's loss to the parameters; returns the loss.

    A batch that is too large goes in pieces, which is the same but for rounding.
    """
    device, lengths = weights.device, train.lengths()[numbers]
    present = present and {m: there.to(device) for m, there in present.items()}
    shares = loss_shares(torch.from_numpy(train.labels[numbers]).to(device), weights, present)
    total, fused, followed = torch.zeros((), device=device), [], []
    for piece in batches.in_order(lengths, len(numbers), batches.ROWS):
        inputs, labels = train.batch(numbers[piece], device)
        here = torch.from_numpy(piece).to(device)
        there = present and {m: x[here] for m, x in present.items()}
        with mixed_precision(device.type):
            output = model(inputs, there)
            loss = model.loss(output, labels, {term: x[here] for term, x in shares.items()})
        loss.backward()
        total += loss.detach()
        if output.fused is not None:
            fused.append(output.fused.detach())
            followed.append(labels)
    if fused:
        model.follow(torch.cat(fused), torch.cat(followed))
    return total


def spare_memory():
    """To be called before the first layer: oneDNN then keeps nothing for every shape of a batch.

    What it kept would lie between the tensors, and memory would grow.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "0")


def peak_memory(device):
    """Most memory so far in MB: resident, of the process; on a GPU, of its tensors there."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@command
def main(argv=None):
    """Command line of the rule train."""
    parser = run_parser(__doc__)
    parser.add_argument("--label-words", type=Path, nargs="*", default=[], metavar="H5")
    args = parse(parser, argv, ["classes", "model", "training"])
    run = dict(zip(RUN, args.run, strict=True))
    seed = int(run["seed"])
    classes = args.config["classes"]
    options = ModelOptions.of(args.config["model"])
    training = TrainingOptions(**args.config["training"])
    make_deterministic(seed, args.threads)
    spare_memory()
    table = tables.read(args.fold, "fold")
    paths = {"speech": args.speech, "text": args.text}
    parts = {
        name: load_part(
            table[table.part == name], paths, classes, options.modalities, options.frame_stride
        )
        for name in ("train", "validation")
    }
    words = None
    if args.label_words:
        file = Ragged(args.label_words[0])
        words = {c: np.asarray(file[c], dtype=np.float64) for c in classes}
    model = build(options, parts["train"], classes, words)
    log.info(
        "%d parameters, %d training utterances, %d for validation",
        *(parameter_count(model), *(len(part.labels) for part in parts.values())),
    )
    history = fit(model, parts["train"], parts["validation"], training, seed, device_of(args.gpu))
    features = parts["train"].features
    encoders = {
        m: {k: str(f.attrs[k]) for k in ("encoder", "source", "revision", "weights", "layer")}
        for m, f in features.items()
    }
    about = {"training": asdict(training), "run": run, "encoders": encoders}
    save(args.folder, model, classes, about)
    rows = pd.DataFrame(history).drop(columns="score").assign(**run)
    tables.write(args.folder / "history.tsv", rows, "history")


if __name__ == "__main__":
    main()
