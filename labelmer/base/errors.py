"""The one exception that is the user's to mend, what tells that memory or the disk ran out, and
what is said after Ctrl-C.

Apart from stage.py, so that a change of how errors and progress are shown changes no feature.
"""

import errno
import os

STOPPED = "stopped by Ctrl-C; run the same command again to go on"


class InputError(Exception):
    """Bad input. The message names the file, the id, the value, what was expected, what to do."""


def in_words(error: BaseException) -> str:
    """What an error of a library says, with its class, as the words of many say little alone."""
    return f"{type(error).__name__}: {error}"


def lacks_memory(error: BaseException) -> bool:
    """Does an error say that memory ran out? PyTorch raises several classes for it."""
    signs = "out of memory", "can't allocate memory", "ALLOC_FAILED"
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def of_the_disk(error: BaseException) -> bool:
    """Does an error say that the disk is full, or may not be written? Libraries have their own
    classes for it."""
    signs = map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES))
    return any(sign in str(error) for sign in signs)
