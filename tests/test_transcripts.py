"""transcripts: recognised words in the place of the corpus' own, and what is refused."""

import pandas as pd
import pytest

from labelmer.base import tables
from labelmer.corpus import transcripts

SESSIONS = {"one": ["a1", "a2"], "two": ["b1", "b2"]}


@pytest.fixture
def replace(tmp_path, caplog):
    """replace(rows): the stage on a table with these rows; its tables of utterances by session."""
    for session, ids in SESSIONS.items():
        about = {"session": session, "dialogue": f"{session}-d", "speaker": "p"}
        frame = pd.DataFrame({"id": ids, **about, "start_s": [0.5, None], "end_s": [1.25, None]})
        tables.write(tmp_path / f"{session}.tsv", frame.assign(text="their own"), "utterances")

    def replace(rows, header="id\ttext"):
        table, out = tmp_path / "words.tsv", tmp_path / "out"
        table.write_text("".join(f"{row}\n" for row in [header, *rows]))
        utterances = [str(tmp_path / f"{session}.tsv") for session in SESSIONS]
        with caplog.at_level("INFO"):
            transcripts.main([str(table), "--utterances", *utterances, "--out", str(out)])
        return {name: tables.read(out / f"{name}.tsv", "utterances") for name in SESSIONS}

    return replace


def test_the_words_are_replaced_and_all_else_stays(replace, tmp_path):
    made = replace(["b2\tmy cat", "a2\t", "b1\this  own [NOISE]", "a1\tthere oh"])
    words = {name: dict(zip(table.id, table.text, strict=True)) for name, table in made.items()}
    assert words["one"] == {"a1": "there oh", "a2": ""}
    assert words["two"] == {"b1": "his own [NOISE]", "b2": "my cat"}
    for name, table in made.items():
        own = tables.read(tmp_path / f"{name}.tsv", "utterances")
        pd.testing.assert_frame_equal(table.drop(columns="text"), own.drop(columns="text"))


def test_words_in_quotes_as_pandas_writes_them_are_the_words(replace):
    made = replace(['a1\t"she said ""no"", twice"', '" a2"\t"one\ntwo"'])
    assert made["one"].text.tolist() == ['she said "no", twice', "one two"]


def test_utterances_without_recognised_words_are_left_out_and_named(replace, caplog):
    made = replace(["a2\tthere oh"])
    assert made["one"].id.tolist() == ["a2"] and made["two"].empty
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "1 utterances with recognised words, 3 without",
        *("without: a1", "without: b1", "without: b2"),
    ]


@pytest.mark.parametrize(
    "rows, header, said",
    [
        (["a1\tx", "A2\ty", "c\tz"], "id\ttext", "words.tsv: id 'A2' (and 1 more) is no"),
        (
            ["A1\tx"],
            "id\ttext",
            "'a1' differs from it only as spellings do (U+0041 against U+0061)",
        ),
        (["a1\tx", "b1"], "id\ttext", "words.tsv:3: 1 cells, expected 2 as in the header"),
        (["a1\tx", "b1\ty", "a1\tz"], "id\ttext", "words.tsv:4: id 'a1' stands twice"),
        (["a1\tx"], "id\twords", "transcripts: missing ['text'], not known ['words']"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(replace, rows, header, said, caplog, tmp_path):
    with pytest.raises(SystemExit) as end:
        replace(rows, header)
    assert end.value.code == 1 and said in caplog.text
    assert not (tmp_path / "out").exists()
