"""A corpus of one's own whose paths say who speaks and how: a pattern of them -> rows."""

import re

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.base.tables import PARTS
from labelmer.corpus.readers.manifest import COLUMNS, FURTHER
from labelmer.corpus.recipes import Facts
from labelmer.corpus.release import Release

NEEDED = ("speaker", "label")
FIELDS = sorted({*COLUMNS, *FURTHER} - {"path", "start", "end"})  # a file is a clip as a whole
PIECE = re.compile(r"\{(?P<field>[^{}]*)\}|(?P<stars>\*+)|(?P<plain>[^{}*]+)|(?P<stray>[{}])")


def expression(pattern: str) -> re.Pattern:
    """What a path pattern lets through: {field} and * within a name, ** across folders.

    Each is as short as the rest lets it be. InputError: a field that no manifest has, twice the
    same one, a brace that stands alone, no speaker or label.
    """
    made, fields = "", set()
    for piece in PIECE.finditer(pattern):
        if field := piece["field"]:
            if field not in FIELDS:
                raise _wrong(pattern, f"the field '{field}'{names.meant(field, FIELDS)}")
            if field in fields:
                raise _wrong(pattern, f"the field '{field}' twice")
            fields.add(field)
            made += f"(?P<{field}>[^/]+?)"
        elif piece["stars"]:
            made += "[^/]*?" if piece["stars"] == "*" else ".*?"
        elif piece["plain"]:
            made += re.escape(piece["plain"])
        else:
            raise _wrong(pattern, "a brace that stands alone or a field without a name")
    for field in NEEDED:
        if field not in fields:
            raise _wrong(pattern, f"no field '{field}'")
    return re.compile(made)


def _wrong(pattern: str, what: str) -> InputError:
    return InputError(
        f"--path-pattern '{pattern}': it has {what}; expected a path below ROOT with {{speaker}}, "
        f"{{label}} and, where wanted, others of {FIELDS}, such as '{{speaker}}/{{label}}_*.wav'"
    )


def read(release: Release, pattern: str) -> None:
    """Each file whose path fits is a clip; its id is its path, unless the pattern has one."""
    fits = expression(pattern)
    for path in release.files:
        if match := fits.fullmatch(path):
            cells = match.groupdict()
            blank = [field for field in NEEDED if not cells[field].strip()]
            if blank:
                release.leave(path, f"its {blank[0]} is blank")
            elif cells.get("part", PARTS[0]) not in PARTS:
                release.leave(path, f"its part is '{cells['part']}', expected one of {PARTS}")
            else:
                release.take(path, **{"id": path, **cells})


def facts(release: Release, title: str, looks: str) -> Facts:
    """What such a corpus shows of itself."""
    official = any("part" in row for row in release.rows)
    return Facts(
        title=title,
        language="English",
        licence="yours to say",
        where="a corpus of your own",
        looks=looks,
        classes=classes({row["label"] for row in release.rows}),
        clips="",
        speakers="",
        folds={"hold_out": "part"} if official else {"hold_out": "speakers", "folds": 5},
        advice=("The encoders below are of English: choose others for another language.",),
        words=any(row["text"] for row in release.rows),
    )


def classes(labels: set[str]) -> dict[str, tuple[list[str], str]]:
    """A class for each label, spellings together; its name is one, as far as a name can be it."""
    made: dict[str, tuple[list[str], str]] = {}
    for number, label in enumerate(sorted(labels), 1):
        name = name_of(label) or f"class{number}"
        spelt = [codes for codes, first in made.values() if names.like(label, [first])]
        if spelt:
            spelt[0].append(label)
        else:
            taken = name in made or names.like(name, made)
            made[f"{name}.{number}" if taken else name] = ([label], label)
    return made


def name_of(text: str) -> str:
    """What of a text may stand in the name of a corpus or a class."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")
