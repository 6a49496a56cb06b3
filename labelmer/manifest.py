"""Any corpus given as a table -> rows.

The manifest is a TSV with the columns id, path, speaker, session, label, text and, where wanted,
start and end (seconds in the file) and dialogue (else each audio file is a dialogue of its own).
Paths are relative to the manifest's folder. Further columns are ignored.
"""

import functools
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer import tables
from labelmer.errors import InputError

COLUMNS = ["id", "path", "speaker", "session", "label", "text"]
FILLED = ["id", "path", "speaker", "session"]
TIDIED = ["id", "speaker", "session", "label", "text", "dialogue"]


@functools.cache
def rows(root):
    """All rows of a manifest, sorted by id, checked: a frame of strings.

    The columns start and end are floats; they are missing values where a clip is a whole file.
    """
    if not Path(root).exists():
        raise InputError(f"{root}: there is no such manifest; correct corpus: root:")
    table = tables.cells(root)
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise InputError(
            f"{root}: columns {missing} are missing, it has {list(table.columns)}; expected "
            f"{COLUMNS}, separated by tabs"
        )
    if table.empty:
        raise InputError(f"{root}: no rows under the header; expected one for each utterance")
    # As the tables are written, or "Ann" and "Ann " would be two speakers.
    for column in table.columns.intersection(TIDIED):
        table[column] = table[column].map(lambda cell: " ".join(cell.split()))
    for column in FILLED:
        empty = table[column].str.strip() == ""
        if empty.any():
            row = int(empty.to_numpy().argmax())
            raise InputError(
                f"{root}:{row + 2}: id '{table.id[row]}': {column} is empty; every row needs one"
            )
    twice = table.id[table.id.duplicated()]
    if len(twice):
        raise InputError(f"{root}: id '{twice.iloc[0]}' stands twice; every id must stand once")
    _check_sessions(root, table)
    _check_speakers(root, table)
    for column in ("start", "end"):
        table[column] = _seconds(root, table, column)
    bad = (table.end <= table.start) | (table.start < 0) | (table.start.isna() != table.end.isna())
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{root}: id '{row.id}': start '{row.start}', end '{row.end}', expected both in "
            "seconds with 0 <= start < end, or both empty for a whole file"
        )
    if "dialogue" not in table:
        table["dialogue"] = ""
    table["dialogue"] = table.dialogue.where(table.dialogue != "", table.path)
    return table.sort_values("id", ignore_index=True)


def sessions(root):
    """Names of the manifest's sessions, sorted."""
    return sorted(rows(root).session.unique())


def speakers(root, session):
    """Speakers of a session, sorted."""
    table = rows(root)
    return sorted(table.speaker[table.session == session].unique())


def audio_files(root, session, audio):
    """The folders that hold the audio of a session: they stand for the files in them."""
    table = rows(root)
    folders = {}
    for name, path in table[table.session == session][["id", "path"]].itertuples(index=False):
        folders.setdefault((Path(root).parent / path).parent, name)
    for folder, name in folders.items():
        if not folder.is_dir():
            raise InputError(f"{root}: id '{name}': there is no folder {folder}; correct its path")
    return sorted(folders)


def utterances(root, session):
    """Utterances of a session, and the rows that are none (there are none): two frames.

    The first has the columns of the table "utterances", the second those of "unread".
    """
    table = _of_session(root, session).rename(columns={"start": "start_s", "end": "end_s"})
    columns = ["id", "session", "dialogue", "speaker", "start_s", "end_s", "text"]
    return table[columns], pd.DataFrame(columns=["file", "line", "text", "reason"])


def labels(root, session):
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


def clips(root, table, audio):
    """Where the audio of each utterance is: a list of (id, path, start_s, end_s).

    table is a session's "utterances"; start and end are None where a file is the whole clip.
    """
    paths = rows(root).set_index("id").path
    return [
        (name, Path(root).parent / paths[name], *((None, None) if start != start else (start, end)))
        for name, start, end in zip(table.id, table.start_s, table.end_s, strict=True)
    ]


def _of_session(root, session):
    table = rows(root)
    return table[table.session == session].reset_index(drop=True)


def _check_sessions(root, table):
    """Sessions become file names."""
    odd = table[~table.session.str.fullmatch(r"\w[\w-]*")]
    if len(odd):
        raise InputError(
            f"{root}: id '{odd.id.iloc[0]}': session '{odd.session.iloc[0]}', expected letters, "
            "digits, _ and -, since sessions become file names; rename the session"
        )


def _check_speakers(root, table):
    """A speaker in two sessions would stand in two parts of a fold."""
    homes = table.groupby("speaker").session.unique()
    for speaker, found in homes.items():
        if len(found) > 1:
            raise InputError(
                f"{root}: speaker '{speaker}' stands in the sessions {sorted(found)}; a speaker "
                "must stand in one session, so that no fold trains on a test speaker"
            )


def _seconds(root, table, column):
    if column not in table:
        return float("nan")
    values = pd.to_numeric(table[column], errors="coerce")
    bad = ~np.isfinite(values) & (table[column].str.strip() != "")
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{root}: id '{row.id}': {column} is '{row[column]}', expected seconds or nothing"
        )
    return values
