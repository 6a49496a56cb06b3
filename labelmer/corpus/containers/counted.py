"""Uncompressed audio whose bytes are counted in a header.

Sources: the chunks of RIFF, RF64, BW64, AIFF, CAF and Wave64; Sun's .snd; NIST SPHERE.
"""

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from labelmer.corpus.containers import alac, described
from labelmer.corpus.containers.stream import CONTRADICTS, Data, Finding, Piece, Read, Stream
from labelmer.corpus.containers.tags import after_tags


class Chunks(NamedTuple):
    """How a container counts: a chunk is an id, a size and that many bytes."""

    head: str  # struct of id and size
    first: int  # byte of the first chunk
    audio: tuple  # ids of the chunks with samples
    skip: int  # bytes within that chunk before the samples
    own: int  # bytes of the chunk's head that its size counts
    align: int  # chunks begin at multiples of this many bytes
    form: bytes  # id of the chunk that describes the samples
    check: Callable[[bytes, str, int | None], list[Finding]]


SHORTEST = 24  # bytes before the audio, of any kind
DESCRIPTION = 64  # bytes of the chunk that describes the samples that are looked at
W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")
CHUNKED = {
    b"RIFF": Chunks("<4sI", 12, (b"data",), 0, 0, 2, b"fmt ", described.wave),
    b"RIFX": Chunks(">4sI", 12, (b"data",), 0, 0, 2, b"fmt ", described.wave),
    b"RF64": Chunks("<4sI", 12, (b"data",), 0, 0, 2, b"fmt ", described.wave),
    b"BW64": Chunks("<4sI", 12, (b"data",), 0, 0, 2, b"fmt ", described.wave),
    b"FORM": Chunks(">4sI", 12, (b"SSND",), 8, 0, 2, b"COMM", described.aiff),
    b"caff": Chunks(">4sq", 8, (b"data",), 4, 0, 2, b"desc", described.caf),
    b"riff": Chunks("<16sQ", 40, (b"data" + W64,), 0, 24, 8, b"fmt " + W64, described.wave),
}
# How another file of the kind begins, and at which of its bytes that stands.
BEGINNINGS = dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), (8, b"WAVE")) | {
    b"FORM": (8, b"AIF"),
    b"caff": (4, b"\0\1\0\0desc"),
    b"riff": (4, b".\x91\xcf\x11\xa5\xd6(\xdb\x04\xc1\0\0"),
    b".snd": (4, b"\0\0\0"),
    b"NIST": (4, b"_1A\n"),
}
MAGICS = {*CHUNKED, b".snd", b"dns.", b"NIST", b"OggS", b"fLaC"}  # how streams begin
KNOWN = {b"LIST", b"INFO", b"id3 ", b"ID3 ", b"bext", b"iXML", b"JUNK", b"fact", b"cue ", b"smpl"}


class Count(NamedTuple):
    """The count of a header: bytes of audio from byte `first` on."""

    first: int
    declared: int | None  # None: the header leaves it open
    place: int | None  # byte where it is written
    form: str  # struct of it
    more: int  # what is written beyond the bytes of audio
    description: bytes = b""  # the chunk that describes the samples


def read(data: Data, start: int) -> Read:
    """The stream that begins at a byte, up to where its header or the file ends."""
    magic = data[start : start + 4]
    layout = CHUNKED.get(magic)
    count = (_chunked if layout else _nist if magic == b"NIST" else _sun)(data, start)
    if count is None or count.first < start + SHORTEST:
        return [], [], None
    if count.first > len(data):
        text = f"its audio begins at byte {count.first} by its header, of {len(data)} that it has"
        return [], [(CONTRADICTS, f"{text}; get the whole file, or write it anew")], None
    packets = magic == b"caff" and alac.has_packets(data, start)
    held, following, said = _extent(data, start, layout, count, len(data), packets)
    if said or held != count.declared:  # another file may stand behind one that is cut short
        end = _another(data, magic, count.first)
        held, following, said = _extent(data, start, layout, count, end, packets)
    if layout:
        whole = held if held >= (count.declared or 0) else None
        said = [*layout.check(count.description, layout.head[0], whole), *said]
    if count.declared and count.declared != held:  # 0: never written
        less = held < count.declared
        said.insert(0, _bytes_differ(count.declared, held, less))
    stop = count.first + held if following is None else following
    frames = alac.frames_of(data[start : count.first]) if packets else None
    pieces: tuple[Piece, ...] = ((start, len(data) if following is None else stop),)
    if magic in (b"NIST", b"riff"):  # libsndfile reads all that follows
        pieces = ((start, count.first + held),)
    if held != count.declared and count.form[1:] == "I" and held + count.more >= 2**32:
        text = f"it holds {held} bytes of audio, and a header of its kind counts 4 GiB at most"
        said.append((CONTRADICTS, f"{text}; write it anew, as RF64, W64 or FLAC"))
    elif held != count.declared and count.place is not None:
        head = bytearray(data[start : count.first])
        struct.pack_into(count.form, head, count.place - start, held + count.more)
        if packets:
            frames = alac.keep_packets(head, held)
        pieces = (bytes(head), (count.first, stop))
    return [Stream(pieces, frames, bytes=held)], said, following


def _another(data: Data, magic: bytes, place: int) -> int:
    """Where another file of the kind begins, from a byte on: the first may be cut short."""
    at, mark = BEGINNINGS.get(magic, (0, b""))
    while mark and (place := data.find(magic, place)) >= 0:
        if data[place + at : place + at + len(mark)] == mark:
            return place
        place += 1
    return len(data)


