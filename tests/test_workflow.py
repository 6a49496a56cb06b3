"""The workflow as people meet it: its errors, its warnings, its other protocols, its report."""

import re

import pytest
import yaml
from conftest import REPOSITORY, Workspace, tiny_config
from corpora import turns_of, write_release
from gpus import pretend

from labelmer.base import tables
from labelmer.base.ragged import Ragged

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path):
    """The repository's code with a tiny corpus, nothing run yet, and demo.yaml on that corpus."""
    made = Workspace(tmp_path / "work")
    write_release(made.folder / "corpus", turns_of())
    config = tiny_config()
    made.configure(config)
    return made


def configure(workspace, section, **values):
    config = workspace.config()
    config[section].update(values)
    workspace.configure(config)


def test_without_a_corpus_one_reads_where_to_put_it(workspace):
    status, output = workspace.snakemake("--dry-run", config="config.yaml", check=False)
    assert status == 1
    assert (
        "there is no 'IEMOCAP_full_release'" in output and "labelmer demo resources/demo" in output
    )
    assert "Traceback" not in output


def test_a_typo_in_the_config_stops_before_any_job(workspace):
    configure(workspace, "training", epoch=3)
    status, output = workspace.snakemake(check=False)
    assert status == 1 and "training: unknown keys ['epoch']" in output
    assert not (workspace.folder / "results").exists()


def test_networks_without_the_linear_baseline_are_warned_of(workspace):
    config = workspace.config()
    config["variants"]["plain"] = {"architecture": "linear"}
    for variants, said in (["full"], True), (["full", "plain"], False):
        config["experiments"] = [{**config["experiments"][0], "variants": variants}]
        workspace.configure(config)
        _, output = workspace.snakemake("--dry-run")
        assert ("no variant is of architecture: linear" in output) == said
    # One of other features tells nothing.
    config["encoders"]["other"] = {**config["encoders"]["fbank"], "dtype": "float32"}
    config["experiments"].append(
        {**config["experiments"][0], "speech": "other", "variants": ["full"]}
    )
    workspace.configure(config)
    _, output = workspace.snakemake("--dry-run")
    assert "on other and minilm, frozen, no variant is of architecture: linear" in output
    assert "on fbank and minilm" not in output


def test_a_class_twice_in_the_config_stops_before_any_job(workspace):
    path = workspace.folder / "test.yaml"
    text = path.read_text()
    line = text.count("\n", 0, text.index("  sad:")) + 2
    path.write_text(text.replace("  sad:", "  sad: {codes: [xxx]}\n  sad:", 1))
    status, output = workspace.snakemake(check=False)
    said = f"test.yaml:{line}: labels: 'sad' stands twice, first in line {line - 1}"
    assert status == 1 and said in output and "Traceback" not in output
    assert not (workspace.folder / "results").exists()


def test_a_label_that_only_looks_like_a_code_stops_before_any_job(workspace):
    rows = ["id\tpath\tspeaker\tsession\tlabel\ttext"]
    rows += [f"{s}\t{s}.wav\tp{s}\t{s}\t{'ang' if s < 'c' else 'Ang'}\t" for s in "abc"]
    (workspace.folder / "m.tsv").write_text("\n".join(rows) + "\n")
    configure(workspace, "corpus", reader="manifest", root="m.tsv")
    status, output = workspace.snakemake("--dry-run", check=False)
    assert status == 1 and "code 'ang' and the corpus' label 'Ang' differ only" in output


def test_a_config_of_the_folder_whose_aliases_explode_is_refused_at_once(workspace):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}" for i in range(1, 20)]
    (workspace.folder / "config.yaml").write_text("\n".join(lines))
    status, output = workspace.as_given(["--dry-run", "--cores", "1"], check=False)
    assert status == 1 and "values where each alias (*name) is what" in output


def test_a_folder_without_a_config_is_told_to_give_one(workspace):
    (workspace.folder / "config.yaml").unlink()
    status, output = workspace.as_given(["--dry-run", "--cores", "1"], check=False)
    assert status == 1 and "give your config by --configfile FILE" in output


def test_results_that_cannot_be_a_folder_stop_it_before_any_job(workspace):
    results = workspace.folder / "results"
    results.symlink_to("/nowhere/disk")
    status, output = workspace.snakemake("--dry-run", check=False)
    assert status == 1 and "results: a link to /nowhere/disk, which is not there; mount" in output
    results.unlink()
    results.touch()
    status, output = workspace.snakemake("--dry-run", check=False)
    assert status == 1 and "results: a file, expected a folder for the results" in output


@pytest.mark.parametrize("key", ["transcripts", "rationales"])
def test_a_table_that_is_not_there_stops_it_before_any_job(workspace, key):
    configure(workspace, "corpus", **{key: "absent.tsv"})
    status, output = workspace.snakemake(check=False)
    assert status == 1 and f"corpus: {key}: there is no file 'absent.tsv'" in output
    assert not (workspace.folder / "results").exists()


def test_a_line_that_cannot_be_read_is_said_by_the_job_that_reads_it(workspace):
    path = "corpus/Session2/dialog/EmoEvaluation/Ses02F_impro01.txt"
    file = workspace.folder / path
    file.write_text(file.read_text().replace("\tneu\t", " neu ", 1))
    folder = "results/tiny/labels"
    targets = [f"{folder}/Session1.tsv", f"{folder}/Session2.tsv"]
    status, output = workspace.snakemake("--keep-going", *targets, check=False)
    assert status == 1 and f"error: {path}:" in output and "correct the line" in output
    assert "Traceback" not in output
    assert [path.name for path in (workspace.folder / folder).iterdir()] == ["Session1.tsv"]


