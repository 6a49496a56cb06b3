"""One encoder, one fold, one seed: fine-tune on the training part, keep the best epoch.

An utterance's frames or tokens are averaged (padding never counts), a linear layer on the mean
tells the classes, and both learn. The validation part chooses the epoch, the test part is not
looked at. What is kept is the encoder: OUT is a snapshot like the one that it was made from, for
`labelmer extract`.

INPUTS are segments (.h5) or tables of utterances (.tsv) of the sessions that train and validate.
--config holds the `classes`, how to learn (`finetuning`) and the options of the encoder's family
(`window_s`, `silence`). After each epoch all that it takes to go on is kept beside OUT, in
OUT.part; a run that was killed goes on there and ends in the same bytes.
"""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from labelmer.base import tables
from labelmer.base.digest import canonical_json, code_digest, content_key
from labelmer.base.errors import InputError, lacks_memory
from labelmer.base.files import refuse_foreign, writing
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.base.options import NAMES
from labelmer.base.progress import Progress
from labelmer.base.stage import add_device, command, parse, stage_parser
from labelmer.features import encoders
from labelmer.features.classifier import (
    Classifier,
    Utterances,
    load_encoder,
    load_items,
    load_part,
)
from labelmer.features.finetuning import FinetuningOptions
from labelmer.learning.batches import class_weights, in_order, shuffled
from labelmer.learning.checkpoints import Checkpoints
from labelmer.learning.device import decayed, device_of, make_deterministic
from labelmer.learning.predictions import check_classes
from labelmer.scores.accuracy import accuracies, best_epoch


