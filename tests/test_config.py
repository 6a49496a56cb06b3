"""What config.yaml may say, and what is said to people when it says something else."""

import copy
import functools
import re
from dataclasses import asdict

import pandas as pd
import pytest
import yaml
from conftest import REPOSITORY
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from labelmer import config
from labelmer.base import options
from labelmer.base.errors import InputError
from labelmer.config import documents, entries, files, presence, sections
from labelmer.corpus.readers import manifest
from labelmer.features.finetuning import FinetuningOptions

DEMO = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())


def changed(path, value):
    """demo.yaml with one value replaced; path is "key: key: key"."""
    given = copy.deepcopy(DEMO)
    *way, last = path.split(": ")
    at = given
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    return given


def complaint(given):
    with pytest.raises(InputError) as caught:
        config.check(given)
    return str(caught.value)


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml"])
def test_the_configs_of_the_repository_are_valid(name):
    config.check(yaml.safe_load((REPOSITORY / name).read_text()))


def test_the_blocks_of_the_readme_fit_into_the_config_for_iemocap():
    blocks = re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)
    given = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    assert len(blocks) == 2
    for block in blocks:
        config.check({**given, **yaml.safe_load(block)})


def test_the_evidence_is_the_demo_with_every_variant_of_the_config_for_iemocap():
    given, evidence, iemocap = (
        yaml.safe_load((REPOSITORY / name).read_text())
        for name in ("demo.yaml", "evidence.yaml", "config.yaml")
    )
    update_config(given, evidence)  # as --configfile demo.yaml evidence.yaml does
    config.check(given)
    assert given["variants"] == iemocap["variants"] and given["seeds"] == [1, 2, 3]
    (experiment,), (other,) = given["experiments"], iemocap["experiments"]
    assert experiment["variants"] == other["variants"]
    update_config(given, yaml.safe_load((REPOSITORY / "evidence-apart.yaml").read_text()))
    config.check(given)
    assert given["folds"]["scenarios"] == "apart" and given["study"] == "evidence-apart"


def test_the_config_for_iemocap_pins_every_encoder_and_has_every_variant_of_the_method():
    given = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    assert all("@" in e["source"] for e in given["encoders"].values())
    ran = set(given["experiments"][0]["variants"])
    assert (
        ran
        == set(given["variants"])
        >= {
            *("full", "no-label-guidance", "with-experts", "additive", "cross-attention"),
            *("concatenate", "speech-only", "text-only", "late-fusion"),
        }
    )


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("training: epoch", 3, "training: unknown keys ['epoch'], expected some of ['batch_size'"),
        ("model: wdith", 64, "model: unknown keys ['wdith']"),
        ("model: wdith", 64, "'width']; wdith may be width"),
        ("transcribr", {}, "'variants']; transcribr may be transcriber"),
        ("transcriber", [], "transcriber: [], expected one entry, with values for name and source"),
        ("variants: full", {"pooling": "max"}, "pooling: 'max', expected one of ['attention'"),
        ("variants: full", {"product_off": []}, "unknown keys ['product_off']"),
        ("folds: hold_out", "dialogue", "folds: hold_out: 'dialogue', expected one of"),
        ("corpus: reader", "msp", "corpus: reader: 'msp', expected one of ['iemocap', 'manifest']"),
        (
            "encoders: fbank: source",
            "fbank",
            "encoders: fbank: source: 'fbank', expected hub:OWNER/NAME@REV",
        ),
        ("encoders: fbank: source", "hub:a/b@main", "'hub:a/b@main', expected hub:OWNER/NAME@REV"),
        ("seeds", [1, 1], "seeds: 1 stands twice, expected each once"),
        ("labels", {"sad": {"codes": ["sad"]}}, "labels: ['sad'], expected 2 or more"),
        ("variants: late-fusion: seeds", "all", "seeds: 'all', expected one of ['together']"),
        (
            "variants: late-fusion: product_of",
            ["full", "speech-only", "full"],
            "late-fusion: product_of: 'full' stands twice, expected each once",
        ),
        ("seeds", [2**64], "seeds: 1: 18446744073709551616"),
        ("seeds", 1, "seeds: 1, expected a list"),
        ("training: epochs", 2.0, "epochs: 2.0, expected a whole number, without a point"),
        ("training: learning_rate", float("inf"), "learning_rate: inf, expected a number"),
        ("model: dropout", float("nan"), "dropout: nan, expected a number"),
        ("model: standardise", 1, "standardise: 1, expected true or false"),
        ("variants: full", None, "variants: full: None, expected keys with values ({} for none)"),
        (
            "corpus: name",
            2024,
            "corpus: name: 2024, expected text (put numbers, and words such as no",
        ),
        ("corpus: name", "a/b", "corpus: name: 'a/b', expected text of letters, digits"),
        ("corpus: name", "demo\n", "expected text of letters, digits"),
        ("study", "a/b", "study: 'a/b', expected text of letters, digits"),
        ("study", 6, "study: 6, expected text (put numbers, and words such as no"),
        ("labels: happy: codes", [], "labels: happy: codes"),
        ("experiments: 0: mode", "fine", "mode: 'fine', expected one of ['frozen', 'finetuned']"),
        ("finetuning", {"epoch": 3}, "finetuning: unknown keys ['epoch'], expected some of"),
        (
            "finetuning",
            {"warm_up": 2.0},
            "finetuning: warm_up: 2.0, expected a number from 0, up to 1",
        ),
        ("finetuning", {"dropout": 1}, "finetuning: dropout: 1, expected a number from 0, below 1"),
        (
            "finetuning",
            {"accumulation": 0},
            "finetuning: accumulation: 0, expected a whole number from 1",
        ),
        ("finetuning", {"freeze_front_end": 1}, "freeze_front_end: 1, expected true or false"),
    ],
)
def test_typos_are_refused_by_place_value_and_what_was_expected(path, value, said):
    assert said in complaint(changed(path, value))


