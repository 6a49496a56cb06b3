"""What is in a ragged file (segments, features, salience), from what, and is it sane.

Without ID: the file's facts, whether its keys match what lies beside it, and the items whose
numbers are not finite or all alike. With ID: that item's shape, statistics and tokens; of salience
also the rows that have most of it.

Features are compared with the session's segments, utterances or recognised words, with the
encoder's source.json and with the encoders' code. --config takes what `labelmer extract` takes:
'{"layer": N}', '{"window_s": S}', '{"silence": KIND}' and '{"dtype": TYPE}' compare with others
than the file's own, and '{"labels": {NAME: WORDS}}' gives the words of the labels.
"""

import difflib
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np

from labelmer.base.digest import code_digest, content_key, file_digest
from labelmer.base.errors import InputError
from labelmer.base.progress import Progress
from labelmer.base.ragged import NotRagged, NotWhole, Ragged, feature_key, feature_params
from labelmer.base.stage import RUN, command, parse, stage_parser

PIECE = 1 << 20  # numbers looked at in one go: 8 MB as float64
NAMED = 5  # items of a kind that are named
UNIT = 1e-3  # by so much may rounding move a sum of one
PROVENANCE = ("encoder", "source", "revision", "layer", "window_s", "silence", "code")
LIBRARIES = ("labelmer", "torch", "transformers")


def opened(path):
    """The ragged file at path; InputError says what is wrong, or what can be read instead."""
    path = Path(path)
    try:
        return Ragged(path)
    except (NotRagged, NotWhole) as error:
        if isinstance(error, NotWhole) and path.name.endswith((".h5", ".h5.part")):
            raise
        raise InputError(
            f"{path}: not a ragged file; `labelmer inspect` reads the audio in "
            "results/NAME/segments/SESSION.h5, the features in "
            "results/NAME/features/ENCODER/frozen/SESSION.h5 and the salience in "
            "results/NAME/STUDY/salience/SPEECH+TEXT/MODE/VARIANT/FOLD/MODALITY.h5"
        ) from None


def about_file(file, config):
    """Facts of a ragged file as a dict for JSON; None or empty where it has no such thing.

    config: `layer`, `window_s`, `silence`, `dtype` and `labels`, as labelmer.extract takes them;
    see judge().
    """
    lengths, rate = np.diff(file.offsets), _rate(file)
    rows = int(file.offsets[-1])
    unfinished = np.flatnonzero(~file.keys.any(axis=1))
    return {
        "path": str(file.path),
        "kind": _attribute(file, "kind"),
        "unit": _attribute(file, "unit"),
        "items": len(file),
        "rows": rows,
        "longest": _extreme(file, lengths, np.argmax),
        "shortest": _extreme(file, lengths, np.argmin),
        "width": file.values.shape[-1] if file.values.ndim > 1 else None,
        "dtype": file.dtype,
        "rate_hz": rate,
        "hours": rows / rate / 3600 if rate else None,
        **{name: _attribute(file, name) for name in PROVENANCE},
        "weights": [digest[:12] for digest in str(_attribute(file, "weights") or "").split()],
        "versions": {n: _attribute(file, n) for n in LIBRARIES if n in file.attrs},
        "unfinished": _named([file.ids[i] for i in unfinished]),
        "keys": compare(file, config),
        **unsound(file),
        **(about_salience(file) if _attribute(file, "kind") == "salience" else {}),
    }


def about_item(file, name, config):
    """Facts of one item as a dict for JSON; InputError names the nearest ids of an unknown one."""
    if name not in file:
        near = difflib.get_close_matches(name, file.ids, n=3, cutoff=0.0)
        raise InputError(
            f"{file.path}: id '{name}' is not among the file's {len(file)}"
            + (f"; the nearest are {', '.join(near)}" if near else "")
        )
    values, rate = file[name], _rate(file)
    return {
        "path": str(file.path),
        "id": name,
        "shape": list(values.shape),
        "dtype": file.dtype,
        "seconds": len(values) / rate if rate else None,
        **statistics(values),
        "keys": compare(file, config, name),
        "tokens": file.marks(name),
        "most": most_salient(file, name) if _attribute(file, "kind") == "salience" else None,
    }


