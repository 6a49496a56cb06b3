"""inspect on folders: a model, a bundle, results, and what of these no config makes."""

import functools
import shutil

import pytest
import yaml
from conftest import REPOSITORY
from studies import CLASSES, Study
from test_encoders import snapshot  # noqa: F401

from labelmer import inspection
from labelmer.prediction import bundle


@pytest.fixture(scope="module")
def study(tmp_path_factory, snapshot):  # noqa: F811
    """One run of full and one of old, reported."""
    made = Study(tmp_path_factory.mktemp("study"))
    made.encoder("fbank", "speech", "builtin:fbank")
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2)
    made.full = made.run("full", "fbank", "bert")
    made.report(made.full, made.run("old", "fbank", "bert", label_guidance=False))
    return made


@pytest.fixture
def config(tmp_path):
    """write(name, **sections): a config file for the study, demo.yaml but for these."""

    def write(name, **sections):
        made = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
        made["corpus"].update(name="tiny")
        made["encoders"]["bert"] = {"modality": "text", "source": "path:bert", "layer": 2}
        made["experiments"][0].update(text="bert", variants=["full"])
        path = tmp_path / name
        path.write_text(yaml.safe_dump({**made, **sections}))
        return path

    return write


@pytest.fixture
def said(said):
    """said(arguments): the error with which inspect ends."""
    return functools.partial(said, inspection.main)


