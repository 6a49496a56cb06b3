"""What a model's config.json says of it, beside its weights: read, whatever kind of model it is."""

from pathlib import Path
from typing import Any

from labelmer.base import json_file
from labelmer.base.options import NAMES, OBJECT, TEXT, closed, whole
from labelmer.base.stage import RUN

FORMAT = 1
REMEDY = "train the model anew; of a bundle: copy the bundle anew, or bundle the runs anew"
# By what features were made: their file states it, and so does a model that was trained on them.
FACTS = ("encoder", "source", "revision", "weights", "layer")
ORIGIN = whole(dict.fromkeys((*FACTS, "width"), TEXT))
LISTS = {"type": "array"}
KEYS: dict[str, dict[str, Any]] = {
    "format": {"type": "integer"},
    "classes": NAMES,
    "run": whole(dict.fromkeys(RUN, TEXT)),
    "model": OBJECT,
    "encoders": {"type": "object", "additionalProperties": ORIGIN},
    # of a network
    "rows": {"type": "object", "additionalProperties": LISTS},
    "training": OBJECT,
    "updates": {"type": "integer"},
    # of a baseline
    "c": {"type": "number"},
    "scores": OBJECT,
    "refit": {"type": "boolean"},
    "columns": LISTS,
    "inputs": LISTS,
}


def described(folder: Path, *needed: str) -> dict[str, Any]:
    """The config.json of the model in a folder. needed: keys that the caller cannot do without.

    InputError: it is not there, of another format, lacks a key, or has one that is not known or of
    another type.
    """
    rules = closed(KEYS, ["format", "classes", *needed])
    return json_file.read(folder / "config.json", rules, REMEDY, FORMAT)
