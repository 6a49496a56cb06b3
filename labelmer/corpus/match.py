"""Another corpus -> what models of this one are tested on: its utterances of the shared classes.

Nothing of it trains or chooses, so all of it is tested, whatever folds its own studies have. The
classes are those that both configs have by name; each corpus' config says which of its labels they
are. Every utterance that is not tested is named with its reason.

--config holds {"classes": [[name, [codes]], ...] of the other corpus, "shared": [names]}.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import NAMES
from labelmer.base.stage import command, parse, stage_parser
from labelmer.corpus.split import CLASSES, left_out_table, of_sessions, usable, write_left_out


def matched(
    table: pd.DataFrame, left_out: pd.DataFrame, shared: Collection[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The utterances that are tested, a table "fold", and all others with their reasons.

    table, left_out: as split.usable gives them, of all classes of the corpus.
    """
    known = table["label"].isin(shared)
    rest = table[~known]
    reasons = "class '" + rest["label"] + "' is not shared"
    others = pd.concat([left_out, rest[["session", "id"]].assign(reason=reasons)])
    return table[known].assign(part="test"), others.assign(fold="all")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule match."""
    parser = stage_parser(__doc__)
    for name in ("utterances", "unread", "segments", "labels"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--test", type=Path, required=True, metavar="TSV", help="to write")
    parser.add_argument("--left-out", type=Path, required=True, metavar="TSV", help="to write")
    args = parse(parser, argv, {"classes": CLASSES, "shared": NAMES})
    given = {
        name: of_sessions(getattr(args, name), name)
        for name in ("utterances", "unread", "segments", "labels")
    }
    classes, shared = dict(args.config["classes"]), args.config["shared"]
    known = usable(given["utterances"], given["labels"], given["segments"], classes, shared)
    test, left_out = matched(*known, shared)
    tables.write(args.test, test, "fold")
    log.info("%d utterances are tested: %s", len(test), test["label"].value_counts().to_dict())
    write_left_out(args.left_out, left_out_table(given["unread"], left_out))
