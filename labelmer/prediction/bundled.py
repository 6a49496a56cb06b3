"""A bundle on disk: what it says, and its encoders and transcriber, fetched where they are not in
it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmer.base import json_file
from labelmer.base.description import described
from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError, in_words
from labelmer.base.files import leaves, refuse_unwritable
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.base.options import NAMES, OBJECT, TEXT, closed, whole
from labelmer.base.ragged import LARGEST
from labelmer.features import encoders

NAME, FORMAT = "bundle.json", 3
ANEW = "copy the bundle anew, or bundle the runs anew"

MODALITIES = ("speech", "text")  # as base/tables.py, for which pandas takes half a second


# What bundle.json says.
OF_SNAPSHOT = {
    **dict.fromkeys(("name", "source", "revision", "weights"), TEXT),
    "content": {"type": "string", "pattern": "[0-9a-f]{64}", "expected": "a SHA-256 digest"},
    "folder": {"anyOf": [TEXT, {"const": None}], "expected": "a path in the bundle, or null"},
    "options": OBJECT,
}
OF_ENCODER = OF_SNAPSHOT | {
    "modality": {"enum": list(MODALITIES)},
    "layer": {"anyOf": [{"type": "integer"}, {"const": "all"}], "expected": 'a number, or "all"'},
    "dtype": {"enum": list(LARGEST)},
    "precision": TEXT,
    "finetuned": {"type": "boolean"},
}
OF_PART = {
    "folder": TEXT,
    "encoders": closed(dict.fromkeys(MODALITIES, TEXT)),
    "weight": {"type": "number", "minimum": 0},
    "files": whole(dict.fromkeys(("model.safetensors", "config.json"), TEXT)),
}
SEEDS = {"type": "string", "pattern": r"[0-9]+(\+[0-9]+)*", "expected": 'seeds, as "1" or "1+2+3"'}
OF_MODEL = {"fold": {"type": "integer"}, "seed": SEEDS}

HEARD = {"anyOf": [whole(OF_SNAPSHOT), {"const": None}], "expected": "keys with values, or null"}
OF_PARTS = {"type": "array", "minItems": 1, "items": whole(OF_PART)}

RULES = whole(
    {
        "format": {"const": FORMAT},
        **dict.fromkeys(("labelmer", "corpus", "study", "experiment"), TEXT),
        **dict.fromkeys(("variants", "classes"), NAMES),
        "encoders": {"type": "object", "additionalProperties": whole(OF_ENCODER)},
        "transcriber": HEARD,
        "models": {
            "type": "array",
            "minItems": 1,
            "items": whole(OF_MODEL | {"parts": OF_PARTS}),
        },
    }
)


@dataclass(frozen=True)
class Bundle:
    """A folder that `labelmer bundle` wrote, and what its bundle.json says."""

    folder: Path
    about: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        return self.about["classes"]

    @property
    def models(self) -> list[dict[str, Any]]:
        """One of each fold and seed, or fold: its `parts`, whose product it is, mostly one."""
        return self.about["models"]

    def encoder(self, name: str) -> tuple[Path, dict[str, Any]]:
        """The folder of an encoder's snapshot, and its source.json; fetched, if need be.

        What is fetched stays in the user's cache. InputError: it cannot be had, or is another one.
        """
        return self._snapshot(self.about["encoders"][name])

    def transcriber(self) -> tuple[Path, dict[str, Any]]:
        """The folder of the speech recogniser's checkpoint, and its options; as of an encoder.

        InputError: there is none.
        """
        told = self.about["transcriber"]
        if not told:
            raise InputError(
                f"{self.folder} has no speech recogniser; give the words, or bundle runs of a "
                "study with a transcriber"
            )
        spoken = {"transcriber": True, "language": told["options"]["language"]}
        return self._snapshot(told, **spoken)[0], told["options"]

    def _snapshot(self, told: dict[str, Any], **wanted: Any) -> tuple[Path, dict[str, Any]]:
        """The folder of what bundle.json tells of an encoder or transcriber, and source.json.

        wanted: as fetch takes it.
        """
        if told["folder"]:
            folder, remedy = self.folder / told["folder"], ANEW
        else:
            folder = cache() / f"{told['name']}-{told['content'][:16]}"
            remedy = f"remove {folder}, and it is fetched anew"
            _fetch(told["source"], folder, **wanted)
        facts = _facts(folder, told["name"], remedy)
        if facts["weights"] != told["weights"]:
            other = f"take revision '{told['revision']}' of it, and remove this folder"
            raise InputError(
                f"{folder}: weights {facts['weights'][:12]} of {told['source']}, expected "
                f"{told['weights'][:12]}, which the bundle was made with; "
                f"{ANEW if told['folder'] else other}"
            )
        if facts["content"] != told["content"]:
            log.warning(
                "%s: the weights are those of the bundle, but other files of it are not "
                "(its tokenizer or settings): predictions may differ from the evaluated ones",
                folder,
            )
        return folder, facts


def _fetch(source: str, folder: Path, **wanted: Any) -> None:
    """Fetch a source into a folder of the cache, if it is not there; wanted: as fetch takes it."""
    if (folder / "source.json").exists():  # then nothing need be written
        return
    refuse_unwritable(folder, "let XDG_CACHE_HOME name a folder that can be written")
    with alone(folder):
        if not (folder / "source.json").exists():
            from labelmer.features.fetch import fetch

            log.warning("fetching %s into %s, once", source, folder)
            fetch(source, folder, **wanted)


def _facts(folder: Path, name: str, remedy: str) -> dict[str, Any]:
    """What a snapshot's source.json says; InputError unless its files are those it was written of.

    remedy: what to do where they are not.
    """
    try:
        facts = {"weights": "", **encoders.read_facts(folder, name)}
        whole = encoders.describe(folder)["content"] == facts["content"]
    except (InputError, OSError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, InputError) else repr(error)
        raise InputError(f"{folder}: not whole ({reason.partition('; ')[0]}); {remedy}") from None
    if not whole:
        raise InputError(f"{folder}: a file is cut off, changed or gone since; {remedy}")
    return facts


def opened(folder: Path | str) -> Bundle:
    """The bundle in a folder; InputError if there is none that this labelmer can read."""
    if not isinstance(folder, str | Path):
        raise InputError(f"{folder!r}, expected a bundle's folder (str or Path); give its path")
    path = Path(folder) / NAME
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a folder that may not be looked into, a name too long
        raise InputError(f"{path}: cannot be read ({in_words(error)}); {ANEW}") from None
    if not there:
        from labelmer.prediction.runs import instead_of  # pandas takes half a second

        raise InputError(f"{folder}: {instead_of(Path(folder))}")
    about = json_file.read(path, RULES, ANEW, FORMAT)
    bundle = Bundle(Path(folder), about)
    parts = [part for model in bundle.models for part in model["parts"]]
    snapshots = [*about["encoders"].values(), *filter(None, [about["transcriber"]])]
    places = [part["folder"] for part in parts]
    places += [told["folder"] or told["name"] for told in snapshots]
    for place in (*places, *about["encoders"]):  # files of features bear an encoder's name there
        if leaves(place):
            raise InputError(
                f"{path}: '{place}', expected a path below the bundle's folder; whoever made "
                "this bundle is not to be trusted: take another"
            )
    for part in parts:
        _check(bundle, part)
    return bundle


def bundle_around(path: Path) -> Path | None:
    """The bundle's folder in which a file or folder stands; None if it stands in none."""
    above = Path(os.path.normpath(path.absolute())).parents
    return next((folder for folder in above if (folder / NAME).exists()), None)


def _check(bundle: Bundle, part: dict[str, Any]) -> None:
    """InputError unless a model is as it was bundled, and bundle.json says of it what it is."""
    folder, known = bundle.folder / part["folder"], bundle.about["encoders"]
    for modality, name in part["encoders"].items():
        if name not in known or known[name]["modality"] != modality:
            raise InputError(
                f"{bundle.folder / NAME}: {part['folder']} has '{name}' for {modality}, expected "
                f"an encoder of that modality among {list(known)}; {ANEW}"
            )
    for name, digest in part["files"].items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: there is no such file; {ANEW}")
        if file_digest(folder / name) != digest:
            raise InputError(f"{folder / name}: not as it was when it was bundled; {ANEW}")
    classes = described(folder)["classes"]
    if classes != bundle.classes:
        raise InputError(
            f"{bundle.folder / NAME}: classes {bundle.classes}, but {part['folder']} was trained "
            f"on {classes}; {ANEW}"
        )


def cache() -> Path:
    """Where fetched encoders stay: ~/.cache/labelmer/encoders, or below XDG_CACHE_HOME."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "labelmer" / "encoders"
