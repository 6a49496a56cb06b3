"""The length that a header gives, of containers of which FFmpeg gives its own estimate.

Sources: Microsoft's AVI (AVISTREAMHEADER) and Advanced Systems Format (file properties object);
Adobe's Flash Video 10.1, annex E (onMetaData).
"""

import math
import struct

from labelmer.corpus.containers.stream import Data

FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # a GUID
BROADCAST = 1  # flag of an ASF whose length was never written
METADATA = 1 << 16  # bytes of an FLV in which its metadata begin


def avi(data: Data) -> float | None:
    """Seconds of the first audio stream of an AVI; None where they were never written."""
    place = data.find(b"strh")
    while place >= 0 and data[place + 8 : place + 12] != b"auds":
        place = data.find(b"strh", place + 1)
    if place < 0 or place + 44 > len(data):
        return None
    scale, rate, _, count = struct.unpack("<4I", data[place + 28 : place + 44])
    return count * scale / rate if rate and count else None


def asf(data: Data) -> float | None:
    """Seconds of a WMA or WMV; None where they were never written."""
    place = data.find(FILE_PROPERTIES)
    if place < 0 or place + 92 > len(data):
        return None
    played, _, preroll, flags = struct.unpack("<QQQI", data[place + 64 : place + 92])
    return played / 1e7 - preroll / 1e3 if played and not flags & BROADCAST else None


def flv(data: Data) -> float | None:
    """Seconds of an FLV; None where its metadata have none."""
    place = data.find(b"duration\0", 0, METADATA)
    if place < 0 or place + 17 > len(data):
        return None
    (seconds,) = struct.unpack(">d", data[place + 9 : place + 17])
    return seconds if 0 < seconds < math.inf else None
