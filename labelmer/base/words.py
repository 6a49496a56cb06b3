"""A transcript's words as two transcripts are compared, and counted, whatever their script.

Case, punctuation, emoji, the width of letters, accents as characters of their own, characters that
are not seen, the script of digits, the vowel points of Arabic and Hebrew, and which of its forms an
Arabic letter has make no difference.
"""

import functools
import unicodedata

from labelmer.base.names import folded

# Scripts without blanks between words, by how their letters' Unicode names begin.
IDEOGRAPHS = ("CJK ", "IDEOGRAPHIC ", "TANGUT ", "NUSHU ")
UNSPACED: tuple[str, ...] = (
    "HIRAGANA ",
    "KATAKANA",
    "BOPOMOFO ",
    "YI ",
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
)
UNSPACED += ("TAI ", "NEW TAI ", "AHOM ", "JAVANESE ", "BALINESE ")
# Marks that may as well be left out.
OPTIONAL = ("VARIATION SELECTOR", "MONGOLIAN FREE", "COMBINING GRAPHEME")

# What a character does to the words: nothing, part them, go on with one, be one, be half of one.
NOTHING, PART, MARK, LETTER, IDEOGRAPH, HALF = range(6)


def words_of(text: str) -> tuple[list[str], float]:
    """The words of a text as they are compared, and how many words they count for.

    Returns a list of strings and a number. In scripts without blanks each letter, with its marks,
    stands in the list by itself: a Chinese character counts for a word, and a letter (kana, Thai,
    Lao, Khmer, Burmese) for half a word. Elsewhere blanks and punctuation part the words.
    """
    words: list[str] = []
    kinds: list[int] = []
    going_on = PART
    for character in folded(text):
        kind = _kind(character)
        if kind == PART or (kind == MARK and going_on == PART):
            going_on = PART
        elif kind == MARK or kind == going_on == LETTER:
            words[-1] += character
        elif kind != NOTHING:
            words.append(character)
            kinds.append(kind)
            going_on = kind
    # An apostrophe belongs to a word, a single quote does not; the same characters write both.
    words = [word.strip("'") for word in words]
    count = sum(0.5 if kind == HALF else 1 for word, kind in zip(words, kinds, strict=True) if word)
    return [word for word in words if word], count


@functools.cache
def _kind(character: str) -> int:
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    if category in ("Cf", "Me"):
        return NOTHING
    if category in ("Mn", "Mc"):
        return NOTHING if name.startswith(OPTIONAL) else MARK
    if category[0] in "LN" or category in ("Co", "Cn") or character == "'":
        if name.startswith(IDEOGRAPHS):
            return IDEOGRAPH
        return HALF if name.startswith(UNSPACED) else LETTER
    return PART
