"""What is in a ragged file, recognised words, a model, a bundle or results, from what, is it sane.

A folder is that of a run (results/NAME/STUDY/models/.../foldF.seedS), of a variant (which holds its
runs), an encoder's, a bundle, or results, results/NAME or results/NAME/STUDY: what stands there and
how large it is, the best variant by its report, and, with --configfile, what none of the configs
makes: each --configfile takes the files of one run of the workflow, as Snakemake does.

A table of recognised words (results/NAME/transcripts/TRANSCRIBER/SESSION.tsv): how many utterances
and words there are, why some have none, and with what they were recognised; with ID: its words.

A ragged file is one of segments, features or salience. Without ID: its facts, whether its keys
match what lies beside it, and the items whose numbers are not finite or all alike. With ID: that
item's shape, statistics and tokens; of salience also the rows that have most of it.

Features are compared with the session's segments, utterances or recognised words, with the
encoder's source.json and with the code of the encoder's family, as made on the file's own device
(cpu or cuda). --config takes what `labelmer extract` takes: '{"layer": N}', '{"window_s": S}',
'{"silence": KIND}' and '{"dtype": TYPE}' compare with others than the file's own, and
'{"labels": {NAME: WORDS}}' gives the words of the labels.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelmer.base.errors import InputError
from labelmer.base.options import check, closed, refuse
from labelmer.base.ragged import NotRagged, NotWhole, Ragged
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.trial import try_to_open
from labelmer.inspection.facts import (
    about_salience,
    attribute,
    extreme,
    most_salient,
    named,
    nearest,
    rate_of,
    statistics,
    unsound,
)
from labelmer.inspection.judge import chosen, compare, known_of
from labelmer.inspection.models import (
    about_bundle,
    about_encoder,
    about_model,
    about_variant,
    runs_of,
    shown_options,
    shown_size,
)

PROVENANCE = ("encoder", "source", "revision", "family", "device", "precision", "code")
LIBRARIES = ("labelmer", "torch", "transformers")


def opened(path: Path) -> Ragged:
    """The ragged file at path; InputError says what is wrong, or what can be read instead."""
    path = Path(path)
    try:
        try_to_open(path)  # anybody may have sent it
        return Ragged(path)
    except (NotRagged, NotWhole) as error:
        if isinstance(error, NotWhole) and path.name.endswith((".h5", ".h5.part")):
            raise
        raise InputError(
            f"{path}: not a ragged file; of a model, a bundle or results give the folder; "
            "`labelmer inspect` reads the audio in "
            "results/NAME/segments/SESSION.h5, the features in "
            "results/NAME/features/ENCODER/frozen/SESSION.h5, the salience in "
            "results/NAME/STUDY/salience/SPEECH+TEXT/MODE/VARIANT/FOLD/MODALITY.h5 and, with the "
            ".json beside it, the words in results/NAME/transcripts/TRANSCRIBER/SESSION.tsv"
        ) from None


def about_file(file: Ragged, config: dict[str, Any]) -> dict[str, Any]:
    """Facts of a ragged file as a dict for JSON; None or empty where it has no such thing.

    config: `layer`, `window_s`, `silence`, `dtype` and `labels`, as labelmer.extract takes them;
    see judge().
    """
    lengths, rate = np.diff(file.offsets), rate_of(file)
    rows = int(file.offsets[-1])
    unfinished = np.flatnonzero(~file.keys.any(axis=1))
    return {
        "path": str(file.path),
        "kind": attribute(file, "kind"),
        "unit": attribute(file, "unit"),
        "items": len(file),
        "rows": rows,
        "longest": extreme(file, lengths, np.argmax),
        "shortest": extreme(file, lengths, np.argmin),
        "width": file.values.shape[-1] if file.values.ndim > 1 else None,
        "dtype": file.dtype,
        "rate_hz": rate,
        "hours": rows / rate / 3600 if rate else None,
        **{name: attribute(file, name) for name in PROVENANCE},
        **chosen(file),
        "weights": [digest[:12] for digest in str(attribute(file, "weights") or "").split()],
        "versions": {n: attribute(file, n) for n in LIBRARIES if n in file.attrs},
        "unfinished": named([file.ids[i] for i in unfinished]),
        "keys": compare(file, config),
        **unsound(file),
        **(about_salience(file) if attribute(file, "kind") == "salience" else {}),
    }


def about_item(file: Ragged, name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Facts of one item as a dict for JSON; InputError names the nearest ids of an unknown one."""
    if name not in file:
        raise InputError(
            f"{file.path}: id '{name}' is not among the file's {len(file)}{nearest(name, file.ids)}"
        )
    values, rate = file[name], rate_of(file)
    return {
        "path": str(file.path),
        "id": name,
        "shape": list(values.shape),
        "dtype": file.dtype,
        "seconds": len(values) / rate if rate else None,
        **statistics(values),
        "keys": compare(file, config, name),
        "tokens": file.marks(name),
        "most": most_salient(file, name) if attribute(file, "kind") == "salience" else None,
    }


