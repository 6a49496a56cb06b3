"""What libsndfile cannot read, and the sound of videos, by FFmpeg's libraries (the package av).

A file is decoded from front to back, in blocks, and never sought in: what a codec gives behind a
seek is not what it gives in passing.
"""

import functools
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from labelmer.base.errors import InputError
from labelmer.corpus.containers import asf, avi, flv, lengths, matroska, mp4
from labelmer.corpus.containers.stream import Content, Data, File, Finding, Piece, not_checked
from labelmer.corpus.resampling import check_rate

BLOCK = 1 << 16  # frames at least that are handed on at once
BEHIND = 1 << 20  # frames that a pass keeps, as turns that overlap are cut one after the other
SHORT_S = 0.05  # by which a header may count what a decoder leaves out at the beginning
GAP_S = 0.25  # between two times of a stream: longer than any codec's block
PAUSE_S = 60.0  # a longer gap is taken for wrong times
KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # of samples
# What may be opened: recordings, and pictures taken for one. Of the other formats that FFmpeg
# knows, some end the process where they are damaged, and playlists name other files.
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,dtshd,dv,eac3,flac,flv,loas,matroska,"
    "webm,mlp,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,ogg,rm,shn,sox,tak,truehd,tta,"
    "voc,w64,wav,wtv,wv,bmp_pipe,gif,jpeg_pipe,png_pipe,tiff_pipe,webp_pipe"
)
# Containers of which FFmpeg says what the header says of the length; of others it guesses it.
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
MEASURED = {MP4, "matroska,webm", "nistsphere"}


