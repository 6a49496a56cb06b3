"""Corpus transcripts -> the table of utterances of one session, and the lines that are none."""

from collections.abc import Sequence
from pathlib import Path

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import OBJECT
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.corpus import readers


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule utterances."""
    parser = stage_parser(__doc__)
    parser.add_argument("--session", required=True)
    parser.add_argument("--utterances", type=Path, required=True, metavar="TSV", help="to write")
    parser.add_argument("--unread", type=Path, required=True, metavar="TSV", help="to write")
    args = parse(parser, argv, {"corpus": OBJECT}, {"rows": CARRIED})
    corpus = readers.section(args.config["corpus"])
    reader = readers.load(corpus["reader"])
    utterances, unread = reader.utterances(corpus["root"], args.session)
    tables.write(args.utterances, utterances.sort_values("id"), "utterances")
    tables.write(args.unread, unread, "unread")
    log.info("%d utterances, %d lines that are none", len(utterances), len(unread))
