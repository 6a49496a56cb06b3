"""A stream of a file, and how it is read as a file of its own."""

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, overload

from labelmer.base.errors import InputError

Piece = bytes | tuple[int, int]  # the bytes, or (first, stop) in the file
Finding = tuple[str, str]  # (kind, sentence)
AGAIN = "run again when nothing writes it"
BLOCK = 1 << 18  # bytes of a file that are read at once, to be looked at
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
        """InputError if it is another file now, or none, or could not be read."""
        if self.failed:
            raise unread(self.path, self.failed)
        try:
            now = self._now()
        except OSError as error:
            raise unread(self.path, error) from None
        if now != self._state:
            raise InputError(f"{self.path}: it changed while it was read; {AGAIN}")

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is done within is done with one file; where it is not, that is the error."""
        try:
            yield
        except Exception:
            self.check()
            raise
        self.check()

    def stream(self, pieces: Iterable[Piece] | None = None) -> "Pieces":
        """All of it, or pieces, as a file. InputError as check()."""
        self.check()
        try:
            return Pieces(self, [(0, self.size)] if pieces is None else list(pieces))
        except OSError as error:
            raise unread(self.path, error) from None


def unread(path: Path, error: OSError) -> InputError:
    """That a file cannot be read, and why."""
    reason = error.strerror or str(error)
    return InputError(
        f"{path}: cannot be read ({reason}); correct its permissions or its disk, or {AGAIN}"
    )


class Content:
    """The bytes of a file, to be looked at as if they were bytes.

    They are read in blocks and not mapped: where a file shrinks under a mapping, or a disk fails,
    the process ends. Errors: InputError as File.check().
    """

    def __init__(self, of: File) -> None:
        self.of = of
        self.file = of.stream()
        self.first, self.block = 0, b""

    def __enter__(self) -> "Content":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __len__(self) -> int:
        return self.of.size

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, int):
            return self._read(key, key + 1)[0]
        first, stop, _ = key.indices(len(self))
        return self._read(first, stop)

    def find(self, wanted: bytes, first: int = 0, stop: int | None = None) -> int:
        """The first byte from which on the wanted bytes stand within first:stop, or -1."""
        stop = len(self) if stop is None else min(stop, len(self))
        while first < stop:
            place = self._read(first, min(first + BLOCK, stop)).find(wanted)
            if place >= 0:
                return first + place
            first += BLOCK - len(wanted) + 1
        return -1

    def _read(self, first: int, stop: int) -> bytes:
        if not self.first <= first <= stop <= self.first + len(self.block):
            self.file.seek(first)
            size = min(max(stop - first, BLOCK), len(self) - first)
            self.first, self.block = first, self.file.read(size) or b""
            if len(self.block) < size:
                self.of.check()
                raise InputError(f"{self.of.path}: it ends while it is read; {AGAIN}")
        return self.block[first - self.first : stop - self.first]


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


Data = bytes | Content  # of a whole file
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
