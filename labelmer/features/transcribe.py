"""Recognise the words of a session's utterances: segments through Whisper into one table.

SEGMENTS is what `labelmer segment` wrote, FOLDER a whole Whisper checkpoint as `labelmer fetch`
wrote it. --config holds `language`, `beam`, `no_speech` and `repetition` of the transcriber.

OUT has a row for each utterance; where text is empty, it says why. What all rows are recognised
with stands in a JSON file of the same name beside it. If OUT is there already, its
rows whose key still matches are kept and only the rest is recognised; so it is with OUT.part, which
an interrupted run leaves. A key is a digest of the audio, the checkpoint, the options, the code and
of whether it was a GPU.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from labelmer.base import tables
from labelmer.base.digest import canonical_json, code_digest, content_key
from labelmer.base.errors import InputError
from labelmer.base.files import refuse_loss, write_atomically
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.base.progress import Progress
from labelmer.base.stage import add_device, command, parse, stage_parser
from labelmer.features import encoders
from labelmer.features.items import Items, read_items
from labelmer.features.transcribing import transcription_rules

if TYPE_CHECKING:
    from labelmer.features.recogniser import Recogniser


def transcribe(items: Items, recogniser: "Recogniser", params: str, out: Path) -> tuple[int, int]:
    """Write the table "recognised" of items of speech; return how many were kept and recognised.

    params: JSON of what all rows are recognised with, a part of every key, which goes to a file
    beside the table. What is done is written after each batch, so an interruption costs one at
    most.
    """
    keys = dict(zip(items.ids, (_key(content, params) for content in items.contents), strict=True))
    part = out.with_name(out.name + ".part")
    with alone(out):
        refuse_loss(out, "table of recognised words", _is_recognised)
        held = _matching(out, keys)
        left = {name: row for name, row in _matching(part, keys).items() if name not in held}
        if left:
            log.info("%s: %d utterances were left by an interrupted run", out, len(left))
        rows = held | left
        # Of all that OUT lacks, so that an interrupted run goes on with the batches it had.
        wanted = [i for i, name in enumerate(items.ids) if name not in held]
        plan = recogniser.batches([len(items.inputs[i]) for i in wanted])
        batches = [[wanted[b] for b in batch] for batch in plan]
        waiting = [[i for i in batch if items.ids[i] not in left] for batch in batches]
        seconds = sum(len(items.inputs[i]) for batch in waiting for i in batch) / items.rate
        with Progress("transcribe", seconds, "seconds of audio") as progress:
            for batch in filter(None, waiting):
                said = recogniser.recognise([items.inputs[i] for i in batch])
                names = [items.ids[i] for i in batch]
                for name, found in zip(names, said, strict=True):
                    rows[name] = {"id": name, **vars(found), "key": keys[name]}
                _write(part, rows)
                progress.advance(sum(len(items.inputs[i]) for i in batch) / items.rate)
        _write(out, rows)
        write_atomically(out.with_suffix(".json"), params + "\n")
        part.unlink(missing_ok=True)
    kept = len(held) + len(left)
    log.info("%s: %d utterances kept, %d recognised", out, kept, len(rows) - kept)
    without = pd.Series([row["reason"] for row in rows.values() if not row["text"]], dtype=str)
    for reason, number in without.value_counts().items():
        log.info("%s: %d utterances without words: %s", out, number, reason)
    return kept, len(rows) - kept


def _key(content: str | bytes, params: str) -> str:
    return content_key(content, params).hex()


def _is_recognised(path: Path) -> bool:
    """Does a file begin as a table of recognised words does?"""
    with path.open(encoding="utf-8", errors="replace") as file:
        return {"id", "key"} <= set(file.readline().rstrip("\n").split("\t"))


def _matching(path: Path, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The rows of a table "recognised" that have the given keys, by id; none of another table."""
    if not path.exists():
        return {}
    try:
        table = tables.read(path, "recognised")
    except InputError as error:
        log.warning("%s; nothing is taken over from it", error)
        return {}
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return {row["id"]: row for row in rows if keys.get(row["id"]) == row["key"]}


def _write(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    wanted = list(tables.TABLES["recognised"])
    frame = pd.DataFrame([rows[name] for name in sorted(rows)], columns=wanted)
    tables.write(path, frame, "recognised")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("segments", type=Path, help="ragged file of utterances")
    parser.add_argument("folder", type=Path, help="the checkpoint's, as `labelmer fetch` wrote it")
    parser.add_argument("out", type=Path, help="table to write")
    add_device(parser, os.cpu_count())
    args = parse(parser, argv, optional=transcription_rules())
    if args.out.suffix != ".tsv" or args.out.is_dir():
        raise InputError(f"{args.out}: expected a file that ends in .tsv; correct the name")
    items = read_items(args.segments)
    if items.modality != "speech":
        raise InputError(
            f"{args.segments}: a table, expected segments; give the file that `labelmer segment` "
            "wrote"
        )
    content = encoders.read_facts(args.folder, args.folder.name)["content"]

    os.environ["HF_HUB_OFFLINE"] = "1"  # read when it is imported
    import torch

    from labelmer.features.recogniser import Recogniser
    from labelmer.learning.device import device_of

    torch.set_num_threads(args.threads)
    options = {key: args.config[key] for key in transcription_rules() if key in args.config}
    recogniser = Recogniser(args.folder, device_of(args.gpu), **options)
    made_with = {
        **{key: getattr(recogniser, key) for key in ("beam", "no_speech", "repetition")},
        "language": options.get("language"),
        "checkpoint": content,
        "code": code_digest("features.recogniser"),
        "device": torch.device(recogniser.device).type,
    }
    transcribe(items, recogniser, canonical_json(made_with), args.out)
