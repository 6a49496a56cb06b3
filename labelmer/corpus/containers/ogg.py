"""Ogg: pages, and links of a chain. RFC 3533."""

import zlib

from labelmer.corpus.containers.stream import Data, Finding, Read, Stream, extend
from labelmer.corpus.containers.tags import after_tags


def read(data: Data, start: int) -> Read:
    """All links of an Ogg file, each up to its last whole page."""
    links: list[dict] = []
    said: list[Finding] = []
    place, beginning = start, False
    while place < len(data):
        size = _page(data, place)
        if size is None:
            after = data.find(b"OggS", place + 1)
            tags = after_tags(data, place)
            if tags < len(data):
                junk = (len(data) if after < 0 else after) - place
                said.append(
                    ("not decoded", f"{junk} bytes from byte {place} on are no undamaged page")
                )
            if after < 0:
                break
            place = after
            continue
        flags = data[place + 5]
        serial = data[place + 14 : place + 18]
        if flags & 2 and not beginning:
            links.append({"pieces": [], "open": set(), "next": {}})
        beginning = bool(flags & 2)
        if not links:
            return [], [], None
        link, number = links[-1], int.from_bytes(data[place + 18 : place + 22], "little")
        if number != link["next"].setdefault(serial, number):
            said.append(
                ("not decoded", f"pages are missing before byte {place}; get the whole file")
            )
        link["next"][serial] = number + 1
        if beginning:
            link["open"].add(serial)
        if flags & 4:
            link["open"].discard(serial)
        extend(link["pieces"], place, place + size)
        place += size
    for link in links:
        if link["open"]:
            said.append(
                ("cut short", "an Ogg stream without its last page; what there is, is taken")
            )
    return [Stream(tuple(link["pieces"])) for link in links], said, None


MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _page(data: Data, place: int) -> int | None:
    """Bytes of the page at a byte, or None where there is no whole and undamaged one."""
    if data[place : place + 5] != b"OggS\0" or place + 27 > len(data):
        return None
    segments = data[place + 26]
    size = 27 + segments + sum(data[place + 27 : place + 27 + segments])
    page = bytearray(data[place : place + size])
    said = int.from_bytes(page[22:26], "big")
    page[22:26] = bytes(4)
    # Ogg's checksum is zlib's with the bits of all bytes, and of itself, the other way round.
    check = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    whole = len(page) == size and int(f"{check:032b}"[::-1], 2).to_bytes(4, "little")
    return size if whole == said.to_bytes(4, "big") else None