def test_a_number_that_yaml_takes_for_text_is_explained():
    given = yaml.safe_load("learning_rate: 1e-4")
    said = complaint(changed("training", given))
    assert "learning_rate: '1e-4'" in said and "write 1.0e-4" in said


TRANSCRIBER = {"name": "tiny", "source": "path:tiny"}


@pytest.mark.parametrize("words", ["\u200b", "happy and excited", "Happy  and excited"])
def test_words_of_a_class_are_seen_and_its_own(words):
    said = complaint(changed("labels: angry: words", words))
    assert ("'angry'" in said or "labels: angry: words" in said) and "expected" in said


def with_words(mode="frozen", given=None, **sections):
    """demo.yaml with an experiment on recognised words. given: corpus: transcripts:"""
    made = changed("experiments: 0: words", "recognised")
    made["experiments"][0]["mode"] = mode
    if given:
        made["corpus"]["transcripts"] = given
    return made | sections


def test_words_are_recognised_by_a_transcriber_or_given_and_not_both():
    config.check(with_words(transcriber=TRANSCRIBER))
    config.check(with_words(given="words.tsv"))
    assert "words: recognised: there are none; add a transcriber" in complaint(with_words())
    both = with_words(given="words.tsv", transcriber=TRANSCRIBER)
    assert "corpus: transcripts: gives recognised words already; remove one" in complaint(both)
    tuned = with_words("finetuned", transcriber=TRANSCRIBER)
    assert "words: recognised: mode: finetuned fine-tunes" in complaint(tuned)


def test_an_experiment_stands_on_the_corpus_words_and_on_recognised_ones():
    given = with_words(transcriber=TRANSCRIBER)
    (recognised,) = given["experiments"]
    given["experiments"] = [{**recognised, "words": "corpus"}, recognised]
    config.check(given)
    filled = sections.with_defaults(given)
    modes = [entries.mode_of(experiment) for experiment in filled["experiments"]]
    assert modes == ["frozen", "frozen-recognised"]
    assert filled["transcriber"]["beam"] == 1 and filled["transcriber"]["no_speech"] == 0.6
    given["experiments"][0]["words"] = "recognised"
    assert "'frozen-recognised') stands twice" in complaint(given)


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("source", "builtin:fbank", "source: 'builtin:fbank', expected hub:OWNER/NAME@REVISION"),
        ("beam", 0, "beam: 0, expected a whole number from 1"),
        ("no_speech", 1.5, "no_speech: 1.5, expected a number from 0, up to 1"),
        ("name", "a/b", "name: 'a/b', expected text of letters"),
        ("name", "all.tsv", "name: 'all.tsv' may be another's file or unfinished folder"),
        ("langauge", "pl", "langauge may be language"),
        ("temperature", 0, "transcriber: unknown keys ['temperature']"),
    ],
)
def test_what_is_wrong_with_a_transcriber_is_named(key, value, said):
    assert said in complaint({**DEMO, "transcriber": {**TRANSCRIBER, key: value}})


