"""tables: what is written is what is read, and a bad cell is named."""

import os

import numpy as np
import pandas as pd
import pytest

from labelmer import tables
from labelmer.errors import InputError


def utterances(**columns):
    """Two rows of the table "utterances", with some columns replaced."""
    frame = {"id": ["a", "b"], "session": "s", "dialogue": "d", "speaker": "p"}
    times = {"start_s": [0.5, np.nan], "end_s": [1.25, np.nan], "text": ["yes", ""]}
    return pd.DataFrame({**frame, **times, **columns})


def said(path, name):
    """The message with which a table is refused."""
    with pytest.raises(InputError) as error:
        tables.read(path, name)
    return str(error.value)


def edited(tmp_path, old, new, name="utterances", frame=None):
    """A written table with one piece of its text replaced."""
    path = tmp_path / "edited.tsv"
    tables.write(path, utterances() if frame is None else frame, name)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_round_trip(tmp_path):
    frame = utterances(text=["Öl, 日本 🎉", "NA"])
    tables.write(tmp_path / "new" / "t.tsv", frame, "utterances")
    back = tables.read(tmp_path / "new" / "t.tsv", "utterances")
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert back.start_s.dtype == float


def test_whitespace_in_a_text_becomes_one_blank_and_quotes_stay(tmp_path):
    text = 'he said "no"\tand\r\nleft\u2028at once'
    tables.write(tmp_path / "t.tsv", utterances(text=[text, '"']), "utterances")
    back = tables.read(tmp_path / "t.tsv", "utterances")
    assert list(back.text) == ['he said "no" and left at once', '"']


def test_columns_come_in_the_order_of_the_definition(tmp_path):
    frame = utterances()
    tables.write(tmp_path / "t.tsv", frame[frame.columns[::-1]], "utterances")
    assert list(tables.read(tmp_path / "t.tsv", "utterances")) == list(frame)


@pytest.mark.parametrize("name", ["utterances", "unread", "segments", "labels", "left_out"])
def test_an_empty_table_keeps_its_columns_and_types(tmp_path, name):
    columns = tables.TABLES[name]
    tables.write(tmp_path / "t.tsv", pd.DataFrame(columns=list(columns)), name)
    back = tables.read(tmp_path / "t.tsv", name)
    assert len(back) == 0 and list(back) == list(columns)
    for key, column in columns.items():
        assert column.kind is str or back[key].dtype == column.kind


def test_columns_of_the_classes_are_as_many_as_there_are(tmp_path):
    overlaps = [c for c in tables.TABLES["audit"] if "_in_" in c]
    counts = {"fold": 1, "held_out": "S", "part": "test", "utterances": 3, "speakers": 1}
    row = counts | {"dialogues": 1, "n_sad": 2, "n_happy": 1} | dict.fromkeys(overlaps, 0)
    tables.write(tmp_path / "t.tsv", pd.DataFrame([row]), "audit")
    back = tables.read(tmp_path / "t.tsv", "audit")
    assert (back.n_sad[0], back.n_happy[0]) == (2, 1)


def test_a_missing_and_an_extra_column_are_named(tmp_path):
    message = said(edited(tmp_path, "speaker", "spaeker"), "utterances")
    assert "edited.tsv" in message
    assert "missing ['speaker'], not known ['spaeker']" in message


def test_a_bad_cell_is_named_with_file_id_column_value_and_what_was_expected(tmp_path):
    message = said(edited(tmp_path, "1.25", "soon"), "utterances")
    for word in ("edited.tsv", "id 'a'", "end_s", "'soon'", "expected float", "seconds"):
        assert word in message


LABELS = pd.DataFrame(
    {"id": ["a"], "code": "neu", "valence": 2.5, "activation": None, "dominance": None}
    | {"raters": 3, "agreement": 1.0}
)
FOLD = pd.DataFrame(
    {"id": ["a"], "session": "s", "dialogue": "d", "speaker": "p", "part": "test", "label": "sad"}
)


