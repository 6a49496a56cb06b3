"""Literals that modules declare, read without running the modules."""

import ast
from pathlib import Path
from typing import Any


def declared(folder: Path, name: str) -> dict[str, Any]:
    """{module: value} of the modules of a folder that assign a literal to a name, sorted."""
    return {
        path.stem: ast.literal_eval(node.value)
        for path in sorted(folder.glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name
    }
