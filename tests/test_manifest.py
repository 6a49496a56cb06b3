"""manifest: any corpus given as a table, and every way in which the table can be wrong."""

import json

import pandas as pd
import pytest

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.corpus import labels, utterances
from labelmer.corpus.readers import manifest

HEADER = ["id", "path", "speaker", "session", "label", "text"]
ROWS = [
    ["b", "wav/b.flac", "Bob", "two", "happy", "good news"],
    ["a", "wav/a.wav", "Ann", "one", "sad", 'she said "no"'],
    ["c", "wav/a.wav", "Ann", "one", "", ""],
]


@pytest.fixture
def write(tmp_path):
    """write(rows, header): the path of a manifest in a folder of its own."""
    numbers = iter(range(99))

    def write(rows=ROWS, header=HEADER):
        path = tmp_path / str(next(numbers)) / "corpus.tsv"
        path.parent.mkdir()
        path.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
        return str(path)

    return write


def timed(*times):
    """Rows with start and end."""
    return [[*row, *time] for row, time in zip(ROWS, times, strict=True)]


def test_sessions_and_speakers(write):
    root = write()
    assert manifest.sessions(root) == ["one", "two"]
    assert manifest.speakers(root, "one") == ["Ann"]


def test_utterances_of_a_session(write):
    table, unread = manifest.utterances(write(), "one")
    assert list(table.id) == ["a", "c"]
    assert list(table.text) == ['she said "no"', ""]
    assert table.start_s.isna().all() and table.end_s.isna().all()
    assert set(table) == set(tables.TABLES["utterances"]) - {"passage"} and len(unread) == 0


def test_scenario_role_and_part_are_read_where_the_manifest_has_them(write):
    more = [("d", "caller", "test"), ("d", "", "train"), ("", "agent", "")]
    rows = [[*row, *cells] for row, cells in zip(ROWS, more, strict=True)]
    path = write(rows, [*HEADER, "scenario", "role", "part"])
    table = pd.concat(manifest.utterances(path, s)[0] for s in manifest.sessions(path))
    table = table.set_index("id")[["scenario", "role", "part"]]
    wanted = {row[0]: cells for row, cells in zip(ROWS, more, strict=True)}
    assert dict(zip(table.index, table.itertuples(index=False, name=None), strict=True)) == wanted
    rows[0][-1] = "dev"
    with pytest.raises(InputError, match=r":2: id 'b': part is 'dev', expected one of \['train'"):
        manifest.rows(write(rows, [*HEADER, "scenario", "role", "part"]))


def test_without_a_column_session_the_corpus_is_one(write):
    place = HEADER.index("session")
    rows = [[cell for n, cell in enumerate(row) if n != place] for row in ROWS]
    path = write(rows, [name for name in HEADER if name != "session"])
    assert manifest.sessions(path) == ["all"]
    assert manifest.utterances(path, "all")[0].id.tolist() == ["a", "b", "c"]


def test_a_row_without_a_label_has_none(write):
    table = manifest.labels(write(), "one")
    assert list(zip(table.id, table.code, strict=True)) == [("a", "sad")]
    assert list(table) == list(tables.TABLES["labels"])


def test_each_file_is_a_dialogue_unless_the_manifest_says_otherwise(write):
    table, _ = manifest.utterances(write(), "one")
    assert list(table.dialogue) == ["wav/a.wav", "wav/a.wav"]
    rows = [[*row, name] for row, name in zip(ROWS, ("d1", "d2", ""), strict=True)]
    table, _ = manifest.utterances(write(rows, [*HEADER, "dialogue"]), "one")
    assert list(table.dialogue) == ["d2", "wav/a.wav"]


