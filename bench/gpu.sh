#!/usr/bin/env bash
# The benchmarks that a GPU matters to, on a machine with one, in about 10 minutes.
# Needs torch, transformers, h5py, numpy and pandas.
#
#     bash bench/gpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD"
python="${PYTHON:-python3}"

"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
    echo "bench/gpu.sh: PyTorch finds no GPU on this machine; nothing was measured" >&2
    exit 1
}
nvidia-smi --query-gpu=name --format=csv,noheader || echo "no nvidia-smi here"
"$python" -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'

# A failed check must not cost the other tables.
failed=0
"$python" bench/extract.py --gpu-only || failed=$?
echo
"$python" bench/train.py || failed=$?
echo
"$python" bench/store.py
exit "$failed"
