"""The demo corpus, read back from its files: the release's layout, its oddities, its honesty."""

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("espeakng_loader")

from labelmer import demo
from labelmer.errors import InputError

ENTRY = re.compile(
    r"^\[(\d+\.\d{4}) - (\d+\.\d{4})\]\t(Ses\d\d[FM]_\w+_[FM]\d{3})\t(\w{3})"
    r"\t\[(\d\.\d{4}), (\d\.\d{4}), (\d\.\d{4})\]$"
)
CATEGORICAL = re.compile(r"^C-(E[123]|[FM]1):\t(?:[A-Z][a-z]+;)(?: [A-Z][a-z]+;)*\t\([^()]*\)$")
ATTRIBUTE = re.compile(r"^A-(E[12]|[FM]1):\tval [1-5]?; act [1-5]?; dom  [1-5]?;\t\(\)$")
SPOKEN = re.compile(r"^(\w+) \[(\d{3}\.\d{4})-(\d{3}\.\d{4})\]: (.+)$")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    assert demo.make(folder, seed=1)
    return folder


def files(corpus, pattern):
    return [path for path in sorted(corpus.glob(pattern)) if not path.name.startswith("._")]


@pytest.fixture(scope="module")
def entries(corpus):
    """(start, end) in seconds, emotion, (V, A, D) per labelled utterance."""
    found = {}
    for path in files(corpus, "Session*/dialog/EmoEvaluation/*.txt"):
        for line in path.read_text().splitlines():
            if match := ENTRY.match(line):
                start, end, utterance, emotion, *ratings = match.groups()
                found[utterance] = (float(start), float(end)), emotion, tuple(map(float, ratings))
    return found


