"""Files that are written whole or not at all, and folders that may be replaced."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelmer.base.errors import InputError


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write text or bytes to path through a part file beside it: nobody sees half a file.

    InputError: the operating system refuses; path stays as it was.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def written(path: Path | str) -> Iterator[None]:
    """What the operating system says against writing a path, as an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); make room there, or correct "
            "its permissions; what was there before is whole"
        ) from error


def leaves(path: str) -> bool:
    """Does a path that is given as one below a folder lead out of it?"""
    return Path(path).is_absolute() or ".." in Path(path).parts


def refuse_foreign(
    folder: Path | str, mark: str = "source.json", what: str = "an encoder's folder"
) -> None:
    """InputError if a path that would be replaced is something else than `what`.

    mark: the file by which such a folder is known.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, expected {what}, or nothing; give another name")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {".snakemake_timestamp"} and mark not in names:
        raise InputError(
            f"{folder}: a folder with {sorted(names)[0]} and no {mark}, expected {what}, or none: "
            "it would be replaced; give another folder"
        )
