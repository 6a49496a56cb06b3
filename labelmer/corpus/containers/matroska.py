"""Matroska and WebM: what stands behind the segment, which FFmpeg passes over. RFC 8794, 9559."""

from labelmer.corpus.containers.stream import Data, Finding, behind

HEADER, SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a Matroska file; of any other file, nothing."""
    place = 0
    while data[place : place + 4] == HEADER:  # FFmpeg reads the segments of several files
        for element in (HEADER, SEGMENT):
            if data[place : place + 4] != element or place + 12 > len(data):
                return []
            size = 9 - data[place + 4].bit_length()  # bytes in which the content's length stands
            length = int.from_bytes(data[place + 4 : place + 4 + size], "big") & (1 << 7 * size) - 1
            if size > 8 or length == (1 << 7 * size) - 1:  # left open, as in a live recording
                return []
            place += 4 + size + length
    return behind(data, place, "element") if place else []
