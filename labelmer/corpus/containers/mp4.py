"""MP4 and QuickTime: a second movie behind the first, which FFmpeg passes over. ISO 14496-12."""

import struct

from labelmer.corpus.containers.stream import Data, Finding


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a file that begins with a box; of any other file, nothing."""
    place, movies = 0, 0
    while place + 16 <= len(data):
        size, kind, long = struct.unpack(">I4sQ", data[place : place + 16])
        if kind == b"moov":
            movies += 1
        if movies > 1:
            return [("not decoded", "another movie stands behind the first; split the file")]
        size = long if size == 1 else size
        if size < 8:  # 0: up to the end of the file
            break
        place += size
    return []
