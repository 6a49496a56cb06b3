#!/usr/bin/env bash
# On a machine with a GPU, in under 8 minutes: the tests that need one, then the benchmarks that it
# matters to. Prints their tables and, as its last line, one JSON object: what the tests said, and
# each benchmark's own JSON, or null where it failed or its time was up. Exit status 1 if any did.
# Needs torch, transformers, h5py, pandas and scikit-learn; the tests need pytest.
#
#     bash bench/gpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD"
python="${PYTHON:-python3}"
deadline=460 # seconds, for all

"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
    echo "bench/gpu.sh: PyTorch finds no GPU on this machine; nothing was measured" >&2
    exit 1
}
found=$(mktemp -d)
trap 'rm -r "$found"' EXIT
failed=0

# A failed check must not cost the other tables.
run() { # NAME COMMAND ...
    local name="$1" left=$((deadline - SECONDS))
    shift
    echo "## $name" >&2
    timeout --kill-after=5 "$((left > 1 ? left : 1))" "$@" | tee "$found/$name" >&2 || failed=1
}

run tests "$python" -m pytest -p no:cacheprovider --junitxml "$found/tests.xml" -k "gpu and not fake" \
    tests/test_encoders.py tests/test_finetune.py tests/test_train.py
run extract "$python" bench/extract.py --gpu-only
run train "$python" bench/train.py
run store "$python" bench/store.py

"$python" - "$found" "$SECONDS" <<'END'
import json
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import torch
import transformers

found, seconds = Path(sys.argv[1]), int(sys.argv[2])


def last_line(name):
    try:
        return json.loads((found / name).read_text().strip().splitlines()[-1])
    except (IndexError, ValueError):  # it did not come to its end
        return None


def tests():
    if not (found / "tests.xml").exists():
        return None
    suite = xml.parse(found / "tests.xml").find("testsuite")
    return {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}


result = {"gpu": torch.cuda.get_device_name(), "gpus": torch.cuda.device_count()}
result |= {"torch": torch.__version__, "transformers": transformers.__version__}
result |= {"tests": tests(), **{name: last_line(name) for name in ("extract", "train", "store")}}
print(json.dumps({**result, "seconds": seconds}))
END
exit "$failed"
