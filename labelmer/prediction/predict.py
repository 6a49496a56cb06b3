"""Predict the emotion of recordings, of words, or of both.

MODEL is a folder that `labelmer bundle` wrote. Each AUDIO is an utterance, in any format that a
corpus may have. One that is longer than 20 s and comes without words is cut at its pauses;
--segments TABLE (id, start, end in seconds, perhaps text and speaker) cuts one AUDIO where it says.

--texts TABLE (id, text, perhaps speaker) gives the words: id is the path of an AUDIO, or its name
with or without its ending. Without AUDIO, the words are all there is. --transcribe has them
recognised, by the bundle's own speech recogniser.

--dialogue: the rows of the table, in their order, are the turns of one dialogue, with a column
`speaker`; models with context_turns look at the turns around each. Without it, each is alone.

Prints a line for each utterance: the class, its probability, and the probabilities of all classes,
averaged over the bundle's models and calibrated.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.files import refuse_unwritable, write_atomically
from labelmer.base.log import log
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.tables import Column, Tables
from labelmer.prediction import recordings
from labelmer.prediction.page import render
from labelmer.prediction.predictor import DEVICES, Prediction, Predictor
from labelmer.prediction.utterance import Utterance

TABLE: Tables = {
    "new": {
        "id": Column(str, "utterance"),
        "source": Column(str, "the recording", empty=True),
        "start_s": Column(float, "seconds into it, where it was cut", empty=True),
        "end_s": Column(float, "seconds into it, where it was cut", empty=True),
        "text": Column(str, "the words that were given or recognised", empty=True),
        "predicted": Column(str, "class"),
        "confidence": Column(float, "its probability"),
        "p_*": Column(float, "probability of the class, calibrated, mean over the models"),
        "sd_*": Column(float, "its standard deviation over the models"),
    }
}


def utterances(args: argparse.Namespace) -> list[Utterance]:
    """What the command line asks for. InputError: arguments that do not go together."""
    if args.segments:
        if len(args.audio) != 1 or args.text is not None or args.texts:
            raise InputError(
                f"--segments {args.segments} with {len(args.audio)} recordings, expected one, and "
                "its words, if any, in a column text; run once for each recording"
            )
        return recordings.of_segments(args.audio[0], args.segments)
    if args.texts:
        return recordings.of_table(args.audio, args.texts)
    if args.text is not None and len(args.audio) > 1:
        raise InputError(
            f"--text with {len(args.audio)} recordings, expected one; give --texts TABLE"
        )
    if not args.audio and args.text is None:
        raise InputError("nothing to predict; give AUDIO, or words by --text or --texts")
    if not args.audio:
        return [Utterance("text", None, args.text)]
    return [u for path in args.audio for u in recordings.of_recording(path, args.text)]


def check_speakers(given: Sequence[Utterance]) -> None:
    """InputError unless each turn of a dialogue has a speaker."""
    silent = [u.id for u in given if not u.speaker]
    if silent:
        raise InputError(
            f"--dialogue: '{silent[0]}' has no speaker, expected one for each turn; give a column "
            "speaker in the table of --texts or --segments"
        )


def check_outputs(args: argparse.Namespace) -> None:
    """InputError unless what is to be written can be, and takes no place of what is read."""
    tables_read = [path for path in (args.texts, args.segments) if path]
    read = {path.resolve() for path in (*args.audio, *tables_read)}
    outputs = {name: path for name in ("tsv", "explain") if (path := getattr(args, name))}
    for name, path in outputs.items():
        place, said = path.resolve(), f"--{name} {path}"
        if place in read:
            raise InputError(f"{said} is what is read, and would be lost; give another file")
        if place.is_relative_to(args.model.resolve()):
            raise InputError(f"{said} stands in the bundle; give a file elsewhere")
        if place.is_dir():
            raise InputError(f"{said} is a folder, expected a file to write; add its name")
        if path.exists() and not path.is_file():
            raise InputError(f"{said} is no regular file, and would be lost; give another name")
        if path.is_file() and not _is_ours(path, name):
            raise InputError(
                f"{said} is there and not of labelmer predict, and would be lost; give another name"
            )
        refuse_unwritable(path)
    if len({path.resolve() for path in outputs.values()}) < len(outputs):
        raise InputError(f"--tsv and --explain are both {args.tsv}; give each a file of its own")


def _is_ours(path: Path, kind: str) -> bool:
    """Is a file empty, or what --tsv or --explain (the kind) writes, by how it begins?"""
    with path.open("rb") as file:
        begins = file.read(60).lstrip()
    ours = {"tsv": b"id\tsource\tstart_s\tend_s\t", "explain": b"<!DOCTYPE html>"}[kind]
    return not begins or begins.startswith(ours)


def described(given: Utterance, said: Prediction) -> dict[str, Any]:
    """A prediction with where its utterance stands, for JSON."""
    place = {"source": given.source or None, "start_s": given.start_s, "end_s": given.end_s}
    return {"id": said.id, **place, **said.as_dict()}


def as_table(given: Sequence[Utterance], said: Sequence[Prediction]) -> pd.DataFrame:
    """The table that --tsv writes."""
    rows = []
    for utterance, prediction in zip(given, said, strict=True):
        row = described(utterance, prediction)
        p, spread = row.pop("probabilities"), row.pop("spread")
        row["predicted"] = row.pop("label")
        rows.append(
            {**row, "text": row["text"] or "", "source": row["source"] or ""}
            | {f"p_{name}": value for name, value in p.items()}
            | {f"sd_{name}": value for name, value in spread.items()}
        )
    return pd.DataFrame(rows)


def as_lines(said: Sequence[Prediction]) -> str:
    """Predictions as aligned text."""
    first = max(len(prediction.id) for prediction in said)
    second = max(len(prediction.label) for prediction in said)
    return "\n".join(
        f"{p.id:{first}}  {p.label:{second}}  {p.confidence:.2f}  "
        + "  ".join(f"{c} {x:.2f}" for c, x in zip(p.classes, p.probabilities, strict=True))
        for p in said
    )


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of `labelmer predict`."""
    parser = stage_parser(__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a bundle's folder")
    parser.add_argument("audio", type=Path, nargs="*", metavar="AUDIO")
    words = parser.add_mutually_exclusive_group()
    words.add_argument("--text", metavar="T", help="the words of the one AUDIO, or alone")
    words.add_argument("--texts", type=Path, metavar="TABLE", help="see above")
    words.add_argument(
        "--transcribe", action="store_true", help="words by the bundle's speech recogniser"
    )
    parser.add_argument("--segments", type=Path, metavar="TABLE", help="see above")
    parser.add_argument("--dialogue", action="store_true", help="see above")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--tsv", type=Path, metavar="OUT", help="write a table")
    parser.add_argument(
        "--explain", type=Path, metavar="OUT.html", help="write a page: how much each word counts"
    )
    parser.add_argument("--device", choices=DEVICES, default=DEVICES[0])
    args = parse(parser, argv)
    check_outputs(args)
    given = utterances(args)
    if not given:
        raise InputError(f"{args.segments or args.texts}: no rows, expected some; fill the table")
    if args.dialogue:
        check_speakers(given)
    predictor = Predictor(args.model, args.device)
    if args.transcribe:
        given = predictor.transcribe(given)
    said = predictor.predict(given, args.dialogue, salience=bool(args.explain))
    page = render(str(args.model), given, said) if args.explain else ""  # before all is written
    if args.tsv:
        tables.write(args.tsv, as_table(given, said), "new", TABLE)
    if args.explain:
        write_atomically(args.explain, page)
        log.info("wrote %s", args.explain)
    if args.json:
        rows = [described(u, p) for u, p in zip(given, said, strict=True)]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        print(as_lines(said))
