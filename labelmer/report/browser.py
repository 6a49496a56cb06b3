"""Predictions, salience and audio of the test utterances -> what the page shows of each, in JSON.

    about      classes, variants, utterances, and what each variant says of each of them
    salience   of each variant, what its words, its sound and the turns around weigh; null: nothing
    audio      of each test utterance an MP3 in base64; null: none

N test utterances stand in the order of fold and id, V variants in the order of --predictions, C
classes in that of the config. Of several seeds the class is the one that most of them name, and
probabilities and salience are their means. Arrays are packed (packed.py), row by row and in
little-endian order: uint8 unless it says uint32 here.

    about.utterances   JSON of {"id": [...], "speaker": [...], "text": [...]}, in order of time
    about.words        JSON of the texts that an experiment on recognised words reads, else null
    about.predicted    (V, N)             class
    about.p            (V, N, C)          probability, 255 is one
    about.outline      (N, OUTLINE)       loudest sample of each stretch, 255 is that of the whole
    about.tokens       .counts uint32 (N), .spans uint32 (tokens, 2); of an experiment
    salience.speech    (1 or 1 + C, N, STRETCHES), and
    salience.text      (1 or 1 + C, tokens): salience, LEVELS is MOST times an even share or more;
                       where the variant has labels what is said of each, LEVELS is all of it
    salience.classes   does it have what is said of each class?
    salience.turns     .counts uint32 (N), .utterances uint32, .weights, 255 is all

--config holds {"classes": [...], "audio": is there some to play?}.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.options import NAMES
from labelmer.base.ragged import RATE, Ragged
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import runs
from labelmer.report.packed import packed
from labelmer.report.salience_file import SAYS, SalienceFile

STRETCHES, OUTLINE = 48, 96  # of an utterance, however long: of its salience, of its loudness
LEVELS, MOST = 15, 4  # steps of a colour; of a salience, in times an even share: full colour
LISTENED_S = 7200.0  # seconds of audio that a page holds at most, some 30 MB
# 25 kbit/s, and every browser plays it.
MP3: dict[str, Any] = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
MP3 |= {"bitrate_mode": "VARIABLE", "compression_level": 0.95}

Places = dict[tuple[int, str], int]  # {(fold, id): row}


def stretches(values: np.ndarray, offsets: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The mean of each item's rows over STRETCHES of equal length: (items, STRETCHES, columns).

    values: (rows, columns), item i is [offsets[i], offsets[i + 1]); widths: (items,), how many rows
    an item's stretches span together. Where these reach beyond its rows there is zero.
    """
    total = np.pad(np.cumsum(values, axis=0, dtype=float), ((1, 1), (0, 0)), mode="edge")
    total[0] = 0
    reach = np.linspace(0, 1, STRETCHES + 1) * widths[:, None]
    edges = offsets[:-1, None] + np.minimum(reach, np.diff(offsets)[:, None])
    whole = edges.astype(int)
    upto = total[whole] + (edges - whole)[..., None] * (total[whole + 1] - total[whole])
    return np.diff(upto, axis=1) / np.maximum(np.diff(edges, axis=1), 1e-9)[..., None]


def level(shares: np.ndarray) -> bytes:
    """Shares of the full colour as numbers up to LEVELS."""
    return np.clip(np.rint(shares * LEVELS), 0, LEVELS).astype(np.uint8).tobytes()


def of_255(shares: np.ndarray) -> bytes:
    """Shares of one as numbers up to 255."""
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8).tobytes()


def uint32(numbers: Any) -> bytes:
    """Whole numbers as four bytes each."""
    return np.asarray(numbers, "<u4").tobytes()


def as_json(content: Any) -> str:
    """JSON, packed."""
    return packed(json.dumps(content, ensure_ascii=False).encode())


