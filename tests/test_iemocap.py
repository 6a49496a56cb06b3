"""iemocap: the release's files, with all their oddities, read as they are meant."""

import json
import random

import pandas as pd
import pytest
from corpora import turns_of, write_evaluation, write_release

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.corpus import labels as labels_stage
from labelmer.corpus import utterances as utterances_stage
from labelmer.corpus.readers import iemocap

TRANSCRIPT = """\
Ses01F_impro01_F000 [000.5000-001.0000]: Hello. [LAUGHTER] You're here?
Ses01F_impro01_M000 [000.9000-001.5000]: [BREATHING]
M: not me
Ses01F_impro01_MXX0 [001.5000-002.0000]: who was that
F:[GARBAGE]

Ses01F_impro01_M001 [002.0000-003.0000]:   well [GARBAGE]   then
"""
EVALUATION = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.5000 - 1.0000]\tSes01F_impro01_F000\tneu\t[2.5000, 3.0000, 1.6667]
C-E2:\tNeutral;\t()
C-E3:\tNeutral; Other;\t(puzzled; Anger)
C-E4:\tAnger;\t(rather; Neutral; at first)
C-F1:\tNeutral;\t()
A-E3:\tval 3; act ; dom  2;\t()
A-E4:\tval ; act ; dom  ;\t()

[0.9000 - 1.5000]\tSes01F_impro01_M000\txxx\t[2.0000, 2.0000, 2.0000]
C-E2:\tSadness; Anger;\t()
C-E3:\tFear;\t()

[2.0000 - 3.0000]\tSes01F_impro01_M001\texc\t[4.0000, 4.0000, 4.0000]
"""


@pytest.fixture
def root(tmp_path):
    """A release with one dialogue of one session."""
    folder = tmp_path / "release" / "Session1" / "dialog"
    for name, text in (("transcriptions", TRANSCRIPT), ("EmoEvaluation", EVALUATION)):
        (folder / name).mkdir(parents=True)
        (folder / name / "Ses01F_impro01.txt").write_text(text)
        (folder / name / "._Ses01F_impro01.txt").write_bytes(b"\0\5\x16\7" + bytes(99))
    (folder / "EmoEvaluation" / "Categorical").mkdir()
    (folder / "EmoEvaluation" / "Categorical" / "Ses01F_impro01_e2.txt").write_text("[else]")
    return tmp_path / "release"


@pytest.fixture
def utterances(root):
    return iemocap.utterances(root, "Session1")[0].set_index("id")


@pytest.fixture
def labels(root):
    return iemocap.labels(root, "Session1").set_index("id")


@pytest.mark.parametrize(
    ("name", "speaker", "dialogue"),
    [
        ("Ses01F_impro01_M000", "Ses01M", "Ses01F_impro01"),
        ("Ses01F_impro01_F000", "Ses01F", "Ses01F_impro01"),
        ("Ses05M_script01_1b_F012", "Ses05F", "Ses05M_script01_1b"),
        ("Ses03F_impro05_MXX0", "Ses03M", "Ses03F_impro05"),
    ],
)
def test_the_speaker_is_the_letter_behind_the_last_underscore(name, speaker, dialogue):
    assert iemocap.speaker_of(name) == speaker
    assert iemocap.dialogue_of(name) == dialogue


def test_utterances_have_speaker_dialogue_and_times(utterances):
    row = utterances.loc["Ses01F_impro01_M000"]
    assert (row.speaker, row.dialogue, row.session) == ("Ses01M", "Ses01F_impro01", "Session1")
    assert (row.start_s, row.end_s) == (0.9, 1.5)


def test_tags_are_removed_and_empty_texts_are_kept(utterances):
    assert utterances.text.to_dict() == {
        "Ses01F_impro01_F000": "Hello. You're here?",
        "Ses01F_impro01_M000": "",
        "Ses01F_impro01_MXX0": "who was that",
        "Ses01F_impro01_M001": "well then",
    }


def test_lines_without_an_id_are_reported(root):
    _, unread = iemocap.utterances(root, "Session1")
    assert list(zip(unread.line, unread.text, strict=True)) == [
        (3, "M: not me"),
        (5, "F:[GARBAGE]"),
    ]
    assert set(unread.file) == {"Ses01F_impro01.txt"}
    assert set(unread.reason) == {"no utterance id"}


TWICE = (
    TRANSCRIPT
    + """\
