"""ffmpeg: what libsndfile does not read, and the sound of videos, is decoded whole or named."""

import json
import struct
import sys
from fractions import Fraction

import numpy as np
import pytest
import soundfile
from conftest import break_disk

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.corpus import audio, ffmpeg, segment
from labelmer.corpus.containers.stream import File

av = pytest.importorskip("av", reason="the package av, an extra, is not installed")

KINDS = {  # how PyAV writes it: codec, rate, whether there is a picture
    "mp4": ("aac", 48_000, True),
    "m4a": ("aac", 44_100, False),
    "mov": ("alac", 44_100, True),
    "3gp": ("aac", 16_000, True),
    "webm": ("libopus", 48_000, False),
    "mkv": ("aac", 48_000, True),
    "avi": ("libmp3lame", 44_100, True),
    "flv": ("aac", 44_100, True),
    "wma": ("wmav2", 44_100, False),
}
FRONT = {"movflags": "faststart"}  # an MP4's index before its sound


def noise(frames, channels=1):
    """Noise as int16, shape (frames, channels)."""
    draw = np.random.default_rng(frames)
    return draw.integers(-9000, 9000, (frames, channels), np.int16)


def sine(rate, seconds=2.0, hertz=440.0):
    """A tone, shape (frames, 1)."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)[:, None]


def store(path, samples, codec, rate=16_000, picture=False, streams=1, at=None, **options):
    """Write samples (frames, channels) with PyAV.

    picture: whether there is one, or its seconds; at: the frame where each of the parts begins.
    """
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    seconds = len(samples) / rate if picture is True else picture
    whole = samples.dtype == np.int16
    with av.open(path, "w", options=options) as out:
        sounds = [out.add_stream(codec, rate=rate, layout=layout) for _ in range(streams)]
        for sound in sounds:
            sound.bit_rate = 96_000
        drawn = "flv1" if str(path).endswith("flv") else "mpeg4"
        video = out.add_stream(drawn, rate=10) if picture else None
        if video:
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            for n in range(round(10 * seconds)):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), "yuv420p")
                frame.pts, frame.time_base = n, Fraction(1, 10)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        for sound in sounds if len(samples) else []:
            for start, part in zip(at or [0], np.split(samples, len(at or [0])), strict=True):
                kind = "s16" if whole else "fltp"
                part = part.reshape(1, -1) if whole else part.T.astype(np.float32)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), kind, layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return path


def shorten(samples, counted=None):
    """A SPHERE file, compressed by shorten: DIFF0 blocks alone, of samples (frames, channels)."""
    bits = []

    def rice(number, low):
        bits.extend([0] * (number >> low) + [1])
        bits.extend(number >> place & 1 for place in reversed(range(low)))

    for number in (5, samples.shape[1], 256, 0, 0, 0):  # 16 bit, low byte first; blocks of 256
        rice(number.bit_length(), 2)
        rice(number, number.bit_length())
    for block in np.split(samples, range(256, len(samples), 256)):
        if len(block) < 256:
            rice(5, 2)  # another size
            rice(len(block).bit_length(), 2)
            rice(len(block), len(block).bit_length())
        for channel in block.T.tolist():
            rice(0, 2)
            rice(12, 3)
            for number in channel:
                rice(2 * number if number >= 0 else -2 * number - 1, 13)
    rice(4, 2)
    fields = f"""NIST_1A
   1024
