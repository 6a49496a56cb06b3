"""test_on: models tested on another corpus, through the whole workflow, and what runs again."""

import os
import shutil

import numpy as np
import pytest
import yaml
from conftest import Workspace, made_once, tiny_config, tiny_study
from corpora import turns_of, write_audio, write_release
from test_encoders import snapshot  # noqa: F401
from test_reruns import configure, swap

from labelmer.base import tables
from labelmer.report import columns
from labelmer.scores.accuracy import accuracies

pytestmark = pytest.mark.slow

VARIANTS = {
    "context": {"context_turns": 2},
    "speech-only": {"modalities": ["speech"]},
    "linear": {"architecture": "linear"},
    "metadata-only": {"architecture": "metadata"},
    "late-fusion": {"product_of": ["speech-only", "linear"]},
}
PLACE = "results/tiny/main/transfer/else"
RUNS = f"{PLACE}/fbank+minilm/frozen"
SHARED = ["angry", "sad"]
# {label: words} of the other corpus: of `joy` no model knows anything, and `none` is in no class.
LABELS = {"anger": "enough of this", "sorrow": "she is gone", "joy": "what a day", "none": "well"}


def write_other(folder):
    """A manifest of two sessions, each of one dialogue of two speakers, and its config."""
    rows = ["id\tpath\tspeaker\tsession\tdialogue\tlabel\ttext\tstart\tend"]
    for session in ("A", "B"):
        write_audio(folder / f"else/{session}.wav", 8.0, "noise")
        for turn in range(12):
            label = list(LABELS)[turn // 2 % 4]
            cells = f"{session}{turn % 2}", session, f"{session}-d", label, LABELS[label]
            times = f"{turn / 2 + 0.1}\t{turn / 2 + 0.5}"
            rows.append("\t".join((f"{session}-{turn:02d}", f"{session}.wav", *cells, times)))
    (folder / "else/manifest.tsv").write_text("\n".join(rows) + "\n")
    config = tiny_config()
    config["corpus"] = {"name": "else", "reader": "manifest", "root": "else/manifest.tsv"}
    config["labels"] = {
        "joyful": {"codes": ["joy"], "words": "joyful"},
        "sad": {"codes": ["sorrow"], "words": "sad"},
        "angry": {"codes": ["anger"], "words": "angry"},
    }
    config["folds"] = {"hold_out": "session", "validation": "dialogues", "fraction": 0.5}
    (folder / "else.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A workspace in which the whole workflow has run, without another corpus and then with it."""

    def make(folder):
        workspace = Workspace(folder)
        write_release(workspace.folder / "corpus", turns_of(sessions=2))
        config = tiny_study(VARIANTS)
        workspace.configure(config)
        workspace.snakemake()
        write_other(workspace.folder)
        workspace.configure({**config, "test_on": ["else.yaml"]})
        (workspace.folder / "first.txt").write_text(
            "\n".join(f"{a} {b}" for a, b in workspace.jobs())
        )
        workspace.snakemake()

    return made_once(tmp_path_factory, "cross", make)


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copied(tmp_path / "elsewhere")


def predictions(workspace, variant, fold=1):
    return tables.read(workspace.folder / RUNS / f"{variant}/fold{fold}.seed1.tsv", "predictions")


def rules_of(jobs):
    return {rule for rule, _ in jobs}


def test_another_corpus_reruns_nothing_of_its_own(finished):
    jobs = dict.fromkeys((finished.folder / "first.txt").read_text().splitlines())
    assert {name.split()[0] for name in jobs} == {
        *("utterances", "labels", "segment", "extract", "match", "transfer", "cross_corpus", "page")
    }
    assert not [job for job in jobs if "/else/" not in job and "/reports/" not in job]


def test_every_utterance_of_the_shared_classes_is_tested_and_the_others_are_named(finished):
    test = tables.read(finished.folder / PLACE / "test.tsv", "fold")
    assert set(test["label"]) == set(SHARED) and set(test["part"]) == {"test"} and len(test) == 16
    left_out = tables.read(finished.folder / PLACE / "left_out.tsv", "left_out")
    reasons = left_out["reason"].value_counts().to_dict()
    assert reasons == {"class 'joyful' is not shared": 4, "code none is in no class": 4}


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_model_predicts_the_shared_classes_alone(finished, variant):
    for fold in (1, 2):
        table = predictions(finished, variant, fold)
        p = table[["p_angry", "p_sad"]]
        assert [name for name in table if name.startswith("p_")] == list(p)
        np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
        assert sorted(table["id"]) == sorted(
            tables.read(finished.folder / PLACE / "test.tsv", "fold")["id"]
        )


def test_the_table_has_the_mean_over_models_beside_the_own_corpus(finished):
    table = columns.read(
        finished.folder / "results/tiny/main/reports/cross_corpus.tsv", "cross_corpus"
    )
    assert set(zip(table["variant"], table["tested_on"], strict=True)) == {
        (variant, corpus) for variant in VARIANTS for corpus in ("tiny", "else")
    }
    assert set(table["classes"]) == {"angry, sad"} and set(table["chance"]) == {0.5}
    assert set(table["not_tested"]) == {"happy, neutral"} and set(table["not_trained"]) == {
        "joyful"
    }
    there = table[table["tested_on"] == "else"].set_index("variant")
    assert set(there["utterances"]) == {16} and set(there["speakers"]) == {4}
    for variant in VARIANTS:
        found = [predictions(finished, variant, fold) for fold in (1, 2)]
        each = [accuracies(one["true"], one["predicted"]) for one in found]
        for name in ("ua", "wa"):
            assert there.loc[variant, name] == pytest.approx(np.mean([one[name] for one in each]))
    assert "tested on every utterance of else" in there["protocol"].iloc[0]
    own = table[table["tested_on"] == "tiny"]
    counted = tables.read_all(
        (finished.folder / "results/tiny/main/splits").glob("fold?.tsv"), "fold"
    )
    tested = counted[(counted["part"] == "test") & counted["label"].isin(SHARED)]
    assert set(own["utterances"]) == {len(tested)}
    page = (finished.folder / "results/tiny/main/reports/index.html").read_text()
    assert "On other corpora" in page and "without joyful, which no model knows" in page


# What runs again


def transfers(*variants):
    return {("transfer", f"{RUNS}/{v}/fold{fold}.seed1.tsv") for v in variants for fold in (1, 2)}


MATCHED = {("match", f"{PLACE}/test.tsv")}
TOLD = {
    ("cross_corpus", "results/tiny/main/reports/cross_corpus.tsv"),
    ("page", "results/tiny/main/reports/index.html"),
}


def test_nothing_runs_again(copy):
    assert copy.jobs() == set()


def test_a_corrected_label_there_tests_anew_and_trains_nothing(copy):
    swap(copy, "else/manifest.tsv", "\tsorrow\t", "\tanger\t")
    labels = {("labels", "results/else/labels/A.tsv")}
    assert copy.jobs() == labels | MATCHED | transfers(*VARIANTS) | TOLD


def test_other_audio_there_is_cut_and_extracted_for_its_session_alone(copy):
    os.utime(copy.folder / "else/B.wav", (0, 0))
    heard = {
        ("segment", "results/else/segments/B.h5"),
        ("extract", "results/else/features/fbank/frozen/B.h5"),
    }
    assert copy.jobs() == heard | MATCHED | transfers(*VARIANTS) | TOLD


def test_a_learning_rate_tests_the_networks_and_what_is_fused_of_them(copy):
    configure(copy, training={"learning_rate": 5.0e-4})
    jobs = copy.jobs()
    again = transfers("context", "speech-only", "late-fusion")
    assert {job for job in jobs if job[0] == "transfer"} == again and jobs >= TOLD
    assert not [job for job in jobs if job[1].startswith("results/else")]


def test_another_class_in_common_matches_and_tests_anew(copy):
    config = yaml.safe_load((copy.folder / "else.yaml").read_text())
    config["labels"]["happy"] = config["labels"].pop("joyful")
    (copy.folder / "else.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    assert copy.jobs() == MATCHED | transfers(*VARIANTS) | TOLD


def test_seeds_together_and_another_experiment_are_tested_there(copy):
    """By the names of the tables that are multiplied, there and on the own corpus."""
    config, members = copy.config(), ["linear", "other+minilm/frozen/linear"]
    own, fbank = config["experiments"][0], config["encoders"]["fbank"]
    configure(
        copy,
        seeds=[1, 2],
        encoders={"other": fbank},
        variants={"both": {"product_of": members, "seeds": "together"}},
        experiments=[
            {**own, "variants": ["linear", "both"]},
            {**own, "speech": "other", "variants": ["linear"]},
        ],
    )
    path = f"{RUNS}/both/fold1.seed1+2.tsv"
    _, said = copy.snakemake("--dry-run", "--printshellcmds", path)
    told = " ".join(said.split()).split(f"{path} --speech")[1]  # of that job's command
    for option, folder in (("predictions", "results/tiny/main/predictions"), ("members", PLACE)):
        assert told.split(f"--{option} ")[1].split(" --")[0].split() == [
            f"{folder}/{speech}+minilm/frozen/linear/fold1.seed{seed}.tsv"
            for speech in ("fbank", "other")
            for seed in (1, 2)
        ]
    both = {(rule, name) for rule, name in copy.jobs() if rule == "transfer" and "/both/" in name}
    assert both == {("transfer", f"{RUNS}/both/fold{fold}.seed1+2.tsv") for fold in (1, 2)}


def test_without_the_other_corpus_the_page_alone_runs_again(copy):
    configure(copy, test_on=[])
    assert copy.jobs() == {job for job in TOLD if job[0] == "page"}


def test_fine_tuned_encoders_read_the_other_corpus_too(copy, snapshot):  # noqa: F811
    for kind in ("wave", "bert"):
        shutil.copytree(snapshot({"wave": "wav2vec2-layer"}.get(kind, kind)), copy.folder / kind)
    speech = {"modality": "speech", "source": "path:wave", "layer": -1}
    text = {"modality": "text", "source": "path:bert", "layer": -1}
    experiment = {"speech": "wave", "text": "bert", "mode": "finetuned", "variants": ["linear"]}
    configure(copy, encoders={"wave": speech, "bert": text}, experiments=[experiment])
    copy.snakemake("splits")
    tuned = {path for rule, path in copy.jobs() if rule == "extract_finetuned_other"}
    assert tuned == {
        f"{PLACE}/features/{encoder}/finetuned/fold{fold}.seed1/{session}.h5"
        for encoder in ("wave", "bert")
        for fold in (1, 2)
        for session in ("A", "B")
    }
