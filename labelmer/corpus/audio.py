"""Audio files -> 16 kHz, mono, 16 bit: decode, cut, mix down, resample."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.corpus import ffmpeg, levels
from labelmer.corpus.containers import mp3, streams
from labelmer.corpus.containers.stream import (
    CONTRADICTS,
    Content,
    File,
    Finding,
    Stream,
    not_checked,
    size_of,
    unread,
)
from labelmer.corpus.resampling import check_rate, resampled

BLOCK = 1 << 20  # samples decoded at once
WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4}
WIDTHS |= {"FLOAT": 4, "DOUBLE": 8, "ULAW": 1, "ALAW": 1}  # bytes of a sample
REASONS = {  # what libsndfile's errors mean, where it says otherwise
    1: "of no known format; raw audio has to be converted to WAV or FLAC",
    7: "it begins as audio does, but nothing can be decoded; get the whole file",
}
# Text in UTF-8, cut off anywhere: samples seldom are.
TEXT = rb"([\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})+"
TEXT += rb"([\xe0-\xf4][\x80-\xbf]{,2}|[\xc2-\xdf])?"
NO_AUDIO = [  # how files begin that are called audio and are none
    (rb"version https://git-lfs", "a pointer of git-lfs, not the file; run `git lfs pull`"),
    (rb"(?i)(\xef\xbb\xbf)?\s*(<!doctype|<html|<\?xml)", "a web page; download the audio again"),
    (rb"PK\x03\x04|\x1f\x8b", "a compressed archive; unpack it"),
    (rb"\0+$", "it begins with zeros, as what was not copied does; copy the file again"),
    (rb"(RIFF|fLaC|OggS|FORM|ID3).{,8}$", "cut off behind its beginning; copy it again"),
    (TEXT + rb"$", "text, not audio; get the audio itself"),
]
FOREIGN = [  # how files begin that only FFmpeg reads, and what they are
    (rb".{4}ftyp", "MP4 or M4A"),
    (rb"\x1aE\xdf\xa3", "WebM or Matroska"),
    (rb"RIFF.{4}AVI ", "AVI"),
    (rb"FLV\x01", "FLV"),
    (rb"0&\xb2u", "WMA or WMV"),
    (rb"\xff[\xf0\xf1\xf8\xf9]|ADIF", "AAC"),
    (rb"#!AMR", "AMR"),
    (rb"wvpk|MAC |ajkg", "WavPack, Monkey's Audio or shorten"),
    (rb"NIST_1A", "SPHERE in a coding such as shorten (sph2pipe converts it)"),
]
BEHIND = "another file stands behind the first; split the file"
NEEDS = "install what reads it, pip install 'labelmer[video]'"  # the package av


class Unreadable(InputError):
    """A file that is not readable as audio, for a reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not readable as audio ({reason})")
        self.reason = reason


