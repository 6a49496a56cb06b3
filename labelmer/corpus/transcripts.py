"""Recognised words in place of the corpus' own: a table of utterances for each session.

TABLE has the columns id and text, one row for each utterance in which words were recognised, by a
speech recogniser for instance. Utterances that it lacks are left out, and named in the log.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import names, tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.stage import CARRIED, command, parse, stage_parser


def replaced(
    sessions: dict[str, pd.DataFrame], recognised: pd.DataFrame, path: Path | str
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Tables of utterances with the recognised words, and the ids of those that have none.

    sessions    {session: table "utterances"}
    recognised  table "transcripts", read from path

    Returns {session: table "utterances"} and a sorted list. InputError: an id of no session.
    """
    known = {name for table in sessions.values() for name in table.id}
    words = recognised.set_index("id").text
    unknown = [name for name in words.index if name not in known]
    if unknown:
        raise InputError(
            f"{path}: id '{unknown[0]}' (and {len(unknown) - 1} more) is no utterance of the "
            f"sessions {list(sessions)}, expected ids of their tables of utterances; correct the "
            f"id, or remove the row{names.meant(unknown[0], known)}"
        )
    made = {}
    for session, table in sessions.items():
        kept = table[table.id.isin(words.index)]
        made[session] = kept.assign(text=kept.id.map(words))
    return made, sorted(known - set(words.index))


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule transcripts."""
    parser = stage_parser(__doc__)
    parser.add_argument("table", type=Path, help="recognised words")
    parser.add_argument("--utterances", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of the tables")
    args = parse(parser, argv, optional={"table": CARRIED})
    sessions = {path.stem: tables.read(path, "utterances") for path in args.utterances}
    recognised = tables.given(args.table, "transcripts")
    made, silent = replaced(sessions, recognised, args.table)
    for session, table in made.items():
        tables.write(args.out / f"{session}.tsv", table, "utterances")
    log.info("%d utterances with recognised words, %d without", len(recognised), len(silent))
    for name in silent:
        log.info("without: %s", name)
