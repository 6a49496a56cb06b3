"""One fold, one seed: fit the model to the training part, choose the epoch on validation, refit.

The test part is not read. Means, deviations, prototypes and class weights come from the training
part alone. Its best epoch predicts the validation part, from which later stages choose
temperatures. With `refit` the model that is kept is another one: trained anew, on training and
validation part together, for as many updates as that epoch had.
"""

import inspect
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from labelmer.base import tables
from labelmer.base.errors import InputError, lacks_memory
from labelmer.base.log import log
from labelmer.base.options import NAMES, OBJECT
from labelmer.base.progress import Progress
from labelmer.base.ragged import Ragged
from labelmer.base.stage import RUN, command, parse, run_parser
from labelmer.learning import batches
from labelmer.learning.batches import Part, class_weights, load_part, predict, probabilities
from labelmer.learning.context import context_of
from labelmer.learning.device import (
    decayed,
    device_of,
    make_deterministic,
    mixed_precision,
)
from labelmer.learning.origin import check_origin, origin
from labelmer.learning.predictions import check_classes, predictions_table
from labelmer.models import architectures
from labelmer.models.options import Options
from labelmer.models.parts import Network, loss_shares, parameter_count
from labelmer.models.saved import save
from labelmer.models.training import TrainingOptions
from labelmer.scores.accuracy import accuracies, best_epoch

FEW_UPDATES = 100  # with fewer a model has seldom learned what it can
CHECKED = 100  # updates of the refit between two looks at its loss
WARM_UP = 0.15  # share of the updates in which the rate rises
CLIP = 1.0  # greatest norm of the gradient