def test_paths_are_relative_to_the_manifest_and_times_cut(write, tmp_path):
    root = write(timed(("", ""), ("0.5", "1"), ("1", "2.25")), [*HEADER, "start", "end"])
    table, _ = manifest.utterances(root, "one")
    audio = tmp_path / "0" / "wav" / "a.wav"
    assert manifest.clips(root, table) == [("a", audio, 0.5, 1.0), ("c", audio, 1.0, 2.25)]
    table, _ = manifest.utterances(root, "two")
    assert manifest.clips(root, table) == [("b", audio.with_name("b.flac"), None, None)]
    with pytest.raises(InputError, match=r"id 'a': there is no folder .*wav; correct its path"):
        manifest.audio_files(root, "one")
    audio.parent.mkdir()
    assert manifest.audio_files(root, "one") == [audio.parent]


def test_columns_named_as_in_our_own_tables_are_no_times(write):
    row, more = ["a", "x.wav", "Ann", "one", "sad", "so", "0", "1"], ["start_s", "end_s"]
    with pytest.raises(InputError, match=r":1: the column 'start_s' is not read, expected 'start'"):
        manifest.rows(write([row], [*HEADER, *more]))
    both = write([[*row, "2", "3"]], [*HEADER, *more, "start", "end"])
    table, _ = manifest.utterances(both, "one")
    assert table[more].to_numpy().tolist() == [[2, 3]]


def test_times_of_files_are_none_of_a_dialogue_that_has_several(write):
    rows = [
        [name, f"wav/{file}.wav", "Ann", "one", "sad", "so", start, end, "talk"]
        for name, file, start, end in [("a", "x", "0", "2"), ("b", "x", "2", "3")]
    ]
    header = [*HEADER, "start", "end", "dialogue"]
    assert manifest.utterances(write(rows, header), "one")[0].start_s.tolist() == [0, 2]
    rows.append(["c", "wav/y.wav", "Bob", "one", "sad", "so", "1", "2", "talk"])
    path = write(rows, header)
    table, _ = manifest.utterances(path, "one")
    assert table.start_s.isna().all() and table.end_s.isna().all()
    assert [clip[2:] for clip in manifest.clips(path, table)] == [(0, 2), (2, 3), (1, 2)]


def test_columns_may_stand_in_any_order_and_further_ones_are_ignored(write):
    shuffled = [[*row[::-1], "x"] for row in ROWS]
    table, _ = manifest.utterances(write(shuffled, [*HEADER[::-1], "age"]), "one")
    expected, _ = manifest.utterances(write(), "one")
    assert table.equals(expected)


def test_blanks_around_a_name_do_not_make_another_speaker(write):
    rows = [ROWS[0], [" a", *ROWS[1][1:]], ["c", "wav/a.wav", "Ann ", "one", " sad", ""]]
    table, _ = manifest.utterances(write(rows), "one")
    assert list(table.id) == ["a", "c"] and set(table.speaker) == {"Ann"}
    assert manifest.speakers(write(rows), "one") == ["Ann"]
    assert set(manifest.labels(write(rows), "one").code) == {"sad"}


def replaced(row, column, value):
    rows = [list(cells) for cells in ROWS]
    rows[row][HEADER.index(column)] = value
    return rows