def test_a_table_of_words_that_are_trained_on_must_be_whole(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("id\ttext\na\tthe dog\n")
    given = sections.with_defaults(with_words(given=str(path)))
    given["corpus"] = {"transcripts": str(path)}
    presence.check_recognised(given, lambda in_use: ["a"])
    with pytest.raises(InputError, match="has no row for 2 utterances: 'b', 'c'; expected one"):
        presence.check_recognised(given, lambda in_use: ["a", "b", "c"])


def misread(tmp_path, *texts):
    """What is said of config files with these texts."""
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        files.check_files(paths)
    return str(caught.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: 1\nb: 2\na: 3\n", ":3: 'a' stands twice, first in line 1"),
        ("a:\na: {b: 1}\n", ":2: 'a' stands twice"),
        (
            "labels:\n  other: {codes: [x]}\n  other: {codes: [y]}\n",
            ":3: labels: 'other' stands twice, first in line 2",
        ),
        ("l: {o: {c: [x], c: [y]}}\n", ":1: l: o: 'c' stands twice"),
        ("e:\n  - a: 1\n    a: 2\n", ":3: e: 1: 'a' stands twice"),
        ('l: {other: 1, "other": 2}\n', "l: 'other' stands twice"),
        ('l: {1: 1, "1": 2}\n', "l: '1' stands twice"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", ":2: b: '<<' stands twice"),
        ('{\n\t"a": 1,\n\t"a": 2}', ":3: 'a' stands twice"),
        ("labels: {no: {codes: [x]}}\n", ":1: labels: YAML reads the key no as False; put it in q"),
        ("labels:\n  on: {}\n", ":2: labels: YAML reads the key on as True"),
        ("labels: {~: {}}\n", "YAML reads the key ~ as None"),
        ("labels: {1: {}}\n", "YAML reads the key 1 as a number; put it in quotes"),
        ("labels: {2020-01-01: {}}\n", "YAML reads the key 2020-01-01 as 2020-01-01"),
        ("labels: {[a, b]: {}}\n", "labels: a key that is a list"),
        ("l: {c: [a, 01]}\n", ":1: l: c: 2: YAML reads 01 as 1; put it in quotes"),
        ("c: [1:30]\n", "YAML reads 1:30 as 90"),
        ("c: [0x1F]\n", "YAML reads 0x1F as 31"),
        ("c: [1_000]\n", "YAML reads 1_000 as 1000"),
        ("c: [1_0.5]\n", "YAML reads 1_0.5 as 10.5"),
        ("c: [2020-01-01]\n", "YAML reads 2020-01-01 as a date"),
        ("epochs: 010\n", ":1: epochs: YAML reads 010 as 8"),
        ("c:\n  name: !foo other\n", ":2: c: name: the tag !foo, expected none; put text in quot"),
        ("c: !!python/tuple [1]\n", ":1: c: the tag tag:yaml.org,2002:python/tuple"),
        ("a:\n  =: 1\n", ":2: a: YAML reads the key = as no text; put it in quotes"),
        ("c: [=]\n", ":1: c: 1: a = alone is no text; put it in quotes"),
        ('w: "sad \\ud83d"\n', ":1: w: U+D83D is half of a character"),
        ('"w\\ude00": 1\n', "U+DE00 is half of a character"),
        ('{"w": "\\ud83d\\ude00 \\ud83d"}', ":1: w: U+D83D is half of a character"),
    ],
)
def test_what_yaml_would_read_otherwise_is_named_with_file_and_line(tmp_path, text, said):
    assert said in misread(tmp_path, text)
    assert f"{tmp_path}/1.yaml:" in misread(tmp_path, "a: 1\n", text)


def test_a_config_in_another_encoding_is_named(tmp_path):
    (tmp_path / "a.yaml").write_bytes("labels: # für\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.yaml: no text in UTF-8 \(byte 0xFC\)"):
        files.check_files([tmp_path / "a.yaml"])


def test_several_files_may_say_the_same_key_and_aliases_and_merges_are_no_doubles(tmp_path):
    texts = [
        "a: 1\n",
        "a: &x {b: 1}\nc: *x\nd: {<<: *x, b: 2}\ne: ['01', 1e3, 1.0e-3, .5, -1]\n",
        "",
    ]
    paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    files.check_files(paths)
    files.check_files(REPOSITORY.glob("*.yaml"))


@pytest.mark.parametrize("codes", ["[no]", "[1]", "[1.5]", "[~]", "[2020-01-01]", "[{a: 1}]"])
def test_a_code_that_yaml_took_for_something_else_is_to_be_quoted(codes):
    given = changed("labels: sad: codes", yaml.safe_load(codes))
    assert "labels: sad: codes: 1: " in complaint(given)
    assert "expected text (put numbers, and words such as no, on and null, in quotes)" in complaint(
        given
    )


@pytest.mark.parametrize("section", ["training", "model", "labels", "variants", "encoders"])
def test_a_section_with_nothing_in_it_is_named(section):
    assert f"{section}: None, expected keys with values" in complaint(changed(section, None))


def test_a_key_that_is_no_text_is_refused_wherever_it_comes_from():
    given = changed("labels", {**DEMO["labels"], False: {"codes": ["x"]}})
    assert "labels: False, expected text" in complaint(given)


@pytest.mark.parametrize("section, name", [("labels", "Sad"), ("variants", "FULL")])
def test_names_that_differ_in_case_only_are_refused(section, name):
    given = changed(section, {**DEMO[section], name: DEMO[section][name.lower()]})
    if section == "labels":
        given["labels"][name] = {**given["labels"][name], "codes": ["x"]}
    said = f"{section}: '{name}' and '{name.lower()}' differ in case only; rename one of them"
    assert said in complaint(given)


@pytest.mark.parametrize("name", ["labels", "segments", "Features"])
def test_a_study_is_not_called_as_a_folder_that_all_studies_share(name):
    assert f"study: '{name}' is a folder of what all studies" in complaint(changed("study", name))
    config.check(changed("study", f"{name}-6"))


def test_a_code_that_the_corpus_spells_otherwise_is_refused():
    labels = {"angry": {"codes": ["ang", "\u00e4rger"]}, "sad": {"codes": ["sad", "Sad"]}}
    presence.check_codes(labels, ["ang", "sad", "Sad", "other"], True)
    with pytest.raises(
        InputError, match=r"angry: code 'ang' and the corpus' label 'Ang' differ on"
    ):
        presence.check_codes(labels, ["Ang", "ang"], True)
    with pytest.raises(InputError, match=r"U\+00E4 against U\+0061 U\+0308"):
        presence.check_codes(labels, ["a\u0308rger"], True)


def test_a_class_without_a_code_of_the_corpus_is_refused_with_the_codes_that_there_are():
    labels = {"angry": {"codes": ["angre"]}, "sad": {"codes": ["sad"]}}
    words = r"no utterance of the class 'angry', codes \['angre'\]; the corpus has the codes"
    with pytest.raises(InputError, match=rf"{words} \['anger', 'sad'\]; correct the codes"):
        presence.check_codes(labels, ["sad", "anger"], True)
    presence.check_codes(labels, ["sad", "anger"], False)  # of a corpus that is only tested on


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("experiments: 0: speech", "wavlm", "'wavlm' is not defined, expected one of ['fbank'"),
        ("experiments: 0: speech", "minilm", "'minilm' is a text encoder, expected one of"),
        ("experiments: 0: variants", ["fulll"], "'fulll' is not defined, expected one of ['add"),
        (
            "variants: late-fusion: product_of",
            ["speech-only", "x"],
            "product_of: 'x' is not defined",
        ),
        ("variants: twice", {"product_of": ["late-fusion", "full"]}, "is a late fusion itself"),
        (
            "variants: late-fusion: product_of",
            ["full"],
            "product_of: ['full'], expected 2 or more, or seeds: together beside it",
        ),
        (
            "variants: late-fusion: seeds",
            "together",
            "variants: late-fusion: seeds: together multiplies the models of all seeds, and seeds: "
            "[1] is one; add seeds",
        ),
        (
            "variants: late-fusion: product_of",
            ["full", "fbank+bert/frozen/full"],
            "product_of: experiment: 'fbank+bert/frozen' is not defined, expected one of "
            "['fbank+minilm/frozen']",
        ),
        (
            "variants: late-fusion: product_of",
            ["full", "fbank+minilm/frozen/fulll"],
            "product_of: 'fulll' is not defined",
        ),
        (
            "variants: late-fusion: product_of",
            ["full", "fbank+minilm/frozen/full"],
            "'fbank+minilm/frozen/full' stands twice in that experiment, expected each once",
        ),
        (
            "variants: self",
            {"product_of": ["self", "full"]},
            "variants: self: product_of: it names",
        ),
        (
            "variants: like",
            {"architecture": "linear", "width": 64, "heads": 2},
            "variants: like: ['heads', 'width'] say nothing to architecture linear, expected some",
        ),
        (
            "variants: alone",
            {"modalities": ["speech"], "pooling": "mean", "label_guidance": False},
            "variants: alone: ['pooling', 'label_guidance'] do nothing beside its other options",
        ),
        (
            "variants: unheard",
            {"expert_pooling": "mean"},
            "variants: unheard: ['expert_pooling'] do nothing beside its other options",
        ),
        ("model: width", 66, "variants: full: model: width 66 is no multiple of heads 4"),
        ("labels: sad: codes", ["ang"], "code 'ang' stands in 'angry' and in 'sad'"),
        ("folds: validation", "partner", "partner does not go with hold_out: session, expected"),
        ("folds: fraction", 0.2, "fraction goes with validation: dialogues"),
        ("folds: folds", 5, "folds: folds goes with hold_out: speakers; remove it, or change"),
        ("folds: parts", "p.tsv", "folds: parts goes with hold_out: part"),
        ("folds: scenario_groups", 5, "folds: scenario_groups goes with scenarios: apart"),
        ("folds: validation", "speakers", "speakers does not go with hold_out: session"),
        ("folds: hold_out", "speakers", "session does not go with hold_out: speakers, expected"),
        ("folds: hold_out", "part", "validation: hold_out: part says itself what validates"),
        ("folds: scenarios", "alone", "scenarios: 'alone', expected one of ['shared', 'apart']"),
        ("folds", {"hold_out": "speakers", "folds": 2}, "folds: folds: expected three or more"),
        (
            "folds",
            {"hold_out": "session", "validation": "dialogues", "scenarios": "apart"},
            "scenarios: apart does not go with validation: dialogues",
        ),
        (
            "folds",
            {"hold_out": "session", "scenarios": "apart", "scenario_groups": [["a"], ["b", "c"]]},
            "scenario_groups: [['a'], ['b', 'c']], expected 3 or more",
        ),
        (
            "folds",
            {"hold_out": "session", "scenarios": "apart", "scenario_groups": "five"},
            "'five', expected a number from 3 (one group tests, one validates, the rest trains),",
        ),
        *(
            (
                "folds",
                {"hold_out": "session", "scenarios": "apart", "scenario_groups": groups},
                f"folds: scenario_groups: {said}",
            )
            for groups, said in (
                (2, "2, expected a number from 3"),
                (False, "False, expected a number from 3"),
                ({"a": ["x"]}, "{'a': ['x']}, expected a number from 3"),
                ([7, 2], "2: 2, expected a list"),
                ([["a"], [], ["b"]], "2: [], expected 1 or more"),
                ([["a"], ["b"], [False]], "3: 1: False, expected text (put numbers, and words"),
                ([["a"], ["b"], {"c": 1}], "3: {'c': 1}, expected a list"),
            )
        ),
        (
            "folds",
            {"hold_out": "part", "shared_scripts": "drop"},
            "drop would change the parts of hold_out: part",
        ),
        ("encoders: minilm", {"modality": "text", "source": "path:x"}, "layer is missing"),
        ("encoders: minilm: dtype", "float8", "dtype: 'float8', expected one of ['float16', "),
        ("encoders: minilm: precision", "half", "precision: 'half', expected one of ['float32', "),
        ("encoders: fbank: precision", "bfloat16", "fbank: precision goes with networks; remove"),
        (
            "encoders: fbank: source",
            "builtin:mfcc",
            "fbank: source: 'builtin:mfcc', expected one of ['builtin:egemaps', 'builtin:fbank']",
        ),
        ("encoders: minilm: windows", 20, "minilm: unknown keys ['windows'], expected some of"),
        ("encoders: minilm: window_s", 0, "minilm: window_s: 0, expected a number from 1"),
        (
            "encoders: minilm: window_s",
            20,
            "minilm: window_s goes with wav2vec2-BERT and wav2vec 2.0",
        ),
        ("encoders: fbank: rate_hz", 50, "fbank: rate_hz goes with features made elsewhere"),
        ("encoders: fbank: modality", "text", "builtin:fbank is a filterbank, for speech; correct"),
        (
            "encoders: fbank: window_s",
            20,
            "fbank: window_s goes with wav2vec2-BERT and wav2vec 2.0",
        ),
        ("encoders: minilm: silence", "full", "minilm: silence goes with Whisper's encoder"),
        ("encoders: fbank: silence", "none", "fbank: silence goes with Whisper's encoder"),
        ("encoders: fbank: silence", False, "False, expected one of ['full', 'compact', 'none']"),
        (
            "experiments: 0: mode",
            "finetuned",
            "experiments: 1: speech: 'fbank' is builtin:fbank, which has nothing to fine-tune; "
            "expected an encoder with weights, or mode: frozen",
        ),
    ],
)
def test_names_that_nothing_defines_are_refused_with_what_was_expected(path, value, said):
    assert said in complaint(changed(path, value))


