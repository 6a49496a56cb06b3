"""Corpus annotations -> the table of utterances, or the table of labels, of one session.

They are apart so that a corrected label never touches what depends on words and times.
"""

from pathlib import Path

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.stage import command, parse, stage_parser
from labelmer.corpus.readers import READERS


@command
def main(argv=None):
    """Command line of the rules annotate_utterances and annotate_labels."""
    parser = stage_parser(__doc__)
    parser.add_argument("--session", required=True)
    parser.add_argument("--utterances", type=Path, metavar="TSV", help="table to write")
    parser.add_argument("--unread", type=Path, metavar="TSV", help="lines that are no utterance")
    parser.add_argument("--labels", type=Path, metavar="TSV", help="table to write")
    args = parse(parser, argv, ["corpus"])
    corpus = args.config["corpus"]
    reader = READERS[corpus["reader"]]
    if args.utterances:
        utterances, unread = reader.utterances(corpus["root"], args.session)
        tables.write(args.utterances, utterances.sort_values("id"), "utterances")
        tables.write(args.unread, unread, "unread")
        log.info("%d utterances, %d lines that are none", len(utterances), len(unread))
    if args.labels:
        labels = reader.labels(corpus["root"], args.session).sort_values("id")
        tables.write(args.labels, labels, "labels")
        log.info("%d labels: %s", len(labels), labels.code.value_counts().to_dict())
