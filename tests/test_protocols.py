"""Scenarios apart, groups of speakers and a given split, through the whole workflow to the page."""

import pandas as pd
import pytest
from conftest import Workspace, tiny_config
from corpora import turns_of, write_release
from test_reruns import configure

from labelmer.base import tables
from labelmer.report import columns

pytestmark = pytest.mark.slow

# Three dialogues a session, impro01 to impro03: the scenarios.
TURNS = turns_of(sessions=3, dialogues=3)
GROUPS = [["impro01"], ["impro02"], ["impro03"]]
APART = {"hold_out": "session", "scenarios": "apart", "scenario_groups": GROUPS}
VARIANTS = {"linear-text": {"architecture": "linear", "modalities": ["text"]}}
VARIANTS["metadata-only"] = {"architecture": "metadata"}
VARIANTS["both"] = {"product_of": ["linear-text", "metadata-only"]}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace in which the workflow has run with scenarios apart; no network trains."""
    workspace = Workspace(tmp_path_factory.mktemp("apart"))
    write_release(workspace.folder / "corpus", TURNS)
    config = tiny_config()
    config["folds"] = APART
    config["variants"] = VARIANTS
    config["experiments"][0]["variants"] = list(VARIANTS)
    workspace.configure(config)
    workspace.snakemake()
    return workspace


@pytest.fixture
def copy(workspace, tmp_path):
    return workspace.copied(tmp_path / "elsewhere")


def other_study(workspace, name, **folds):
    workspace.configure({**workspace.config(), "study": name, "folds": folds})


def study(workspace, name="main"):
    return workspace.folder / "results/tiny" / name


def folds_of(workspace, name="main"):
    paths = sorted((study(workspace, name) / "splits").glob("fold*.tsv"))
    return {int(path.stem[4:]): tables.read(path, "fold") for path in paths}


def compared(workspace, name="main"):
    return columns.read(study(workspace, name) / "reports/compare.tsv", "compare")


def test_every_labelled_turn_is_tested_once_and_parts_share_nothing(workspace):
    found = folds_of(workspace)
    assert sorted(found) == list(range(1, 10))
    for fold in found.values():
        for column in ("speaker", "scenario"):
            assert fold.groupby(column)["part"].nunique().max() == 1
    tested = sorted(name for fold in found.values() for name in fold.id[fold.part == "test"])
    assert tested == sorted(turn.id for turn in TURNS if turn.code != "fru")
    audit = tables.read(study(workspace) / "splits/audit.tsv", "audit")
    assert not audit[audit.part == "test"][["known_scenario", "scenarios_in_train"]].any(axis=None)
    assert audit.held_out[0] == "Session1 in impro01"


def test_tables_and_page_say_what_metadata_was_given_and_how_scenarios_are_kept(workspace):
    table = compared(workspace).set_index("variant")
    assert table.inputs["linear-text"] == "text"
    # Training knows no scenario of the test part, nor the passage that is named after it.
    given = "role, quarter, seconds, words"
    assert table.inputs["metadata-only"] == given
    assert table.inputs["both"] == f"{given}, text"
    said = "9 folds, one session held out with one of 3 groups of scenarios; training, validation "
    assert set(table.protocol) == {
        said + "and test share no scenario; the next session validates; scripts that several "
        "speakers share are kept"
    }
    page = (study(workspace) / "reports/index.html").read_text()
    assert "metadata-only neither" in page and f"it is given {given}, and" in page
    robust = columns.read(study(workspace) / "reports/robustness.tsv", "robustness")
    assert set(robust.condition[robust.variant == "metadata-only"]) == {"all"}


def test_nothing_is_left_to_do(copy):
    assert copy.jobs() == set()


def test_a_changed_group_runs_its_folds_alone(copy):
    before = folds_of(copy)
    configure(copy, folds={**APART, "scenario_groups": [["impro02"], ["impro01"], ["impro03"]]})
    copy.snakemake("splits")
    after = folds_of(copy)
    changed = {n for n in before if not before[n].equals(after[n])}
    runs = {path for rule, path in copy.jobs() if rule in ("linear", "metadata")}
    assert {int(path.split("/fold")[1].split(".")[0]) for path in runs} == changed


def test_shared_scenarios_are_another_study_and_every_table_counts_them(copy):
    other_study(copy, "shared", hold_out="session")
    copy.snakemake()
    table = compared(copy, "shared")
    tested = sum(turn.code != "fru" for turn in TURNS)
    assert set(table.folds) == {3}
    [said] = set(table.protocol)
    assert said.endswith(
        f"; {tested} of {tested} test utterances are of scenarios that training knows"
    )


def manifest_of(workspace, **columns_of_turn):
    """The corpus as a manifest without sessions; columns_of_turn: {column: function of a turn}."""
    rows = [
        {
            "id": turn.id,
            "path": f"corpus/{turn.session}/sentences/wav/{turn.dialogue}/{turn.id}.wav",
            "speaker": turn.id[:5] + turn.id.rsplit("_", 1)[1][0],
            "label": turn.code,
            "text": turn.text,
            **{column: of(turn) for column, of in columns_of_turn.items()},
        }
        for turn in TURNS
    ]
    pd.DataFrame(rows).to_csv(workspace.folder / "m.tsv", sep="\t", index=False)
    corpus = {"name": "tiny", "reader": "manifest", "root": "m.tsv"}
    workspace.configure({**workspace.config(), "corpus": corpus})


def test_groups_of_speakers_need_no_session(copy):
    manifest_of(copy, dialogue=lambda turn: turn.dialogue)
    other_study(copy, "speakers", hold_out="speakers", folds=3)
    _, output = copy.snakemake()
    assert "speakers, group 1 of 3: Ses01F, Ses01M\n" in output
    found = folds_of(copy, "speakers")
    assert sorted(found) == [1, 2, 3]
    tested = [name for fold in found.values() for name in fold.id[fold.part == "test"]]
    assert sorted(tested) == sorted(turn.id for turn in TURNS if turn.code != "fru")
    # The two of a session talk with each other, and stay together.
    for fold in found.values():
        assert fold.groupby(fold.speaker.str[:5].str[3:5])["part"].nunique().max() == 1
    [said] = set(compared(copy, "speakers").protocol)
    assert said.startswith("3 folds, a group of speakers held out; the next group of speakers val")
    with_page = (study(copy, "speakers") / "reports/index.html").read_text()
    assert "Ses01F, Ses01M" in with_page


def test_the_corpus_own_split_is_one_fold_without_deviations_and_says_what_it_shares(copy):
    parts = {"impro01": "train", "impro02": "validation", "impro03": "test"}
    manifest_of(copy, part=lambda turn: parts[turn.dialogue[7:]])
    other_study(copy, "official", hold_out="part")
    copy.snakemake()
    table = compared(copy, "official")
    assert set(table.folds) == {1} and table.ua_sd.isna().all()
    assert table.ua_low.notna().all() and set(table.speakers) == {6}
    [said] = set(table.protocol)
    assert said == (
        "1 fold, the parts are given; scripts that several speakers share are kept; 6 of 6 test "
        "speakers train as well; 6 of 6 test speakers validate as well; 6 of 6 validation speakers "
        "train as well"
    )
    assert "–" in (study(copy, "official") / "reports/index.html").read_text()


def test_a_table_of_parts_is_obeyed_and_its_rows_are_tracked(copy):
    number = {"Session1": 1, "Session2": 2, "Session3": 3}
    names = {0: "test", 1: "validation", 2: "train"}
    rows = [
        (turn.id, fold, names[(number[turn.session] - fold) % 3])
        for fold in (1, 2)
        for turn in TURNS
    ]
    table = pd.DataFrame(rows, columns=["id", "fold", "part"])
    table.to_csv(copy.folder / "parts.tsv", sep="\t", index=False)
    other_study(copy, "given", hold_out="part", parts="parts.tsv")
    copy.snakemake("splits")
    found = folds_of(copy, "given")
    wanted = table.set_index(["id", "fold"])["part"]
    assert sorted(found) == [1, 2]
    for fold, rows in found.items():
        assert rows.part.tolist() == [wanted[name, fold] for name in rows.id]
    assert copy.jobs("splits") == set()
    mine = (table.fold == 2) & (table.id == TURNS[0].id)
    table[~mine].to_csv(copy.folder / "parts.tsv", sep="\t", index=False)
    assert {rule for rule, _ in copy.jobs("splits")} == {"split"}
    table.loc[mine, "part"] = "test"  # as in fold 1
    table.to_csv(copy.folder / "parts.tsv", sep="\t", index=False)
    status, output = copy.snakemake("splits", "--dry-run", check=False)
    assert status == 1 and f"id '{TURNS[0].id}' is tested in fold 2, and in fold 1" in output