def test_a_readers_own_key_is_checked():
    said = complaint(changed("corpus: audio", "both"))
    assert "corpus: audio: 'both', expected one of ['sentences', 'dialogues']" in said


def test_what_a_manifest_says_itself_is_not_in_the_config():
    given = changed(
        "corpus", {"name": "x", "reader": "manifest", "root": "x.tsv", "audio": "dialogues"}
    )
    assert "audio goes with reader: iemocap" in complaint(given)


@pytest.mark.parametrize(
    "parts", [["full", "speech-only"], ["full", "speech-only", "linear"], ["linear", "full"]]
)
def test_a_late_fusion_takes_two_or_more_of_any_modality(parts):
    config.check(changed("variants: late-fusion: product_of", parts))


def test_a_late_fusion_takes_models_of_all_seeds_and_of_another_experiment():
    given = changed("seeds", [2, 1])
    given["encoders"]["other"] = given["encoders"]["fbank"]
    given["variants"]["full-seeds"] = {"product_of": ["full"], "seeds": "together"}
    given["variants"]["both"] = {"product_of": ["full", "other+minilm/frozen/full"]}
    experiment = given["experiments"][0]
    experiment["variants"] = ["full", "full-seeds", "both"]
    given["experiments"].append({**experiment, "speech": "other", "variants": ["additive"]})
    config.check(given)
    home = entries.name_of(experiment)
    assert entries.members_of(given, "both", home) == [
        (home, "full"),
        ("other+minilm/frozen", "full"),
    ]
    assert entries.seeds_of(given, "full-seeds") == ["1+2"]
    assert entries.seeds_of(given, "both") == ["2", "1"]