class Weights:
    """What the rows of N utterances weigh for one variant, summed over its seeds.

    name: how a message calls the variant; seconds: (N,).
    """

    def __init__(self, name: str, seconds: np.ndarray, classes: Sequence[str]) -> None:
        self.name, self.seconds, self.classes = name, seconds, classes
        self.files: dict[str, np.ndarray] = {}  # {modality: (N,)}: how many have the utterance
        self.speech = np.zeros(0)  # (N, STRETCHES, columns)
        self.text: dict[int, np.ndarray] = {}  # {row: (tokens, columns)}
        self.spans: dict[int, np.ndarray] = {}  # {row: (tokens, 2)}
        self.turns: dict[int, np.ndarray] = {}  # {row: (turns,)}
        self.names: dict[int, list[str]] = {}  # {row: ids of its turns}

    def add(self, file: SalienceFile, rows: Places) -> None:
        """Add what a file says. InputError: it has an utterance that is not predicted."""
        fold = file.run["fold"]
        if unknown := [name for name in file.ids if (fold, name) not in rows]:
            raise InputError(
                f"{file.path}: id '{unknown[0]}' is not among the test predictions of fold {fold}, "
                "expected the same utterances; evaluate the model again"
            )
        there = np.array([rows[fold, name] for name in file.ids], int)
        seen = self.files.setdefault(file.modality, np.zeros(len(self.seconds), int))
        seen[there] += 1
        if file.modality == "context":
            for number, row in enumerate(there):
                self.turns[row] = self.turns.get(row, 0) + file[number][:, 0].astype(float)
                self.names[row] = file.marks(number) or []
            return
        said = [f"{SAYS}_{name}" for name in self.classes]
        columns = ["salience", *(name for name in said if name in file.columns)]
        values = file.values[:][:, [file.columns.index(name) for name in columns]].astype(float)
        lengths = np.diff(file.offsets)
        values[:, 0] *= np.repeat(lengths, lengths)  # in times of an even share
        if file.modality == "speech":
            widths = lengths if file.whole else self.seconds[there] * file.rate
            if not len(self.speech):
                self.speech = np.zeros((len(seen), STRETCHES, len(columns)), np.float32)
            self.speech[there] += stretches(values, file.offsets, widths)
            return
        for number, row in enumerate(there):
            of_row = values[file.offsets[number] : file.offsets[number + 1]]
            self.text[row] = self.text.get(row, 0) + of_row
            self.spans[row] = file.spans(number)

    def check(self, seeds: int) -> None:
        """Raise InputError unless each utterance has its salience of each seed."""
        for modality, seen in self.files.items():
            if modality != "context" and (seen != seeds).any():
                raise InputError(
                    f"{self.name}: {int((seen != seeds).sum())} of {len(seen)} test utterances "
                    f"have no salience of {modality} in one of the {seeds} seeds, expected all; "
                    "evaluate those runs, and give all their folders"
                )

    def shown(self, seeds: int, utterances: Mapping[str, int]) -> dict[str, Any]:
        """Their means over the seeds, packed; utterances: {id: number in about.utterances}."""
        found: dict[str, Any] = {"speech": None, "text": None, "classes": False, "turns": None}
        values = {"speech": self.speech, "text": np.zeros(0)}
        if self.text:
            values["text"] = np.concatenate([self.text[row] for row in sorted(self.text)])
        for modality, of_modality in values.items():
            if len(of_modality):
                shares = np.moveaxis(of_modality / seeds, -1, 0)
                shares[0] /= MOST
                found["classes"] = len(shares) > 1
                found[modality] = packed(level(shares))
        if self.turns:
            rows = sorted(self.turns)
            counts = [len(self.names.get(row, ())) for row in range(len(self.seconds))]
            names = [utterances[name] for row in rows for name in self.names[row]]
            weights = np.concatenate([self.turns[row] for row in rows]) / seeds
            packs = {"counts": uint32(counts), "utterances": uint32(names)}
            packs["weights"] = of_255(weights)
            found["turns"] = {name: packed(content) for name, content in packs.items()}
        return found

    def tokens(self) -> dict[str, str] | None:
        """Where the tokens of each utterance stand, packed; None where there are none."""
        if not self.spans:
            return None
        spans = [self.spans[row] for row in sorted(self.spans)]
        counts = [len(of_row) for of_row in spans]
        return {
            "counts": packed(uint32(counts)),
            "spans": packed(uint32(np.concatenate(spans))),
        }


def by_variant(folders: Sequence[Path]) -> dict[tuple, list[Path]]:
    """{variant: its files of salience}, of the folders that evaluate wrote, one for each run."""
    found: dict[tuple, list[Path]] = {}
    for folder in folders:
        paths = sorted(folder.glob("*.h5"))
        if not paths:
            raise InputError(f"{folder}: no file of salience in it; evaluate the model again")
        run = SalienceFile(paths[0]).run
        found.setdefault(tuple(run[name] for name in runs.VARIANT), []).extend(paths)
    return found


