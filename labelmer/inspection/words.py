"""What is in a table of recognised words, and with what they were recognised."""

from pathlib import Path
from typing import Any

from labelmer.base import json_file, tables
from labelmer.base.errors import InputError
from labelmer.base.options import OBJECT
from labelmer.inspection.facts import nearest

RECOGNISED_WITH = ("language", "beam", "no_speech", "repetition", "checkpoint", "device")


def about_words(path: Path) -> dict[str, Any]:
    """Facts of a table of recognised words as a dict for JSON. InputError: it is none."""
    table = tables.read(path, "recognised")
    without = table[table["text"] == ""]["reason"].value_counts()
    beside = "run the workflow to its end; of a table that was copied, copy this file too"
    how = json_file.read(path.with_suffix(".json"), OBJECT, beside)
    return {
        "path": str(path),
        "kind": "recognised words",
        "utterances": len(table),
        "words": sum(len(text.split()) for text in table["text"]),
        "without": "; ".join(f"{count} {reason}" for reason, count in without.items()) or "none",
        **{name: how.get(name) for name in RECOGNISED_WITH},
        "bytes": path.stat().st_size,
    }


def about_utterance(path: Path, name: str) -> dict[str, Any]:
    """Facts of the words of one utterance as a dict for JSON. InputError: it is not there."""
    table = tables.read(path, "recognised")
    rows = table[table["id"] == name]
    if rows.empty:
        raise InputError(
            f"{path}: id '{name}' is not among the table's {len(table)}{nearest(name, table['id'])}"
        )
    (row,) = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return {"path": str(path), **row}
