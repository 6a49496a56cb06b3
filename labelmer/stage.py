"""What every stage's command line shares: its config, its log, its progress and its errors."""

import argparse
import functools
import json
import logging
import os
import sys
import time
from pathlib import Path

from labelmer.errors import InputError

log = logging.getLogger("labelmer")


def command(main):
    """Decorate a stage's main(): an InputError becomes one message and exit status 1."""

    @functools.wraps(main)
    def guarded(argv=None):
        if not log.handlers:
            log_to_terminal()
        try:
            return main(argv)
        except InputError as error:
            log.error("error: %s", error)
            sys.exit(1)
        except Exception:
            log.exception("labelmer stopped on an error that it did not expect")
            sys.exit(1)

    return guarded


def log_to_terminal():
    """Warnings and errors go to standard error; everything else waits for a log file."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def parse(parser, argv=None, sections=()):
    """Parse a stage's arguments, with the two that all have: --config JSON and --log FILE.

    The workflow passes in --config just what it tracks for a rerun, so a stage cannot depend on
    a value whose change would go unseen. sections: keys that the stage cannot do without.
    """
    parser.add_argument("--config", type=json_object, default={}, metavar="JSON")
    parser.add_argument("--log", type=Path, metavar="FILE", help="plain lines go here")
    args = parser.parse_args(argv)
    absent = [name for name in sections if name not in args.config]
    if absent:
        parser.error(f"--config lacks {absent}, expected a JSON object with {list(sections)}")
    if args.log:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(args.log, mode="w", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        log.addHandler(handler)
    return args


def json_object(text):
    """A JSON object from the command line."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def stage_parser(docstring):
    """An argument parser whose description is the module's docstring."""
    return argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


RUN = ("speech", "text", "mode", "variant", "fold", "seed")


def run_parser(docstring):
    """The parser of a stage that works on one run: one variant on one fold with one seed."""
    parser = stage_parser(docstring)
    parser.add_argument("fold", type=Path, help="fold table")
    parser.add_argument("folder", type=Path, help="the model's folder")
    parser.add_argument("--speech", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument("--text", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument("--run", nargs=len(RUN), required=True, metavar=tuple(map(str.upper, RUN)))
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--gpu", type=int, choices=(0, 1), default=0, help="1: use a GPU")
    return parser


def write_atomically(path, content):
    """Write text or bytes to path through a part file beside it: nobody sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(part, path)


def refuse_foreign(folder):
    """InputError if a folder that would be replaced holds something else than an encoder."""
    folder = Path(folder)
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names - {".snakemake_timestamp"} and "source.json" not in names:
        raise InputError(
            f"{folder}: a folder with {sorted(names)[0]} and no source.json, expected an encoder's "
            "folder, or none: it would be replaced; give another folder"
        )


class Progress:
    """Done, rate and time left: one moving line on a terminal, a plain line per tenth in the log.

    total and the steps given to advance() are in `unit` (seconds of audio, utterances, ...).
    """

    def __init__(self, what, total, unit):
        self.what, self.total, self.unit = what, total, unit
        self.done, self.tenths, self.start = 0.0, 0, time.monotonic()
        self.live = sys.stderr.isatty()

    def advance(self, step):
        """Count `step` more units as done."""
        self.done += step
        tenths = int(10 * self.done / self.total + 1e-6) if self.total else 10
        line = self._line()
        if self.live:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        if tenths > self.tenths:
            self.tenths = tenths
            log.info("%s", line)

    def _line(self):
        elapsed = max(time.monotonic() - self.start, 1e-6)
        rate = self.done / elapsed
        left = max(self.total - self.done, 0) / rate if rate else float("inf")
        return (
            f"{self.what}: {self.done:.0f} of {self.total:.0f} {self.unit}, "
            f"{rate:.1f} {self.unit}/s, {left:.0f} s left"
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
