"""Config files as they are written, before YAML makes something else of them."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from labelmer.base.errors import InputError

# Numbers as everyone reads them. YAML 1.1 has more: 010 is 8, 1:30 is 90, 1_0 is 10.
NUMBER = re.compile(r"[+-]?(\d|[1-9]\d+|(\d|[1-9]\d+)?\.\d*)(e[+-]?\d+)?|[+-]?\.(inf|nan)", re.I)
# Of what YAML finds out by itself, without a tag that is written.
TAGS = ("null", "bool", "int", "float", "timestamp", "str", "seq", "map", "merge", "value")
STANDARD = {f"tag:yaml.org,2002:{kind}" for kind in TAGS}
# That a config may come to: aliases of aliases are soon more than memory holds.
MOST_VALUES = 100_000


def check_files(paths: Iterable[Path | str]) -> None:
    """Raise an InputError that lists what config files say twice, and what YAML reads otherwise.

    YAML's loader takes the last of two keys, and keys such as `no` and values such as `010` for
    something else than what stands there; so the files are looked at before their content is.
    """
    problems = [problem for path in paths for problem in _misread(path)]
    if problems:
        raise InputError("\n".join(["the config is not valid.", *problems]))


def loaded(path: Path | str) -> Any:
    """What a config file holds, read as Snakemake reads it: as JSON if it is that, else as YAML.

    check_files() comes first.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _misread(path: Path | str) -> Iterator[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        yield f"{path}: no text in UTF-8 (byte 0x{error.object[error.start]:02X}); save it as UTF-8"
        return
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror}); give your config by --configfile FILE"
        return
    try:
        json.loads(text)
        # JSON is YAML but for its tabs, and for characters in two escapes.
        text = re.sub(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..", "x", text.replace("\t", " "))
    except (ValueError, RecursionError):
        pass
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        yield f"{path}: no YAML ({' '.join(str(error).split())}); correct it there"
        return
    if (values := _values(node, {})) > MOST_VALUES:
        yield (
            f"{path}: {values:,} values where each alias (*name) is what it stands for, expected "
            f"{MOST_VALUES:,} or fewer; write out what is meant"
        )
    yield from _misread_node(node, path, (), set())


def _values(node: yaml.Node | None, known: dict[int, float]) -> float:
    """How many values a node is with what its aliases stand for: no end of them, if it holds
    itself. known: those of the nodes before, by id."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for item in inside for part in (item if isinstance(item, tuple) else [item])]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _misread_node(
    node: yaml.Node | None, path: Path | str, way: tuple[str, ...], seen: set[int]
) -> Iterator[str]:
    """Complaints about a node of a YAML file. way: the keys above it; seen: ids of those done."""
    if node is None or id(node) in seen:  # an anchor and its aliases are one node
        return
    seen.add(id(node))
    if node.tag not in STANDARD:
        yield f"{_place(node, path, way)}: the tag {node.tag}, expected none; put text in quotes"
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value, start=1):
            yield from _misread_node(item, path, (*way, str(number)), seen)
    elif isinstance(node, yaml.ScalarNode):
        kind = node.tag.rpartition(":")[2]
        place = _place(node, path, way)
        yield from _halves(node, place)
        if kind == "value":
            yield f"{place}: a = alone is no text; put it in quotes"
        elif kind == "timestamp":
            yield f"{place}: YAML reads {node.value} as a date; put it in quotes"
        elif kind in ("int", "float") and not NUMBER.fullmatch(node.value):
            yield (
                f"{place}: YAML reads {node.value} as {_read(node)}; put it in quotes if it is "
                "text, or write the number in plain decimal digits"
            )
    else:
        first: dict[str, int] = {}
        for key, value in node.value:
            place = _place(key, path, way)
            if not isinstance(key, yaml.ScalarNode):
                yield f"{place}: a key that is a list or has keys itself, expected text"
                continue
            name = key.value
            yield from _halves(key, place)
            if key.tag.rpartition(":")[2] not in ("str", "merge"):
                yield f"{place}: YAML reads the key {name} as {_read(key)}; put it in quotes"
            if name in first:
                yield (
                    f"{place}: '{name}' stands twice, first in line {first[name]}; YAML would "
                    "take the last alone: rename or remove one of the two"
                )
            first.setdefault(name, key.start_mark.line + 1)
            yield from _misread_node(value, path, (*way, name), seen)


def _place(node: yaml.Node, path: Path | str, way: tuple[str, ...]) -> str:
    return ": ".join([f"{path}:{node.start_mark.line + 1}", *way])


def _read(node: yaml.ScalarNode) -> str:
    """What YAML makes of a scalar, as text."""
    if node.value == "=":
        return "no text"
    read = str(yaml.safe_load(node.value))
    number = node.tag.endswith((":int", ":float"))
    return "a number" if number and read == node.value else read


def _halves(node: yaml.ScalarNode, place: str) -> Iterator[str]:
    """Complaints about characters that can never be written, as escapes may make them."""
    for half in re.findall("[\ud800-\udfff]", node.value)[:1]:
        yield f"{place}: U+{ord(half):04X} is half of a character; write the character itself"