@pytest.mark.parametrize(
    ("name", "frame", "old", "new", "words"),
    [
        ("utterances", None, "\td\t", "\t\t", "dialogue is '', expected str"),
        ("labels", LABELS, "\t3\t", "\t2.5\t", "raters is '2.5', expected int"),
        ("labels", LABELS, "\t3\t", "\tinf\t", "raters is 'inf', expected int"),
        ("labels", LABELS, "\t2.5\t", "\tnan\t", "valence is 'nan', expected float"),
        ("fold", FOLD, "test", "dev", "part is 'dev', expected one of ['train', 'validation'"),
    ],
)
def test_bad_cells(tmp_path, name, frame, old, new, words):
    assert words in said(edited(tmp_path, old, new, name, frame), name)


def test_an_id_that_stands_twice_is_named_on_reading_and_on_writing(tmp_path):
    assert "id 'a' stands twice" in said(edited(tmp_path, "\nb\t", "\na\t"), "utterances")
    with pytest.raises(InputError, match="id 'a' stands twice"):
        tables.write(tmp_path / "t.tsv", utterances(id="a"), "utterances")


def test_a_left_out_id_may_stand_in_many_folds(tmp_path):
    frame = pd.DataFrame({"fold": ["1", "2"], "session": "s", "id": "a", "reason": "r"})
    tables.write(tmp_path / "t.tsv", frame, "left_out")
    assert len(tables.read(tmp_path / "t.tsv", "left_out")) == 2


def test_a_rationale_s_id_may_stand_once_for_each_modality(tmp_path):
    frame = pd.DataFrame({"id": "a", "modality": ["speech", "text"], "start": [0.5, 3], "end": 9})
    tables.write(tmp_path / "t.tsv", frame, "rationales")
    assert list(tables.read(tmp_path / "t.tsv", "rationales").start) == [0.5, 3]
    with pytest.raises(InputError, match="id 'a' and modality 'text' stands twice"):
        tables.write(tmp_path / "t.tsv", frame.assign(modality="text"), "rationales")


def test_a_row_that_is_longer_than_the_header_is_refused_not_shifted(tmp_path):
    path = edited(tmp_path, "a\ts", "a\tsurplus\ts")
    assert "edited.tsv:2: more cells than the header's 7" in said(path, "utterances")
    path = edited(tmp_path, "b\ts", "b\tsurplus\ts")
    assert "edited.tsv: not a table" in said(path, "utterances")


@pytest.mark.parametrize("content", [b"", b"id\tsession\n\xff\xfe\ts\n"])
def test_what_is_no_table_is_refused_by_name(tmp_path, content):
    (tmp_path / "t.tsv").write_bytes(content)
    assert "t.tsv: not a table of tab-separated UTF-8 text" in said(tmp_path / "t.tsv", "fold")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    assert "no.tsv: there is no such file" in said(tmp_path / "no.tsv", "fold")
    assert f"{tmp_path}: not a table" in said(tmp_path, "fold")


def test_writing_checks_first_and_leaves_the_old_file(tmp_path):
    tables.write(tmp_path / "t.tsv", utterances(), "utterances")
    before = (tmp_path / "t.tsv").read_bytes()
    for bad in (utterances(speaker=["p", None]), utterances().drop(columns="text")):
        with pytest.raises(InputError):
            tables.write(tmp_path / "t.tsv", bad, "utterances")
    assert (tmp_path / "t.tsv").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "t.tsv"]


def test_writing_that_dies_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    tables.write(tmp_path / "t.tsv", utterances(), "utterances")
    before = (tmp_path / "t.tsv").read_bytes()

    def dies(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(OSError, match="no space"):
        tables.write(tmp_path / "t.tsv", utterances(text="new"), "utterances")
    assert (tmp_path / "t.tsv").read_bytes() == before
