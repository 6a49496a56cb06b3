"""By which encoder features were made: no model mixes, and none is shown, those of another."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from labelmer.base.description import FACTS
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged


def origin(file: Ragged) -> dict[str, str]:
    """By what a ragged file of features was made, and how wide a row is: {fact: text}."""
    facts = {name: str(file.attrs[name]) for name in FACTS}
    return {**facts, "width": str(file.values.shape[-1])}


def opened(paths: Iterable[Path | str]) -> list[Ragged]:
    """The feature files of one modality; InputError unless one encoder made them all."""
    files = [Ragged(path) for path in paths]
    for file in files[1:]:
        check_origin(file, origin(files[0]), f"as in {files[0].path}")
    return files


def check_origin(file: Ragged, expected: Mapping[str, str], where: str) -> None:
    """InputError if a file of features differs from what is expected of its origin().

    where: the end of "expected 'x' ...".
    """
    found = origin(file)
    for fact, value in expected.items():
        if found[fact] != value:
            raise InputError(
                f"{file.path}: {fact} is '{found[fact]}', expected '{value}' {where}; give the "
                "features by one encoder alone, or extract them anew"
            )
