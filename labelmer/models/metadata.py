"""What can be guessed without hearing or reading: the baseline "metadata".

The model `linear` on what is known of an utterance beside its features, if the corpus has it:

    scenario    what is played; a column of zeros and ones for each that trains
    passage     which part of it, where a scenario is played in several
    role        whom the speaker plays
    quarter     of the dialogue, by the order in which its turns start
    seconds     of audio, log(1 + s)
    words       how many (base/words.py, in every script), log(1 + n)

A column that is the same throughout the training part is left out, and a category of which the
validation part has no value that training knows, as with scenarios apart. A value that the
training part does not have, such as a scenario that is held out, has zeros everywhere.
What such a model is worth, a corpus gives away; a model that listens must beat it.

--config holds {"classes": [names in order], "refit": true or false}.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import NAMES
from labelmer.base.stage import RUN, command, parse, stage_parser
from labelmer.base.words import words_of
from labelmer.learning.predictions import check_classes, perturbed_table, predictions_table
from labelmer.models.linear import fitted, save

CATEGORIES = ("scenario", "passage", "role", "quarter")
NUMBERS = ("seconds", "words")


def metadata_of(utterances: pd.DataFrame, segments: pd.DataFrame) -> pd.DataFrame:
    """What is known of utterances, by id: categories ("" for none) and numbers.

    utterances, segments: the tables of these names, of whole dialogues.
    """
    table = utterances.set_index("id")
    known = table[["scenario", "passage", "role"]].assign(quarter=_quarters(table))
    known["seconds"] = segments.set_index("id")["seconds"].reindex(table.index)
    known["words"] = [words_of(text)[1] for text in table["text"]]
    return known


def _quarters(table: pd.DataFrame) -> pd.Series:
    """In which quarter of its dialogue each turn starts: "1" to "4", "" where times lack."""
    turns = table.groupby(["session", "dialogue"])["start_s"]
    number, place = turns.transform("size"), turns.rank(method="first")
    timed = turns.transform("count") == number
    quarter = (4 * (place - 1) // number + 1).where(timed & (number > 1))
    return quarter.map(lambda q: "" if pd.isna(q) else f"{q:.0f}")


def telling(known: pd.DataFrame, teaching: pd.Index, choosing: pd.Index) -> pd.DataFrame:
    """The columns of metadata_of that can tell anything; there may be none.

    They differ within the training part, and a category has a value there that the validation part
    has too: with scenarios apart no scenario, and nothing that is named after one, is given.

    teaching, choosing: ids of the training and of the validation part.
    """
    differ = known.loc[teaching].nunique() > 1
    met = {
        name: bool(set(known.loc[teaching, name]) & set(known.loc[choosing, name]) - {""})
        for name in CATEGORIES
    }
    return known[[name for name in known if differ[name] and met.get(name, True)]]


def input_names(known: pd.DataFrame, teaching: pd.Index) -> list[str]:
    """What a model is fitted to: a number's name, or a category's and one of its values.

    known: of telling; teaching: ids of the training part, which say which values there are.
    """
    categories = [
        f"{name} {value}"
        for name in known.columns.intersection(CATEGORIES)
        for value in sorted(set(known.loc[teaching, name]) - {""})
    ]
    return [*categories, *known.columns.intersection(NUMBERS)]


def as_inputs(known: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """What is known of utterances as numbers (N, inputs).

    known: of metadata_of; names: of input_names. A value that is not among them has zeros.
    """
    made = []
    for name in names:
        column, _, value = name.partition(" ")
        cells = known[column]
        made.append(np.log1p(cells.astype(float)) if column in NUMBERS else cells == value)
    return np.column_stack(made).astype(float)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule metadata."""
    parser = stage_parser(__doc__)
    parser.add_argument("fold", type=Path, help="fold table")
    parser.add_argument("folder", type=Path, help="the model's folder")
    parser.add_argument("out", type=Path, help="table of predictions to write")
    parser.add_argument("--perturbed", type=Path, required=True, metavar="TSV", help="to write")
    for name in ("utterances", "segments"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--run", nargs=len(RUN), required=True, metavar=tuple(map(str.upper, RUN)))
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    args = parse(parser, argv, {"classes": NAMES, "refit": {"type": "boolean"}})
    run, classes = dict(zip(RUN, args.run, strict=True)), args.config["classes"]
    table = tables.read(args.fold, "fold")
    check_classes(table, classes, args.fold)
    known = metadata_of(
        tables.read_all(args.utterances, "utterances"), tables.read_all(args.segments, "segments")
    )
    absent = table["id"][~table["id"].isin(known.index)]
    if len(absent):
        raise InputError(
            f"{args.fold}: id '{absent.iloc[0]}' is in no table of utterances, expected those of "
            "all its sessions; split the corpus anew"
        )
    teaching, choosing = (
        pd.Index(table["id"][table["part"] == part]) for part in ("train", "validation")
    )
    known = telling(known.loc[table["id"]], teaching, choosing)
    if known.columns.empty:
        raise InputError(
            f"{args.fold}: there is no metadata to guess from: expected one of "
            f"{[*CATEGORIES, *NUMBERS]} that differs within the training part, and of the first "
            f"{len(CATEGORIES)} one with a value that the validation part has too; take the "
            "variant out of experiments:, or add columns to the corpus' table"
        )
    names = input_names(known, teaching)
    inputs = as_inputs(known, names)
    model, said, how = fitted(
        {"metadata": inputs}, table, classes, args.config["refit"], args.threads
    )
    about = {
        "classes": classes,
        "columns": list(known.columns),
        "inputs": names,
        **how,
        "run": run,
    }
    save(args.folder, model, about)
    tables.write(args.out, predictions_table(said, classes, run), "predictions")
    nothing = perturbed_table(table[:0], {}, classes, run)
    tables.write(args.perturbed, nothing, "perturbed")
    log.info("guessed from %s", ", ".join(known.columns))
