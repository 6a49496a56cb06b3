"""WMA and WMV: what stands behind the objects, which FFmpeg passes over.

Microsoft's Advanced Systems Format, revision 01.20.03.
"""

from labelmer.corpus.containers.counted import MAGICS
from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")  # a GUID, as of each object
DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
HEAD = 24  # bytes of an object's GUID and size, which its size counts


def findings(data: Data) -> list[Finding]:
    """What is not decoded of an ASF; of any other file, nothing."""
    place = 0
    while data[:16] == HEADER and place + HEAD <= len(data):
        size = int.from_bytes(data[place + 16 : place + HEAD], "little")
        whole = HEAD <= size <= len(data) - place
        if not whole and data[place : place + 16] in (HEADER, DATA):  # left open, or cut short
            return []
        another = data[place : place + 16] == HEADER or data[place : place + 4] in MAGICS
        if not whole or (place and another):
            break
        place += size
    return behind(data, place, "object") if place else []
