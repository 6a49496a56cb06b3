"""Labels and utterances -> folds (folds.py), their audit, and what was left out and why."""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.corpus import readers
from labelmer.corpus.folds import Fold, folds, normalised
from labelmer.corpus.official import official_parts
from labelmer.corpus.options import FoldOptions

# The classes in their order, each with its codes: [["happy", ["hap", "exc"]], ...].
CLASSES = {"type": "array", "minItems": 2, "items": {"type": "array", "minItems": 2}}


def usable(
    utterances: pd.DataFrame,
    labels: pd.DataFrame,
    segments: pd.DataFrame,
    classes: dict[str, list[str]],
    needed: Collection[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The utterances that folds are made of, and those that are left out.

    labels: the table "labels" with a column session; classes: {class: [codes of the corpus]};
    needed: of these, those that must have an utterance, by default all. InputError: one has none.
    Returns a frame with id, session, dialogue, scenario, speaker, text, audio, label and the part
    that the corpus' own split gives, sorted by id; and one with session, id, reason.
    """
    classes_of = {code: name for name, codes in classes.items() for code in codes}
    coded = labels[["id", "code", "session"]]
    table = utterances.merge(
        coded, on="id", how="outer", indicator="source", suffixes=("", "_of_label")
    )
    table["session"] = table.session.fillna(table.session_of_label)
    audio = segments[["id", "problem", "source", "audio"]].rename(columns={"source": "file"})
    table = table.merge(audio, on="id", how="left")
    table["label"] = table.code.map(classes_of)
    reasons = pd.Series("", index=table.index)
    reasons[table.label.isna()] = "code " + table.code + " is in no class"
    reasons[table.problem.fillna("") != ""] = table.problem
    reasons[table.source == "left_only"] = "no label"
    reasons[table.source == "right_only"] = "no transcript"
    left_out = table.assign(reason=reasons)[reasons != ""]
    kept = table[reasons == ""].sort_values("id", ignore_index=True)
    known = sorted(labels.code.unique())
    for code in sorted(set(classes_of) - set(known)):
        log.warning(
            "labels: code '%s' of the class '%s' stands at no utterance; the corpus has %s",
            *(code, classes_of[code], known),
        )
    silent = table[table.label.notna() & (table.problem.fillna("") != "")]
    if len(silent):
        log.warning(
            "%d utterances of the classes have no audio, the first is '%s' (%s: '%s'): left out",
            *(len(silent), *silent[["id", "problem", "file"]].iloc[0]),
        )
    for name in sorted(set(classes if needed is None else needed) - set(kept.label)):
        gone, found = left_out[left_out.label == name], f"the corpus has the codes {known}"
        if len(gone):
            first = gone.fillna({"file": "none"}).iloc[0]
            found = (
                f"left out: {gone.reason.value_counts().to_dict()}, the first is '{first.id}', its "
                f"audio '{first.file}'"
            )
        raise InputError(
            f"labels: no utterance of the class '{name}', codes {classes[name]}; {found}"
        )
    columns = ["id", "session", "dialogue", "scenario", "speaker", "part", "text", "audio", "label"]
    return kept[columns], left_out[["session", "id", "reason"]]


def check_held_out(utterances: pd.DataFrame, table: pd.DataFrame, hold_out: str) -> None:
    """Raise InputError if a session or speaker of the corpus has nothing to be tested on."""
    absent = sorted(set(utterances[hold_out]) - set(table[hold_out]))
    if absent:
        home = sorted(utterances.session[utterances[hold_out].isin(absent)].unique())
        raise InputError(
            f"folds: hold_out: {hold_out}: {absent} of {home} have no utterance of the classes "
            f"{sorted(table.label.unique())}; leave these sessions out by corpus: sessions:, or "
            "change labels:"
        )


def audit(number: int, fold: Fold, classes: Iterable[str]) -> list[dict]:
    """What a fold holds: rows of the table "audit", one per part."""
    held_out, table = fold.held_out, fold.rows
    scripts = table.text.map(normalised)
    scenarios = {p: set(table.scenario[table.part == p]) - {""} for p in tables.PARTS}
    rows = []
    for part in tables.PARTS:
        mine = table.part == part
        row = {
            "fold": number,
            "held_out": held_out,
            "part": part,
            "utterances": mine.sum(),
            "speakers": table.speaker[mine].nunique(),
            "dialogues": table.dialogue[mine].nunique(),
            "scenarios": len(scenarios[part]),
        }
        row |= {f"n_{name}": (table.label[mine] == name).sum() for name in classes}
        for other in tables.PARTS:
            theirs = table.part == other
            row[f"speakers_in_{other}"] = _common(table.speaker[mine], table.speaker[theirs])
            row[f"dialogues_in_{other}"] = _common(table.dialogue[mine], table.dialogue[theirs])
            row[f"scenarios_in_{other}"] = len(scenarios[part] & scenarios[other])
            for name, of in (("transcripts", scripts), ("audio", table.audio)):
                row[f"{name}_in_{other}"] = of[mine].isin(set(of[theirs]) - {""}).sum()
        # Validation chooses the epoch, and with `refit` it trains.
        known = scenarios["train"] | scenarios["validation"]
        row["known_scenario"] = table.scenario[mine].isin(known).sum()
        rows.append(row)
    return rows


def tell_of_copies(made: Iterable[Fold]) -> None:
    """Warn of test utterances that sound as one does that trains or validates."""
    copies: dict[str, str] = {}
    for fold in made:
        heard = fold.rows[fold.rows.audio != ""]
        tested = heard.part == "test"
        known = heard[~tested].drop_duplicates("audio").set_index("audio")["id"]
        mine = heard[tested & heard.audio.isin(known.index)]
        copies |= dict(zip(mine.id, mine.audio.map(known), strict=True))
    if copies:
        log.warning(
            "%d test utterances are, sample for sample, the audio of one that trains or validates, "
            "the first is '%s', as '%s'; if one of two is a copy, take it out",
            *(len(copies), *min(copies.items())),
        )


def _common(mine: pd.Series, theirs: pd.Series) -> int:
    return len(set(mine) & set(theirs))


def left_out_table(
    unread: pd.DataFrame, dropped: pd.DataFrame, by_fold: Sequence[pd.DataFrame] = ()
) -> pd.DataFrame:
    """The table "left_out": lines that are no utterance, unusable utterances, each fold's own."""
    lines = unread.assign(id=unread.file + ":" + unread.line.astype(str))
    frames = [lines[["session", "id", "reason"]].assign(fold="all"), dropped.assign(fold="all")]
    frames += [frame.assign(fold=str(n)) for n, frame in enumerate(by_fold, 1)]
    return pd.concat(frames).sort_values(["fold", "session", "id"])


def write_left_out(path: Path, table: pd.DataFrame) -> None:
    """Write a table "left_out", and say in the log how much is left out for which reason."""
    tables.write(path, table, "left_out")
    for reason, count in table.reason.value_counts().items():
        log.info("left out: %d x %s", count, reason)


def _remove_earlier(folder: Path, count: int) -> None:
    """Remove the fold tables that an earlier config made and this one does not.

    Who reads all fold tables of the folder would mix two protocols.
    """
    for path in sorted(folder.glob("fold*.tsv")):
        number = re.fullmatch(r"fold([1-9]\d*)\.tsv", path.name)
        if not number or int(number[1]) <= count:
            continue
        try:
            tables.read(path, "fold")
        except InputError as error:
            log.warning("%s is no table of this protocol, and is left there (%s)", path, error)
        else:
            path.unlink()
            log.info("removed %s: the config makes %d folds", path, count)


def of_sessions(paths: Sequence[Path], name: str) -> pd.DataFrame:
    """All sessions' tables of one kind; each file is named after its session."""
    frames = [tables.read(path, name) for path in paths]
    if name in ("unread", "labels"):
        stems = [path.name.removesuffix(".tsv").removesuffix(".unread") for path in paths]
        frames = [f.assign(session=stem) for f, stem in zip(frames, stems, strict=True)]
    return pd.concat(frames, ignore_index=True)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the checkpoint split."""
    parser = stage_parser(__doc__)
    for name in ("utterances", "unread", "segments", "labels"):
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, metavar="TSV")
    parser.add_argument("--parts", type=Path, metavar="TSV", help="the split, where it is given")
    parser.add_argument(
        "--left-out", type=Path, nargs="*", default=[], metavar="TSV", help="other utterances"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the fold tables")
    told = {"classes": CLASSES, "folds": FoldOptions, "reader": {"enum": readers.names()}}
    args = parse(parser, argv, told, {"parts": CARRIED})
    classes, options = dict(args.config["classes"]), FoldOptions(**args.config["folds"])
    given = {
        name: of_sessions(getattr(args, name), name)
        for name in ("utterances", "unread", "segments", "labels")
    }
    reader = readers.load(args.config["reader"])
    if hasattr(reader, "release_differences"):
        for difference in reader.release_differences(given["utterances"], given["labels"]):
            log.warning("NOT THE FULL RELEASE: %s", difference)
    table, dropped = usable(given["utterances"], given["labels"], given["segments"], classes)
    official = None
    if options.hold_out == "part":
        others = [name for path in args.left_out for name in tables.read(path, "utterances")["id"]]
        official = official_parts(given["utterances"], args.parts, others)
    elif options.hold_out in ("session", "speaker"):
        check_held_out(given["utterances"], table, options.hold_out)
    made = folds(table, options, official)
    tell_of_copies(made)
    rows = []
    for number, fold in enumerate(made, 1):
        rows += audit(number, fold, classes)
        tables.write(args.out / f"fold{number}.tsv", fold.rows, "fold")
        log.info("fold %d: %s held out, %d left out", number, fold.held_out, len(fold.left_out))
    _remove_earlier(args.out, len(made))
    tables.write(args.out / "audit.tsv", pd.DataFrame(rows), "audit")
    report = left_out_table(given["unread"], dropped, [fold.left_out for fold in made])
    write_left_out(args.out / "left_out.tsv", report)
