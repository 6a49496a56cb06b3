"""The files of a corpus as it is distributed: each becomes a clip, is a table, or is left out.

A recipe takes the clips. What it neither takes nor reads is left out with the reason, so nothing
is lost.
"""

import csv
import io
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.base.log import log

SOUND = {".wav", ".mp3", ".mp4", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff"}
SOUND |= {".au", ".sph", ".avi", ".mkv", ".mov", ".webm", ".flv", ".m4v"}
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"}
POINTER = b"version https://git-lfs.github.com/spec/"  # how git-lfs' stand-ins begin
POINTER_BYTES = 1024  # they are no longer than this
GLANCE = 4096  # bytes that tell most files of one size apart

# U+0092 for an apostrophe, and the like: Windows-1252 that was taken for Latin-1.
QUOTES = {code: bytes([code]).decode("cp1252") for code in (0x85, *range(0x91, 0x98))}

Row = dict[str, str]


class Release:
    """A folder, and what a recipe says of its files; paths are relative to it, with slashes."""

    def __init__(self, root: Path | str, beside: Iterable[Path] = ()) -> None:
        """Raise InputError if root is no folder. beside: files that are none of the release's."""
        self.root = Path(root)
        if not self.root.is_dir():
            raise InputError(
                f"{root}: there is no such folder{names.misspelt(root)}, expected the corpus' own"
            )
        self._beside = {path.name: path.resolve() for path in beside}
        self.left_out: dict[str, str] = {}  # path: why
        self.rows: list[Row] = []  # clips, in the order in which they were taken
        self._tables: set[str] = set()
        self._first: dict[str, Row] = {}  # id: the clip that has it
        found = self._walk("", set())
        # A second copy of all lies deeper than the first.
        self.files = sorted(found, key=lambda path: (path.count("/"), path))

    def take(
        self, path: str, *, speaker: str, label: str, id: str = "", text: str = "", **more: str
    ) -> None:
        """A file is a clip.

        id: what tells the clip from all others, by default the file's name without its ending; the
        second file that has it is left out. more: columns of the manifest that may lack.
        """
        if trouble := self._trouble(path):
            self.leave(path, trouble)
            return
        row = {"id": id or Path(path).stem, "speaker": speaker, "label": label, "text": text}
        row = {key: " ".join(cell.split()) for key, cell in (row | more).items()} | {"path": path}
        first = self._first.setdefault(row["id"], row)
        if first is row:
            self.rows.append(row)
        elif first["label"] == label:
            same = self._digest(path) == self._digest(first["path"])
            differ = "" if same else ", though its bytes differ"
            self.leave(path, f"the same as {first['path']}{differ}")
        else:
            self.leave(path, f"named as {first['path']}, and of another label")
            self.leave(first["path"], f"named as {path}, and of another label")
            self.rows = [row for row in self.rows if row is not first]

    def leave(self, path: str, reason: str) -> None:
        """A file, or what a table names and no file is, is no clip."""
        self.left_out.setdefault(path, reason)

    def read(self, path: str) -> bytes:
        """The bytes of a table of the release, which is then not left out."""
        if trouble := self._trouble(path):
            raise InputError(f"{self.root / path}: {trouble}; expected a table of the release")
        self._tables.add(path)
        return (self.root / path).read_bytes()

    def text(self, path: str) -> str:
        """What a transcript of the release says; nothing, where it is empty."""
        if not self._size(path):
            self._tables.add(path)
            return ""
        data = self.read(path)
        try:
            data.decode()
        except UnicodeDecodeError:
            log.warning("%s: not UTF-8, read as Windows-1252", self.root / path)
        return text_of(data)

    def table(self, path: str, delimiter: str, columns: Iterable[str]) -> list[Row]:
        """The rows of a table with a header, {column: cell without blanks around it}.

        columns: those that are needed. InputError: one is absent, or this is no such table.
        """
        text = text_of(self.read(path))
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            found = [
                {key.strip(): (cell or "").strip() for key, cell in row.items() if key is not None}
                for row in reader
            ]
        except csv.Error as error:
            raise InputError(f"{self.root / path}: not a table ({error})") from None
        for column in columns:
            if not found or column not in found[0]:
                raise InputError(
                    f"{self.root / path}: no rows, or no column {column}; expected the columns "
                    f"{', '.join(columns)}, as the release has them"
                )
        return found

    def by_key(self, path: str, rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, Row]:
        """The rows of a table by what key says of them; of several the last, others left out."""
        found: dict[str, tuple[int, Row]] = {}
        for number, row in enumerate(rows, 1):
            name = key(row)
            if name in found:
                self.leave(f"{path}: row {found[name][0]}", f"another row of {name} comes after it")
            found[name] = number, row
        return {name: row for name, (_, row) in found.items()}

    def stems(self, ending: str, folder: str = "") -> dict[str, str]:
        """{name without the ending: the first such file}; folder: a word of its folders' names."""
        found: dict[str, str] = {}
        for path in self.files:
            folders, _, name = path.rpartition("/")
            if name.lower().endswith(ending) and folder in folders.lower():
                found.setdefault(name[: -len(ending)], path)
        return found

    def named(self, *files: str) -> list[str]:
        """The files of these names, whatever their case."""
        wanted = {name.casefold() for name in files}
        return [path for path in self.files if path.rpartition("/")[2].casefold() in wanted]

    def leave_the_rest(self, looks: str) -> None:
        """Leave out what was neither taken nor read. looks: the path of a clip."""
        done = {row["path"] for row in self.rows} | self._tables | set(self.left_out)
        for path in self.files:
            if path not in done:
                ending, why = Path(path).suffix.lower(), "no audio, and no table that is read"
                if ending in SOUND:
                    why = f"its name fits no rule, expected one like {looks}"
                elif ending in ARCHIVES:
                    why = "an archive, which is not looked into: unpack it"
                self.leave(path, why)

    def identical(self) -> list[list[Row]]:
        """Clips that are the same bytes: lists of two or more."""
        groups = [self.rows]
        keys: list[Callable[[str], object]] = [self._size, self._glance, self._digest]
        for key in keys:
            groups = [part for group in groups for part in _parted(group, key)]
        return groups

    def _walk(self, folder: str, above: set[tuple[int, int]]) -> Iterator[str]:
        """Visible files; hidden ones and folders are left out. above: the folders it lies in."""
        status = (self.root / folder).stat()
        above = above | {(status.st_dev, status.st_ino)}
        try:
            entries = list(os.scandir(self.root / folder))
        except OSError as error:
            self.leave(folder, f"a folder that cannot be read ({error.strerror})")
            return
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                what = "a hidden folder" if entry.is_dir() else "a hidden file"
                self.leave(path, f"{what}, of the system or of a program")
            elif entry.is_dir():
                status = entry.stat()
                if (status.st_dev, status.st_ino) in above:
                    self.leave(path, "a link to a folder that it lies in")
                else:
                    yield from self._walk(path, above)
            elif entry.name not in self._beside or not self._is_beside(path):
                yield path

    def _is_beside(self, path: str) -> bool:
        return (self.root / path).resolve() == self._beside[Path(path).name]

    def _trouble(self, path: str) -> str:
        """Why a file cannot be a clip, whatever its name says; or nothing."""
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
            return "its path has a control character or is not UTF-8; rename it"
        try:
            size = (self.root / path).stat().st_size
            head = (self.root / path).read_bytes() if size <= POINTER_BYTES else b""
        except OSError as error:
            return f"it cannot be read ({error.strerror})"
        if size == 0:
            return "an empty file"
        return "a git-lfs pointer, no audio; run git lfs pull" if head.startswith(POINTER) else ""

    def _size(self, path: str) -> int:
        return (self.root / path).stat().st_size

    def _glance(self, path: str) -> bytes:
        """Bytes from the middle of a file: many begin and end with silence."""
        with (self.root / path).open("rb") as file:
            file.seek(max(0, self._size(path) - GLANCE) // 2)
            return file.read(GLANCE)

    def _digest(self, path: str) -> bytes:
        digest = blake2b()
        with (self.root / path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.digest()


def text_of(data: bytes) -> str:
    """What bytes say: UTF-8, else Windows-1252, whose quotes some files have within UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    return text.translate(QUOTES)


def _parted(rows: list[Row], key: Callable[[str], object]) -> list[list[Row]]:
    """Rows by what key says of their paths: the lists of two or more."""
    groups = defaultdict(list)
    for row in rows:
        groups[key(row["path"])].append(row)
    return [group for group in groups.values() if len(group) > 1]