class Source:
    """An audio file that was looked at once, for all cuts of it.

    path      the file
    rate      its sample rate in Hz
    frames    how many can be decoded, in all its streams
    findings  what is odd about the file: a list of (kind, sentence)
    problem   why there is no audio in it; else empty

    Errors: FileNotFoundError where there is no file, InputError where it is no readable audio.
    """

    def __init__(self, path: Path | str) -> None:
        self.path, self.head, self.problem = Path(path), b"", ""
        self.sound: ffmpeg.Sound | None = None  # where libsndfile does not read the file
        self.findings: list[Finding] = []
        try:
            mode = self.path.stat().st_mode
            if not stat.S_ISREG(mode):
                what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
                raise InputError(f"{path}: {what}, expected an audio file; correct the path")
            self.file = File(self.path)
            if not self.file.size:
                raise self._unreadable("an empty file, 0 bytes; copy it again")
            with Content(self.file) as data:
                self.streams, self.findings = streams(data)
                self.head = data[:64]
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(path) from None
        except OSError as error:
            raise unread(self.path, error) from None
        with self.file.unchanged():
            self._look()
        check_rate(self.path, self.rate)

    def _look(self) -> None:
        """Know what the file holds, by what reads it."""
        if not self.streams and self._foreign():
            self._read_by_ffmpeg("")
            return
        try:
            self._read_by_libsndfile()
        except Unreadable as error:
            contradicts = any(kind == CONTRADICTS for kind, _ in self.findings)
            if contradicts or (self._no_audio() and not self._foreign()):
                raise
            self._read_by_ffmpeg(error.reason)

    def _read_by_libsndfile(self) -> None:
        """Look at all streams of the file. Errors: Unreadable."""
        for kind, sentence in self.findings:
            if kind == CONTRADICTS:
                raise Unreadable(self.path, sentence)
        if not self.streams:
            self._look_for_mp3()
        self.lengths, kinds = [], set()
        for stream in self._parts():
            with self._open(stream) as file:
                kinds.add((file.samplerate, file.channels))
                self.lengths.append(self._checked(file, stream))
        if len(kinds) > 1:
            what = " and ".join(
                f"{rate} Hz, {channels} channels" for rate, channels in sorted(kinds)
            )
            raise InputError(
                f"{self.path}: streams of {what}, one behind the other; split the file"
            )
        (self.rate, _), self.frames = kinds.pop(), sum(self.lengths)

    def _read_by_ffmpeg(self, reason: str) -> None:
        """Look at a file that libsndfile does not read, for the reason."""
        what = self._foreign()
        if not ffmpeg.here():
            if what:
                raise Unreadable(self.path, f"{what}, {NEEDS}, or convert it to WAV or FLAC")
            raise Unreadable(self.path, f"{reason}; if it is audio or video, {NEEDS}")
        try:
            pieces = self.streams[0].pieces if self.streams else None
            self.sound = ffmpeg.Sound(self.file, pieces)
        except ffmpeg.NotRead as error:
            if what:
                reason = f"{what} that FFmpeg does not read: {error}; get the whole file, or "
                reason += "convert it to WAV or FLAC"
            raise Unreadable(self.path, reason) from None
        self.rate, self.frames = self.sound.rate or RATE, self.sound.frames
        if not (self.frames or self.sound.silent or what):
            raise Unreadable(self.path, reason)
        counted = [("not decoded", BEHIND)] if len(self.streams) > 1 else []
        held = self.streams[0].frames if self.streams else None
        if held and self.frames < held:
            counted.append(_not_all(held, self.frames))
        # What was counted was checked, but for a CAF, whose table of packets may stand at its end.
        checked = self.streams and self.head[:4] != b"caff"
        unknown = "not checked" if checked else None
        found = [finding for finding in self.sound.findings if finding[0] != unknown]
        self.findings = [*self.findings, *counted, *found]
        if self.sound.silent:
            self.problem = "no audio stream"

    def _look_for_mp3(self) -> None:
        """An MP3 that does not begin with a frame is known by its name, and by being frames."""
        if self.path.suffix.lower() == ".mp3":
            with Content(self.file) as data:
                found, findings, _ = mp3.read(data)
            if sum(size_of(p) for stream in found for p in stream.pieces) > self.file.size / 2:
                self.streams, self.findings = found, findings

    def _parts(self) -> list[Stream | None]:
        """The streams that were counted, or None for a file in which none was."""
        return [*self.streams] or [None]

    def _open(self, stream: Stream | None) -> soundfile.SoundFile:
        """A stream, ready to be decoded.

        Never by the file's name, by whose end libsndfile would take anything for headerless audio.
        """
        try:
            return soundfile.SoundFile(self.file.stream(stream.pieces if stream else None))
        except soundfile.LibsndfileError as error:
            raise self._unreadable(REASONS.get(error.code, error.error_string)) from None

    def _foreign(self) -> str:
        """What the file is, where its beginning says that libsndfile does not read it."""
        return _first(FOREIGN, self.head)

    def _no_audio(self) -> str:
        return _first(NO_AUDIO, self.head)

    def _unreadable(self, reason: str) -> "Unreadable":
        reason = "; ".join([reason, *(sentence for _, sentence in self.findings)])
        return Unreadable(self.path, self._no_audio() or reason)

    def _checked(self, file: soundfile.SoundFile, stream: Stream | None) -> int:
        """Frames of a stream, held against what was counted."""
        if file.subtype.startswith("MPEG") and file.format != "MP3":  # its length is a guess
            raise self._unreadable(f"MP3 in {file.format}")
        if file.subtype.startswith("DWVW"):  # libsndfile cannot seek in it
            raise self._unreadable(f"audio in {file.subtype}; convert it to WAV or FLAC")
        if file.frames >= 2**62:
            raise InputError(f"{self.path}: audio of unknown length; convert it to WAV or FLAC")
        if stream is None:
            self.findings.append(not_checked(file.format))
            return file.frames
        frames, trimmed = stream.frames, stream.trimmed
        if frames is None and stream.bytes is not None and file.subtype in WIDTHS:
            frames = stream.bytes // (WIDTHS[file.subtype] * file.channels)
        elif stream.bytes is not None and (file.format, file.subtype) == ("AIFF", "GSM610"):
            # Blocks, of which libsndfile decodes as much as the header's count of frames says.
            frames, trimmed = stream.bytes // 33 * 160, 159
        if frames is not None and not frames - trimmed <= file.frames <= frames:
            self.findings.append(_not_all(frames, file.frames))
        return file.frames

    def span(self, start_s: float | None = None, end_s: float | None = None) -> tuple[int, int]:
        """What a cut takes: (first frame, stop frame).

        start_s and end_s are in seconds; None takes the whole file. A cut that reaches past the
        end of the file stops there.
        """
        if start_s is None:
            return 0, self.frames
        first, stop = (min(seconds * self.rate, self.frames) for seconds in (start_s, end_s))
        return round(first), round(stop)

    def read(self, first: int, stop: int) -> tuple[np.ndarray, list[Finding]]:
        """Frames first:stop as int16 mono at 16 kHz, and what is odd about them.

        Returns samples of shape (samples,) and a list of (kind, sentence). Channels are averaged.
        Files that are 16 kHz, mono and 16 bit already pass bit for bit.
        """
        measured: list[dict[str, Any]] = []
        read = bytearray()  # whole recordings are long: this grows in its place
        with self.file.unchanged():
            for piece in resampled(self._mono(first, stop, measured), self.rate):
                read += np.clip(np.round(piece * 32768), -32768, 32767).astype(np.int16).data
        decoded = sum(level["count"] for level in measured)
        if decoded != stop - first:
            raise InputError(
                f"{self.path}: {decoded} frames could be decoded, its header says "
                f"{stop - first}; replace the file"
            )
        return np.frombuffer(read, np.int16), levels.oddities(measured) if measured else []

    def _mono(self, first: int, stop: int, measured: list[dict[str, Any]]) -> Iterator[np.ndarray]:
        """The mean over channels of each decoded block; measured gets what oddities() needs."""
        for block in self._blocks(first, stop):
            mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
            if not np.isfinite(mono.sum()) and not np.isfinite(mono).all():
                raise InputError(
                    f"{self.path}: samples that are not numbers (NaN or Inf); replace the file"
                )
            measured.append(levels.measure(block, mono))
            yield mono

    def _blocks(self, first: int, stop: int) -> Iterator[np.ndarray]:
        """Decoded frames first:stop, each block of shape (frames, channels)."""
        if self.sound:
            yield from self.sound.blocks(first, stop)
            return
        before = 0
        for stream, length in zip(self._parts(), self.lengths, strict=True):
            place, end = max(first - before, 0), min(stop - before, length)
            before += length
            if place >= end:
                continue
            try:
                with self._open(stream) as file:
                    if place:
                        file.seek(place)
                    most = max(BLOCK // file.channels, 1)
                    while place < end:
                        block = file.read(min(most, end - place), "float64", always_2d=True)
                        if not len(block):
                            break
                        place += len(block)
                        yield block
            except soundfile.LibsndfileError as error:
                raise InputError(f"{self.path}: damaged audio ({error})") from None


def _not_all(held: int, decoded: int) -> Finding:
    text = f"it holds {held} frames, {decoded} are decoded; convert it to WAV or FLAC"
    return "not decoded", text


def _first(table: list[tuple[bytes, str]], head: bytes) -> str:
    """What the first pattern says that a file's beginning matches; empty where none does."""
    found = (what for start, what in table if re.match(start, head, re.DOTALL))
    return next(found, "")


def relative(path: Path | str, root: Path | str) -> str:
    """A path as it stands below the corpus root, for tables and messages."""
    root = Path(root)
    return os.path.relpath(path, root if root.is_dir() else root.parent)
