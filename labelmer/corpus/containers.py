"""What an audio file holds, counted from its bytes: the length in its header is not believed.

A file is one stream or several, one behind the other. Where a header counts less or more than
there is, the stream gets a mended header, so that libsndfile decodes all of it. What is mended, and
what cannot be decoded, is a finding: (kind, sentence).

Sources: the chunks of RIFF, RF64, AIFF, CAF and Wave64; Sun's .snd; NIST SPHERE; RFC 3533 (Ogg);
RFC 9639 (FLAC); ISO 11172-3 with the Xing and Info frames of LAME (MP3).
"""

import functools
import io
import re
import struct
import zlib
from typing import NamedTuple


class Stream(NamedTuple):
    """One stream of a file.

    pieces   its bytes, in order: bytes, or (first, stop) in the file
    frames   how many it holds, where that was counted, else None
    trimmed  frames at most that a decoder leaves out on purpose
    bytes    of uncompressed audio, where they were counted, else None
    """

    pieces: tuple
    frames: int | None = None
    trimmed: int = 0
    bytes: int | None = None


class Pieces(io.RawIOBase):
    """A stream as a file that is read from memory: data holds the bytes of its whole file."""

    def __init__(self, data, pieces):
        super().__init__()
        self.parts = [p if isinstance(p, bytes) else memoryview(data)[p[0] : p[1]] for p in pieces]
        self.size, self.place = sum(map(len, self.parts)), 0

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.place

    def seek(self, offset, whence=io.SEEK_SET):
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def readinto(self, buffer):
        done, before = 0, 0
        for part in self.parts:
            first = self.place - before
            if 0 <= first < len(part) and done < len(buffer):
                piece = part[first : first + len(buffer) - done]
                buffer[done : done + len(piece)] = piece
                done += len(piece)
                self.place += len(piece)
            before += len(part)
        return done


def streams(data):
    """The streams of a file and what is wrong with it: (list of Stream, list of findings).

    data: the bytes of the file, or its mapping. No streams: it is of a format whose length is not
    checked here.
    """
    found, findings, place = [], [], _after_tags(data, 0)
    while place is not None and place < len(data):
        magic = data[place : place + 4]
        if magic == b"OggS":
            read = _ogg
        elif magic == b"fLaC":
            read = _flac
        elif magic in MAGICS:
            read = _counted
        elif _mp3_frame(magic):
            read = mp3
        else:
            break
        more, said, place = read(data, place)
        found += more
        findings += said
        if not more:
            break
    return found, findings


# What stands behind the audio and is none: tags of ID3 and APE.


def _after_tags(data, place):
    """The first byte that belongs to no tag."""
    while True:
        head = data[place : place + 32]
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            size = functools.reduce(lambda size, byte: size << 7 | byte, head[6:10])
            place += 10 + size + (10 if head[5] & 16 else 0)
        elif head[:3] == b"TAG" and len(data) - place >= 128:
            place += 227 if head[:4] == b"TAG+" else 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size, flags = struct.unpack_from("<I4xI", head, 12)
            place += size + 32 if flags & 1 << 29 else 32
        elif head[:11] == b"LYRICSBEGIN":
            end = data.find(b"LYRICS200", place)
            place = len(data) if end < 0 else end + 9
        else:
            return place


# Uncompressed audio whose bytes are counted in a header.


class Chunks(NamedTuple):
    """How a container counts: a chunk is an id, a size and that many bytes."""

    head: str  # struct of id and size
    first: int  # byte of the first chunk
    audio: tuple  # ids of the chunks with samples
    skip: int  # bytes within that chunk before the samples
    own: int  # bytes of the chunk's head that its size counts
    align: int  # chunks begin at multiples of this many bytes


