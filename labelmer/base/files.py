"""Files that are written whole or not at all, and folders that may be replaced."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labelmer.base.errors import InputError, of_the_disk

ROOM = "make room there, correct its permissions, or give another place"


@contextmanager
def writing(path: Path | str, remedy: str = ROOM) -> Iterator[None]:
    """What the operating system says against writing a path, as an InputError."""
    try:
        yield
    except OSError as error:
        place = error.filename2 or error.filename
        where = f", {place}" if place and str(place) != str(path) else ""
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be written ({reason}{where}); {remedy}") from error
    except Exception as error:
        if isinstance(error, InputError) or not of_the_disk(error):
            raise
        raise InputError(f"{path}: cannot be written ({error}); {remedy}") from error


def refuse_unwritable(path: Path | str, remedy: str = ROOM) -> None:
    """InputError unless a file can be made at a path, with the folders above it; makes none."""
    with writing(path, remedy):
        folder = next(above for above in Path(path).absolute().parents if above.exists())
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write text or bytes to path through a part file beside it: nobody sees half a file.

    InputError: the disk refuses to be written; what was there before is whole then.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends, as an editor numbers them.

    str.splitlines() also parts them at U+0085, U+2028, form feeds and others, which stand in words.
    """
    return re.split(r"\r\n|\r|\n", text)


def leaves(path: str) -> bool:
    """Does a path that is given as one below a folder lead out of it?"""
    return Path(path).is_absolute() or ".." in Path(path).parts


def refuse_loss(path: Path, what: str, is_ours: Callable[[Path], bool]) -> None:
    """InputError if a file stands at a path that is not `what`, and that writing would replace."""
    if path.is_file() and path.stat().st_size and not is_ours(path):
        raise InputError(
            f"{path}: is there and no {what}, and would be lost; give another name, or move it away"
        )


def refuse_foreign(
    folder: Path | str, mark: str = "source.json", what: str = "an encoder's folder"
) -> None:
    """InputError if a path that would be replaced is something else than `what`.

    mark: the file by which such a folder is known.
    """
    folder = Path(folder)
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: a file, expected {what}, or nothing; give another name")
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {".snakemake_timestamp"} and mark not in names:
        raise InputError(
            f"{folder}: a folder with {sorted(names)[0]} and no {mark}, expected {what}, or none: "
            "it would be replaced; give another folder"
        )
