"""Where tensors are computed, by which random numbers, and what is decayed."""

import fcntl
import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from labelmer.base.log import log

# Looked up, not multiplied by.
EMBEDDINGS = ("label_embeddings", "context.speaker", "context.distance")


def device_of(gpu: int | bool) -> str:
    """The GPU of this process ("cuda:N") if one is wanted and there, else the CPU.

    Of the GPUs that PyTorch sees (CUDA_VISIBLE_DEVICES says which) it is the first that no other
    process of this user has had from here; it is this one's until it ends. Where none is left, they
    are shared.
    """
    if not gpu:
        return "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        log.warning(
            "a GPU is asked for (gpu: true, or the device cuda), but PyTorch finds no GPU on this "
            "machine; the CPU does the work"
        )
        return "cpu"
    index = _taken(count)
    torch.cuda.set_device(index)  # of what is asked of CUDA without a device
    return f"cuda:{index}"


@functools.cache  # a process has one GPU
def _taken(count: int) -> int:
    """Index of the GPU that this process takes, of so many."""
    folder = Path(tempfile.gettempdir()) / f"labelmer-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for index in range(count):
        # Its index among those that are visible may be another one's index elsewhere.
        name = torch.cuda.get_device_properties(index).uuid
        lock = (folder / f"gpu-{name}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        LOCKS.append(lock)
        log.info("GPU %d of %d is this process' own", index, count)
        return index
    index = os.getpid() % count
    log.info("all %d GPUs are at work for others; GPU %d is shared", count, index)
    return index


LOCKS: list = []  # open as long as the process lives; the system unlocks them then


def make_deterministic(seed: int, threads: int, onednn: bool = True) -> None:
    """The same seed and number of threads give the same numbers on the same machine.

    onednn: whether oneDNN may do the work of a CPU. It makes a kernel anew for every shape of a
    batch: where hardly two batches have the same, that takes twice the time for small ones, and
    keeping the kernels takes memory; PyTorch's own kernels are the better ones there.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.manual_seed(seed)
    # Does what use_deterministic_algorithms(True) does, without its import of the compiler (1 s).
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would fill every new tensor
    torch.set_num_threads(threads)
    torch.backends.mkldnn.set_flags(onednn)


def mixed_precision(device: torch.device | str, wanted: bool = True) -> torch.autocast:
    """A context in which a GPU computes in bfloat16 what may be rounded, if it has bfloat16."""
    kind = torch.device(device).type
    half = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(kind, torch.bfloat16, wanted and half)


def decayed(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups of parameters: weight decay acts on matrices.

    Norms, biases, sharpness, null tokens, mixes and embeddings (of labels, of who speaks a turn
    and how far off it is) are pulled towards zero by nothing: zero is no modest value of theirs.
    Nor are the gains of an encoder's convolution, (1, 1, K), or of its attention heads,
    (1, heads, 1, 1).
    """
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices = {
        name
        for name, p in named.items()
        if (p.ndim == 2 or sum(size > 1 for size in p.shape) > 1) and not name.endswith(EMBEDDINGS)
    }
    return [
        {"params": [p for n, p in named.items() if n in matrices], "weight_decay": weight_decay},
        {"params": [p for n, p in named.items() if n not in matrices], "weight_decay": 0.0},
    ]
