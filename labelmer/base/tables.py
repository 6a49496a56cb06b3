"""Every table of a run: its columns, their units and checks; reading and writing.

A table is a TSV file (tsv.py), unquoted. Missing numbers are empty. What a table holds is written
down once: in TABLES, and for result tables in report/columns.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.tsv import cells

PARTS = ("train", "validation", "test")
MODALITIES = ("speech", "text")
ORDERS = ("most-salient", "random")  # in which rows are deleted
CHANGES = ("missing", "transcripts", *ORDERS)
RECOGNISED = "-recognised"  # behind the mode of what is trained on recognised words
TOGETHER = "+"  # between the seeds of a run that multiplies the models of them all


@dataclass(frozen=True)
class Column:
    """One column: its type, what it says, what is allowed."""

    kind: type  # str, int or float
    what: str  # meaning, with the unit
    allowed: tuple = ()  # the only values allowed, if any
    empty: bool = False  # may a cell be empty?
    lacking: bool = False  # may the column lack? it is empty then


Tables = dict[str, dict[str, Column]]  # {table: {column: what it holds}}

ID = Column(str, "utterance")
SESSION = Column(str, "recording session")
DIALOGUE = Column(str, "dialogue, unique over the corpus")
SCENARIO = Column(
    str, "what is played or talked about, in whichever session", empty=True, lacking=True
)
SPEAKER = Column(str, "speaker, unique over the corpus")

VARIANT = {
    "speech": Column(str, "speech encoder"),
    "text": Column(str, "text encoder"),
    "mode": Column(str, "frozen or finetuned encoders; -recognised: of recognised words"),
    "variant": Column(str, "variant of the model"),
}
RUN = {
    **VARIANT,
    "fold": Column(int, "fold"),
    "seed": Column(str, "seed; 1+2+3 of a run that multiplies the models of all three"),
}
TABLES = {
    "utterances": {
        "id": ID,
        "session": SESSION,
        "dialogue": DIALOGUE,
        "scenario": SCENARIO,
        "passage": Column(
            str, "which part of the scenario the dialogue is", empty=True, lacking=True
        ),
        "speaker": SPEAKER,
        "role": Column(
            str, "whom the speaker plays, in whichever session", empty=True, lacking=True
        ),
        "part": Column(str, "part in the corpus' own split", PARTS, empty=True, lacking=True),
        "start_s": Column(float, "start in the dialogue, seconds", empty=True),
        "end_s": Column(float, "end in the dialogue, seconds", empty=True),
        "text": Column(str, "transcript without tags", empty=True),
    },
    "transcripts": {
        "id": ID,
        "text": Column(str, "recognised words", empty=True),
    },
    "recognised": {
        "id": ID,
        "text": Column(str, "recognised words", empty=True),
        "heard": Column(str, "all that was recognised, before it was judged", empty=True),
        "reason": Column(str, "why there are none, or none in some of the windows", empty=True),
        "no_speech": Column(
            float, "probability that nobody speaks, the greatest of the windows", empty=True
        ),
        "compression": Column(
            float, "of the text, the greatest of the windows; high where it repeats", empty=True
        ),
        "windows": Column(int, "number of stretches that were recognised by themselves"),
        "key": Column(str, "digest of what the row was made from"),
    },
    "unread": {
        "file": Column(str, "transcription file"),
        "line": Column(int, "line number, from 1"),
        "text": Column(str, "the line"),
        "reason": Column(str, "why it is no utterance"),
    },
    "segments": {
        "id": ID,
        "seconds": Column(float, "length of the audio", empty=True),
        "source": Column(str, "audio file, relative to the corpus root"),
        "problem": Column(str, "why there is no audio, else empty", empty=True),
        "audio": Column(str, "digest of the samples; empty where nothing sounds", empty=True),
    },
    "labels": {
        "id": ID,
        "code": Column(str, "label as the corpus writes it"),
        "valence": Column(float, "1 (negative) to 5 (positive)", empty=True),
        "activation": Column(float, "1 (calm) to 5 (excited)", empty=True),
        "dominance": Column(float, "1 (weak) to 5 (strong)", empty=True),
        "raters": Column(int, "number of raters"),
        "agreement": Column(float, "share of the raters who gave the code", empty=True),
    },
    "rationales": {
        "id": ID,
        "modality": Column(str, "speech or text", MODALITIES),
        "start": Column(float, "seconds into the audio, or characters before the stretch"),
        "end": Column(float, "the same, of the stretch's end"),
    },
    "parts": {
        "id": ID,
        "fold": Column(int, "fold, from 1"),
        "part": Column(str, "part of the fold", PARTS),
    },
    "fold": {
        "id": ID,
        "session": SESSION,
        "dialogue": DIALOGUE,
        "scenario": SCENARIO,
        "speaker": SPEAKER,
        "part": Column(str, "part of the fold", PARTS),
        "label": Column(str, "class"),
    },
    "left_out": {
        "fold": Column(str, "fold, or all"),
        "session": SESSION,
        "id": Column(str, "utterance, or file:line where there is no id"),
        "reason": Column(str, "why it is left out"),
    },
    "audit": {
        "fold": Column(int, "fold"),
        "held_out": Column(str, "what the test part is: sessions, speakers, scenarios"),
        "part": Column(str, "part of the fold", PARTS),
        "utterances": Column(int, "number of utterances"),
        "speakers": Column(int, "number of speakers"),
        "dialogues": Column(int, "number of dialogues"),
        "scenarios": Column(int, "number of scenarios"),
        "n_*": Column(int, "number of utterances of the class"),
        "speakers_in_train": Column(int, "this part's speakers that the part train has too"),
        "speakers_in_validation": Column(int, "the same for validation"),
        "speakers_in_test": Column(int, "the same for test"),
        "dialogues_in_train": Column(int, "this part's dialogues that the part train has too"),
        "dialogues_in_validation": Column(int, "the same for validation"),
        "dialogues_in_test": Column(int, "the same for test"),
        "scenarios_in_train": Column(int, "this part's scenarios that the part train has too"),
        "scenarios_in_validation": Column(int, "the same for validation"),
        "scenarios_in_test": Column(int, "the same for test"),
        "transcripts_in_train": Column(
            int, "this part's utterances of four words or more whose words stand in train too"
        ),
        "transcripts_in_validation": Column(int, "the same for validation"),
        "transcripts_in_test": Column(int, "the same for test"),
        "audio_in_train": Column(
            int, "this part's utterances whose audio stands in train too, sample for sample"
        ),
        "audio_in_validation": Column(int, "the same for validation"),
        "audio_in_test": Column(int, "the same for test"),
        "known_scenario": Column(
            int, "this part's utterances of scenarios that train or validation has too"
        ),
    },
    "history": {
        **RUN,
        "epoch": Column(int, "from 1"),
        "updates": Column(int, "of the weights, up to the end of the epoch"),
        "learning_rate": Column(float, "at the end of the epoch"),
        "train_loss": Column(float, "mean over the epoch's batches, all terms"),
        "validation_loss": Column(float, "weighted cross-entropy of the fused logits"),
        "validation_wa": Column(float, "weighted accuracy"),
        "validation_ua": Column(float, "unweighted accuracy"),
        "chosen": Column(int, "1 for the epoch that was kept", (0, 1)),
        "seconds": Column(float, "wall time of the epoch"),
        "waiting": Column(float, "share of these seconds in which a batch was waited for"),
        "peak_memory_mb": Column(float, "most memory so far, of the process or on the GPU, MB"),
    },
    "finetuning": {
        "encoder": Column(str, "encoder"),
        "fold": RUN["fold"],
        "seed": Column(int, "seed"),
        "epoch": Column(int, "from 1"),
        "learning_rate": Column(float, "at the end of the epoch"),
        "train_loss": Column(float, "mean over the epoch's updates, weighted cross-entropy"),
        "validation_loss": Column(float, "weighted cross-entropy"),
        "validation_wa": Column(float, "weighted accuracy"),
        "validation_ua": Column(float, "unweighted accuracy"),
        "chosen": Column(int, "1 for the epoch that was kept", (0, 1)),
        "seconds": Column(float, "wall time of the epoch"),
    },
    "predictions": {
        "id": ID,
        "session": SESSION,
        "dialogue": DIALOGUE,
        "speaker": SPEAKER,
        "part": Column(str, "part of the fold", ("validation", "test")),
        "true": Column(str, "class"),
        "predicted": Column(str, "class"),
        "p_*": Column(float, "probability of the class"),
        **RUN,
    },
    "perturbed": {
        "id": ID,
        "change": Column(str, "what is done to the modality", CHANGES),
        "modality": Column(str, "what is changed", (*MODALITIES, "context")),
        "share": Column(float, "of the modality's tokens or frames that is changed"),
        "true": Column(str, "class"),
        "predicted": Column(str, "class"),
        "p_*": Column(float, "probability of the class"),
        **RUN,
    },
    "weights": {
        **RUN,
        "member": Column(str, "variant that is multiplied, as SPEECH+TEXT/MODE/VARIANT"),
        "models": Column(int, "of the member: 1, or as many as there are seeds"),
        "weight": Column(
            float, "power of the posterior, of several models their geometric mean; 0: left out"
        ),
    },
}

# What tells the rows of a table apart, where that is not the id alone.
KEYS = {
    "left_out": (),
    "parts": ("id", "fold"),
    "rationales": ("id", "modality"),
    "perturbed": ("id", "change", "modality", "share"),
    "weights": (*RUN, "member"),  # of the result table too, which has no fold and seed
}


def read(path: Path | str, name: str, known: Tables = TABLES) -> pd.DataFrame:
    """Read the table `name` from a TSV file; raise InputError if it is not what `known` says."""
    return typed(cells(path), name, path, known)


def read_all(paths: Iterable[Path | str], name: str) -> pd.DataFrame:
    """The table `name` from several files, as one frame; see read."""
    return pd.concat([read(path, name) for path in paths])


def experiment_name(speech: str, text: str, mode: str) -> str:
    """How results and a late fusion name an experiment: SPEECH+TEXT/MODE."""
    return f"{speech}+{text}/{mode}"


def is_recognised(mode: str) -> bool:
    """Are the words of a run's mode, or of a path that ends with it, recognised ones?"""
    return mode.endswith(RECOGNISED)