W64 = bytes.fromhex("f3acd3118cd100c04f8edb8a")
CHUNKED = {
    b"RIFF": Chunks("<4sI", 12, (b"data",), 0, 0, 2),
    b"RIFX": Chunks(">4sI", 12, (b"data",), 0, 0, 2),
    b"RF64": Chunks("<4sI", 12, (b"data",), 0, 0, 2),
    b"FORM": Chunks(">4sI", 12, (b"SSND",), 8, 0, 2),
    b"caff": Chunks(">4sq", 8, (b"data",), 4, 0, 1),
    b"riff": Chunks("<16sQ", 40, (b"data" + W64,), 0, 24, 8),
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


def _counted(data, start):
    magic = data[start : start + 4]
    layout = CHUNKED.get(magic)
    count = (_chunked if layout else _nist if magic == b"NIST" else _sun)(data, start)
    if count is None or count.first > len(data):
        return [], [], None
    available, held, following, said = len(data) - count.first, count.declared, None, []
    if held is None or held > available:
        held = available
    else:
        held, following, said = _behind(data, layout, count)
    if count.declared not in (None, 0, held):  # 0: never written
        less = held < count.declared
        said.insert(0, _bytes_differ(count.declared, held, less))
    stop = count.first + held if following is None else following
    pieces = ((start, len(data) if following is None else stop),)
    if magic in (b"NIST", b"riff"):  # libsndfile reads all that follows
        pieces = ((start, count.first + held),)
    if held != count.declared and count.place is not None:
        head = bytearray(data[start : count.first])
        struct.pack_into(count.form, head, count.place - start, held + count.more)
        pieces = (bytes(head), (count.first, stop))
    return [Stream(pieces, bytes=held)], said, following


def _bytes_differ(declared, held, less):
    sentence = f"its header says {declared} bytes of audio, it holds {held}"
    if less:
        return "cut short", f"{sentence}; get the whole file, if it is to be had"
    return (
        "counts too little",
        f"{sentence} (what follows is taken for audio, as it is no chunk); "
        "write the file anew if that is not so",
    )


def _chunked(data, start):
    layout = CHUNKED[data[start : start + 4]]
    place = start + layout.first
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
        place = _next(data, first, size, start, layout)
    form = layout.head[0] + layout.head[-1]
    written = first - struct.calcsize(form)
    if data[start : start + 4] == b"RF64" and size == 0xFFFFFFFF:
        form, written = "<Q", start + 28
        (size,) = struct.unpack_from(form, data, written)
        size = None if size in (0, 2**64 - 1) else size
    elif _open(size, layout.head[-1]):
        size = None
    declared = None if size is None else max(size - layout.skip, 0)
    return Count(first + layout.skip, declared, written, form, layout.skip + layout.own)


def _open(size, form):
    """Is this what writers to a pipe, who cannot know it, give as a size?"""
    if form == "I":  # ffmpeg: 2^32 - 1; sox and espeak: a little below 2^31; arecord: 2^31
        return size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80000000
    return size < 0 or size >= 2**62


def _chunk(data, place, layout):
    """(id, bytes of content) of the chunk at a byte, or None where that is no chunk."""
    if place + struct.calcsize(layout.head) > len(data):
        return None
    name, size = struct.unpack_from(layout.head, data, place)
    if not re.fullmatch(rb"[ -~]{4}", name[:4]) or (layout.own and size < layout.own):
        return None
    return name, size - layout.own


def _next(data, first, size, start, layout):
    """Where the chunk behind one begins; some writers forget the odd byte."""
    end = first + size
    padded = end + (start - end) % layout.align
    if padded != end and (
        data[end : end + 4] in MAGICS
        or (_chunk(data, padded, layout) is None and _chunk(data, end, layout))
    ):
        return end
    return padded


def _behind(data, layout, count):
    """What follows the audio that is declared: (bytes of audio, next stream or None, findings)."""
    end = count.first + count.declared
    place = end if layout is None else _next(data, count.first, count.declared, 0, layout)
    said = []
    while True:
        place = _after_tags(data, place)
        if place + 1 >= len(data):
            return count.declared, None, said
        if data[place : place + 4] in MAGICS:
            return count.declared, place, said
        chunk = layout and _chunk(data, place, layout)
        head = place + struct.calcsize(layout.head) if layout else 0
        if not chunk or not (head + chunk[1] <= len(data) or chunk[0] in KNOWN):
            break
        if chunk[0] in layout.audio:
            said.append(
                ("not decoded", f"{chunk[1]} bytes of audio in a second chunk are not read")
            )
        place = _next(data, head, chunk[1], 0, layout)
    if place <= end + layout.align if layout else place == end:
        return len(data) - count.first, None, said
    said.append(
        ("not decoded", f"its last {len(data) - place} bytes are no chunk, and are not read")
    )
    return count.declared, None, said


def _sun(data, start):
    order = ">" if data[start : start + 4] == b".snd" else "<"
    if len(data) < start + 24:
        return None
    offset, size = struct.unpack_from(order + "II", data, start + 4)
    return Count(start + offset, None if _open(size, "I") else size, start + 8, order + "I", 0)


def _nist(data, start):
    head = data[start : start + 1024]
    size = re.match(rb"NIST_1A\s+(\d+)", head)
    if not size:
        return None
    said = dict(re.findall(rb"^(\w+) -i (\d+)", data[start : start + int(size[1])], re.MULTILINE))
    try:
        parts = [int(said[k]) for k in (b"sample_count", b"channel_count", b"sample_n_bytes")]
    except KeyError:
        return None
    return Count(start + int(size[1]), parts[0] * parts[1] * parts[2], None, "", 0)


# Ogg: pages, and links of a chain. RFC 3533.


def _ogg(data, start):
    """All links of an Ogg file, each up to its last whole page."""
    links, said, place, beginning = [], [], start, False
    while place < len(data):
        size = _page(data, place)
        if size is None:
            after = data.find(b"OggS", place + 1)
            tags = _after_tags(data, place)
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
        _extend(link["pieces"], place, place + size)
        place += size
    for link in links:
        if link["open"]:
            said.append(
                ("cut short", "an Ogg stream without its last page; what there is, is taken")
            )
    return [Stream(tuple(link["pieces"])) for link in links], said, None


MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _page(data, place):
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


def _extend(pieces, first, stop):
    """Add bytes first:stop to a list of pieces."""
    if pieces and not isinstance(pieces[-1], bytes) and pieces[-1][1] == first:
        first = pieces.pop()[0]
    pieces.append((first, stop))


# FLAC: the last frame tells how many samples there are. RFC 9639.


def _flac(data, start):
    if len(data) < start + 42:
        return [], [], None
    after = [data.find(mark, start + 42) for mark in (b'fLaC\0\0\0"', b'fLaC\x80\0\0"')]
    following = min((place for place in after if place >= 0), default=None)
    stop = len(data) if following is None else following
    info = data[start + 8 : start + 42]
    declared = int.from_bytes(info[13:18], "big") & 2**36 - 1
    held, end = _flac_frames(data, start + 42, stop, info)
    said = []
    if held != declared and declared:
        kind = "cut short" if held < declared else "counts too little"
        sentence = f"its header says {declared} frames of audio, it holds {held}"
        said.append((kind, f"{sentence}; get the whole file, or write it anew"))
    elif _after_tags(data, end) < stop:
        said.append(("not decoded", f"{stop - end} bytes behind its last frame are not read"))
    pieces = ((start, stop),)
    if held != declared:
        head = bytearray(data[start : start + 42])
        head[21] = head[21] & 0xF0 | held >> 32
        head[22:26] = (held & 2**32 - 1).to_bytes(4, "big")
        pieces = (bytes(head), (start + 42, end))
    return [Stream(pieces, held)], said, following


def _flac_frames(data, start, stop, info):
    """(samples, byte) up to the end of the last whole frame of a stream; 0 where there is none."""
    heads, high = [], stop  # the heads of frames, from the last on
    while high > start:
        low = max(start, high - (1 << 16))
        near = [m.start() + low for m in re.finditer(rb"\xff[\xf8\xf9]", data[low : high + 1])]
        for head in reversed(near):
            frame = _flac_frame(data, head, info) if head < high else None
            if frame is None:
                continue
            ends = [head + end for end in _crc_ends(data[head:stop])] if len(heads) < 8 else []
            # A little behind the last frame may be no frame. More of it is a frame cut short: by
            # chance some byte of that looks like an end.
            whole = [end for end in ends if end in heads or not _more(data, end, stop, heads)]
            if whole:
                return sum(frame), max(whole)
            heads.append(head)
        high = low
    return 0, start


def _flac_frame(data, place, info):
    """(number of its first sample, its samples) of a frame whose header is whole, or None."""
    head = data[place : place + 16]
    if len(head) < 6 or head[2] >> 4 == 0 or head[2] & 15 == 15 or head[3] >> 4 > 10 or head[3] & 1:
        return None
    extra = 0 if head[4] < 128 else 7 - (head[4] ^ 0xFF).bit_length()
    number = head[4] if head[4] < 128 else head[4] & (0x3F >> extra)
    for byte in head[5 : 5 + extra]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    end, code = 5 + extra, head[2] >> 4
    if code == 6:
        size, end = head[end] + 1, end + 1
    elif code == 7:
        size, end = int.from_bytes(head[end : end + 2], "big") + 1, end + 2
    else:
        size = 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8
    end += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if len(head) <= end or end + 1 not in _crc_ends(head[: end + 1], 8, 0x07):
        return None
    fixed = int.from_bytes(info[2:4], "big")  # samples of every frame but the last
    return (number if head[1] & 1 else number * fixed), size


def _more(data, end, stop, heads):
    rest = data[end:stop]
    return heads or (len(rest.strip(b"\0")) > 256 and _after_tags(data, end) < stop)


@functools.cache
def _crc_table(bits, polynomial):
    table, mask = [], (1 << bits) - 1
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value >> bits - 1 else 0)) & mask
        table.append(value)
    return table