def test_the_baseline_needs_no_words_of_labels_and_ignores_what_the_networks_have_in_common():
    given = changed("model: label_start", {"text": "words"})
    given["variants"] = {"linear": {"architecture": "linear"}}
    given["experiments"][0]["variants"] = ["linear"]
    del given["labels"]["sad"]["words"]
    config.check(given)


def test_every_option_of_fine_tuning_is_known_to_the_schema_and_its_default_allowed():
    config.check(changed("finetuning", asdict(FinetuningOptions())))


def test_sections_with_defaults_may_be_left_out():
    given = copy.deepcopy(DEMO)
    del given["model"], given["training"]
    config.check(given)


def test_words_that_label_embeddings_start_from_must_be_there():
    given = changed("variants: full", {"label_start": {"text": "words"}})
    config.check(given)
    del given["labels"]["sad"]["words"]
    assert "labels: ['sad'] have no words, and the variants ['full']" in complaint(given)


def test_every_problem_is_said_at_once():
    given = changed("experiments: 0: speech", "wavlm")
    given["experiments"][0]["text"] = "bert"
    assert complaint(given).count("is not defined") == 2


def test_a_missing_corpus_says_where_to_put_it_and_how_to_do_without(tmp_path):
    with pytest.raises(InputError) as caught:
        presence.sessions({"reader": "iemocap", "root": str(tmp_path / "none")}, "session")
    said = str(caught.value)
    assert (
        "Session1 ... Session5" in said
        and "labelmer demo resources/demo" in said
        and str(tmp_path) in said
    )


