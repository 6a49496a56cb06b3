"""tables: what is written is what is read, and a bad cell is named."""

import csv
import os

import numpy as np
import pandas as pd
import pytest

from labelmer.base import tables
from labelmer.base.errors import InputError

HEADER = "\t".join(tables.TABLES["utterances"])


def utterances(**columns):
    """Two rows of the table "utterances", with some columns replaced."""
    frame = {"id": ["a", "b"], "session": "s", "dialogue": "d", "scenario": "", "passage": ""}
    frame |= {"speaker": "p", "role": "", "part": ""}
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
    path.write_text(text.replace(old, new, 1), newline="")
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


def test_a_column_that_may_lack_is_empty_then(tmp_path):
    frame = utterances().drop(columns=["scenario", "passage", "role", "part"])
    tables.write(tmp_path / "t.tsv", frame, "utterances")
    assert (tmp_path / "t.tsv").read_text().splitlines()[0] == HEADER
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    back = tables.read(tmp_path / "t.tsv", "utterances")
    assert set(back.scenario) == set(back.part) == {""}


def test_columns_of_the_classes_are_as_many_as_there_are(tmp_path):
    overlaps = [c for c in tables.TABLES["audit"] if "_in_" in c]
    counts = {"fold": 1, "held_out": "S", "part": "test", "utterances": 3, "speakers": 1}
    counts |= {"scenarios": 1, "known_scenario": 0}
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


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("a\ts", "a\tsurplus\ts", ":2: 12 cells, expected 11 as in the header"),
        ("b\ts", "b\tsurplus\ts", ":3: 12 cells, expected 11"),
        ("b\ts", "s", ":3: 10 cells, expected 11"),
        ("\nb\t", "\n\nb\t", ":3: an empty line between the rows"),
        ("\nb\t", "\n\r\nb\t", ":3: an empty line between the rows"),
        ("yes", "y\res", "(line 2: a carriage return within the line"),
        ("yes\n", "yes\r\r\n", "(line 2: a carriage return within the line"),
        ("yes", "y\0es", "(line 2: a NUL byte"),
        ("speaker", "dialogue", ":1: the column 'dialogue' stands twice"),
        ("\tspeaker", "\t", ":1: column 6 has no name"),
        ("id\t", "ID\t", "missing ['id'], not known ['ID']"),
        ("\nb\t", f"\n{HEADER}\nb\t", ":3: the header"),
    ],
)
def test_a_malformed_row_or_header_is_refused_by_its_line(tmp_path, old, new, words):
    message = said(edited(tmp_path, old, new), "utterances")
    assert "edited.tsv" in message and words in message


GIVEN = {"id": ["a", "b"], "text": ['she said "no", twice', '"Out," he said, "out!"']}


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_that_pandas_wrote_gives_the_words_however_it_quotes(
    tmp_path, quoting, ending, encoding
):
    path = tmp_path / "t.tsv"
    frame = pd.DataFrame(GIVEN)
    options = {"quoting": quoting, "lineterminator": ending, "encoding": encoding}
    frame.to_csv(path, sep="\t", index=False, **options)
    assert tables.given(path, "transcripts").to_dict("list") == GIVEN


def test_line_ends_and_tabs_within_quotes_are_blanks(tmp_path):
    frame = pd.DataFrame(GIVEN | {"text": ["one\ntwo", 'a "tab"\there']})
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert list(tables.given(tmp_path / "t.tsv", "transcripts").text) == ["one two", 'a "tab" here']


def test_line_ends_in_the_last_cell_are_blanks_whatever_else_is_quoted(tmp_path):
    texts = ("one\ntwo", "one\n\ntwo", "a\nb\nc", 'she said "no"\nand left', 'a "x"\n"b"\nc')
    for text in texts:
        frame = pd.DataFrame(GIVEN | {"text": [text, "no"]})
        frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
        found = tables.given(tmp_path / "t.tsv", "transcripts").text
        assert list(found) == [" ".join(text.split()), "no"]


@pytest.mark.parametrize("text", ['"', '"Out', 'out"', '"Out!"', 'say "no"', '""', '"a" or "b"'])
def test_quotes_that_only_a_text_has_stay(tmp_path, text):
    (tmp_path / "t.tsv").write_text(f'id\ttext\na\t{text}\nb\tso"\n')
    assert list(tables.given(tmp_path / "t.tsv", "transcripts").text) == [text, 'so"']


def test_a_cell_that_may_or_may_not_be_quoted_is_warned_of(tmp_path, caplog):
    (tmp_path / "t.tsv").write_text('id\ttext\na\tno\nb\t"Well, I never"\nc\t"Oh, no"\n')
    assert tables.given(tmp_path / "t.tsv", "transcripts").text[3] == '"Well, I never"'
    assert 't.tsv:3: the quotes around "Well, I never" are taken for' in caplog.text
    assert "(cells like this: 2)" in caplog.text


def test_quotes_with_a_backslash_are_warned_of(tmp_path, caplog):
    cell = r'"she said \"no\""'
    (tmp_path / "t.tsv").write_text(f"id\ttext\na\tno\nb\t{cell}\n")
    assert tables.given(tmp_path / "t.tsv", "transcripts").text[3] == cell
    assert f"t.tsv:3: the quotes around {cell} are taken for" in caplog.text


def test_names_of_rows_as_r_writes_them_are_explained(tmp_path):
    (tmp_path / "t.tsv").write_text('"id"\t"text"\n"1"\t"a"\t"no"\n"2"\t"b"\t"so"\n')
    with pytest.raises(
        InputError, match=r"has 3 cells and the header 2, as R .* row.names = FALSE"
    ):
        tables.given(tmp_path / "t.tsv", "transcripts")


