"""split: no speaker of the test part trains or validates, nothing is dropped unsaid."""

import itertools
import json
import random
from collections import Counter

import pandas as pd
import pytest
from corpora import turns_of, write_release
from test_iemocap import full_release

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.corpus import folds, labels, segment, split, utterances
from labelmer.report import protocol

CLASSES = {"angry": ["ang"], "happy": ["hap", "exc"], "neutral": ["neu"], "sad": ["sad"]}
DEFAULTS = {"hold_out": "session", "validation": "session", "shared_scripts": "keep"}
DEFAULTS |= {"fraction": 0.2, "seed": 1}
SETTINGS = [
    {"hold_out": hold_out, "validation": validation, "shared_scripts": scripts}
    for hold_out, validation, scripts in itertools.product(
        ("session", "speaker"), ("session", "dialogues", "partner"), ("keep", "drop")
    )
    if (hold_out, validation) != ("session", "partner")
]


def corpus(seed=1, sessions=5, dialogues=6, speakers=2, turns=12):
    """A usable() table, drawn at random: some lines are said in several places."""
    draw = random.Random(seed)
    rows = []
    for session, dialogue in itertools.product(range(sessions), range(dialogues)):
        for turn in range(turns):
            speaker = draw.randrange(speakers)
            script = f"this line is number {draw.randrange(60)}"
            rows.append(
                {
                    "id": f"s{session}d{dialogue}t{turn:02d}",
                    "session": f"s{session}",
                    "dialogue": f"s{session}d{dialogue}",
                    "scenario": f"d{dialogue}",
                    "speaker": f"s{session}p{speaker}",
                    "text": draw.choice([script, "oh no", f"own words of {len(rows)}"]),
                    "audio": "",
                    "label": draw.choice(["angry", "sad", "sad"]),
                }
            )
    return pd.DataFrame(rows)


def made(table, **settings):
    """The folds of settings: a list of (held out, rows, what is left out)."""
    found = folds.folds(table, folds.FoldOptions(**DEFAULTS | settings))
    return [(fold.held_out, fold.rows, fold.left_out) for fold in found]


def audited(number, held_out, rows):
    return split.audit(number, folds.Fold(held_out, rows, None), ["angry", "sad"])


def parts(fold):
    return {part: fold[fold.part == part] for part in tables.PARTS}


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
@pytest.mark.parametrize("seed", range(4))
def test_no_speaker_or_dialogue_of_the_test_part_stands_in_another(settings, seed):
    table = corpus(seed, sessions=3 + seed % 3)
    for held_out, fold, left_out in made(table, **settings, seed=seed):
        part = parts(fold)
        others = pd.concat([part["train"], part["validation"]])
        assert not set(part["test"].speaker) & set(others.speaker)
        if settings["validation"] != "partner":
            assert not set(part["test"].dialogue) & set(others.dialogue)
        assert not set(part["train"].dialogue) & set(part["validation"].dialogue)
        unit = part["test"][settings["hold_out"]]
        assert set(unit) == {held_out}
        # All that is held out is tested, and each utterance has one place.
        assert len(unit) == (table[settings["hold_out"]] == held_out).sum()
        assert sorted([*fold.id, *left_out.id]) == sorted(table.id)


def test_session_folds_validate_on_the_next_session():
    found = made(corpus())
    assert [held_out for held_out, _, _ in found] == ["s0", "s1", "s2", "s3", "s4"]
    for number, (_, fold, left_out) in enumerate(found):
        assert set(parts(fold)["validation"].session) == {f"s{(number + 1) % 5}"}
        assert parts(fold)["train"].session.nunique() == 3
        assert len(left_out) == 0


