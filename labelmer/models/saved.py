"""A trained model on disk: model.safetensors and config.json, which together are the model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from labelmer.base.description import FORMAT, described
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.learning.batches import Part
from labelmer.learning.origin import check_origin
from labelmer.models import architectures


def save(
    folder: Path | str, model: torch.nn.Module, classes: Sequence[str], about: Mapping[str, Any]
) -> None:
    """Write a model into a folder.

    classes: names in order; about: what else is worth knowing of it, for people and for predict.
    """
    folder = Path(folder)
    # safetensors' save_file lets nobody else read what it writes.
    tensors = {name: x.contiguous().cpu() for name, x in model.state_dict().items()}
    write_atomically(folder / "model.safetensors", to_bytes(tensors))
    description = {
        "format": FORMAT,
        "classes": classes,
        "rows": model.rows,
        "model": asdict(model.options),
        **about,
    }
    text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / "config.json", text + "\n")


def load(folder: Path | str) -> tuple[torch.nn.Module, list[str]]:
    """A saved model, ready to predict, and the names of its classes."""
    folder = Path(folder)
    try:
        description = described(folder, "model", "rows")
        classes = description["classes"]
        options = architectures.options(description["model"])
        model = architectures.untrained(options, description["rows"], len(classes))
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except PermissionError as error:
        raise InputError(
            f"{folder}: may not be read ({error.strerror}); let it be read, and run again; the "
            "model itself was left as it is"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: not a whole model ({error}); move the folder away, and train it anew; of a "
            "bundle: copy the bundle anew, or bundle the runs anew"
        ) from None
    return model.eval(), classes


def check_encoders(folder: Path | str, part: Part) -> None:
    """InputError unless a part's features are by the encoders that a saved model was trained on."""
    trained_on = described(Path(folder), "encoders")["encoders"]
    for m, features in part.features.items():
        for file in features.files:
            check_origin(file, trained_on[m], f"of {m}, on which the model in {folder} was trained")
