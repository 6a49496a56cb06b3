"""The log: plain lines, on the terminal those that warn or are for all, in a stage's file all."""

import logging
import re
import sys
from pathlib import Path

log = logging.getLogger("labelmer")
NOTICE = (logging.INFO + logging.WARNING) // 2  # no warning, and yet for the terminal


def log_to_terminal() -> None:
    """Notices, warnings and errors go to standard error; the rest waits for a log file."""
    handler = logging.StreamHandler()
    handler.setLevel(NOTICE)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def is_log(path: Path) -> bool:
    """Is a file a log that was written here, or the beginning of one?"""
    with path.open("rb") as file:
        return re.fullmatch(rb"\d{0,2}(:\d{0,2}(:\d{0,2} ?)?)?", file.read(9)) is not None


class LogFile(logging.FileHandler):
    """A stage's file. Where the disk refuses it, the terminal says so, and all that follows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="w", encoding="utf-8")
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def handleError(self, record: logging.LogRecord) -> None:
        log.removeHandler(self)
        log.warning("%s: no more can be written to it (%s)", self.baseFilename, sys.exc_info()[1])