def test_speaker_folds_leave_out_the_partner_or_validate_on_them():
    table = corpus()
    speakers = sorted(table.speaker.unique())
    for validation in ("session", "partner"):
        found = made(table, hold_out="speaker", validation=validation)
        assert [held_out for held_out, _, _ in found] == speakers and len(speakers) == 10
        for held_out, fold, left_out in found:
            partner = held_out[:-1] + "10"[int(held_out[-1])]
            theirs = set(table.id[table.speaker == partner])
            validating = parts(fold)["validation"]
            if validation == "partner":
                assert set(validating.id) == theirs
                assert len(left_out) == 0
            else:
                assert set(validating.session) == {f"s{(int(held_out[1]) + 1) % 5}"}
                assert set(left_out.id) == theirs
                assert set(left_out.reason) == {"shares its dialogues with the test speaker"}


def test_dialogues_validation_is_whole_dialogues_of_the_size_and_classes_asked_for():
    table = corpus(dialogues=20)
    for _, fold, _ in made(table, validation="dialogues", fraction=0.25):
        part = parts(fold)
        training = pd.concat([part["train"], part["validation"]])
        assert len(part["validation"]) / len(training) == pytest.approx(0.25, abs=0.02)
        shares = [part[p].label.value_counts(normalize=True).sad for p in ("train", "validation")]
        assert shares[0] == pytest.approx(shares[1], abs=0.05)
        assert part["validation"].session.nunique() > 1


