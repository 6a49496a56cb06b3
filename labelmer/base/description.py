"""What a model's config.json says of it, beside its weights: read, whatever kind of model it is."""

from pathlib import Path
from typing import Any

from labelmer.base import json_file
from labelmer.base.options import NAMES, OBJECT, TEXT, closed
from labelmer.base.stage import RUN

FORMAT = 1
REMEDY = "train the model anew; of a bundle: copy the bundle anew, or bundle the runs anew"
ANY = {
    "format": {"type": "integer"},
    "classes": NAMES,
    "run": closed(dict.fromkeys(RUN, TEXT), list(RUN)),
}
# By what features were made: their file states it, and so does a model that was trained on them.
FACTS = ("encoder", "source", "revision", "weights", "layer")
ORIGIN = closed(dict.fromkeys((*FACTS, "width"), TEXT), [*FACTS, "width"])
ENCODERS = {"type": "object", "additionalProperties": ORIGIN}
NUMBER, LISTS = {"type": "number"}, {"type": "array"}
CHOSEN = {"c": NUMBER, "scores": OBJECT, "refit": {"type": "boolean"}}
KINDS: dict[str, dict[str, Any]] = {
    "network": {
        **{"model": OBJECT, "rows": {"type": "object", "additionalProperties": LISTS}},
        **{"encoders": ENCODERS, "training": OBJECT, "updates": {"type": "integer"}},
    },
    "linear": {"model": OBJECT, "encoders": ENCODERS, **CHOSEN},
    "metadata": {"columns": LISTS, "inputs": LISTS, **CHOSEN},
}
NEEDED = {"network": ["model", "rows"], "linear": ["model"], "metadata": ["columns"]}


def described(folder: Path, *needed: str) -> dict[str, Any]:
    """The config.json of the model in a folder. needed: keys that the caller cannot do without.

    InputError: it is not there, of another format, lacks a key, or has one that is not known or of
    another type.
    """
    path = folder / "config.json"
    about = json_file.read(path, OBJECT, REMEDY, FORMAT)
    kind = "metadata" if "columns" in about else "linear" if "c" in about else "network"
    wanted = ["format", "classes", *dict.fromkeys((*NEEDED[kind], *needed))]
    return json_file.read(path, closed({**ANY, **KINDS[kind]}, wanted), REMEDY)