Ses01F_impro01_MXX0 [003.0000-004.0000]: and that
Ses01F_impro01_F000 [005.0000-006.0000]: somebody else's
"""
)


@pytest.fixture
def transcribe(root):
    """transcribe(text): the tables of a session with this transcription."""

    def transcribe(text):
        path = root / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
        path.write_text(text)
        return iemocap.utterances(root, "Session1")

    return transcribe


def test_of_an_id_that_stands_twice_one_line_is_taken_and_the_other_reported(transcribe, caplog):
    table, unread = transcribe(TWICE)
    assert table.id.is_unique and len(table) == 4
    texts = table.set_index("id").text
    assert texts["Ses01F_impro01_MXX0"] == "who was that"
    assert texts["Ses01F_impro01_F000"] == "Hello. You're here?"
    said = unread[unread.line > 7]
    assert list(said.line) == [8, 9]
    assert list(said.reason) == [
        "its id stands twice; Ses01F_impro01.txt:4 is taken",
        "its id stands twice; Ses01F_impro01.txt:1 is taken",
    ]
    assert list(said.text) == TWICE.splitlines()[-2:]
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "id 'Ses01F_impro01_F000' has a label and stands twice" in caplog.text


def test_the_evaluation_s_times_choose_the_line_and_not_its_place(transcribe):
    first, _, rest = TRANSCRIPT.partition("\n")
    table, unread = transcribe(f"{first.replace('000.5', '000.1')}\n{rest}{first}\n")
    row = table.set_index("id").loc["Ses01F_impro01_F000"]
    assert (row.start_s, row.end_s) == (0.5, 1.0)
    assert unread.line[0] == 1 and "Ses01F_impro01.txt:8 is taken" in unread.reason[0]


def test_a_label_that_fits_neither_of_two_lines_is_an_error(transcribe):
    with pytest.raises(InputError, match=r"txt:1 and .*txt:9: id 'Ses01F_impro01_F000' stands tw"):
        transcribe(TWICE.replace("[000.5000", "[000.4000").replace("MXX0 [003", "MXX1 [003"))


def test_apple_double_files_and_subfolders_are_skipped(root):
    assert [p.name for p in iemocap.transcript_files(root, "Session1")] == ["Ses01F_impro01.txt"]
    assert [p.name for p in iemocap.label_files(root, "Session1")] == ["Ses01F_impro01.txt"]


def test_codes_and_dimensions(labels):
    assert labels.code.to_dict() == {
        "Ses01F_impro01_F000": "neu",
        "Ses01F_impro01_M000": "xxx",
        "Ses01F_impro01_M001": "exc",
    }
    row = labels.loc["Ses01F_impro01_F000"]
    assert (row.valence, row.activation, row.dominance) == (2.5, 3.0, 1.6667)


def test_agreement_is_over_the_raters_and_not_the_actor_or_the_comments(labels):
    assert list(labels.raters) == [3, 2, 0]
    assert labels.agreement["Ses01F_impro01_F000"] == pytest.approx(2 / 3)
    # No majority has no word to agree on; nobody rated the last.
    assert labels.agreement[1:].isna().all()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\tneu\t", " neu "),
        ("[2.5000, 3.0000, 1.6667]", "[2.5000, 3.0000]"),
        ("[0.5000 - 1.0000]", "[0.5000 1.0000]"),
    ],
)
def test_a_malformed_evaluation_is_named_with_file_and_line(root, old, new):
    path = root / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.write_text(EVALUATION.replace(old, new))
    with pytest.raises(InputError, match=r"Ses01F_impro01\.txt:3: '\[0\.5000.*expected"):
        iemocap.labels(root, "Session1")


def test_bytes_that_are_not_utf_8_are_read_as_windows_1252_with_a_warning(root, caplog):
    path = root / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
    path.write_bytes(b"Ses01F_impro01_F000 [000.5000-001.0000]: caf\xe9\x85 it\x92s\n")
    table, unread = iemocap.utterances(root, "Session1")
    assert list(table.text) == ["café… it’s"]
    assert len(unread) == 0
    assert "Ses01F_impro01.txt: not UTF-8" in caplog.text


@pytest.mark.parametrize("content", [b"a\nb\0", "a\nb".encode("utf-16")])
def test_a_file_in_utf_16_or_with_a_nul_byte_is_named(root, content):
    path = root / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"impro01\.txt:[12]: a NUL byte, as of UTF-16; save"):
        iemocap.utterances(root, "Session1")


def test_a_mark_at_the_beginning_of_a_file_costs_no_line(transcribe):
    table, unread = transcribe("\ufeff" + TRANSCRIPT)
    assert table.id[0] == "Ses01F_impro01_F000" and list(unread.line) == [3, 5]


@pytest.mark.parametrize("between", ["\x85", "\u2028", "\x0c", "\x1e"])
def test_a_line_ends_at_a_line_end_alone(transcribe, between):
    table, unread = transcribe(f"Ses01F_impro01_F000 [000.5000-001.0000]: this{between}form\r\n")
    assert list(table.text) == ["this form"] and not len(unread)


def test_a_text_that_is_cut_short_is_told(transcribe, caplog):
    table, _ = transcribe(TRANSCRIPT.rstrip("\n") + "\nSes01F_impro01_M009 [8.0-9.0]: at the sta")
    assert table.text.iloc[-1] == "at the sta"
    number = TRANSCRIPT.rstrip("\n").count("\n") + 2
    assert (
        f"impro01.txt:{number}: no line end behind the last line, 'Ses01F_impro01_M0" in caplog.text
    )


def test_texts_that_all_end_without_a_line_end_are_written_so(tmp_path, caplog):
    root = write_release(tmp_path, turns_of(sessions=1, turns=2))
    paths = iemocap.transcript_files(root, "Session1")
    for number, path in enumerate(paths, 1):
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
        caplog.clear()
        iemocap.utterances(root, "Session1")
        assert caplog.text.count("no line end") == (number if number < len(paths) else 0)


@pytest.mark.parametrize(
    "line", ["ses01f_impro01_f000 [0.5-1.0]: no", "Ses01F_impro01_F000 [0,5-1,0]: no"]
)
def test_a_line_with_an_id_or_times_of_another_form_is_told(transcribe, caplog, line):
    _, unread = transcribe(f"{TRANSCRIPT}{line}\n")
    assert unread.text.iloc[-1] == line and "as the release writes it" in unread.reason.iloc[-1]
    assert f"'{line}' is not 'ID [START-END]: WORDS'" in caplog.text


def test_a_dialogue_without_one_of_its_texts_is_told(root, caplog):
    iemocap.labels(root, "Session1")
    assert not caplog.text
    folder = root / "Session1" / "dialog" / "transcriptions"
    (folder / "Ses01F_impro01.txt").rename(folder / "Ses01F_impro01.TXT")
    iemocap.labels(root, "Session1")
    assert "transcriptions: no Ses01F_impro01.txt (files like this: 1)" in caplog.text


@pytest.mark.parametrize("kind", ["transcriptions", "EmoEvaluation"])
def test_a_folder_in_the_place_of_a_text_is_named(root, kind):
    (root / "Session1" / "dialog" / kind / "x.txt").mkdir()
    with pytest.raises(InputError, match=r"x\.txt: a folder, expected a text file"):
        iemocap.utterances(root, "Session1")
        iemocap.labels(root, "Session1")


def test_what_is_missing_is_named(root, tmp_path):
    with pytest.raises(InputError, match=r"no Session1 [.]{3} Session5 in this folder"):
        iemocap.sessions(tmp_path)
    (root / "Session2").mkdir()
    assert iemocap.sessions(root) == ["Session1", "Session2"]
    for read in (iemocap.utterances, iemocap.labels):
        with pytest.raises(InputError, match=r"Session2.*nothing like \*.txt"):
            read(root, "Session2")


def test_files_without_one_readable_line_are_an_error(root):
    for folder, read in (
        ("transcriptions", iemocap.utterances),
        ("EmoEvaluation", iemocap.labels),
    ):
        (root / "Session1" / "dialog" / folder / "Ses01F_impro01.txt").write_text("%\n")
        with pytest.raises(InputError, match="Session1: no line '"):
            read(root, "Session1")


def test_clips_are_sentence_files_or_cuts_of_the_dialogue(root, utterances):
    table = utterances.reset_index()[1:2]
    top = root / "Session1"
    name = "Ses01F_impro01_M000"
    sentence = top / "sentences" / "wav" / "Ses01F_impro01" / f"{name}.wav"
    assert iemocap.clips(root, table, "sentences") == [(name, sentence, None, None)]
    dialogue = top / "dialog" / "wav" / "Ses01F_impro01.wav"
    assert iemocap.clips(root, table, "dialogues") == [(name, dialogue, 0.9, 1.5)]


def test_audio_files_of_a_session(tmp_path):
    root = write_release(tmp_path, turns_of(sessions=1, turns=2))
    names = {
        kind: iemocap.audio_files(root, "Session1", kind) for kind in ("dialogues", "sentences")
    }
    assert [p.name for p in names["dialogues"]] == ["Ses01F_impro01.wav", "Ses01F_impro02.wav"]
    assert [p.name for p in names["sentences"]] == ["Ses01F_impro01", "Ses01F_impro02"]
    assert iemocap.speakers(root, "Session1") == ["Ses01F", "Ses01M"]


def full_release():
    """Tables with exactly the release's counts: (utterances, labels)."""
    left = dict(iemocap.RELEASE_CODES)
    four = [c for c in ("ang", "hap", "exc", "neu", "sad") for _ in range(left.pop(c))]
    rest = [code for code, count in left.items() for _ in range(count)]
    random.Random(1).shuffle(four)
    codes = {}
    for speaker, count in iemocap.RELEASE_SPEAKERS.items():
        for number in range(count):
            codes[f"{speaker[:5]}F_impro01_{speaker[5]}{number:04d}"] = four.pop()
    for session, count in iemocap.RELEASE_SESSIONS.items():
        have = sum(name[4] == session[-1] for name in codes)
        for number in range(count - have):
            codes[f"Ses0{session[-1]}F_impro02_F{number:04d}"] = rest.pop()
    assert not four and not rest
    labels = pd.DataFrame({"id": list(codes), "code": list(codes.values())})
    return labels[["id"]], labels


