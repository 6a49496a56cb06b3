"""A stream of a file, and how it is read as a file of its own."""

import io
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from labelmer.base.errors import InputError

Data = bytes | mmap.mmap  # of a whole file
Piece = bytes | tuple[int, int]  # the bytes, or (first, stop) in the file
Finding = tuple[str, str]  # (kind, sentence)
AGAIN = "run again when nothing writes it"
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


class File:
    """A file as it was when it was first looked at.

    size  in bytes

    Errors: OSError where it cannot be looked at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = self._now()
        self.size = self._state[2]
        self.failed: OSError | None = None  # what came of reading it

    def _now(self) -> tuple[int, ...]:
        found = self.path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def check(self) -> None:
        """InputError if it is another file now, or none, or could not be read to its end."""
        if self.failed:
            reason = self.failed.strerror
            raise InputError(f"{self.path}: cannot be read ({reason}); correct its disk")
        try:
            now = self._now()
        except OSError as error:
            raise self._gone(error) from None
        if now != self._state:
            raise InputError(f"{self.path}: it changed while it was read; {AGAIN}")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is done within is done with one file; where it is not, that is the error."""
        try:
            yield
        finally:
            self.check()

    def _gone(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: it cannot be read any more ({error.strerror}); {AGAIN}")

    def mapped(self) -> mmap.mmap:
        """Its bytes, to be looked at at once: a file that shrinks under a mapping ends us.

        InputError as check(); OSError where it may not be read.
        """
        self.check()
        with self.path.open("rb") as file:
            try:
                return mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ)
            except ValueError:  # it is shorter by now
                raise InputError(f"{self.path}: it changed while it was read; {AGAIN}") from None

    def stream(self, pieces: Iterable[Piece] | None = None) -> "Pieces":
        """All of it, or pieces, as a file. InputError as check()."""
        self.check()
        try:
            return Pieces(self, [(0, self.size)] if pieces is None else list(pieces))
        except OSError as error:
            raise self._gone(error) from None


class Pieces(io.RawIOBase):
    """Pieces of a file, one behind the other, as a file that ends where it cannot be read."""

    def __init__(self, of: File, pieces: list[Piece]) -> None:
        super().__init__()
        self.of, self.file = of, of.path.open("rb", buffering=0)
        self.pieces, self.size, self.place = pieces, sum(map(size_of, pieces)), 0

    def close(self) -> None:
        self.file.close()
        super().close()

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
        view, done, before = memoryview(buffer).cast("B"), 0, 0
        for piece in self.pieces:
            first, size = self.place - before, size_of(piece)
            if 0 <= first < size and done < len(view):
                wanted = view[done : done + size - first]
                read = len(wanted)
                if isinstance(piece, bytes):
                    wanted[:] = piece[first : first + read]
                else:
                    try:
                        read = os.preadv(self.file.fileno(), [wanted], piece[0] + first)
                    except OSError as error:  # a decoder in C would print it, and go on
                        self.of.failed, read = error, 0
                done, self.place = done + read, self.place + read
                if read < len(wanted):
                    break
            before += size
        return done


def size_of(piece: Piece) -> int:
    """Bytes of a piece."""
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]


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
