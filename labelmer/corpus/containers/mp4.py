"""MP4 and QuickTime: what stands behind the first movie, which FFmpeg passes over. ISO 14496-12."""

import re
import struct
from collections.abc import Iterator

from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind

# Boxes that stand alone, and may be cut short.
KNOWN = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide"}
KNOWN |= {b"pnot", b"uuid", b"meta", b"udta", b"emsg", b"prft"}


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a file that begins with a box; of any other file, nothing."""
    movies = 0
    for place, size, kind in _boxes(data):
        beyond = place + size > len(data) and kind not in KNOWN
        if beyond or not re.fullmatch(rb"[ -~\xa9]{4}", kind):
            return behind(data, place, "box")
        movies += kind == b"moov"
        if movies > 1:
            return [("not decoded", "another movie stands behind the first; split the file")]
    return []


def is_fragmented(data: Data) -> bool:
    """Whether a movie comes in fragments, so that its header has the length of none."""
    movies = (
        (place, min(place + size, len(data)))
        for place, size, kind in _boxes(data)
        if kind == b"moov"
    )
    return any(data.find(b"mvex", *movie) >= 0 for movie in movies)


def _boxes(data: Data) -> Iterator[tuple[int, int, bytes]]:
    """(first byte, bytes, kind) of what stands behind one another in a file that has boxes."""
    place = 0
    while data[4:8] in KNOWN and place < len(data):
        size, kind, long = struct.unpack(">I4sQ", data[place : place + 16].ljust(16, b"\0"))
        size = long if size == 1 else size
        yield place, size, kind
        if size < 8:  # 0: up to the end of the file
            return
        place += size
