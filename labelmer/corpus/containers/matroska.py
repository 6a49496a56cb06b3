"""Matroska and WebM: what stands behind the segment, which FFmpeg passes over. RFC 8794, 9559."""

from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind

HEADER, SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")
IDS = HEADER, SEGMENT, b"\xec", b"\xbf"  # of elements that stand alone; what is void, a checksum


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a Matroska file; of any other file, nothing."""
    found: list[Finding] = []
    place = 0
    while data[:4] == HEADER and place < len(data):
        name = next((name for name in IDS if data[place : place + 4].startswith(name)), b"")
        first = place + len(name)
        size = 9 - int.from_bytes(data[first : first + 1]).bit_length()  # bytes of the length
        length = int.from_bytes(data[first : first + size]) & (1 << 7 * size) - 1
        left_open = size > 8 or length == (1 << 7 * size) - 1  # as in a live recording
        end = first + size + length
        if name in (HEADER, SEGMENT) and (left_open or end > len(data)):
            break
        if not name or left_open or end > len(data):  # FFmpeg reads on where another file begins
            end = data.find(HEADER, place)
            end = len(data) if end < 0 else end
            found += behind(data, place, "element", end)
        place = end
    return found
