"""`snakemake --logger progress`: one line that says how far a run is and what is running.

On a terminal the line is written over itself; elsewhere each finished job is a line. Warnings and
errors stand above it as Snakemake words them, a failed job with the place of its log. What else
Snakemake says is in its own log, in .snakemake/log.

Snakemake finds a plugin by the name of its package, on the path: PYTHONPATH=workflow/logger.
"""

import logging
import shutil
import sys

from snakemake.common import NOTHING_TO_BE_DONE_MSG
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

CLEAR = "\r\x1b[K"


class LogHandler(LogHandlerBase):
    """Snakemake's own filter and formatter are set on it, and of the records it gets its pick."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.live = self.stream.isatty()
        self.running: dict[int, str] = {}
        self.line, self.finished = "", ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.tell(record, getattr(record, "event", None))
            self.stream.flush()
        except Exception:
            self.handleError(record)

    def tell(self, record: logging.LogRecord, event: LogEvent | None) -> None:
        if event == LogEvent.JOB_INFO:
            self.running[record.jobid] = " ".join((record.rule_name, *record.wildcards.values()))
        elif event == LogEvent.JOB_FINISHED:
            self.finished = self.running.pop(record.job_id)
        elif event == LogEvent.PROGRESS:
            self.line = f"{record.done} of {record.total}"
            if not self.live:
                self.stream.write(f"{self.line}  {self.finished}\n")
        elif record.levelno >= logging.WARNING or record.msg == NOTHING_TO_BE_DONE_MSG:
            if event == LogEvent.JOB_ERROR:
                self.running.pop(record.jobid, None)  # a job may fail before it runs
            self.stream.write(f"{CLEAR if self.live else ''}{self.format(record)}\n")
        if self.live and (self.line or self.running):
            self.draw()

    def draw(self) -> None:
        """Write the line over itself, as far as the terminal is wide."""
        text = f"{self.line or 0}  {', '.join(self.running.values())}"
        self.stream.write(CLEAR + text[: shutil.get_terminal_size().columns - 1])

    def close(self) -> None:
        if self.live and self.line:
            self.stream.write(f"{CLEAR}{self.line}\n")
            self.line = ""  # Snakemake closes it twice
        super().close()
