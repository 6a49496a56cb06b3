"""The log: plain lines, on the terminal those that warn, in a stage's log file all."""

import logging

log = logging.getLogger("labelmer")


def log_to_terminal() -> None:
    """Warnings and errors go to standard error; everything else waits for a log file."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
