"""What every stage's command line shares: its arguments, its config and how it fails."""

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from labelmer.base.errors import STOPPED, InputError, of_the_disk
from labelmer.base.files import writing
from labelmer.base.log import LogFile, is_log, log, log_to_terminal
from labelmer.base.options import TEXT, check, closed, refuse, schema_of

NOTHING: Mapping[str, Any] = MappingProxyType({})
CARRIED: dict[str, Any] = {}  # whatever the workflow tracks in --config for a rerun alone


def command(main: Callable[[Sequence[str] | None], None]) -> Callable:
    """Decorate a stage's main(): an InputError becomes one message and exit status 1."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> None:
        if not log.handlers:
            log_to_terminal()
        try:
            main(argv)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads what is printed, such as head, has enough
            log.info("stopped: what it writes to was closed", exc_info=True)  # for a file alone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except InputError as error:
            log.error("error: %s", error)
            sys.exit(1)
        except KeyboardInterrupt:
            log.error(STOPPED)
            sys.exit(130)
        except Exception as error:
            if of_the_disk(error):
                log.error("error: %s; make room on the disk, or correct its permissions", error)
                sys.exit(1)
            log.exception("labelmer stopped on an error that it did not expect")
            sys.exit(1)

    return guarded


def parse(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
    needed: Mapping[str, Any] = NOTHING,
    optional: Mapping[str, Any] = NOTHING,
    others: bool = False,
) -> argparse.Namespace:
    """Parse a stage's arguments, with the two that all have: --config JSON and --log FILE.

    The workflow passes in --config just what it tracks for a rerun, so a stage cannot depend on
    a value whose change would go unseen. needed: its keys that the stage cannot do without, and
    optional: those that it can, each with a section's class or with rules of base/options.py;
    beside them stands the `code`. others: are there more, which the stage looks at itself?
    InputError: a key that is missing or not known, a value that its rules do not let through.
    """
    parser.add_argument("--config", type=json_object, default={}, metavar="JSON")
    parser.add_argument("--log", type=Path, metavar="FILE", help="plain lines go here")
    args = parser.parse_args(argv)
    if args.log:
        _check_log(args)
        with writing(args.log):
            args.log.parent.mkdir(parents=True, exist_ok=True)
            log.addHandler(LogFile(args.log))
    known = {"code": TEXT, **optional, **needed}
    rules = {name: schema_of(of) if isinstance(of, type) else of for name, of in known.items()}
    schema = {**closed(rules, list(needed)), "additionalProperties": others}
    refuse(check(schema, args.config, "--config"))
    return args


def _check_log(args: argparse.Namespace) -> None:
    """InputError: --log names what is read or written besides, or a file that is no log."""
    named = [value for name, value in vars(args).items() if name != "log"]
    places = [place for v in named for place in (v if isinstance(v, list) else [v])]
    if args.log.resolve() in {place.resolve() for place in places if isinstance(place, Path)}:
        raise InputError(
            f"--log {args.log} is what another argument names, and would be lost; give a file of "
            "its own"
        )
    if args.log.is_file() and not is_log(args.log):
        raise InputError(f"--log {args.log} is there and no log, and would be lost; give another")


def json_object(text: str) -> dict:
    """A JSON object from the command line."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def stage_parser(docstring: str | None) -> argparse.ArgumentParser:
    """An argument parser whose description is the module's docstring."""
    return argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


RUN = ("speech", "text", "mode", "variant", "fold", "seed")


def run_parser(docstring: str | None) -> argparse.ArgumentParser:
    """The parser of a stage that works on one run: one variant on one fold with one seed."""
    parser = stage_parser(docstring)
    parser.add_argument("fold", type=Path, help="fold table")
    parser.add_argument("folder", type=Path, help="the model's folder")
    parser.add_argument("--speech", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument("--text", type=Path, nargs="*", default=[], metavar="H5")
    parser.add_argument("--run", nargs=len(RUN), required=True, metavar=tuple(map(str.upper, RUN)))
    add_device(parser)
    return parser


def add_device(parser: argparse.ArgumentParser, threads: int | None = 1) -> None:
    """The arguments that say on what a stage computes. threads: so many, where none are given."""
    parser.add_argument("--threads", type=int, default=threads, help="of the CPU")
    parser.add_argument("--gpu", type=int, choices=(0, 1), default=0, help="1: use a GPU")
