"""The options and recipes, for people: the schema that editors read, and the tables of the docs.

labelmer options REPOSITORY    writes them anew; the tests hold them equal to the code
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from labelmer.base import options
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.stage import command, parse, stage_parser
from labelmer.config.sections import schema, sections
from labelmer.corpus import recipes
from labelmer.models import architectures

SCHEMA = Path("workflow/schemas/config.schema.yaml")
PAGE = Path("docs/configuration.md")
CORPORA = Path("docs/corpora.md")
MARKED = re.compile(r"<!-- options: (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def schema_text() -> str:
    """The schema of config.yaml, as YAML."""
    head = "# Made by `labelmer options .` from the options in the code. For editors.\n"
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "config.yaml of labelmer",
        **_standard(schema()),
    }
    return head + yaml.dump(whole, sort_keys=False, width=100, Dumper=_Plain)


class _Plain(yaml.SafeDumper):
    """YAML without anchors and aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _standard(rules: Any) -> Any:
    """Rules in JSON schema's own words alone."""
    if isinstance(rules, list | tuple):
        return [_standard(part) for part in rules]
    if not isinstance(rules, dict):
        return rules
    said = {key: _standard(of) for key, of in rules.items() if key not in ("expected", "example")}
    if "properties" in rules:  # keys, and no words of JSON schema
        said["properties"] = {key: _standard(of) for key, of in rules["properties"].items()}
    if "example" in rules:
        said["examples"] = [rules["example"]]
    return said


def page_text(page: str) -> str:
    """The page with its tables made anew: what stands between the marks."""
    tables = {name: "\n".join(table(part)) for name, part in sections().items()}
    tables["architectures"] = "\n".join(architectures_table())
    tables["recipes"] = "\n".join(recipes_table(recipes.table()))
    tables["trees"] = "\n".join(recipes_table(recipes.trees()))

    def made(mark: re.Match) -> str:
        return f"<!-- options: {mark[1]} -->\n{tables[mark[1]]}\n<!-- end -->"

    return MARKED.sub(made, page)


def architectures_table() -> list[str]:
    """The lines of a table of the keys that each architecture has."""
    lines = ["| architecture | keys |", "|---|---|"]
    for name in architectures.names():
        keys = architectures.module(name).Options.names()
        lines.append(f"| `{name}` | {', '.join(f'`{key}`' for key in keys)} |")
    return lines


def recipes_table(table: list[list[str]]) -> list[str]:
    """The lines of a table of the public corpora that there are recipes for. table: its rows."""
    header, *rows = table
    lines = [header, ["---"] * len(header), *([f"`{name}`", *row] for name, *row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def table(schema: dict[str, Any]) -> list[str]:
    """The lines of a Markdown table of an object's keys."""
    lines = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    for key, rules in schema["properties"].items():
        needed = key in schema.get("required", [])
        default = "required" if needed else _code(rules["default"]) if "default" in rules else ""
        example = _code(rules["example"]) if "example" in rules else ""
        meaning = rules.get("description", "")
        lines.append(f"| `{key}` | {_type(rules)} | {default} | {meaning} | {example} |")
    return lines


def _type(schema: dict[str, Any]) -> str:
    """The words of a cell for what a key takes."""
    if "enum" in schema:
        return ", ".join(_code(value) for value in schema["enum"])
    if schema.get("type") == "array":
        least = f", {schema['minItems']} or more" if schema.get("minItems", 1) > 1 else ""
        return f"list of {_type(schema['items'])}{least}"
    if schema.get("pattern") == options.NAME["pattern"]:
        return "name"
    if "properties" in schema:
        parts = schema["properties"].items()
        return "; ".join(f"{_code(key)}: {_type(rules)}" for key, rules in parts)
    if "anyOf" in schema and "expected" not in schema:
        return ", or ".join(_type(rules) for rules in schema["anyOf"])
    words = re.sub(r" \(.*?\)", "", options.expected(schema)).removeprefix("a ")
    return words.partition(", without")[0].removesuffix(" that is not empty")


def _code(value: object) -> str:
    """A value as YAML has it, as code."""
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {json.dumps(of)[1:-1]}" for key, of in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(map(str, value)) + "]"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float) and 0 < value < 0.01:
        text = re.sub(r"^(\d)e-0", r"\1.0e-", f"{value:e}".replace("000000", "").replace(".e", "e"))
    else:
        text = str(value)
    return f"`{text}`"


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Write schema and tables anew."""
    parser = stage_parser(__doc__)
    parser.add_argument("repository", type=Path)
    args = parse(parser, argv)
    pages = [args.repository / page for page in (PAGE, CORPORA)]
    for page in pages:
        if not page.exists():
            raise InputError(
                f"{page}: there is no such file; expected the folder of labelmer's sources"
            )
    write_atomically(args.repository / SCHEMA, schema_text())
    for page in pages:
        write_atomically(page, page_text(page.read_text(encoding="utf-8")))
