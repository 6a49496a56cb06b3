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
from jobs import IMPORTED
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
from labelmer.prediction import bundle

pytestmark = pytest.mark.slow

KILLS = 20  # moments
LONG = ["segment", "transcribe", "finetune", "extract", "train", "evaluate", "linear", "transfer"]
LONG += ["metadata", "fuse", "tabulate", "browser", "page"]
GO_ON = ("transcribe", "extract", "finetune")  # from what a kill left
HISTORIES = b"speech\ttext\tmode\tvariant\tfold\tseed\tepoch", b"encoder\tfold\tseed\tepoch"
MEASURED = ["seconds", "waiting", "peak_memory_mb"]  # columns of a history that are of the machine


def of_all(folder):
    """What is in a folder, but for how long an epoch took and how much memory."""
    found = contents(folder)
    for path, content in found.items():
        if content and content.startswith(HISTORIES):
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


@pytest.mark.parametrize("rule", LONG)
def test_a_stage_killed_at_random_moments_ends_in_the_same_bytes(rule, jobs, tmp_path):  # noqa: F811
    job = jobs[rule]
    folder = job.workspace.copied(tmp_path / "work").folder
    verb, arguments = job.arguments()
    stage = f"labelmer.{VERBS[verb][0]}"
    for name in (*IMPORTED, stage):  # or most kills would come before
        importlib.import_module(name)
    outputs, left = [folder / name for name in job.outputs], []

    def work():
        os.chdir(folder)
        importlib.import_module(stage).main(arguments)

    def anew():  # as Snakemake does with what is incomplete
        for path in outputs:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def look():
        left.extend((folder / "results").rglob("*.part"))

    check(folder / "results", work, anew, look)
    assert [path for path in outputs if not path.exists()] == []
    assert left or rule not in GO_ON


def test_a_bundle_killed_at_random_moments_is_whole_in_the_end(finished, tmp_path):  # noqa: F811
    run = finished.folder / "results/tiny/main/models/fbank+bert/frozen/full"
    out = tmp_path / "m"

    def work():
        bundle.main([str(run), "-o", str(out)])

    def there():
        place = out if out.exists() else out.with_name("m.part") / "old"
        return {path.relative_to(place): content for path, content in contents(place).items()}

    def the_old_one_is_there():
        assert there() == whole

    work()
    whole = there()
    check(tmp_path, work, after=the_old_one_is_there)


def started(workspace, *arguments):
    """The workflow, begun in a process group of its own, with its jobs."""
    here = Path(sys.executable).parent
    command = [str(here / "snakemake"), "--configfile", "test.yaml", "--cores", "2", *arguments]
    path = os.pathsep.join([str(here), os.environ["PATH"]])
    return subprocess.Popen(
        command,
        cwd=workspace.folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(workspace.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=heeding_ctrl_c,
    )


def broken_off(run, how, when):
    """Send a signal to a run and its jobs, as Ctrl-C does, or a failure of power; what it said."""
    deadline = time.monotonic() + 120
    while not when():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, how)
    said, _ = run.communicate()
    assert run.returncode != 0
    return said


def assert_whole(workspace, tables):
    """Is all made, with these tables, and is nothing else there?"""
    unfinished = [p for p in workspace.folder.rglob("*") if p.suffix in (".part", ".lock", ".new")]
    assert (tables_of(workspace), unfinished, workspace.jobs()) == (tables, [], set())


# What is made first of each kind: audio, features, models.
MOMENTS = ["segments/*.h5", "features/*/*/*.h5", "main/models/*/*/*/*/config.json"]


def test_a_workflow_killed_again_and_again_is_unlocked_and_goes_on(finished, tmp_path):  # noqa: F811
    workspace = finished.copied(tmp_path / "work")
    tables, results = tables_of(workspace), workspace.folder / "results/tiny"
    shutil.rmtree(results)
    for moment in MOMENTS:
        run = started(workspace, "--rerun-incomplete")
        broken_off(run, signal.SIGKILL, lambda made=moment: list(results.glob(made)))
        status, output = workspace.snakemake("--rerun-incomplete", check=False)
        assert status == 1 and "--unlock" in output
        workspace.snakemake("--unlock")
    workspace.snakemake("--rerun-incomplete")
    assert_whole(workspace, tables)


def test_a_workflow_after_ctrl_c_goes_on_by_the_same_command(finished, tmp_path):  # noqa: F811
    workspace = finished.copied(tmp_path / "work")
    tables, target = tables_of(workspace), "results/tiny/segments/Session1.h5"
    shutil.rmtree(workspace.folder / "results")
    log = workspace.folder / "logs/tiny/segments/Session1.log"
    log.unlink()
    run = started(workspace, target)
    with alone(workspace.folder / target):  # so that its job is there until the signal comes
        said = broken_off(run, signal.SIGINT, lambda: log.exists() and "waiting" in log.read_text())
    assert STOPPED in said and STOPPED in log.read_text() and "Traceback" not in said
    again = started(workspace, target)
    said, _ = again.communicate()
    assert again.returncode == 0, said
    workspace.snakemake()
    assert_whole(workspace, tables)


def tables_of(workspace):
    """The tables of the reports."""
    folder = workspace.folder / "results/tiny/main/reports"
    return {path.name: path.read_bytes() for path in folder.glob("*.tsv")}
