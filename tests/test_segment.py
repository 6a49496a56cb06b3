"""audio and segment: whatever a file holds becomes 16 kHz, mono, 16 bit, of the right length."""

import json

import numpy as np
import pytest
import soundfile
from corpora import turns_of, write_release

from labelmer.base import tables
from labelmer.base.digest import content_key
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.corpus import audio, segment
from labelmer.corpus.resampling import resampled_length


def sine(rate, seconds=1.0, hertz=440.0, amplitude=0.5):
    """A tone, shape (frames,)."""
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def noise(frames, channels=1):
    """Noise as int16, shape (frames, channels)."""
    draw = np.random.default_rng(frames)
    return draw.integers(-32768, 32767, (frames, channels), np.int16, endpoint=True)


def store(path, samples, rate=16_000, **how):
    soundfile.write(path, samples, rate, **how)
    return path


def heard(path, start_s=None, end_s=None):
    """What a clip becomes."""
    source = audio.Source(path)
    first, stop = source.span(start_s, end_s)
    samples, _ = source.read(first, stop)
    assert samples.dtype == np.int16
    assert samples.shape == (resampled_length(stop - first, source.rate),)
    return samples


def tone(samples):
    """The loudest frequency of 16 kHz samples, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * 16_000 / len(samples)


def test_16_khz_mono_16_bit_passes_bit_for_bit(tmp_path):
    samples = noise(5000)[:, 0]
    samples[:2] = -32768, 32767
    for name in ("a.wav", "a.flac"):
        np.testing.assert_array_equal(heard(store(tmp_path / name, samples)), samples)


def test_channels_are_averaged(tmp_path):
    samples = noise(5000, channels=2)
    mixed = heard(store(tmp_path / "a.wav", samples))
    np.testing.assert_allclose(mixed, samples.mean(axis=1), atol=0.5)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_tone_keeps_its_length_pitch_and_loudness(tmp_path, rate):
    samples = heard(store(tmp_path / "a.wav", sine(rate), rate, subtype="FLOAT"))
    assert len(samples) == 16_000
    assert tone(samples) == 440
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(16_384, rel=0.01)


def test_tones_above_what_16_khz_can_hold_do_not_come_back_lower(tmp_path):
    samples = heard(store(tmp_path / "a.wav", sine(48_000, hertz=11_000), 48_000))
    assert np.abs(samples[1000:-1000]).max() < 300


@pytest.mark.parametrize(
    ("rate", "frames"), [(44_100, 529_302), (22_050, 333), (48_000, 1), (8000, 7)]
)
def test_a_length_that_does_not_divide_is_rounded_up(tmp_path, rate, frames):
    # 529,302: torchaudio itself is one sample short here.
    samples = heard(store(tmp_path / "a.wav", np.zeros(frames), rate))
    assert len(samples) == -(-frames * 16_000 // rate)


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    samples = heard(store(tmp_path / "a.wav", np.array([1.0, 3.0, -3.0]), subtype="FLOAT"))
    assert list(samples) == [32767, 32767, -32768]


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_a_cut_is_the_files_samples(tmp_path, kind):
    samples = noise(16_000)[:, 0]
    cut = heard(store(tmp_path / f"a.{kind}", samples), 0.25, 0.50005)
    np.testing.assert_array_equal(cut, samples[4000:8001])


def test_a_cut_at_another_rate_is_in_seconds_of_that_rate(tmp_path):
    halves = np.concatenate([sine(44_100, hertz=300), sine(44_100, hertz=700)])
    path = store(tmp_path / "a.wav", halves, 44_100)
    assert tone(heard(path, 0.0, 1.0)) == 300
    assert tone(heard(path, 1.0, 2.0)) == 700


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path, bad):
    samples = sine(16_000)
    samples[77] = bad
    path = store(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav: samples that are not numbers"):
        heard(path)


@pytest.fixture
def turns():
    return turns_of(sessions=1, dialogues=2, turns=4)


@pytest.fixture
def run(tmp_path, turns):
    """run(audio): (ragged file, table by id) of a made session; run.root is the release."""

    def run(kind="sentences", reader="iemocap", root=None):
        out = tmp_path / kind
        corpus = {"reader": reader, "root": str(root or run.root)}
        corpus |= {"audio": kind} if reader == "iemocap" else {}
        options = {
            "--session": "Session1",
            "--segments": out / "Session1.h5",
            "--table": out / "Session1.tsv",
            "--config": json.dumps({"corpus": corpus, "code": "c0de"}),
            "--log": out / "log",
        }
        segment.main([str(word) for option in options.items() for word in option])
        table = tables.read(out / "Session1.tsv", "segments").set_index("id")
        return Ragged(out / "Session1.h5"), table

    run.root = write_release(tmp_path / "release", turns)
    return run


def test_segment_writes_every_sentence_as_it_is(run, turns):
    file, table = run()
    assert file.ids == list(table.index) == sorted(turn.id for turn in turns)
    for turn in turns:
        source = run.root / table.source[turn.id]
        samples, rate = soundfile.read(source, dtype="int16")
        assert (source.stem, rate) == (turn.id, 16_000)
        np.testing.assert_array_equal(file[turn.id], samples)
        assert table.seconds[turn.id] == pytest.approx(len(samples) / 16_000)
        assert bytes(file.keys[file.index[turn.id]]) == content_key(samples)
    assert set(table.problem) == {""}
    assert {"kind": "segments", "unit": "samples", "rate_hz": 16_000, "code": "c0de"}.items() <= (
        file.attrs.items()
    )


def test_segment_cuts_dialogues_by_their_times_and_mixes_them_down(run, turns):
    file, table = run("dialogues")
    for turn in turns:
        assert table.source[turn.id] == f"Session1/dialog/wav/{turn.dialogue}.wav"
        samples, _ = soundfile.read(run.root / table.source[turn.id], dtype="int16")
        cut = samples[round(turn.start * 16_000) : round(turn.end * 16_000)]
        assert cut.shape[1] == 2
        np.testing.assert_allclose(file[turn.id], cut.mean(axis=1), atol=0.5)


def test_a_missing_file_is_a_problem_in_the_table(run, turns):
    name = turns[2].id
    (run.root / "Session1/sentences/wav" / turns[2].dialogue / f"{name}.wav").unlink()
    file, table = run()
    assert name not in file and len(file) == len(turns) - 1
    assert table.problem[name] == "no audio file" and np.isnan(table.seconds[name])
    assert (table.problem != "").sum() == 1


def test_a_file_without_samples_is_a_problem_in_the_table(run, turns):
    path = run.root / "Session1/sentences/wav" / turns[0].dialogue / f"{turns[0].id}.wav"
    store(path, np.zeros(0))
    file, table = run()
    assert table.problem[turns[0].id] == "no samples"
    assert turns[0].id not in file


def test_a_cut_past_the_end_stops_there_and_is_warned_of_by_name(run, turns, caplog):
    turn = turns[3]  # its dialogue's last
    path = run.root / f"Session1/dialog/wav/{turn.dialogue}.wav"
    samples, rate = soundfile.read(path, dtype="int16")
    first, stop = round(turn.start * rate), round((turn.end - 0.1) * rate)
    store(path, samples[:stop])
    file, _ = run("dialogues")
    np.testing.assert_allclose(file[turn.id], samples[first:stop].mean(axis=1), atol=0.5)
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warned) == 1
    assert warned[0].startswith(f"{turn.id}: ends at {turn.end:.3f} s, but {path} ends at")


@pytest.mark.parametrize("end", [1e12, 1e308, float("inf")])
def test_a_cut_stops_at_the_end_however_far_it_reaches(tmp_path, end):
    soundfile.write(tmp_path / "a.wav", noise(8000), 16_000)
    assert audio.Source(tmp_path / "a.wav").span(0.25, end) == (4000, 8000)


def test_a_cut_that_begins_past_the_end_is_a_problem_in_the_table(run, turns, caplog):
    path = run.root / f"Session1/dialog/wav/{turns[3].dialogue}.wav"
    store(path, noise(round((turns[3].start - 0.05) * 16_000)))
    file, table = run("dialogues")
    assert table.problem[turns[3].id] == "no samples"
    times = f"no samples from {turns[3].start:.6f} s to {turns[3].end:.6f} s; left out"
    assert f"{turns[3].id}: {path}: {times}" in caplog.text
    assert len(file) == len(turns) - 1


def test_corrupt_audio_stops_segment_by_name_and_writes_nothing(run, turns, tmp_path, caplog):
    path = run.root / "Session1/sentences/wav" / turns[1].dialogue / f"{turns[1].id}.wav"
    path.write_bytes(b"no audio" * 99)
    with pytest.raises(SystemExit, match="1"):
        run()
    assert f"id '{turns[1].id}': {path}: not readable as audio" in caplog.text
    assert {p.name for p in (tmp_path / "sentences").iterdir()} == {"log"}
    assert str(path) in (tmp_path / "sentences" / "log").read_text()


def test_all_files_that_cannot_be_read_are_named_at_once(tmp_path):
    clips = []
    for number in range(segment.MOST + 2):
        path = tmp_path / f"{number:02d}.wav"
        path.write_text("no audio")
        clips += [(f"a{number:02d}", path, 0.0, 1.0), (f"b{number:02d}", path, 1.0, 2.0)]
    with pytest.raises(InputError) as refused:
        segment.find(clips, tmp_path, segment.Findings())
    *lines, last = str(refused.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"id 'a{n:02d}'" for n in range(20)]
    assert all("mend the file, or take the id out" in line for line in lines)
    assert last == "and 2 files more"


def test_what_is_shorter_than_any_word_is_named(tmp_path, caplog):
    store(tmp_path / "a.wav", sine(16_000, 1.0, 300), 16_000)
    clips = [("a", tmp_path / "a.wav", 0.5, 0.549), ("b", tmp_path / "a.wav", 0.5, 0.551)]
    segment.find(clips, tmp_path, segment.Findings())
    (warned,) = (record.getMessage() for record in caplog.records)
    assert warned.startswith("a: ") and "0.049 s, shorter than any word" in warned


def test_links_to_nowhere_are_one_reason_and_the_log_says_where_each_leads(tmp_path, caplog):
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").symlink_to(f"gone/{name}.wav")
    clips = [(name, tmp_path / f"{name}.wav", None, None) for name in ("a", "b")]
    _, table = segment.find(clips, tmp_path, segment.Findings())
    assert set(table.problem) == {"no audio file, a link to nowhere"}
    assert "b.wav is a link to gone/b.wav, which is not there; left out" in caplog.text


def test_segment_reads_a_manifests_audio_of_any_rate(run, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    store(folder / "long.flac", sine(44_100, 2.0, 300), 44_100)
    store(folder / "short.wav", sine(8000, 0.5, 600), 8000)
    rows = [
        ["id", "path", "speaker", "session", "label", "text", "start", "end"],
        ["a", "long.flac", "Ann", "Session1", "sad", "", "0.5", "1.75"],
        ["b", "short.wav", "Ann", "Session1", "sad", "", "", ""],
        ["c", "gone.wav", "Ann", "Session1", "sad", "", "", ""],
        ["d", "Short.WAV", "Ann", "Session1", "sad", "", "", ""],
        ["e", ".\\short.wav", "Ann", "Session1", "sad", "", "", ""],
    ]
    (folder / "corpus.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    file, table = run(reader="manifest", root=folder / "corpus.tsv")
    assert [len(file[name]) for name in file.ids] == [20_000, 8000]
    assert tone(file["a"]) == pytest.approx(300, abs=1)
    assert tone(file["b"]) == pytest.approx(600, abs=2)
    assert list(table.source)[:4] == ["long.flac", "short.wav", "gone.wav", "Short.WAV"]
    assert list(table.problem) == [
        *("", "", "no audio file"),
        "no audio file, its path is spelt otherwise there (case, blanks or Unicode)",
        "no audio file, its path has backslashes where / is expected",
    ]


def test_what_is_odd_about_the_audio_is_said_with_id_and_file(run, tmp_path, caplog):
    folder = tmp_path / "own"
    folder.mkdir()
    x = noise(16_000)[:, 0] / 2**16
    store(folder / "cut.wav", x)
    (folder / "cut.wav").write_bytes((folder / "cut.wav").read_bytes()[:16_044])
    for n in range(9):
        store(folder / f"opposite{n}.wav", np.stack([x, -x], axis=1))
    rows = [["id", "path", "speaker", "session", "label", "text"]]
    rows += [[f"o{n}", f"opposite{n}.wav", "Ann", "Session1", "sad", ""] for n in range(9)]
    rows += [["a", "cut.wav", "Ann", "Session1", "sad", ""]]
    (folder / "corpus.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    run(reader="manifest", root=folder / "corpus.tsv")
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    cut = f"a: {folder}/cut.wav: its header says 32000 bytes of audio, it holds 16000"
    assert [line for line in warned if line.startswith(cut)]
    opposite = [line for line in warned if "its channels cancel" in line]
    assert [line.split(":")[0] for line in opposite] == ["o0", "o1", "o2"]
    assert "channels cancel: 6 more such warnings; the log has them all" in warned
    assert (tmp_path / "sentences" / "log").read_text().count("its channels cancel") == 9


def test_copies_under_two_names_are_told_and_silence_is_none(run, tmp_path, caplog):
    folder = tmp_path / "own"
    folder.mkdir()
    for name, samples in (("a", noise(8000)), ("b", noise(8000)), ("c", noise(8000)[::-1])):
        store(folder / f"{name}.wav", samples[:, 0] / 2**16)
    for name in "de":
        store(folder / f"{name}.wav", np.zeros(8000))
    rows = [["id", "path", "speaker", "session", "label", "text"]]
    rows += [[n, f"{n}.wav", "Ann", "Session1", "sad", ""] for n in "abcde"]
    (folder / "corpus.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    run(reader="manifest", root=folder / "corpus.tsv")
    said = f"b: {folder}/b.wav: sample for sample the audio of 'a', {folder}/a.wav"
    assert [said in line for line in caplog.messages if "sample for sample" in line] == [True]


def test_a_file_is_looked_at_once_for_all_its_cuts(run, turns, monkeypatch):
    looked, look = [], audio.Source.__init__
    monkeypatch.setattr(
        audio.Source, "__init__", lambda self, path: (looked.append(path), look(self, path))[1]
    )
    run("dialogues")
    assert len(looked) == len(set(looked)) == len({turn.dialogue for turn in turns})
