"""Groups of speakers and of scenarios, and splits that are given: who stands where."""

import itertools

import numpy as np
import pandas as pd
import pytest
from test_split import audited, corpus, made, parts

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.log import NOTICE
from labelmer.corpus import folds, split
from labelmer.corpus.groups import even_groups
from labelmer.corpus.official import official_parts
from labelmer.corpus.options import FoldOptions

APART = {"scenarios": "apart", "scenario_groups": 3}


def lonely(speakers=12, seed=1):
    """A corpus without sessions: each speaker has dialogues of their own, of uneven sizes."""
    draw = np.random.default_rng(seed)
    rows = [
        {
            "id": f"p{speaker:02d}u{turn:03d}",
            "session": "all",
            "dialogue": f"p{speaker:02d}d{turn // 4}",
            "scenario": f"c{turn % 5}",
            "speaker": f"p{speaker:02d}",
            "text": "",
            "label": ["angry", "sad", "sad"][(turn + speaker) % 3],
        }
        for speaker in range(speakers)
        for turn in range(draw.integers(12, 60))
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("validation", ["speakers", "dialogues"])
@pytest.mark.parametrize("number", [3, 5, 12])
def test_each_speaker_of_a_group_is_tested_once_and_stands_nowhere_else(validation, number):
    table = lonely()
    settings = {"hold_out": "speakers", "validation": validation, "folds": number}
    found = made(table, **settings)
    assert len(found) == number
    tested = []
    for held_out, fold, left_out in found:
        part = parts(fold)
        assert set(held_out.split(", ")) == set(part["test"].speaker)
        others = set(part["train"].speaker) | set(part["validation"].speaker)
        assert not set(part["test"].speaker) & others
        shared = set(part["train"].speaker) & set(part["validation"].speaker)
        assert bool(shared) == (validation == "dialogues")
        assert len(left_out) == 0
        tested += list(part["test"].id)
    assert sorted(tested) == sorted(table.id)


def test_groups_of_speakers_are_even_in_size_and_classes_and_depend_on_the_seed_alone():
    table = lonely(speakers=30)
    found = made(table, hold_out="speakers", validation="speakers", folds=5)
    sizes = [parts(fold)["test"].label.value_counts() for _, fold, _ in found]
    for label in ("angry", "sad"):
        counts = np.array([size[label] for size in sizes])
        assert np.ptp(counts) / counts.mean() < 0.05
    again = made(table, hold_out="speakers", validation="speakers", folds=5)
    assert [fold.part.tolist() for _, fold, _ in again] == [f.part.tolist() for _, f, _ in found]
    other = made(table, hold_out="speakers", validation="speakers", folds=5, seed=2)
    assert {name for name, _, _ in other} != {name for name, _, _ in found}


def test_who_talk_with_each_other_stay_in_one_group():
    table = corpus()  # two speakers in each of five sessions
    for _, fold, left_out in made(table, hold_out="speakers", validation="speakers", folds=4):
        for rows in parts(fold).values():
            assert rows.speaker.nunique() == 2 * rows.session.nunique()
        assert len(left_out) == 0


def test_where_all_talk_with_all_shared_dialogues_of_the_others_are_left_out(caplog):
    table = lonely(6)
    pairs = list(itertools.combinations(sorted(table.speaker.unique()), 2))
    table["dialogue"] = [  # each speaker's turns are spread over dialogues with each other speaker
        "-".join(pair)
        for turn, speaker in enumerate(table.speaker)
        for pair in [[p for p in pairs if speaker in p][turn % 5]]
    ]
    found = made(table, hold_out="speakers", validation="speakers", folds=3)
    assert "1 circles of speakers who talk with each other cannot make 3 groups" in caplog.text
    for _, fold, left_out in found:
        part = parts(fold)
        for a, b in itertools.combinations(part, 2):
            assert not set(part[a].dialogue) & set(part[b].dialogue)
        assert set(left_out.reason) == {
            "shares its dialogues with a test speaker",
            "shares its dialogues with a validating speaker",
        }
        assert sorted([*fold.id, *left_out.id]) == sorted(table.id)
    assert sum(len(parts(fold)["test"]) for _, fold, _ in found) == len(table)


def test_partners_who_are_split_do_not_validate_each_other(caplog):
    table = corpus(sessions=4)  # four pairs
    for number, seed in itertools.product((5, 6, 8), (1, 2)):
        found = made(table, hold_out="speakers", folds=number, seed=seed, validation="speakers")
        groups = [set(held_out.split(", ")) for held_out, _, _ in found]
        assert len(groups) == number
        for place, (_, fold, left_out) in enumerate(found):
            part = parts(fold)
            home = {name[:2] for name in groups[place]}
            order = [*groups[place + 1 :], *groups[:place]]
            first = next(group for group in order if not {name[:2] for name in group} & home)
            assert set(part["validation"].speaker) == first
            assert not set(part["train"].dialogue) & set(fold[fold.part != "train"].dialogue)
            assert sorted([*fold.id, *left_out.id]) == sorted(table.id)


def test_too_few_pairs_are_told_of_their_number_and_of_no_seed():
    table = corpus(sessions=2)
    with pytest.raises(InputError) as error:
        made(table, hold_out="speakers", validation="speakers", folds=3)
    said = str(error.value)
    assert (
        "speakers who share dialogues, directly or through others, make 2 circles; choose" in said
    )
    assert "seed" not in said and said.endswith("other labels:, or folds: validation: dialogues")
    assert len(made(table, hold_out="speakers", validation="dialogues", folds=2)) == 2


def test_more_groups_than_speakers_are_answered_with_how_many_circles_there_are():
    options = FoldOptions("speakers", folds=9)
    four = [f"s{session}p{speaker}" for session in range(4) for speaker in range(2)]
    with pytest.raises(InputError, match="stay together, ask for 4 or fewer, 3 at least"):
        options.check(["all"], four, circles=4)
    with pytest.raises(InputError, match=r"ask for 8 or fewer, 3 at least$"):
        options.check(["all"], four, circles=8)
    with pytest.raises(InputError, match=r"3 at least, or choose validation: dialogues$"):
        options.check(["all"], four, circles=2)


@pytest.mark.parametrize("validation", ["session", "dialogues"])
@pytest.mark.parametrize("hold_out", ["session", "speaker"])
def test_a_class_of_one_session_is_said_to_be_so_and_no_validation_is_advised(hold_out, validation):
    table = corpus(dialogues=20)
    table["label"] = np.where((table.session == "s0") & (table.index % 3 == 0), "angry", "sad")
    with pytest.raises(InputError) as error:
        made(table, hold_out=hold_out, validation=validation)
    said = str(error.value)
    assert "all utterances of 'angry' stand in the session s0: nothing of it is left" in said
    assert "(train has 0 angry" in said and "validation:" not in said
    assert said.endswith("choose other labels:, or folds: hold_out: part, with parts of your own")


def test_a_class_of_one_session_with_many_who_speak_alone_can_be_had_by_groups_of_them():
    table = lonely().assign(session="s0")
    more = table.assign(label="sad")
    for column, session in itertools.product(("id", "speaker", "dialogue"), "xy"):
        more[column] = session + more[column]
    more["session"] = np.where(more.index % 2, "s1", "s2")
    more["speaker"] += more.session
    both = pd.concat([table, more], ignore_index=True)
    with pytest.raises(InputError, match="folds: hold_out: speakers or part, with"):
        made(both)
    assert len(made(both, hold_out="speakers", validation="speakers", folds=3)) == 3


def test_scenarios_that_are_apart_as_it_is_are_a_warning(caplog):
    table = corpus(turns=30)
    made(table, **APART)
    assert "share a scenario either" not in caplog.text
    groups = [sorted(set(table.dialogue[table.scenario == f"d{n}"])) for n in range(6)]
    made(table.assign(scenario=table.dialogue), scenarios="apart", scenario_groups=groups)
    assert "with scenarios: shared no two parts would share a scenario either" in caplog.text


def test_drawn_groups_are_told_on_the_terminal_and_long_ones_shortly(caplog):
    caplog.set_level(NOTICE)
    made(lonely(33), hold_out="speakers", validation="speakers", folds=3, **APART)
    told = [record.getMessage() for record in caplog.records if record.levelno >= NOTICE]
    assert [line.partition(":")[0] for line in told] == [
        *(f"speakers, group {n} of 3" for n in (1, 2, 3)),
        *(f"scenarios, group {n} of 3" for n in (1, 2, 3)),
    ]
    assert told[0].endswith("p27, p28 and 2 more") and told[0].count(", p") == 9 - 1


def test_only_as_many_circles_of_speakers_are_split_as_are_needed(caplog):
    table = corpus(sessions=2, speakers=2)
    more = corpus(seed=2, sessions=1, speakers=3)
    for column in ("id", "session", "dialogue", "speaker"):
        more[column] = "x" + more[column]
    table = pd.concat([table, more], ignore_index=True)
    found = made(table, hold_out="speakers", validation="speakers", folds=4)
    tested = [set(parts(fold)["test"].speaker) for _, fold, _ in found]
    for circle in ({"s0p0", "s0p1"}, {"s1p0", "s1p1"}):
        assert circle in [group & circle for group in tested]
    assert "3 circles of speakers" in caplog.text and "xs0p0, xs0p1, xs0p2 of" in caplog.text


def test_even_groups_name_what_cannot_be_grouped():
    counts = pd.crosstab(lonely(3).speaker, lonely(3).label)
    with pytest.raises(
        InputError, match=r"3 speakers \(p00, p01, p02\) cannot make 4 groups; ask for 3 groups or"
    ):
        even_groups(counts, 4, 1, "speaker")
    assert even_groups(counts, 3, 1, "speaker") == [["p00"], ["p01"], ["p02"]]
    with pytest.raises(InputError, match=r"1 speaker \(p00\) cannot make 3 groups; so few cannot"):
        made(lonely(1), hold_out="speakers", validation="speakers", folds=3)


def test_scenarios_are_drawn_so_that_everyone_plays_every_group():
    """Each session lacks one of six scenarios: in five groups some draws cannot be tested."""
    table = corpus(sessions=4, speakers=2)
    sessions = sorted(set(table.session))
    played = {s: [f"p{k}" for k in range(6) if k != i] for i, s in enumerate(sessions)}
    places = table.groupby("session").cumcount()
    table["scenario"] = [
        played[session][place % 5] for session, place in zip(table.session, places, strict=True)
    ]
    for seed in range(1, 6):
        found = made(table, scenarios="apart", scenario_groups=3, seed=seed)
        assert len(found) == 4 * 3


SCHEMES = [
    {"hold_out": "session", "validation": "session"},
    {"hold_out": "speaker", "validation": "session"},
    {"hold_out": "speaker", "validation": "partner"},
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: "-".join(s.values()))
@pytest.mark.parametrize("scripts", ["keep", "drop"])
def test_scenarios_apart_no_two_parts_share_a_speaker_or_a_scenario(scheme, scripts):
    table = corpus(turns=30)
    found = made(table, **scheme, **APART, shared_scripts=scripts)
    units = table.session.nunique() if scheme["hold_out"] == "session" else table.speaker.nunique()
    assert len(found) == 3 * units
    tested = []
    for _, fold, left_out in found:
        part = parts(fold)
        for a, b in itertools.combinations(part, 2):
            assert not set(part[a].speaker) & set(part[b].speaker)
            assert not set(part[a].scenario) & set(part[b].scenario)
        tested += list(part["test"].id)
        assert sorted([*fold.id, *left_out.id]) == sorted(table.id)
        assert (left_out.reason != "").all()
    assert sorted(tested) == sorted(table.id)


def test_scenarios_apart_of_groups_of_speakers():
    table = lonely()
    found = made(table, hold_out="speakers", validation="speakers", folds=3, **APART)
    assert len(found) == 9
    assert sorted(name for _, fold, _ in found for name in parts(fold)["test"].id) == sorted(
        table.id
    )
    held_out, fold, left_out = found[0]
    speakers, scenarios = held_out.split(" in ")
    assert set(speakers.split(", ")) == set(parts(fold)["test"].speaker)
    assert set(scenarios.split(", ")) == set(parts(fold)["test"].scenario)
    assert set(left_out.reason) == {
        "its speaker is tested, in other scenarios",
        "its speaker validates, in other scenarios",
        "its scenario is tested or validates, by other speakers",
    }


def test_the_next_group_of_scenarios_validates_by_the_validating_speakers():
    groups = [["d0", "d1"], ["d2", "d3"], ["d4"], ["d5"]]
    found = made(corpus(turns=30), scenarios="apart", scenario_groups=groups)
    sessions = [f"s{i}" for i in range(5)]
    for number, (_, fold, _) in enumerate(found):
        session, group = divmod(number, len(groups))
        following, then = (session + 1) % 5, (group + 1) % len(groups)
        part = parts(fold)
        assert set(part["test"].session) == {sessions[session]}
        assert set(part["test"].scenario) == set(groups[group])
        assert set(part["validation"].session) == {sessions[following]}
        assert set(part["validation"].scenario) == set(groups[then])
        assert set(part["train"].session) == set(sessions) - {
            sessions[session],
            sessions[following],
        }


def test_a_changed_group_changes_the_folds_that_hold_it_out_and_no_other():
    table = corpus(turns=30)
    before = [["d0"], ["d1"], ["d2"], ["d3"], ["d4", "d5"]]
    after = [["d0"], ["d1"], ["d2"], ["d3", "d5"], ["d4"]]
    a, b = (made(table, scenarios="apart", scenario_groups=groups) for groups in (before, after))
    same = [x[1].equals(y[1]) for x, y in zip(a, b, strict=True)]
    # Held out or validating are groups n and n + 1: those of neither 3 nor 4 are as before.
    assert same == [group in (0, 1) for _ in range(5) for group in range(5)]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["d0", "d1"], ["d2"], ["d3", "d4"]], r"\['d5'\] stand in no group"),
        ([["d0", "d1"], ["d2"], ["d3", "d4", "d5", "d0"]], r"\['d0'\] stand twice"),
        ([["d0", "d1"], ["d2"], ["d3", "d4", "d5", "x"]], r"\['x'\] stand at no utterance"),
        (7, "6 scenarios .* cannot make 7 groups"),
    ],
)
def test_groups_of_scenarios_that_do_not_fit_the_corpus_are_refused(groups, said):
    with pytest.raises(InputError, match=said):
        made(corpus(), scenarios="apart", scenario_groups=groups)


