"""When two names are one: case, Unicode form, width, blanks and what is not seen do not count.

Unicode Standard Annex 15 (normalisation forms), section 3.13 (caseless matching) and 5.21
(characters that are ignored in display).
"""

import unicodedata

# Not seen, though not of the categories Cc, Cf: combining grapheme joiner, Hangul fillers, Khmer
# inherent vowels, Mongolian and other variation selectors.
UNSEEN = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0}
UNSEEN |= {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}


def key(name):
    """What all spellings of a name share."""
    return unicodedata.normalize("NFKC", plain(name).casefold())


def plain(name):
    """A name in Unicode's form NFKC, without unseen characters, with single blanks."""
    folded = unicodedata.normalize("NFKD", " ".join(name.split()))
    seen = (c for c in folded if unicodedata.category(c) not in ("Cc", "Cf") and _seen(c))
    return unicodedata.normalize("NFKC", " ".join("".join(seen).split()))


def alike(names):
    """The first two names, in order of their spelling, that differ and have one key; or None."""
    first = {}
    for name in sorted(set(names)):
        if first.setdefault(key(name), name) != name:
            return first[key(name)], name
    return None


def like(name, known):
    """The names of `known` that `name` is another spelling of, sorted."""
    return sorted(other for other in set(known) if other != name and key(other) == key(name))


def difference(a, b):
    """How two spellings of a name differ: their code points between what both begin and end with.

    ("José", "José") -> "U+00E9 against U+0065 U+0301"
    """
    start = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    rest = min(len(a), len(b)) - start
    end = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    parts = (name[start : len(name) - end] for name in (a, b))
    return " against ".join(" ".join(f"U+{ord(c):04X}" for c in p) or "nothing" for p in parts)


def _seen(character):
    return ord(character) not in UNSEEN
