"""Where a tokenizer's tokens stand in the text that they were made from.

The token strings of BERT's WordPiece ("##ing"), of byte-level BPE ("Ġword") and of SentencePiece
("▁word") are found again by walking through the text, in whatever case and with or without accents.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

SPECIAL = re.compile(r"\[[A-Z]+\]|<[^<>]+>")  # [CLS], [UNK], <s>, </s>
CONTINUED, SPACE, BYTE_SPACE = "##", "▁", "Ġ"  # of WordPiece, of SentencePiece, of BPE
# Byte-level BPE writes these bytes as the character of that number, the others as 256, 257, ...
PRINTABLE = {*range(33, 127), *range(161, 173), *range(174, 256)}
OTHERS = [byte for byte in range(256) if byte not in PRINTABLE]


def token_spans(tokens: Sequence[str], text: str) -> np.ndarray:
    """The characters [start, end) of the text that each token covers: int array (tokens, 2).

    A token that is not found (special, unknown, a part of a character) covers nothing: (0, 0).
    """
    of_bytes = any(token.startswith(BYTE_SPACE) for token in tokens)
    # Who takes accents off takes the signs of vowels with them, in Hindi and Thai for instance.
    signs = of_bytes or any(unicodedata.category(c) == "Mn" for token in tokens for c in token)
    letters, places = [], []  # of the text as it is compared, and whence each letter is
    for place, character in enumerate(text):
        plain = _plain(character, signs)
        letters.append(plain)
        places += [place] * len(plain)
    walked, at, spans = "".join(letters), 0, np.zeros((len(tokens), 2), dtype=int)
    for index, token in enumerate(tokens):
        pieces = {_plain(reading, signs) for reading in _readings(token, of_bytes)} - {""}
        found = [(walked.find(piece, at), -len(piece)) for piece in pieces]
        found = [(start, length) for start, length in found if start >= 0]
        if found:
            start, length = min(found)  # the nearest; of these, the longest
            at = start - length
            end = places[at - 1] + 1
            while end < len(text) and _is_accent(text[end], signs):
                end += 1
            spans[index] = places[start], end
    return spans


def _readings(token: str, of_bytes: bool) -> Iterable[str]:
    """What a token may stand for in the text.

    of_bytes: the tokens are those of byte-level BPE. Of one word alone this cannot be told.
    """
    if SPECIAL.fullmatch(token):
        return set()
    readings = [_from_bytes(token)]
    if not of_bytes:  # a byte of an emoji looks like some letter
        readings += [token, token.removeprefix(CONTINUED)]
    return readings


def _plain(text: str, signs: bool) -> str:
    """Text as it is compared: in lower case, without accents, blanks and marks of blanks.

    signs: keep the signs of vowels, which are marks as accents are but change no letter.
    """
    parts = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in parts if not (_is_accent(c, signs) or c.isspace() or c == SPACE))


def _is_accent(character: str, signs: bool) -> bool:
    mark = unicodedata.category(character) == "Mn"
    return unicodedata.combining(character) > 0 or (mark and not signs)


def _from_bytes(token: str) -> str:
    """The text of a token of byte-level BPE; "" if it is none, or not whole characters."""
    try:
        codes = map(ord, token)
        return bytes(c if c in PRINTABLE else OTHERS[c - 256] for c in codes).decode()
    except (IndexError, UnicodeDecodeError):
        return ""