@pytest.mark.parametrize("row", ["id\ttext", "ID\tText "])
def test_a_header_within_the_table_is_refused(tmp_path, row):
    (tmp_path / "t.tsv").write_text(f"id\ttext\na\tno\n{row}\nb\tno\n")
    with pytest.raises(InputError, match=r"t\.tsv:3: the header stands here again"):
        tables.given(tmp_path / "t.tsv", "transcripts")


@pytest.mark.parametrize("row", ["id\ttext", "c\tyes"])
def test_a_second_file_behind_the_first_is_named_by_its_mark(tmp_path, row):
    (tmp_path / "t.tsv").write_text(f"id\ttext\na\tno\n\ufeff{row}\nb\tno\n")
    with pytest.raises(InputError, match=r"t\.tsv: .*line 3: begins with a byte order mark"):
        tables.given(tmp_path / "t.tsv", "transcripts")


def test_byte_order_marks_before_the_table_are_none_of_it(tmp_path):
    (tmp_path / "t.tsv").write_text("\ufeff\ufeffid\ttext\na\tno\n")
    assert list(tables.given(tmp_path / "t.tsv", "transcripts").id) == ["a"]


def test_our_own_tables_are_never_unquoted(tmp_path):
    words = ['"a ""b"" c"', '"']
    tables.write(tmp_path / "t.tsv", utterances(text=words), "utterances")
    assert list(tables.read(tmp_path / "t.tsv", "utterances").text) == words


@pytest.mark.parametrize(
    "content, words",
    [
        ('id\ttext\na\t"so ""it"" is"\nb\t"no\nc\tx\n', ":3: a cell begins with a quote"),
        ('id\ttext\na\t"so\tit\nb\tis"\n', ":2: a cell begins with a quote"),
        ('"id"\t"text"\n"a"\t"no" way\n', ":2: a cell begins with a quote"),
        ("id\ttext\na\n", ":2: 1 cells, expected 2"),
        ("id,text\na,no\n", ":1: no tab in the header 'id,text'"),
        ("id text\na no\n", ":1: no tab in the header 'id text'"),
        ("\nid\ttext\na\tno\n", ":1: no tab in the header ''"),
        ("\tid\ttext\n0\ta\tno\n", ":1: column 1 has no name"),
        ("id\t text\na\tno\n", "missing ['text'], not known [' text']"),
    ],
)
def test_what_people_give_is_refused_by_its_line(tmp_path, content, words):
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(InputError) as error:
        tables.given(tmp_path / "t.tsv", "transcripts")
    assert words in str(error.value)


def test_empty_lines_at_the_end_and_a_missing_line_end_are_no_rows(tmp_path):
    for end in ("", "\n", "\r\n\r\n"):
        (tmp_path / "t.tsv").write_text("id\ttext\na\t" + end, newline="")
        assert len(tables.given(tmp_path / "t.tsv", "transcripts")) == 1


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "it is empty"),
        (b"\r\n", "it is empty"),
        (b"id\tsession\n\xff\xfe\ts\n", "line 2: byte 0xFF; save it as UTF-8"),
        ("id\tsession\n".encode("utf-16"), "it is UTF-16"),
        ("id\tsession\n".encode("utf-32"), "it is UTF-32"),
        ("id\tsession\n".encode("utf-16-le"), "line 1: a NUL byte"),
        (b"id\tsession\ra\ts\r", "line 1: a carriage return within the line"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path, content, why):
    (tmp_path / "t.tsv").write_bytes(content)
    message = said(tmp_path / "t.tsv", "fold")
    assert f"t.tsv: not a table of tab-separated UTF-8 text ({why}" in message


@pytest.mark.parametrize("nothing", ["nan", "NA", "N/A", r"\N", "(null)", "#N/A N/A", "#WERT!"])
def test_cells_that_programs_write_for_nothing_are_named(tmp_path, caplog, nothing):
    rows = f"a\tno\nb\t{nothing}\nc\tnan bread\nd\t{nothing}\n"
    (tmp_path / "t.tsv").write_text(f"id\ttext\n{rows}")
    assert list(tables.given(tmp_path / "t.tsv", "transcripts").text)[1] == nothing
    assert f"t.tsv:3: text is '{nothing}', as programs write a cell without a value" in caplog.text
    assert "(cells like this: 2)" in caplog.text


def test_whole_numbers_that_are_too_large_to_be_told_apart_are_refused(tmp_path):
    for number in ("99999999999999999999", "1e19"):
        (tmp_path / "t.tsv").write_text(f"id\tfold\tpart\na\t{number}\ttest\n")
        with pytest.raises(InputError, match=rf"fold is '{number}'"):
            tables.given(tmp_path / "t.tsv", "parts")


def test_a_table_cut_off_within_its_last_cell_is_named(tmp_path, caplog):
    path = tmp_path / "a.tsv"
    tables.write(path, utterances(text=["one", "two words"]), "utterances")
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=rf"{path}:3: .* ends within its last line, at 'two wor"):
        tables.read(path, "utterances")
    assert not caplog.messages
    tables.given(path, "utterances")
    assert f"{path}:3: no line end behind the last cell, 'two wor" in caplog.text


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
    with pytest.raises(InputError, match=r"t\.tsv: cannot be written \(no space left\)"):
        tables.write(tmp_path / "t.tsv", utterances(text="new"), "utterances")
    assert (tmp_path / "t.tsv").read_bytes() == before
