"""kill -9 at random moments of a stage: its command, run again, ends in the same bytes and leaves
nothing else. Extraction and recognition have such tests of their own."""

import importlib
import multiprocessing
import os
import random
import shutil
import subprocess
import time
from io import StringIO

import pandas as pd
import pytest
import torch
from test_encoders import snapshot  # noqa: F401
from test_faults import commands_of, contents
from test_finetune import bench  # noqa: F401
from test_reruns import finished  # noqa: F401

from labelmer.__main__ import VERBS
from labelmer.features import finetune

KILLS = 20
HISTORIES = b"speech\ttext\tmode\tvariant\tfold\tseed\tepoch", b"encoder\tfold\tseed\tepoch"
MEASURED = ["seconds", "waiting", "peak_memory_mb"]  # columns of a history that are of the machine
STAGES = ["segment", "split", "train", "evaluate", "linear", "fuse", "tabulate", "browser", "page"]


@pytest.fixture(scope="module")
def jobs(finished, tmp_path_factory):  # noqa: F811
    """jobs(rule): the folder of a finished study, outputs of a rule's first job, and its main()."""
    workspace = finished.copied(tmp_path_factory.mktemp("kills") / "study")
    found, tools = commands_of(workspace), tmp_path_factory.mktemp("tools")
    (tools / "python").write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    (tools / "python").chmod(0o755)

    def of(rule):
        outputs, command = found[rule]
        path = os.pathsep.join([str(tools), os.environ["PATH"]])
        told = subprocess.check_output(
            ["bash", "-c", command], cwd=workspace.folder, env={**os.environ, "PATH": path}
        )
        _, _, verb, *arguments = told.decode().split("\0")[:-1]
        module = importlib.import_module(f"labelmer.{VERBS[verb][0]}")

        def work():
            os.chdir(workspace.folder)
            torch.set_num_threads(1)  # a forked process cannot use the parent's threads
            module.main(arguments)

        return workspace.folder / "results", [workspace.folder / path for path in outputs], work

    return of


def of_all(folder):
    """What is in a folder, but for logs, and for how long an epoch took and how much memory."""
    found = {path: made for path, made in contents(folder).items() if path.suffix != ".log"}
    for path, content in found.items():
        if content.startswith(HISTORIES):
            table = pd.read_csv(StringIO(content.decode()), sep="\t")
            found[path] = table.drop(columns=MEASURED, errors="ignore").to_csv()
    return found


def check(folder, outputs, work):
    """Kill a stage that makes these outputs of what is in a folder, and run it to its end."""

    def anew():
        for path in outputs:  # as Snakemake does with what is incomplete
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        return process

    def to_the_end():
        process = anew()
        process.join()
        assert process.exitcode == 0
        return of_all(folder)

    begun = time.monotonic()
    expected = to_the_end()
    took, draw, killed = time.monotonic() - begun, random.Random(1), 0
    for _ in range(KILLS):
        process = anew()
        process.join(draw.uniform(0, took))
        process.kill()
        process.join()
        killed += process.exitcode != 0
    assert killed > KILLS // 2
    assert to_the_end() == expected


@pytest.mark.slow
@pytest.mark.parametrize("rule", STAGES)
def test_a_stage_killed_at_random_moments_ends_in_the_same_bytes(rule, jobs):
    check(*jobs(rule))


@pytest.mark.slow
def test_fine_tuning_killed_at_random_moments_ends_in_the_same_bytes(bench):  # noqa: F811
    made = bench("wav2vec2-group")

    def work():
        torch.set_num_threads(1)
        finetune.main(made.arguments("out", epochs=3))

    check(made.folder, [made.folder / "out", made.folder / "out.tsv"], work)
