"""How far a long job is."""

import sys
import time
from typing import Self

from labelmer.base.log import log


class Progress:
    """Done, rate and time left: one moving line on a terminal, a plain line per tenth in the log.

    total and the steps given to advance() are in `unit` (seconds of audio, utterances, ...).
    """

    def __init__(self, what: str, total: float, unit: str) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.done, self.tenths, self.start = 0.0, 0, time.monotonic()
        self.live = sys.stderr.isatty()

    def advance(self, step: float) -> None:
        """Count `step` more units as done."""
        self.done += step
        tenths = int(10 * self.done / self.total + 1e-6) if self.total else 10
        line = self._line()
        if self.live:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        if tenths > self.tenths:
            self.tenths = tenths
            log.info("%s", line)

    def _line(self) -> str:
        elapsed = max(time.monotonic() - self.start, 1e-6)
        rate = self.done / elapsed
        left = max(self.total - self.done, 0) / rate if rate else float("inf")
        return (
            f"{self.what}: {self.done:.0f} of {self.total:.0f} {self.unit}, "
            f"{rate:.1f} {self.unit}/s, {left:.0f} s left"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
