"""CAF in ALAC: a table says how many bytes each packet has. Apple Core Audio Format Specification.

libsndfile counts packets by that table, and gives old samples again for those that are not there.
"""

import struct

from labelmer.corpus.containers.stream import Data

FRAMES = 40  # byte of a head: frames per packet


def has_packets(data: Data, start: int) -> bool:
    """Whether the file that begins at a byte is in ALAC."""
    return data[start + 28 : start + 32] == b"alac"


def frames_of(head: bytes) -> int | None:
    """How many frames the table of packets counts. head: a file up to its audio."""
    chunk = _table(head)
    return struct.unpack_from(">q", head, chunk[0] + 8)[0] if chunk else None


def keep_packets(head: bytearray, held: int) -> int | None:
    """Take what so many bytes of audio do not hold whole out of the table of packets.

    head: a file up to its audio. Returns how many frames are left; None where it has no table.
    """
    table = _table(head)
    return _keep(head, *table, held) if table else None


def _table(head: bytes | bytearray) -> tuple[int, int] | None:
    """The bytes [first, stop) of the table of packets in a head."""
    place = 8
    while place + 36 <= len(head):
        name, size = struct.unpack_from(">4sq", head, place)
        if name == b"pakt":
            return place + 12, place + 12 + size
        place += 12 + size
    return None


def _keep(head: bytearray, chunk: int, stop: int, held: int) -> int:
    place, count, size, (frames,) = chunk + 24, 0, 0, struct.unpack_from(">I", head, FRAMES)
    for i in range(place, min(stop, len(head))):
        size = size << 7 | head[i] & 127
        if head[i] >= 128:
            continue
        held -= size
        if held < 0 or not size:
            break
        place, count, size = i + 1, count + 1, 0
    head[place:stop] = bytes(len(head[place:stop]))
    struct.pack_into(">qq", head, chunk, count, count * frames)
    return count * frames
