"""A stream of a file, and how it is read as a file of its own."""

import io
import mmap
from collections.abc import Iterable
from typing import Any, NamedTuple

Data = bytes | mmap.mmap  # of a whole file
Piece = bytes | tuple[int, int]  # the bytes, or (first, stop) in the file
Finding = tuple[str, str]  # (kind, sentence)
CONTRADICTS = "contradicts itself"  # the kind of finding with which a file is not read


class Stream(NamedTuple):
    """One stream of a file.

    pieces   its bytes, in order: bytes, or (first, stop) in the file
    frames   how many it holds, where that was counted, else None
    trimmed  frames at most that a decoder leaves out on purpose
    bytes    of uncompressed audio, where they were counted, else None
    """

    pieces: tuple[Piece, ...]
    frames: int | None = None
    trimmed: int = 0
    bytes: int | None = None


class Pieces(io.RawIOBase):
    """A stream as a file that is read from memory: data holds the bytes of its whole file."""

    def __init__(self, data: Data, pieces: Iterable[Piece]) -> None:
        super().__init__()
        self.parts = [p if isinstance(p, bytes) else memoryview(data)[p[0] : p[1]] for p in pieces]
        self.size, self.place = sum(map(len, self.parts)), 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.place = offset + (0, self.place, self.size)[whence]
        return self.place

    def readinto(self, buffer: Any) -> int:
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


# What a kind's read(data, start) returns: streams, findings, the byte of the next stream or None.
Read = tuple[list[Stream], list[Finding], int | None]


def extend(pieces: list[Piece], first: int, stop: int) -> None:
    """Add bytes first:stop to a list of pieces."""
    if pieces and not isinstance(pieces[-1], bytes) and pieces[-1][1] == first:
        first = pieces.pop()[0]
    pieces.append((first, stop))


def not_checked(kind: str) -> Finding:
    """The finding of a file whose length nobody counts; kind: its format."""
    return "not checked", f"whether {kind} files are whole is not checked; use WAV or FLAC for that"