def test_the_full_release_has_no_differences():
    utterances, labels = full_release()
    assert len(labels) == 10_039
    assert iemocap.release_differences(utterances, labels) == []


def test_a_changed_label_is_named():
    utterances, labels = full_release()
    name = labels.id[labels.code == "dis"].iloc[0]
    labels.loc[labels.id == name, "code"] = "neu"
    assert iemocap.release_differences(utterances, labels) == [
        "utterances of the code dis: 1 here, 2 in the full release",
        "utterances of the code neu: 1709 here, 1708 in the full release",
        f"utterances of the four classes by Ses0{name[4]}F: "
        f"{iemocap.RELEASE_SPEAKERS[f'Ses0{name[4]}F'] + 1} here, "
        f"{iemocap.RELEASE_SPEAKERS[f'Ses0{name[4]}F']} in the full release",
    ]


def test_a_missing_evaluation_and_a_missing_transcript_are_named():
    utterances, labels = full_release()
    found = "\n".join(iemocap.release_differences(utterances, labels[9:]))
    assert "utterances with a label Session1: 1810 here, 1819 in the full release" in found
    assert "by Ses01F: 519 here, 528" in found
    assert iemocap.release_differences(utterances[1:], labels) == [
        f"{labels.id[0]} has a label but no transcript"
    ]