def test_an_utterance_without_a_scenario_cannot_be_kept_apart():
    table = corpus()
    table.loc[3, "scenario"] = ""
    with pytest.raises(InputError, match=rf"id '{table.id[3]}' has none \(1 of {len(table)}\)"):
        made(table, **APART)


def test_a_class_that_no_other_scenario_has_stops_with_the_groups_to_change():
    table = corpus(turns=30)
    table["label"] = np.where(table.scenario == "d0", "angry", "sad")
    with pytest.raises(InputError) as error:
        made(table, scenarios="apart", scenario_groups=3)
    said = str(error.value)
    assert "train part has no utterance of ['angry']" in said
    assert "'angry' stands in the scenarios d0 (group 1), fewer than the three that test" in said
    assert "{" not in said and "validation:" not in said
    assert said.endswith(
        "name other folds: scenario_groups:, or ask for scenarios: shared, or choose other labels:"
    )


def test_scenarios_that_only_one_session_plays_are_told_as_the_reason():
    table = corpus(turns=30)
    table["scenario"] = table.dialogue  # of one session alone
    groups = [sorted(set(table.scenario[table.session == f"s{n}"])) for n in range(5)]
    with pytest.raises(InputError, match=r"played in one session alone, so that .*: shared keeps"):
        made(table, scenarios="apart", scenario_groups=groups)