def test_a_session_that_the_corpus_lacks_is_named(tmp_path):
    for number in (1, 2):
        (tmp_path / f"Session{number}").mkdir()
    corpus = {"reader": "iemocap", "root": str(tmp_path)}
    assert presence.sessions(corpus, "session") == ["Session1", "Session2"]
    with pytest.raises(
        InputError, match=r"'Session9' is not defined, expected one of \['Session1'"
    ):
        presence.sessions({**corpus, "sessions": ["Session1", "Session9"]}, "session")


def test_two_folders_of_one_session_are_refused_unless_one_is_chosen(tmp_path):
    for name in ("Session1", "Session1_old", "Session2"):
        (tmp_path / name).mkdir()
    corpus = {"reader": "iemocap", "root": str(tmp_path)}
    with pytest.raises(InputError, match="'Ses01F' stands in 'Session1' and in 'Session1_old'"):
        presence.sessions(corpus, "session")
    for hold_out in ("speakers", "part"):  # who stands where is not for sessions to say
        assert len(presence.sessions(corpus, hold_out)) == 3
    chosen = {**corpus, "sessions": ["Session1", "Session2"]}
    assert presence.sessions(chosen, "session") == ["Session1", "Session2"]


def test_a_path_in_other_case_or_with_backslashes_is_said_to_be_so(tmp_path):
    (tmp_path / "My.tsv").touch()
    with pytest.raises(InputError, match="spelt otherwise there"):
        presence.sessions({"reader": "manifest", "root": str(tmp_path / "my.tsv")}, "session")
    with pytest.raises(InputError, match="backslashes"):
        presence.check_given({"corpus": {"rationales": f"{tmp_path}\\My.tsv"}, "folds": {}})


def test_a_missing_table_of_recognised_words_says_what_is_expected(tmp_path):
    given = {"corpus": {"transcripts": str(tmp_path / "words.tsv")}, "folds": {}}
    with pytest.raises(InputError) as caught:
        presence.check_given(given)
    said = str(caught.value)
    assert f"corpus: transcripts: there is no file '{tmp_path}/words.tsv'" in said
    assert "a TSV with the columns id and text" in said and "remove the key" in said
    (tmp_path / "words.tsv").touch()
    presence.check_given(given)
    presence.check_given({"corpus": {}, "folds": {}})
    parts = {"corpus": {}, "folds": {"parts": str(tmp_path / "parts.tsv")}}
    with pytest.raises(InputError, match=r"folds: parts: there is no file .* id, fold and part"):
        presence.check_given(parts)