def _crc_ends(data, bits=16, polynomial=0x8005):
    """Where data may end with its own cyclic redundancy check: a list of lengths."""
    table, value, mask, ends = _crc_table(bits, polynomial), 0, (1 << bits) - 1, []
    for length, byte in enumerate(data, 1):
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
        if not value:
            ends.append(length)
    return ends


# MP3: its frames are counted. ISO 11172-3, 13818-3.


class Mp3Frame(NamedTuple):
    """What the four bytes of a frame's header say."""

    size: int  # bytes
    samples: int
    kind: tuple  # (version, layer, rate in Hz, mono)
    info: int  # byte of the frame where "Xing" or "Info" would stand


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
def _mp3_frame(head):
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
    return Mp3Frame(size, samples, (version, layer, rate, mono), info)


def mp3(data, start=0):
    """All streams of an MP3 file: another one begins with an Xing frame or another kind."""
    found, said, place = [], [], start
    while place < len(data):
        frame = _mp3_frame(data[place : place + 4])
        if frame is None:
            after = _after_tags(data, place)
            if after == place:
                after = _mp3_sync(data, place)
                if data[place:after].strip(b"\0"):
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
        older = not marked and data[place + 36 : place + 40] == b"VBRI"
        if marked or older or not found or found[-1]["kind"] != frame.kind:
            info = (place, place + frame.size) if marked else None
            found.append(
                {"kind": frame.kind, "info": info, "head": place, "count": 0, "pieces": []}
            )
        if not marked and not older:
            found[-1]["count"] += 1
            _extend(found[-1]["pieces"], place, place + frame.size)
        place += frame.size
    found = [stream for stream in found if stream["count"]]
    return [_mp3_stream(data, said, **stream) for stream in found], said, None


