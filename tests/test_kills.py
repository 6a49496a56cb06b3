"""kill -9 at random moments of the long stages, each as the workflow runs it: the same command, run
again, ends in the same bytes and leaves nothing else. And of the workflow itself."""

import importlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
import torch
from every_rule import jobs, weighed  # noqa: F401
from test_cross_corpus import finished as crossed  # noqa: F401
from test_encoders import snapshot  # noqa: F401
from test_faults import contents
from test_finetuned_workflow import finished as finetuned  # noqa: F401
from test_progress import heeding_ctrl_c
from test_reruns import finished  # noqa: F401
from test_transcribe_workflow import finished as transcribed  # noqa: F401

from labelmer.__main__ import VERBS
from labelmer.base.errors import STOPPED
from labelmer.base.lock import alone

pytestmark = pytest.mark.slow

KILLS = 20  # moments
LONG = ["segment", "transcribe", "finetune", "extract", "train", "evaluate", "linear", "transfer"]
LONG += ["tabulate", "browser"]
GO_ON = ["transcribe", "extract"]  # Snakemake leaves them what was there: update()
HISTORIES = b"speech\ttext\tmode\tvariant\tfold\tseed\tepoch", b"encoder\tfold\tseed\tepoch"
MEASURED = ["seconds", "waiting", "peak_memory_mb"]  # columns of a history that are of the machine


def of_all(folder):
    """What is in a folder, but for how long an epoch took and how much memory."""
    found = contents(folder)
    for path, content in found.items():
        if content.startswith(HISTORIES):
            table = pd.read_csv(StringIO(content.decode()), sep="\t")
            found[path] = table.drop(columns=MEASURED, errors="ignore").to_csv()
    return found


def check(folder, work, before=lambda: None, after=lambda: None):
    """Kill some work KILLS times, and then do it to its end: is the folder as it was without?

    before: what is done before each time; after: after each kill.
    """

    def alone():
        torch.set_num_threads(1)  # a forked process cannot use the parent's threads
        work()

    def anew():
        before()
        process = multiprocessing.get_context("fork").Process(target=alone)
        process.start()
        return process

    def to_the_end():
        process = anew()
        process.join()
        assert process.exitcode == 0
        return of_all(folder)

    begun = time.monotonic()
    expected, draw, killed = to_the_end(), random.Random(1), 0
    took = time.monotonic() - begun
    for _ in range(5 * KILLS):
        process, begun = anew(), time.monotonic()
        process.join(draw.uniform(0, took))
        if process.exitcode is None:
            process.kill()
            process.join()
            killed += 1
            after()
        else:  # it takes no longer
            took = min(took, time.monotonic() - begun)
        if killed == KILLS:
            break
    assert killed == KILLS
    assert to_the_end() == expected


def removed(paths):
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.mark.parametrize("rule", LONG)
def test_a_stage_killed_at_random_moments_ends_in_the_same_bytes(rule, jobs, tmp_path):  # noqa: F811
    job = jobs[rule]
    folder = job.workspace.copied(tmp_path / "work").folder
    verb, arguments = job.arguments()
    outputs = [folder / name for name in job.outputs]

    def work():
        os.chdir(folder)
        importlib.import_module(f"labelmer.{VERBS[verb][0]}").main(arguments)

    removed(outputs)
    # As Snakemake does with what is incomplete.
    check(folder / "results", work, lambda: rule in GO_ON or removed(outputs))
    assert [path for path in outputs if not path.exists()] == []


def test_a_bundle_killed_at_random_moments_is_whole_in_the_end(finished, tmp_path):  # noqa: F811
    run = finished.folder / "results/tiny/main/models/fbank+bert/frozen/full"
    out = tmp_path / "m"

    def work():
        importlib.import_module("labelmer.prediction.bundle").main([str(run), "-o", str(out)])

    def the_old_one_is_there():
        place = out if out.exists() else out.with_name("m.part") / "old"
        assert (place / "bundle.json").exists()

    work()
    check(tmp_path, work, after=the_old_one_is_there)


def started(workspace, *targets):
    """The workflow, begun from nothing in a process group of its own, with its jobs."""
    shutil.rmtree(workspace.folder / "results")
    command = [str(Path(sys.executable).with_name("snakemake")), "--configfile", "test.yaml"]
    return subprocess.Popen(
        [*command, "--cores", "2", *targets],
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": str(workspace.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heeding_ctrl_c,
    )


def broken_off(run, how, when):
    """Send a signal to a run and its jobs, as Ctrl-C does, or a failure of power; what it said."""
    while not when():
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, how)
    said, _ = run.communicate()
    assert run.returncode != 0
    return said


def is_whole(workspace, expected):
    """Is all made, as without, and nothing else there?"""
    unfinished = [p for p in workspace.folder.rglob("*") if p.suffix in (".part", ".lock", ".new")]
    assert (tables_of(workspace), unfinished) == (expected, [])
    return workspace.jobs() == set()


def test_a_workflow_that_was_killed_is_unlocked_and_goes_on(finished, tmp_path):  # noqa: F811
    workspace = finished.copied(tmp_path / "work")
    expected = tables_of(workspace)
    made = workspace.folder / "results/tiny/segments"
    broken_off(started(workspace), signal.SIGKILL, lambda: list(made.glob("*.h5")))
    for arguments, advice in (([], "--rerun-incomplete"), (["--rerun-incomplete"], "--unlock")):
        status, output = workspace.snakemake(*arguments, check=False)
        assert status == 1 and advice in output
    workspace.snakemake("--unlock")
    workspace.snakemake("--rerun-incomplete")
    assert is_whole(workspace, expected)


def test_a_workflow_after_ctrl_c_goes_on_by_the_same_command(finished, tmp_path):  # noqa: F811
    workspace = finished.copied(tmp_path / "work")
    expected, target = tables_of(workspace), "results/tiny/segments/Session1.h5"
    log = workspace.folder / "logs/tiny/segments/Session1.log"
    log.unlink()
    run = started(workspace, target)
    with alone(workspace.folder / target):  # so that its job is there until the signal comes
        said = broken_off(run, signal.SIGINT, lambda: log.exists() and "waiting" in log.read_text())
    assert STOPPED in said and STOPPED in log.read_text() and "Traceback" not in said
    workspace.snakemake()
    assert is_whole(workspace, expected)


def tables_of(workspace):
    """The tables of the reports."""
    folder = workspace.folder / "results/tiny/main/reports"
    return {path.name: path.read_bytes() for path in folder.glob("*.tsv")}
