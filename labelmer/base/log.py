"""The log: plain lines, on the terminal those that warn or are for all, in a stage's file all."""

import logging

log = logging.getLogger("labelmer")
NOTICE = (logging.INFO + logging.WARNING) // 2  # no warning, and yet for the terminal


def log_to_terminal() -> None:
    """Notices, warnings and errors go to standard error; the rest waits for a log file."""
    handler = logging.StreamHandler()
    handler.setLevel(NOTICE)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
