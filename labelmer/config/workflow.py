"""The workflow, written into a folder where `snakemake` runs it.

labelmer workflow FOLDER
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from labelmer import __version__
from labelmer.base.digest import PACKAGE
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.stage import command, stage_parser

# What goes with this version of the package, and what is there to be edited. pyproject.toml puts
# both into the wheel.
RULES = ("Snakefile", "workflow")
SETTINGS = ("config.yaml", "demo.yaml", "examples", "profiles", "envs")


def carried(names: Sequence[str], package: Path = PACKAGE) -> dict[Path, bytes]:
    """The files of the workflow: {path below its folder: content}.

    They stand in an installed package, or beside it where it lies in its repository.
    InputError: in neither.
    """
    inside = package / "workflow"
    place = inside if inside.is_dir() else package.parent
    files = {}
    for name in names:
        top = place / name
        if not top.exists():
            raise InputError(f"{top}: not there; install labelmer from its wheel or repository")
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix != ".pyc":
                files[path.relative_to(place)] = path.read_bytes()
    return files


def write_workflow(folder: Path) -> list[Path]:
    """Write what lacks in a folder; returns the files there whose content is the user's own.

    InputError, and nothing is written: the folder holds something else, or other rules.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file, expected a folder, or none; give another name")
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if there and "Snakefile" not in there:
        raise InputError(
            f"{folder}: it holds {there[0]}, and no Snakefile: not a folder of the workflow; give "
            "one that is empty or not there yet"
        )
    rules, settings = carried(RULES), carried(SETTINGS)
    if other := differing(folder, rules):
        raise InputError(
            f"{folder}: {', '.join(map(str, other))} differ from what labelmer {__version__} "
            "would write, and nothing is written over: move them away, or give another folder"
        )
    for path, content in (rules | settings).items():
        if not (folder / path).exists():
            write_atomically(folder / path, content)
    return [folder / path for path in differing(folder, settings)]


def differing(folder: Path, files: dict[Path, bytes]) -> list[Path]:
    """Those of some files that are in the folder with another content."""
    return [
        path
        for path, content in files.items()
        if (there := folder / path).exists()
        and (not there.is_file() or there.read_bytes() != content)
    ]


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the verb workflow."""
    parser = stage_parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="new, empty, or one of these")
    folder = parser.parse_args(argv).folder
    for path in write_workflow(folder):
        log.warning("%s: differs from what labelmer %s would write; it stays", path, __version__)
    print(f"{folder}: edit config.yaml there, then, there: snakemake --cores 8 --resources gpu=1")
    if not importlib.util.find_spec("snakemake"):
        print('snakemake is not installed: pip install "labelmer[workflow]"')
