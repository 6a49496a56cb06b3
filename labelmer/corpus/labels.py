"""Corpus evaluations -> the table of labels of one session.

It is apart from the utterances so that a corrected label touches nothing that depends on words and
times.
"""

from collections.abc import Sequence
from pathlib import Path

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import OBJECT
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.corpus import readers


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule labels."""
    parser = stage_parser(__doc__)
    parser.add_argument("--session", required=True)
    parser.add_argument("--labels", type=Path, required=True, metavar="TSV", help="to write")
    args = parse(parser, argv, {"corpus": OBJECT}, {"rows": CARRIED})
    corpus = readers.section(args.config["corpus"])
    reader = readers.load(corpus["reader"])
    labels = reader.labels(corpus["root"], args.session).sort_values("id")
    tables.write(args.labels, labels, "labels")
    log.info("%d labels: %s", len(labels), labels.code.value_counts().to_dict())
