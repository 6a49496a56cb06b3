"""audio and containers: all that a file holds is decoded, or a word says what is not."""

import io
import os
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import break_disk

from labelmer.base.errors import InputError
from labelmer.corpus import audio, containers, resampling
from labelmer.corpus.containers.stream import CONTRADICTS, Content, File

FORMATS = {  # how soundfile writes it, and whether it gives back every sample as it was
    "wav": ({"format": "WAV"}, True),
    "rifx": ({"format": "WAV", "endian": "BIG"}, True),
    "wavex": ({"format": "WAVEX"}, True),
    "rf64": ({"format": "RF64"}, True),
    "w64": ({"format": "W64"}, True),
    "aiff": ({"format": "AIFF"}, True),
    "aifc": ({"format": "AIFF", "endian": "LITTLE"}, True),
    "au": ({"format": "AU"}, True),
    "dns": ({"format": "AU", "endian": "LITTLE"}, True),
    "caf": ({"format": "CAF"}, True),
    "alac.caf": ({"format": "CAF", "subtype": "ALAC_16"}, True),
    "sph": ({"format": "NIST"}, True),
    "ulaw.sph": ({"format": "NIST", "subtype": "ULAW"}, False),
    "flac": ({"format": "FLAC"}, True),
    "gsm.wav": ({"format": "WAV", "subtype": "GSM610"}, False),
    "ogg": ({"format": "OGG", "subtype": "VORBIS"}, False),
    "opus": ({"format": "OGG", "subtype": "OPUS"}, False),
    "mp3": ({"format": "MP3", "subtype": "MPEG_LAYER_III"}, False),
}
VARIABLE = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE"}
COUNTED = ["wav", "rifx", "wavex", "rf64", "w64", "aiff", "aifc", "au", "dns", "caf", "sph"]
PLACES = {  # where the count of bytes stands, what is added to it, and its form
    "wav": (40, 0, "<I"),
    "rifx": (40, 0, ">I"),
    "rf64": (28, 0, "<Q"),
    "aiff": (42, 8, ">I"),
    "au": (8, 0, ">I"),
    "dns": (8, 0, "<I"),
}


def noise(frames):
    """Noise as int16, shape (frames,)."""
    return np.random.default_rng(frames).integers(-9000, 9000, frames, np.int16)


