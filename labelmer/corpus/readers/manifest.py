"""Any corpus given as a table -> rows.

The manifest is a TSV with the columns id, path, speaker, label, text and, where wanted, session
(else all is one), start and end (seconds in the file), dialogue (else each audio file is a dialogue
of its own), scenario, role, and part (train, validation or test, where the corpus has a split).
Paths are relative to the manifest's folder. Further columns are ignored.
"""

import functools
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer.base import names, tables
from labelmer.base.errors import InputError
from labelmer.base.log import log

COLUMNS = ["id", "path", "speaker", "label", "text"]
FURTHER = ["session", "start", "end", "dialogue", "scenario", "role", "part"]  # may be left out
FILLED = ["id", "path", "speaker", "session"]
MEANT = {  # what other programs, and tables of ours, call these columns, in small letters alone
    **dict.fromkeys(["starts", "starttime", "startsec", "startms", "begin", "onset"], "start"),
    **dict.fromkeys(["ends", "endtime", "endsec", "endms", "stop", "offset"], "end"),
    **dict.fromkeys(["dialog", "dialogs", "dialogues", "dialogid", "dialogueid"], "dialogue"),
    **dict.fromkeys(["sessions", "sessionid"], "session"),
}
ONE_SESSION = "all"  # the name of the only session, where none are given
LONGEST = 200  # bytes of a session; a file's name may have 255
NAMED = ["speaker", "session", "dialogue", "scenario", "role"]
TIDIED = ["id", "label", "text", "part", *NAMED]

ROOT = f"the manifest (a TSV with the columns {', '.join(COLUMNS)})"
OPTIONS: dict[str, dict] = {}


@functools.cache
def rows(root: Path | str) -> pd.DataFrame:
    """All rows of a manifest, sorted by id, checked: a frame of strings.

    The columns start and end are floats; they are missing values where a clip is a whole file.
    """
    if not Path(root).exists():
        raise InputError(f"{root}: there is no such manifest; correct corpus: root:")
    if Path(root).is_dir():
        raise InputError(f"corpus: root: {root} is a folder, expected {ROOT}; give the file's name")
    table = tables.cells(root, quoted=True)
    _check_columns(root, table)
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise InputError(
            f"{root}: columns {missing} are missing, it has {list(table.columns)}; expected "
            f"{COLUMNS}, separated by tabs"
        )
    table = table[[c for c in table.columns if c in (*COLUMNS, *FURTHER)]]
    if table.empty:
        raise InputError(f"{root}: no rows under the header; expected one for each utterance")
    if "session" not in table:
        table["session"] = ONE_SESSION
    for column in ("dialogue", "scenario", "role", "part"):
        if column not in table:
            table[column] = ""
    # As the tables are written, or "Ann" and "Ann " would be two speakers.
    for column in table.columns.intersection(TIDIED):
        table[column] = table[column].map(lambda cell: " ".join(cell.split()))
    for column in FILLED:
        empty = table.index[table[column].map(names.plain) == ""]  # or of what is not seen
        if len(empty):
            raise InputError(
                f"{root}:{empty[0]}: id '{table.id[empty[0]]}': {column} is empty; every row "
                "needs one"
            )
    twice = table.id[table.id.duplicated(keep=False)]
    if len(twice):
        lines = twice.index[twice == twice.iloc[0]]
        raise InputError(
            f"{root}:{lines[1]}: id '{twice.iloc[0]}' stands twice, first in line {lines[0]}; "
            "every id must stand once"
        )
    _check_sessions(root, table)
    _check_spellings(root, table)
    for column in ("start", "end"):
        table[column] = _seconds(root, table, column)
    bad = (table.end <= table.start) | (table.start < 0) | (table.start.isna() != table.end.isna())
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{root}:{row.name}: id '{row.id}': start '{row.start}', end '{row.end}', expected "
            "both in seconds with 0 <= start < end, or both empty for a whole file"
        )
    _check_parts(root, table)
    table["recording"] = table.path.map(_recordings(root, table.path))
    table["named"] = table.dialogue.where(table.dialogue != "", table.recording)
    table["dialogue"] = _told_apart(root, table)
    return table.sort_values("id", ignore_index=True)


@functools.cache
def sessions(root: Path | str) -> list[str]:
    """Names of the manifest's sessions, sorted. A recording or a dialogue in two is a warning."""
    table = rows(root)
    for recording, found in _several(table, "recording", "session").head(1).items():
        log.warning(
            "%s: '%s' stands in the sessions %s: what is tested may be heard in training",
            *(root, recording, found),
        )
    apart = table[table.dialogue != table.named].groupby("named")[["session", "dialogue"]]
    for name, found in apart.agg(lambda cells: sorted(set(cells))).head(1).iterrows():
        log.warning(
            "%s: the dialogue '%s' stands in the sessions %s: taken for several, %s (as are "
            "%d names in all); if it is one, let it stand in one session",
            *(root, name, found.session, found.dialogue, len(apart)),
        )
    return sorted(table.session.unique())


