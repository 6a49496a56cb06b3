"""A trained model -> its predictions of every utterance of another corpus that it has a class for.

The model is as its own training left it: weights, standardisation, label prototypes and, of a late
fusion, weights. Nothing is fitted to the other corpus, and nothing is chosen on it. Where the
model has classes that the other corpus lacks, the probabilities are those of the shared classes,
given that it is one of them: they sum to one again.

A file here for each kind of model (Options.kind of its architecture, or product), found by its
name. It has a function said(test, args): of the rows of a table "fold" the probabilities (N, C),
and the names of these C classes.

--config holds {"kind": of the model, "shared": [names of the classes that are tested]}.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import NAMES
from labelmer.base.stage import RUN, command, parse, run_parser
from labelmer.learning.predictions import predictions_table
from labelmer.scores.restriction import restricted

KINDS = [module.name for module in pkgutil.iter_modules(__path__)]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule transfer."""
    parser = run_parser(__doc__)
    parser.add_argument("out", type=Path, help="table of predictions to write")
    for name, help in (
        ("utterances", "of the other corpus, for context_turns and metadata"),
        ("segments", "of the other corpus, for metadata"),
        ("predictions", "of a late fusion's models on their own corpus"),
        ("members", "of a late fusion's models on the other corpus, in the same order"),
    ):
        parser.add_argument(f"--{name}", type=Path, nargs="*", default=[], metavar="TSV", help=help)
    args = parse(parser, argv, {"kind": {"enum": KINDS}, "shared": NAMES})
    shared, test = args.config["shared"], tables.read(args.fold, "fold")
    kind = importlib.import_module(f"{__name__}.{args.config['kind']}")
    p, classes = kind.said(test, args)
    run = dict(zip(RUN, args.run, strict=True))
    said = predictions_table([(test, restricted(p, classes, shared))], shared, run)
    tables.write(args.out, said, "predictions")
    log.info("%d utterances of another corpus predicted", len(test))