def test_a_part_without_a_scenario_of_the_group_is_told_to_have_fewer_groups():
    table = corpus(turns=30)
    table = table[(table.session != "s0") | (table.scenario != "d3")]
    groups = [["d0", "d1"], ["d2"], ["d3"], ["d4", "d5"]]
    with pytest.raises(
        InputError, match=r"s0 in d3: the test part .* ask for fewer, larger groups"
    ):
        made(table, scenarios="apart", scenario_groups=groups)


def test_all_who_share_dialogues_are_not_sent_for_another_seed():
    table = lonely(3)
    table["dialogue"] = [f"d{turn % 4}" for turn in range(len(table))]  # all talk in each
    with pytest.raises(InputError) as error:
        made(table, hold_out="speakers", validation="speakers", folds=3)
    said = str(error.value)
    assert "x shares its dialogues with" in said and "all speakers share dialogues" in said
    assert "seed" not in said and said.endswith("folds: validation: dialogues")


def test_audit_counts_scenarios_and_the_test_turns_that_training_knows():
    table = corpus(turns=30)
    for settings, known in (({}, True), (APART, False)):
        for number, (held_out, fold, _) in enumerate(made(table, **settings), 1):
            rows = pd.DataFrame(audited(number, held_out, fold)).set_index("part")
            test = rows.loc["test"]
            assert test.scenarios == parts(fold)["test"].scenario.nunique()
            assert (test.known_scenario == test.utterances) == known
            assert (test.scenarios_in_train > 0) == known
            assert rows.known_scenario["train"] == rows.utterances["train"]
            assert rows.known_scenario["validation"] == rows.utterances["validation"]
    bare = table.assign(scenario="")
    rows = pd.DataFrame(audited(1, *made(bare)[0][:2]))
    assert rows[["scenarios", "known_scenario"]].to_numpy().max() == 0


