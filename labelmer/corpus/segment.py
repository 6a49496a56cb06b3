"""Corpus audio -> the audio of each utterance of a session, in one ragged file.

Reads a session's ids and times and the corpus' audio; writes int16 samples at 16 kHz and a table
that says where each came from, or why there is no audio.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelmer.base import names, tables
from labelmer.base.digest import content_key
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import OBJECT, TEXT
from labelmer.base.progress import Progress
from labelmer.base.ragged import RATE
from labelmer.base.ragged_writer import Writer
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.corpus import audio, readers
from labelmer.corpus.resampling import resampled_length

SHORT = 0.05  # seconds: no word is shorter
MOST = 20  # files that cannot be read, which a message names
NAMED = 3  # findings of a kind that the terminal shows

Clip = tuple[str, Path, float | None, float | None]  # id, path, start_s, end_s
Span = tuple[audio.Source, int, int]  # the file, first frame, stop frame


class Findings:
    """What is odd about the audio: the first of each kind are warnings, the rest is in the log."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, sentence: str) -> None:
        self.counts[kind] += 1
        log.log(logging.WARNING if self.counts[kind] <= NAMED else logging.INFO, "%s", sentence)

    def close(self) -> None:
        """Say how many there are of what was not shown."""
        for kind, count in self.counts.items():
            if count > NAMED:
                log.warning("%s: %d more such warnings; the log has them all", kind, count - NAMED)


def find(
    clips: Iterable[Clip], root: Path | str, findings: Findings
) -> tuple[dict[str, Span], pd.DataFrame]:
    """Look at every clip's file: (spans by id, frame for the table "segments" without "audio").

    clips: list of (id, path, start_s, end_s). A clip without audio has a problem and no span.
    """
    sources: dict[Path, audio.Source | None] = {}
    spans: dict[str, Span] = {}
    rows, wrong = [], []
    for name, path, start_s, end_s in clips:
        problem, seconds = "", None
        if path not in sources:
            try:
                sources[path] = for_id(name, look, name, path, findings)
            except InputError as error:
                sources[path] = None
                wrong.append(str(error))
        source = sources[path]
        if source is None:
            # Of many links to nowhere the reason is one: the log says where each leads.
            link = path.is_symlink()
            problem = "no audio file" + (", a link to nowhere" if link else names.misspelt(path))
        elif source.problem:
            problem = source.problem
            findings.add(problem, f"{name}: {path}: {problem}; left out")
        else:
            first, stop = source.span(start_s, end_s)
            if start_s is not None and end_s > source.frames / source.rate + 0.05:
                findings.add(
                    "past the end",
                    f"{name}: ends at {end_s:.3f} s, but {path} ends at "
                    f"{source.frames / source.rate:.3f} s; cut there",
                )
            if stop <= first:
                problem = "no samples"
                between = "" if start_s is None else f" from {start_s:.6f} s to {end_s:.6f} s"
                findings.add("no samples", f"{name}: {path}: no samples{between}; left out")
            else:
                spans[name] = source, first, stop
                seconds = resampled_length(stop - first, source.rate) / RATE
                if seconds < SHORT:
                    findings.add(
                        "short",
                        f"{name}: {path}: {seconds:.3f} s, shorter than any word; are its times in "
                        "seconds?",
                    )
        place = audio.relative(path, root)
        rows.append({"id": name, "seconds": seconds, "source": place, "problem": problem})
    if wrong:
        more = [f"and {len(wrong) - MOST} files more"] if len(wrong) > MOST else []
        raise InputError("\n".join(wrong[:MOST] + more))
    return spans, pd.DataFrame(rows, columns=["id", "seconds", "source", "problem"])


def look(name: str, path: Path, findings: Findings) -> audio.Source | None:
    """A file, looked at for the first of its clips; None where there is none."""
    try:
        source = audio.Source(path)
    except FileNotFoundError:
        findings.add(
            "no audio file", f"{name}: {path}: no such file{names.misspelt(path)}; left out"
        )
        return None
    for kind, sentence in source.findings:
        findings.add(kind, f"{name}: {path}: {sentence}")
    return source


def for_id(name: str, function: Callable, *arguments: Any) -> Any:
    """Call a function of an utterance's audio; what it says of bad audio is said with the id."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"id '{name}': {error}; mend the file, or take the id out") from None


def write_segments(
    spans: dict[str, Span], path: Path, attrs: dict, findings: Findings
) -> dict[str, str]:
    """Write the spans' samples as a ragged file of int16, one item per utterance.

    Returns digests of the samples by id, of all that sounds.
    """
    ids = sorted(spans)
    places = {name: place for place, name in enumerate(ids)}
    lengths = [
        resampled_length(stop - first, source.rate)
        for source, first, stop in (spans[name] for name in ids)
    ]
    attrs = {"kind": "segments", "unit": "samples", "rate_hz": RATE, **attrs}
    first_with: dict[bytes, str] = {}  # what has sounded so far
    heard: dict[str, str] = {}
    with (
        Writer(path, ids, lengths, (), "int16", attrs) as writer,
        Progress("segments", sum(lengths) / RATE, "s") as progress,
    ):
        # By file and place: what only FFmpeg reads is decoded once from front to back.
        for name in sorted(ids, key=lambda name: (str(spans[name][0].path), *spans[name][1:])):
            source, first, stop = spans[name]
            samples, odd = for_id(name, source.read, first, stop)
            for kind, sentence in odd:
                findings.add(kind, f"{name}: {source.path}: {sentence}")
            key = content_key(samples)
            if not any(kind == "no sound" for kind, _ in odd):
                heard[name] = key.hex()
                other = first_with.setdefault(key, name)
                place = spans[other][0].path
                if place != source.path:
                    findings.add(
                        "same audio",
                        f"{name}: {source.path}: sample for sample the audio of '{other}', "
                        f"{place}; if one is a copy, take it out",
                    )
            writer.write(places[name], samples, key)
            progress.advance(len(samples) / RATE)
    return heard


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule segment."""
    parser = stage_parser(__doc__)
    parser.add_argument("--session", required=True)
    parser.add_argument("--segments", type=Path, required=True, help="ragged file to write")
    parser.add_argument("--table", type=Path, required=True, help="table of segments to write")
    args = parse(parser, argv, {"corpus": OBJECT, "code": TEXT}, {"cuts": CARRIED})
    corpus = readers.section(args.config["corpus"])
    reader = readers.load(corpus["reader"])
    utterances, _ = reader.utterances(corpus["root"], args.session)
    options = readers.options_of(corpus)
    clips = reader.clips(corpus["root"], utterances.sort_values("id"), **options)
    findings = Findings()
    spans, table = find(clips, corpus["root"], findings)
    heard = write_segments(spans, args.segments, {"code": args.config["code"]}, findings)
    tables.write(args.table, table.assign(audio=table["id"].map(heard).fillna("")), "segments")
    findings.close()
    log.info("%d utterances, %d without audio", len(table), len(table) - len(spans))
