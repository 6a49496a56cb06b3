"""digest: a code digest sees edits and nothing else; content keys tell contents apart."""

import ast
import hashlib
import os
import shutil
import sys

import numpy as np
import pytest

from labelmer.base.digest import (
    PACKAGE,
    canonical_json,
    code_digest,
    content_key,
    essence,
    file_digest,
    imported_modules,
    places_digest,
)

STAGE = '''"""A stage."""

import json

from toy import helper
from toy.tools import tool


def main(x, y=(1, 2)):
    """Say it."""
    from toy import late

    return helper.help(tool(x), late, f"{y}", json)
'''


@pytest.fixture
def digest(tmp_path):
    """digest(file=source, ...): the digest of `stage` in a package with these files replaced."""
    versions = iter(range(99))

    def make(**sources):
        package = tmp_path / str(next(versions)) / "toy"
        package.mkdir(parents=True)
        files = {
            "stage": STAGE,
            "helper": "from toy import deep\n\n\ndef help(*x):\n    return deep.ANSWER\n",
            "tools": "def tool(x):\n    return x\n",
            "late": "LATE = 1\n",
            "deep": "ANSWER = 42\n",
            "other": "UNUSED = 1\n",
        }
        for name, source in (files | sources).items():
            (package / f"{name}.py").write_text(source)
        return code_digest("stage", package)

    return make


def test_comments_docstrings_and_layout_change_nothing(digest):
    restyled = (
        STAGE.replace('"""A stage."""', '"""Another text."""')
        .replace('    """Say it."""\n', "    # why\n\n")
        .replace("y=(1, 2)", "y=(\n        1,\n        2,\n    )")
        .replace('f"{y}"', "f'{y}'")
    )
    assert digest(stage=restyled) == digest()


def test_an_edit_changes_the_digest(digest):
    edits = {
        "stage": STAGE.replace("1, 2", "1, 3"),
        "helper": "from toy import deep\n\n\ndef help(*x):\n    return -deep.ANSWER\n",
        "tools": "def tool(x):\n    return x or 0\n",
        "late": "LATE = 2\n",  # imported inside a function
        "deep": "ANSWER = 43\n",  # imported by what the stage imports
    }
    digests = {digest(**{name: source}) for name, source in edits.items()}
    assert len(digests | {digest()}) == 1 + len(edits)


TOLD = """
from toy.base.log import log
from toy.base.progress import Progress


def check(value, parser):
    log.info("looking at %s", value)
    parser.add_argument("--size", type=int, default=3, metavar="N", help="how many")
    with Progress("checks", 1, "items"):
        if value < 0:
            raise ValueError(f"{value}: expected more than 0; correct it") from None
    assert value, "nothing"
    return value
"""


@pytest.mark.parametrize(
    "before, after, counts",
    [
        ('log.info("looking at %s", value)', "pass", True),  # a statement goes, nothing comes
        ('    log.info("looking at %s", value)\n', "", False),
        ('"looking at %s"', '"seeing %s"', False),
        ("expected more than 0; correct it", "above 0, please", False),
        ("ValueError(", "OSError(", True),
        ('"checks", 1, "items"', '"tests", 2, "things"', False),
        ('metavar="N", help="how many"', 'help="so many"', False),
        ("default=3", "default=4", True),
        (', "nothing"', "", False),
        ("value < 0", "value < 1", True),
        ("value, parser)", "value: int, parser: object = None) -> int", True),  # a default
        ("value, parser)", "value: int, parser: object) -> int", False),
        ("    return value\n", "    size: int = 3\n    return value\n", True),
    ],
)
def test_what_is_said_of_errors_and_progress_and_types_does_not_count(
    digest, before, after, counts
):
    assert before in TOLD
    assert (digest(late=TOLD) != digest(late=TOLD.replace(before, after))) is counts