def test_scenarios_that_validation_alone_shares_with_the_test_part_are_known():
    table = corpus(sessions=3).assign(part="")
    table["part"] = table.session.map({"s0": "test", "s1": "validation", "s2": "train"})
    table.loc[table.session == "s2", "scenario"] = "its own"
    rows = pd.DataFrame(audited(1, "s0", table)).set_index("part")
    assert rows.scenarios_in_train["test"] == 0
    assert rows.known_scenario["test"] == rows.utterances["test"] > 0


def given(table, part):
    return pd.DataFrame({"id": table.id, "fold": 1, "part": part})


def test_a_split_that_is_given_is_obeyed_and_what_it_shares_is_counted():
    table = corpus(sessions=3)
    part = (["train", "train", "validation", "test", ""] * len(table))[: len(table)]
    official = given(table, part)
    official = official[official.part != ""]
    [fold] = folds.folds(table, folds.FoldOptions("part"), official)
    assert dict(zip(fold.rows.id, fold.rows.part, strict=True)) == dict(
        zip(official.id, official.part, strict=True)
    )
    assert set(fold.left_out.id) == set(table.id) - set(official.id)
    assert set(fold.left_out.reason) == {"in no part of this fold"}
    rows = pd.DataFrame(split.audit(1, fold, ["angry", "sad"])).set_index("part")
    assert rows.speakers_in_train["test"] == rows.speakers["test"] == 6


