"""Every benchmark runs from end to end at a tiny size."""

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "bench").glob("*.py"))


@pytest.mark.parametrize(
    "path", [path for path in SCRIPTS if path.stem != "lengths"], ids=lambda path: path.stem
)
def test_a_benchmark_runs(path):
    done = subprocess.run(
        [sys.executable, path, "--tiny"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 2
    if path.stem != "intervals":  # which has no ratio
        assert json.loads(lines[-1])
