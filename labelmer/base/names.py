"""When two names are one: case, Unicode form, width, blanks and what is not seen do not count, nor
does which dash or apostrophe it is, of which script a digit, which keyboard's an Arabic letter, of
which script a capital that looks the same in two, or the zeros around a number.

Unicode Standard Annex 15 (normalisation forms), section 3.13 (caseless matching) and 5.21
(characters that are ignored in display).
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

UNSEEN_KINDS = ("Cc", "Cf")  # control and format characters
# Not seen either: combining grapheme joiner, Hangul fillers, Khmer
# inherent vowels, Mongolian and other variation selectors, the blank of Braille.
UNSEEN = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164}
UNSEEN |= {0xFFA0, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
# Word processors write others than keyboards do.
APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʻʹ′`´＇՚׳ꞌꞋ"), "'")
# Letters that Arabic, Persian and Urdu keyboards write for each other; alef with and without hamza.
# Source: the ArabicNormalizer and PersianNormalizer of Apache Lucene.
ALIKE = str.maketrans("أإآٱيىكةۀہۂ", "ااااییکهههه")
# Scripts whose marks (vowel points) may as well be left out, by how their Unicode names begin.
POINTED = ("ARABIC ", "HEBREW ")
TATWEEL = "\N{ARABIC TATWEEL}"  # stretches a word
# Capitals of Cyrillic and Greek that nobody tells from those of ASCII.
# Source: Unicode Technical Standard 39, confusables.
LOOKS = str.maketrans("АВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABESIJKMHOPCTYXABEZHIKMNOPTYX")
# Spreadsheets take the zeros before a number away, and pandas adds some behind it.
NUMBER = re.compile(r"0*(\d+?)(?:\.0+)?")
DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63, 0xFF0D], "-")


def key(name: str) -> str:
    """What all spellings of a name share."""
    name = folded(_latin(plain(name.translate(APOSTROPHES | DASHES))))
    number = NUMBER.fullmatch(name)
    return number[1] if number else name


def numbered(name: str) -> str:
    """What all spellings of a name share whose numbers are numbers: spk1 and spk01 are one."""
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", key(name))


def _latin(name: str) -> str:
    """A name all of whose letters look like capitals of ASCII, in these; any other as it is."""
    if name.isascii():
        return name
    latin = name.upper().translate(LOOKS)
    return latin if latin.isascii() else name


def folded(text: str) -> str:
    """Text in one case, width and form, without vowel points, its digits those of ASCII."""
    text = text.translate(APOSTROPHES)
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold()
    # Lower case of a Turkish I may have lost its dot, or have it as a mark.
    text = unicodedata.normalize("NFKC", text.replace("i\u0307", "i").replace("ı", "i"))
    letters = (c for c in text.translate(ALIKE) if not _optional(c))
    return "".join(str(unicodedata.decimal(c, c)) for c in letters)


@functools.cache
def _optional(character: str) -> bool:
    """May a character as well be left out of a word?"""
    mark = unicodedata.category(character) == "Mn"
    return character == TATWEEL or (mark and unicodedata.name(character, "").startswith(POINTED))


def plain(name: str) -> str:
    """A name in Unicode's form NFKC, without unseen characters, with single blanks."""
    name = " ".join(name.split())
    if name.isascii() and name.isprintable():
        return name
    folded = unicodedata.normalize("NFKD", name)
    seen = (
        c for c in folded if unicodedata.category(c) not in UNSEEN_KINDS and ord(c) not in UNSEEN
    )
    return unicodedata.normalize("NFKC", " ".join("".join(seen).split()))


def alike(names: Iterable[str], same: Callable[[str], str] = key) -> tuple[str, str] | None:
    """The first two names, in order of their spelling, that differ and have one key; or None.

    same: key; numbered, for which zeros before a number do not count; or plain, for which case
    does.
    """
    first: dict[str, str] = {}
    for name in sorted(set(names)):
        other = first.setdefault(same(name), name)
        if other != name:
            return other, name
    return None


def like(name: str, known: Iterable[str]) -> list[str]:
    """The names of `known` that `name` is another spelling of, sorted."""
    return sorted(other for other in set(known) if other != name and key(other) == key(name))


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about a name that is not known: what it is another spelling of."""
    return "".join(
        f"; '{other}' differs from it only as spellings do ({difference(name, other)})"
        for other in like(name, known)
    )


def difference(a: str, b: str) -> str:
    """How two spellings of a name differ: their code points between what both begin and end with.

    ("José", "José") -> "U+00E9 against U+0065 U+0301"
    """
    start = _shared(a, b)
    end = _shared(a[start:][::-1], b[start:][::-1])
    parts = (name[start : len(name) - end] for name in (a, b))
    return " against ".join(" ".join(f"U+{ord(c):04X}" for c in p) or "nothing" for p in parts)


def _shared(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = zip(a, b, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def misspelt(path: Path | str) -> str:
    """How a path that is not there may be meant: ", " and what is odd about it, or nothing."""
    if "\\" in str(path):
        return ", its path has backslashes where / is expected"
    path = Path(path)
    for place in [*reversed(path.parents), path]:
        if not place.exists():
            if place.is_symlink():
                return f", {place} is a link to {place.readlink()}, which is not there"
            near = key(place.name) in _keys(place.parent)
            return ", its path is spelt otherwise there (case, blanks or Unicode)" if near else ""
    return ""


@functools.cache
def _keys(folder: Path) -> set[str]:
    return {key(entry.name) for entry in folder.iterdir()} if folder.is_dir() else set()
