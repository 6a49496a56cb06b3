"""Options: what may be said, checked where it is said.

A section of the config is a frozen dataclass, each of its fields an option() with a line of
meaning, a default where it has one, and rules. From it come the check, the same in the workflow and
in a stage's --config, the JSON schema and the tables of the documentation.

Rules are those of JSON schema, by its names: type, enum, minimum, exclusiveMinimum, maximum,
exclusiveMaximum, pattern, maxLength, minLength, items, minItems, uniqueItems, properties, required,
additionalProperties, propertyNames, minProperties, anyOf and const; `expected` says in words what a
pattern or anyOf lets through. They are checked here and not by a library, as stages run where there
is none for it, and each in a process of its own.
"""

import copy
import dataclasses
import difflib
import math
import re
from collections.abc import Iterator
from typing import Any

from labelmer.base.errors import InputError

KINDS = {
    "object": "keys with values ({} for none)",
    "array": "a list",
    "string": "text (put numbers, and words such as no, on and null, in quotes)",
    "integer": "a whole number, without a point",
    "number": "a number",
    "boolean": "true or false",
}
TYPES: dict[Any, str] = {
    int: "integer",
    float: "number",
    bool: "boolean",
    str: "string",
    dict: "object",
}
TYPES |= {list: "array", tuple: "array"}
MANY = ("array", "object")  # what holds others
WORDS = ("description", "default", "example")  # beside the rules
# As words, in their order: a number's limits.
LIMITS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "up to {}",
    "exclusiveMaximum": "below {}",
}

NAME = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    "maxLength": 100,
    "expected": "text of letters, digits, dots, _ and -, that starts with a letter or a digit and "
    "goes into a path (up to 100 of them; put numbers in quotes)",
}
OBJECT = {"type": "object"}
TEXT = {"type": "string"}
NAMES = {"type": "array", "minItems": 1, "uniqueItems": True, "items": TEXT}


def option(
    meaning: str, default: Any = dataclasses.MISSING, example: Any = None, **rules: Any
) -> Any:
    """A field of a section: without a default it has to be given; None: it may be left out."""
    metadata = {"rules": rules, "description": meaning, "example": example}
    if isinstance(default, (dict, list)):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def schema_of(section: type) -> dict[str, Any]:
    """The JSON schema of a section, closed: no other keys are let in."""
    properties, required = {}, []
    for field in dataclasses.fields(section):
        rules = field.metadata["rules"]
        kind = TYPES.get(field.type) if not rules.keys() & {"enum", "anyOf", "type"} else None
        said = {"description": field.metadata["description"], "example": field.metadata["example"]}
        default = _default(field)
        if default is dataclasses.MISSING:
            required.append(field.name)
        else:
            said["default"] = list(default) if isinstance(default, tuple) else default
        given = {name: value for name, value in said.items() if value not in (None, "")}
        properties[field.name] = {**({"type": kind} if kind else {}), **rules, **given}
    return closed(properties, required)


