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


def avi(data: Data) -> tuple[float | None, float]:
    """Seconds of the first audio stream of an AVI, None where they were never written; and seconds
    that its index leaves empty, which FFmpeg passes over.
    """
    stream, place = 0, data.find(b"strh")
    while place >= 0 and data[place + 8 : place + 12] != b"auds":
        stream, place = stream + 1, data.find(b"strh", place + 1)
    if place < 0 or place + 56 > len(data):
        return None, 0.0
    scale, rate, _, count, *_, block = struct.unpack("<7I", data[place + 28 : place + 56])
    if not rate or not count:
        return None, 0.0
    empty = 0 if block else _empty(data, stream)
    return (count - empty) * scale / rate, empty * scale / rate


def _empty(data: Data, stream: int) -> int:
    """Chunks of a stream that hold nothing, as writers put where it pauses, by an AVI's index."""
    name, place = b"%02dwb" % stream, 12
    while place + 8 <= len(data) and data[place : place + 4] != b"idx1":
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    size = int.from_bytes(data[place + 4 : place + 8], "little")
    index = data[place + 8 : place + 8 + size]
    entries = struct.iter_unpack("<4s8xI", index[: len(index) // 16 * 16])
    return sum(entry == (name, 0) for entry in entries)


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