def _mp3_sync(data, place):
    """The next byte where two frames of one kind follow each other."""
    while (place := data.find(b"\xff", place + 1)) >= 0:
        frame = _mp3_frame(data[place : place + 4])
        if frame:
            behind = _mp3_frame(data[place + frame.size : place + frame.size + 4])
            if behind and behind.kind == frame.kind:
                return place
    return len(data)


def _mp3_stream(data, said, kind, info, head, count, pieces):
    """A stream whose first frame says how many follow; that frame is mended, or made."""
    samples = 384 if kind[1] == 1 else 1152 if kind[1] == 2 or kind[0] == 3 else 576
    if kind[1] != 3:
        return Stream(tuple(pieces), count * samples)
    frame = _mp3_frame(data[head : head + 4])
    if info is None:
        first = bytearray(data[head : head + 4])
        # No checksum, no padding, and a bit rate whose frames have room for what is written.
        first[1], first[2] = first[1] | 1, first[2] & 0x0C | 0x80
        frame = _mp3_frame(bytes(first))
        made = bytearray(frame.size)
        made[:4] = first
        struct.pack_into(">4sII", made, frame.info, b"Info", 1, count)
        return Stream((bytes(made), *pieces), count * samples, DECODER_DELAY)
    made = bytearray(data[info[0] : info[1]])
    flags, counted = struct.unpack_from(">II", made, frame.info + 4)
    if not flags & 1:
        return _mp3_stream(data, said, kind, None, head, count, pieces)
    trimmed, lame = 0, frame.info + 12 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1)
    lame += 4 * (flags >> 3 & 1) + 21  # 12 bits each: samples before and after the audio
    if lame + 3 <= len(made):
        before, after = made[lame] << 4 | made[lame + 1] >> 4, made[lame + 1] & 15
        trimmed = before + (after << 8 | made[lame + 2])
    if counted == count:
        _extend(whole := [info], *pieces[0])
        return Stream((*whole, *pieces[1:]), count * samples, trimmed)
    if counted != count + 1:  # some count the first frame as well
        less = count < counted
        sentence = f"its header says {counted} frames of {samples} samples, it holds {count}"
        kind = "cut short" if less else "counts too little"
        said.append((kind, f"{sentence}; get the whole file, or write it anew"))
    if counted > count + 1 and trimmed:  # its end is gone, with what was to be trimmed there
        made[lame + 1], made[lame + 2] = made[lame + 1] & 0xF0, 0
    struct.pack_into(">I", made, frame.info + 8, count)
    if flags & 2:
        struct.pack_into(">I", made, frame.info + 12, len(made) + sum(b - a for a, b in pieces))
    return Stream((bytes(made), *pieces), count * samples, trimmed)