def closed(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    """The JSON schema of an object with these keys and no others."""
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": required} if required else schema


def whole(properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object with each of these keys and no others."""
    return closed(properties, list(properties))


def _default(field: dataclasses.Field) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def either(several: list[dict[str, Any]]) -> dict[str, Any]:
    """Rules that let through what any of several does, in the words of the first."""
    words = {name: several[0][name] for name in WORDS if name in several[0]}
    rules = [{name: of for name, of in one.items() if name not in WORDS} for one in several]
    different = [one for number, one in enumerate(rules) if one not in rules[:number]]
    return several[0] if len(different) == 1 else {"anyOf": different, **words}


def refuse(problems: Iterator[str]) -> None:
    """InputError with all the problems, a line each, if there are any."""
    if found := list(problems):
        raise InputError("\n".join(found))


def filled(schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A checked object with the defaults of a schema where it says nothing, at all levels."""
    made = dict(given)
    for key, rules in schema.get("properties", {}).items():
        if key not in made and rules.get("default") is not None:
            made[key] = rules["default"]
        if key in made and "properties" in rules:
            made[key] = filled(rules, made[key])
    return made


def check(schema: dict[str, Any], value: object, place: str) -> Iterator[str]:
    """A sentence for each rule that a value breaks: where, what, what was expected."""
    several = [rules for rules in schema.get("anyOf", ()) if rules.get("type") in MANY]
    fitting = [rules for rules in several if _is(rules["type"], value)]
    if len(fitting) == 1:  # what is wrong within it is said, item by item
        schema = fitting[0]
    if "enum" in schema or "const" in schema or "anyOf" in schema:
        if not _let_through(schema, value):
            yield f"{place}: {value!r}, expected {expected(schema)}"
        return
    kind = schema.get("type")
    if kind and not _is(kind, value):
        needed = " and ".join(schema.get("required", []))
        wanted = f"one entry, with values for {needed}" if needed else KINDS[kind]
        yield f"{place}: {value!r}, expected {wanted}{_exponent(value, kind)}"
    elif isinstance(value, dict):
        yield from _check_keys(schema, value, place)
    elif isinstance(value, list | tuple):
        yield from _check_items(schema, list(value), place)
    elif not _let_through(schema, value):
        yield f"{place}: {value!r}, expected {expected(schema)}"


def _check_keys(schema: dict[str, Any], given: dict, place: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    unknown = sorted(str(key) for key in given if key not in known)
    if others is False and unknown:
        yield f"{place}: unknown keys {unknown}, expected some of {sorted(known)}" + "".join(
            f"; {key} may be {near}"
            for key in unknown
            for near in difflib.get_close_matches(key, known, n=1)
        )
    for key in schema.get("required", []):
        if key not in given:
            said = known[key].get("description")
            yield f"{place}: {key} is missing, expected {expected(known[key])}" + (
                f": {said}" if said else ""
            )
    if len(given) < (least := schema.get("minProperties", 0)):
        yield f"{place}: {sorted(given)}, expected {least} or more"
    for key, value in given.items():
        yield from check(schema.get("propertyNames", {}), key, place)
        rules = known.get(key, others if isinstance(others, dict) else {})
        yield from check(rules, value, f"{place}: {key}" if place != "config" else str(key))


def _check_items(schema: dict[str, Any], given: list, place: str) -> Iterator[str]:
    if len(given) < (least := schema.get("minItems", 0)):
        yield f"{place}: {given!r}, expected {least} or more"
    twice = [item for number, item in enumerate(given) if item in given[:number]]
    if schema.get("uniqueItems") and twice:
        yield f"{place}: {twice[0]!r} stands twice, expected each once"
    for number, item in enumerate(given, start=1):
        yield from check(schema.get("items", {}), item, f"{place}: {number}")


def _let_through(schema: dict[str, Any], value: Any) -> bool:
    """Do the rules that are not of keys and items let a value through?"""
    if "anyOf" in schema:
        return any(not list(check(rules, value, "")) for rules in schema["anyOf"])
    if "enum" in schema:  # True is no 1
        return any(value == one and type(value) is type(one) for one in schema["enum"])
    if "const" in schema:
        return value == schema["const"]
    if isinstance(value, str):
        fits = re.fullmatch(schema["pattern"], value) if "pattern" in schema else True
        return bool(fits) and schema.get("minLength", 0) <= len(value) <= schema.get(
            "maxLength", len(value)
        )
    if not _is("number", value):
        return True
    return (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
        and schema.get("exclusiveMinimum", -math.inf) < value
        and value < schema.get("exclusiveMaximum", math.inf)
    )


def _is(kind: str, value: object) -> bool:
    """Is a value of one of JSON's types? 2.0 is no whole number, and infinity is no number."""
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float):
        return kind == "number" and math.isfinite(value)
    types: dict[str, Any] = {
        "integer": int,
        "number": int,
        "string": str,
        "object": dict,
        "array": (list, tuple),
    }
    return isinstance(value, types.get(kind, ()))


def _exponent(value: object, kind: str) -> str:
    """What to write for a number such as 1e-4, which YAML takes for text."""
    match = re.fullmatch(r"([+-]?\d+)e([+-]?\d+)", str(value), re.IGNORECASE)
    if kind != "number" or not match:
        return ""
    return f"; YAML takes this for text, write {match[1]}.0e{match[2]}"


def expected(schema: dict[str, Any]) -> str:
    """What a schema lets through, in words: "a whole number from 1"."""
    if "expected" in schema:
        return schema["expected"]
    if "enum" in schema:
        return f"one of {schema['enum']}"
    if "anyOf" in schema:
        return ", or ".join(expected(rules) for rules in schema["anyOf"])
    if "type" not in schema:
        return "a value"
    kind = schema["type"]
    limits = [words.format(schema[rule]) for rule, words in LIMITS.items() if rule in schema]
    if limits:
        return ("a whole number " if kind == "integer" else "a number ") + ", ".join(limits)
    if kind == "string" and schema.get("minLength"):
        return "text that is not empty"
    return KINDS[kind]
