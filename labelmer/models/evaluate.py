"""A trained model -> its predictions, their salience, and its predictions of disturbed inputs.

Predictions are for the test part of the model's fold; those for its validation part, which a model
may have been trained on in the end, are taken over from the training. Salience and disturbed
inputs are for the test part; salience is made of the very tensors by which the test part's
predictions came about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from labelmer.base import tables
from labelmer.base.digest import content_key, file_digest
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.ragged_writer import Writer
from labelmer.base.stage import RUN, command, parse, run_parser
from labelmer.learning.batches import Part, load_part, passes, predict, probabilities
from labelmer.learning.context import context_of
from labelmer.learning.device import device_of, make_deterministic
from labelmer.learning.predictions import check_recognised, perturbed_table, predictions_table
from labelmer.models.deletions import deletable
from labelmer.models.perturbations import perturbed
from labelmer.models.saved import check_encoders, load


@dataclass
class Examined:
    """What a model says of N utterances, in their order."""

    logits: torch.Tensor  # (N, C)
    columns: dict[str, list[str]]  # {modality: names of the columns of salience}
    salience: dict[str, list]  # {modality: [(T, columns) of each utterance]}
    turns: dict[str, torch.Tensor]  # {modality: (N, P)}: attention to the turns around
    changed: dict[tuple, torch.Tensor]  # {(change, modality, share): logits (N, C)}


@torch.inference_mode()
def examine(
    model: torch.nn.Module, part: Part, ids: Sequence[str], classes: Sequence[str]
) -> Examined:
    """Predict a part, and once more under each change of its inputs: an Examined."""
    size = len(ids), len(classes)
    found = Examined(torch.zeros(size), {}, {m: [None] * len(ids) for m in part.features}, {}, {})
    losing = [m for m, features in part.features.items() if deletable(m, features.files[0])]
    for numbers, inputs, output in passes(model, part):
        found.logits[numbers] = output.logits.cpu()
        salience = output.salience()
        for m, weights in output.turns.items():
            turns = found.turns.setdefault(m, torch.zeros(len(ids), weights.shape[1]))
            turns[numbers] = weights.cpu()
        for m in part.features:
            mask = inputs[m][1]
            named = salience_columns(output, salience, m, classes)
            found.columns[m] = list(named)
            values = torch.stack(list(named.values()), dim=-1).cpu()  # (B, T, columns)
            for number, rows, length in zip(numbers, values, mask.sum(1).tolist(), strict=True):
                found.salience[m][number] = rows[:length].numpy()
        names = [ids[number] for number in numbers]
        for change, m, share, inputs_then, present in perturbed(inputs, salience, names, losing):
            logits = found.changed.setdefault((change, m, share), torch.zeros(size))
            logits[numbers] = model(inputs_then, present).logits.cpu()
    return found


def salience_columns(
    output: Any, salience: Mapping[str, torch.Tensor], modality: str, classes: Sequence[str]
) -> dict[str, torch.Tensor]:
    """The columns of a file of salience that a model has: {name: (B, T)}."""
    columns = {"salience": salience[modality]}
    for name in ("pooling", "expert_pooling", "received"):
        of_modality = getattr(output, name)
        if modality in of_modality:
            columns[name] = of_modality[modality]
    if modality in output.says:
        columns["says"] = output.says_of_predicted(modality)
        columns |= {f"says_{c}": output.says[modality][..., i] for i, c in enumerate(classes)}
    return columns


def write_salience(
    folder: Path,
    found: Examined,
    part: Part,
    test: pd.DataFrame,
    classes: Sequence[str],
    run: Mapping[str, str],
    model_digest: str,
) -> None:
    """Write a ragged file of salience for each modality into a folder."""
    order = sorted(range(len(test)), key=test["id"].tolist().__getitem__)
    ids = [test["id"].iloc[i] for i in order]
    for m, columns in found.columns.items():
        features = part.features[m]
        items = [found.salience[m][i] for i in order]
        attrs: dict[str, str | float] = {
            "kind": "salience",
            "modality": m,
            "columns": json.dumps(columns),
            "classes": json.dumps(classes),
            **run,
        }
        marks, spans = None, None
        if m == "text":
            marks, spans = ([of(i) for i in order] for of in (features.marks, features.spans))
        else:
            # 0: a row stands for its utterance as a whole
            attrs["rate_hz"] = float(features.attrs.get("rate_hz", 0)) / features.stride
        lengths = [len(item) for item in items]
        path = folder / f"{m}.h5"
        shape = (len(columns),)
        with Writer(path, ids, lengths, shape, "float32", attrs, marks, spans) as writer:
            for place, (name, item) in enumerate(zip(ids, items, strict=True)):
                writer.write(place, item, content_key(model_digest, name))


def write_turns(
    path: Path,
    found: Examined,
    names: np.ndarray,
    ids: Sequence[str],
    run: Mapping[str, str],
    model_digest: str,
) -> None:
    """Write a ragged file of the attention to the turns around each utterance that has some.

    Its columns: salience, the mean over modalities, and that of each modality. names: ids of the
    turns (N, P), nearest first; they are the marks of the rows, in that order.
    """
    looked = torch.stack(list(found.turns.values()), -1)  # (N, P, modalities)
    total = looked.sum(-1, keepdim=True)
    total = total / total.sum(1, keepdim=True).clamp_min(1e-8)
    weights, columns = torch.cat([total, looked], -1).numpy(), ["salience", *found.turns]
    there = names != ""
    order = sorted(np.flatnonzero(there.any(1)).tolist(), key=ids.__getitem__)
    attrs = {"kind": "salience", "modality": "context", "columns": json.dumps(columns)}
    attrs |= run
    lengths, marks = there.sum(1)[order], [names[i][there[i]].tolist() for i in order]
    named = [ids[i] for i in order]
    with Writer(path, named, lengths, (len(columns),), "float32", attrs, marks) as writer:
        for place, number in enumerate(order):
            key = content_key(model_digest, ids[number])
            writer.write(place, weights[number][there[number]], key)


def heard(table: pd.DataFrame) -> pd.Series:
    """The ids of a fold table's validation and test part, in its order."""
    return table["id"][table["part"].isin(["validation", "test"])]