def encoded(samples, rate=16_000, **how):
    """The bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **how)
    return file.getvalue()


@pytest.fixture
def hear(tmp_path):
    """hear(bytes): (all samples at 16 kHz, the kinds of all that was found odd)."""

    def hear(content, name="a"):
        path = tmp_path / name
        path.write_bytes(content)
        source = audio.Source(path)
        samples, odd = source.read(*source.span())
        return samples, [kind for kind, _ in source.findings + odd]

    return hear


@pytest.fixture
def refuse(tmp_path):
    """refuse(bytes, name): what is said of a file that is no audio."""

    def refuse(content, name="a.wav"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            source = audio.Source(tmp_path / name)
            source.read(*source.span())
        assert str(tmp_path / name) in str(caught.value)
        return str(caught.value)

    return refuse


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_file_is_whole_and_nothing_is_said(hear, kind):
    how, exact = FORMATS[kind]
    samples, odd = hear(encoded(noise(32_000), **how))
    assert len(samples) == 32_000 and not odd
    if exact:
        np.testing.assert_array_equal(samples, noise(32_000))


@pytest.mark.parametrize("kind", FORMATS)
def test_two_files_in_one_are_both_decoded(hear, kind):
    how, exact = FORMATS[kind]
    both = np.concatenate([noise(32_000), noise(48_000)])
    samples, odd = hear(b"".join(encoded(part, **how) for part in (noise(32_000), noise(48_000))))
    assert len(samples) == 80_000 and not odd
    if exact:
        np.testing.assert_array_equal(samples, both)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_over_the_seam_of_two_files_is_their_samples(tmp_path, kind):
    how, _ = FORMATS[kind]
    content = [encoded(noise(n), **how) for n in (32_000, 48_000)]
    (tmp_path / "a").write_bytes(b"".join(content))
    source = audio.Source(tmp_path / "a")
    whole, _ = source.read(*source.span())
    if kind == "gsm.wav":  # libsndfile cannot seek there
        with pytest.raises(InputError, match="damaged audio"):
            source.read(*source.span(1.5, 2.5))
        return
    cut, _ = source.read(*source.span(1.5, 2.5))
    np.testing.assert_allclose(cut, whole[24_000:40_000], atol=1)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.999])
@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "opus"])
def test_a_file_cut_short_is_named_and_what_there_is_is_kept(hear, kind, share):
    how, exact = FORMATS[kind]
    content = encoded(noise(32_000), **how)
    samples, odd = hear(content[: int(share * len(content))])
    assert "cut short" in odd
    assert len(samples) < 32_000 or kind == "gsm.wav"  # whose last block may be cut
    if exact:
        np.testing.assert_array_equal(samples, noise(32_000)[: len(samples)])
        assert len(samples) > (share - 0.2) * 32_000


def test_an_opus_file_without_a_whole_page_of_audio_is_refused_by_name(refuse):
    content = encoded(noise(32_000), **FORMATS["opus"][0])
    assert "without its last page" in refuse(content[: len(content) // 2])


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("counted", [0, 32_000, 0xFFFFFFFF])
def test_a_header_that_counts_too_little_or_nothing_loses_no_samples(hear, kind, counted):
    content = bytearray(encoded(noise(32_000), **FORMATS[kind][0]))
    place, more, form = PLACES[kind]
    if kind == "rf64":
        counted = counted if counted <= 32_000 else 2**64 - 1
    struct.pack_into(form, content, place, counted + more if counted in (0, 32_000) else counted)
    samples, odd = hear(bytes(content))
    np.testing.assert_array_equal(samples, noise(32_000))
    assert odd == (["counts too little"] if counted == 32_000 else [])


@pytest.mark.parametrize("frames", [32_000, 32_001])
@pytest.mark.parametrize("size", [30, 31])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8"])
def test_chunks_and_tags_behind_the_audio_are_no_audio(hear, frames, size, subtype):
    content = encoded(noise(frames), format="WAV", subtype=subtype)
    alone, _ = hear(content)
    chunk = b"LIST" + struct.pack("<I", size) + b"\1" * size + b"\0" * (size % 2)
    for behind in (chunk, chunk + chunk[:8] + b"\1" * size, b"TAG" + bytes(125)):
        samples, odd = hear(content + behind)
        np.testing.assert_array_equal(samples, alone)
        assert not odd


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg", "w64", "sph", "aiff"])
def test_tags_behind_any_format_are_no_audio(hear, kind):
    content = encoded(noise(32_000), **FORMATS[kind][0])
    ape = b"APETAGEX" + struct.pack("<IIII8x", 2000, 32, 1, 0)
    for tags in (b"TAG" + bytes(125), ape, ape + b"TAG" + bytes(125)):
        samples, odd = hear(content + tags)
        assert len(samples) == 32_000 and not odd


@pytest.mark.parametrize("tag", [b"LYRICSBEGIN", b"ID3\4\0\0\x7f\x7f\x7f\x7f", b"TAG"])
def test_a_tag_that_does_not_end_within_the_file_is_none(hear, tag):
    for kind in ("wav", "flac", "mp3", "ogg"):
        assert hear(encoded(noise(32_000), **FORMATS[kind][0]) + tag + b"what?" * 9)[1]


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "au", "sph"])
def test_what_follows_the_audio_and_is_nothing_known_is_named(hear, kind):
    content = encoded(noise(32_000), **FORMATS[kind][0])
    samples, odd = hear(content + b"?" * 99)
    assert len(samples) >= 32_000
    assert odd in (["not decoded"], ["counts too little"])


# Not dns: four letters tell how such a file begins, and those may stand in audio.
@pytest.mark.parametrize("kind", [*sorted({*COUNTED} - {"dns"}), "alac.caf", "ulaw.sph", "flac"])
def test_a_file_cut_short_with_another_behind_it_ends_where_that_begins(hear, kind):
    how, exact = FORMATS[kind]
    content = encoded(noise(32_000), **how)
    samples, odd = hear(content[: len(content) // 2] + content)
    alone, _ = hear(content)
    assert odd == ["cut short"] and 40_000 < len(samples) < 64_000
    np.testing.assert_array_equal(samples[-32_000:], alone)
    if exact:
        np.testing.assert_array_equal(samples[:-32_000], alone[: len(samples) - 32_000])


@pytest.mark.parametrize("behind", ["a kilobyte of it", "text", "tags", "mp3", "wav", "ogg"])
def test_a_flac_is_decoded_to_its_last_frame_whatever_follows(hear, behind):
    junk = {
        "a kilobyte of it": np.random.default_rng(7).bytes(1000),
        "text": b"end of recording\n" * 50,
        "tags": b"TAG" + bytes(125),
    }
    more = junk.get(behind) or encoded(noise(16_000), **FORMATS[behind][0])
    samples, odd = hear(encoded(noise(32_000), format="FLAC") + more)
    np.testing.assert_array_equal(samples[:32_000], noise(32_000))
    joined = behind in ("wav", "ogg")
    assert len(samples) == (48_000 if joined else 32_000)
    assert odd == ([] if joined or behind == "tags" else ["not decoded"])


def test_a_flac_cut_anywhere_ends_with_its_last_whole_frame(hear):
    content = encoded(noise(9000), format="FLAC")
    for stop in range(len(content) - 1400, len(content), 17):
        samples, odd = hear(content[:stop])
        assert len(samples) == 8192 and odd == ["cut short"]


@pytest.mark.parametrize("kept", range(4, 12))
def test_a_flac_cut_in_the_header_of_its_last_frame_ends_before_it(hear, kept):
    content = encoded(noise(4096 * 130 + 100), format="FLAC")
    samples, odd = hear(content[: content.rindex(b"\xff\xf8") + kept])
    assert len(samples) == 4096 * 130 and odd == ["cut short"]


def test_zeros_behind_a_flac_are_not_its_audio(hear):
    samples, odd = hear(encoded(noise(9000), format="FLAC") + bytes(9999))
    np.testing.assert_array_equal(samples, noise(9000))
    assert odd == ["not decoded"]


def test_a_part_cut_out_of_a_flac_is_refused_as_its_frames_are_numbered_otherwise(refuse):
    content = encoded(noise(32_000), format="FLAC")
    frame = content.index(b"\xff\xf8", 9000)
    assert "its frames begin with sample 8192" in refuse(content[:86] + content[frame:])


def test_an_aiff_whose_samples_begin_later_is_whole(hear):
    content = bytearray(encoded(noise(32_000), format="AIFF"))
    place = content.index(b"SSND")
    struct.pack_into(">II", content, place + 4, 64_108, 100)
    content[place + 16 : place + 16] = bytes(100)
    samples, odd = hear(bytes(content))
    np.testing.assert_array_equal(samples, noise(32_000))
    assert not odd


@pytest.mark.parametrize("kind", ["wav", "au", "flac"])
def test_a_disk_that_fails_is_named(tmp_path, monkeypatch, capfd, kind):
    path = tmp_path / "a"
    path.write_bytes(encoded(noise(32_000), **FORMATS[kind][0]))
    source = audio.Source(path)
    break_disk(monkeypatch)
    for attempt in (lambda: source.read(*source.span()), lambda: audio.Source(path)):
        with pytest.raises(InputError, match=rf"{path}: cannot be read \(Input/output error\)"):
            attempt()
    assert capfd.readouterr().err == ""


def test_a_file_that_shrinks_while_it_is_looked_at_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    content = bytearray(encoded(noise(1 << 20), format="WAV"))
    struct.pack_into("<I", content, 40, 100)
    path.write_bytes(content)

    def shrunk(data):
        os.truncate(path, 1000)
        return containers.streams(data)

    monkeypatch.setattr(audio, "streams", shrunk)
    with pytest.raises(InputError, match=rf"{path}: it changed while it was read"):
        audio.Source(path)


def test_an_interrupt_is_none_of_a_files(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(999), 16_000)
    file = File(path)
    with pytest.raises(KeyboardInterrupt), file.unchanged():
        path.unlink()
        raise KeyboardInterrupt


@pytest.mark.parametrize("change", ["emptied", "gone"])
def test_a_file_that_goes_before_it_is_looked_at_is_named(tmp_path, change):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(999), 16_000)
    file = File(path)
    path.unlink() if change == "gone" else path.write_bytes(b"")
    with pytest.raises(InputError, match=rf"{path}: (it changed|cannot be read)"):
        Content(file)[:4]


@pytest.mark.parametrize("change", ["other", "shorter", "gone"])
def test_a_file_that_changes_between_looking_and_decoding_is_named(tmp_path, change):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(32_000), 16_000)
    source = audio.Source(path)
    if change == "gone":
        path.unlink()
    elif change == "other":
        soundfile.write(path, noise(32_000)[::-1], 8000)
    else:
        os.truncate(path, 9000)
    with pytest.raises(InputError, match=rf"{path}: (it changed|cannot be read)"):
        source.read(*source.span())


def test_a_file_that_shrinks_while_it_is_decoded_is_named(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 3 << 20), 16_000)
    source = audio.Source(path)
    blocks = source._mono(*source.span(), [])
    next(blocks)
    os.truncate(path, 1 << 20)
    with pytest.raises(InputError, match=str(path)):
        list(blocks)
        source.file.check()


def test_many_channels_are_decoded_in_little_memory(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((1 << 16, 128), np.int16), 16_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = audio.Source(path)
    for block in source._blocks(*source.span()):
        assert block.size <= audio.BLOCK
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_a_chunk_of_less_than_nothing_is_none(hear):
    behind = b"info" + struct.pack(">q", -(2**62)) + bytes(9)
    samples, odd = hear(encoded(noise(32_000), **FORMATS["alac.caf"][0]) + behind)
    np.testing.assert_array_equal(samples, noise(32_000))
    assert odd == ["not decoded"]


def test_what_follows_packets_is_no_audio(hear):
    content = encoded(noise(32_000), **FORMATS["alac.caf"][0])
    samples, odd = hear(content + b"?" * 999)
    np.testing.assert_array_equal(samples, noise(32_000))
    assert odd == ["not decoded"]


HEADERS = [  # kind of file, mark in its header, bytes from that on, form, value, what is said
    ("wav", b"fmt ", 10, "<H", 2, "2 channel(s) of 2 byte(s) in blocks of 2"),
    ("wav", b"fmt ", 22, "<H", 24, "1 channel(s) of 3 byte(s) in blocks of 2"),
    ("wav", b"fmt ", 22, "<H", 8, "1 channel(s) of 1 byte(s) in blocks of 2"),
    ("wav", b"fmt ", 20, "<H", 4, "1 channel(s) of 2 byte(s) in blocks of 4"),
    ("wav", b"fmt ", 10, "<H", 0, "16000 Hz, 0 channel(s)"),
    ("wav", b"fmt ", 12, "<I", 0, "0 Hz, 1 channel(s)"),
    ("wav", b"fmt ", 8, "<H", 3, "floating point of 16 bits"),
    ("rifx", b"fmt ", 10, ">H", 2, "2 channel(s) of 2 byte(s) in blocks of 2"),
    ("wavex", b"fmt ", 10, "<H", 2, "2 channel(s) of 2 byte(s) in blocks of 2"),
    ("w64", b"fmt ", 26, "<H", 2, "2 channel(s) of 2 byte(s) in blocks of 2"),
    ("caf", b"desc", 36, ">I", 2, "2 channel(s) of 2 byte(s) in blocks of 2"),
]


def altered(kind, mark, place, form, value):
    """A file of noise with something else in its header."""
    content = bytearray(encoded(noise(32_000), **FORMATS[kind][0]))
    struct.pack_into(form, content, content.index(mark) + place, value)
    return bytes(content)


@pytest.mark.parametrize(("kind", "mark", "place", "form", "value", "said"), HEADERS)
def test_a_header_that_contradicts_itself_is_refused(refuse, kind, mark, place, form, value, said):
    assert said in refuse(altered(kind, mark, place, form, value))


def test_24_bits_in_blocks_of_32_are_decoded_as_what_they_are(hear):
    whole = encoded(noise(32_000).astype(np.int32) << 16, format="WAV", subtype="PCM_32")
    content = bytearray(whole)
    struct.pack_into("<H", content, whole.index(b"fmt ") + 22, 24)
    samples, odd = hear(bytes(content))
    np.testing.assert_array_equal(samples, noise(32_000))
    assert not odd


BOGUS = {  # headers that no writer gives
    "au at 0": b".snd" + struct.pack(">5I", 0, 0, 3, 16_000, 1) + bytes(200),
    "au at 8": b".snd" + struct.pack(">5I", 8, 90_000, 3, 16_000, 1) + bytes(200),
    "sphere at 0": b"NIST_1A\n   0\nsample_count -i 0\nchannel_count -i 1\n" + bytes(999),
    "sphere": b"NIST_1A\n   8192\nsample_count -i " + b"9" * 5000 + b"\n" + bytes(9999),
    "rf64": b"RF64\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff",
    "bw64": b"BW64\xff\xff\xff\xffWAVEds64\0\0\0\0data\xff\xff\xff\xff",
    "mp3": b"\xff\xf3\x14\xc4".ljust(13, b"\0")  # frames of 24 bytes
    + b"Xing".ljust(11, b"\0")
    + b"\xff\xf3\x14\xc4".ljust(24, b"\0") * 50,
}


@pytest.mark.parametrize("kind", BOGUS)
def test_a_header_that_no_writer_gives_ends_in_a_word(hear, kind):
    try:
        _, odd = hear(BOGUS[kind])
    except InputError as error:
        odd = [str(error)]
    assert odd


class Long(bytes):
    """The beginning of a file that is longer than it is worth writing."""

    def __len__(self):
        return 5 << 30


@pytest.mark.parametrize("kind", ["wav", "aiff", "au"])
def test_more_audio_than_a_header_can_count_is_refused(kind):
    place, _, form = PLACES[kind]
    content = bytearray(encoded(noise(999), **FORMATS[kind][0]))
    struct.pack_into(form, content, place, 0xFFFFFFFF)
    _, findings = containers.streams(Long(content))
    kind, sentence = findings[-1]
    assert kind == CONTRADICTS and "counts 4 GiB at most" in sentence


def test_audio_that_begins_beyond_the_file_is_refused(refuse):
    assert "its audio begins at byte 1000054" in refuse(altered("aiff", b"SSND", 8, ">I", 10**6))
    assert "its audio begins at byte 1000000" in refuse(altered("au", b".snd", 4, ">I", 10**6))


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_S8", "ULAW"])
def test_a_byte_of_padding_in_an_aiff_is_no_second_length(hear, subtype):
    x = np.random.default_rng(1).normal(0, 0.1, (1001, 3))
    assert not hear(encoded(x, format="AIFF", subtype=subtype))[1]


def test_a_header_with_two_rates_or_two_lengths_is_named(hear):
    assert hear(altered("wav", b"fmt ", 12, "<I", 8000))[1] == ["two rates"]
    assert hear(altered("aiff", b"COMM", 8, ">H", 2))[1] == ["two lengths"]
    assert hear(altered("aiff", b"COMM", 10, ">I", 9))[1] == ["two lengths"]
    for never_written in (("wav", b"fmt ", 16, "<I", 0), ("wav", b"fmt ", 20, "<H", 0)):
        assert hear(altered(*never_written))[1] == []


@pytest.mark.parametrize("total", [0, 16_000, 48_000])
def test_the_length_in_a_flac_header_is_not_believed(hear, total):
    content = bytearray(encoded(noise(32_000), format="FLAC"))
    content[21] &= 0xF0
    content[22:26] = total.to_bytes(4, "big")
    samples, odd = hear(bytes(content))
    np.testing.assert_array_equal(samples, noise(32_000))
    assert odd == {0: [], 16_000: ["counts too little"], 48_000: ["cut short"]}[total]


def test_frames_that_an_aiff_of_blocks_counts_too_few_are_named(tmp_path):
    path = tmp_path / "gsm.aiff"
    soundfile.write(path, np.zeros(16_100), 8000, "GSM610", format="AIFF")
    assert not audio.Source(path).findings
    whole = bytearray(path.read_bytes())
    place = whole.index(b"COMM") + 10
    whole[place : place + 4] = (8000).to_bytes(4, "big")
    path.write_bytes(whole)
    assert audio.Source(path).findings == [
        ("not decoded", "it holds 16160 frames, 8000 are decoded; convert it to WAV or FLAC")
    ]


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_mp3_without_its_first_frame_keeps_its_audio(hear, rate):
    loud = noise(4 * rate)
    content = encoded(np.concatenate([loud, np.zeros(16 * rate, np.int16)]), rate, **VARIABLE)
    start = content.find(b"\xff", 100)
    while content[start + 1] & 0xE0 != 0xE0 or content[start : start + 2] != content[:2]:
        start = content.find(b"\xff", start + 1)
    for tagged in (content[start:], b"ID3\3\0\0\0\0\1\0" + bytes(128) + content[start:]):
        samples, odd = hear(tagged)
        assert 320_000 - 600 < len(samples) < 320_000 + 3 * 1152
        assert not odd
        assert np.abs(samples[-200_000:].astype(int)).max() < 10


def test_zeros_between_the_frames_of_an_mp3_are_named_and_behind_them_are_padding(hear):
    content = encoded(noise(32_000), **FORMATS["mp3"][0])
    content = content[content.find(content[:2], 4) :]  # without the frame that counts them
    start = len(content) // 3
    end = content.find(content[:2], 2 * start)  # where a frame begins
    samples, odd = hear(content[:start] + bytes(end - start) + content[end:])
    assert len(samples) < 24_000 and odd == ["not decoded"]
    assert hear(content + bytes(start))[1] == []


@pytest.mark.parametrize("how", [VARIABLE, {"format": "WAV"}, {"format": "FLAC"}])
def test_streams_of_two_kinds_are_refused(refuse, how):
    mono, both = noise(9000), np.stack([noise(9000)] * 2, axis=1)
    said = refuse(encoded(mono, **how) + encoded(mono, 24_000, **how))
    assert "streams of 16000 Hz, 1 channels and 24000 Hz, 1 channels" in said
    said = refuse(encoded(mono, **how) + encoded(both, **how))
    assert "streams of 16000 Hz, 1 channels and 16000 Hz, 2 channels" in said


def test_streams_of_two_formats_are_both_decoded(hear):
    samples, odd = hear(encoded(noise(9000), format="WAV") + encoded(noise(8000), format="FLAC"))
    np.testing.assert_array_equal(samples, np.concatenate([noise(9000), noise(8000)]))
    assert not odd


@pytest.mark.parametrize("damage", ["lost", "altered"])
def test_an_ogg_page_that_is_lost_or_altered_is_named(hear, damage):
    content = encoded(noise(48_000), **FORMATS["ogg"][0])
    pages = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"]
    lost = content[: pages[3]] + content[pages[4] :]
    altered = content[: pages[3] + 99] + b"????" + content[pages[3] + 103 :]
    _, odd = hear(lost if damage == "lost" else altered)
    assert odd and set(odd) == {"not decoded"}


TAG = b"ID3\3\0\0\0\0\1\0" + bytes(128)


@pytest.mark.parametrize(("kind", "front"), [("mp3", bytes(500)), ("mp3", TAG), ("flac", TAG)])
def test_what_stands_before_the_audio_is_passed_over(hear, kind, front):
    samples, odd = hear(front + encoded(noise(32_000), **FORMATS[kind][0]), f"a.{kind}")
    assert len(samples) == 32_000 and not odd


@pytest.mark.parametrize("kind", ["VOC", "IRCAM", "PVF", "HTK", "PAF", "AVR"])
def test_formats_whose_length_is_not_checked_say_so(hear, kind):
    samples, odd = hear(encoded(noise(32_000), format=kind))
    assert len(samples) == 32_000 and odd == ["not checked"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"what is this?\n", "text, not audio"),
        ("ça va? ".encode() * 20, "text, not audio"),
        (b"RIFF", "cut off behind its beginning"),
        (b"\xe9 \xe0!\xd8#\xf0$" * 99, "raw audio has to be converted"),
        (bytes(5000), "it begins with zeros"),
        (b"\0\0\0\x20ftypM4A " + bytes(99), "convert it to WAV or FLAC"),
        (b"NIST_1A\n   1024\nsample_coding -s25 pcm,embedded-shorten-v2.00\n", "sph2pipe"),
        (b"\x1aE\xdf\xa3" + bytes(99), "WebM"),
        (b"\xff\xf1\x50\x80" + bytes(99), "AAC"),
    ],
)
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.au", "a.gsm", "a.vox", "a.raw", "a.sd2"])
def test_what_is_no_audio_is_named_by_what_it_is(refuse, content, said, name):
    assert said in refuse(content, name)


def test_a_folder_and_a_pipe_are_named(tmp_path):
    (tmp_path / "a.wav").mkdir()
    os.mkfifo(tmp_path / "b.wav")
    for name, what in (("a.wav", "a folder"), ("b.wav", "no regular file")):
        with pytest.raises(InputError, match=rf"{name}: {what}"):
            audio.Source(tmp_path / name)


@pytest.mark.parametrize("name", ["a.raw", "a.vox", "a.gsm", "a.mp3", "a.wav", "a.pcm"])
def test_headerless_audio_is_refused_and_a_name_makes_no_difference(refuse, hear, capfd, name):
    assert "of no known format" in refuse(noise(32_000).tobytes(), name)
    assert capfd.readouterr().err == ""
    samples, odd = hear(encoded(noise(999), format="WAV"), name)
    np.testing.assert_array_equal(samples, noise(999))
    assert not odd


def test_a_coding_in_which_nothing_can_be_sought_is_named(refuse):
    said = refuse(encoded(noise(32_000), format="AIFF", subtype="DWVW_16"))
    assert "audio in DWVW_16; convert it to WAV or FLAC" in said


@pytest.mark.parametrize("rate", [0, 1, 999, 2**31 - 1])
def test_a_rate_that_no_audio_has_is_refused(refuse, rate):
    content = bytearray(encoded(noise(999), format="WAV"))
    content[24:28] = struct.pack("<I", rate)
    assert "a.wav: " in refuse(bytes(content))


def sound(kind, x):
    """(samples, how to write them): what a mishap makes of float samples x."""
    integers = (x * 32768).round()
    swell = np.clip(np.sin(np.arange(len(x)) / 2000), 0, 1)  # with silence between
    spoken = (np.cumsum(x) % 1 * 0.3 * swell * 32768).astype(np.int16)
    return {
        "integers as float": (integers, {"subtype": "FLOAT"}),
        "integers as double": (integers, {"subtype": "DOUBLE"}),
        "8 bit as float": ((x * 128).round(), {"subtype": "FLOAT"}),
        "sign": (np.where(x < 0, x + 1, x - 1), {}),
        "24 bit in 32": ((x * 2**23).astype(np.int32), {"subtype": "PCM_32"}),
        "byte order": (integers.astype(np.int16).byteswap(), {}),
        "clipped": (np.clip(12 * x, -1, 1), {}),
        "zeros": (0 * x, {}),
        "constant": (0 * x + 0.25, {}),
        "mostly zeros": (np.where(np.arange(len(x)) < len(x) // 11, x, 0), {}),
        "half zeros": (np.where(np.arange(len(x)) < len(x) // 2, x, 0), {}),
        "offset": (0.3 + 0.01 * x, {}),
        "opposite": (np.stack([x, -x], axis=1), {}),
        "partly opposite": (np.stack([x, -0.6 * x], axis=1), {}),
        "three opposite": (np.stack([x, -0.5 * x, -0.5 * x], axis=1), {}),
        "one silent": (np.stack([x, 0 * x], axis=1), {}),
        "one of noise": (np.stack([x, 1e-3 * x[::-1]], axis=1), {}),
        "clipped below": (np.clip(12 * x, -0.7, 0.7), {}),
        "swapped": (spoken.byteswap(), {}),
        "moved by a byte": (np.frombuffer(spoken.tobytes()[1:-1], np.int16), {}),
        "a tone": (0.7 * np.sin(np.arange(len(x)) * np.pi / 8 + np.pi / 16), {}),
        "few steps": ((x * 10).round() / 10, {}),
        "short and low": (x[:50] / 2, {}),
        "plain": (x, {}),
        "float": (x, {"subtype": "FLOAT"}),
        "loud": (np.clip(6 * x, -1, 1), {}),
        "some beyond": (x * np.where(np.arange(len(x)) % 100, 1, 9), {"subtype": "FLOAT"}),
        "two alike": (np.stack([x, x], axis=1), {}),
        "two others": (np.stack([x, x[::-1]], axis=1), {}),
        "a little offset": (x + 0.01, {}),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("integers as float", ["beyond full scale"]),
        ("integers as double", ["beyond full scale"]),
        ("8 bit as float", ["beyond full scale"]),
        ("sign", ["beyond full scale"]),
        ("byte order", ["beyond full scale"]),
        ("clipped", ["clipped"]),
        ("24 bit in 32", ["faint"]),
        ("zeros", ["no sound"]),
        ("constant", ["no sound"]),
        ("mostly zeros", ["mostly silence"]),
        ("offset", ["offset"]),
        ("opposite", ["channels cancel"]),
        ("partly opposite", ["channels cancel"]),
        ("three opposite", ["channels cancel"]),
        ("one silent", ["silent channel"]),
        ("one of noise", ["silent channel"]),
        ("clipped below", ["clipped"]),
        ("swapped", ["wrong order of bytes"]),
        ("moved by a byte", ["wrong order of bytes"]),
        *((fine, []) for fine in ("plain", "float", "loud", "some beyond", "a tone")),
        *((fine, []) for fine in ("half zeros", "two alike", "two others", "few steps")),
        *((fine, []) for fine in ("a little offset", "short and low")),
    ],
)
@pytest.mark.parametrize("block", [audio.BLOCK, 9999])
def test_implausible_sound_is_found(hear, monkeypatch, kind, expected, block):
    monkeypatch.setattr(audio, "BLOCK", block)
    x = np.random.default_rng(5).normal(0, 0.05, 32_000)
    samples, how = sound(kind, x)
    assert hear(encoded(samples, format="WAV", **how))[1] == expected


def test_odd_rates_are_resampled_in_little_memory(tmp_path):
    rates = [22_254, 11_127, 44_101, 7919, 192_000, 191_999, 383_999]
    for rate in rates:
        tone = np.sin(2 * np.pi * 440 * np.arange(rate // 4) / rate) / 2
        soundfile.write(tmp_path / f"{rate}.wav", tone, rate)
    code = f"""