channel_count -i {samples.shape[1]}
sample_count -i {counted or len(samples)}
sample_rate -i 16000
sample_n_bytes -i 2
sample_byte_format -s2 01
sample_sig_bits -i 16
sample_coding -s26 pcm,embedded-shorten-v2.00
end_head
"""
    return fields.encode().ljust(1024) + b"ajkg\2" + np.packbits(bits).tobytes() + bytes(4)


def hear(path):
    """(all samples at 16 kHz, the kinds of all that was found odd)."""
    source = audio.Source(path)
    samples, odd = source.read(*source.span())
    return samples, [kind for kind, _ in source.findings + odd]


@pytest.fixture
def passes(monkeypatch):
    """Paths of the files that were decoded, one for each time."""
    found, decoded = [], ffmpeg.Sound.decoded
    monkeypatch.setattr(
        ffmpeg.Sound,
        "decoded",
        lambda self, said: (found.append(self.path), decoded(self, said))[1],
    )
    return found


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tone_keeps_its_length_pitch_and_loudness(tmp_path, kind, channels):
    codec, rate, picture = KINDS[kind]
    x = np.repeat(sine(rate), channels, axis=1)
    if codec == "alac":
        x = (x * 32767).round().astype(np.int16)
    samples, odd = hear(store(tmp_path / f"a.{kind}", x, codec, rate, picture))
    assert not odd
    assert len(samples) == pytest.approx(32_000, abs=1600)
    middle = samples[8000:24_000]
    assert np.abs(np.fft.rfft(middle * np.hanning(16_000))).argmax() == 440
    assert np.abs(middle).max() == pytest.approx(16_384, rel=0.1)


@pytest.mark.parametrize("name", ["a.mov", "b.mkv", "c.avi", "d.mp3", "e.wav", "f.raw", "g"])
def test_16_khz_mono_16_bit_passes_bit_for_bit_whatever_the_name(tmp_path, name):
    kind = name.split(".")[-1] if name < "d" else "mov"
    store(tmp_path / f"x.{kind}", noise(40_000), "pcm_s16le").rename(tmp_path / name)
    samples, odd = hear(tmp_path / name)
    np.testing.assert_array_equal(samples, noise(40_000)[:, 0])
    assert not odd


@pytest.mark.parametrize("channels", [1, 2])
def test_sphere_with_shorten_is_decoded(tmp_path, channels):
    x = noise(20_001, channels)
    (tmp_path / "a.wav").write_bytes(shorten(x))
    samples, odd = hear(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, x.mean(axis=1), atol=0.5)
    assert not odd
    (tmp_path / "a.wav").write_bytes(shorten(x, counted=40_000))
    assert hear(tmp_path / "a.wav")[1] == ["cut short"]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("kind", ["mp4", "m4a", "webm", "mkv", "flv", "wma"])
def test_a_file_cut_short_is_named_and_what_there_is_is_kept(tmp_path, kind, share):
    codec, rate, picture = KINDS[kind]
    options = FRONT if kind in ("mp4", "m4a") else {}
    x = np.random.default_rng(3).normal(0, 0.1, (4 * rate, 1))
    path = store(tmp_path / f"a.{kind}", x, codec, rate, picture, **options)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    samples, odd = hear(path)
    assert odd == ["cut short"]
    assert (share - 0.25) * 64_000 < len(samples) < 64_000


def test_a_torn_end_is_not_taken_for_another_stream(tmp_path):
    content = store(tmp_path / "a.flv", sine(44_100), "aac", 44_100, True).read_bytes()
    odd = set()
    for stop in range(len(content) - 700, len(content) - 4):
        (tmp_path / "a.flv").write_bytes(content[:stop])
        odd |= {kind for kind, _ in ffmpeg.Sound(File(tmp_path / "a.flv")).findings}
    assert odd == {"cut short"}


def test_an_mp4_without_its_index_is_refused_by_name(tmp_path):
    path = store(tmp_path / "a.mp4", sine(48_000), "aac", 48_000)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"a\.mp4: not readable as audio \(MP4.*the whole file"):
        audio.Source(path)


def test_damage_in_the_middle_is_refused_by_name(tmp_path):
    path = store(tmp_path / "a.mp4", sine(48_000), "aac", 48_000, **FRONT)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 99] = bytes(99)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4: (damaged audio|audio of .* and )"):
        audio.Source(path)


@pytest.mark.parametrize("kind", ["mp4", "mov", "flv", "wma"])
def test_a_second_movie_behind_the_first_is_named(tmp_path, kind):
    codec, rate, picture = KINDS[kind]
    path = store(tmp_path / f"a.{kind}", sine(rate), codec, rate, picture)
    path.write_bytes(2 * path.read_bytes())
    assert hear(path)[1] == ["not decoded"]


@pytest.mark.parametrize("kind", ["avi", "mkv"])
def test_two_files_of_which_ffmpeg_reads_both_are_not_warned_of_as_unread(tmp_path, kind):
    codec, rate, picture = KINDS[kind]
    path = store(tmp_path / f"a.{kind}", sine(rate), codec, rate, picture)
    alone, _ = hear(path)
    path.write_bytes(2 * path.read_bytes())
    samples, odd = hear(path)
    assert len(samples) > 1.9 * len(alone) and "not decoded" not in odd


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "webm"])
def test_what_stands_behind_a_container_is_named_unless_it_is_zeros(tmp_path, kind):
    codec, rate, picture = KINDS[kind]
    path = store(tmp_path / f"a.{kind}", sine(rate), codec, rate, picture)
    content = path.read_bytes()
    soundfile.write(tmp_path / "b.wav", noise(9000), 16_000)
    for behind in ((tmp_path / "b.wav").read_bytes(), b"what is this?" * 99):
        path.write_bytes(content + behind)
        assert "not decoded" in hear(path)[1]
    for behind in (bytes(999), b"TAG" + bytes(125)):
        path.write_bytes(content + behind)
        assert not hear(path)[1]


@pytest.mark.parametrize("kind", ["mp4", "flv", "avi", "mkv", "wma"])
@pytest.mark.parametrize("size", [3, 9])
def test_a_few_bytes_behind_a_container_are_named(tmp_path, kind, size):
    codec, rate, picture = KINDS[kind]
    path = store(tmp_path / f"a.{kind}", sine(rate), codec, rate, picture)
    path.write_bytes(path.read_bytes() + b"?" * size)
    assert hear(path)[1] == ["not decoded"]


def test_a_movie_without_end_behind_an_mp4_is_named(tmp_path):
    path = store(tmp_path / "a.mp4", sine(48_000), "aac", 48_000)
    box = struct.pack(">I4sQ", 1, b"moov", 2**64 - 1)
    path.write_bytes(path.read_bytes() + box + bytes(20))
    assert hear(path)[1] == ["not decoded"]


def test_a_rate_that_no_audio_has_is_refused(tmp_path):
    path = store(tmp_path / "a.avi", noise(16_000), "pcm_s16le")
    content = path.read_bytes()
    form = content.index(b"auds") + 40  # of the samples, behind its stream's header
    form = content.index(b"strf", form) + 8
    for rate in (100, 446_686_521):
        path.write_bytes(content[: form + 4] + struct.pack("<I", rate) + content[form + 8 :])
        with pytest.raises(InputError, match=f"a.avi: a sample rate of {rate} Hz, expected 4000"):
            audio.Source(path)


@pytest.mark.parametrize("junk", [bytes(99), b"\xbf\x84\1\2\3\4", b"?" * 99], ids=len)
def test_what_stands_between_two_matroskas_alone_is_not_read(tmp_path, junk):
    content = store(tmp_path / "a.mkv", noise(16_000), "pcm_s16le").read_bytes()
    (tmp_path / "a.mkv").write_bytes(content + junk + content)
    source = audio.Source(tmp_path / "a.mkv")
    assert source.frames == 32_000
    said = [sentence for kind, sentence in source.findings if kind == "not decoded"]
    assert [sentence.split(" are")[0] for sentence in said] == (
        ["99 bytes behind its last element"] if junk[0] == ord("?") else []
    )


@pytest.mark.parametrize("kind", ["mp4", "flv", "avi", "mkv"])
@pytest.mark.parametrize("tag", [b"LYRICSBEGIN", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"\xec\1\0\0\x7f"])
def test_a_tag_without_end_behind_a_container_is_none(tmp_path, kind, tag):
    codec, rate, picture = KINDS[kind]
    path = store(tmp_path / f"a.{kind}", sine(rate), codec, rate, picture)
    soundfile.write(tmp_path / "b.wav", noise(9000), 16_000)
    path.write_bytes(path.read_bytes() + tag + (tmp_path / "b.wav").read_bytes())
    assert hear(path)[1] == ["not decoded"]


@pytest.mark.parametrize(
    ("kind", "codec", "rate"),
    [("mkv", "aac", 8000), ("mkv", "aac", 16_000), ("mkv", "libmp3lame", 16_000)],
)
def test_sound_that_begins_late_is_whole(tmp_path, kind, codec, rate):
    path = store(tmp_path / f"a.{kind}", sine(rate, 3), codec, rate, True, at=[rate // 2])
    assert hear(path)[1] == ["gaps"]


def test_a_pause_that_ffmpeg_passes_over_is_named(tmp_path):
    path = store(tmp_path / "a.avi", sine(44_100, 3), "libmp3lame", 44_100, True, at=[22_050])
    assert hear(path)[1] == ["times"]


def test_a_picture_that_ends_behind_the_sound_is_no_missing_sound(tmp_path):
    path = store(tmp_path / "a.flv", sine(44_100, 3), "aac", 44_100, 4.0)
    assert hear(path)[1] == []


@pytest.mark.parametrize(("kind", "codec"), [("m4a", "aac"), ("wv", "wavpack")])
def test_eight_channels_are_eight(tmp_path, kind, codec):
    tones = np.hstack([sine(16_000, 2, hertz) for hertz in range(100, 500, 50)])
    whole = (32_767 * tones).astype(np.int16)
    source = audio.Source(store(tmp_path / f"a.{kind}", whole, codec))
    read = np.concatenate(list(source._blocks(*source.span())))[:32_000]
    alike = [np.corrcoef(read[:, n], tones[: len(read), n])[0, 1] for n in range(8) if n != 3]
    assert min(alike) > 0.9  # the fourth is for what is low


def test_a_flac_of_large_frames_is_whole(tmp_path):
    path, rate = tmp_path / "a.flac", 192_000
    draw = np.random.default_rng(3)  # of which eight checksums fit before the last frame's
    whole = draw.integers(1 - 2**31, 2**31 - 1, (49_152, 8), np.int64).astype(np.int32) // 256 * 256
    with av.open(path, "w") as out:
        sound = out.add_stream("flac", rate=rate, layout="7.1")
        sound.codec_context.format = "s32"
        frame = av.AudioFrame.from_ndarray(whole.reshape(1, -1), "s32", "7.1")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    source = audio.Source(path)
    assert source.frames == len(whole) and not source.findings


def test_formats_that_nobody_records_in_are_not_opened(tmp_path):
    path = store(tmp_path / "a.adx", sine(16_000), "adpcm_adx")
    with pytest.raises(InputError, match=r"a\.adx: not readable as audio \(of no known format"):
        audio.Source(path)


def test_a_frame_alone_is_said_to_hold_nothing(tmp_path):
    path = store(tmp_path / "a.mp2", noise(9000), "mp2")
    frame = path.read_bytes()[: 144 * 96_000 // 16_000 // 2]
    path.write_bytes(frame)
    with pytest.raises(InputError, match="but nothing can be decoded"):
        audio.Source(path)


def test_what_is_void_in_a_matroska_is_no_sound(tmp_path):
    content = store(tmp_path / "a.mkv", noise(16_000), "pcm_s16le").read_bytes()
    void, segment = b"\xec\x84void", content.index(bytes.fromhex("18538067"))
    content = content[:segment] + void + content[segment:] + void
    for behind, odd in ((b"", []), (b"?" * 99, ["not decoded"])):
        (tmp_path / "a.mkv").write_bytes(content + behind)
        samples, said = hear(tmp_path / "a.mkv")
        np.testing.assert_array_equal(samples, noise(16_000)[:, 0])
        assert said == odd


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100])
def test_what_a_codec_needs_to_begin_is_not_missing(tmp_path, rate):
    path = store(tmp_path / "a.mkv", sine(rate, 3), "aac", rate)
    assert hear(path)[1] == []
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 8 // 10])
    assert hear(path)[1] == ["cut short"]


def test_an_flv_without_end_is_not_checked(tmp_path):
    path = store(tmp_path / "a.flv", sine(44_100), "aac", 44_100)
    content = bytearray(path.read_bytes())
    struct.pack_into(">d", content, content.index(b"duration\0") + 9, float("inf"))
    path.write_bytes(content)
    assert hear(path)[1] == ["not checked"]


def test_a_disk_that_fails_is_named(tmp_path, monkeypatch):
    path = store(tmp_path / "a.mkv", noise(16_000), "pcm_s16le")
    source = audio.Source(path)
    break_disk(monkeypatch)
    with pytest.raises(InputError, match=rf"{path}: cannot be read \(Input/output error\)"):
        source.read(*source.span())
    with pytest.raises(InputError, match=rf"{path}: cannot be read"):
        audio.Source(path)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "AU"])
def test_a_video_behind_audio_is_named(tmp_path, kind):
    film = store(tmp_path / "b.avi", noise(16_000), "pcm_s16le").read_bytes()
    soundfile.write(tmp_path / "a", noise(9000), 16_000, format=kind)
    with (tmp_path / "a").open("ab") as file:
        file.write(film)
    samples, odd = hear(tmp_path / "a")
    np.testing.assert_array_equal(samples, noise(9000)[:, 0])
    assert odd == ["not decoded"]


@pytest.mark.parametrize("kind", ["WAV", "W64", "FLAC"])
def test_audio_behind_a_wma_is_named(tmp_path, kind):
    path = store(tmp_path / "a.wma", sine(44_100), "wmav2", 44_100)
    soundfile.write(tmp_path / "b", noise(9000), 16_000, format=kind)
    path.write_bytes(path.read_bytes() + (tmp_path / "b").read_bytes())
    assert hear(path)[1] == ["not decoded"]


@pytest.mark.parametrize("codec", ["libmp3lame", "pcm_s16le", "pcm_s24le"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_an_avi_is_as_long_as_its_header_says(tmp_path, codec, share):
    whole = noise(160_000) if codec == "pcm_s16le" else sine(16_000, 10)
    path = store(tmp_path / "a.avi", whole, codec)
    assert hear(path)[1] == []
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    samples, odd = hear(path)
    assert odd == ["cut short"] and len(samples) < 160_000


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mp4", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "300000"}),
        ("flv", {"flvflags": "no_duration_filesize"}),
    ],
)
def test_a_length_that_no_header_has_is_not_checked(tmp_path, kind, options):
    path = store(tmp_path / f"a.{kind}", sine(44_100), "aac", 44_100, **options)
    assert hear(path)[1] == ["not checked"]


def test_a_torn_end_that_begins_streams_is_cut_short(tmp_path):
    path = store(tmp_path / "a.flv", sine(22_050, 6), "libmp3lame", 22_050)
    content = path.read_bytes()
    for stop in range(len(content) - 3000, len(content) - 2000, 37):
        path.write_bytes(content[:stop])
        assert "cut short" in hear(path)[1]


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2", "adpcm_yamaha"])
def test_a_codec_in_wav_is_counted_and_a_second_file_behind_it_named(tmp_path, codec):
    path = store(
        tmp_path / "a.wav", noise(32_000) if codec != "libmp3lame" else sine(16_000), codec
    )
    samples, odd = hear(path)
    assert 31_000 < len(samples) < 34_000 and not odd
    content = path.read_bytes()
    path.write_bytes(content * 2)
    assert hear(path)[1] == ["not decoded"]
    path.write_bytes(content[: len(content) // 2])
    samples, odd = hear(path)
    assert 14_000 < len(samples) < 18_000 and set(odd) == {"cut short"}


def test_bw64_is_counted_as_rf64_is(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(32_000), 16_000, format="RF64")
    content = path.read_bytes().replace(b"RF64", b"BW64", 1)
    path.write_bytes(content)
    samples, odd = hear(path)
    np.testing.assert_array_equal(samples, noise(32_000)[:, 0])
    assert not odd
    path.write_bytes(content[:30_000])
    assert hear(path)[1] == ["cut short"]


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s32le", "pcm_s64le", "pcm_f32le", "pcm_f64le"])
def test_samples_in_every_form_are_decoded(tmp_path, codec):
    path = store(
        tmp_path / "a.mkv" if "64" not in codec else tmp_path / "a.wav", sine(16_000), codec
    )
    samples, odd = hear(path)
    assert not odd
    np.testing.assert_allclose(samples / 32768, sine(16_000)[:, 0], atol=0.01)


def test_the_first_of_several_audio_streams_is_taken_and_said(tmp_path):
    path = store(tmp_path / "a.mkv", noise(16_000), "pcm_s16le", streams=2)
    samples, odd = hear(path)
    np.testing.assert_array_equal(samples, noise(16_000)[:, 0])
    assert odd == ["several streams"]


@pytest.mark.parametrize("kind", ["mkv", "mov"])
def test_sound_that_begins_late_stands_where_its_times_say(tmp_path, kind):
    x = noise(32_000)
    path = store(tmp_path / f"a.{kind}", x, "pcm_s16le", picture=True, at=[8000])
    source = audio.Source(path)
    np.testing.assert_array_equal(source.read(*source.span(1.0, 2.0))[0], x[8000:24_000, 0])
    said = "its times leave gaps (1, 0.50 s in all); silence stands there"
    assert source.findings == [("gaps", said)]


def test_a_gap_in_the_sound_is_silence(tmp_path):
    x = noise(32_000)
    samples, odd = hear(store(tmp_path / "a.mkv", x, "pcm_s16le", at=[0, 24_000]))
    expected = np.concatenate([x[:16_000, 0], np.zeros(8000, np.int16), x[16_000:, 0]])
    np.testing.assert_array_equal(samples, expected)
    assert odd == ["gaps"]


def test_formats_whose_length_is_not_known_say_so(tmp_path):
    samples, odd = hear(store(tmp_path / "a.aac", sine(48_000), "aac", 48_000))
    assert len(samples) >= 32_000 and odd == ["not checked"]


@pytest.mark.parametrize(
    ("sound", "kind"),
    [
        (lambda x: 32768 * x, "beyond full scale"),
        (lambda x: 0 * x, "no sound"),
        (lambda x: np.concatenate([x, -x], axis=1), "channels cancel"),
        (lambda x: np.concatenate([x, 0 * x], axis=1), "silent channel"),
    ],
)
def test_implausible_sound_is_found(tmp_path, sound, kind):
    x = sound(np.random.default_rng(5).normal(0, 0.05, (32_000, 1)))
    assert hear(store(tmp_path / "a.mkv", x, "pcm_f32le"))[1] == [kind]


@pytest.mark.parametrize("behind", [0, 20_000, 1 << 20])
@pytest.mark.parametrize("block", [1, 5000, 1 << 16])
def test_cuts_in_any_order_are_the_files_samples(tmp_path, monkeypatch, behind, block):
    monkeypatch.setattr(ffmpeg, "BEHIND", behind)
    monkeypatch.setattr(ffmpeg, "BLOCK", block)
    x = noise(100_000)
    source = audio.Source(store(tmp_path / "a.mkv", x, "pcm_s16le"))
    cuts = np.random.default_rng(1).integers(0, 100_000, (30, 2))
    for first, stop in [(0, 100_000), *np.sort(cuts, axis=1), (99_999, 100_000)]:
        np.testing.assert_array_equal(source.read(first, stop)[0], x[first:stop, 0])


def test_turns_that_overlap_cost_one_pass(tmp_path, passes):
    source = audio.Source(store(tmp_path / "a.mkv", noise(160_000), "pcm_s16le"))
    for first in range(0, 150_000, 4000):
        source.read(first, first + 9000)
    assert len(passes) == 2  # to look, and to cut


@pytest.fixture
def cut(tmp_path):
    """cut(rows): (ragged file, table by id) of clips (id, path, start, end)."""

    def cut(rows):
        lines = [["id", "path", "speaker", "session", "label", "text", "start", "end"]]
        lines += [[name, path, "Ann", "S", "sad", "", *times] for name, path, *times in rows]
        (tmp_path / "corpus.tsv").write_text("".join("\t".join(row) + "\n" for row in lines))
        corpus = {"reader": "manifest", "root": str(tmp_path / "corpus.tsv")}
        options = {
            "--session": "S",
            "--segments": tmp_path / "S.h5",
            "--table": tmp_path / "S.tsv",
            "--config": json.dumps({"corpus": corpus, "code": "c0de"}),
        }
        segment.main([str(word) for option in options.items() for word in option])
        table = tables.read(tmp_path / "S.tsv", "segments").set_index("id")
        return Ragged(tmp_path / "S.h5"), table

    return cut


def test_segment_decodes_a_file_once_for_all_its_cuts_in_whatever_order_their_ids_are(
    tmp_path, passes, cut
):
    films = {name: noise(48_000 + n) for n, name in enumerate(["a.mkv", "b.mov"])}
    for name, x in films.items():
        store(tmp_path / name, x, "pcm_s16le", picture=True)
    order = np.random.default_rng(2).permutation(20)
    rows = [
        (f"u{place:02}", name, f"{n / 10:.1f}", f"{n / 10 + 0.5:.1f}")
        for place, (n, name) in zip(order, [(n, m) for n in range(10) for m in films], strict=True)
    ]
    file, table = cut(rows)
    assert len(passes) == 4
    for name, path, start, _ in rows:
        first = round(float(start) * 16_000)
        np.testing.assert_array_equal(file[name], films[path][first : first + 8000, 0])
        assert table.source[name] == path


def test_a_video_without_sound_is_a_problem_in_the_table(tmp_path, cut, caplog):
    store(tmp_path / "a.mp4", sine(48_000), "aac", 48_000, picture=True)
    with av.open(tmp_path / "b.mp4", "w") as out:
        video = out.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        out.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        out.mux(video.encode(None))
    file, table = cut([("a", "a.mp4", "", ""), ("b", "b.mp4", "", "")])
    assert file.ids == ["a"]
    assert table.problem.to_dict() == {"a": "", "b": "no audio stream"}
    assert f"b: {tmp_path}/b.mp4: no audio stream; left out" in caplog.text


def test_without_the_extra_an_error_names_it(tmp_path, monkeypatch):
    film = store(tmp_path / "a.mp4", sine(48_000), "aac", 48_000, picture=True)
    other = store(tmp_path / "b.ts", sine(48_000), "aac", 48_000)
    (tmp_path / "c.sph").write_bytes(shorten(noise(999)))
    monkeypatch.setitem(sys.modules, "av", None)
    for path, what in (film, "MP4"), (other, "of no known format"), (tmp_path / "c.sph", "SPH"):
        with pytest.raises(InputError, match=rf"{path}: .*{what}.*pip install 'labelmer\[video\]'"):
            audio.Source(path)