def of_validation(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The predictions of the validation part that training wrote; InputError if it was another."""
    found = tables.read(path, "predictions")
    part = table[table["part"] == "validation"].set_index("id")["label"]
    if found.set_index("id")["true"].to_dict() != part.to_dict():
        raise InputError(
            f"{path}: its utterances or their classes are not those of the fold's validation "
            "part, expected the model of this fold; train it anew"
        )
    return found


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule evaluate."""
    parser = run_parser(__doc__)
    parser.add_argument("out", type=Path, help="table of predictions to write")
    parser.add_argument("--perturbed", type=Path, required=True, metavar="TSV", help="to write")
    parser.add_argument("--salience", type=Path, required=True, metavar="FOLDER", help="to write")
    parser.add_argument(
        "--transcripts", type=Path, nargs="*", default=[], metavar="H5", help="recognised words"
    )
    parser.add_argument(
        "--utterances", type=Path, nargs="*", default=[], metavar="TSV", help="for context_turns"
    )
    args = parse(parser, argv)
    make_deterministic(0, args.threads, onednn=False)
    model, classes = load(args.folder)
    model.to(device_of(args.gpu))
    run = dict(zip(RUN, args.run, strict=True))
    table = tables.read(args.fold, "fold")
    test = table[table.part == "test"]
    validated = of_validation(args.folder / "validation.tsv", table)
    ids, options = test["id"].tolist(), model.options
    paths = {m: getattr(args, m) for m in options.modalities}
    seen = classes, options.modalities, options.frame_stride
    of_test = load_part(test, paths, *seen)
    names = None
    if options.turns[0]:
        around = *options.turns, table, True
        names, of_test.context = context_of(args.utterances, ids, paths, *around)
    check_encoders(args.folder, of_test)
    found = examine(model, of_test, ids, classes)
    if args.transcripts:
        check_recognised(ids, args.transcripts)
        words = {"text": args.transcripts}
        recognised = load_part(test, paths | words, *seen)
        if options.turns[0]:
            _, of_words = context_of(args.utterances, ids, words, *around)
            recognised.context = of_test.context | of_words
        check_encoders(args.folder, recognised)
        found.changed["transcripts", "text", 1.0] = predict(model, recognised)

    said = predictions_table([(test, probabilities(found.logits))], classes, run)
    frame = pd.concat([validated, said]).set_index("id").loc[heard(table)].reset_index()
    changed = {change: probabilities(logits) for change, logits in found.changed.items()}
    digest = file_digest(args.folder / "model.safetensors")
    write_salience(args.salience, found, of_test, test, classes, run, digest)
    if names is not None:
        write_turns(args.salience / "context.h5", found, names, ids, run, digest)
    tables.write(args.out, frame.assign(**run), "predictions")
    tables.write(args.perturbed, perturbed_table(test, changed, classes, run), "perturbed")
    log.info("%d utterances, %s", len(frame), frame.part.value_counts().to_dict())
