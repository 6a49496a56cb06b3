"""stage: one message and exit status 1, a log file, progress that says rate and time left."""

import json
import logging
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from labelmer.base import files, progress
from labelmer.base.errors import STOPPED, InputError

STAGE = """
from dataclasses import dataclass
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import option
from labelmer.base.stage import command, parse, stage_parser

@dataclass
class Section:
    size: int = option("of it", 3, minimum=1)

@command
def main(argv=None):
    args = parse(stage_parser("Says it."), argv, {"ä": {}}, {"fault": {}, "section": Section})
    log.info("config %s", args.config)
    log.warning("look out")
    if args.config.get("fault") == "input":
        raise InputError("a.tsv: id 'x' is wrong")
    if args.config.get("fault") == "bug":
        raise ZeroDivisionError("ours")
    if args.config.get("fault") == "ctrl-c":
        raise KeyboardInterrupt
    if args.config.get("fault") == "pipe":
        raise BrokenPipeError("of a worker")

main()
"""


@pytest.fixture
def run(tmp_path):
    """run(config): (exit status, standard error, log file) of a stage of its own."""

    def run(config):
        path = tmp_path / "logs" / "stage.log"
        options = ["--config", json.dumps(config), "--log", str(path)]
        done = subprocess.run(
            [sys.executable, "-c", STAGE, *options],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr, path.read_text()

    return run


def test_a_clean_run_shows_warnings_and_logs_everything(run):
    status, shown, logged = run({"ä": 1})
    assert (status, shown) == (0, "look out\n")
    lines = [line.split(" ", 1) for line in logged.splitlines()]
    assert [text for _, text in lines] == ["config {'ä': 1}", "look out"]
    assert all(len(clock.split(":")) == 3 for clock, _ in lines)


def test_bad_input_is_one_message_and_exit_status_1(run):
    status, shown, logged = run({"ä": 1, "fault": "input"})
    assert status == 1
    assert shown == "look out\nerror: a.tsv: id 'x' is wrong\n"
    assert logged.endswith("error: a.tsv: id 'x' is wrong\n")


@pytest.mark.parametrize(
    "config, said",
    [
        (
            {"ä": 1, "falt": "input"},
            "--config: unknown keys ['falt'], expected some of ['code', 'fault', 'section', 'ä']; "
            "falt may be fault",
        ),
        ({}, "--config: ä is missing, expected a value"),
        ({"ä": 1, "section": 3}, "--config: section: 3, expected keys with values ({} for none)"),
        (
            {"ä": 1, "section": {"sise": 3}},
            "--config: section: unknown keys ['sise'], expected some of ['size']; sise may be size",
        ),
        (
            {"ä": 1, "section": {"size": 0}},
            "--config: section: size: 0, expected a whole number from 1",
        ),
    ],
)
def test_what_the_stage_does_not_take_is_one_message_with_what_it_takes(run, config, said):
    status, shown, logged = run(config)
    assert (status, shown) == (1, f"error: {said}\n") and logged.endswith(f"error: {said}\n")


def test_a_bug_shows_its_traceback_in_the_log_too(run):
    status, shown, logged = run({"ä": 1, "fault": "bug"})
    assert status == 1
    for text in (shown, logged):
        assert "did not expect" in text and "Traceback" in text
        assert "ZeroDivisionError: ours" in text


def test_ctrl_c_is_one_line(run):
    status, shown, logged = run({"ä": 1, "fault": "ctrl-c"})
    assert (status, shown) == (130, f"look out\n{STOPPED}\n") and logged.endswith(f"{STOPPED}\n")


def test_ctrl_c_while_a_verb_is_imported_is_one_line():
    code = "import sys, labelmer.__main__ as main; sys.argv[1:] = ['segment']\n"
    code += "def stopped(name): raise KeyboardInterrupt\n"
    code += "main.importlib.import_module = stopped; main.main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (130, f"{STOPPED}\n")


def test_a_pipe_that_broke_is_told_in_the_log_alone(run):
    status, shown, logged = run({"ä": 1, "fault": "pipe"})
    assert (status, shown) == (1, "look out\n")
    assert "stopped: what it writes to was closed" in logged
    assert logged.endswith("BrokenPipeError: of a worker\n")


def test_write_atomically_makes_the_folder_and_leaves_no_part_file(tmp_path):
    files.write_atomically(tmp_path / "a" / "b.txt", "ä\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ä\n".encode()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"a/b\.txt: cannot be written \(File exists, .*/a\)"):
        files.write_atomically(tmp_path / "a" / "b.txt", "x")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set: clock.now in seconds."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_progress_logs_done_rate_and_time_left_once_per_tenth(caplog, clock):
    with (
        caplog.at_level(logging.INFO, "labelmer"),
        progress.Progress("segments", 200, "s") as going,
    ):
        for _ in range(100):
            clock.now += 0.5
            going.advance(2)
    assert len(caplog.messages) == 10
    assert caplog.messages[0] == "segments: 20 of 200 s, 4.0 s/s, 45 s left"
    assert caplog.messages[-1] == "segments: 200 of 200 s, 4.0 s/s, 0 s left"


def test_progress_reaches_its_last_tenth_in_fractions(caplog):
    with caplog.at_level(logging.INFO, "labelmer"), progress.Progress("x", 1, "s") as going:
        for _ in range(10):
            going.advance(0.1)  # their sum is below 1
    assert caplog.messages[-1].startswith("x: 1 of 1 s")
    assert len(caplog.messages) == 10


def test_progress_over_nothing(caplog):
    with caplog.at_level(logging.INFO, "labelmer"), progress.Progress("x", 0, "s") as going:
        going.advance(0)
    assert len(caplog.messages) == 1


def test_progress_moves_one_line_on_a_terminal_only(capsys, monkeypatch):
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        with progress.Progress("x", 4, "items") as going:
            going.advance(1)
        shown = capsys.readouterr().err
        assert ("\rx: 1 of 4 items" in shown) == terminal
        assert "\n" not in shown


def test_who_reads_no_further_than_the_first_lines_ends_it_without_a_word():
    code = (
        "from labelmer.base.stage import command; command(lambda argv: print('x\\n' * 99_999))([])"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    run.stdout.close()
    assert run.stderr.read() == b"" and run.wait() == 1