@pytest.fixture(scope="module")
def transcript_lines(corpus):
    paths = files(corpus, "Session*/dialog/transcriptions/*.txt")
    return [(path.stem, line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def texts(transcript_lines):
    matches = [SPOKEN.match(line) for _, line in transcript_lines]
    return {match[1]: match[4] for match in matches if match}


@pytest.fixture(scope="module")
def truth(corpus):
    return json.loads((corpus / "demo.json").read_text())


def bytes_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_five_sessions_with_the_same_dialogues_in_every_folder(corpus):
    assert sorted(p.name for p in corpus.iterdir() if p.is_dir()) == [
        f"Session{n}" for n in range(1, 6)
    ]
    for session in corpus.glob("Session*"):
        names = {path.stem for path in files(session, "dialog/EmoEvaluation/*.txt")}
        assert {path.stem for path in files(session, "dialog/transcriptions/*.txt")} == names
        assert {path.stem for path in files(session, "dialog/wav/*.wav")} == names
        assert {path.name for path in (session / "sentences" / "wav").iterdir()} == names
        assert all(name.startswith(f"Ses0{session.name[-1]}") for name in names)
        assert {name[5] for name in names} == {"F", "M"}
        assert {name[7:12] for name in names} == {"impro", "scrip"}
        for folder in ("Attribute", "Categorical", "Self-evaluation"):
            assert files(session, f"dialog/EmoEvaluation/{folder}/*.txt")


def test_the_speaker_is_the_last_letter_and_not_the_marker_wearer(entries):
    speakers = {(utterance[:5], utterance.rpartition("_")[2][0]) for utterance in entries}
    assert len(speakers) == 10
    for wearer in "FM":
        said = [u.rpartition("_")[2][0] for u in entries if u[5] == wearer]
        assert 0.3 < said.count("F") / len(said) < 0.7


def test_the_ten_speakers_are_ten_voices():
    assert len({voice.name for voice in demo.VOICES.values()}) == len(demo.VOICES) == 10


def test_every_line_of_an_evaluation_has_the_release_s_form(corpus, entries):
    for path in files(corpus, "Session*/dialog/EmoEvaluation/*.txt"):
        header, blank, *lines = path.read_text().split("\n")
        assert header == "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]" and blank == ""
        for line in filter(None, lines):
            assert any(form.match(line) for form in (ENTRY, CATEGORICAL, ATTRIBUTE)), line
    assert all(1 <= value <= 5 for _, _, ratings in entries.values() for value in ratings)


def test_raters_sometimes_give_two_labels_a_comment_or_no_value(corpus):
    paths = files(corpus, "Session*/dialog/EmoEvaluation/*.txt")
    everything = "".join(path.read_text() for path in paths)
    assert re.search(r"C-E\d:\t\w+; Other;", everything)
    assert re.search(r"C-E\d:\t.*\([a-z ]+\)", everything)
    assert re.search(r"A-E2:\t.*(val|act|dom ) ;", everything)


def test_ratings_follow_the_emotion(entries):
    def mean(emotion):
        return np.mean([ratings for _, found, ratings in entries.values() if found == emotion], 0)

    assert mean("hap")[0] > mean("neu")[0] > mean("ang")[0]
    assert mean("ang")[1] > mean("neu")[1] > mean("sad")[1]
    assert mean("ang")[2] > mean("sad")[2]


def test_enough_of_each_class_and_some_of_the_others(entries):
    emotions = Counter(emotion for _, emotion, _ in entries.values())
    four = [emotions[kind] for kind in ("ang", "neu", "sad")] + [emotions["hap"] + emotions["exc"]]
    assert sum(four) >= 240 and max(four) < 1.4 * min(four)
    assert {"xxx", "fru", "sur", "fea", "oth", "dis"} < set(emotions)
    for session in range(1, 6):
        inside = {e for u, (_, e, _) in entries.items() if u.startswith(f"Ses0{session}")}
        assert {"ang", "hap", "exc", "neu", "sad"} < inside


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_plans_enough(seed):
    turns = [turn for dialogue in demo.plan(seed) for turn in dialogue.turns]
    assert sum(turn.emotion in demo.FOUR_CLASSES for turn in turns) >= 240


def test_sentences_are_the_speaker_s_own_channel_of_the_dialogue(corpus, entries):
    sentences = files(corpus, "Session*/sentences/wav/*/*.wav")
    assert {path.stem for path in sentences} == set(entries)
    dialogues = {}
    for path in files(corpus, "Session*/dialog/wav/*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 2, "PCM_16")
        dialogues[path.stem] = soundfile.read(path, dtype="int16")[0]
    for path in sentences:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        (start, end), _, _ = entries[path.stem]
        channel = "FM".index(path.stem.rpartition("_")[2][0])
        cut = dialogues[path.parent.name][round(start * 16000) : round(end * 16000), channel]
        assert np.array_equal(cut, soundfile.read(path, dtype="int16")[0])
        assert cut.std() > 0
    seconds = [end - start for (start, end), _, _ in entries.values()]
    assert min(seconds) > 0.5 and max(seconds) < 8
    assert 1.5 < np.median(seconds) < 4


def test_nothing_clips(corpus):
    for path in files(corpus, "Session*/dialog/wav/*.wav"):
        assert np.abs(soundfile.read(path)[0]).max() < 0.99


def test_some_turns_overlap(entries):
    spans = {}
    for utterance, (span, _, _) in entries.items():
        spans.setdefault(utterance.rpartition("_")[0], []).append((*span, utterance[-4]))
    pairs = [pair for turns in spans.values() for pair in itertools.pairwise(sorted(turns))]
    early = [(a, b) for a, b in pairs if b[0] < a[1]]
    assert 5 < len(early) < len(pairs) / 3
    assert all(a[2] != b[2] for a, b in early)


def test_transcriptions_hold_every_utterance_and_agree_on_its_time(entries, transcript_lines):
    found = {}
    for dialogue, line in transcript_lines:
        if match := SPOKEN.match(line):
            assert match[1].startswith(dialogue + "_")
            found[match[1]] = float(match[2]), float(match[3])
    assert set(entries) < set(found)
    assert all(found[utterance] == entry[0] for utterance, entry in entries.items())


def test_transcriptions_have_the_release_s_oddities(entries, transcript_lines, texts):
    odd = [line for _, line in transcript_lines if not SPOKEN.match(line)]
    assert odd and all(re.match(r"^[FM]:( \w|\[)", line) for line in odd)
    unlabelled = set(texts) - set(entries)
    assert unlabelled and all(re.search(r"_[FM]XX\d$", utterance) for utterance in unlabelled)
    for tag in ("[LAUGHTER]", "[BREATHING]", "[GARBAGE]"):
        assert any(tag in texts[u] and texts[u] != tag for u in entries), tag
    four = [u for u in entries if entries[u][1] in demo.FOUR_CLASSES]
    assert any(re.fullmatch(r"\[[A-Z]+\]", texts[utterance]) for utterance in four)


def test_apple_double_files_lie_in_every_kind_of_folder(corpus):
    for pattern in (
        "dialog/EmoEvaluation/._Ses*.txt",
        "dialog/transcriptions/._Ses*.txt",
        "dialog/wav/._Ses*.wav",
        "sentences/wav/*/._Ses*.wav",
    ):
        found = list(corpus.glob(f"Session1/{pattern}"))
        assert found, pattern
        with pytest.raises(UnicodeDecodeError):
            found[0].read_text(encoding="utf-8")


def test_scripted_lines_stand_in_several_sessions_and_mostly_keep_their_label(entries, texts):
    sessions, labels = {}, {}
    for utterance, (_, emotion, _) in entries.items():
        if "_script" in utterance:
            sessions.setdefault(texts[utterance], set()).add(utterance[:5])
            labels.setdefault(texts[utterance], []).append(emotion)
    shared = [text for text, where in sessions.items() if len(where) == 5]
    assert len(shared) >= 6
    kept = [Counter(labels[text]).most_common(1)[0][1] for text in shared]
    assert 5 * len(shared) / 2 < sum(kept) < 5 * len(shared)


def test_the_truth_says_what_the_files_say(truth, entries, texts):
    assert truth["seed"] == 1 and truth["count"] == len(truth["utterances"]) == len(entries)
    for utterance, entry in truth["utterances"].items():
        assert entry["text"] == texts[utterance]
        assert entry["emotion"] == entries[utterance][1]
        if entry["shows"] in ("words", "both"):
            assert entry["words"] == entry["emotion"]
        if entry["shows"] in ("prosody", "both"):
            assert entry["prosody"] == entry["emotion"]
    four = [e for e in truth["utterances"].values() if e["emotion"] in demo.FOUR_CLASSES]
    shown = Counter(entry["shows"] for entry in four)
    assert set(shown) == {"words", "prosody", "both"}
    assert min(shown.values()) > 40


def test_neutral_words_are_said_in_every_tone(truth):
    tones = {e["prosody"] for e in truth["utterances"].values() if e["words"] == "neu"}
    assert {"ang", "hap", "exc", "neu", "sad"} <= tones


def test_angry_speech_is_louder_and_faster_than_sad_speech(corpus, truth):
    loudness = {"ang": [], "sad": []}
    pace = {"ang": [], "sad": []}
    for utterance, entry in truth["utterances"].items():
        if entry["prosody"] in loudness and "[" not in entry["text"]:
            dialogue = utterance.rpartition("_")[0]
            wavs = corpus / f"Session{utterance[4]}" / "sentences" / "wav"
            samples, rate = soundfile.read(wavs / dialogue / f"{utterance}.wav")
            loudness[entry["prosody"]].append(10 * np.log10(np.mean(samples**2)))
            pace[entry["prosody"]].append(len(entry["text"]) / (len(samples) / rate))
    assert np.mean(loudness["ang"]) > np.mean(loudness["sad"]) + 6  # dB
    assert np.mean(pace["ang"]) > 1.2 * np.mean(pace["sad"])


def test_the_same_seed_gives_the_same_bytes_in_this_process_and_in_another(tmp_path):
    # One dialogue per session: all ten voices.
    code = (
        "import sys, pathlib; from labelmer import demo; "
        "demo.write_release(pathlib.Path(sys.argv[1]), demo.plan(3)[::6], 3)"
    )
    here, again, there = (tmp_path / name for name in ("here", "again", "there"))
    for folder in (here, again, there):
        folder.mkdir()
    demo.write_release(here, demo.plan(3)[::6], 3)
    demo.write_release(again, demo.plan(3)[::6], 3)
    subprocess.run([sys.executable, "-c", code, there], check=True)
    assert sum(path.suffix == ".wav" for path in bytes_of(here)) > 40
    assert bytes_of(here) == bytes_of(again) == bytes_of(there)


def test_another_seed_gives_another_corpus():
    assert demo.plan(3) == demo.plan(3) != demo.plan(4)


@pytest.fixture
def small(monkeypatch):
    """A corpus of two dialogues, where the whole one would only cost time."""
    whole = demo.plan
    monkeypatch.setattr(demo, "plan", lambda seed: whole(seed)[:2])


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_second_run_touches_nothing_and_says_so(small, tmp_path, capsys):
    folder = tmp_path / "corpus"
    demo.main([str(folder)])
    assert "spoken" in capsys.readouterr().out
    before = stamps(folder)
    demo.main([str(folder), "--seed", "1"])
    said = capsys.readouterr().out
    assert "nothing to do" in said and "1 sessions" in said
    assert stamps(folder) == before


def test_another_seed_or_recipe_replaces_the_corpus(small, tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    demo.make(folder, seed=1)
    assert demo.make(folder, seed=2)
    assert json.loads((folder / "demo.json").read_text())["seed"] == 2
    monkeypatch.setattr(demo, "RECIPE", demo.RECIPE + 1)
    assert demo.make(folder, seed=2)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_missing_file_is_made_again(small, tmp_path):
    folder = tmp_path / "corpus"
    demo.make(folder, seed=1)
    before = bytes_of(folder)
    files(folder, "Session1/sentences/wav/*/*.wav")[3].unlink()
    assert demo.make(folder, seed=1)
    assert bytes_of(folder) == before


def test_a_failure_leaves_the_old_corpus_and_no_litter(small, tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    demo.make(folder, seed=1)
    before = stamps(folder)

    def fails(*_):
        raise OSError("no space left")

    monkeypatch.setattr(demo, "litter", fails)
    with pytest.raises(OSError, match="no space"):
        demo.make(folder, seed=2)
    assert stamps(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_an_empty_folder_is_filled(small, tmp_path):
    assert demo.make(tmp_path / "new" / "corpus", seed=1)
    (tmp_path / "empty").mkdir()
    assert demo.make(tmp_path / "empty", seed=1)


@pytest.mark.parametrize("name, content", [("thesis.txt", "mine"), ("demo.json", '{"mine": 1}')])
def test_a_folder_of_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="not a demo corpus"):
        demo.make(tmp_path, seed=1)
    assert bytes_of(tmp_path) == {Path(name): content.encode()}


def test_a_missing_synthesiser_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"pip install 'labelmer\[demo\]'"):
        demo.make(tmp_path / "corpus", seed=1)
    assert not list(tmp_path.iterdir())