TIMES = [*HEADER, "start", "end"]


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (ROWS, ["id", "path", "who", *HEADER[3:]], "columns ['speaker'] are missing"),
        ([], HEADER, "no rows"),
        (replaced(2, "id", "a"), HEADER, "id 'a' stands twice"),
        (replaced(1, "speaker", " "), HEADER, ":3: id 'a': speaker is empty"),
        (replaced(1, "speaker", "\u200b"), HEADER, ":3: id 'a': speaker is empty"),
        (replaced(2, "path", ""), HEADER, ":4: id 'c': path is empty"),
        (replaced(0, "session", ""), HEADER, ":2: id 'b': session is empty"),
        (replaced(0, "id", ""), HEADER, ":2: id '': id is empty"),
        (timed(("", ""), ("x", "1"), ("", "")), TIMES, "id 'a': start is 'x', expected seconds"),
        (timed(("", ""), ("0", "inf"), ("", "")), TIMES, "id 'a': end is 'inf', expected seconds"),
        (timed(("", ""), ("2", "1"), ("", "")), TIMES, "id 'a': start '2.0', end '1.0', expected"),
        (timed(("", ""), ("1", "1"), ("", "")), TIMES, "id 'a': start '1.0', end '1.0', expected"),
        (timed(("", ""), ("-1", "1"), ("", "")), TIMES, "id 'a': start '-1.0'"),
        (timed(("", ""), ("1", ""), ("", "")), TIMES, "id 'a': start '1.0', end 'nan'"),
        ([[*ROWS[0], "surplus"], *ROWS[1:]], HEADER, ":2: 7 cells, expected 6 as in"),
        ([ROWS[0][:5], *ROWS[1:]], HEADER, ":2: 5 cells, expected 6 as in the header"),
        ([*ROWS[:2], ROWS[2][:3]], HEADER, ":4: 3 cells, expected 6 as in the header"),
    ],
)
def test_a_bad_manifest_is_refused_and_the_row_named(write, rows, header, words):
    root = write(rows, header)
    with pytest.raises(InputError) as error:
        manifest.rows(root)
    assert str(error.value).startswith(root)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "one, other, said",
    [
        ("Jos\u00e9", "Jose\u0301", "U+0065 U+0301 against U+00E9"),
        ("Ann", "ann", "U+0041 against U+0061"),
        ("Ann", "Ann\u200b", "nothing against U+200B"),
        ("Ann", "\ufeffAnn", "nothing against U+FEFF"),
        ("A1", "\uff21\uff11", "U+0041 U+0031 against U+FF21 U+FF11"),
    ],
)
@pytest.mark.parametrize("column", ["speaker", "dialogue"])
def test_two_spellings_of_one_name_are_refused_with_both_lines(write, column, one, other, said):
    rows = [[*row, name] for row, name in zip(ROWS, ("d1", "d2", "d2"), strict=True)]
    header = [*HEADER, "dialogue"]
    for row, name in zip(rows, (one, other, other), strict=True):
        row[header.index(column)] = name
    with pytest.raises(InputError) as error:
        manifest.rows(write(rows, header))
    first, last = sorted([(one, 2), (other, 3)])
    expected = f"{column} '{first[0]}' (line {first[1]}) and {column} '{last[0]}' (line {last[1]})"
    assert expected in str(error.value) and said in str(error.value)


@pytest.mark.parametrize("column", ["speaker", "session"])
def test_zeros_before_a_number_make_no_other_speaker_and_no_other_session(write, column):
    rows = [list(row) for row in ROWS]
    for row, name in zip(rows, ("spk1", "spk01", "spk2"), strict=True):
        row[HEADER.index(column)] = name
    with pytest.raises(InputError, match=f"{column} 'spk01' .line 3. and {column} 'spk1'"):
        manifest.rows(write(rows))


def test_sessions_that_would_be_one_file_where_case_does_not_count_are_refused(write):
    with pytest.raises(InputError, match=r"session 'One' \(line 2\) and session 'one' \(line 3\)"):
        manifest.rows(write(replaced(0, "session", "One")))


def test_ids_may_differ_in_case_with_a_warning_but_not_in_what_is_not_seen(write, caplog):
    assert len(manifest.rows(write(replaced(0, "id", "A")))) == 3
    assert "id 'A' (line 2) and id 'a' (line 3) differ only" in caplog.text
    rows = [*replaced(0, "id", "A"), ["c\u200b", *ROWS[2][1:]]]
    with pytest.raises(InputError, match=r"nothing against U\+200B"):
        manifest.rows(write(rows))


