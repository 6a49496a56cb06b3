"""Whether a ragged file from elsewhere can be opened: tried in a process of its own.

Given a file that is damaged in some places, or was made to do harm, HDF5's library runs for ever,
crashes, or asks for all memory, and takes the process with it that called it. Costs 10 ms. For
files that anybody may have sent; what the workflow wrote itself is opened as it is.
"""

import multiprocessing
import resource
from multiprocessing.connection import Connection
from pathlib import Path

from labelmer.base.errors import InputError
from labelmer.base.ragged import NotWhole, Ragged

SECONDS = 30.0  # a whole file opens in one
MEMORY = 2**33  # bytes


def try_to_open(path: Path | str) -> None:
    """Raise what opening a ragged file raises, and NotWhole where it would never come to an end."""
    context = multiprocessing.get_context("fork")  # which imports nothing anew
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_open, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        error = ours.recv() if ours.poll(SECONDS) else f"HDF5 was not done after {SECONDS:g} s"
    except EOFError:
        process.join()
        error = f"HDF5 crashes on it, exit status {process.exitcode}"
    finally:  # after Ctrl-C too, which HDF5 does not hear
        process.kill()
        process.join()
    if isinstance(error, str):
        raise NotWhole(f"{path}: not a ragged file, or a damaged one ({error}); get it anew")
    if error:
        raise error


def _open(path: Path | str, answer: Connection) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    least = MEMORY if soft == resource.RLIM_INFINITY else min(MEMORY, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (least, hard))
    try:
        Ragged(path)
    except InputError as error:
        answer.send(error)
    else:
        answer.send(None)
