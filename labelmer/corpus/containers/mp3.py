"""MP3: its frames are counted. ISO 11172-3 and 13818-3, with the Xing and Info frames of LAME."""

import functools
import struct
from typing import NamedTuple

from labelmer.corpus.containers.stream import Data, Finding, Piece, Read, Stream, extend
from labelmer.corpus.containers.tags import after_tags


class Frame(NamedTuple):
    """What the four bytes of a frame's header say."""

    size: int  # bytes
    samples: int
    kind: tuple  # (version, layer, rate in Hz, mono)
    info: int  # byte of the frame where "Xing" or "Info" would stand


COUNTED = 16  # bytes of an Xing frame up to the end of its counts
DECODER_DELAY = 529  # samples, left out where the first frame does not say how many

RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
KBITS = {  # by (is MPEG 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@functools.lru_cache(4096)
def frame_at(head: bytes) -> Frame | None:
    """The frame that begins with these four bytes, or None. One in free format has no bit rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] < 0xE0:
        return None
    version, layer, bits = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4
    rate, padding, mono = head[2] >> 2 & 3, head[2] >> 1 & 1, head[3] >> 6 == 3
    if version == 1 or layer == 4 or rate == 3 or bits in (0, 15):
        return None
    rate, kbits = RATES[version][rate], KBITS[version == 3, layer][bits - 1]
    samples = 384 if layer == 1 else 1152 if layer == 2 or version == 3 else 576
    unit = 4 if layer == 1 else 1
    size = (samples // 8 // unit * kbits * 1000 // rate + padding) * unit
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
    info = 4 + side[version == 3, mono]
    return Frame(size, samples, (version, layer, rate, mono), info)


def read(data: Data, start: int = 0) -> Read:
    """All streams of an MP3 file: another one begins with an Xing frame or another kind."""
    found: list[dict] = []
    said: list[Finding] = []
    place = start
    while place < len(data):
        frame = frame_at(data[place : place + 4])
        if frame is None:
            after = after_tags(data, place)
            if after == place:
                after = _sync(data, place)
                between = found and after < len(data)  # zeros at an end are padding
                if between or data[place:after].strip(b"\0"):
                    said.append(
                        ("not decoded", f"{after - place} bytes from byte {place} on are no MP3")
                    )
            place = after
            continue
        if place + frame.size > len(data):
            said.append(
                ("cut short", f"its last frame has {len(data) - place} of {frame.size} bytes")
            )
            break
        mark = data[place + frame.info : place + frame.info + 4]
        marked = frame.kind[1] == 3 and mark in (b"Xing", b"Info")
        marked = marked and frame.size >= frame.info + COUNTED
        older = not marked and data[place + 36 : place + 40] == b"VBRI"
        if marked or older or not found or found[-1]["frame"].kind != frame.kind:
            info = (place, place + frame.size) if marked else None
            found.append({"frame": frame, "info": info, "head": place, "count": 0, "pieces": []})
        if not marked and not older:
            found[-1]["count"] += 1
            extend(found[-1]["pieces"], place, place + frame.size)
        place += frame.size
    found = [stream for stream in found if stream["count"]]
    return [_stream(data, said, **stream) for stream in found], said, None


def _sync(data: Data, place: int) -> int:
    """The next byte where two frames of one kind follow each other."""
    while (place := data.find(b"\xff", place + 1)) >= 0:
        frame = frame_at(data[place : place + 4])
        if frame:
            behind = frame_at(data[place + frame.size : place + frame.size + 4])
            if behind and behind.kind == frame.kind:
                return place
    return len(data)


def _stream(
    data: Data,
    said: list[Finding],
    frame: Frame,
    info: tuple[int, int] | None,
    head: int,
    count: int,
    pieces: list[tuple[int, int]],
) -> Stream:
    """A stream whose first frame says how many follow; that frame is mended, or made."""
    samples = frame.samples
    if frame.kind[1] != 3:
        return Stream(tuple(pieces), count * samples)
    if info is None:
        first = bytearray(data[head : head + 4])
        # No checksum, no padding, and a bit rate whose frames have room for what is written.
        first[1], first[2] = first[1] | 1, first[2] & 0x0C | 0x80
        frame = frame_at(bytes(first)) or frame
        made = bytearray(frame.size)
        made[:4] = first
        struct.pack_into(">4sII", made, frame.info, b"Info", 1, count)
        return Stream((bytes(made), *pieces), count * samples, DECODER_DELAY)
    made = bytearray(data[info[0] : info[1]])
    flags, counted = struct.unpack_from(">II", made, frame.info + 4)
    if not flags & 1:
        return _stream(data, said, frame, None, head, count, pieces)
    trimmed, lame = 0, frame.info + 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1)
    lame += 4 * (flags >> 3 & 1) + 21  # 12 bits each: samples before and after the audio
    if lame + 3 <= len(made):
        before, after = made[lame] << 4 | made[lame + 1] >> 4, made[lame + 1] & 15
        trimmed = before + (after << 8 | made[lame + 2])
    if counted == count:
        whole: list[Piece] = [info]
        extend(whole, *pieces[0])
        return Stream((*whole, *pieces[1:]), count * samples, trimmed)
    if counted != count + 1:  # some count the first frame as well
        less = count < counted
        sentence = f"its header says {counted} frames of {samples} samples, it holds {count}"
        what = "cut short" if less else "counts too little"
        said.append((what, f"{sentence}; get the whole file, or write it anew"))
    if counted > count + 1 and trimmed:  # its end is gone, with what was to be trimmed there
        made[lame + 1], made[lame + 2] = made[lame + 1] & 0xF0, 0
    struct.pack_into(">I", made, frame.info + 8, count)
    if flags & 2:
        struct.pack_into(">I", made, frame.info + 12, len(made) + sum(b - a for a, b in pieces))
    return Stream((bytes(made), *pieces), count * samples, trimmed)