@pytest.mark.parametrize("name", ["Start", "END", " dialogue", "start\u200b"])
def test_a_column_that_is_almost_one_of_ours_is_not_passed_over(write, name):
    with pytest.raises(InputError, match=rf":1: the column '{name}' is not read, expected"):
        manifest.rows(write([[*row, ""] for row in ROWS], [*HEADER, name]))
    almost = [f"{HEADER[0]}\u200b", *HEADER[1:]]
    with pytest.raises(InputError, match=r":1: the column 'id\u200b' is not read, expected 'id'"):
        manifest.rows(write(ROWS, almost))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("start_time", "start"),
        ("Begin", "start"),
        ("end (ms)", "end"),
        ("Offset", "end"),
        ("dialog", "dialogue"),
        ("Dialogue_ID", "dialogue"),
        ("sessions", "session"),
    ],
)
def test_what_others_call_a_column_of_ours_is_not_passed_over(write, name, meant):
    header = [column for column in HEADER if column != meant]
    rows = [[cell for c, cell in zip(HEADER, row, strict=True) if c != meant] for row in ROWS]
    with pytest.raises(InputError, match=rf"is not read, expected '{meant}'; rename it"):
        manifest.rows(write([[*row, ""] for row in rows], [*header, name]))
    own = "one" if meant == "session" else ""
    both = write([[*row, "", own] for row in rows], [*header, name, meant])
    assert len(manifest.rows(both)) == 3


def test_one_recording_is_one_dialogue_whatever_its_path_says(tmp_path):
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav" / "a.wav").touch()
    (tmp_path / "link.wav").symlink_to("wav/a.wav")
    (tmp_path / "hard.wav").hardlink_to(tmp_path / "wav" / "a.wav")
    (tmp_path / "other.wav").touch()
    paths = ["wav/a.wav", "./wav/a.wav", "wav/../wav/a.wav", str(tmp_path / "wav" / "a.wav")]
    paths += ["wav//a.wav", "link.wav", "hard.wav", "other.wav", "gone.wav", "./gone.wav"]
    rows = [[f"{i}", path, "Ann", "one", "sad", "", "0", "1"] for i, path in enumerate(paths)]
    text = "".join("\t".join(row) + "\n" for row in [[*HEADER, "start", "end"], *rows])
    (tmp_path / "m.tsv").write_text(text)
    dialogues = manifest.rows(str(tmp_path / "m.tsv")).dialogue.tolist()
    assert len(set(dialogues[:7])) == 1
    assert dialogues[7:] == ["other.wav", "gone.wav", "gone.wav"]


def test_what_shares_a_recording_is_named(write, caplog):
    manifest.utterances(write(), "one")
    assert "ids ['a', 'c'] are the same audio of 'wav/a.wav'" in caplog.text
    rows = [[*row[:3], session, *row[4:]] for row, session in zip(ROWS, "xyz", strict=True)]
    rows[2][2] = "Cid"
    manifest.sessions(write(rows))
    assert "'wav/a.wav' stands in the sessions ['y', 'z']" in caplog.text
    manifest.sessions(write([[*row, "talk"] for row in rows], [*HEADER, "dialogue"]))
    assert "the dialogue 'talk' stands in the sessions ['x', 'y', 'z']" in caplog.text
    assert (
        "taken for several, ['x talk', 'y talk', 'z talk'] (as are 1 names in all)" in caplog.text
    )


def dialogues_of(write, cells):
    """What becomes of (session, dialogue): the dialogues, in the same order."""
    rows = [
        [f"{place}", f"wav/{place}.wav", "Ann", session, "sad", "", dialogue]
        for place, (session, dialogue) in enumerate(cells)
    ]
    return manifest.rows(write(rows, [*HEADER, "dialogue"])).dialogue.tolist()


def test_dialogues_numbered_anew_in_each_session_are_as_many_in_all(write):
    cells = [("S1", "d1"), ("S1", "d2"), ("S2", "d1"), ("S2", "d1"), ("S2", "d3"), ("S2", "")]
    expected = ["S1 d1", "d2", "S2 d1", "S2 d1", "d3", "wav/5.wav"]
    assert dialogues_of(write, cells) == expected
    with pytest.raises(InputError, match=r":2: id '0': dialogue 'd1' .* would be 'S1 d1', as an"):
        dialogues_of(write, [*cells, ("S1", "S1 d1")])


