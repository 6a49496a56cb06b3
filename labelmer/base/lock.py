"""One process at a time on what a path names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from labelmer.base.files import writing
from labelmer.base.log import log


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While no other process is in here for the same path; before that it says so, and waits.

    The lock is on a file PATH.lock, which is gone in the end. InputError: nothing can be written
    where it is to be.
    """
    file = path.with_name(path.name + ".lock")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():  # filelock would try for ever where none can be made
            file.touch()
    lock = FileLock(file, fallback_to_soft=False)  # a soft one would outlive a kill
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.warning("%s: another process writes it; waiting until that is done", path)
        lock.acquire()
    except (OSError, NotImplementedError) as error:  # some network file systems cannot lock
        log.warning("%s: cannot be locked (%s); let one process alone write it", path, error)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # before others may have it: they look whether it still is
        lock.release()
