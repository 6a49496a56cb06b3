"""bench/gpu.sh without a GPU: its parts are stand-ins, what it makes of them is its own."""

import json
import os
import subprocess
import sys

from conftest import REPOSITORY

# Stands in for Python on a machine with a GPU. A benchmark that fails has no last line.
PYTHON = """#!/bin/sh
case "$1 $2" in
    "-c "*) exit 0 ;;
    "-m pytest")
        shift 2
        while [ "$1" != --junitxml ]; do shift; done
        echo '<suites><testsuite tests="9" failures="0" errors="0" skipped="1"/></suites>' > "$2" ;;
    bench/store.py*) echo "half a table"; exit 1 ;;
    bench/*) echo "a table"; echo "{\\"$1\\": 1.5}" ;;
    *) PYTHONPATH="$STUBS" exec "$REAL" "$@" ;;
esac
"""
TORCH = """
from types import SimpleNamespace
__version__ = "2"
cuda = SimpleNamespace(get_device_name=lambda: "a GPU", device_count=lambda: 4)
"""


def test_it_prints_one_json_of_all_parts(tmp_path):
    (tmp_path / "torch.py").write_text(TORCH)
    (tmp_path / "transformers.py").write_text("__version__ = '5'")
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    stand_ins = {"PYTHON": str(python), "STUBS": str(tmp_path), "REAL": sys.executable}
    done = subprocess.run(
        ["bash", str(REPOSITORY / "bench" / "gpu.sh")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **stand_ins},
    )
    assert done.returncode == 1, done.stderr  # one part failed
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found.pop("seconds") < 60
    assert found == {
        "gpu": "a GPU",
        "gpus": 4,
        "torch": "2",
        "transformers": "5",
        "tests": {"tests": 9, "failures": 0, "errors": 0, "skipped": 1},
        "extract": {"bench/extract.py": 1.5},
        "train": {"bench/train.py": 1.5},
        "store": None,
    }
    assert "## store\nhalf a table" in done.stderr