def test_a_small_corpus_is_not_taken_for_the_release():
    utterances, labels = full_release()
    assert iemocap.release_differences(utterances[:5000], labels[:5000]) == []


def test_the_stages_write_the_tables_sorted_by_id(root, tmp_path):
    config = {"corpus": {"reader": "iemocap", "root": str(root)}}
    options = ["--session", "Session1", "--config", json.dumps(config)]
    paths = {name: tmp_path / f"{name}.tsv" for name in ("utterances", "unread", "labels")}
    utterances_stage.main(
        [*options, "--utterances", str(paths["utterances"]), "--unread", str(paths["unread"])]
    )
    assert not paths["labels"].exists()
    labels_stage.main([*options, "--labels", str(paths["labels"])])
    made = {name: tables.read(path, name) for name, path in paths.items()}
    assert list(made["utterances"].id) == [
        f"Ses01F_impro01_{turn}" for turn in ("F000", "M000", "M001", "MXX0")
    ]
    assert list(made["unread"].line) == [3, 5]
    assert list(made["labels"].code) == ["neu", "xxx", "exc"]
    assert made["labels"].agreement.isna().tolist() == [False, True, True]


def test_labels_refuse_the_same_utterance_in_two_files(tmp_path, caplog):
    turns = turns_of(sessions=1, dialogues=1, turns=4)
    root = write_release(tmp_path / "release", turns)
    write_evaluation(root / "Session1" / "dialog" / "EmoEvaluation" / "copy.txt", turns)
    config = {"corpus": {"reader": "iemocap", "root": str(root)}}
    options = ["--session", "Session1", "--config", json.dumps(config)]
    with pytest.raises(SystemExit, match="1"):
        labels_stage.main([*options, "--labels", str(tmp_path / "labels.tsv")])
    assert "copy.txt:3: id 'Ses01F_impro01_F000' stands twice, as in " in caplog.text
    assert "Ses01F_impro01.txt:3" in caplog.text
    assert not (tmp_path / "labels.tsv").exists()
