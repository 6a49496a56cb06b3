"""The table of Whisper's silence, bench/silence.py, at a tiny size."""

import json
import subprocess
import sys

from conftest import REPOSITORY


def test_the_table_has_each_kind_of_silence_and_each_layer():
    command = [sys.executable, REPOSITORY / "bench" / "silence.py", "--tiny", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, head, none, compact, full, last = done.stdout.splitlines()
    assert head.split() == ["silence", "seconds", "0", "1", "2"]
    assert [line.split()[0] for line in (none, compact, full)] == ["none", "compact", "full"]
    assert all(0 <= float(score) <= 100 for score in full.split()[2:])
    ratios = json.loads(last)
    assert ratios["none_faster"] > 0 and ratios["compact_faster"] > 0
    assert abs(ratios["compact_points_last"]) <= 100