import resource, sys
from labelmer.corpus import audio, resampling
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for rate in {rates}:
    source = audio.Source(f"{tmp_path}/{{rate}}.wav")
    samples, _ = source.read(*source.span())
    assert len(samples) == resampling.resampled_length(rate // 4, rate)
assert "torch" not in sys.modules
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # kB


@pytest.mark.parametrize(
    "rate", [8000, 15_999, 22_050, 22_254, 24_000, 44_100, 44_101, 48_000, 96_001, 192_000]
)
def test_a_resampled_tone_is_that_tone(rate):
    def tone(rate, hertz):
        return np.sin(2 * np.pi * hertz * np.arange(rate) / rate)

    for hertz in (100, 1000, 3000):
        away = resampling.resample(tone(rate, hertz), rate) - tone(16_000, hertz)
        assert np.abs(away[2000:-2000]).max() < 1e-4
    for hertz in (9000, 10_500):
        if hertz < rate / 2:
            assert np.abs(resampling.resample(tone(rate, hertz), rate)[2000:-2000]).max() < 1e-4


@pytest.mark.parametrize("rate", [8000, 22_050, 22_254, 44_101, 48_000, 96_001, 192_000])
@pytest.mark.parametrize("block", [1 << 20, 9_999, 100])
def test_blocks_are_resampled_as_the_whole_is(rate, block):
    samples = np.random.default_rng(1).normal(0, 0.1, rate // 3 + 17)
    blocks = [samples[i : i + block] for i in range(0, len(samples), block)]
    whole = np.concatenate(list(resampling.resampled(blocks, rate)))
    np.testing.assert_array_equal(whole, resampling.resample(samples, rate))
    assert len(whole) == resampling.resampled_length(len(samples), rate)


@pytest.mark.parametrize("rate", [4000, 7919, 11_127, 16_001, 48_000, 384_000])
def test_resampled_lengths_are_told_beforehand(rate):
    for frames in [*range(1, 26), 9_999, 150_012]:
        length = len(resampling.resample(np.zeros(frames), rate))
        assert length == resampling.resampled_length(frames, rate)


def test_cuts_of_a_long_file_do_not_decode_it(tmp_path):
    path = tmp_path / "a.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as file:
        file.seek(10 * 3600 * 16_000)  # ten hours, a hole on the disk
        file.write(noise(16_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = audio.Source(path)
    for start in range(36_000, 0, -600):
        samples, _ = source.read(*source.span(start, start + 1))
        assert len(samples) == 16_000
    np.testing.assert_array_equal(source.read(*source.span(36_000, 36_001))[0], noise(16_000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
