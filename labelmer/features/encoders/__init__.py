"""One interface over all encoders: a list of inputs in, a list of (rows, ...) arrays out.

Speech goes in as mono 16 kHz samples, int16 (as the segments file holds them) or float32 in
[-1, 1); text as strings. An item's rows (frames or tokens) never depend on its neighbours in the
batch: what looks across time (normalisation, convolutions, attention) sees an item's own samples
and frames, and nothing of the padding.

What is out of the ordinary is defined, and nothing is dropped:

- audio shorter than one frame's receptive field (400 samples for wav2vec 2.0 and the filterbank,
  320 for Whisper), empty audio too, is padded with zeros to it and gives one frame;
- what is longer than a model can take (30 s for Whisper, `window_s` for wav2vec 2.0 and its kin,
  512 tokens for most text models) goes through it in windows of that length, each as if it stood
  alone; neighbours overlap by a fifth, each gives up its half of that, and so every frame and
  token stands once.

On a GPU the networks run in mixed precision (float16), but for DeBERTa of the first version; on a
CPU in float32, or in mixed precision (bfloat16) where that is asked for. What is float32 on a GPU
is so in earnest (no TF32) where `exact` asks for it.

`layer` counts as Hugging Face's hidden_states do: 0 is what enters the first layer, N the output
of the last one, after the final layer norm where a model has one (for large wav2vec 2.0, HuBERT
and WavLM that is last_hidden_state; transformers 5 ends their hidden_states before the norm).
Layers above are not computed. `layer: all` keeps every one of them: rows are (layers, width) then.

Each family is one file of this folder, found by itself. It holds the family's class, and FAMILY, a
literal with the fields of Family below, which is read without importing the file: so the config is
checked without torch, and the code of a family is no part of what does not use it.
"""

import functools
import hashlib
import importlib
import json
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelmer.base import json_file
from labelmer.base.digest import canonical_json, file_digest
from labelmer.base.errors import InputError
from labelmer.base.literals import declared
from labelmer.base.options import OBJECT, TEXT, closed

if TYPE_CHECKING:
    from labelmer.features.encoders.base import Encoder


@dataclass(frozen=True)
class Family:
    """A family of encoders, as its file declares it."""

    name: str  # of the file
    encoder: str  # its class there, a base.Encoder
    title: str  # what an error calls it
    modality: str  # "speech" or "text"
    model_types: list[str]  # of a config.json, that it serves
    options: dict[str, Any] = field(default_factory=dict)  # {key of the config: its rules}
    builtins: dict[str, Any] = field(default_factory=dict)  # {NAME: config.json}, builtin:NAME
    source: str = ""  # the part before the colon, of one that no snapshot is of
    network: bool = True  # are there layers to choose from, and weights to fine-tune?

    @property
    def module(self) -> str:
        """Its dotted name within the package, for its digest of code."""
        return f"features.encoders.{self.name}"


@functools.cache
def families() -> list[Family]:
    """All families, by the names of their files."""
    found = declared(Path(__file__).parent, "FAMILY")
    return [Family(name, **said) for name, said in found.items()]


def options() -> dict[str, dict[str, Any]]:
    """The options of all families: {name: rules}."""
    return _one_each((name, spec) for f in families() for name, spec in f.options.items())


def options_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a config's keys that are options of some family."""
    return {name: config[name] for name in options() if name in config}


def builtins() -> dict[str, dict[str, Any]]:
    """What each source builtin:NAME stands for: {source: config.json}."""
    found = ((name, settings) for f in families() for name, settings in f.builtins.items())
    return {f"builtin:{name}": settings for name, settings in _one_each(found).items()}


def _serving() -> dict[str, Family]:
    """The family that serves each model_type."""
    return _one_each((kind, family) for family in families() for kind in family.model_types)


def _one_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of names and values; ValueError if a name has two values."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise ValueError(f"two families declare '{name}', each its own; rename one of the two")
    return found


def possible(source: str, modality: str) -> list[Family]:
    """The families that an encoder may be of, by its entry in the config.

    Of a snapshot only its files tell; so it may be any that has a network.
    """
    if source.startswith("builtin:"):
        settings = builtins().get(source)
        return [_serving()[settings["model_type"]]] if settings else []
    kind = source.partition(":")[0]
    made = [family for family in families() if family.source == kind]
    return made or [each for each in families() if each.network and each.modality == modality]


