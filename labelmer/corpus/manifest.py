"""A public corpus as it is distributed -> a manifest, what was left out of it, a ready config.

    labelmer manifest --list
    labelmer manifest RECIPE ROOT OUT.tsv [--config OUT.yaml]
    labelmer manifest table ROOT OUT.tsv --path-pattern '{speaker}/{label}_*.wav'

OUT.left_out.tsv, beside OUT.tsv, names each file that is no clip, and why. Nothing is written over.
"""

import csv
import re
import shlex
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.stage import command, stage_parser
from labelmer.corpus import pattern, ready, recipes
from labelmer.corpus.readers.manifest import COLUMNS, FURTHER
from labelmer.corpus.recipes import Facts
from labelmer.corpus.release import SOUND, Release

MANIFEST = "manifest.tsv"  # as a folder that is no release may have its own
OWN = "table"  # the name of the recipe for a corpus of one's own
TWO_LABELS = "the same bytes as {}, and another label"


def without_contradictions(release: Release) -> list[dict[str, str]]:
    """The clips without those that are the same bytes under two labels; both kinds are named."""
    gone = set()
    for group in release.identical():
        said = ", ".join(f"{row['path']} ({row['label']})" for row in group)
        if len({row["label"] for row in group}) == 1:
            whose = "under several names"
            if len({row["speaker"] for row in group}) > 1:
                whose = "of several speakers, so that they may stand in training and test"
            log.warning("the same bytes %s, kept: %s", whose, said)
            continue
        log.warning("the same bytes under two labels, left out: %s", said)
        for row in group:
            other = next(o["path"] for o in group if o["label"] != row["label"])
            release.leave(row["path"], TWO_LABELS.format(other))
            gone.add(row["path"])
    return [row for row in release.rows if row["path"] not in gone]


def differences(facts: Facts, rows: pd.DataFrame) -> list[str]:
    """How the clips found differ from the full release: a list of sentences."""
    if isinstance(facts.clips, str):
        return []
    classes = {code: name for name, (codes, _) in facts.classes.items() for code in codes}
    counts = rows.label.value_counts()
    pairs = {"clips": (len(rows), sum(facts.clips.values()))}
    for code in sorted({*counts.index, *facts.clips}):
        what = f"clips of {code}" + (f" ({classes[code]})" if code in classes else "")
        pairs[what] = counts.get(code, 0), facts.clips.get(code, 0)
    if not isinstance(facts.speakers, str):
        pairs["speakers"] = rows.speaker.nunique(), facts.speakers
    return [
        f"{what}: {here} here, {full} in the full release"
        for what, (here, full) in pairs.items()
        if here != full
    ]


def written(table: pd.DataFrame) -> str:
    """A table as TSV, quoted where a cell has quotes."""
    return table.to_csv(sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)


def manifest_of(rows: list[dict[str, str]], root: Path, folder: Path) -> pd.DataFrame:
    """The manifest's rows, sorted by id, columns that are empty throughout left away."""
    frame = pd.DataFrame(rows).fillna("").sort_values("id", ignore_index=True)
    root, folder = Path.cwd() / root, Path.cwd() / folder
    below = root.relative_to(folder) if root.is_relative_to(folder) else root
    frame["path"] = [(below / path).as_posix() for path in frame.path]
    further = [c for c in FURTHER if c in frame and (frame[c] != "").any()]
    return frame[[*COLUMNS, *further]]


def refuse_other(path: Path, text: str) -> None:
    """InputError if a file stands there that is not what would be written."""
    if path.exists() and (not path.is_file() or path.read_bytes() != text.encode()):
        raise InputError(
            f"{path}: it is there, and is not what would be written now; nothing is written over: "
            "give another name, or move it away"
        )


def release_of(args: Namespace, files: Iterable[Path]) -> tuple[Release, Facts]:
    """The files of a release, sorted out, and what is known of it; what is odd goes to the log.

    files: what is to be written, which is none of the release's.
    """
    release = Release(args.root, files)
    if args.recipe == OWN:
        pattern.read(release, args.path_pattern)
        facts, more = pattern.facts(release, args.out.stem, args.path_pattern), None
    else:
        recipe = recipes.load(args.recipe)
        recipe.read(release)
        facts, more = recipe.FACTS, getattr(recipe, "differences", None)
    release.leave_the_rest(facts.looks)
    if release.rows:
        found = pd.DataFrame(release.rows).fillna("")
        for difference in [*differences(facts, found), *(more(found) if more else [])]:
            log.warning("NOT THE FULL RELEASE: %s", difference)
    return release, facts


