"""FLAC: the last frame tells how many samples there are. RFC 9639."""

import functools
import io
import re

import soundfile

from labelmer.corpus.containers.counted import MAGICS
from labelmer.corpus.containers.stream import CONTRADICTS, Data, Finding, Piece, Read, Stream
from labelmer.corpus.containers.tags import after_tags

TRIES = 3  # of ends by a checksum that zeros follow, which fit as well: one is the frame's


def read(data: Data, start: int) -> Read:
    """The stream that begins at a byte, up to the end of its last whole frame."""
    if len(data) < start + 42:
        return [], [], None
    after = [data.find(mark, start + 42) for mark in (b'fLaC\0\0\0"', b'fLaC\x80\0\0"')]
    following = min((place for place in after if place >= 0), default=None)
    stop = len(data) if following is None else following
    info = data[start + 8 : start + 42]
    declared = int.from_bytes(info[13:18], "big") & 2**36 - 1
    held, end = _frames(data, start + 42, stop, info)
    said: list[Finding] = []
    if begins := _first(data, start + 4, stop, info):
        what = f"its frames begin with sample {begins}, as of a part cut out of a longer file"
        said.append((CONTRADICTS, f"{what}; decode it, and write it anew"))
    if held != declared and declared:
        kind = "cut short" if held < declared else "counts too little"
        sentence = f"its header says {declared} frames of audio, it holds {held}"
        said.append((kind, f"{sentence}; get the whole file, or write it anew"))
    behind = after_tags(data, end)
    if held and data[behind : behind + 4] in MAGICS:
        following = behind
    elif held == declared and behind < stop:
        said.append(("not decoded", f"{stop - end} bytes behind its last frame are not read"))
    pieces: tuple[Piece, ...] = ((start, stop),)
    if held != declared:
        head = bytearray(data[start : start + 42])
        head[21] = head[21] & 0xF0 | held >> 32
        head[22:26] = (held & 2**32 - 1).to_bytes(4, "big")
        pieces = (bytes(head), (start + 42, end))
    return [Stream(pieces, held)], said, following


def _first(data: Data, place: int, stop: int, info: bytes) -> int:
    """The number of a stream's first sample; place: of its first block of metadata."""
    last = False
    while not last and place + 4 <= stop:
        last = data[place] >= 128
        place += 4 + int.from_bytes(data[place + 1 : place + 4], "big")
    frame = _frame(data, place, info)
    return frame[0] if frame else 0


def _frames(data: Data, start: int, stop: int, info: bytes) -> tuple[int, int]:
    """(samples, byte) up to the end of the last whole frame of a stream; 0 where there is none."""
    heads: set[int] = set()  # of the frames behind
    channels, bits = (info[12] >> 1 & 7) + 1, ((info[12] & 1) << 4 | info[13] >> 4) + 1
    high = stop
    while high > start:
        low = max(start, high - (1 << 16))
        near = [m.start() + low for m in re.finditer(rb"\xff[\xf8\xf9]", data[low : high + 1])]
        for head in reversed(near):
            frame = _frame(data, head, info) if head < high else None
            if frame is None:
                continue
            most = 64 + frame[1] * channels * (bits + 1) // 8  # where nothing can be saved
            stream = data[head : min(head + most, stop)]
            if end := _end(stream, head, heads, frame[1], info):
                return sum(frame), head + end
            heads.add(head)
        high = low
    return 0, start


def _end(data: bytes, head: int, heads: set[int], samples: int, info: bytes) -> int:
    """Bytes of the frame that data begins with, or 0 where it is not whole.

    head, heads: where it and later frames begin in the file. A checksum may fit by chance: a
    frame that ends where none begins is decoded.
    """
    ends = _crc_ends(data)
    before_another = [end for end in ends if head + end in heads]
    if before_another:
        return before_another[-1]
    alone = bytearray(info)
    alone[13:18] = (alone[13] & 0xF0, *samples.to_bytes(4, "big"))
    front = b'fLaC\x80\0\0"' + alone
    fitting, run = set(ends), range(1, TRIES + 1)
    ends = [end for end in ends if not all(end - before in fitting for before in run)]
    return next((end for end in ends if _decodes(front + data[:end], samples)), 0)


def _decodes(stream: bytes, samples: int) -> bool:
    try:
        with soundfile.SoundFile(io.BytesIO(stream)) as file:
            return len(file.read(samples, "int32")) == samples
    except soundfile.LibsndfileError:
        return False


def _frame(data: Data, place: int, info: bytes) -> tuple[int, int] | None:
    """(number of its first sample, its samples) of a frame whose header is whole, or None."""
    head = data[place : place + 16]
    if len(head) < 6 or head[:2] not in (b"\xff\xf8", b"\xff\xf9"):
        return None
    if head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return None
    extra = 0 if head[4] < 128 else 7 - (head[4] ^ 0xFF).bit_length()
    number = head[4] if head[4] < 128 else head[4] & (0x3F >> extra)
    for byte in head[5 : 5 + extra]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    end, code = 5 + extra, head[2] >> 4
    if len(head) < end + 3:  # what is left of the header, or the checksum of the frame
        return None
    if code == 6:
        size, end = head[end] + 1, end + 1
    elif code == 7:
        size, end = int.from_bytes(head[end : end + 2], "big") + 1, end + 2
    else:
        size = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    end += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if len(head) <= end or end + 1 not in _crc_ends(head[: end + 1], 8, 0x07):
        return None
    fixed = int.from_bytes(info[2:4], "big")  # samples of every frame but the last
    first = number if head[1] & 1 else number * fixed
    return (first, size) if first + size < 2**36 else None


@functools.cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    table, mask = [], (1 << bits) - 1
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> bits - 1 else 0)) & mask
        table.append(value)
    return table


def _crc_ends(data: bytes, bits: int = 16, polynomial: int = 0x8005) -> list[int]:
    """Where data may end with its own cyclic redundancy check: a list of lengths."""
    table, value, mask, ends = _crc_table(bits, polynomial), 0, (1 << bits) - 1, []
    for length, byte in enumerate(data, 1):
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
        if not value:
            ends.append(length)
    return ends