def test_folds_depend_on_the_seed_alone():
    table = corpus()
    pick = {}
    for seed in (1, 1, 2):
        found = [fold.part for _, fold, _ in made(table, validation="dialogues", seed=seed)]
        if seed in pick:
            assert all(a.equals(b) for a, b in zip(pick[seed], found, strict=True))
        pick[seed] = found
    assert not all(a.equals(b) for a, b in zip(pick[1], pick[2], strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(s.values()))
def test_the_labels_of_the_test_part_have_no_say_in_the_other_parts(settings):
    table = corpus()
    for number, (_, fold, _) in enumerate(made(table, **settings)):
        other = table.copy()
        mine = other.id.isin(parts(fold)["test"].id)
        other.loc[mine, "label"] = other.label[mine].map({"sad": "angry", "angry": "sad"})
        assert made(other, **settings)[number][1].part.equals(fold.part)


def say(session, dialogue, lines):
    """Turns of one dialogue, by one speaker per session: lines as (text, label)."""
    return [
        {"id": f"{session}{dialogue}{i}", "session": session, "dialogue": session + dialogue}
        | {"scenario": ""}
        | {"speaker": f"p{session}", "text": text, "label": label}
        for i, (text, label) in enumerate(lines)
    ]


@pytest.fixture
def scripted():
    """Three sessions: "a" is tested, "b" validates, "c" trains in the first fold."""
    own = [("my own words for once", "angry"), ("and some more of them", "sad")]
    tested = [("What's the matter with you?", "sad"), ("Not at all", "sad"), *own]
    validated = [("I will never, EVER go", "angry"), ("what do you mean", "sad")]
    validated.append(("the bus was late today", "angry"))
    trained = [
        ("what's the matter -- with you!", "angry"),  # said in the test part
        ("i will never ever go.", "sad"),  # said in the validation part
        ("not at all", "sad"),  # three words
        ("nobody else says this here", "angry"),
        ("", "sad"),
    ]
    said = say("a", "x", tested) + say("b", "x", validated) + say("c", "x", trained)
    return pd.DataFrame(said).assign(audio="")


def test_shared_scripts_drop_takes_just_the_training_turns_said_elsewhere(scripted):
    held_out, kept, _ = made(scripted)[0]
    _, fold, left_out = made(scripted, shared_scripts="drop")[0]
    assert held_out == "a" and len(kept) == len(scripted)
    assert list(left_out.id) == ["cx0", "cx1"]
    assert set(left_out.reason) == {"its words stand in validation or test"}
    for part in ("validation", "test"):
        assert parts(fold)[part].equals(parts(kept)[part])
    assert list(parts(fold)["train"].id) == ["cx2", "cx3", "cx4"]


def test_audit_by_hand(scripted):
    rows = {}
    for scripts in ("keep", "drop"):
        held_out, fold, _ = made(scripted, shared_scripts=scripts)[0]
        table = pd.DataFrame(audited(1, held_out, fold))
        assert set(table.held_out) == {"a"} and set(table.fold) == {1}
        rows[scripts] = table.set_index("part")
    kept, dropped = rows["keep"], rows["drop"]
    assert list(kept.index) == ["train", "validation", "test"]
    assert list(kept.utterances) == [5, 3, 4]
    assert list(kept.n_angry) == [2, 2, 1] and list(kept.n_sad) == [3, 1, 3]
    assert list(kept.speakers) == list(kept.dialogues) == [1, 1, 1]
    for what in ("speakers", "dialogues"):
        overlaps = kept[[f"{what}_in_{part}" for part in tables.PARTS]].to_numpy().tolist()
        assert overlaps == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    overlaps = [f"transcripts_in_{part}" for part in tables.PARTS]
    assert kept[overlaps].to_numpy().tolist() == [[3, 1, 1], [1, 3, 0], [1, 0, 3]]
    assert list(dropped.utterances) == [3, 3, 4]
    assert dropped[overlaps].to_numpy().tolist() == [[1, 0, 0], [0, 3, 0], [0, 0, 3]]


@pytest.mark.parametrize("validation", ["session", "dialogues"])
def test_scripts_that_are_dropped_are_nowhere_but_in_the_test_part(validation):
    """With `refit` the validation part trains as well."""
    for held_out, fold, left_out in made(corpus(), validation=validation, shared_scripts="drop"):
        rows = pd.DataFrame(audited(1, held_out, fold)).set_index("part")
        assert list(rows.transcripts_in_test) == [0, 0, rows.transcripts_in_test["test"]]
        assert rows.transcripts_in_validation["train"] == 0 < rows.transcripts_in_test["test"]
        gone = left_out.groupby("reason").size()
        assert gone["its words stand in test"] and gone["its words stand in validation or test"]


def test_copies_across_parts_are_counted_and_told(caplog):
    table = corpus(sessions=3)
    table["audio"] = [f"{place:02x}" for place in range(len(table))]
    first = [table.index[table.session == f"s{number}"][0] for number in range(3)]
    table.loc[first, "audio"] = ["00", "00", ""]
    found = folds.folds(table, folds.FoldOptions(**DEFAULTS))
    split.tell_of_copies(found)
    assert "2 test utterances are, sample for sample" in caplog.text
    assert "the first is 's0d0t00', as 's1d0t00'" in caplog.text
    rows = [row for n, x in enumerate(found, 1) for row in audited(n, x.held_out, x.rows)]
    counted = pd.DataFrame(rows).set_index(["part", "fold"])
    # One of the two is tested while the other validates, then trains; at last neither is tested.
    assert list(counted.audio_in_validation["test"]) == [1, 0, 0]
    assert list(counted.audio_in_train["test"]) == [0, 1, 0]
    assert list(counted.audio_in_train["validation"]) == [0, 0, 1]
    assert list(counted.audio_in_test["train"]) == [0, 1, 0]
    said = protocol.with_audit("three folds", pd.DataFrame(rows))
    for what in ("trains", "validates"):
        tested = f"1 of {len(table)} test utterances are the audio of one that {what}"
        assert f"{tested}, sample for sample" in said


def test_audit_shows_the_speakers_that_dialogues_validation_shares_with_training():
    _, fold, _ = made(corpus(), validation="dialogues")[0]
    row = pd.DataFrame(audited(1, "s0", fold)).set_index("part")
    shared = len(set(parts(fold)["validation"].speaker))
    assert row.speakers_in_train["validation"] == shared > 0
    assert row.speakers_in_test["validation"] == row.speakers_in_test["train"] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the MATTER -- with you?!", "what's the matter with you"),
        ("one two three", ""),
        ("one, two: three... four", "one two three four"),
        ("... -- !? ...", ""),
        ("It’s not what I said", "it's not what i said"),
        ("", ""),
    ],
)
def test_normalised(text, words):
    assert folds.normalised(text) == words