def test_what_only_carries_does_not_count(tmp_path):
    def made(name, log, tables):
        package = tmp_path / name / "toy"
        (package / "base").mkdir(parents=True)
        (package / "stage.py").write_text("from toy.base import log, tables\n")
        (package / "base" / "__init__.py").write_text("")
        (package / "base" / "log.py").write_text(log)
        (package / "base" / "tables.py").write_text(tables)
        return code_digest("stage", package)

    assert made("a", "A = 1\n", "B = 1\n") == made("b", "A = 2\n", "B = 1\n")
    assert made("c", "A = 1\n", "B = 1\n") != made("d", "A = 1\n", "B = 2\n")


VERSIONED = r"""
def shown(value, width=3):
    match value:
        case {"name": str(name), **rest} if rest:
            return f"{name!r:>{width}} {rest=}" f"{1.5e300:e}" "\u00e4\U0001fae8"
        case [first, *_] | (first,):
            return f"{first:%Y-%m}"
        case _:
            return lambda x, /, *, y=0x10: (x, y, 1_000j, b"\x00", ...)
"""


def test_a_digest_is_the_same_on_every_python(tmp_path):
    """The stored one is of Python 3.11; 3.12 cut f-strings otherwise and has type parameters."""
    package = tmp_path / "toy"
    package.mkdir()
    (package / "stage.py").write_text(VERSIONED)
    assert code_digest("stage", package) == "46ee626769408cda"
    if sys.version_info >= (3, 12):
        later = VERSIONED.replace("shown(", "shown[T: int](").replace("def ", "type A = int\ndef ")
        (package / "later.py").write_text(later)
        assert essence(ast.parse(later)) == essence(ast.parse(VERSIONED))


def test_a_text_that_is_no_docstring_counts(digest):
    assert digest(late="LATE = 'a'\n") != digest(late="LATE = 'b'\n")


def test_an_edit_in_a_module_that_is_not_imported_changes_nothing(digest):
    assert digest(other="UNUSED = 2\n") == digest()


def test_moving_and_touching_change_nothing(digest, tmp_path):
    before = digest()
    shutil.copytree(tmp_path / "0" / "toy", tmp_path / "elsewhere" / "toy")
    os.utime(tmp_path / "elsewhere" / "toy" / "stage.py", (1, 1))
    assert code_digest("stage", tmp_path / "elsewhere" / "toy") == before


def test_imports_that_go_in_a_circle_end(digest):
    assert digest(deep="from toy import stage\nANSWER = 42\n") != digest()


def test_every_way_of_importing_is_seen(digest, tmp_path):
    digest(stage="import toy.deep\nfrom toy import helper, late\nfrom toy.tools import tool\n")
    found = imported_modules("stage", tmp_path / "0" / "toy")
    assert found == {"deep", "helper", "late", "tools"}
    digest(stage="from . import deep, late\nfrom .tools import tool\n")
    assert imported_modules("stage", tmp_path / "1" / "toy") == {"deep", "late", "tools"}


def test_a_module_of_another_package_with_the_same_name_is_another_one(digest, tmp_path):
    digest(stage="import deep\nfrom helper import help\nfrom other.late import LATE\n")
    assert imported_modules("stage", tmp_path / "0" / "toy") == set()


def test_the_house_itself_is_followed_through_its_layers():
    found = imported_modules("corpus.segment")
    assert {"corpus.audio", "corpus.readers", "base.tables", "base.ragged"} <= found
    assert code_digest("corpus.segment") != code_digest("corpus.labels")


def test_canonical_json_does_not_depend_on_order():
    assert canonical_json({"b": [1, {"d": 1, "c": "ä"}], "a": None}) == (
        '{"a":null,"b":[1,{"c":"ä","d":1}]}'
    )
    assert canonical_json({"a": [1, 2]}) != canonical_json({"a": [2, 1]})


def test_the_parts_of_a_content_key_cannot_run_together():
    keys = [content_key(*p) for p in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["c", "ab"])]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 32 for key in keys)


def test_a_content_key_is_of_the_bytes():
    samples = np.arange(6, dtype=np.int16)
    assert content_key(samples) == content_key(samples.tobytes()) == content_key(samples.copy())
    samples[5] = 0
    assert content_key(samples) != content_key(np.arange(6, dtype=np.int16))
    assert content_key("ä") == content_key("ä".encode())