class AdamW(torch.optim.AdamW):
    """PyTorch's, without the import of its compiler: 1.2 s and 120 MB of every job."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def build(
    options: Options,
    train: Part,
    classes: Sequence[str],
    label_words: Mapping[str, np.ndarray] | None = None,
) -> Network:
    """A model with the statistics and label embeddings of a training part.

    label_words: {class: (tokens, width)}, needed where the options start from words.
    """
    rows = {m: f.row for m, f in train.features.items()}
    model = architectures.untrained(options, rows, len(classes))
    words = np.stack([label_words[c].mean(0) for c in classes]) if label_words else None
    found = {
        m: batches.statistics(f, train.labels, len(classes)) for m, f in train.features.items()
    }
    model.start(found, words)
    return model


def missing(
    size: int,
    probability: float,
    generator: np.random.Generator,
    joint: bool = True,
    context: bool = False,
) -> dict[str, torch.Tensor]:
    """Who lacks what in a training batch: {modality or "context": (B,) bool that it is there}.

    joint: are there both modalities? Never are both missing; context: are there turns around?
    """
    present = {}
    if joint:
        draw = torch.from_numpy(generator.random(size))
        present = {"speech": draw >= probability, "text": draw < 1 - probability}
    if context:
        present["context"] = torch.from_numpy(generator.random(size) >= probability)
    return present


def fit(
    model: Network, train: Part, validation: Part, options: TrainingOptions, seed: int
) -> tuple[list[dict[str, Any]], torch.Tensor]:
    """Fit a model in place and leave it at its best epoch (accuracy.best_epoch).

    Returns the history's rows and that epoch's logits of the validation part (N, C).
    """
    device = next(model.parameters()).device
    batches_, epochs = options.batches(len(train.labels)), options.passes(len(train.labels))
    weights = class_weights(train.labels, model.classes)
    target = torch.from_numpy(validation.labels)
    steps = updates(model, train, options, seed, epochs * batches_)
    history: list[dict[str, Any]] = []
    kept: Any = None  # parameters and logits of the best epoch so far
    with Progress("training", epochs, "epochs") as progress:
        for epoch in range(1, epochs + 1):
            start, waited = time.perf_counter(), train.waited + validation.waited
            taken = [next(steps) for _ in range(batches_)]
            losses, rate = torch.stack([loss for loss, _ in taken]), taken[-1][1]
            loss = finite(losses.mean().item(), f"epoch {epoch}", options)
            logits = predict(model, validation)
            scores = accuracies(validation.labels, logits.argmax(-1).numpy())
            seconds = time.perf_counter() - start
            history.append(
                {
                    "epoch": epoch,
                    "updates": epoch * batches_,
                    "learning_rate": rate,
                    "train_loss": loss,
                    "validation_loss": F.cross_entropy(logits, target, weights).item(),
                    "validation_wa": scores["wa"],
                    "validation_ua": scores["ua"],
                    "seconds": seconds,
                    "waiting": (train.waited + validation.waited - waited) / seconds,
                    "peak_memory_mb": peak_memory(device),
                }
            )
            best = best_epoch(history)
            if best is history[-1]:
                kept = {name: value.clone() for name, value in model.state_dict().items()}, logits
            progress.advance(1)
            if options.patience and epoch - best["epoch"] >= options.patience:
                break
    if (made := history[-1]["updates"]) < FEW_UPDATES:
        log.warning(
            "training made %d updates only, seldom enough; raise training: updates%s",
            *(made, " or patience" if options.patience else ""),
        )
    model.load_state_dict(kept[0])
    return [{**row, "chosen": int(row is best)} for row in history], kept[1]


def refit(model: Network, part: Part, options: TrainingOptions, seed: int, count: int) -> None:
    """Train an untrained model in place by `count` updates."""
    losses = []
    with Progress("training anew", count, "updates") as progress:
        for made, (loss, _) in enumerate(updates(model, part, options, seed, count), start=1):
            losses.append(loss)
            progress.advance(1)
            if made % CHECKED == 0 or made == count:  # a GPU is waited for
                finite(torch.stack(losses).mean().item(), "the refit", options)
                losses.clear()


def updates(
    model: Network, train: Part, options: TrainingOptions, seed: int, total: int
) -> Iterator[tuple[torch.Tensor, float]]:
    """Train a model in place: a generator of (loss, learning rate) of `total` updates."""
    device = next(model.parameters()).device
    weights = class_weights(train.labels, model.classes).to(device)
    generator = np.random.default_rng(seed)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimiser = AdamW(decayed(model, options.weight_decay), options.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        options.learning_rate,
        total_steps=total + 1,
        pct_start=WARM_UP,
        cycle_momentum=False,
    )
    lengths = train.lengths()
    rows = batches.rows_at_once(device)
    droppable = model.options.joint or train.context
    model.remember(train)
    left = total
    while left:
        shuffled = batches.shuffled(len(train.labels), options.batch_size, generator)[:left]
        cut = [batches.in_order(lengths[numbers], len(numbers), rows) for numbers in shuffled]
        groups = [n[p] for n, ps in zip(shuffled, cut, strict=True) for p in ps]
        made = numbered(groups, train.batches(groups, device))
        for batch, (numbers, places) in enumerate(zip(shuffled, cut, strict=True), start=1):
            present = None
            if droppable and model.options.modality_dropout:
                dropout = len(numbers), model.options.modality_dropout
                present = missing(*dropout, generator, model.options.joint, bool(train.context))
            if not model.training:  # as after a prediction
                model.train()
            optimiser.zero_grad()
            loss = backward(model, train.labels[numbers], places, made, weights, present)
            torch.nn.utils.clip_grad_norm_(learned, CLIP)
            optimiser.step()
            schedule.step()
            if batch == len(shuffled):
                model.remember(train)
            yield loss, schedule.get_last_lr()[0]
        left -= len(shuffled)


def numbered(
    groups: Iterable[np.ndarray], made: Iterable[tuple[dict[str, Any], torch.Tensor]]
) -> Iterator[tuple[dict[str, Any], torch.Tensor]]:
    """Batches that are made of groups of training utterances, and with their inputs the numbers."""
    for numbers, (inputs, labels) in zip(groups, made, strict=True):
        of_batch = torch.from_numpy(numbers).to(labels.device, non_blocking=True)
        yield {**inputs, "numbers": of_batch}, labels


def backward(
    model: Network,
    labels: np.ndarray,
    places: Iterable[np.ndarray],
    made: Iterator[tuple[dict[str, Any], torch.Tensor]],
    weights: torch.Tensor,
    present: Mapping[str, torch.Tensor] | None,
) -> torch.Tensor:
    """Add the gradient of a batch's loss to the parameters; returns the loss.

    labels (B,) numpy; places: the batch cut into pieces, arrays of places in it; made: an iterator
    of the pieces' inputs and labels. Pieces teach what the batch teaches, but for rounding.
    """
    device = weights.device
    present = present and {m: there.to(device) for m, there in present.items()}
    shares = loss_shares(torch.from_numpy(labels).to(device), weights, present)
    total = torch.zeros((), device=device)
    for piece in places:
        inputs, of_piece = next(made)
        here = torch.from_numpy(piece).to(device)
        there = present and {m: x[here] for m, x in present.items()}
        with mixed_precision(device.type):
            output = model(inputs, there)
            loss = model.loss(output, of_piece, {term: x[here] for term, x in shares.items()})
        loss.backward()
        total += loss.detach()
    model.after_batch()
    return total


@contextmanager
def memory_advised() -> Iterator[None]:
    """Where memory runs out, an InputError that says what to lower."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        raise InputError(
            "memory ran out in training; lower training: batch_size or model: width, or raise "
            "model: frame_stride"
        ) from None


