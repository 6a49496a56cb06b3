"""Whether a ragged file is of what lies beside it: are its keys what they would be today?"""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labelmer.base import json_file
from labelmer.base.digest import (
    PACKAGE,
    canonical_json,
    code_digest,
    content_key,
    file_digest,
)
from labelmer.base.errors import InputError
from labelmer.base.literals import declared
from labelmer.base.options import OBJECT, TEXT
from labelmer.base.ragged import Ragged, feature_key
from labelmer.base.trial import try_to_open
from labelmer.inspection.facts import attribute, named


def compare(file: Ragged, config: dict[str, Any], only: str | None = None) -> dict[str, Any]:
    """Whether the keys of all items, or of the one named, are what they would be today.

    Returns `state` ("current", "stale", "unknown") and, where it is known, how many items are
    stale for which `reasons`, and the utterances that the file does not have yet (`absent`);
    where it is unknown, `why`.
    """
    try:
        reason, expected = judge(file, config)
    except InputError as error:
        return {"state": "unknown", "why": str(error)}
    names = file.ids if only is None else [only]
    absent = sorted(set(expected) - set(file.ids)) if only is None else []
    reasons = Counter(filter(None, map(reason, names)))
    state = "stale" if reasons or absent else "current"
    return {"state": state, "reasons": dict(reasons), "absent": named(absent)}


def judge(file: Ragged, config: dict[str, Any]) -> tuple:
    """How to tell an item that is not current: (function of an id, ids that there should be).

    The function says why an item is stale, or "". InputError: it cannot be told, and why.
    """
    kind = attribute(file, "kind")
    if kind == "segments":
        changed = _samples_changed(file)
        expected: Any = file.ids
    elif kind == "features":
        contents, facts = contents_beside(file, config), facts_beside(file.path)
        changed, expected = _features_changed(file, contents, facts, config), contents
    elif kind == "salience":
        changed, expected = _model_changed(file), file.ids
    else:
        raise InputError("only the keys of segments, features and salience can be compared")

    def reason(name: str) -> str:
        key = file.keys[file.index[name]]
        return changed(name, key.tobytes()) if key.any() else "unfinished"

    return reason, expected


def _samples_changed(file: Ragged) -> Callable:
    def changed(name: str, key: bytes) -> str:
        samples = file[name]
        # Of an empty array there is no view as bytes.
        digest = content_key(samples if len(samples) else b"")
        return "" if key == digest else "samples not those of the key"

    return changed


def _model_changed(file: Ragged) -> Callable:
    digest = file_digest(_there(model_beside(file.path)))

    def changed(name: str, key: bytes) -> str:
        return "" if key == content_key(digest, name) else "model changed"

    return changed


def known_of(file: Ragged) -> set[str]:
    """The keys that --config may have: what the file records, and what an encoder may be told."""
    families = declared(PACKAGE / "features" / "encoders", "FAMILY").values()
    options = {name for family in families for name in family.get("options", {})}
    told = {"labels", "code", "layer", "dtype", "precision"}
    return {*told, *options, *_params(file)} - {"encoder", "device"}


def _features_changed(
    file: Ragged,
    contents: dict[str, Any],
    facts: dict[str, Any],
    config: dict[str, Any],
) -> Callable:
    recorded, old = str(attribute(file, "params")), _params(file)
    given = {name: value for name, value in config.items() if name not in ("labels", "code")}
    given["layer"] = _layer(config.get("layer", old.get("layer")), facts)
    new = {**old, **given, "encoder": facts["content"], "code": _code(file)}
    parts = sorted(name for name, value in new.items() if old.get(name) != value)
    # What is equal stays as it was written: 20 seconds may be 20.0 there.
    present = canonical_json({**new, **{name: old[name] for name in old if name not in parts}})

    def changed(name: str, key: bytes) -> str:
        if name not in contents:
            return "utterance gone"
        if key == feature_key(contents[name], present):
            return ""
        same = key == feature_key(contents[name], recorded)
        return " and ".join(parts if same else ["utterance", *parts]) + " changed"

    return changed


def _layer(layer: Any, facts: dict[str, Any]) -> Any:
    """A layer of the config as the index that features record."""
    if isinstance(layer, int) and layer < 0:
        return layer % (facts["layers"] + 1)
    return 0 if layer is None else layer


def _params(file: Ragged) -> dict[str, Any]:
    """What a features file was computed with, as feature_params() wrote it: a dict."""
    try:
        return dict(json.loads(str(attribute(file, "params"))))
    except (TypeError, ValueError):
        return {}


