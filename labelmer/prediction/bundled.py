"""A bundle on disk: what it says, and its encoders and transcriber, fetched where they are not in
it."""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError
from labelmer.base.files import leaves
from labelmer.base.lock import alone
from labelmer.base.log import log
from labelmer.features import encoders

NAME, FORMAT = "bundle.json", 2


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
        """One of each fold and seed: its `parts`, whose product it is, mostly one."""
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
        return self._snapshot(told)[0], told["options"]

    def _snapshot(self, told: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
        """The folder of what bundle.json tells of an encoder or transcriber, and source.json."""
        if told["folder"]:
            folder = self.folder / told["folder"]
        else:
            folder = cache() / f"{told['name']}-{told['content'][:16]}"
            folder.parent.mkdir(parents=True, exist_ok=True)
            with alone(folder):
                if not (folder / "source.json").exists():
                    from labelmer.features.fetch import fetch

                    log.warning("fetching %s into %s, once", told["source"], folder)
                    fetch(told["source"], folder)
        facts = encoders.read_facts(folder, told["name"])
        if facts["weights"] != told["weights"]:
            raise InputError(
                f"{folder}: weights {facts['weights'][:12]} of {told['source']}, expected "
                f"{told['weights'][:12]}, which the bundle was made with; take revision "
                f"'{told['revision']}' of it, and remove this folder"
            )
        if facts["content"] != told["content"]:
            log.warning(
                "%s: the weights are those of the bundle, but other files of it are not "
                "(its tokenizer or settings): predictions may differ from the evaluated ones",
                folder,
            )
        return folder, facts


def opened(folder: Path | str) -> Bundle:
    """The bundle in a folder; InputError if there is none that this labelmer can read."""
    path = Path(folder) / NAME
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        form, _ = about["format"], [about[name] for name in ("classes", "models", "encoders")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); expected a folder that `labelmer bundle` wrote: "
            "labelmer bundle RUN_FOLDER -o MODEL"
        ) from None
    if form != FORMAT:
        raise InputError(
            f"{path}: format {form}, expected {FORMAT}; update labelmer, or bundle the models anew"
        )
    bundle = Bundle(Path(folder), about)
    parts = [part["folder"] for model in bundle.models for part in model["parts"]]
    snapshots = [*about["encoders"].values(), *filter(None, [about.get("transcriber")])]
    for place in (*parts, *(told["folder"] or told["name"] for told in snapshots)):
        if leaves(place):
            raise InputError(
                f"{path}: '{place}', expected a path below the bundle's folder; whoever made this "
                "bundle is not to be trusted: take another"
            )
    for model in bundle.models:
        for part in model["parts"]:
            _check(bundle, part)
    return bundle


def _check(bundle: Bundle, part: dict[str, Any]) -> None:
    """InputError unless a model is as it was bundled, and bundle.json says of it what it is."""
    remedy = "copy the bundle anew, or bundle the runs anew"
    folder = bundle.folder / part["folder"]
    for name, digest in part["files"].items():
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: there is no such file; {remedy}")
        if file_digest(folder / name) != digest:
            raise InputError(f"{folder / name}: not as it was when it was bundled; {remedy}")
    classes = json.loads((folder / "config.json").read_text(encoding="utf-8"))["classes"]
    if classes != bundle.classes:
        raise InputError(
            f"{bundle.folder / NAME}: classes {bundle.classes}, but {part['folder']} was trained "
            f"on {classes}; {remedy}"
        )
    if not 0 < part["temperature"] < math.inf:
        raise InputError(
            f"{bundle.folder / NAME}: temperature {part['temperature']} of {part['folder']}, "
            f"expected a number above 0; {remedy}"
        )


def cache() -> Path:
    """Where fetched encoders stay: ~/.cache/labelmer/encoders, or below XDG_CACHE_HOME."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "labelmer" / "encoders"