def test_file_digest_is_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert file_digest(tmp_path / "f") == hashlib.sha256(b"x" * 100).hexdigest()


def test_places_are_told_apart_by_size_time_and_link_and_not_by_content(tmp_path, monkeypatch):
    for folder, text in (("v1", "one"), ("v2", "two")):
        (tmp_path / folder).mkdir()
        for name in "ab":
            (tmp_path / folder / name).write_text(text)
            os.utime(tmp_path / folder / name, (1, 1))
    (tmp_path / "corpus").symlink_to("v1")
    monkeypatch.chdir(tmp_path)
    paths = ["corpus/b", "corpus/a", "corpus/a", "corpus/none"]
    before = places_digest(paths)
    assert before == places_digest(sorted(paths)) != places_digest(paths[:2])
    (tmp_path / "v1" / "a").write_text("six")
    os.utime(tmp_path / "v1" / "a", (1, 1))
    assert places_digest(paths) == before
    os.utime(tmp_path / "v1" / "a", (1, 2))
    later = places_digest(paths)
    (tmp_path / "v1" / "none").write_text("")
    assert len({before, later, places_digest(paths)}) == 3
    shutil.copytree(tmp_path, tmp_path / "elsewhere", symlinks=True)
    now = places_digest(paths)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert places_digest(paths) == now
    (tmp_path / "elsewhere" / "corpus").unlink()
    (tmp_path / "elsewhere" / "corpus").symlink_to("v2")
    (tmp_path / "elsewhere" / "v2" / "none").write_bytes(b"")
    shutil.copystat("v1/a", "v2/a")
    shutil.copystat("v1/none", "v2/none")
    assert places_digest(paths) != now


def test_a_link_is_followed_to_what_it_leads_to(tmp_path, monkeypatch):
    for folder in ("v1", "v2"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "a").write_text("six")
        os.utime(tmp_path / folder / "sub" / "a", (1, 1))
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "corpus").symlink_to(tmp_path / "current" / "sub")
    (tmp_path / "round").symlink_to("round")
    monkeypatch.chdir(tmp_path)
    before = places_digest(["corpus/a", "round"])
    assert places_digest(["corpus/a", "round"]) == before
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("v2")
    assert places_digest(["corpus/a", "round"]) != before


def test_the_words_of_an_option_do_not_count_and_its_rules_do(digest):
    field = 'x: int = option("how many", 4, 8, minimum=1)\n'
    told = (
        'OPTIONS = {"x": {"description": "how many", "default": 4, "minimum": 1, "example": 8}}\n'
    )
    before = digest(helper=field + told)
    words = field.replace("how many", "how often").replace(" 8,", " 9,")
    assert digest(helper=words + told) == before
    assert digest(helper=field + told.replace("how many", "how often")) == before
    for changed in (field.replace("4", "5"), field.replace("minimum=1", "minimum=2")):
        assert digest(helper=changed + told) != before
    for rule in ('"default": 4', '"minimum": 1'):
        assert digest(helper=field + told.replace(rule, rule[:-1] + "7")) != before
    assert digest(helper='x = {"expected": 1}\n') != digest(helper='x = {"expected": 2}\n')


@pytest.mark.parametrize(
    "stage, section",
    [("features.extract", "features.finetuning"), ("models.evaluate", "models.training")],
)
def test_the_options_of_a_section_are_in_the_digest_of_the_stages_that_read_it_alone(
    stage, section, tmp_path
):
    package = tmp_path / "labelmer"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    path = package.joinpath(*section.split(".")).with_suffix(".py")
    path.write_text(path.read_text().replace("0.01, 0.0, minimum=0", "0.02, 0.0, minimum=0"))
    reader = section.replace("finetuning", "finetune").replace("training", "train")
    assert code_digest(stage, package) == code_digest(stage)
    assert code_digest(reader, package) != code_digest(reader)