def fit(
    classifier: Classifier,
    train: Utterances,
    validation: Utterances,
    options: FinetuningOptions,
    seed: int,
    checkpoints: Checkpoints,
) -> list[dict[str, Any]]:
    """Fine-tune in place, leave the best epoch, and return the history's rows.

    The best epoch is that of accuracy.best_epoch. Epochs that `checkpoints` holds are not computed
    again. An epoch's random numbers come from the seed and its number alone, so where a run was
    interrupted leaves no trace.
    """
    from transformers import get_linear_schedule_with_warmup

    device = classifier.encoder.device
    weights = class_weights(train.labels, classifier.head.out_features).to(device)
    groups = decayed(classifier, options.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=options.learning_rate)
    batches = -(-len(train.labels) // options.batch_size)
    updates = options.epochs * -(-batches // options.accumulation)
    schedule = get_linear_schedule_with_warmup(optimiser, round(options.warm_up * updates), updates)
    history = []
    done, state = checkpoints.last()
    if state is not None:
        log.info("going on after epoch %d of %d", done, options.epochs)
        checkpoints.load(done, classifier)
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        history = state["history"]
    for epoch in range(done + 1, options.epochs + 1):
        start = time.monotonic()
        generator = reseeded(seed, epoch)
        utterances = len(train.ids) + len(validation.ids)
        with Progress(f"epoch {epoch}", utterances, "utterances") as progress:
            loss = train_epoch(
                classifier, train, weights, optimiser, schedule, options, generator, progress
            )
            scores = validate(classifier, validation, weights.cpu(), options.batch_size, progress)
        history.append(
            {
                "epoch": epoch,
                "learning_rate": schedule.get_last_lr()[0],
                "train_loss": loss,
                **scores,
                "seconds": time.monotonic() - start,
            }
        )
        said = "epoch %d: training loss %.4f, validation loss %.4f, WA %.4f, UA %.4f"
        log.info(said, epoch, loss, *scores.values())
        state = {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        checkpoints.save(
            epoch, classifier, {**state, "history": history}, best_epoch(history)["epoch"]
        )
    chosen = best_epoch(history)["epoch"]
    checkpoints.load(chosen, classifier)
    return [{**row, "chosen": int(row["epoch"] == chosen)} for row in history]


def reseeded(seed: int, epoch: int) -> np.random.Generator:
    """numpy's generator of an epoch, from which PyTorch's starts as well."""
    generator = np.random.default_rng([seed, epoch])
    torch.manual_seed(int(generator.integers(2**63)))
    return generator


def train_epoch(
    classifier: Classifier,
    train: Utterances,
    weights: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    options: FinetuningOptions,
    generator: np.random.Generator,
    progress: Progress,
) -> float:
    """One pass over the training part; returns the mean loss of its updates."""
    classifier.train()
    batches = shuffled(len(train.ids), options.batch_size, generator)
    losses = []
    for start in range(0, len(batches), options.accumulation):
        group = batches[start : start + options.accumulation]
        try:
            optimiser.zero_grad()
            losses.append(backward(classifier, train, group, weights, progress))
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), options.clip)
            optimiser.step()
            schedule.step()
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            longest = max(np.concatenate(group), key=lambda number: train.lengths[number])
            raise InputError(
                f"memory ran out on batches of {options.batch_size} utterances, the longest of "
                f"which is '{train.ids[longest]}' with {train.lengths[longest]} rows; under "
                "finetuning: lower batch_size and raise accumulation, or set "
                "gradient_checkpointing: true"
            ) from None
    return finite(torch.stack(losses).mean().item(), "training")


def finite(loss: float, part: str) -> float:
    """The loss; InputError if it is no number, as after steps that were too large."""
    if not np.isfinite(loss):
        raise InputError(
            f"the {part} loss is {loss}, expected a finite number; lower learning_rate under "
            "finetuning"
        )
    return loss


def backward(
    classifier: Classifier,
    part: Utterances,
    group: list[np.ndarray],
    weights: torch.Tensor,
    progress: Progress,
) -> torch.Tensor:
    """Add the gradient of an update's loss, batch by batch; returns the loss, on the device.

    group: the update's batches, arrays of utterance numbers. The loss is the weighted mean over all
    their utterances, so it does not matter how they are cut into batches.
    """
    _, labels = part.batch(np.concatenate(group), weights.device)
    whole, loss = weights[labels].sum(), torch.zeros((), device=weights.device)
    for numbers in group:
        inputs, labels = part.batch(numbers, weights.device)
        share = F.cross_entropy(classifier(inputs), labels, weights, reduction="sum") / whole
        share.backward()
        loss += share.detach()  # a number of it would be waited for
        progress.advance(len(numbers))
    return loss


def validate(
    classifier: Classifier, part: Utterances, weights: torch.Tensor, size: int, progress: Progress
) -> dict[str, float]:
    """Loss, weighted and unweighted accuracy on a part, as the history's columns."""
    logits = predict(classifier, part, size, progress)
    loss = F.cross_entropy(logits, torch.from_numpy(part.labels), weights)
    scores = accuracies(part.labels, logits.argmax(-1).numpy())
    return {
        "validation_loss": finite(loss.item(), "validation"),
        "validation_wa": scores["wa"],
        "validation_ua": scores["ua"],
    }


@torch.inference_mode()
def predict(
    classifier: Classifier, part: Utterances, size: int, progress: Progress
) -> torch.Tensor:
    """Logits of every utterance of a part, in its order: (N, C) on the CPU."""
    classifier.eval()
    logits = [None] * len(part.labels)
    for numbers in in_order(part.lengths, size):
        inputs, _ = part.batch(numbers, "cpu")
        for number, row in zip(numbers, classifier(inputs), strict=True):
            logits[number] = row
        progress.advance(len(numbers))
    return torch.stack(logits).cpu()


def write_snapshot(
    network: torch.nn.Module, base: Path, folder: Path, origin: Mapping[str, Any]
) -> None:
    """Write a network as a snapshot with the settings of the one that it was made from.

    base    the other's folder: its config, tokenizer and feature extractor are taken as they are
    origin  what source.json says beside the description of the files
    """
    saved = folder / "saved"
    network.save_pretrained(saved)
    for path in saved.glob("*.safetensors*"):  # one file, or shards and their index
        shutil.copyfile(path, folder / path.name)  # safetensors lets nobody else read its own
    shutil.rmtree(saved)
    for path in Path(base).iterdir():
        other = ".safetensors" in path.name or path.name == "source.json"
        if path.is_file() and not other and not path.name.startswith("."):  # Snakemake's time stamp
            shutil.copyfile(path, folder / path.name)
    encoders.write_facts(folder, origin)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("table", type=Path, metavar="FOLD", help="fold table")
    encoders.add_encoder(parser)
    parser.add_argument("out", type=Path, help="folder to make, or to replace")
    parser.add_argument("--history", type=Path, required=True, metavar="TSV")
    parser.add_argument("--inputs", type=Path, nargs="+", required=True, help="see above")
    parser.add_argument("--fold", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    add_device(parser)
    told = {"classes": NAMES, "finetuning": FinetuningOptions}
    args = parse(parser, argv, told, encoders.options())
    refuse_foreign(args.out)
    os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported
    make_deterministic(args.seed, args.threads)
    classes, options = args.config["classes"], FinetuningOptions(**args.config["finetuning"])
    facts = encoders.read_facts(args.folder, args.encoder)
    device = device_of(args.gpu)
    encoder = load_encoder(args.folder, device, **encoders.options_in(args.config))

    table = tables.read(args.table, "fold")
    rows = table[table.part.isin(["train", "validation"])]
    check_classes(table, classes, args.table)
    items = load_items(args.inputs, rows.id, encoder.modality)
    train, validation = (
        load_part(rows[rows.part == part], items, encoder, classes)
        for part in ("train", "validation")
    )
    deciding = {
        "config": args.config,
        "code": [code_digest("features.finetune"), code_digest(encoder.family.module)],
        "seed": args.seed,
        "encoder": facts["content"],
        "rows": rows[["id", "part", "label"]].to_numpy().tolist(),
    }
    contents = [content for _, content in items.values()]
    key = content_key(canonical_json(deciding), *contents).hex()
    part = args.out.with_name(args.out.name + ".part")
    with alone(args.out):
        checkpoints = Checkpoints(part, key)

        reseeded(args.seed, 0)
        classifier = Classifier(encoder, len(classes), options)
        log.info("%d training utterances, %d for validation", len(train.ids), len(validation.ids))
        history = fit(classifier, train, validation, options, args.seed, checkpoints)

        run = {"encoder": args.encoder, "fold": args.fold, "seed": args.seed}
        tables.write(args.history, pd.DataFrame(history).assign(**run), "finetuning")
        origin = {name: facts[name] for name in ("source", "revision")}
        about = {**origin, "finetuned": {"fold": args.fold, "seed": args.seed}}
        snapshot = part / "snapshot"
        with writing(args.out):
            shutil.rmtree(snapshot, ignore_errors=True)
            snapshot.mkdir()
            write_snapshot(classifier.network, args.folder, snapshot, about)
            shutil.rmtree(args.out, ignore_errors=True)
            snapshot.rename(args.out)
        checkpoints.remove()