def test_a_class_that_training_lacks_stops_and_one_that_is_not_tested_is_told(caplog):
    table = corpus(sessions=4)
    table.loc[table.session == "s1", "label"] = "sad"
    rows = [
        row for n, (name, fold, _) in enumerate(made(table), 1) for row in audited(n, name, fold)
    ]
    lacking = [(row["fold"], row["part"]) for row in rows if row["n_angry"] == 0]
    assert lacking == [(1, "validation"), (2, "test")]
    for fold, part in lacking:
        assert (
            f"fold {fold}, held out s{fold - 1}: the {part} part has no utterance of ['angry']"
            in (caplog.text)
        )
    table.loc[table.session == "s3", "label"] = "sad"
    table.loc[table.session == "s2", "label"] = "sad"
    with pytest.raises(InputError, match=r"held out s0: the train part has no .*\['angry'\]"):
        made(table)
    with pytest.raises(InputError, match="the train part has no utterance"):
        made(corpus(sessions=2))


def test_a_corpus_where_all_say_the_same_stops_with_the_key_that_did_it():
    table = corpus(sessions=3)
    table["text"] = "the same four words"
    with pytest.raises(InputError) as error:
        made(table, shared_scripts="drop")
    turns = (table.session == "s2").sum()
    angry, sad = ((table.session[table.label == name] == "s0").sum() for name in ("angry", "sad"))
    assert str(error.value) == (
        "fold 1, held out s0: the train part has no utterance of ['angry', 'sad'] (train has 0 "
        "angry, 0 sad; validation has 0 angry, 0 sad; "
        f"test has {angry} angry, {sad} sad); left out of it: {turns} x its words stand in "
        "validation or test; set folds: shared_scripts: keep, or "
        "choose other labels:, or folds: validation: dialogues"
    )
    assert len(made(table)) == 3


def test_what_takes_a_class_from_training_is_named_with_the_fold():
    table = corpus(sessions=3)
    rare = (table.session == "s2") & (table.label == "angry")
    table.loc[rare, "text"] = "said by everyone, that is"
    table.loc[table.index[table.session == "s1"][:1], "text"] = "Said by everyone that is!"
    with pytest.raises(InputError, match=r"fold 1, held out s0: .* \['angry'\] .*; left out of it"):
        made(table, shared_scripts="drop")