def about_salience(file):
    """Whose salience it is, its columns, and the items in which it is none: it must sum to one."""
    weights = {name: _salience(file, name) for name in file.ids}
    odd = [n for n, w in weights.items() if not ((w >= 0).all() and abs(w.sum() - 1) < UNIT)]
    return {
        "modality": _attribute(file, "modality"),
        "run": ", ".join(str(_attribute(file, name)) for name in RUN),
        "columns": _list(file, "columns"),
        "not_one": _named(odd),
    }


def most_salient(file, name):
    """The rows with most of an item's salience, as text: token or seconds, and how much."""
    weights, marks, rate = _salience(file, name), file.marks(name), _rate(file)
    most = np.argsort(-weights, kind="stable")[:NAMED]
    where = [marks[i] if marks else f"{i / rate:.2f}s" if rate else str(i) for i in most]
    return [f"{place}:{weights[i]:.3f}" for place, i in zip(where, most, strict=True)]


def _salience(file, name):
    """An item's column of salience, as float64; empty where the file has none."""
    columns = _list(file, "columns")
    if "salience" not in columns or file.values.shape[1:] != (len(columns),):
        return np.zeros(0)
    return file[name][:, columns.index("salience")].astype(float)


def _list(file, name):
    """An attribute that is a list as JSON; empty where it is none."""
    try:
        value = json.loads(str(_attribute(file, name)))
    except ValueError:
        return []
    return list(map(str, value)) if isinstance(value, list) else []


@np.errstate(all="ignore")
def statistics(values):
    """Mean, sd, min, max and share of zeros of the finite numbers; how many are NaN and Inf."""
    count, zeros, nan, total, low, high = 0, 0, 0, 0.0, math.inf, -math.inf
    for piece in _pieces(values, np.float64):
        finite = piece[np.isfinite(piece)]
        count += finite.size
        zeros += finite.size - np.count_nonzero(finite)
        nan += np.count_nonzero(np.isnan(piece))
        total += finite.sum()
        low, high = min(low, finite.min(initial=low)), max(high, finite.max(initial=high))
    mean, squares = total / max(count, 1), 0.0
    for piece in _pieces(values, np.float64):
        squares += np.square(piece[np.isfinite(piece)] - mean).sum()
    spread = {"mean": mean, "sd": np.sqrt(squares / max(count, 1)), "min": low, "max": high}
    spread["zeros"] = zeros / max(count, 1)
    known = {name: _plain(value) if count else None for name, value in spread.items()}
    return {**known, "nan": int(nan), "inf": int(values.size - nan - count)}


def unsound(file):
    """The items with NaN, those with Inf, and those of several numbers that are all the same."""
    found = {"nan": [], "inf": [], "constant": []}
    with Progress("inspect", int(file.offsets[-1]), "rows") as progress:
        for index, name in enumerate(file.ids):
            values = file[index]
            for fault in _faults(values):
                found[fault].append(name)
            progress.advance(len(values))
    return {fault: _named(names) for fault, names in found.items()}


@np.errstate(all="ignore")
def _faults(values):
    """Which of "nan", "inf" and "constant" an item is."""
    faults, low, high = set(), math.inf, -math.inf
    for piece in _pieces(values, np.promote_types(values.dtype, np.float32)):
        least, most = piece.min(), piece.max()  # both are NaN where one number is
        if not (np.isfinite(least) and np.isfinite(most)):
            faults |= {"nan"} if np.isnan(piece).any() else set()
            faults |= {"inf"} if np.isinf(piece).any() else set()
        low, high = min(low, least), max(high, most)
    return faults | ({"constant"} if low == high and values.size > 1 else set())


