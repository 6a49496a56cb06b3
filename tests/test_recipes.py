"""Recipes: public corpora as they are distributed become manifests and configs."""

import shutil

import pandas as pd
import pytest
import recipe_trees
import recipe_trees_further
import yaml
from conftest import REPOSITORY
from recipe_trees import POINTER, RULE, Tree
from whole_releases import WHOLE

from labelmer import config
from labelmer.corpus import manifest, ready, recipes
from labelmer.corpus.readers import manifest as reader

TREES = recipe_trees.TREES | recipe_trees_further.TREES


class Made:
    """What the verb makes of a tree."""

    def __init__(self, folder, recipe, root, *options):
        self.out, self.config = folder / "out" / "m.tsv", folder / "out" / "m.yaml"
        arguments = [recipe, str(root), str(self.out), "--config", str(self.config), *options]
        manifest.main(arguments)
        self.rows = pd.read_csv(self.out, sep="\t", dtype=str, keep_default_na=False)
        left = self.out.with_name("m.left_out.tsv")
        left_out = pd.read_csv(left, sep="\t", dtype=str, keep_default_na=False)
        self.left_out = dict(zip(left_out.path, left_out.reason, strict=True))
        self.paths = {
            path.removeprefix(f"{root}/"): row
            for path, row in zip(self.rows.path, self.rows.to_dict("records"), strict=True)
        }


@pytest.fixture
def make(tmp_path):
    """make(recipe, tree, options): what the verb makes of a tree."""

    def make(recipe, tree, *options):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        return Made(tmp_path, recipe, tree.write(root), *options)

    return make


@pytest.mark.parametrize("recipe", TREES)
def test_clips_become_rows_and_all_else_is_left_out_with_the_reason(make, recipe):
    tree = TREES[recipe]()
    made = make(recipe, tree)
    found = {
        path: {key: made.paths[path].get(key, "") for key in cells}
        for path, cells in tree.clips.items()
        if path in made.paths
    }
    assert found == tree.clips
    assert set(made.paths) == set(tree.clips)
    assert set(made.left_out) == set(tree.left_out)
    for path, words in tree.left_out.items():
        assert words in made.left_out[path], path


@pytest.mark.parametrize("recipe", TREES)
def test_a_part_of_a_release_is_said_to_be_one(make, recipe, caplog):
    made = make(recipe, TREES[recipe]())
    facts = recipes.load(recipe).FACTS
    said = [r.getMessage() for r in caplog.records if "NOT THE FULL RELEASE" in r.getMessage()]
    if not isinstance(facts.clips, str):
        full = sum(facts.clips.values())
        count = len(made.rows) + sum("the same bytes" in why for why in made.left_out.values())
        assert any(
            line.endswith(f"clips: {count} here, {full} in the full release") for line in said
        )
    for name, (codes, _) in facts.classes.items():
        for code in codes if not isinstance(facts.clips, str) else ():
            assert any(f"clips of {code} ({name}): " in line for line in said)


@pytest.mark.parametrize("recipe", TREES)
def test_the_manifest_is_read_and_the_config_is_valid(make, recipe):
    made = make(recipe, TREES[recipe]())
    assert len(reader.rows(made.out)) == len(made.rows)
    given = yaml.safe_load(made.config.read_text())
    config.check(given)
    assert given["corpus"]["root"] == str(made.out)
    facts = recipes.load(recipe).FACTS
    labels = {name: entry["codes"] for name, entry in given["labels"].items()}
    here = set(made.rows.label)
    assert labels == {name: codes for name, (codes, _) in facts.classes.items() if here & {*codes}}
    if not isinstance(facts.clips, str):
        assert {code for codes in labels.values() for code in codes} <= set(facts.clips)


