"""Digests that decide what must run again: of configuration, of code, of content, of places.

A digest of code covers the syntax trees of a module and of every labelmer module that it
imports, without comments and docstrings. Reformatting, commenting, touching or moving a file
changes nothing; a real edit does.
"""

import ast
import functools
import hashlib
import json
from pathlib import Path

PACKAGE = Path(__file__).parent


def canonical_json(value):
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_key(*parts):
    """32-byte digest of a sequence of strings and bytes-like parts, each with its length."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        data = part.encode() if isinstance(part, str) else memoryview(part).cast("B")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def file_digest(path):
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def places_digest(paths):
    """Digest of files by their names, sizes and times, and by the links on the way to them.

    For files of gigabytes, whose content takes too long to read. A file that is not there counts
    as such. A link counts by its own text: a folder that is moved with all it holds stays the same.
    """
    files = [Path(name) for name in sorted(set(map(str, paths)))]
    folders = {file.parent for file in files}
    above = {place for folder in folders for place in (folder, *folder.parents)}
    links = sorted(place for place in {*files, *above} if place.is_symlink())
    facts = [(str(file), *_size_and_time(file)) for file in files]
    facts += [(str(link), str(link.readlink())) for link in links]
    return content_key(canonical_json(facts)).hex()


def _size_and_time(path):
    try:
        found = path.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


@functools.cache
def code_digest(module, package=PACKAGE):
    """Digest (16 hexadecimal digits) of a module's code and of what it imports from the package."""
    trees = {name: ast.unparse(_bare_tree(name, package)) for name in _closure(module, package)}
    return hashlib.sha256(canonical_json(trees).encode()).hexdigest()[:16]


def imported_modules(module, package=PACKAGE):
    """Names of the package's modules that a module imports, at the top or inside functions."""
    prefix, names = f"{package.name}.", set()
    for node in ast.walk(_tree(module, package)):
        if isinstance(node, ast.ImportFrom):
            source = f"{prefix}{node.module or ''}".rstrip(".") if node.level else node.module
            inside = source == package.name
            names.update({prefix + alias.name for alias in node.names} if inside else {source})
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    own = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return {name for name in own if (package / f"{name}.py").exists()}


def _closure(module, package):
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(imported_modules(name, package))
    return sorted(seen)


@functools.cache
def _tree(module, package):
    return ast.parse((package / f"{module}.py").read_text(encoding="utf-8"))


def _bare_tree(module, package):
    tree = ast.parse(ast.unparse(_tree(module, package)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_string(body[0]):
            body[:1] = [] if len(body) > 1 else [ast.Pass()]
    return tree


def _is_string(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
