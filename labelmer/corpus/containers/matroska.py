"""Matroska and WebM: what stands behind the segment, which FFmpeg passes over. RFC 8794, 9559."""

from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind

HEADER, SEGMENT, VOID = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067"), b"\xec"


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a Matroska file; of any other file, nothing."""
    place = 0
    while data[:4] == HEADER:  # FFmpeg reads the segments of several files
        ids = (name for name in (HEADER, SEGMENT, VOID) if data[place : place + 4].startswith(name))
        if (name := next(ids, None)) is None:
            return behind(data, place, "element")
        first = place + len(name)
        size = 9 - int.from_bytes(data[first : first + 1]).bit_length()  # bytes of the length
        length = int.from_bytes(data[first : first + size]) & (1 << 7 * size) - 1
        if size > 8 or length == (1 << 7 * size) - 1:  # left open, as in a live recording
            return []
        place = first + size + length
    return []
