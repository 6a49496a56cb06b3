"""What stands before and behind the audio and is none: tags of ID3, APE and Lyrics3."""

import functools
import struct

from labelmer.corpus.containers.stream import BLOCK, Data, Finding


def after_tags(data: Data, place: int) -> int:
    """The first byte that belongs to no tag."""
    while True:
        start, head = place, data[place : place + 32]
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            size = functools.reduce(lambda size, byte: size << 7 | byte, head[6:10])
            place += 10 + size + (10 if head[5] & 16 else 0)
        elif head[:3] == b"TAG":
            place += 227 if head[:4] == b"TAG+" else 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size, flags = struct.unpack_from("<I4xI", head, 12)
            place += size + 32 if flags & 1 << 29 else 32
        elif head[:11] == b"LYRICSBEGIN":
            end = data.find(b"LYRICS200", place)
            place = end + 9 if end >= 0 else len(data) + 1
        if place == start or place > len(data):
            return start


def behind(data: Data, place: int, unit: str, stop: int | None = None) -> list[Finding]:
    """The finding of what stands from a byte on, where no unit of the container does.

    stop: where one does again; by default the end of the file.
    """
    stop = len(data) if stop is None else stop
    place = after_tags(data, place)
    blocks = (data[at : min(at + BLOCK, stop)] for at in range(place, stop, BLOCK))
    if not any(block.strip(b"\0") for block in blocks):  # zeros are padding
        return []
    text = f"{stop - place} bytes behind its last {unit} are not read"
    return [("not decoded", f"{text}; if they are another file, split the two")]