def chosen(file: Ragged) -> dict[str, Any]:
    """The layer of an encoder that a file's features are of, and the options of its family."""
    told_elsewhere = {"encoder", "code", "dtype", "device", "precision"}
    params = {"layer": None, **_params(file)}
    return {name: value for name, value in params.items() if name not in told_elsewhere}


def _code(file: Ragged) -> str | None:
    """Digest of the code of a file's family of encoders today; None if it is not there any more."""
    module = f"features.encoders.{attribute(file, 'family')}"
    there = PACKAGE.joinpath(*module.split(".")).with_suffix(".py").exists()
    return code_digest(module) if there else None


def contents_beside(file: Ragged, config: dict[str, Any]) -> dict[str, Any]:
    """What the items of features are made of today: {id: key of the segment, or text}."""
    if "labels" in config:
        return config["labels"]
    corpus, _, words, session = _place(file.path)
    if words == "labels":
        raise InputError(
            "the words of the labels are in the config; "
            """give them with --config '{"labels": {NAME: WORDS}}'"""
        )
    if attribute(file, "unit") == "frames":
        path = _there(corpus / "segments" / f"{session}.h5")
        try_to_open(path)  # it came with the file, from anybody
        segments = Ragged(path)
        form, _, folder = str(attribute(file, "source")).partition(":")
        if form == "files":  # relative to where the workflow runs, as in the config
            files = {name: _there(Path(folder, f"{name}.npy")) for name in segments.ids}
            return {name: file_digest(path) for name, path in files.items()}
        return {n: key.tobytes() for n, key in zip(segments.ids, segments.keys, strict=True)}
    from labelmer.base import tables  # slow to import, and needed for text alone

    return tables.texts(_there(corpus / words / f"{session}.tsv"))


def facts_beside(path: Path) -> dict[str, Any]:
    """The source.json of the encoder that a features file was made with: a dict."""
    _, encoder, _, _ = _place(path)
    source = _there(encoder / "source.json")
    known = {"content": TEXT, "layers": {"type": "integer"}}
    rules = {**OBJECT, "required": list(known), "properties": known}
    return json_file.read(source, rules, "make its folder anew")


def model_beside(path: Path) -> Any:
    """Where the model stands that a file of salience was made with."""
    path = Path(os.path.normpath(path.absolute()))  # as named: results may be a link
    if len(path.parents) < 6 or path.parents[4].name != "salience":
        raise InputError(
            "the file does not stand at results/NAME/STUDY/salience/SPEECH+TEXT/MODE/VARIANT/"
            "FOLD/MODALITY.h5"
        )
    run = path.parent.relative_to(path.parents[4])
    return path.parents[5] / "models" / run / "model.safetensors"


def _place(path: Path) -> Any:
    """(C, the encoder's folder, the folder in C of what it read, session) of a file of features.

    C is results/NAME, S is results/NAME/STUDY. Features of recognised words stand in transcripts/
    or transcripts/TRANSCRIBER/ beside the others, those of the labels' words in S/labels: for
    these, "labels" and no session.
    """
    path = Path(os.path.normpath(path.absolute()))  # as named: results may be a link
    *above, name = path.parts
    words = "utterances"
    if "transcripts" in above[-2:]:
        place = len(above) - above[::-1].index("transcripts") - 1
        above, words = above[:place], "/".join(above[place:])
    match [*above, name.removesuffix(".part").removesuffix(".h5")]:
        case [*study, "features", encoder, "finetuned", run, session]:
            return Path(*study).parent, Path(*study, "encoders", encoder, run), words, session
        case [*corpus, "features", encoder, "frozen", session]:
            return Path(*corpus), _fetched(Path(*corpus), encoder), words, session
        case [*study, "labels", encoder, run]:
            return Path(*study).parent, Path(*study, "encoders", encoder, run), "labels", None
        case [*study, "labels", encoder]:
            home = Path(*study).parent
            return home, _fetched(home, encoder), "labels", None
    raise InputError(
        "the file does not stand at results/NAME/features/ENCODER/frozen/SESSION.h5, nor at "
        "results/NAME/STUDY/features/ENCODER/finetuned/FOLD/SESSION.h5"
    )


def _fetched(corpus: Path, encoder: str) -> Any:
    """The folder of an encoder's snapshot, the same for all corpora. corpus: results/NAME"""
    return corpus.parent.parent / "resources" / "encoders" / encoder


def _there(path: Path) -> Any:
    if not path.exists():
        raise InputError(f"{path} is not there")
    return path