def of_manifest(tmp_path, folds, sessions=("a", "b", "c"), **columns):
    """presence.check_folds of a manifest with two utterances of each of three sessions.

    columns: further ones of the manifest, six cells each.
    """
    rows = {"id": [f"u{n}" for n in range(6)], "path": ["x.wav"] * 6, "text": [""] * 6}
    rows |= {"speaker": ["p", "q", "r", "s", "t", "u"], "session": ["a", "a", "b", "b", "c", "c"]}
    rows |= {"label": ["ang", "sad", "ang", "sad", "ang", "xxx"], **columns}
    root = tmp_path / f"m{len(list(tmp_path.iterdir()))}.tsv"
    pd.DataFrame(rows).to_csv(root, sep="\t", index=False)
    labels = {"angry": {"codes": ["ang"]}, "sad": {"codes": ["sad"]}}
    given = {"corpus": {"reader": "manifest", "root": str(root)}, "labels": labels, "folds": folds}
    utterances_of = functools.partial(manifest.utterances, str(root))
    return presence.check_folds(given, sessions, lambda session: utterances_of(session)[0])


def parts_of(tmp_path, *rows):
    path = tmp_path / "parts.tsv"
    path.write_text("".join("\t".join(row.split()) + "\n" for row in ("id fold part", *rows)))
    return {"hold_out": "part", "parts": str(path)}


APART = {"hold_out": "session", "scenarios": "apart"}
SCENARIOS = {"scenario": ["x", "y", "z", "x", "y", "w"]}  # u5, of no class, alone has w
WHOLE = ("u0 1 train", "u1 1 validation", "u2 1 test")


def test_how_many_folds_a_corpus_makes(tmp_path):
    assert of_manifest(tmp_path, {"hold_out": "session"}) == 3
    assert of_manifest(tmp_path, {"hold_out": "speaker"}) == 6
    assert of_manifest(tmp_path, {"hold_out": "speakers", "folds": 5}) == 5
    assert of_manifest(tmp_path, {**APART, "scenario_groups": 3}, **SCENARIOS) == 9
    assert of_manifest(tmp_path, {"hold_out": "part"}, part=["train", "validation", *["test"] * 4])
    again = [row.replace(" 1 ", " 2 ") for row in ("u1 1 train", "u2 1 validation", "u0 1 test")]
    assert of_manifest(tmp_path, parts_of(tmp_path, *WHOLE, *again)) == 2


@pytest.mark.parametrize(
    ("folds", "columns", "said"),
    [
        (
            {"hold_out": "speakers", "folds": 6},
            {},
            r"the classes are \['p', .*'t'\], 5 in all; ask",
        ),
        (
            APART,
            {},
            r"needs the scenario of every utterance; id 'u0' has none .* column scenario\)",
        ),
        (APART, SCENARIOS, r"3 scenarios \(x, y, z\) cannot make 5 groups; ask for 3 groups or"),
        (
            {**APART, "scenario_groups": [["x"], ["y"], ["z", "w"]]},
            SCENARIOS,
            r"scenario_groups: \['w'\] stand at no utterance of the classes",
        ),
        ({"hold_out": "part"}, {}, "no utterance of the sessions in use has a part; give a table"),
    ],
)
def test_a_corpus_that_cannot_be_split_so_is_refused_before_anything_runs(
    tmp_path, folds, columns, said
):
    with pytest.raises(InputError, match=said):
        of_manifest(tmp_path, folds, **columns)


def test_a_given_table_of_parts_is_held_against_all_sessions_before_anything_runs(tmp_path):
    folds = parts_of(tmp_path, *WHOLE, "u4 1 train")
    assert of_manifest(tmp_path, folds, sessions=("a", "b")) == 1  # u4 is of the session left out
    with pytest.raises(InputError, match=r"parts.tsv:5: id 'u9' is no utterance of the corpus"):
        of_manifest(tmp_path, parts_of(tmp_path, *WHOLE, "u9 1 train"))
    with pytest.raises(InputError, match=r"parts.tsv:5: fold is 3, .* expected 1, 2 and so on"):
        of_manifest(tmp_path, parts_of(tmp_path, *WHOLE, "u2 3 test"))


def test_the_folder_of_an_encoder_that_is_not_there_is_named():
    demo = copy.deepcopy(DEMO)
    demo["encoders"]["minilm"]["source"] = "path:nowhere"
    with pytest.raises(InputError, match="encoders: minilm: source: there is no folder 'nowhere'"):
        presence.check_sources(demo)
    demo["encoders"]["unused"] = demo["encoders"].pop("minilm")
    demo["experiments"][0]["text"] = "fbank"
    presence.check_sources(demo)


