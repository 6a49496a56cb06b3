"""The demo on a real Slurm (cluster.py), held against a run without one: make test-slurm."""

import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise, product
from types import SimpleNamespace

import cluster
import pytest
import yaml
from conftest import REPOSITORY, Workspace
from gpus import pretend

from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged

pytestmark = pytest.mark.slurm


# One of each kind of job, as each job on Slurm starts a Snakemake of its own.
VARIANTS = {
    "full": {},
    "speech-only": {"modalities": ["speech"]},
    "late-fusion": {"product_of": ["full", "speech-only"]},
    "linear": {"architecture": "linear"},
}


def demo(folder):
    """A workspace with the demo corpus, which `make demo-corpus` has spoken, and its config."""
    made = Workspace(folder)
    shutil.copytree(REPOSITORY / "resources/demo", folder / "resources/demo")
    config = yaml.safe_load((folder / "demo.yaml").read_text())
    config["variants"] = VARIANTS
    config["experiments"][0]["variants"] = list(VARIANTS)
    config["training"] = {"epochs": 2, "updates": 1}
    made.configure(config)
    return made


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The folder of the demo after a run without Slurm."""
    made = demo(tmp_path_factory.mktemp("here") / "work")
    made.snakemake()
    return made.folder


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """The demo after a run on Slurm, one job of which was killed.

    Its folder, the session that was killed, how many features it left, accounting's rows, and the
    GPUs that the jobs saw.
    """
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="pip install '.[slurm]'")
    if cluster.why_not():
        pytest.skip(cluster.why_not())
    made = demo(tmp_path_factory.mktemp("there") / "work")
    folder, seen = made.folder, pretend(made)
    # One CPU for each submission, so that two run at once where there are but two.
    profile = folder / "workflow/profiles/slurm/profile.yaml"
    profile.write_text(re.sub(r": 4(?=\}|\n)", ": 1", profile.read_text()))
    command = [sys.executable, "-m", "snakemake", "--profile", "workflow/profiles/slurm"]
    command += ["--configfile", "test.yaml", "--config", "gpu=True"]
    command += ["--cores", "1", "--slurm-init-seconds-before-status-checks", "1"]
    said = folder.with_name("said.txt")
    with cluster.slurm() as gpus, said.open("w") as output:
        run = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=output,
        )
        try:
            killed, left = kill_an_extraction(folder, run)
            assert run.wait() == 0, said.read_text()[-5000:]
        finally:
            run.terminate()
            run.wait()
        jobs = accounted(gpus)
    return SimpleNamespace(folder=folder, killed=killed, left=left, jobs=jobs, seen=seen)


def kill_an_extraction(folder, run):
    """Kill a job that has kept features of some texts and not of all: its session, how many."""
    while run.poll() is None:
        for path in (folder / "results/demo/features/minilm/frozen").glob("*.h5.part"):
            session = path.name.removesuffix(".h5.part")
            job = job_of(f"rule_extract_wildcards_demo_minilm_{session}")
            if job is None:
                continue
            # It keeps what it has once a second, which is about what it takes: time passes while
            # it stands still.
            signal(job, "STOP")
            time.sleep(1.2)
            if some_kept(path):
                signal(job, "KILL")
                while asked("squeue", "--noheader", f"--jobs={job}", "--states=running"):
                    time.sleep(0.1)
                return session, int(Ragged(path).keys.any(axis=1).sum())
            signal(job, "CONT")
        time.sleep(0.1)
    pytest.fail("no extraction was found at work")


def job_of(comment):
    """The id of the job with a comment, which tells rule and wildcards; None if it has ended."""
    jobs = asked("squeue", "--noheader", "--format=%i %k")
    return next((line.split()[0] for line in jobs if line.endswith(f" {comment}")), None)


def signal(job, name):
    asked("scancel", f"--signal={name}", f"{job}.0")  # what works, not who waits for it


def some_kept(path):
    """Does an unfinished file hold some of its items, and not all?"""
    try:
        there = Ragged(path).keys.any(axis=1)
    except InputError:  # it has just been moved to its place
        return False
    return there.any() and not there.all()


def asked(*command):
    """The lines that a command prints."""
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def accounted(gpus):
    """Accounting's rows, each with the GPU that the job had, or "-"."""
    has = dict(line.split(" ") for line in gpus.read_text().splitlines())
    fields = ["JobID", "State", "Start", "End"]
    rows = [row.split("|") for row in asked("sacct", "-XnP", f"--format={','.join(fields)}")]
    return [{**dict(zip(fields, row, strict=True)), "GPU": has[row[0]]} for row in rows]


@pytest.mark.parametrize("kind", ["reports", "predictions", "perturbed", "splits"])
def test_its_tables_are_those_of_a_run_without_it(there, here, kind):
    def tables(folder):
        top = folder / "results/demo/main" / kind
        return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*.tsv")}

    assert tables(there.folder) == tables(here) and len(tables(here)) > 5


def test_each_gpu_had_one_job_at_a_time_and_both_were_used(there):
    for gpu in "01":
        times = sorted((job["Start"], job["End"]) for job in there.jobs if job["GPU"] == gpu)
        assert len(times) > 3
        assert all(end <= start for (_, end), (start, _) in pairwise(times))
    assert {job["GPU"] for job in there.jobs} == {"0", "1", "-"}
    first, second = ([job for job in there.jobs if job["GPU"] == gpu] for gpu in "01")
    assert any(
        a["Start"] < b["End"] and b["Start"] < a["End"] for a, b in product(first, second)
    )  # at once


def test_each_job_used_the_gpu_that_slurm_gave_it(there):
    given = {job["JobID"]: job["GPU"] for job in there.jobs}
    seen = [line.split() for line in there.seen.read_text().splitlines()]
    # The extraction of two encoders, that which was killed once more; two networks, each trained
    # and evaluated.
    assert len(seen) == 5 * 2 + 1 + 5 * 2 * 2
    assert all(given[job] == gpu for job, gpu in seen)


def test_a_killed_job_is_tried_again_and_goes_on_where_it_was(there):
    states = Counter(job["State"] for job in there.jobs)
    assert states == {"COMPLETED": len(there.jobs) - 1, "FAILED": 1}
    log = there.folder / f"logs/demo/features/minilm/frozen/{there.killed}.log"
    assert f"{there.left} items were left by an interrupted run" in log.read_text()


def test_short_jobs_go_together(there):
    # each session's tables and audio, and its features of two encoders, each fold's models, the
    # folds, the labels' rationales, all results, and what was killed
    assert len(there.jobs) == 5 * 3 + 5 + 3 + 1