def finite(loss: float, when: str, options: TrainingOptions) -> float:
    """The loss; InputError if it is no number, as after steps that were too large."""
    if not np.isfinite(loss):
        raise InputError(
            f"the training loss is {loss} in {when}, expected a number; lower "
            f"training: learning_rate ({options.learning_rate:g})"
        )
    return loss


def peak_memory(device: torch.device) -> float:
    """Most memory so far in MB: resident, of the process; on a GPU, of its tensors there."""
    if device.type != "cpu":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@command
@memory_advised()
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule train."""
    parser = run_parser(__doc__)
    parser.add_argument("--label-words", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument(
        "--utterances", type=Path, nargs="*", default=[], metavar="TSV", help="for context_turns"
    )
    told = {"classes": NAMES, "model": OBJECT, "training": TrainingOptions}
    args = parse(parser, argv, told)
    run = dict(zip(RUN, args.run, strict=True))
    seed = int(run["seed"])
    classes = args.config["classes"]
    options = architectures.options(args.config["model"])
    training = TrainingOptions(**args.config["training"])
    make_deterministic(seed, args.threads, onednn=False)
    device = device_of(args.gpu)
    table = tables.read(args.fold, "fold")
    check_classes(table, classes, args.fold)
    fold, table = table, table[table.part.isin(["train", "validation"])]
    paths = {m: getattr(args, m) for m in options.modalities}
    whole = load_part(table, paths, classes, options.modalities, options.frame_stride)
    count, after = options.turns
    if count:
        ids = table["id"].tolist()
        _, whole.context = context_of(args.utterances, ids, paths, count, after, fold)
    whole.keep(device)
    train, validation = (whole.subset(table.part == name) for name in ("train", "validation"))
    encoders = {m: origin(features.files[0]) for m, features in whole.features.items()}
    words = None
    if args.label_words and "text" in encoders:
        file = Ragged(args.label_words[0])
        check_origin(file, encoders["text"], "as those of the utterances")
        words = {c: np.asarray(file[c], dtype=np.float64) for c in classes}
    model = build(options, train, classes, words).to(device)
    log.info(
        "%d parameters, %d training utterances, %d for validation",
        *(parameter_count(model), len(train.labels), len(validation.labels)),
    )
    history, logits = fit(model, train, validation, training, seed)
    count = next(row["updates"] for row in history if row["chosen"])
    about = {"training": asdict(training), "run": run, "updates": count, "encoders": encoders}
    if training.refit:
        make_deterministic(seed, args.threads, onednn=False)
        if count < FEW_UPDATES:
            log.warning(
                "the refit makes %d updates only, as validation was best then; see in history.tsv "
                "whether that was by luck, and raise training: updates, or give more validation",
                count,
            )
        model = build(options, whole, classes, words).to(device)
        refit(model, whole, training, seed, count)
    save(args.folder, model, classes, about)
    rows = table[table.part == "validation"]
    validated = predictions_table([(rows, probabilities(logits))], classes, run)
    tables.write(args.folder / "validation.tsv", validated, "predictions")
    tables.write(args.folder / "history.tsv", pd.DataFrame(history).assign(**run), "history")