def here() -> bool:
    """Whether the package av is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


class NotRead(Exception):
    """FFmpeg cannot tell what a file is, or finds no beginning in it."""


class Sound:
    """The first audio stream of a file, decoded once to know how long it is.

    file      the file, or
    pieces    what is to be read of it
    rate      its sample rate in Hz; 0 where there are no frames
    frames    how many can be decoded, silence for the gaps among them included
    findings  what is odd about the file: a list of (kind, sentence)
    silent    whether the file, a video or an image, has no audio stream

    Errors: NotRead; InputError where there is audio that cannot be decoded.
    """

    def __init__(self, file: File, pieces: Iterable[Piece] | None = None) -> None:
        self.file, self.path, self.pieces = file, file.path, pieces
        self.rate, self.channels, self.silent = 0, 0, False
        self.findings: list[Finding] = []
        self.frames = sum(map(len, self.decoded(self.findings)))
        with Content(file) as data:
            for container in (asf, avi, flv, matroska, mp4):
                self.findings += container.findings(data)

    def blocks(self, first: int, stop: int) -> Iterator[np.ndarray]:
        """Decoded frames first:stop, each block of shape (frames, channels), full scale 1.

        Cuts that are asked for in order, of one file after the other, cost one pass in all.
        """
        return _pass(self).cut(first, stop)

    def decoded(self, said: list[Finding]) -> Iterator[np.ndarray]:
        """All samples in order, in blocks as blocks() gives them; what is odd is added to said."""
        waiting: list[np.ndarray] = []
        with self._opened() as container:
            for samples in self._placed(container, said):
                waiting.append(samples)
                if sum(map(len, waiting)) >= BLOCK:
                    yield np.concatenate(waiting)
                    waiting = []
        if waiting:
            yield np.concatenate(waiting)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        # Imported here: the package is an extra.
        import av

        try:
            # Without its name, by whose end FFmpeg would take anything for headerless audio.
            container = av.open(
                self.file.stream(self.pieces),
                metadata_errors="replace",
                options={"format_whitelist": FORMATS},
            )
        except av.FFmpegError as error:
            raise NotRead(error.strerror) from None
        with container:
            if not len(container.streams):
                raise NotRead("it holds no stream")
            yield container

    def _placed(self, container: Any, said: list[Finding]) -> Iterator[np.ndarray]:
        """Samples of the first audio stream, with silence where its times leave a gap."""
        streams = container.streams.audio
        if not streams:
            self.silent = True
            return
        # An FLV holds one: the others are what FFmpeg makes of a torn end.
        if len(streams) > 1 and container.format.name != "flv":
            text = f"{len(streams)} audio streams; the first is taken, extract another to use it"
            said.append(("several streams", text))
        start = (container.start_time or 0) / 1e6
        with Content(self.file) as data:
            watch = _Watch(container, streams[0], start, data)
        place, gaps, astray = 0, [], 0.0
        for frame in self._frames(container, streams[0], watch):
            if frame.pts is not None:
                time = float(frame.pts * frame.time_base)
                watch.hear(time)
                ahead = round((time - start) * self.rate) - place
                if GAP_S < ahead / self.rate <= PAUSE_S:
                    for done in range(0, ahead, BLOCK):
                        yield np.zeros((min(BLOCK, ahead - done), self.channels))
                    place += ahead
                    gaps.append(ahead / self.rate)
                else:
                    astray = max(astray, abs(ahead) / self.rate)
            samples = self._samples(frame)
            place += len(samples)
            yield samples
        if gaps:
            text = f"its times leave gaps ({len(gaps)}, {sum(gaps):.2f} s in all)"
            said.append(("gaps", f"{text}; silence stands there"))
        if astray > GAP_S:
            text = f"its sound and its times are up to {astray:.2f} s apart, and cuts as much off"
            said.append(("times", f"{text}; write it anew"))
        if watch.empty > GAP_S:
            text = (
                f"its sound pauses for {watch.empty:.2f} s, which is not read: cuts are as much off"
            )
            said.append(("times", f"{text}; convert it to MP4"))
        if watch.broken and not place:
            raise InputError(f"{self.path}: damaged audio ({watch.broken})")
        said += watch.findings(place / self.rate if place else 0.0)

    def _frames(self, container: Any, stream: Any, watch: "_Watch") -> Iterator[Any]:
        """Decoded frames of a stream. Damage with sound behind it is an error."""
        import av

        if stream.codec_context is None:
            raise InputError(f"{self.path}: audio in a codec that FFmpeg does not read")
        packets = container.demux()
        while True:
            frames = []
            try:
                if (packet := next(packets, None)) is None:
                    return
                watch.see(packet)
                if packet.stream.index == stream.index:
                    if watch.broken and packet.size:
                        raise InputError(f"{self.path}: damaged audio ({watch.broken})")
                    frames = packet.decode()
            except av.FFmpegError as error:
                watch.broken = error.strerror or str(error)
                continue
            except IndexError:  # av has no place for the streams that a torn end seems to begin
                watch.broken = "a torn end"
                continue
            for frame in frames:
                kind = frame.sample_rate, frame.layout.nb_channels
                if self.rate and kind != (self.rate, self.channels):
                    raise InputError(
                        f"{self.path}: audio of {self.rate} Hz, {self.channels} channels and "
                        f"{kind[0]} Hz, {kind[1]} channels, one behind the other; split the file"
                    )
                check_rate(self.path, frame.sample_rate)
                self.rate, self.channels = kind
                yield frame
            if packet.is_corrupt and packet.stream.index == stream.index:
                watch.broken = "a packet is not whole"

    def _samples(self, frame: Any) -> np.ndarray:
        """A decoded frame as (frames, channels), full scale 1."""
        from av.audio.plane import AudioPlane

        # Plane by plane: of eight channels and more, the frame itself counts planes that are none.
        planes = range(self.channels if frame.format.is_planar else 1)
        kind = KINDS[frame.format.name.removesuffix("p")]
        read = [np.frombuffer(memoryview(AudioPlane(frame, number)), kind) for number in planes]
        each = frame.samples * self.channels // len(planes)
        samples = np.stack([plane[:each] for plane in read], axis=1).reshape(-1, self.channels)
        if samples.dtype.kind == "f":
            return samples.astype(np.float64)
        whole = 2.0 ** (8 * samples.dtype.itemsize - 1)
        return (samples - whole * (samples.dtype.kind == "u")) / whole


class _Watch:
    """How far a file reaches, of what its header says.

    A header may say it of the audio stream, or of the file alone, in which another stream may be
    longer.
    """

    def __init__(self, container: Any, stream: Any, start: float, data: Data) -> None:
        self.kind, self.start, self.end, self.broken = container.format, start, 0.0, ""
        self.own: float | None = None
        self.total: float | None = None
        self.stream, self.tagged = stream.index, False
        self.empty = 0.0  # seconds of sound that are passed over
        self.first: float | None = None  # time of the stream's first packet
        self.before = 0.0  # seconds of sound that a decoder leaves out at the beginning
        # The last picture has no end.
        rates = [video.average_rate for video in container.streams.video]
        self.picture = max((1 / float(rate) for rate in rates if rate), default=0.0)
        if self.kind.name == "avi":
            self.own, self.empty = lengths.avi(data)
        elif self.kind.name == "asf":
            self.total = lengths.asf(data)
        elif self.kind.name == "flv":
            self.total = lengths.flv(data)
        fragmented = self.kind.name == MP4 and mp4.is_fragmented(data)
        if self.kind.name not in MEASURED or fragmented:
            return
        tag = re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", ""))
        if tag:  # Matroska's
            self.tagged = True
            hours, minutes, seconds = map(float, tag.groups())
            self.own = 3600 * hours + 60 * minutes + seconds - start
        elif stream.duration:
            first = stream.start_time or 0
            self.own = float((first + stream.duration) * stream.time_base) - start
        elif container.duration:
            self.total = container.duration / 1e6

    def see(self, packet: Any) -> None:
        """A packet, of any stream."""
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.end = max(self.end, end - self.start)
            if packet.stream.index == self.stream and self.first is None:
                self.first = float(packet.pts * packet.time_base)

    def hear(self, time: float) -> None:
        """A decoded frame, in seconds."""
        if self.tagged and self.first is not None:
            self.before = max(time - self.first, 0.0)
        self.tagged = False

    def findings(self, decoded: float) -> list[Finding]:
        """What there is to say of a file of which so many seconds of sound were decoded."""
        said, reached = self.own or self.total, decoded if self.own else max(self.end, decoded)
        beyond = SHORT_S + self.before + (0.0 if self.own else self.picture)
        if said and reached < said - beyond:
            text = f"its header says {said:.2f} s, it holds {reached:.2f} s; get the whole file"
            return [("cut short", text)]
        if self.broken:
            return [("cut short", f"its last packet is not whole ({self.broken})")]
        return [] if said else [not_checked(self.kind.long_name)]


class _Pass:
    """A pass over the samples of a file, which begins anew for a cut that lies too far behind."""

    def __init__(self, sound: Sound) -> None:
        self.sound = sound
        self._begin()

    def _begin(self) -> None:
        self.place = 0  # where the next block begins
        self.rest = self.sound.decoded([])
        self.kept: deque[tuple[int, np.ndarray]] = deque()  # blocks, and where each begins

    def cut(self, first: int, stop: int) -> Iterator[np.ndarray]:
        """Frames first:stop, in blocks of shape (frames, channels)."""
        if self.kept and first < self.kept[0][0]:
            self._begin()
        for place, block in itertools.chain(list(self.kept), self._further()):
            if place + len(block) > first:
                yield block[max(first - place, 0) : stop - place]
            if place + len(block) >= stop:
                return

    def _further(self) -> Iterator[tuple[int, np.ndarray]]:
        for block in self.rest:
            self.kept.append((self.place, block))
            self.place += len(block)
            while self.kept[0][0] + len(self.kept[0][1]) < self.place - BEHIND:
                self.kept.popleft()
            yield self.kept[-1]


@functools.lru_cache(1)  # one file is open at a time
def _pass(sound: Sound) -> _Pass:
    return _Pass(sound)