def test_a_recording_in_two_sessions_stays_one_dialogue(write):
    rows = [[*row[:3], session, *row[4:]] for row, session in zip(ROWS, "xyz", strict=True)]
    assert manifest.rows(write(rows)).dialogue.tolist().count("wav/a.wav") == 2


def test_a_manifest_as_pandas_writes_it_gives_the_words(write, tmp_path):
    path = tmp_path / "m.tsv"
    pd.DataFrame(ROWS, columns=HEADER).to_csv(path, sep="\t", index=False)
    assert '"she said ""no"""' in path.read_text()
    assert manifest.rows(str(path)).equals(manifest.rows(write()))


def test_a_start_without_an_end_column_is_refused(write):
    rows = [[*row, "1"] for row in ROWS]
    with pytest.raises(InputError, match="expected both in seconds"):
        manifest.rows(write(rows, [*HEADER, "start"]))


def test_a_missing_manifest_a_folder_and_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no\.tsv: there is no such manifest"):
        manifest.rows(str(tmp_path / "no.tsv"))
    with pytest.raises(InputError, match=r"corpus: root: .* is a folder, expected the manifest"):
        manifest.rows(str(tmp_path))
    (tmp_path / "latin.tsv").write_bytes("\t".join(HEADER).encode() + b"\n\xe9\t\n")
    with pytest.raises(InputError, match=r"latin\.tsv: not a table"):
        manifest.rows(str(tmp_path / "latin.tsv"))


def test_the_stages_write_a_manifests_tables(write, tmp_path):
    config = {"corpus": {"reader": "manifest", "root": write()}}
    paths = {name: tmp_path / f"{name}.tsv" for name in ("utterances", "unread", "labels")}
    options = ["--session", "one", "--config", json.dumps(config)]
    unread = ["--unread", str(paths["unread"])]
    utterances.main([*options, "--utterances", str(paths["utterances"]), *unread])
    labels.main([*options, "--labels", str(paths["labels"])])
    made = {name: tables.read(path, name) for name, path in paths.items()}
    assert list(made["utterances"].id) == ["a", "c"]
    assert list(made["labels"].code) == ["sad"]
    assert made["labels"].raters.tolist() == [0] and made["labels"].agreement.isna().all()


@pytest.mark.parametrize("name", ["S/1", "..", "-S1", "S:1", "S 1", "S" * 201])
def test_a_session_that_cannot_be_a_file_name_is_named(write, name):
    with pytest.raises(InputError, match=f":2: id 'b': session '{name}', expected letters"):
        manifest.sessions(write(replaced(0, "session", name)))


def test_the_character_of_a_session_that_cannot_be_in_a_file_name_is_named(write):
    with pytest.raises(InputError, match=r"_ and - \('\u094d', U\+094D, is none of them\)"):
        manifest.sessions(write(replaced(0, "session", "क्षेत्र")))


def test_a_path_that_no_file_can_have_is_named(write):
    with pytest.raises(InputError, match=r"path 'x+' cannot be looked at"):
        manifest.rows(write(replaced(0, "path", "x" * 300)))


def test_a_folder_in_other_case_or_with_backslashes_is_said_to_be_so(write, tmp_path):
    root = write(replaced(0, "path", "Wav/b.flac"))
    (tmp_path / "0" / "wav").mkdir()
    with pytest.raises(InputError, match=r"no folder .*Wav, its path is spelt otherwise there"):
        manifest.audio_files(root, "two")
    root = write(replaced(0, "path", "x\\wav/b.flac"))
    with pytest.raises(InputError, match=r"no folder .*, its path has backslashes"):
        manifest.audio_files(root, "two")