def outline(samples: np.ndarray) -> np.ndarray:
    """The loudest of the samples in each of OUTLINE stretches, 255 is the loudest of all."""
    loud = np.abs(samples.astype(np.int32))
    starts = np.linspace(0, len(loud), OUTLINE, endpoint=False).astype(int)
    return (np.maximum.reduceat(loud, starts) * 255 // max(1, loud.max())).astype(np.uint8)


def mp3(samples: np.ndarray) -> str:
    """Samples as an MP3 file in base64."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, **MP3)
    return base64.b64encode(file.getvalue()).decode()


def heard(seconds: np.ndarray) -> np.ndarray:
    """Which utterances can be played: all, or every second, third, ... where LISTENED_S ends."""
    return np.arange(len(seconds)) % max(1, int(np.ceil(seconds.sum() / LISTENED_S))) == 0


def sounds(
    ids: np.ndarray, files: Sequence[Ragged], played: bool
) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """Of each utterance the seconds (N,), the outline (N, OUTLINE) and the MP3.

    played: is there any to play? InputError: an id is in none of the files.
    """
    home = {name: number for number, file in enumerate(files) for name in file.ids}
    if absent := [name for name in ids if name not in home]:
        raise InputError(
            f"id '{absent[0]}' is in none of {[str(file.path) for file in files]}, expected the "
            "audio of each test utterance; cut it (the rule segment), or evaluate the models again"
        )
    homes = np.array([home[name] for name in ids], int)
    lengths = [np.diff(file.offsets) for file in files]
    samples_of = [lengths[n][files[n].index[name]] for n, name in zip(homes, ids, strict=True)]
    seconds = np.array(samples_of) / RATE
    wanted = heard(seconds) & played
    outlines = np.zeros((len(ids), OUTLINE), np.uint8)
    audio: list[str | None] = [None] * len(ids)
    for number, file in enumerate(files):
        for row in np.flatnonzero(homes == number):
            samples = file[ids[row]]
            outlines[row] = outline(samples)
            audio[row] = mp3(samples) if wanted[row] else None
        file.release()
    return seconds, outlines, audio


def shown(
    predictions: pd.DataFrame,
    salience: Mapping[tuple, Sequence[Path]],
    utterances: pd.DataFrame,
    recognised: Mapping[str, str],
    segments: Sequence[Ragged],
    classes: Sequence[str],
    played: bool,
) -> dict[str, Any]:
    """What the page shows, as the module's docstring lists it.

    predictions: a complete grid (runs.grid); salience: files of each variant that has some;
    utterances: the table of all sessions; recognised: {id: text}, where an experiment is on
    recognised words; played: is there audio?
    """
    variants = runs.pooled(predictions, classes)
    first = predictions[(predictions[runs.VARIANT] == list(next(iter(variants)))).all(axis=1)]
    rows = first[first["seed"] == first["seed"].iloc[0]].sort_values(["fold", "id"])
    near = utterances[utterances["dialogue"].isin(rows["dialogue"])]
    near = near.sort_values(["dialogue", "start_s", "id"])
    number = {name: place for place, name in enumerate(near["id"])}
    seconds, outlines, audio = sounds(rows["id"].to_numpy(), segments, played)
    places = {key: n for n, key in enumerate(zip(rows["fold"], rows["id"], strict=True))}
    experiments = list(dict.fromkeys(variant[:-1] for variant in variants))
    tokens: list[Any] = [None] * len(experiments)
    weights: list[Any] = []
    for variant, pooled in variants.items():
        if variant not in salience:
            weights.append(None)
            continue
        seeds, experiment = len(pooled.p), experiments.index(variant[:-1])
        of_variant = Weights(", ".join(variant), seconds, classes)
        for path in salience[variant]:
            of_variant.add(SalienceFile(path), places)
        of_variant.check(seeds)
        weights.append(of_variant.shown(seeds, number))
        found = of_variant.tokens()
        if found and tokens[experiment] not in (None, found):
            raise InputError(
                f"{of_variant.name}: its tokens stand elsewhere than those of another variant "
                "with the same text encoder, expected the same; evaluate both again"
            )
        tokens[experiment] = found or tokens[experiment]
    words = {name: near[name].tolist() for name in ("id", "speaker", "text")}
    read = [recognised.get(name, "") for name in near["id"]]
    about = {
        "classes": list(classes),
        "experiments": [f"{s} + {t}, {mode}" for s, t, mode in experiments],
        "variants": [[v[-1], experiments.index(v[:-1])] for v in variants],
        "utterances": as_json(words),
        "words": [as_json(read) if tables.is_recognised(e[-1]) else None for e in experiments],
        "utterance": [number[name] for name in rows["id"]],
        "fold": rows["fold"].tolist(),
        "true": next(iter(variants.values())).true.tolist(),
        "seconds": seconds.round(2).tolist(),
        "predicted": packed(np.array([v.voted for v in variants.values()], np.uint8).tobytes()),
        "p": packed(of_255(np.array([v.p.mean(axis=0) for v in variants.values()]))),
        "outline": packed(outlines.tobytes()),
        "tokens": tokens,
    }
    return {"about": about, "salience": weights, "audio": audio}


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write what the page shows of the test utterances of a study."""
    parser = stage_parser(__doc__)
    for name, metavar in (("predictions", "TSV"), ("utterances", "TSV"), ("segments", "H5")):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar=metavar)
    parser.add_argument(
        "--salience", type=Path, nargs="*", default=[], metavar="FOLDER", help="of each network"
    )
    parser.add_argument(
        "--transcripts", type=Path, nargs="*", default=[], metavar="TSV", help="recognised words"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="JSON")
    args = parse(parser, argv, {"classes": NAMES, "audio": {"type": "boolean"}})
    classes = args.config["classes"]
    tested = [runs.read(path, classes).query("part == 'test'") for path in args.predictions]
    recognised = {name: t for path in args.transcripts for name, t in tables.texts(path).items()}
    found = shown(
        runs.grid(tested, sorted({int(fold) for table in tested for fold in table["fold"]})),
        by_variant(args.salience),
        tables.read_all(args.utterances, "utterances"),
        recognised,
        [Ragged(path) for path in args.segments],
        classes,
        args.config["audio"],
    )
    write_atomically(args.out, json.dumps(found, separators=(",", ":")))
    played = sum(sound is not None for sound in found["audio"])
    log.info("wrote %s, %d utterances, %d with audio", args.out, len(found["audio"]), played)
