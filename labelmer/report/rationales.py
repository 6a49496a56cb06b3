"""Rationales -> those of the study's sessions, held against the corpus before anything trains."""

from collections.abc import Sequence
from pathlib import Path

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.report.salience_file import read_rationales


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule rationales."""
    parser = stage_parser(__doc__)
    parser.add_argument("rationales", type=Path, metavar="RATIONALES.tsv")
    parser.add_argument("out", type=Path, metavar="CHECKED.tsv")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--segments", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument(
        "--left-out", type=Path, nargs="*", default=[], metavar="TSV", help="other utterances"
    )
    args = parse(parser, argv, optional={"table": CARRIED})
    texts = tables.read_all(args.utterances, "utterances").set_index("id")["text"]
    seconds = tables.read_all(args.segments, "segments").set_index("id")["seconds"].dropna()
    others = {name for path in args.left_out for name in tables.read(path, "utterances")["id"]}
    found = read_rationales(args.rationales, texts.to_dict(), seconds.to_dict(), others)
    rows = tables.given(args.rationales, "rationales")
    tables.write(args.out, rows[~rows["id"].isin(others)], "rationales")
    log.info("rationales: %s", {modality: len(of) for modality, of in found.items()})
