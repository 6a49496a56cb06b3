"""JSON files: read, and held against what has to stand in them."""

import json
import os
from pathlib import Path
from typing import Any

from labelmer.base.errors import InputError
from labelmer.base.options import check


def read(path: Path, rules: dict[str, Any], remedy: str, form: int | None = None) -> dict[str, Any]:
    """The object in a JSON file.

    rules: its schema, as base/options.py has them; form: its `format`, where it has one; remedy:
    what to do where it is not as it was written.

    InputError: it cannot be read, is no object, is of another format, or breaks the rules.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise InputError(
            f"{path}: may not be read ({error.strerror}); let it be read, and run again; the file "
            "itself was left as it is"
        ) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(f"{path}: cannot be read ({reason}); {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read, no whole JSON ({error}); {remedy}") from None
    if form is not None and isinstance(found, dict) and (had := found.get("format")) != form:
        if isinstance(had, int) and had < form:
            then = "an older labelmer wrote it: make its folder anew with this one"
        else:
            then = f"update labelmer if a newer one wrote it, or {remedy}"
        raise InputError(f"{path}: format {had!r}, expected {form}; {then}")
    if problems := list(check(rules, found, str(path))):
        raise InputError("\n".join(f"{problem}; {remedy}" for problem in problems))
    return found
