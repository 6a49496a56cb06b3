"""Labels and utterances -> folds, their audit, and what was left out and why.

The test part of a fold is a session or a speaker. The validation part is never the test part:
    session     the next session
    partner     the held-out speaker's partner in the session
    dialogues   whole dialogues of the training sessions (their speakers train as well)
No speaker of the test part ever stands in another part; that is checked, not hoped for.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.stage import command, parse, stage_parser
from labelmer.corpus import readers
from labelmer.corpus.folds import FoldOptions
from labelmer.corpus.words import words_of

# The classes in their order, each with its codes: [["happy", ["hap", "exc"]], ...].
CLASSES = {"type": "array", "minItems": 2, "items": {"type": "array", "minItems": 2}}
SHARED_WORDS = 4  # a transcript this long counts as the same when it stands elsewhere
SAID_ELSEWHERE = "its words stand in validation or test"


@functools.cache
def normalised(text: str) -> str:
    """A transcript's words as they are compared (words.py), or "" if they count for under four."""
    words, count = words_of(text)
    return " ".join(words) if count >= SHARED_WORDS else ""


def usable(
    utterances: pd.DataFrame,
    labels: pd.DataFrame,
    segments: pd.DataFrame,
    classes: dict[str, list[str]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The utterances that folds are made of, and those that are left out.

    labels: the table "labels" with a column session; classes: {class: [codes of the corpus]}.
    Returns a frame with id, session, dialogue, speaker, text, label sorted by id, and one with
    session, id, reason.
    """
    classes_of = {code: name for name, codes in classes.items() for code in codes}
    coded = labels[["id", "code", "session"]]
    table = utterances.merge(
        coded, on="id", how="outer", indicator="source", suffixes=("", "_of_label")
    )
    table["session"] = table.session.fillna(table.session_of_label)
    audio = segments[["id", "problem", "source"]].rename(columns={"source": "file"})
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
    for name in sorted(set(classes) - set(kept.label)):
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
    return (
        kept[["id", "session", "dialogue", "speaker", "text", "label"]],
        left_out[["session", "id", "reason"]],
    )


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


def folds(
    table: pd.DataFrame,
    hold_out: str,
    validation: str,
    shared_scripts: str,
    fraction: float,
    seed: int,
) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """All folds: a list of (held out, frame of the fold with parts, frame of what it leaves out).

    table: from usable(). The fold's frame has the columns of the table "fold" and text.
    """
    sessions = sorted(table.session.unique())
    if hold_out == "session":
        tests = [(name, table.session == name) for name in sessions]
    else:
        speakers = (
            table[["session", "speaker"]].drop_duplicates().sort_values(["session", "speaker"])
        )
        tests = [(name, table.speaker == name) for name in speakers.speaker]
    made: list[tuple[str, pd.DataFrame, pd.DataFrame]] = []
    for held_out, test in tests:
        home = table.session[test].iloc[0]
        part = pd.Series("train", index=table.index)
        reason = pd.Series("", index=table.index)
        partners = (table.session == home) & ~test
        reason[partners] = "shares its dialogues with the test speaker"
        if validation == "partner":
            _check_partner(table, home, held_out)
            part[partners], reason[partners] = "validation", ""
        elif validation == "session":
            following = sessions[(sessions.index(home) + 1) % len(sessions)]
            part[table.session == following] = "validation"
        else:
            training = table[table.session != home]
            part[_whole_dialogues(training, fraction, seed)] = "validation"
        part[test] = "test"
        if shared_scripts == "drop":
            reason[_said_elsewhere(table.text, part)] = SAID_ELSEWHERE
        _check_fold(table.assign(part=part), reason, f"fold {len(made) + 1}, held out {held_out}")
        fold = table.assign(part=part)[reason == ""]
        left_out = table.assign(reason=reason)[reason != ""]
        made.append((held_out, fold, left_out[["session", "id", "reason"]]))
    return made


def audit(number: int, held_out: str, fold: pd.DataFrame, classes: Iterable[str]) -> list[dict]:
    """What a fold holds: rows of the table "audit", one per part."""
    scripts = fold.text.map(normalised)
    rows = []
    for part in tables.PARTS:
        mine = fold.part == part
        row = {
            "fold": number,
            "held_out": held_out,
            "part": part,
            "utterances": mine.sum(),
            "speakers": fold.speaker[mine].nunique(),
            "dialogues": fold.dialogue[mine].nunique(),
        }
        row |= {f"n_{name}": (fold.label[mine] == name).sum() for name in classes}
        for other in tables.PARTS:
            theirs = fold.part == other
            row[f"speakers_in_{other}"] = _common(fold.speaker[mine], fold.speaker[theirs])
            row[f"dialogues_in_{other}"] = _common(fold.dialogue[mine], fold.dialogue[theirs])
            said = set(scripts[theirs]) - {""}
            row[f"transcripts_in_{other}"] = scripts[mine].isin(said).sum()
        rows.append(row)
    return rows


def _whole_dialogues(training: pd.DataFrame, fraction: float, seed: int) -> pd.Index:
    """Index of whole dialogues: about `fraction` of the utterances, classes in proportion."""
    from sklearn.model_selection import StratifiedGroupKFold

    # The training sessions are dealt into small stratified groups of dialogues, and as many of
    # these are taken as come nearest to the share.
    groups = min(20, training.dialogue.nunique(), training.label.value_counts().min())
    if groups < 2:
        raise InputError(
            "folds: validation: dialogues needs two dialogues, and two utterances of every class, "
            f"in the training sessions; {sorted(training.session.unique())} have "
            f"{training.dialogue.nunique()} dialogues; use validation: session"
        )
    splitter = StratifiedGroupKFold(groups, shuffle=True, random_state=seed)
    dealt = [rows for _, rows in splitter.split(training, training.label, training.dialogue)]
    shares = np.cumsum([len(rows) for rows in dealt[:-1]]) / len(training)
    count = 1 + int(np.abs(shares - fraction).argmin())
    return training.index[np.concatenate(dealt[:count])]


def _said_elsewhere(text: pd.Series, part: pd.Series) -> pd.Series:
    """Training turns whose words also stand in the validation or the test part."""
    scripts = text.map(normalised)
    return (part == "train") & scripts.isin(set(scripts[part != "train"]) - {""})


def _check_partner(table: pd.DataFrame, home: str, held_out: str) -> None:
    speakers = sorted(table.speaker[table.session == home].unique())
    if len(speakers) != 2:
        raise InputError(
            f"folds: validation: partner needs two speakers in each session; {home} has "
            f"{speakers} (held out: {held_out}); use validation: session"
        )


def _check_fold(table: pd.DataFrame, reason: pd.Series, name: str) -> None:
    """Raise InputError if a test speaker is heard elsewhere, or a class is not taught or validated.

    table: usable() with parts; reason: why a row is left out of the fold, else "".
    """
    by_part = {part: table[(table.part == part) & (reason == "")] for part in tables.PARTS}
    heard = set(by_part["train"].speaker) | set(by_part["validation"].speaker)
    leak = sorted(heard & set(by_part["test"].speaker))
    if leak:
        raise InputError(
            f"{name}: speakers {leak} of the test part also stand in training or "
            "validation; a speaker must keep to one session"
        )
    for part in ("train", "validation"):
        absent = sorted(set(table.label) - set(by_part[part].label))
        if absent:
            gone = reason[(table.part == part) & table.label.isin(absent) & (reason != "")]
            shared = (gone == SAID_ELSEWHERE).any()
            raise InputError(
                f"{name}: the {part} part has no utterance of {absent}; "
                + (f"left out of it: {gone.value_counts().to_dict()}; " if len(gone) else "")
                + ("set folds: shared_scripts: keep, or " if shared else "")
                + "choose other labels: or another folds: validation:"
            )


def _common(mine: pd.Series, theirs: pd.Series) -> int:
    return len(set(mine) & set(theirs))


def _left_out(
    unread: pd.DataFrame, dropped: pd.DataFrame, by_fold: list[pd.DataFrame]
) -> pd.DataFrame:
    """The table "left_out": lines that are no utterance, unusable utterances, each fold's own."""
    lines = unread.assign(id=unread.file + ":" + unread.line.astype(str))
    frames = [lines[["session", "id", "reason"]].assign(fold="all"), dropped.assign(fold="all")]
    frames += [frame.assign(fold=str(n)) for n, frame in enumerate(by_fold, 1)]
    return pd.concat(frames).sort_values(["fold", "session", "id"])


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


def _concatenate(paths: Sequence[Path], name: str) -> pd.DataFrame:
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
    parser.add_argument("--out", type=Path, required=True, help="folder of the fold tables")
    told = {"classes": CLASSES, "folds": FoldOptions, "reader": {"enum": readers.names()}}
    args = parse(parser, argv, told)
    classes, settings = dict(args.config["classes"]), asdict(FoldOptions(**args.config["folds"]))
    given = {
        name: _concatenate(getattr(args, name), name)
        for name in ("utterances", "unread", "segments", "labels")
    }
    reader = readers.load(args.config["reader"])
    if hasattr(reader, "release_differences"):
        for difference in reader.release_differences(given["utterances"], given["labels"]):
            log.warning("NOT THE FULL RELEASE: %s", difference)
    table, dropped = usable(given["utterances"], given["labels"], given["segments"], classes)
    check_held_out(given["utterances"], table, settings["hold_out"])
    made = folds(table, **settings)
    rows = []
    for number, (held_out, fold, left_out) in enumerate(made, 1):
        rows += audit(number, held_out, fold, classes)
        tables.write(args.out / f"fold{number}.tsv", fold.drop(columns="text"), "fold")
        log.info("fold %d: %s held out, %d left out", number, held_out, len(left_out))
    _remove_earlier(args.out, len(made))
    tables.write(args.out / "audit.tsv", pd.DataFrame(rows), "audit")
    report = _left_out(given["unread"], dropped, [left_out for _, _, left_out in made])
    tables.write(args.out / "left_out.tsv", report, "left_out")
    for reason, count in report.reason.value_counts().items():
        log.info("left out: %d x %s", count, reason)