def test_a_release_without_its_audio_stops_before_any_job(workspace):
    (workspace.folder / "corpus/Session2/sentences").rename(workspace.folder / "elsewhere")
    status, output = workspace.snakemake("splits", check=False)
    assert status == 1 and "corpus/Session2/sentences/wav: nothing like" in output
    assert "Traceback" not in output
    assert not (workspace.folder / "results").exists()


def test_gpu_jobs_without_a_gpu_resource_are_warned_of(workspace):
    config = workspace.config()
    workspace.configure({**config, "gpu": True})
    warning = "no --resources gpu=1"
    assert warning in workspace.snakemake("--dry-run", gpu=False)[1]
    assert warning not in workspace.snakemake("--dry-run")[1]


def test_speakers_held_out_partners_validating_and_audio_cut_from_dialogues(workspace):
    configure(workspace, "corpus", audio="dialogues")
    configure(workspace, "folds", hold_out="speaker", validation="partner", shared_scripts="drop")
    workspace.snakemake("splits")
    results = workspace.folder / "results" / "tiny"
    audit = tables.read(results / "main" / "splits" / "audit.tsv", "audit")
    test = audit[audit["part"] == "test"]
    assert test["held_out"].tolist() == [f"Ses0{s}{letter}" for s in (1, 2, 3) for letter in "FM"]
    assert set(test["speakers_in_train"] + test["speakers_in_validation"]) == {0}
    utterances = tables.read(results / "utterances" / "Session1.tsv", "utterances")
    segments = Ragged(results / "segments" / "Session1.h5")
    for name, start, end in zip(
        utterances["id"], utterances["start_s"], utterances["end_s"], strict=True
    ):
        assert len(segments[name]) == pytest.approx((end - start) * 16_000, abs=1)


def test_a_subset_of_the_sessions_is_a_corpus_of_its_own(workspace):
    configure(workspace, "corpus", sessions=["Session1", "Session3"])
    configure(workspace, "folds", validation="dialogues", fraction=0.5)
    workspace.snakemake("splits")
    splits = sorted((workspace.folder / "results/tiny/main/splits").glob("fold*.tsv"))
    assert [p.name for p in splits] == ["fold1.tsv", "fold2.tsv"]
    first = tables.read(splits[0], "fold")
    assert set(first["session"]) == {"Session1", "Session3"}


@pytest.mark.parametrize("gpus", [1, 2])
def test_so_many_jobs_have_a_gpu_at_once_and_each_its_own(workspace, gpus):
    workspace.configure({**workspace.config(), "gpu": True})
    notes = pretend(workspace, at_once=gpus)
    given = ["features", "--configfile", "test.yaml", "--cores", "2", "--resources", f"gpu={gpus}"]
    workspace.as_given(given)
    taken = [line.split()[1] for line in notes.read_text().splitlines()]
    assert len(taken) == 6 and set(taken) == set("01"[:gpus])
    logs = (workspace.folder / "logs/tiny/features").rglob("*.log")
    assert ["is this process' own" in path.read_text() for path in logs] == [True] * 6


def test_the_scheduler_looks_at_the_jobs_when_one_has_ended_and_not_every_second(workspace):
    """Snakemake's own limit to jobs a second wakes it every second, once for each job so far."""
    _, output = workspace.snakemake("features", "--verbose")
    (jobs,) = re.findall(r"^(\d+) of \1 steps", output, re.M)
    assert output.count("Resources before job selection") <= int(jobs)


def test_on_slurm_short_jobs_are_submitted_together(workspace):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install '.[slurm]'")
    given = ["--dry-run", "--profile", "workflow/profiles/slurm", "--configfile", "test.yaml"]
    _, output = workspace.as_given(given)
    folds = {f"models.fold{fold}.seed1" for fold in (1, 2, 3)}
    groups = re.findall(r"Group job (\S+) ", output)
    sessions = {f"corpus.tiny.Session{session}" for session in (1, 2, 3)}
    assert set(groups) == folds | sessions | {"reports"}
    assert len(groups) < 15  # of 90 jobs; what is ready first may go first


def test_a_copy_of_the_profile_asks_for_what_another_cluster_has(workspace, tmp_path):
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install '.[slurm]'")
    profile = yaml.safe_load((REPOSITORY / "workflow/profiles/slurm/profile.yaml").read_text())
    profile["default-resources"] += ["slurm_partition=small", "slurm_account=me"]
    profile["set-resources"]["train"] = {"runtime": 2880, "mem_mb": 32000}
    del profile["group-components"]["models.fold{fold}.seed{seed}"]
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(profile))
    given = ["--dry-run", "--profile", str(tmp_path), "--configfile", "test.yaml"]
    _, output = workspace.as_given(given)
    asked = dict(re.findall(r"^ *rule (\w+):\n(?: .*\n)*? +resources: (.*)$", output, re.M))
    for rule, said in [
        ("train", "mem_mb=32000 runtime=2880 slurm_partition=small slurm_account=me"),
        ("evaluate", "mem_mb=2000 runtime=20 slurm_partition=small slurm_account=me"),
    ]:
        assert set(said.split()) <= set(asked[rule].split(", ")), asked[rule]
    assert output.count("Group job models.fold1.seed1 ") > 4  # each model by itself
