"""Every benchmark runs from end to end at a tiny size."""

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY, python_of_jobs

pytestmark = pytest.mark.slow

SCRIPTS = sorted(path.stem for path in (REPOSITORY / "bench").glob("*.py"))
OTHERS = ("lengths", "silence", "page")  # the first is no script, the others have tests below


def lines_of(name):
    """What a benchmark prints at a tiny size."""
    path = os.pathsep.join([python_of_jobs(), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, REPOSITORY / "bench" / f"{name}.py", "--tiny"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name not in OTHERS])
def test_a_benchmark_runs(name):
    lines = lines_of(name)
    assert len(lines) > 2
    if name != "intervals":  # which has no ratio
        assert json.loads(lines[-1])


def test_the_page_is_measured(chromium):
    *_, last = lines_of("page")
    found = json.loads(last)
    assert 0 < found["page_mb"] < 2 and min(found["page_opens_s"], found["page_filters_ms"]) > 0


def test_the_table_of_silence_has_each_kind_and_each_layer():
    *_, head, none, compact, full, last = lines_of("silence")
    assert head.split() == ["silence", "seconds", "0", "1", "2"]
    assert [line.split()[0] for line in (none, compact, full)] == ["none", "compact", "full"]
    assert all(0 <= float(score) <= 100 for score in full.split()[2:])
    ratios = json.loads(last)
    assert ratios["none_faster"] > 0 and ratios["compact_faster"] > 0
    assert abs(ratios["compact_points_last"]) <= 100
