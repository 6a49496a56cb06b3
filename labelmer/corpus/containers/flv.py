"""FLV: what stands behind the first file, which FFmpeg reads in part or not at all.

Adobe Flash Video File Format Specification 10.1, annex E.
"""

from labelmer.corpus.containers.stream import Data, Finding
from labelmer.corpus.containers.tags import behind

TAG_BYTES, SIZE_BYTES = 11, 4  # of a tag's head, and of the size that stands behind each tag
TYPES = {8, 9, 18, 40, 41, 50}  # of tags: audio, video, script; the same encrypted


def findings(data: Data) -> list[Finding]:
    """What is not decoded of an FLV; of any other file, nothing."""
    if data[:4] != b"FLV\x01":
        return []
    place = int.from_bytes(data[5:9], "big") + SIZE_BYTES
    while place < len(data):
        if data[place] not in TYPES:
            return behind(data, place, "tag")
        place += TAG_BYTES + int.from_bytes(data[place + 1 : place + 4], "big") + SIZE_BYTES
    return []
