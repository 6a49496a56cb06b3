"""What the header of uncompressed audio says of it must agree with itself.

Sources: Microsoft's WAVEFORMATEX; Apple's AIFF-C and Core Audio Format.
"""

import struct

from labelmer.corpus.containers.stream import CONTRADICTS, Finding

PCM, FLOAT, ALAW, ULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE  # kinds of WAV
AIFC_BYTES = {b"ulaw": 1, b"ULAW": 1, b"alaw": 1, b"ALAW": 1}  # of a sample, whatever COMM says
AIFC_PLAIN = {b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32"}


def wave(chunk: bytes, order: str, held: int | None) -> list[Finding]:
    """Findings of the chunk "fmt " of a WAV or its kin, given without its head; order: < or >."""
    if len(chunk) < 16:
        return []
    kind, channels, rate, speed, block, bits = struct.unpack_from(order + "HHIIHH", chunk)
    plain = kind == PCM
    if kind == EXTENSIBLE and len(chunk) >= 26:
        (kind,) = struct.unpack_from(order + "H", chunk, 24)
    if not rate or not channels:
        return _contradicts(f"{rate} Hz, {channels} channel(s)")
    if kind == FLOAT and bits not in (32, 64):
        return _contradicts(f"floating point of {bits} bits, which has 32 or 64")
    if kind not in (PCM, FLOAT, ALAW, ULAW) or not block:  # 0: never written
        return []
    width = 1 if kind in (ALAW, ULAW) else -(-bits // 8)
    if plain and bits == 24 and block == 4 * channels:  # libsndfile takes them for 32 bits
        width = 4
    if block != channels * width:
        return _blocks(channels, width, block)
    if speed and speed != rate * block:
        text = f"{rate} Hz, and {speed} bytes per second, which are {speed / block:g} Hz"
        return [("two rates", f"its header says {text}; the first is taken. Listen to it")]
    return []


def aiff(chunk: bytes, order: str, held: int | None) -> list[Finding]:
    """Findings of the chunk COMM of an AIFF that holds so many bytes of audio."""
    if len(chunk) < 18:
        return []
    channels, frames, bits = struct.unpack_from(order + "HIH", chunk)
    kind = chunk[18:22] or b"NONE"
    if kind not in AIFC_PLAIN | {*AIFC_BYTES}:
        return []
    expected = frames * channels * AIFC_BYTES.get(kind, -(-bits // 8))
    if (
        not expected or not held or expected in (held, held - expected % 2)
    ):  # with a byte of padding
        return []
    text = f"{frames} frames of {channels} channel(s) and {bits} bits, and {held} bytes of audio"
    said = f"its header says {text}, not {expected}; the bytes are taken. Listen to it"
    return [("two lengths", said)]


def caf(chunk: bytes, order: str, held: int | None) -> list[Finding]:
    """Findings of the chunk desc of a CAF, given without its head."""
    if len(chunk) < 32 or chunk[8:12] != b"lpcm":
        return []
    block, frames, channels, bits = struct.unpack_from(order + "4I", chunk, 16)
    width = -(-bits // 8)
    return [] if block == frames * channels * width else _blocks(channels, width, block)


def _blocks(channels: int, width: int, block: int) -> list[Finding]:
    return _contradicts(f"{channels} channel(s) of {width} byte(s) in blocks of {block}")


def _contradicts(text: str) -> list[Finding]:
    return [(CONTRADICTS, f"its header says {text}; mend that, or write the file anew")]
