"""Digests that decide what must run again: of configuration, of code, of content, of places.

A digest of code covers what can change a result, in a module and in every labelmer module that it
imports: so not comments, layout, docstrings, type hints, the words of errors and of log lines, nor
the modules that only carry (CARRIERS). It is of the syntax tree, written down here by rules that
are the same in every version of Python. A registry loads its modules by name, so that none of them
is in the digest of what uses another.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
# How a stage is called, what it lets through, how it fails, tells, waits and writes its files
# changes no result.
CARRIERS = {
    f"base.{name}" for name in ("errors", "files", "lock", "log", "options", "progress", "stage")
}


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_key(*parts: Any) -> bytes:
    """32-byte digest of a sequence of strings and bytes-like parts, each with its length."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode() if isinstance(part, str) else memoryview(part).cast("B")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def places_digest(paths: Iterable[Path | str]) -> str:
    """Digest of files by their names, sizes and times, and by the links on the way to them.

    For files of gigabytes, whose content takes too long to read. A file that is not there counts
    as such. A link counts by its own text: a folder that is moved with all it holds stays the same.
    """
    files = [Path(name) for name in sorted(set(map(str, paths)))]
    folders = {file.parent for file in files}
    above = {place for folder in folders for place in (folder, *folder.parents)}
    facts: list[tuple] = [(str(file), *_size_and_time(file)) for file in files]
    facts += [(str(link), str(link.readlink())) for link in sorted(_links({*files, *above}))]
    return content_key(canonical_json(facts)).hex()


def _links(places: Iterable[Path]) -> set[Path]:
    """Those of the places that are links, and all links that stand on the way to their targets."""
    found: set[Path] = set()
    new = {place for place in places if place.is_symlink()}
    while new:
        found |= new
        targets = [link.parent / link.readlink() for link in new]
        ways = {place for target in targets for place in (target, *target.parents)}
        new = {place for place in ways - found if place.is_symlink()}
    return found


def _size_and_time(path: Path) -> tuple[int | None, int | None]:
    try:
        found = path.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


@functools.cache
def code_digest(module: str, package: Path = PACKAGE) -> str:
    """Digest (16 hexadecimal digits) of a module's code and of what it imports from the package.

    module: its dotted name within the package, such as models.train. A file beside a module that
    bears its name, such as a template, is part of it.
    """
    modules = _closure(module, package)
    code = {name: _read(name, package)[1] for name in modules}
    beside = [path for name in modules for path in _beside(_sources(name, package)[0])]
    code |= {path.name: file_digest(path) for path in beside}
    return hashlib.sha256(canonical_json(code).encode()).hexdigest()[:16]


def imported_modules(module: str, package: Path = PACKAGE) -> set[str]:
    """Dotted names of the package's modules that a module imports, at the top or in functions."""
    return _read(module, package)[0]


@functools.cache
def _read(module: str, package: Path) -> tuple[set[str], str]:
    """What a module imports, and the digest of its code alone.

    Both at once, so that no tree is kept: Python's garbage collection goes through all that is.
    """
    tree = ast.parse(_sources(module, package)[0].read_text(encoding="utf-8"))
    own = hashlib.sha256(canonical_json(essence(tree)).encode()).hexdigest()
    return _imports(tree, module, package), own