def test_several_folds_may_be_given_and_a_part_may_not_be_empty(caplog):
    table = corpus(sessions=2)
    first = given(table, np.where(table.session == "s0", "train", "test"))
    first.loc[first.index[:20], "part"] = "validation"
    second = first.assign(fold=2, part=first.part[::-1].to_numpy())
    second.loc[second.index[0], "part"] = "train"  # so that it is tested in neither
    both = pd.concat([first, second])
    made = folds.folds(table, folds.FoldOptions("part"), both)
    said = f"1 are in no test part, the first is '{table.id[0]}'"
    assert [said in record.message for record in caplog.records] == [True]
    assert [fold.held_out for fold in made] == ["the given test part 1", "the given test part 2"]
    for fold, wanted in zip(made, (first, second), strict=True):
        assert fold.rows.part.tolist() == wanted.part.tolist()
    first["part"] = first.part.replace("validation", "train")
    with pytest.raises(
        InputError, match=r"validation part has no .*; correct the parts .*; if corpus: sessions le"
    ):
        folds.folds(table, folds.FoldOptions("part"), first)


def test_a_table_of_parts_is_held_against_the_corpus(tmp_path):
    table = corpus(sessions=2).assign(part="")
    path = tmp_path / "parts.tsv"

    def of(frame, others=()):
        path.write_text(frame.to_csv(sep="\t", index=False))
        return official_parts(table, path, others)

    whole = given(table, np.resize(tables.PARTS, len(table)))
    assert of(whole).equals(whole)
    strange = pd.concat([whole, whole[:1].assign(id="x9")])
    line = len(table) + 2
    with pytest.raises(InputError, match=rf"parts.tsv:{line}: id 'x9' is no utterance .*\(1 such"):
        of(strange)
    assert len(of(strange, ["x9"])) == len(strange)
    with pytest.raises(
        InputError, match=rf"tsv:{line}: fold is 3, .* has the folds \[1, 3\], expected 1, 2 and"
    ):
        of(pd.concat([whole, whole.assign(fold=3)]))
    with pytest.raises(InputError, match=r"tsv:2: id '\w+': part is 'dev', expected one of"):
        of(whole.assign(part="dev"))
    with pytest.raises(InputError, match=f"tsv:{line}: .* stands twice"):
        of(pd.concat([whole, whole[:1]]))
    with pytest.raises(InputError, match=r"parts.tsv: no rows under the header, expected one with"):
        of(whole[:0])
    with pytest.raises(InputError, match=r"parts.tsv: fold 1 has no part validation and no"):
        of(whole.assign(part="train"))
    with pytest.raises(InputError, match="no utterance of the sessions in use has a part; give a"):
        official_parts(table, None)
    table.loc[0, "part"] = "test"
    with pytest.raises(
        InputError, match="own split, in the sessions in use: fold 1 has no part tr"
    ):
        official_parts(table, None)
    table.loc[1:2, "part"] = ["train", "validation"]
    own = official_parts(table, None)
    assert own.part.tolist() == ["test", "train", "validation"] and set(own.fold) == {1}
    assert own.id.tolist() == table.id[:3].tolist()