def speakers(root: Path | str, session: str) -> list[str]:
    """Speakers of a session, sorted."""
    return sorted(_of_session(root, session).speaker.unique())


def codes(root: Path | str) -> list[str]:
    """The manifest's labels, sorted."""
    return sorted(set(rows(root).label) - {""})


def audio_files(root: Path | str, session: str) -> list[Path]:
    """The folders that hold the audio of a session: they stand for the files in them."""
    folders: dict[Path, str] = {}
    for name, path in _of_session(root, session)[["id", "path"]].itertuples(index=False):
        folders.setdefault((Path(root).parent / path).parent, name)
    for folder, name in folders.items():
        if not folder.is_dir():
            raise InputError(
                f"{root}: id '{name}': there is no folder {folder}{names.misspelt(folder)}; "
                "correct its path"
            )
    return sorted(folders)


def utterances(root: Path | str, session: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Utterances of a session, and the rows that are none (there are none): two frames.

    The first has the columns of the table "utterances", the second those of "unread". Of a dialogue
    in several recordings no times are given: those of a file say nothing of the dialogue's.
    """
    table = _of_session(root, session).rename(columns={"start": "start_s", "end": "end_s"})
    _warn_of_recordings(root, table)
    split = table.groupby("dialogue").recording.transform("nunique") > 1
    table.loc[split, ["start_s", "end_s"]] = None
    columns = ["id", "session", "dialogue", "scenario", "speaker", "role", "part"]
    return table[[*columns, "start_s", "end_s", "text"]], pd.DataFrame(
        columns=["file", "line", "text", "reason"]
    )


def labels(root: Path | str, session: str) -> pd.DataFrame:
    """Labels of a session's utterances: a frame with the columns of the table "labels"."""
    table = _of_session(root, session)
    table = table[table.label != ""]
    return pd.DataFrame(
        {
            "id": table.id,
            "code": table.label,
            "valence": None,
            "activation": None,
            "dominance": None,
            "raters": 0,
            "agreement": None,
        }
    )


def clips(root: Path | str, table: pd.DataFrame) -> list[tuple]:
    """Where the audio of each utterance is: a list of (id, path, start_s, end_s).

    table is a session's "utterances"; start and end are None where a file is the whole clip.
    """
    given = _places(root).loc[table.id]
    return [
        (name, Path(root).parent / path, *((None, None) if start != start else (start, end)))
        for name, path, start, end in given.itertuples()
    ]


@functools.cache
def _by_session(root: Path | str) -> dict[str, pd.DataFrame]:
    """The rows of each session, parted once: a large corpus has hundreds of them."""
    parted = rows(root).groupby("session")
    return {str(name): of_session.reset_index(drop=True) for name, of_session in parted}


@functools.cache
def _places(root: Path | str) -> pd.DataFrame:
    """Where the audio of each utterance is: path, start and end by id."""
    return rows(root).set_index("id")[["path", "start", "end"]]


def _of_session(root: Path | str, session: str) -> pd.DataFrame:
    """The rows of a session, as a frame of its own; none of a session that is not there."""
    return _by_session(root).get(session, rows(root)[:0]).copy()


def _several(table: pd.DataFrame, column: str, other: str) -> pd.Series:
    """{value of a column: values of another beside it}, where these are several; sorted."""
    pairs = table[[column, other]].drop_duplicates()
    return pairs[pairs.duplicated(column, keep=False)].groupby(column)[other].agg(sorted)


def _check_columns(root: Path | str, table: pd.DataFrame) -> None:
    """A column that is only almost one of ours would be ignored."""
    others = [name for name in table.columns if name not in (*COLUMNS, *FURTHER)]
    for name in others:
        meant = MEANT.get(re.sub(r"[\W_]", "", name.casefold()))
        if meant and meant not in table:
            raise InputError(
                f"{root}:1: the column '{name}' is not read, expected '{meant}'; rename it, or "
                "take it out"
            )
    for name in others:
        for meant in names.like(name, [*COLUMNS, *FURTHER]):
            raise InputError(
                f"{root}:1: the column '{name}' is not read, expected '{meant}' "
                f"({names.difference(meant, name)}); rename it"
            )


def _check_spellings(root: Path | str, table: pd.DataFrame) -> None:
    """Two spellings of one name would be two speakers, sessions, dialogues or utterances."""
    rules = dict.fromkeys(NAMED, names.key)
    rules |= {"speaker": names.numbered, "session": names.numbered}
    rules["id"] = names.plain  # some corpora tell utterances apart by capitals
    for column, same in rules.items():
        if column in table and (pair := names.alike(table[column], same)):
            raise InputError(
                f"{_spellings(root, table, column, pair)}; write one of them in all rows, or give "
                "two names"
            )
    if pair := names.alike(table.id):
        log.warning("%s: taken for two", _spellings(root, table, "id", pair))


def _spellings(root: Path | str, table: pd.DataFrame, column: str, pair: tuple[str, str]) -> str:
    lines = [table.index[table[column] == name][0] for name in pair]
    return (
        f"{root}: {column} '{pair[0]}' (line {lines[0]}) and {column} '{pair[1]}' (line "
        f"{lines[1]}) differ only as spellings of one name do ({names.difference(*pair)})"
    )


def _told_apart(root: Path | str, table: pd.DataFrame) -> pd.Series:
    """The dialogues by a name that no other has: one in several sessions is several, "S1 d1".

    Not so where it is but a recording: what is in one file is never apart.
    """
    several = table.groupby("named").session.transform("nunique") > 1
    several &= table.named != table.recording
    made = table.named.where(~several, table.session + " " + table.named)
    taken = table[several & made.isin(table.named)]
    if len(taken):
        row = taken.iloc[0]
        raise InputError(
            f"{root}:{row.name}: id '{row.id}': dialogue '{row.named}' stands in several sessions "
            f"and is several, of which this one would be '{made[row.name]}', as another is "
            "called; rename one of the two"
        )
    return made


def _recordings(root: Path | str, paths: pd.Series) -> dict[str, str]:
    """{path as written: name of its recording}: one name for all paths of one file."""
    folder = Path(root).parent
    made: dict[str, str] = {}
    first: dict[object, str] = {}
    for name, path in sorted((os.path.normpath(path), path) for path in set(paths)):
        try:
            status = (folder / path).stat()
            file = status.st_dev, status.st_ino
        except (FileNotFoundError, NotADirectoryError):
            file = name
        except OSError as error:
            raise InputError(
                f"{root}: path '{path}' cannot be looked at ({error.strerror}); correct the path"
            ) from None
        made[path] = first.setdefault(file, name)
    return made


def _warn_of_recordings(root: Path | str, table: pd.DataFrame) -> None:
    """Name the first utterances that are the same audio, and the first recording in two dialogues.

    table: the rows of a session.
    """
    audio = ["recording", "start_s", "end_s"]
    same = table[table.duplicated(audio, keep=False)]
    for (recording, *_), found in same.groupby(audio, dropna=False).id.agg(list).head(1).items():
        log.warning(
            "%s: ids %s are the same audio of '%s' (%d ids); if they are not, give their start "
            "and end",
            *(root, found[:2], recording, len(found)),
        )
    for recording, found in _several(table, "recording", "dialogue").head(1).items():
        log.warning("%s: '%s' stands in the dialogues %s", root, recording, found)


def _check_sessions(root: Path | str, table: pd.DataFrame) -> None:
    """Sessions become file names."""
    short = table.session.map(lambda name: len(name.encode()) <= LONGEST)
    odd = table[~(table.session.str.fullmatch(r"\w[\w-]*") & short)]
    if len(odd):
        name = odd.session.iloc[0]
        other = [c for c in name if not re.fullmatch(r"[\w-]", c)]
        which = f" ('{other[0]}', U+{ord(other[0]):04X}, is none of them)" if other else ""
        raise InputError(
            f"{root}:{odd.index[0]}: id '{odd.id.iloc[0]}': session '{name}', "
            f"expected letters, digits, _ and -{which}, at most {LONGEST} bytes, since sessions "
            "become file names; rename the session"
        )


def _check_parts(root: Path | str, table: pd.DataFrame) -> None:
    """The corpus' own split, obeyed to the letter, needs the right words."""
    odd = table[~table.part.isin(["", *tables.PARTS])]
    if len(odd):
        raise InputError(
            f"{root}:{odd.index[0]}: id '{odd.id.iloc[0]}': part is '{odd.part.iloc[0]}', expected "
            f"one of {list(tables.PARTS)}, or nothing for an utterance in none, as the column is "
            "the corpus' own split (folds: hold_out: part); correct the cell, or rename the column "
            "if it is something else"
        )


def _seconds(root: Path | str, table: pd.DataFrame, column: str) -> pd.Series | float:
    if column not in table:
        return float("nan")
    values = pd.to_numeric(table[column], errors="coerce")
    bad = ~np.isfinite(values) & (table[column].str.strip() != "")
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{root}:{row.name}: id '{row.id}': {column} is '{row[column]}', expected seconds or "
            "nothing"
        )
    return values