def _imports(tree: ast.Module, module: str, package: Path) -> set[str]:
    above = [package.name, *module.split(".")]  # of what `from . import` means
    if _sources(module, package)[0].name == "__init__.py":
        above.append("")
    names = set()
    waiting: list[ast.AST] = [tree]
    while waiting:  # through statements alone: ast.walk goes through each expression, too
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom):
            start = ".".join(above[: -node.level]) if node.level else ""
            source = ".".join(filter(None, (start, node.module)))
            names.update({source, *(f"{source}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, field, None)
            waiting += inner if isinstance(inner, list) else []  # a lambda's is an expression
    prefix = f"{package.name}."
    own = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name for name in own if _sources(name, package)}


@functools.cache
def _sources(module: str, package: Path) -> list[Path]:
    """The file of a module or of a folder of modules; empty where there is none."""
    place = package.joinpath(*module.split("."))
    return [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()]


@functools.cache
def _beside(source: Path) -> list[Path]:
    """The files beside a module's that bear its name and are no code."""
    files = source.parent.glob(f"{source.stem}.*")
    return sorted(path for path in files if not path.suffix.startswith(".py"))


def _closure(module: str, package: Path) -> list[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen | CARRIERS:
            seen.add(name)
            waiting.extend(imported_modules(name, package))
    return sorted(seen)


def essence(node: object) -> object:
    """A syntax tree as nested lists, without what cannot change a result."""
    if isinstance(node, list):
        return [essence(part) for part in node if not _only_tells(part)]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Constant):
        return [type(node.value).__name__, ascii(node.value)]
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ["Raise", essence(node.exc.func)]  # what it says does not count
    if isinstance(node, ast.Call) and _name(node.func) == "Progress":
        return ["Call", "Progress"]
    if isinstance(node, ast.Dict):
        node = ast.Dict(*_without_words(node))
    fields = {name: getattr(node, name, None) for name in _counted(node._fields)}
    if isinstance(node, ast.JoinedStr):
        fields["values"] = _joined(node.values)
    elif isinstance(node, ast.Call) and _name(node.func) == "add_argument":
        fields["keywords"] = [word for word in node.keywords if word.arg not in ("help", "metavar")]
    elif isinstance(node, ast.Call) and _name(node.func) == "option":
        fields["args"] = node.args[1:2]  # its default, between its meaning and an example
        fields["keywords"] = [word for word in node.keywords if word.arg not in OF_OPTIONS]
    elif isinstance(node, ast.Assert):
        fields["msg"] = None
    # Later versions of Python have more fields, empty in older sources.
    given = [[name, essence(value)] for name, value in fields.items() if value not in (None, [])]
    return [type(node).__name__, *given]


# Fields of hints, of how a text was written and of what a name is used for.
UNCOUNTED = {"annotation", "returns", "type_comment", "type_params", "type_ignores", "kind", "ctx"}
UNCOUNTED |= {"simple"}


@functools.cache
def _counted(fields: tuple[str, ...]) -> list[str]:
    """Those of a node's fields that count, in alphabetical order."""
    return sorted(set(fields) - UNCOUNTED)


OF_OPTIONS = ("description", "example", "expected")  # words of base/options.py


def _without_words(node: ast.Dict) -> tuple[list, list]:
    """Keys and values of a dict, but for the words of an option where it is one."""
    names = [getattr(key, "value", None) for key in node.keys]
    if not {"description", "default"} <= set(names):
        return node.keys, node.values
    kept = [number for number, name in enumerate(names) if name not in OF_OPTIONS]
    return [node.keys[number] for number in kept], [node.values[number] for number in kept]


def _only_tells(node: object) -> bool:
    """Is a statement a text alone, as docstrings are, a log line, or a type?"""
    if not isinstance(node, ast.Expr):
        return type(node).__name__ == "TypeAlias"  # Python 3.12 and later
    value = node.value
    if isinstance(value, ast.Constant):
        return isinstance(value.value, str)
    if not (isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute)):
        return False
    return _name(value.func.value) == "log"


def _name(node: ast.AST) -> str | None:
    """The last name of `a` or `b.a`, or None."""
    return getattr(node, "attr", getattr(node, "id", None))


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, neighbouring texts as one: how Python cuts them has changed."""
    parts = []
    for value in values:
        if not isinstance(value, ast.Constant):
            parts.append(value)
        elif parts and isinstance(parts[-1], ast.Constant):
            parts[-1] = ast.Constant(str(parts[-1].value) + str(value.value))
        elif value.value:
            parts.append(value)
    return parts