@pytest.mark.parametrize("recipe", TREES)
def test_endings_in_capitals_are_endings_too(recipe, tmp_path):
    tree = TREES[recipe]()
    tree.write(tmp_path / "root")
    for path in tree.clips:
        file = tmp_path / "root" / path
        file.rename(file.with_suffix(file.suffix.upper()))
    made = Made(tmp_path, recipe, tmp_path / "root")
    found = {path.casefold(): row for path, row in made.paths.items()}
    for path, cells in tree.clips.items():
        row = found[path.casefold()]
        assert {key: row.get(key, "") for key in cells} == cells


@pytest.mark.parametrize("recipe", TREES)
def test_pointers_and_empty_files_are_no_audio(make, recipe, capsys, caplog):
    tree = TREES[recipe]()
    pointed, empty = min(tree.clips), max(tree.clips)
    tree.contents |= {pointed: POINTER, empty: b""}
    made = make(recipe, tree)
    assert "git lfs pull" in made.left_out[pointed] and made.left_out[empty] == "an empty file"
    assert not {pointed, empty} & set(made.paths)
    tree.contents |= dict.fromkeys([*tree.clips, *set(tree.left_out) - set(tree.unfiled)], POINTER)
    shutil.rmtree(made.out.parent)
    with pytest.raises(SystemExit):
        make(recipe, tree)
    assert "no clip in this folder" in caplog.text and "git-lfs pointer" in caplog.text


NEW = """
from labelmer.corpus.recipes import Facts, emotions

FACTS = Facts(
    title="Ours",
    language="Basque",
    licence="ours",
    where="here",
    looks="x/ann_A.wav",
    classes=emotions(angry="A", sad="S"),
    clips={"A": 2, "S": 1},
    speakers=2,
    folds={"hold_out": "speakers", "folds": 5},
)


def read(release):
    for path in release.files:
        if path.endswith(".wav"):
            speaker, label = path[2:-4].split("_")
            release.take(path, speaker=speaker, label=label)
"""


def test_a_recipe_is_a_file(make, tmp_path, monkeypatch, caplog):
    (tmp_path / "our_own.py").write_text(NEW)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    made = make("our-own", Tree({"x/ann_A.wav": {}, "x/bea_S.wav": {}}, {"x/bea_A.mp3": ""}))
    assert made.rows.label.tolist() == ["A", "S"] and RULE in made.left_out["x/bea_A.mp3"]
    assert "clips of A (angry): 1 here, 2 in the full release" in caplog.text
    written = yaml.safe_load(made.config.read_text())
    assert set(written["encoders"]) == {"xls-r-300m", "xlm-roberta-base"}
    assert written["folds"] == {"hold_out": "speakers", "folds": 2, "validation": "dialogues"}


def test_corpora_of_english_have_the_encoders_of_the_config_for_iemocap():
    given = yaml.safe_load((REPOSITORY / "config.yaml").read_text())["encoders"]
    for name, entry in given.items():
        assert ready.SOURCES[name] == (entry["source"], entry["layer"])


def test_every_recipe_has_a_tree():
    assert sorted(TREES) == recipes.names()


def test_the_same_bytes_are_named_and_left_out_where_the_labels_differ(make, caplog):
    tree = TREES["ravdess"]()
    paths = [f"Actor_05/03-01-0{emotion}-01-01-01-05.wav" for emotion in (4, 5)]
    tree.contents |= dict.fromkeys(paths, b"one sound")
    made = make("ravdess", tree)
    assert {made.left_out[path] for path in paths} == {
        f"the same bytes as {path}, and another label" for path in paths
    }
    said = [r.getMessage() for r in caplog.records if "the same bytes" in r.getMessage()]
    one, two = sorted(said, key=lambda line: "left out" in line)
    assert "kept" in one and "03-01-03-01-02-02-01.wav (03)" in one
    assert "left out" in two and all(path in two for path in paths)


def test_the_same_bytes_of_two_speakers_are_said_to_be_theirs(make, caplog):
    tree = TREES["ravdess"]()
    paths = [f"Actor_0{actor}/03-01-04-01-01-01-0{actor}.wav" for actor in (5, 6)]
    tree.contents |= dict.fromkeys(paths, b"one sound")
    assert set(paths) <= set(make("ravdess", tree).paths)
    said = f"of several speakers, so that they may stand in training and test, kept: {paths[0]}"
    assert said in caplog.text