def as_text(facts: dict[str, Any]) -> str:
    """Facts as lines of name and value below the path; what there is nothing of is left out."""
    shown = {name: _shown(name, value) for name, value in facts.items() if name != "path"}
    width = max(11, *(len(name) + 1 for name, text in shown.items() if text))
    below = "\n" + " " * (2 + width)
    lines = [f"  {n:{width}}{text.replace(chr(10), below)}" for n, text in shown.items() if text]
    return "\n".join([facts["path"], *lines])


def _shown(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if name in ("longest", "shortest"):
        return f"{value['id']}, {value['rows']} rows"
    if name == "shape":
        return " × ".join(map(str, value))
    if name == "bytes":
        return shown_size(value)
    if name == "model":
        return shown_options(value)
    if name in ("holds", "unmade"):
        lines = [f"{shown_size(size):>9}  {place}" for place, size in value.items()]
        return "\n".join(lines) or "nothing"
    if name == "best":
        return "\n".join(f"{study}: {line}" for study, line in value.items())
    if name == "encoders":
        return "\n".join(value)
    if name == "versions":
        return ", ".join(f"{library} {version}" for library, version in value.items())
    if name == "keys":
        return _shown_keys(value)
    if isinstance(value, dict):
        return _shown_names(value)
    if isinstance(value, list):
        return " ".join(value)
    return format(value, ".6g") if isinstance(value, float) else str(value)


def _shown_keys(keys: dict[str, Any]) -> str:
    if keys["state"] == "unknown":
        return f"unknown: {keys['why']}"
    parts = [f"{count} ({reason})" for reason, count in keys["reasons"].items()]
    if keys["absent"]["count"]:
        parts.append(f"not in the file yet: {_shown_names(keys['absent'])}")
    return f"{keys['state']}: {'; '.join(parts)}" if parts else keys["state"]


def _shown_names(names: dict[str, Any]) -> str:
    if not names["count"]:
        return "none"
    more = ", ..." if names["count"] > len(names["first"]) else ""
    return f"{names['count']}: {', '.join(names['first'])}{more}"


def about_folder(folder: Path, configs: Sequence[Sequence[Path]]) -> dict[str, Any]:
    """Facts of a folder as a dict for JSON, whatever labelmer wrote there.

    configs: as about_results takes them.
    """
    if (folder / "bundle.json").exists():
        return about_bundle(folder)
    if (folder / "source.json").exists():
        return about_encoder(folder)
    if (folder / "model.safetensors").exists() or (folder / "config.json").exists():
        return about_model(folder)
    if runs := runs_of(folder):
        return about_variant(folder, runs)
    from labelmer.inspection.results import about_results  # pandas takes half a second

    return about_results(folder, configs)


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of `labelmer inspect`."""
    parser = stage_parser(__doc__)
    parser.add_argument("file", type=Path, help="a ragged file, words, or a folder; see above")
    parser.add_argument("id", nargs="?", help="one item of a ragged file, an utterance")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        action="append",
        default=[],
        metavar="YAML",
        help="with a results folder; may be given more than once",
    )
    args = parse(parser, argv, others=True)
    if args.file.is_dir():
        if not os.access(args.file, os.R_OK | os.X_OK):
            raise InputError(f"{args.file}: a folder that may not be read; let it be read")
        if args.id is not None:
            raise InputError(f"{args.file}: a folder, which has no item '{args.id}'; leave it out")
        facts = about_folder(args.file, args.configfile)
        if args.configfile and facts["kind"] != "results":
            raise InputError(
                f"--configfile with {args.file}, a {facts['kind']}, expected a results folder; "
                "leave it out"
            )
    elif args.file.suffix == ".tsv" and args.file.with_suffix(".json").exists():
        from labelmer.inspection.words import about_utterance, about_words  # pandas, as above

        refuse(check(closed({}), args.config, "--config"))
        facts = about_utterance(args.file, args.id) if args.id else about_words(args.file)
    else:
        file = opened(args.file)
        refuse(check(closed({name: {} for name in known_of(file)}), args.config, "--config"))
        facts = (
            about_file(file, args.config)
            if args.id is None
            else about_item(file, args.id, args.config)
        )
    print(json.dumps(facts) if args.json else as_text(facts))
