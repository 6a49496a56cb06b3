"""Where tensors are computed, and by which random numbers."""

import os

import torch

from labelmer.stage import log


def device_of(gpu):
    """The GPU ("cuda") if one is wanted and there, else the CPU."""
    if gpu and not torch.cuda.is_available():
        log.warning("gpu: true, but PyTorch finds no GPU on this machine; the CPU does the work")
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def make_deterministic(seed, threads):
    """The same seed and number of threads give the same numbers on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.manual_seed(seed)
    # Does what use_deterministic_algorithms(True) does, without its import of the compiler (1 s).
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # it would fill every new tensor
    torch.set_num_threads(threads)


def mixed_precision(device, wanted=True):
    """A context in which a GPU computes in bfloat16 what may be rounded, if it has bfloat16."""
    half = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device, torch.bfloat16, wanted and half)