def test_nothing_is_written_over(make, tmp_path, caplog):
    tree = TREES["ravdess"]()
    made = make("ravdess", tree)
    before = made.out.read_bytes()
    make("ravdess", tree)  # the same again
    tree.clips["Actor_09/03-01-06-02-01-02-09.wav"] = {}
    made.config.unlink()
    with pytest.raises(SystemExit):
        make("ravdess", tree)
    assert "is not what would be written now" in caplog.text
    assert made.out.read_bytes() == before and not made.config.exists()


@pytest.mark.parametrize("config", ["m.tsv", "./m.left_out.tsv"])
def test_the_config_takes_no_place_of_a_table(tmp_path, monkeypatch, caplog, config):
    TREES["ravdess"]().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        manifest.main(["ravdess", ".", "m.tsv", "--config", config])
    assert "a table is written there" in caplog.text
    assert not list(tmp_path.glob("m.*"))


def test_what_the_verb_wrote_into_the_corpus_folder_is_none_of_the_corpus(tmp_path, monkeypatch):
    TREES["ravdess"]().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        manifest.main(["ravdess", ".", "m.tsv", "--config", "m.yaml"])
    assert "m.tsv" not in (tmp_path / "m.left_out.tsv").read_text()
    (tmp_path / "deeper").symlink_to(".")
    monkeypatch.chdir("deeper")
    manifest.main(["ravdess", ".", "n.tsv"])
    assert "deeper\ta link to a folder that it lies in" in (tmp_path / "n.left_out.tsv").read_text()


def test_a_corpus_that_is_not_there_or_of_one_sound_is_refused(make, tmp_path, caplog):
    with pytest.raises(SystemExit):
        manifest.main(["ravdess", str(tmp_path / "no"), str(tmp_path / "m.tsv")])
    assert "no: there is no such folder" in caplog.text
    paths = [f"03-01-0{emotion}-01-01-01-05.wav" for emotion in (4, 5)]
    with pytest.raises(SystemExit):
        make("ravdess", Tree({}, contents=dict.fromkeys(paths, b"one sound")))
    assert "no clip in this folder" in caplog.text and "and another label" in caplog.text


def test_a_class_without_a_clip_is_a_comment_in_the_config(make):
    names = [f"03-01-{emotion}-01-01-01-{actor}.wav" for emotion in ("04", "05") for actor in "12"]
    paths = {name.replace("-1.", "-01.").replace("-2.", "-02."): name.encode() for name in names}
    made = make("ravdess", Tree({}, contents=paths))
    text = made.config.read_text()
    assert list(yaml.safe_load(text)["labels"]) == ["sad", "angry"]
    assert '  # calm: {codes: ["02"], words: calm and relaxed}  # no clip here\n' in text


def test_a_converted_copy_with_a_table_of_its_own_is_told_what_reads_it(tmp_path, caplog):
    (tmp_path / "EB0_anger_1.flac").write_bytes(b"sound")
    (tmp_path / "manifest.tsv").write_text("id\tpath\n")
    with pytest.raises(SystemExit):
        manifest.main(["nemo", str(tmp_path), str(tmp_path / "out.tsv")])
    assert "samples/EB0_anger_1.wav, beside data.tsv (words)" in caplog.text
    assert "its audio ends in .flac, the release's in .wav" in caplog.text
    assert f"reader: manifest, root: {tmp_path}/manifest.tsv" in caplog.text


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["table", "root", "out.tsv"], "table needs --path-pattern"),
        (["nemo", "root", "out.tsv", "--path-pattern", "*"], "goes with table alone"),
        (["nemo", "root"], "RECIPE, ROOT and OUT.tsv are needed"),
    ],
)
def test_what_the_command_line_lacks_is_named(capsys, arguments, said):
    with pytest.raises(SystemExit):
        manifest.main(arguments)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("recipe, column", [("meld", "Speaker"), ("nemo", "raw_text")])