def test_an_utterance_that_two_folds_test_is_refused(tmp_path):
    table, path = corpus(sessions=2).assign(part=""), tmp_path / "parts.tsv"
    first = given(table, "train")
    first.loc[0, "part"] = "validation"
    first.loc[3:4, "part"] = "test"
    second = first.assign(fold=2)
    second.loc[3, "part"] = "train"
    second.loc[4:5, "part"] = "test"
    path.write_text(pd.concat([first, second]).to_csv(sep="\t", index=False))
    lines = (4 + 2, len(table) + 4 + 2)
    with pytest.raises(InputError) as error:
        official_parts(table, path)
    assert str(error.value).startswith(
        f"{path}:{lines[1]}: id '{table.id[4]}' is tested in fold 2, and in fold 1 as well (line "
        f"{lines[0]}), as are 1 ids in all"
    )
    assert "a study of each repeat" in str(error.value)


def test_too_few_speakers_or_sessions_are_told_before_anything_runs():
    groups = folds.FoldOptions("speakers", folds=4)
    groups.check(["all"], ["a", "b", "c", "d"])
    with pytest.raises(
        InputError, match=r"\['a', 'b', 'c'\], 3 in all; ask for 3 or fewer, 3 at least"
    ):
        groups.check(["all"], ["a", "b", "c"])
    with pytest.raises(
        InputError, match="so few cannot be held out: 3 are needed at least \\(two, with"
    ):
        groups.check(["all"], ["a", "b"])
    with pytest.raises(
        InputError, match=r"sessions \['all'\]; expected three or more, .* speakers do so"
    ):
        folds.FoldOptions("session").check(["all"], ["a", "b", "c"])


def test_number_of_folds():
    sessions, speakers = ["a", "b", "c"], ["1", "2", "3", "4"]
    wanted = {"session": 3, "speaker": 4, "speakers": 5, "part": 2}
    for hold_out, number in wanted.items():
        options = folds.FoldOptions(hold_out)
        assert options.number(sessions, speakers, 2) == number
        apart = folds.FoldOptions(hold_out, scenarios="apart", scenario_groups=[["x"]] * 4)
        assert apart.number(sessions, speakers, 2) == 4 * number
