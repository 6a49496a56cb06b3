"""MP4 and QuickTime: what stands behind the first movie, which FFmpeg passes over. ISO 14496-12."""

import re
import struct

from labelmer.corpus.containers.stream import Data, Finding, behind

# Boxes that stand alone, and may be cut short.
KNOWN = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide"}
KNOWN |= {b"pnot", b"uuid", b"meta", b"udta", b"emsg", b"prft"}


def findings(data: Data) -> list[Finding]:
    """What is not decoded of a file that begins with a box; of any other file, nothing."""
    if data[4:8] not in KNOWN:
        return []
    place, movies = 0, 0
    while place + 16 <= len(data):
        size, kind, long = struct.unpack(">I4sQ", data[place : place + 16])
        beyond = (long if size == 1 else size) > len(data) - place and kind not in KNOWN
        if beyond or not re.fullmatch(rb"[ -~\xa9]{4}", kind):
            return behind(data, place, "box")
        if kind == b"moov":
            movies += 1
        if movies > 1:
            return [("not decoded", "another movie stands behind the first; split the file")]
        size = long if size == 1 else size
        if size < 8:  # 0: up to the end of the file
            break
        place += size
    return []