def test_a_table_without_a_column_that_is_needed_is_refused(make, caplog, recipe, column):
    tree = TREES[recipe]()
    tree.tables = {path: text.replace(column, "x") for path, text in tree.tables.items()}
    with pytest.raises(SystemExit):
        make(recipe, tree)
    assert f"no column {column}; expected the columns" in caplog.text


def test_paths_are_relative_where_the_corpus_lies_beside_the_manifest(tmp_path, monkeypatch):
    TREES["ravdess"]().write(tmp_path / "corpora" / "R")
    monkeypatch.chdir(tmp_path / "corpora")
    manifest.main(["ravdess", "R", "m.tsv"])
    assert reader.rows(tmp_path / "corpora" / "m.tsv").path[0].startswith("R/Actor_01/")
    reader.audio_files("m.tsv", "all")


def test_a_path_that_no_table_can_hold_is_left_out(make):
    tree = TREES["ravdess"]()
    tree.left_out |= {"Actor\t01/03-01-05-01-01-01-01.wav": "", "Actor\udce901/a.wav": ""}
    left_out = make("ravdess", tree).left_out
    assert "control character" in left_out["Actor\\t01/03-01-05-01-01-01-01.wav"]
    assert "fits no rule" in left_out["Actor\\udce901/a.wav"]


OWN = {
    "anna/angry_1.wav": {"speaker": "anna", "label": "angry", "id": "anna/angry_1.wav"},
    "anna/very sad_1_2.wav": {"speaker": "anna", "label": "very sad"},
    "ben/angry_1.flac": {"speaker": "ben", "label": "angry"},
}


def test_a_corpus_of_ones_own_by_a_pattern_of_its_paths(make):
    left_out = {"ben/angry.flac": "{speaker}/{label}_*", "ben/deep/angry_1.flac": "fits no rule"}
    left_out["ben/ _1.flac"] = "its label is blank"
    made = make("table", Tree(OWN, left_out), "--path-pattern", "{speaker}/{label}_*")
    assert {p: {k: made.paths[p][k] for k in cells} for p, cells in OWN.items()} == OWN
    assert set(made.left_out) == set(left_out)
    assert all(left_out[path] in why for path, why in made.left_out.items())
    given = yaml.safe_load(made.config.read_text())
    config.check(given)
    assert given["labels"]["very-sad"]["codes"] == ["very sad"]
    assert given["folds"] == {"hold_out": "speakers", "folds": 2, "validation": "dialogues"}
    assert len(reader.rows(made.out)) == 3