@pytest.mark.parametrize(
    "line",
    ["I have had enough of this", "我再也受不了了", "ฉันทนไม่ไหวอีกต่อไปแล้ว", "मैं इसे और नहीं सह सकती"],
)
def test_a_line_that_all_sessions_say_is_counted_in_every_script(line):
    table = corpus(sessions=3)
    table["text"] = ["", *[f"{line}{end}" for end in "!?"]] * (len(table) // 3)
    for number, (held_out, fold, _) in enumerate(made(table), 1):
        rows = pd.DataFrame(audited(number, held_out, fold))
        tested = rows[rows.part == "test"].iloc[0]
        assert tested.transcripts_in_train == tested.utterances * 2 / 3 > 0


def test_a_partner_among_three_speakers_is_refused():
    with pytest.raises(InputError, match=r"needs two speakers .* \['s0p0', 's0p1', 's0p2'\]"):
        made(corpus(speakers=3), hold_out="speaker", validation="partner")


def test_a_speaker_in_training_and_in_test_is_an_error():
    table = corpus()
    table.loc[table.speaker == "s4p1", "speaker"] = "s0p1"
    for settings in ({}, {"validation": "dialogues"}):
        with pytest.raises(InputError, match=r"held out s0: speakers \['s0p1'\] of the test part"):
            made(table, **settings)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_the_fraction_that_validates_is_the_one_asked_for(fraction):
    for _, fold, _ in made(corpus(), validation="dialogues", fraction=fraction):
        sizes = fold.part.value_counts()
        share = sizes["validation"] / (sizes["train"] + sizes["validation"])
        assert share == pytest.approx(fraction, abs=0.04)  # a dialogue is 1 / 24


def test_too_few_dialogues_are_counted():
    with pytest.raises(
        InputError,
        match=r"^fold 1, held out s0: .* needs two dialogues, .* dialogues: 1, .* session$",
    ):
        made(corpus(sessions=2, dialogues=1), validation="dialogues")
    alone = corpus(sessions=1, dialogues=2)
    with pytest.raises(
        InputError, match=r"dialogues: 0, utterances: none; choose another folds: hold_out:$"
    ):
        made(alone, hold_out="speakers", validation="dialogues", folds=2)


def test_a_speaker_without_an_utterance_of_the_classes_is_named():
    table = corpus()
    rest = table[table.speaker != "s2p1"]
    split.check_held_out(table, rest, "session")
    with pytest.raises(InputError, match=r"hold_out: speaker: \['s2p1'\] of \['s2'\] have no"):
        split.check_held_out(table, rest, "speaker")


def words(options):
    """Command line words of {option: value or values}."""
    given = {k: v if isinstance(v, list) else [v] for k, v in options.items()}
    return [str(word) for option, values in given.items() for word in (option, *values)]


def run_split(out, given, **config):
    """main() on tables {name: [paths]}; the folder that it writes."""
    config = {"reader": "iemocap", "classes": CLASSES, "folds": DEFAULTS} | config
    config["classes"] = list(dict(config["classes"]).items())  # pairs, which keep their order
    options = {f"--{name}": paths for name, paths in given.items()}
    options |= {"--out": out, "--config": json.dumps(config), "--log": out / "log"}
    split.main(words(options))
    return out


def annotated(root, out):
    """The tables of every session of a release, by their stages: {name: [paths]}."""
    given = {name: [] for name in ("utterances", "unread", "segments", "labels")}
    for folder in sorted(root.iterdir()):
        session = folder.name
        paths = {name: out / name / f"{session}.tsv" for name in given}
        paths["unread"] = out / "utterances" / f"{session}.unread.tsv"
        corpus = {"reader": "iemocap", "root": str(root), "audio": "sentences"}
        config = json.dumps({"corpus": corpus, "code": "c0de"})
        common = {"--session": session, "--config": config}
        read = {f"--{name}": paths[name] for name in ("utterances", "unread")}
        utterances.main(words(common | read))
        labels.main(words(common | {"--labels": paths["labels"]}))
        files = {"--segments": out / "segments" / f"{session}.h5", "--table": paths["segments"]}
        segment.main(words(common | files))
        for name, path in paths.items():
            given[name].append(path)
    return given


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A made release with one of each thing that is left out: (turns, tables)."""
    turns = turns_of(sessions=5, dialogues=3, turns=12)
    names = [f"Ses01F_impro01_{turn}" for turn in ("F000", "M000", "F001")]
    assert {turn.id for turn in turns} >= set(names)
    root = write_release(tmp_path_factory.mktemp("made") / "release", turns)
    dialog = root / "Session1" / "dialog"
    path = dialog / "EmoEvaluation" / "Ses01F_impro01.txt"
    blocks = path.read_text().split("\n\n")
    path.write_text("\n\n".join(b for b in blocks if names[0] not in b))
    path = dialog / "transcriptions" / "Ses01F_impro01.txt"
    lines = [line for line in path.read_text().splitlines() if names[1] not in line]
    path.write_text("\n".join([*lines, "M: nobody knows who"]))
    (root / f"Session1/sentences/wav/Ses01F_impro01/{names[2]}.wav").unlink()
    return turns, annotated(root, root.parent / "tables")


def test_every_id_is_kept_or_left_out_with_its_reason(release, tmp_path):
    turns, given = release
    out = run_split(tmp_path, given)
    left_out = tables.read(out / "left_out.tsv", "left_out")
    reasons = left_out.set_index("id").reason.to_dict()
    expected = {
        "Ses01F_impro01_F000": "no label",
        "Ses01F_impro01_M000": "no transcript",
        "Ses01F_impro01_F001": "no audio file",
        "Ses01F_impro01.txt:12": "no utterance id",
    }
    first = list(expected)[:3]
    other = [turn.id for turn in turns if turn.code == "fru" and turn.id not in first]
    assert reasons == expected | dict.fromkeys(other, "code fru is in no class")
    assert set(left_out.fold) == {"all"}
    assert all(row.session == f"Session{row.id[4]}" for row in left_out.itertuples())
    for number in range(1, 6):
        fold = tables.read(out / f"fold{number}.tsv", "fold")
        assert sorted([*fold.id, *reasons]) == sorted(
            [*(t.id for t in turns), first_line(expected)]
        )


def first_line(expected):
    """The one entry that is a line and no utterance."""
    return next(name for name in expected if ":" in name)


def test_split_writes_folds_and_audit(release, tmp_path):
    turns, given = release
    out = run_split(tmp_path, given)
    assert {p.name for p in out.iterdir()} == {
        *(f"fold{n}.tsv" for n in range(1, 6)),
        *("audit.tsv", "left_out.tsv", "log"),
    }
    audit = tables.read(out / "audit.tsv", "audit")
    codes = {code: name for name, members in CLASSES.items() for code in members}
    label = {turn.id: codes.get(turn.code) for turn in turns}
    for number in range(1, 6):
        fold = tables.read(out / f"fold{number}.tsv", "fold")
        assert dict(zip(fold.id, fold.label, strict=True)).items() <= label.items()
        assert set(fold.session[fold.part == "test"]) == {f"Session{number}"}
        for part, rows in parts(fold).items():
            told = audit[(audit.fold == number) & (audit.part == part)].iloc[0]
            counts = Counter(rows.label)
            assert told.utterances == len(rows)
            assert {name: told[f"n_{name}"] for name in CLASSES} == dict(counts)
            assert told.held_out == f"Session{number}"


def test_split_by_speaker_names_what_each_fold_leaves_out(release, tmp_path):
    turns, given = release
    speakers = DEFAULTS | {"hold_out": "speaker"}
    out = run_split(tmp_path, given, folds=speakers)
    left_out = tables.read(out / "left_out.tsv", "left_out")
    everything = {turn.id for turn in turns}
    for number in range(1, 11):
        fold = tables.read(out / f"fold{number}.tsv", "fold")
        gone = set(left_out.id[left_out.fold.isin(["all", str(number)])])
        assert everything <= set(fold.id) | gone
        assert not set(fold.id) & gone
    assert not (out / "fold11.tsv").exists()


def test_fold_tables_of_an_earlier_config_are_removed_and_nothing_else(release, tmp_path, caplog):
    _, given = release
    out = run_split(tmp_path, given, folds=DEFAULTS | {"hold_out": "speaker"})
    assert (out / "fold10.tsv").exists()
    notes = {name: f"{name} of mine\n" for name in ("fold7.tsv", "fold6-notes.tsv", "fold06.tsv")}
    notes |= {name: f"{name} of mine\n" for name in ("folds.tsv", "fold6.tsv.bak", "fold.tsv")}
    for name, text in notes.items():
        (out / name).write_text(text)
    run_split(tmp_path, given)
    assert {path.name for path in out.iterdir()} == {
        *(f"fold{n}.tsv" for n in range(1, 6)),
        *("audit.tsv", "left_out.tsv", "log"),
        *notes,
    }
    assert {name: (out / name).read_text() for name in notes} == notes
    assert "fold7.tsv is no table of this protocol, and is left there" in caplog.text


def test_the_audit_has_the_classes_in_the_configs_order(release, tmp_path):
    _, given = release
    for number, names in enumerate((["sad", "angry", "neutral", "happy"], sorted(CLASSES))):
        pairs = [[name, CLASSES[name]] for name in names]
        out = run_split(tmp_path / str(number), given, classes=pairs)
        audit = tables.read(out / "audit.tsv", "audit")
        assert [c for c in audit.columns if c.startswith("n_")] == [f"n_{name}" for name in names]


def test_the_same_tables_give_the_same_bytes(release, tmp_path):
    _, given = release
    dialogues = DEFAULTS | {"validation": "dialogues"}
    first, second = (run_split(tmp_path / n, given, folds=dialogues) for n in "12")
    for path in first.glob("*.tsv"):
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_class_without_utterances_is_named_with_the_codes_there_are(release, tmp_path, caplog):
    _, given = release
    with pytest.raises(SystemExit, match="1"):
        run_split(tmp_path, given, classes=CLASSES | {"calm": ["clm"]})
    assert "no utterance of the class 'calm', codes ['clm']" in caplog.text
    assert "'ang', 'exc', 'fru'" in caplog.text


def test_a_class_without_audio_is_named_with_a_file_that_was_looked_for(release, tmp_path, caplog):
    turns, given = release
    for path in given["segments"]:
        table = tables.read(path, "segments")
        table["problem"] = "no audio file, its path has backslashes where / is expected"
        tables.write(tmp_path / path.parent.name / path.name, table, "segments")
    given = {**given, "segments": sorted((tmp_path / "segments").glob("*.tsv"))}
    with pytest.raises(SystemExit, match="1"):
        run_split(tmp_path, given)
    first = next(turn for turn in turns if turn.code == "ang")
    file = f"sentences/wav/{first.dialogue}/{first.id}.wav"
    assert f"the first is '{first.id}', its audio 'Session1/{file}'" in caplog.text
    assert "its path has backslashes" in caplog.text


def test_a_full_release_with_a_changed_label_is_warned_of(tmp_path, caplog):
    _, labels = full_release()
    session = labels.id.str[4]
    texts = {"dialogue": labels.id.str[:14], "speaker": labels.id.str[:5] + labels.id.str[15]}
    utterances = pd.DataFrame({"id": labels.id, "session": "Session" + session, **texts})
    utterances = utterances.assign(start_s=None, end_s=None, text="")
    empty = dict.fromkeys(("valence", "activation", "dominance", "agreement"))
    segments = utterances[["id"]].assign(seconds=1.0, source="x.wav", problem="", audio="")
    frames = {"utterances": utterances, "labels": labels.assign(raters=3, **empty)}
    frames |= {"segments": segments, "unread": pd.DataFrame(columns=list(tables.TABLES["unread"]))}
    given = {name: [] for name in ("utterances", "unread", "segments", "labels")}
    for (name, frame), number in itertools.product(frames.items(), "12345"):
        given[name].append(tmp_path / name / f"Session{number}.tsv")
        mine = frame[session == number] if len(frame) else frame
        tables.write(given[name][-1], mine, name)
    run_split(tmp_path / "exact", given)
    assert "NOT THE FULL RELEASE" not in caplog.text
    changed = tables.read(given["labels"][0], "labels")
    changed.loc[changed.code.eq("ang").idxmax(), "code"] = "xxx"
    tables.write(given["labels"][0], changed, "labels")
    run_split(tmp_path / "changed", given)
    assert "NOT THE FULL RELEASE: utterances of the code ang: 1102 here" in caplog.text
    assert "NOT THE FULL RELEASE" in (tmp_path / "changed" / "log").read_text()