def test_a_transcriber_that_is_no_whole_checkpoint_is_refused_before_anything_runs(tmp_path):
    demo = changed("transcriber", {"name": "heard", "source": f"path:{tmp_path / 'none'}"})
    with pytest.raises(InputError, match="transcriber: source: there is no folder"):
        presence.check_sources(demo)
    demo["transcriber"]["source"] = f"path:{tmp_path}"
    with pytest.raises(InputError, match=r"^transcriber: source: /.*config\.json: .*take a whole"):
        presence.check_sources(demo)
    (tmp_path / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(InputError, match=r"^transcriber: source: .*an encoder alone, expected its"):
        presence.check_sources(demo)


def test_an_encoder_called_like_the_unfinished_folder_of_another_is_refused():
    given = changed("encoders: fbank.part", DEMO["encoders"]["fbank"])
    assert "encoders: fbank.part: 'fbank.part' may be another's file or unf" in complaint(given)


def test_what_an_encoder_does_anyway_may_be_written_down():
    plain = {"modality": "speech", "source": "path:x", "layer": 3}
    written = {**plain, "window_s": 60, "silence": "compact", "dtype": "float16"}
    written["precision"] = "float32"
    assert entries.encoding(written) == entries.encoding(plain) == {"layer": 3}
    assert entries.encoding({**plain, "silence": "full"}) == {"layer": 3, "silence": "full"}
    assert entries.encoding({**plain, "window_s": 30}) == {"layer": 3, "window_s": 30}


def test_the_schema_and_the_tables_of_the_documentation_are_those_of_the_code():
    """`labelmer options .` makes them."""
    assert (REPOSITORY / documents.SCHEMA).read_text() == documents.schema_text()
    page, corpora = (
        (REPOSITORY / path).read_text() for path in (documents.PAGE, documents.CORPORA)
    )
    assert page == documents.page_text(page) and corpora == documents.page_text(corpora)
    assert [mark[1] for mark in documents.MARKED.finditer(corpora)] == ["recipes", "trees"]
    tables = set(sections.sections()) | {"architectures"}
    assert {mark[1] for mark in documents.MARKED.finditer(page)} == tables


def test_the_command_writes_them_anew(tmp_path):
    page = (REPOSITORY / documents.PAGE).read_text()
    corpora = (REPOSITORY / documents.CORPORA).read_text()
    given = {
        documents.SCHEMA: "",
        documents.PAGE: page.replace("`label_loss`", ""),
        documents.CORPORA: corpora.replace("1,440", ""),
    }
    for path, text in given.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    documents.main([str(tmp_path)])
    for path in given:
        assert (tmp_path / path).read_text() == (REPOSITORY / path).read_text()


def rules_of(schema):
    """The rules within a schema, all of them."""
    if isinstance(schema, list):
        return [rules for part in schema for rules in rules_of(part)]
    keys = schema.get("properties", {}).values()
    inner = [
        of for name, of in schema.items() if name in ("additionalProperties", "items", "anyOf")
    ]
    parts = [part for part in (*keys, *inner) if isinstance(part, dict | list)]
    return [schema, *rules_of(parts)]


def test_editors_can_read_the_schema():
    words = set(Draft202012Validator.VALIDATORS) | {"$schema", "description", "default", "examples"}
    found = rules_of(yaml.safe_load(documents.schema_text()))
    assert len(found) > 100 and set().union(*found) <= words
    for pattern in (rules["pattern"] for rules in found if "pattern" in rules):
        assert pattern.startswith("^") and pattern.endswith("$") and "\\Z" not in pattern


def test_the_schema_is_one_and_lets_the_configs_of_the_repository_through():
    schema = yaml.safe_load(documents.schema_text())
    Draft202012Validator.check_schema(schema)
    for name in ("config.yaml", "demo.yaml"):
        given = yaml.safe_load((REPOSITORY / name).read_text())
        assert list(Draft202012Validator(schema).iter_errors(given)) == []
    for path, value in (("training: epochs", 0), ("corpus: name", "a/b"), ("folds: hold_out", 1)):
        assert list(Draft202012Validator(schema).iter_errors(changed(path, value)))


@pytest.mark.parametrize("name", sections.sections())
def test_every_default_and_example_is_one_that_its_rules_let_through(name):
    for key, rules in sections.sections()[name]["properties"].items():
        assert rules["description"]
        for value in (rules.get(word, None) for word in ("default", "example")):
            assert value is None or list(options.check(rules, value, key)) == []
        bad = object()
        assert list(options.check(rules, bad, key))  # there is a rule


def test_defaults_are_filled_in_and_what_is_given_stays():
    whole = sections.with_defaults(DEMO)
    assert (whole["study"], whole["gpu"], whole["model"]) == ("main", False, DEMO["model"])
    assert whole["training"]["updates"] == DEMO["training"]["updates"]
    assert whole["training"]["refit"] is True and whole["folds"]["fraction"] == 0.2
    for section in ("corpus", "encoders"):  # a reader's and a family's defaults are theirs
        assert whole[section] == DEMO[section]