def test_a_model(study, facts, said, tmp_path):
    found = facts(study.full)
    assert found["kind"] == "model" and found["classes"] == CLASSES
    assert found["run"] == "fbank bert frozen full 1 1"
    assert found["model"]["architecture"] == "label-guided" and found["model"]["width"] == 16
    assert found["encoders"][0] == "speech fbank (builtin:fbank, layer 0)"
    assert found["numbers"] > 1000
    broken = shutil.copytree(study.full, tmp_path / "broken")
    with (broken / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    assert "not a whole model" in said(broken)
    (broken / "config.json").write_text("{")
    assert "config.json: cannot be read, no whole JSON" in said(broken)


def test_an_encoder(study, facts):
    found = facts(study.snapshot("bert"))
    assert (found["kind"], found["model_type"], found["layers"]) == ("encoder", "bert", 3)


def test_a_snapshot_that_was_not_fetched_is_no_broken_model(snapshot, said):  # noqa: F811
    folder = snapshot("bert")
    assert "model_type 'bert') that was not fetched" in said(folder)
    assert f"source: path:{folder}" in said(folder) and "away" not in said(folder)


def test_a_bundle(study, facts, said, tmp_path, capsys):
    bundle.bundle([study.full], tmp_path / "m")
    found = facts(tmp_path / "m")
    assert found["kind"] == "bundle" and found["models"] == ["fold1.seed1"]
    assert found["encoders"][0] == "fbank (builtin:fbank, fetched)"
    assert found["encoders"][1].endswith("in the bundle)")
    inspection.main([str(tmp_path / "m")])
    assert "  bytes      " in capsys.readouterr().out
    (tmp_path / "m/models/full/fold1.seed1/config.json").unlink()
    assert "config.json: there is no such file" in said(tmp_path / "m")


def test_a_variant_and_what_is_but_a_part_of_something(study, facts, said, tmp_path):
    variant = study.full.parent
    bundle.bundle([study.full], tmp_path / "m")
    for folder in (variant, tmp_path / "m/models/full"):
        found = facts(folder)
        assert (found["kind"], found["runs"]) == ("variant", ["fold1.seed1"])
        assert found["classes"] == CLASSES and found["bytes"] > 1000
    for folder in (study.study / "models", variant.parent):
        text = said(folder)
        assert f"a part of the results {study.study}; give that folder, or {variant}\n" in text
    salience = study.study / "salience" / variant.relative_to(study.study / "models")
    assert f"{study.study}; give that folder, or {salience}/fold1.seed1/" in said(salience)
    features = study.corpus / "features/fbank/frozen"
    assert f"{study.corpus}; give that folder, or {features / 's.h5'}\n" in said(features)
    assert f"a part of the bundle {tmp_path / 'm'}; give that" in said(tmp_path / "m/encoders")
    assert f"give {study.folder / 'results'}\n" in said(study.folder)
    assert "of a model, a bundle or results give the folder" in said(tmp_path / "m/bundle.json")
    model = tmp_path / "m/models/full/fold1.seed1"
    (model / "config.json").write_text("{")
    assert "no whole JSON" in said(model) and "copy the bundle anew" in said(model)


def test_what_a_folder_has_not_is_refused(study, said, config):
    assert "a folder, which has no item 'u000'" in said(study.corpus, "u000")
    text = said(study.full, "--configfile", config("full.yaml"))
    assert f"--configfile with {study.full}, a model, expected a results folder" in text


def test_results_say_what_they_hold_and_what_is_best(study, facts, said, tmp_path):
    whole, corpus, alone = (
        facts(folder) for folder in (study.corpus.parent, study.corpus, study.study)
    )
    for found in (whole, corpus):
        assert {"tiny/segments", "tiny/features/fbank", "tiny/main/models"} <= found["holds"].keys()
    assert set(alone["holds"]) == {k for k in whole["holds"] if k.startswith("tiny/main/")}
    size = sum(path.stat().st_size for path in study.corpus.rglob("*") if path.is_file())
    assert whole["bytes"] == sum(whole["holds"].values()) == size
    assert "chosen by its test part" in whole["best"]["tiny/main"]
    assert " of 2 (fbank + bert, frozen)" in alone["best"]["tiny/main"]
    assert whole["unmade"] is None
    assert "neither a model, a bundle nor results" in said(tmp_path)


def test_what_no_config_makes_is_named_and_stays(study, facts, config, capsys):
    given = "--configfile", config("full.yaml")
    found = facts(study.corpus.parent, *given)["unmade"]
    runs = {
        f"tiny/main/{kind}/fbank+bert/frozen/old"
        for kind in ("models", "predictions", "perturbed", "salience")
    }
    assert found.keys() == runs
    old = ["old"]
    other = config(
        "old.yaml",
        variants={"old": {"label_guidance": False}},
        experiments=[{"speech": "fbank", "text": "bert", "mode": "frozen", "variants": old}],
    )
    assert facts(study.corpus.parent, *given, "--configfile", other)["unmade"] == {}
    elsewhere = config("study.yaml", study="elsewhere")
    assert facts(study.corpus.parent, "--configfile", elsewhere)["unmade"].keys() == {"tiny/main"}
    seeds = config("seeds.yaml", seeds=[2])
    found = facts(study.corpus.parent, "--configfile", seeds)["unmade"]
    assert "tiny/main/models/fbank+bert/frozen/full/fold1.seed1" in found
    inspection.main([str(study.corpus.parent), *map(str, given)])
    assert "frozen/old" in capsys.readouterr().out and study.full.exists()


def test_recognised_words_and_other_corpora_are_a_configs_too(study, facts, config, tmp_path):
    """What stands there when words are recognised and models tested elsewhere, as empty files."""
    results = shutil.copytree(study.corpus.parent, tmp_path / "results")
    run = "fbank+bert/frozen-recognised/full/fold1.seed1"
    made = [
        "tiny/transcripts/ears/s.tsv",
        "tiny/features/bert/frozen/transcripts/ears/s.h5",
        f"tiny/main/models/{run}/config.json",
        "tiny/main/reports/browser.json",
        "tiny/main/reports/recognition.tsv",
        "tiny/main/transfer/far/test.tsv",
        f"tiny/main/transfer/far/{run}.tsv",
        "far/segments/s.h5",
        "far/transcripts/ears/s.tsv",
        "far/features/bert/frozen/transcripts/ears/s.h5",
    ]
    for path in made:
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_text("x")
    other = yaml.safe_load(config("far.yaml").read_text())
    other["corpus"] = {"name": "far", "reader": "iemocap", "root": "elsewhere"}
    (tmp_path / "far.yaml").write_text(yaml.safe_dump(other))
    experiment = {"speech": "fbank", "text": "bert", "mode": "frozen", "variants": ["full"]}
    own = {**experiment, "variants": ["full", "old"]}
    heard = {**experiment, "words": "recognised"}
    ears = {"name": "ears", "source": "hub:a/b@" + "0" * 40}
    variants = {"full": {}, "old": {"label_guidance": False}}
    here = config(
        "here.yaml",
        test_on=[str(tmp_path / "far.yaml")],
        transcriber=ears,
        variants=variants,
        experiments=[own, heard],
    )
    assert facts(results, "--configfile", here)["unmade"] == {}
    less = config("less.yaml", variants=variants, experiments=[own])
    assert facts(results, "--configfile", less)["unmade"].keys() == {
        "tiny/transcripts/ears",
        "tiny/features/bert/frozen/transcripts/ears",
        "tiny/main/models/fbank+bert/frozen-recognised/full",
        "tiny/main/transfer/far",
        "far",
    }
    deaf = config(
        "deaf.yaml",
        test_on=[str(tmp_path / "far.yaml")],
        variants=variants,
        experiments=[own],
    )
    assert (
        "tiny/main/transfer/far/fbank+bert/frozen-recognised/full"
        in facts(results, "--configfile", deaf)["unmade"]
    )


def test_seeds_together_and_members_of_another_experiment_are_a_configs(facts, config, tmp_path):
    """What stands there of a late fusion of both, as empty files."""
    place = tmp_path / "results/tiny/main/predictions"
    (tmp_path / "results/tiny/segments").mkdir(parents=True)
    runs = {
        "fbank+bert/frozen/both": ("1+2", "1+2+3", "1"),
        "other+bert/frozen/text-only": ("1", "2", "3"),  # a member that no experiment lists
        "other+bert/frozen/speech-only": ("1",),
    }
    for run, seeds in runs.items():
        (place / run).mkdir(parents=True)
        for seed in seeds:
            (place / run / f"fold1.seed{seed}.tsv").touch()
    demo = yaml.safe_load(config("demo.yaml").read_text())
    experiment, encoders = demo["experiments"][0], demo["encoders"]
    both = {"product_of": ["full", "other+bert/frozen/text-only"], "seeds": "together"}
    wanted = config(
        "both.yaml",
        seeds=[1, 2],
        encoders={**encoders, "other": encoders["fbank"]},
        variants={**demo["variants"], "both": both},
        experiments=[{**experiment, "variants": ["both"]}, {**experiment, "speech": "other"}],
    )
    top = "tiny/main/predictions"
    assert facts(tmp_path / "results", "--configfile", wanted)["unmade"].keys() == {
        f"{top}/fbank+bert/frozen/both/fold1.seed1+2+3.tsv",
        f"{top}/fbank+bert/frozen/both/fold1.seed1.tsv",
        f"{top}/other+bert/frozen/text-only/fold1.seed3.tsv",
        f"{top}/other+bert/frozen/speech-only",
    }


def test_configs_are_merged_as_snakemake_merges_them(study, facts, config, said, tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text("study: elsewhere\n")
    told = study.corpus.parent, "--configfile", config("a.yaml"), more
    assert facts(*told)["unmade"].keys() == {"tiny/main"}
    assert "there is no such config file" in said(study.corpus, "--configfile", "gone.yaml")
    more.write_text("seeds: none\n")
    assert "the config is not valid" in said(*told)