def misplaced(option: str) -> str:
    """What to say of an option that an encoder does not have."""
    titles = [family.title for family in families() if option in family.options]
    return f"{option} goes with {' and '.join(titles) or 'no encoder'}; remove it"


KIND = {**OBJECT, "required": ["model_type"], "properties": {"model_type": TEXT}}
WHOLE = (
    "take a whole Hugging Face snapshot; if labelmer wrote the folder, move it away, and run the "
    "workflow again"
)


def family_of(folder: Path | str) -> Family:
    """The family of a snapshot, by its config.json; InputError if it is not a known one."""
    path = Path(folder) / "config.json"
    kind = json_file.read(path, KIND, WHOLE)["model_type"]
    if kind not in _serving():
        raise InputError(
            f"{path}: bad model_type '{kind}', expected one of {sorted(_serving())}; "
            "choose an encoder of one of these families"
        )
    return _serving()[kind]


def _class_of(family: Family) -> "type[Encoder]":
    """Its class, imported by name: so no other file has it in its digest of code."""
    return getattr(importlib.import_module(f"labelmer.{family.module}"), family.encoder)


PRECISIONS = ("float32", "bfloat16")  # on a CPU; the first is the default


def load(
    folder: Path | str,
    layer: int | str | None,
    device: str = "cpu",
    precision: str = PRECISIONS[0],
    **given: Any,
) -> "Encoder":
    """The encoder in a snapshot's folder, cut to give the hidden states of `layer`.

    layer  -(N + 1) ... N for a network of N layers, or "all"; None or 0 where there is no network
    precision  of a network on a CPU, one of PRECISIONS; on a GPU it says nothing
    given  options of its family; those that are not given are as its file has them

    Everything is read from the folder. InputError: not a snapshot, a family not known, a layer out
    of range, weights that lack a part, an option that its family does not have.
    """
    folder, family = Path(folder), family_of(folder)
    for name in given:
        if name not in family.options:
            raise InputError(f"{folder}: {misplaced(name)}")
    defaults = {name: spec["default"] for name, spec in family.options.items()}
    # Of the default's type, so that 20 and 20.0 seconds are one key of features.
    chosen = {name: type(value)(given.get(name, value)) for name, value in defaults.items()}
    encoder = _class_of(family)(folder, layer, device, **chosen)
    encoder.family, encoder.options = family, chosen
    if precision not in PRECISIONS:
        raise InputError(
            f"{folder}: bad precision '{precision}', expected one of {list(PRECISIONS)}; correct "
            "the encoder's `precision`"
        )
    if family.network:
        encoder.ask_for(precision)
    return encoder


def describe(folder: Path | str) -> dict[str, Any]:
    """What a snapshot holds: its model_type, width, number of layers, and digests (SHA-256).

    `weights` is that of each safetensors file, `content` covers every file, so that it changes
    whenever a feature could.
    """
    folder = Path(folder)
    width, layers = _class_of(family_of(folder)).size(folder)
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != "source.json")
    digests = {name: file_digest(folder / name) for name in names}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {
        "model_type": config["model_type"],
        "width": width,
        "layers": layers,
        "weights": " ".join(digests[n] for n in names if n.endswith(".safetensors")),
        "content": hashlib.sha256(canonical_json(digests).encode()).hexdigest(),
    }


def write_facts(folder: Path, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Write a snapshot's source.json: where it comes from, and what describe() says; return it."""
    facts = {**origin, **describe(folder)}
    (folder / "source.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


FACTS = closed(
    {
        **dict.fromkeys(("source", "revision", "model_type", "weights", "content"), TEXT),
        "width": {"type": "integer"},
        "layers": {"type": "integer"},
        "finetuned": OBJECT,
    },
    ["source", "revision", "content"],
)


def read_facts(folder: Path | str, name: str) -> dict[str, Any]:
    """What source.json says of an encoder's folder, with its name in the config."""
    remedy = (
        "expected a folder that `labelmer fetch` or `finetune` wrote; if it is damaged, move it "
        "away, and run the workflow again"
    )
    return {"encoder": name, **json_file.read(Path(folder) / "source.json", FACTS, remedy)}


def add_encoder(parser: ArgumentParser) -> None:
    """The arguments that say which encoder a stage runs; read_facts() takes them."""
    parser.add_argument("folder", type=Path, help="the encoder's, as `labelmer fetch` wrote it")
    parser.add_argument("--encoder", required=True, metavar="NAME", help="its name in the config")
