"""Corpus audio -> the audio of each utterance of a session, in one ragged file.

Reads a session's ids and times and the corpus' audio; writes int16 samples at 16 kHz and a table
that says where each came from, or why there is no audio.
"""

from pathlib import Path

import pandas as pd

from labelmer import audio, names, tables
from labelmer.digest import content_key
from labelmer.errors import InputError
from labelmer.ragged import Writer
from labelmer.readers import READERS
from labelmer.stage import Progress, command, log, parse, stage_parser


def find(clips, root):
    """Look at every clip's file: (spans by id, frame for the table "segments").

    clips: list of (id, path, start_s, end_s). A clip without audio has a problem and no span.
    """
    spans, rows = {}, []
    for name, path, start_s, end_s in clips:
        problem, seconds = "", None
        if not path.exists():
            problem = f"no audio file{names.misspelt(path)}"
        else:
            first, stop, rate, frames = for_id(name, audio.span, path, start_s, end_s)
            if start_s is not None and end_s * rate > frames + 0.05 * rate:
                log.warning(
                    "%s: ends at %.3f s, but %s ends at %.3f s; cut there",
                    *(name, end_s, path, frames / rate),
                )
            if stop <= first:
                problem = "no samples"
            else:
                spans[name] = path, first, stop, rate
                seconds = audio.resampled_length(stop - first, rate) / audio.RATE
        source = audio.relative(path, root)
        rows.append({"id": name, "seconds": seconds, "source": source, "problem": problem})
    return spans, pd.DataFrame(rows, columns=["id", "seconds", "source", "problem"])


def for_id(name, function, *arguments):
    """Call a function of an utterance's audio; what it says of bad audio is said with the id."""
    try:
        return function(*arguments)
    except InputError as error:
        raise InputError(f"id '{name}': {error}; mend the file, or take the id out") from None


def write_segments(spans, path, attrs):
    """Write the spans' samples as a ragged file of int16, one item per utterance."""
    ids = sorted(spans)
    lengths = [audio.resampled_length(spans[i][2] - spans[i][1], spans[i][3]) for i in ids]
    attrs = {"kind": "segments", "unit": "samples", "rate_hz": audio.RATE, **attrs}
    with (
        Writer(path, ids, lengths, (), "int16", attrs) as writer,
        Progress("segments", sum(lengths) / audio.RATE, "s") as progress,
    ):
        for index, name in enumerate(ids):
            samples = for_id(name, audio.read, *spans[name])
            writer.write(index, samples, content_key(samples))
            progress.advance(len(samples) / audio.RATE)


@command
def main(argv=None):
    """Command line of the rule segment."""
    parser = stage_parser(__doc__)
    parser.add_argument("--session", required=True)
    parser.add_argument("--segments", type=Path, required=True, help="ragged file to write")
    parser.add_argument("--table", type=Path, required=True, help="table of segments to write")
    args = parse(parser, argv, ["corpus", "code"])
    corpus = args.config["corpus"]
    reader = READERS[corpus["reader"]]
    utterances, _ = reader.utterances(corpus["root"], args.session)
    clips = reader.clips(corpus["root"], utterances.sort_values("id"), corpus.get("audio"))
    spans, table = find(clips, corpus["root"])
    write_segments(spans, args.segments, {"code": args.config["code"]})
    tables.write(args.table, table, "segments")
    log.info("%d utterances, %d without audio", len(table), len(table) - len(spans))


if __name__ == "__main__":
    main()