def _pieces(values, dtype):
    """The numbers of an item, some rows at a time, so that memory does not grow with the item."""
    rows = max(1, PIECE // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values) if values.size else 0, rows):
        yield values[start : start + rows].astype(dtype)


def compare(file, config, only=None):
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
    return {"state": state, "reasons": dict(reasons), "absent": _named(absent)}


def judge(file, config):
    """How to tell an item that is not current: (function of an id, ids that there should be).

    The function says why an item is stale, or "". InputError: it cannot be told, and why.
    """
    kind = _attribute(file, "kind")
    if kind == "segments":
        changed, expected = _samples_changed(file), file.ids
    elif kind == "features":
        contents, facts = contents_beside(file, config), facts_beside(file.path)
        changed, expected = _features_changed(file, contents, facts, config), contents
    elif kind == "salience":
        changed, expected = _model_changed(file), file.ids
    else:
        raise InputError("only the keys of segments, features and salience can be compared")

    def reason(name):
        key = file.keys[file.index[name]]
        return changed(name, key.tobytes()) if key.any() else "unfinished"

    return reason, expected


def _samples_changed(file):
    def changed(name, key):
        samples = file[name]
        # Of an empty array there is no view as bytes.
        digest = content_key(samples if len(samples) else b"")
        return "" if key == digest else "samples not those of the key"

    return changed


def _model_changed(file):
    digest = file_digest(_there(model_beside(file.path)))

    def changed(name, key):
        return "" if key == content_key(digest, name) else "model changed"

    return changed


def _features_changed(file, contents, facts, config):
    recorded = str(_attribute(file, "params"))
    layer = _layer(config.get("layer", _attribute(file, "layer")), facts)
    window_s = config.get("window_s", _attribute(file, "window_s"))
    silence = config.get("silence", _attribute(file, "silence"))
    dtype, code = config.get("dtype", file.dtype), code_digest("features.encoders")
    present = feature_params(facts["content"], layer, window_s, code, dtype, silence)
    parts = _differences(recorded, present)

    def changed(name, key):
        if name not in contents:
            return "utterance gone"
        if key == feature_key(contents[name], present):
            return ""
        same = key == feature_key(contents[name], recorded)
        return " and ".join(parts if same else ["utterance", *parts]) + " changed"

    return changed


def _layer(layer, facts):
    """A layer of the config as the index that features record."""
    if isinstance(layer, int) and layer < 0:
        return layer % (facts["layers"] + 1)
    return 0 if layer is None else layer


def _differences(recorded, present):
    """Names of the parts in which two texts of feature_params() differ."""
    try:
        old = dict(json.loads(recorded))
    except (TypeError, ValueError):
        old = {}
    return [name for name, value in json.loads(present).items() if old.get(name) != value]


def contents_beside(file, config):
    """What the items of features are made of today: {id: key of the segment, or text}."""
    if "labels" in config:
        return config["labels"]
    corpus, _, words, session = _place(file.path)
    if words == "labels":
        raise InputError(
            "the words of the labels are in the config; "
            """give them with --config '{"labels": {NAME: WORDS}}'"""
        )
    if _attribute(file, "unit") == "frames":
        segments = Ragged(_there(corpus / "segments" / f"{session}.h5"))
        return {n: key.tobytes() for n, key in zip(segments.ids, segments.keys, strict=True)}
    from labelmer.base import tables  # slow to import, and needed for text alone

    table = tables.read(_there(corpus / words / f"{session}.tsv"), "utterances")
    return dict(zip(table["id"], table["text"], strict=True))


def facts_beside(path):
    """The source.json of the encoder that a features file was made with: a dict."""
    _, encoder, _, _ = _place(path)
    source = _there(encoder / "source.json")
    try:
        facts = json.loads(source.read_text(encoding="utf-8"))
        return {"content": facts["content"], "layers": int(facts["layers"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source}: cannot be read ({error!r}); make its folder anew") from None


def model_beside(path):
    """Where the model stands that a file of salience was made with."""
    path = Path(os.path.normpath(path.absolute()))  # as named: results may be a link
    if len(path.parents) < 6 or path.parents[4].name != "salience":
        raise InputError(
            "the file does not stand at results/NAME/STUDY/salience/SPEECH+TEXT/MODE/VARIANT/"
            "FOLD/MODALITY.h5"
        )
    run = path.parent.relative_to(path.parents[4])
    return path.parents[5] / "models" / run / "model.safetensors"


def _place(path):
    """(C, the encoder's folder, the folder in C of what it read, session) of a file of features.

    C is results/NAME, S is results/NAME/STUDY. Features of recognised words stand in transcripts/
    beside the others, those of the labels' words in S/labels: for these, "labels" and no session.
    """
    path = Path(os.path.normpath(path.absolute()))  # as named: results may be a link
    *above, name = path.parts
    words = "transcripts" if above[-1] == "transcripts" else "utterances"
    above = above[:-1] if words == "transcripts" else above
    match [*above, name.removesuffix(".part").removesuffix(".h5")]:
        case [*study, "features", encoder, "finetuned", run, session]:
            return Path(*study).parent, Path(*study, "encoders", encoder, run), words, session
        case [*corpus, "features", encoder, "frozen", session]:
            return Path(*corpus), _fetched(Path(*corpus), encoder), words, session
        case [*study, "labels", encoder, run]:
            return Path(*study).parent, Path(*study, "encoders", encoder, run), "labels", None
        case [*study, "labels", encoder]:
            corpus = Path(*study).parent
            return corpus, _fetched(corpus, encoder), "labels", None
    raise InputError(
        "the file does not stand at results/NAME/features/ENCODER/frozen/SESSION.h5, nor at "
        "results/NAME/STUDY/features/ENCODER/finetuned/FOLD/SESSION.h5"
    )


def _fetched(corpus, encoder):
    """The folder of an encoder's snapshot, the same for all corpora. corpus: results/NAME"""
    return corpus.parent.parent / "resources" / "encoders" / encoder


def _there(path):
    if not path.exists():
        raise InputError(f"{path} is not there")
    return path


def _rate(file):
    """Rows per second, or None."""
    rate = _attribute(file, "rate_hz")
    return rate if isinstance(rate, int | float) and rate > 0 else None


def _attribute(file, name):
    return _plain(file.attrs.get(name))


def _plain(value):
    """A value of HDF5 or numpy as JSON has it; what JSON cannot hold is None, or its text."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    return str(value).encode(errors="replace").decode()


def _extreme(file, lengths, choose):
    if not len(lengths):
        return None
    index = int(choose(lengths))
    return {"id": file.ids[index], "rows": int(lengths[index])}


def _named(names):
    """How many items, and the first of them."""
    return {"count": len(names), "first": names[:NAMED]}


def as_text(facts):
    """Facts as lines of name and value below the path; what there is nothing of is left out."""
    shown = {name: _shown(name, value) for name, value in facts.items() if name != "path"}
    lines = [f"  {name:11}{text}" for name, text in shown.items() if text]
    return "\n".join([facts["path"], *lines])


def _shown(name, value):
    if value is None or value == "":
        return ""
    if name in ("longest", "shortest"):
        return f"{value['id']}, {value['rows']} rows"
    if name == "shape":
        return " × ".join(map(str, value))
    if name == "versions":
        return ", ".join(f"{library} {version}" for library, version in value.items())
    if name == "keys":
        return _shown_keys(value)
    if isinstance(value, dict):
        return _shown_names(value)
    if isinstance(value, list):
        return " ".join(value)
    return format(value, ".6g") if isinstance(value, float) else str(value)


def _shown_keys(keys):
    if keys["state"] == "unknown":
        return f"unknown: {keys['why']}"
    parts = [f"{count} ({reason})" for reason, count in keys["reasons"].items()]
    if keys["absent"]["count"]:
        parts.append(f"not in the file yet: {_shown_names(keys['absent'])}")
    return f"{keys['state']}: {'; '.join(parts)}" if parts else keys["state"]


def _shown_names(named):
    if not named["count"]:
        return "none"
    more = ", ..." if named["count"] > len(named["first"]) else ""
    return f"{named['count']}: {', '.join(named['first'])}{more}"


@command
def main(argv=None):
    """Command line of `labelmer inspect`."""
    parser = stage_parser(__doc__)
    parser.add_argument("file", type=Path, help="of segments, features or salience, .h5")
    parser.add_argument("id", nargs="?", help="one item of it, an utterance")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parse(parser, argv)
    file = opened(args.file)
    if args.id is None:
        facts = about_file(file, args.config)
    else:
        facts = about_item(file, args.id, args.config)
    print(json.dumps(facts) if args.json else as_text(facts))