def test_spellings_of_one_label_are_one_class(make):
    paths = {f"{who}/{label}.wav": {} for who in ("a", "b") for label in ("Happy", "happy", "sad")}
    made = make("table", Tree(paths), "--path-pattern", "{speaker}/{label}.wav")
    given = yaml.safe_load(made.config.read_text())
    config.check(given)
    assert {name: entry["codes"] for name, entry in given["labels"].items()} == {
        "Happy": ["Happy", "happy"],
        "sad": ["sad"],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{speaker}/*.wav", "no field 'label'"),
        ("{speaker}/{labels}.wav", "the field 'labels'"),
        ("{speaker}/{label}_{start}.wav", "the field 'start'"),
        ("{speaker}/{speaker}_{label}.wav", "the field 'speaker' twice"),
        ("{speaker/{label}.wav", "a brace"),
    ],
)
def test_a_pattern_that_says_too_little_is_refused(make, caplog, given, said):
    with pytest.raises(SystemExit):
        make("table", Tree(OWN), "--path-pattern", given)
    assert said in caplog.text


def test_the_list_names_every_recipe_first(capsys):
    manifest.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["recipe", *recipes.names()]


@pytest.mark.parametrize("recipe", WHOLE)
def test_a_full_release_is_taken_whole_and_said_to_be_nothing_less(make, caplog, recipe):
    paths = set(WHOLE[recipe]())
    made = make(recipe, Tree(dict.fromkeys(paths)))
    assert set(made.paths) == paths and not made.left_out
    assert "NOT THE FULL RELEASE" not in caplog.text


@pytest.mark.parametrize("recipe", ["msp-improv", "msp-podcast"])
def test_labels_that_no_name_has_need_their_table(make, recipe, caplog):
    tree = TREES[recipe]()
    tree.tables = {}
    with pytest.raises(SystemExit):
        make(recipe, tree)
    assert "put" in caplog.text and "which has" in caplog.text


def test_msp_podcast_needs_its_columns(make, caplog):
    tree = TREES["msp-podcast"]()
    table = "Labels/labels_concensus.csv"
    tree.tables[table] = tree.tables[table].replace("Split_Set", "Split")
    with pytest.raises(SystemExit):
        make("msp-podcast", tree)
    assert "no column Split_Set; expected the columns FileName, EmoClass" in caplog.text


@pytest.mark.parametrize(("turns", "whole"), [(149_307, True), (151_654, True), (140_000, False)])
def test_msp_podcast_has_as_many_turns_as_one_of_its_releases(turns, whole):
    rows = pd.DataFrame({"label": ["N"] * turns})
    assert (recipes.load("msp-podcast").differences(rows) == []) == whole


def test_shemo_knows_how_many_clips_have_no_words():
    rows = pd.DataFrame({"text": [""] * 162 + ["so"]})
    assert recipes.load("shemo").differences(rows) == []
    assert "161 here, 162 in" in recipes.load("shemo").differences(rows[1:])[0]


def test_oreau_takes_its_first_folder_where_the_second_is_not_there(make):
    paths = ["OréauFR_01/m/sessc/33a08Ca.wav", "OréauFR_01/m/sessc/33a09Ca.wav"]
    assert set(make("oreau", Tree(dict.fromkeys(paths))).paths) == set(paths)


def test_transcripts_that_are_empty_or_not_utf_8_are_read_all_the_same(make, caplog):
    tree = TREES["shemo"]()
    tree.tables |= {"final text/F03S02.ort": b"", "final text/M01A01.ort": b"caf\xe9"}
    paths = make("shemo", tree).paths
    assert paths["female/F03S02.wav"]["text"] == "" and paths["male/M01A01.wav"]["text"] == "café"
    assert "M01A01.ort: not UTF-8, read as Windows-1252" in caplog.text


@pytest.mark.parametrize("said", [True, False])
def test_a_config_has_models_of_words_where_there_are_words(make, said):
    tree = TREES["msp-improv"]()
    if not said:
        tree.tables = {"Evaluation.txt": tree.tables["Evalution.txt"]}
    written = make("msp-improv", tree).config.read_text()
    assert ("text-only" in yaml.safe_load(written)["variants"]) == said
    assert ("there are no words" in written) != said


def test_clips_without_words_are_counted_and_the_first_is_named(make, tmp_path, capsys):
    made = make("nemo", TREES["nemo"]())
    path = next(path for path, row in made.paths.items() if not row["text"])
    told = capsys.readouterr().out
    assert f"without words: 2 of the clips, the first is {tmp_path}/root/{path}\n" in told


@pytest.mark.parametrize("recipe, table", [("nemo", "data.tsv"), ("meld", "train_sent_emo.csv")])
def test_of_rows_with_one_key_the_last_is_taken_and_the_others_are_named(make, recipe, table):
    tree = TREES[recipe]()
    path = next(path for path in tree.tables if path.endswith(table))
    head, first, *rest = tree.tables[path].splitlines()
    tree.tables[path] = "\n".join((head, first, first, *rest)) + "\n"
    made = make(recipe, tree)
    assert set(made.paths) == set(tree.clips)
    twice = {p: why for p, why in made.left_out.items() if "another row of" in why}
    assert list(twice) == [f"{path}: row 1"] and "comes after it" in twice[f"{path}: row 1"]