def clips_of(release: Release, facts: Facts) -> list[dict[str, str]]:
    """The clips that go into the manifest; InputError: there is none."""
    clips = without_contradictions(release)
    if not clips:
        reasons = Counter(release.left_out.values()).most_common(3)
        said = "; ".join(f"{count} x {why}" for why, count in reasons) or "it is empty"
        raise InputError(
            f"{release.root}: no clip in this folder, expected files like {facts.looks}"
            f"{f', beside {facts.tables}' if facts.tables else ''} ({said}); name the corpus' own "
            f"folder{_otherwise(release, facts)}"
        )
    return clips


def _otherwise(release: Release, facts: Facts) -> str:
    """What a folder without a clip of the release may be instead."""
    said = ""
    here = {Path(path).suffix.lower() for path in release.files} & SOUND
    there = {ending.lower() for ending in re.findall(r"\.\w+", facts.looks)} & SOUND
    if here and there and not here & there:
        said += (
            f"; its audio ends in {', '.join(sorted(here))}, the release's in "
            f"{', '.join(sorted(there))}: a converted copy is not read by a recipe"
        )
    if (own := release.root / MANIFEST).is_file():
        said += f"; it has a table of its own: in a config, reader: manifest, root: {own} reads it"
    return said


def shown(path: str) -> str:
    """A path that a table can hold."""
    return path if path.isprintable() else ascii(path)[1:-1]


def tell(rows: pd.DataFrame, left_out: Mapping[str, str], files: Iterable[Path]) -> None:
    """Print what there is."""
    labels = ", ".join(f"{label} {n}" for label, n in rows.label.value_counts().items())
    print(f"{len(rows)} clips of {rows.speaker.nunique()} speakers: {labels}")
    silent = rows.path[rows.text == ""]
    if len(silent):
        print(f"without words: {len(silent)} of the clips, the first is {silent.iloc[0]}")
    print(f"left out: {len(left_out)}, each with its reason in the second of these files")
    print(f"written: {', '.join(map(str, files))}")


def listed() -> str:
    """The table of all recipes, for a terminal."""
    table = recipes.table()
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


def parser() -> ArgumentParser:
    """The verb's arguments."""
    made = stage_parser(__doc__)
    made.add_argument("recipe", nargs="?", choices=[*recipes.names(), OWN], metavar="RECIPE")
    made.add_argument("root", nargs="?", type=Path, metavar="ROOT", help="the corpus' folder")
    made.add_argument("out", nargs="?", type=Path, metavar="OUT.tsv", help="to write")
    made.add_argument("--config", type=Path, metavar="OUT.yaml", help="a ready config, to write")
    made.add_argument("--path-pattern", metavar="PATTERN", help=f"of {OWN}: what paths say")
    made.add_argument("--list", action="store_true", help="print all recipes")
    return made


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the verb manifest."""
    arguments = parser()
    args = arguments.parse_args(argv)
    if args.list:
        print(listed())
        return
    if not args.out:
        arguments.error("RECIPE, ROOT and OUT.tsv are needed")
    if args.recipe == OWN and not args.path_pattern:
        arguments.error(
            f"{OWN} needs --path-pattern, what paths below ROOT say, such as "
            "--path-pattern '{speaker}/{label}_*.wav'"
        )
    if args.recipe != OWN and args.path_pattern:
        arguments.error(f"--path-pattern goes with {OWN} alone; take it out")
    left_out = args.out.with_suffix(".left_out.tsv")
    paths = [args.out, left_out, *([args.config] if args.config else [])]
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError(
            f"--config {args.config}: a table is written there; give the config another name"
        )
    release, facts = release_of(args, paths)
    rows = manifest_of(clips_of(release, facts), args.root, args.out.parent)
    left = [(shown(path), why) for path, why in sorted(release.left_out.items())]
    texts = [written(rows), written(pd.DataFrame(left, columns=["path", "reason"]))]
    if args.config:
        name = args.recipe if args.recipe != OWN else pattern.name_of(args.out.stem) or OWN
        made_by = ["labelmer", "manifest", args.recipe, "ROOT", str(args.out)]
        made_by += ["--path-pattern", args.path_pattern] if args.path_pattern else []
        texts.append(
            ready.config_text(name, shlex.join(made_by), facts, args.out, args.config, rows)
        )
    files = dict(zip(paths, texts, strict=True))
    for path, text in files.items():
        refuse_other(path, text)
    for path, text in files.items():
        write_atomically(path, text)
    tell(rows, release.left_out, files)