def texts(path: Path | str) -> dict[str, str]:
    """The texts of a table "utterances" or "recognised", by id."""
    raw = cells(path)
    table = typed(raw, "recognised" if "reason" in raw else "utterances", path)
    return dict(zip(table["id"], table["text"], strict=True))


def given(path: Path | str, name: str) -> pd.DataFrame:
    """The table `name` as people give it, quoted or not, with single blanks in its cells.

    Its index are the numbers of the rows' lines.
    """
    raw = cells(path, quoted=True).map(_cell)
    return typed(raw, name, path).set_axis(raw.index)


def write(path: Path | str, frame: pd.DataFrame, name: str, known: Tables = TABLES) -> None:
    """Check a frame against what `known` says and write it as a TSV file, whole or not at all."""
    frame = _completed(frame, known[name])
    ordered = frame[[c for c in _expected(frame.columns, known[name]) if c in frame.columns]]
    text = {c: ordered[c].map(_cell) for c in ordered.columns}
    raw = pd.DataFrame(text, columns=ordered.columns, dtype=str)
    checked = typed(raw.set_axis(range(2, 2 + len(raw))), name, path, known)
    lines = ["\t".join(checked.columns)]
    lines += ["\t".join(row) for row in zip(*text.values(), strict=True)]
    write_atomically(path, "\n".join(lines) + "\n")