def _bytes_differ(declared: int, held: int, less: bool) -> Finding:
    sentence = f"its header says {declared} bytes of audio, it holds {held}"
    if less:
        return "cut short", f"{sentence}; get the whole file, if it is to be had"
    return (
        "counts too little",
        f"{sentence} (what follows is taken for audio, as it is no chunk); "
        "write the file anew if that is not so",
    )


def _chunked(data: Data, start: int) -> Count | None:
    layout = CHUNKED[data[start : start + 4]]
    place = start + layout.first
    description = b""
    while True:
        chunk = _chunk(data, place, layout)
        if chunk is None:
            return None
        name, size = chunk
        first = place + struct.calcsize(layout.head)
        if name in layout.audio:
            break
        if size < 0:
            return None
        if name == layout.form:
            description = data[first : first + min(size, DESCRIPTION)]
        place = _next(data, first, size, start, layout)
    skip = layout.skip
    if layout.audio == (b"SSND",):
        skip += int.from_bytes(data[first : first + 4], "big")  # where its samples begin
    form = layout.head[0] + layout.head[-1]
    written = first - struct.calcsize(form)
    declared: int | None = size
    counts_long = data[start + 12 : start + 16] == b"ds64" and first >= start + 36
    if data[start : start + 4] in (b"RF64", b"BW64") and size == 0xFFFFFFFF and counts_long:
        form, written = "<Q", start + 28
        declared = int.from_bytes(data[written : written + 8], "little")
        declared = None if declared in (0, 2**64 - 1) else declared
    elif _open(size, layout.head[-1]):
        declared = None
    if declared is not None:
        declared = max(declared - skip, 0)
    more = skip + layout.own
    return Count(first + skip, declared, written, form, more, description)


def _open(size: int, form: str) -> bool:
    """Is this what writers to a pipe, who cannot know it, give as a size?"""
    if form == "I":  # ffmpeg: 2^32 - 1; sox and espeak: a little below 2^31; arecord: 2^31
        return size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80000000
    return size < 0 or size >= 2**62


def _chunk(data: Data, place: int, layout: Chunks) -> tuple[bytes, int] | None:
    """(id, bytes of content) of the chunk at a byte, or None where that is no chunk."""
    first = place + struct.calcsize(layout.head)
    if first > len(data):
        return None
    name, size = struct.unpack(layout.head, data[place:first])
    if not re.fullmatch(rb"[ -~]{4}", name[:4]) or (layout.own and size < layout.own):
        return None
    return name, size - layout.own


def _next(data: Data, first: int, size: int, start: int, layout: Chunks) -> int:
    """Where the chunk behind one begins; some writers forget the odd byte."""
    end = first + size
    padded = end + (start - end) % layout.align
    if padded != end and (
        data[end : end + 4] in MAGICS
        or (_chunk(data, padded, layout) is None and _chunk(data, end, layout))
    ):
        return end
    return padded


def _extent(
    data: Data, start: int, layout: Chunks | None, count: Count, limit: int, exact: bool
) -> tuple[int, int | None, list[Finding]]:
    """How far the audio of a stream reaches: (its bytes, next stream or None, findings).

    limit: where another file begins, or this one ends. exact: what is no chunk is no audio.
    """
    another, declared = limit if limit < len(data) else None, count.declared
    if declared is None or count.first + declared > limit:
        return limit - count.first, another, []
    end = count.first + declared
    place = end if layout is None else _next(data, count.first, declared, start, layout)
    said: list[Finding] = []
    while True:
        place = after_tags(data, place)
        if place + 1 >= limit:
            return declared, another, said
        if data[place : place + 4] in MAGICS:
            return declared, place, said
        chunk = _chunk(data, place, layout) if layout else None
        head = place + struct.calcsize(layout.head) if layout else 0
        if (
            layout is None
            or chunk is None
            or chunk[1] < 0
            or not (head + chunk[1] <= len(data) or chunk[0] in KNOWN)
        ):
            break
        if chunk[0] in layout.audio:
            said.append(
                ("not decoded", f"{chunk[1]} bytes of audio in a second chunk are not read")
            )
        place = _next(data, head, chunk[1], start, layout)
    if not exact and (place <= end + layout.align if layout else place == end):
        return limit - count.first, another, said
    text = f"{limit - place} bytes behind its audio are no chunk, and are not read"
    return declared, another, [*said, ("not decoded", text)]


def _sun(data: Data, start: int) -> Count | None:
    order = ">" if data[start : start + 4] == b".snd" else "<"
    if len(data) < start + 24:
        return None
    offset, size = struct.unpack(order + "II", data[start + 4 : start + 12])
    return Count(start + offset, None if _open(size, "I") else size, start + 8, order + "I", 0)


def _nist(data: Data, start: int) -> Count | None:
    head = data[start : start + 1024]
    size = re.match(rb"NIST_1A\s+(\d{1,9})\b", head)
    if not size or b",embedded-" in head:  # compressed, as by shorten
        return None
    said = dict(
        re.findall(rb"^(\w+) -(?:i|s\d+) (\d{1,18})\b", data[start : start + int(size[1])], re.M)
    )
    try:
        parts = [int(said[k]) for k in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    except KeyError:
        return None
    return Count(start + int(size[1]), parts[0] * parts[1] * parts[2], None, "", 0)
