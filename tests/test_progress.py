"""`--logger progress`, as `make demo` shows it: one line, and of what fails everything."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.slow

SNAKEFILE = """
rule all:
    input: expand("out/{n}.txt", n=range(3))

rule make:
    output: "out/{n}.txt"
    log: "logs/{n}.log"
    shell: "touch begun-{wildcards.n}; "
        "if test -e 'bad-{wildcards.n}'; then echo 'error: no bread' >&2; exit 1; fi; "
        "while test -e slow; do sleep 0.1; done; touch {output}"
"""
BIN = Path(sys.executable).parent
COMMAND = [str(BIN / "snakemake"), "--logger", "progress", "--cores", "1"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def started(folder, **options):
    """Snakemake in a folder, in a process group of its own, all it says in one pipe."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    path = str(REPOSITORY / "workflow" / "logger")
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "12"}
    options |= {"cwd": folder, "env": environment, "start_new_session": True}
    return subprocess.Popen(COMMAND, preexec_fn=heeding_ctrl_c, **options)


def heeding_ctrl_c():
    """A shell makes what it runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def said(folder):
    run = started(folder)
    output, _ = run.communicate()
    return run.returncode, output


def test_each_finished_job_is_a_line_where_there_is_no_terminal(folder):
    status, output = said(folder)
    *made, last = output.splitlines()
    assert status == 0 and last == "4 of 4  all"
    assert [line.split("  ")[0] for line in made] == ["1 of 4", "2 of 4", "3 of 4"]
    assert {line.split("  ")[1] for line in made} == {"make 0", "make 1", "make 2"}
    status, output = said(folder)
    assert status == 0 and output.startswith("Nothing to be done") and output.count("\n") == 1


def test_a_failed_job_tells_all_and_where_its_log_is(folder):
    (folder / "bad-1").touch()
    status, output = said(folder)
    assert status == 1
    assert "error: no bread" in output and "log: logs/1.log" in output
    assert "Error in rule make" in output and "exit 1" in output


@pytest.fixture
def running(folder):
    """A run whose first job waits until the file `slow` is gone."""
    (folder / "slow").touch()
    run = started(folder)
    while run.poll() is None and not list(folder.glob("begun-*")):
        time.sleep(0.1)
    return run


def test_a_run_that_is_broken_off_says_what_it_stopped_and_goes_on_later(folder, running):
    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 1 and "Error in rule make" in output and "log: logs/" in output
    assert not list(folder.glob("out/*"))
    (folder / "slow").unlink()
    status, output = said(folder)
    assert status == 0 and output.endswith("4 of 4  all\n")


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(folder, running):
    status, output = said(folder)
    assert status == 1 and "Directory cannot be locked" in output
    (folder / "slow").unlink()
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and output.endswith("4 of 4  all\n")


def test_a_terminal_shows_one_line_as_wide_as_it_is(folder):
    own, terminal = pty.openpty()
    run = started(folder, stdout=terminal, stderr=terminal)
    os.close(terminal)
    written = b""
    try:
        while part := os.read(own, 1024):
            written += part
    except OSError:  # the other end is closed
        pass
    assert run.wait() == 0
    shown = written.decode()
    assert shown.count("\n") == 1 and shown.endswith("4 of 4\r\n")
    states = re.split("\r\x1b\\[K", shown)
    assert states[1] in {"0  make 0", "0  make 1", "0  make 2"}
    assert "1 of 4  mak" in states and "3 of 4  all" in states
