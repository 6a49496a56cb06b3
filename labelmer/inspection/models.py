"""What is in the folder of a model, of a variant's models, and of a bundle: without torch, and
nothing is loaded."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labelmer.base import json_file
from labelmer.base.description import described
from labelmer.base.errors import InputError, in_words
from labelmer.base.options import OBJECT
from labelmer.base.stage import RUN
from labelmer.prediction.bundled import ANEW, bundle_around, opened

HEADER_BYTES = 8  # of a safetensors file: how long its JSON header is


def about_model(folder: Path) -> dict[str, Any]:
    """Facts of the folder of a run as a dict for JSON; InputError if it is not whole."""
    remedy = ANEW if bundle_around(folder) else "move the folder away, and train it anew"
    try:
        about = json_file.read(folder / "config.json", OBJECT, remedy)
        if "model_type" in about:
            raise InputError(
                f"{folder}: a snapshot of an encoder (model_type '{about['model_type']}') that was "
                "not fetched, expected one that was, or a model; to use it, name it in the config, "
                f"source: path:{folder}"
            )
        about = described(folder, "columns" if "columns" in about else "model")
        numbers = numbers_in(folder / "model.safetensors")
        run = about.get("run", {})
        return {
            "path": str(folder),
            "kind": "model",
            "run": " ".join(str(run[name]) for name in RUN if name in run),
            "model": {"architecture": "metadata"} if "columns" in about else about["model"],
            "classes": about["classes"],
            "inputs": about.get("columns", []),
            "encoders": [
                f"{m} {e['encoder']} ({e['source']}, layer {e['layer']})"
                for m, e in about.get("encoders", {}).items()
            ],
            "updates": about.get("updates"),
            "numbers": numbers,
            "bytes": size_of(folder),
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: not a whole model ({in_words(error)}); {remedy}") from None


def runs_of(folder: Path) -> list[Path]:
    """The folders of the runs that a variant's folder holds, in results or in a bundle, in order.

    None if it is of no variant: a fine-tuned encoder's folder is not.
    """
    runs = sorted(path.parent for path in folder.glob("fold*.seed*/config.json"))
    return [run for run in runs if not (run / "source.json").exists()]


def about_variant(folder: Path, runs: Sequence[Path]) -> dict[str, Any]:
    """Facts of the folder of a variant as a dict for JSON.

    runs: as runs_of gives them. InputError: the first of them is not whole.
    """
    first = about_model(runs[0])
    return {
        "path": str(folder),
        "kind": "variant",
        "runs": [run.name for run in runs],
        **{name: first[name] for name in ("model", "classes", "inputs", "encoders")},
        "bytes": size_of(folder),
    }


def about_encoder(folder: Path) -> dict[str, Any]:
    """Facts of an encoder's snapshot as a dict for JSON; InputError if they cannot be read."""
    path = folder / "source.json"
    facts = json_file.read(path, OBJECT, "fetch the encoder anew")
    names = ("source", "revision", "finetuned", "model_type", "width", "layers")
    known = {name: facts[name] for name in names if name in facts}
    return {"path": str(folder), "kind": "encoder", **known, "bytes": size_of(folder)}


def about_bundle(folder: Path) -> dict[str, Any]:
    """Facts of a bundle as a dict for JSON; InputError if it is not whole."""
    bundle = opened(folder)
    about = bundle.about
    parts = [part for model in bundle.models for part in model["parts"]]
    weights = [part["weight"] for part in parts]
    heard = about["transcriber"]
    return {
        "path": str(folder),
        "kind": "bundle",
        "labelmer": about["labelmer"],
        "corpus": about["corpus"],
        "study": about["study"],
        "experiment": about["experiment"],
        "variants": about["variants"],
        "classes": about["classes"],
        "models": [f"fold{model['fold']}.seed{model['seed']}" for model in bundle.models],
        "weight": f"{min(weights):.3g} to {max(weights):.3g}",
        "encoders": [f"{name} ({_had_from(e)})" for name, e in about["encoders"].items()],
        "transcriber": f"{heard['name']} ({_had_from(heard)})" if heard else None,
        "bytes": size_of(folder),
    }


def _had_from(told: Mapping[str, Any]) -> str:
    return f"{told['source']}, {'in the bundle' if told['folder'] else 'fetched'}"


def numbers_in(path: Path) -> int:
    """How many numbers a safetensors file holds; ValueError if it is not as long as it says."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_BYTES), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path.name} is cut off")
        header = json.loads(file.read(length))
    tensors = [about for name, about in header.items() if name != "__metadata__"]
    end = max((about["data_offsets"][1] for about in tensors), default=0)
    if HEADER_BYTES + length + end != path.stat().st_size:
        raise ValueError(f"{path.name} is cut off")
    return sum(math.prod(about["shape"]) for about in tensors)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def shown_size(count: int) -> str:
    """Bytes as people read them: 1.5 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def shown_options(options: Mapping[str, Any]) -> str:
    """A model's options as text."""
    return ", ".join(f"{name} {value}" for name, value in options.items())