def typed(raw: pd.DataFrame, name: str, path: Path | str, known: Tables = TABLES) -> pd.DataFrame:
    """A frame of strings with its columns checked and converted to their types.

    raw: its index are the numbers of the rows' lines.
    """
    raw = _completed(raw, known[name])
    expected = _expected(raw.columns, known[name])
    missing = [c for c in expected if c not in raw.columns]
    extra = [c for c in raw.columns if c not in expected]
    if missing or extra:
        raise InputError(
            f"{path}: bad columns for a table of {name}: missing {missing}, not known {extra}; "
            f"expected {list(expected)}; correct the file, or make it anew"
        )
    key = [column for column in KEYS.get(name, ("id",)) if column in raw]
    if key and raw.duplicated(key).any():
        twice = raw.loc[raw.duplicated(key), key].iloc[0]
        what = " and ".join(f"{column} '{value}'" for column, value in twice.items())
        raise InputError(
            f"{path}:{twice.name}: {what} stands twice; every {' and '.join(key)} must stand once"
        )
    made = {c: _convert(raw, c, expected[c], path) for c in raw.columns}
    return pd.DataFrame(made).reset_index(drop=True)


def _completed(frame: pd.DataFrame, table: dict[str, Column]) -> pd.DataFrame:
    """A frame with the columns that may lack, and do, as empty ones."""
    lacking = [c for c, column in table.items() if column.lacking and c not in frame.columns]
    return frame.assign(**dict.fromkeys(lacking, "")) if lacking else frame


def _expected(columns: Iterable[str], table: dict[str, Column]) -> dict[str, Column]:
    expected = {}
    for key, column in table.items():
        names = [c for c in columns if c.startswith(key[:-1])] if key.endswith("*") else [key]
        expected.update(dict.fromkeys(names, column))
    return expected


def _convert(raw: pd.DataFrame, name: str, column: Column, path: Path | str) -> pd.Series:
    cells = raw[name]
    values = cells if column.kind is str else pd.to_numeric(cells, errors="coerce")
    bad = pd.Series(False, index=cells.index) if column.kind is str else values.isna()
    if column.kind is int:
        bad |= (values % 1 != 0) | (values.abs() >= 2**53)  # more than a float counts to
    if column.allowed:
        bad |= ~values.isin(column.allowed)
    bad = bad & (cells != "") if column.empty else bad | (cells == "")
    if bad.any():
        row = int(bad.to_numpy().argmax())
        place = f"{path}:{cells.index[row]}" + (
            f": id '{raw['id'].iloc[row]}'" if "id" in raw else ""
        )
        expected = f"one of {list(column.allowed)}" if column.allowed else column.kind.__name__
        raise InputError(
            f"{place}: {name} is '{cells.iloc[row]}', "
            f"expected {expected} ({column.what}); correct the cell"
        )
    return values.astype(column.kind) if column.kind is not str else values


def _cell(value: object) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if value is None or value != value:
        return ""
    return format(value, ".9g") if isinstance(value, float) else str(value)
