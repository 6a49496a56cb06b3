"""AVI: what stands behind it, which FFmpeg passes over. Microsoft's AVI RIFF, and OpenDML 1.02."""

from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind


def findings(data: Data) -> list[Finding]:
    """What is not decoded of an AVI; of any other file, nothing."""
    place = 0
    while data[place : place + 4] == b"RIFF" and data[place + 8 : place + 11] == b"AVI":  # or AVIX
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if not size:  # never written
            return []
        place += 8 + size + size % 2
    return behind(data, place, "chunk") if place else []
