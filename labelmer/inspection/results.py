"""What stands in a results folder, how large it is, what no config makes, and what is best."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from labelmer.base.errors import InputError
from labelmer.config import check
from labelmer.config.corpora import tested_on
from labelmer.config.entries import members_of, name_of, seeds_of
from labelmer.config.files import check_files
from labelmer.config.sections import with_defaults
from labelmer.prediction.bundled import bundle_around
from labelmer.prediction.runs import variants_in
from labelmer.report import columns
from labelmer.report.columns import EXPERIMENT
from labelmer.report.text import percent, percent_interval

OF_CORPUS = ("segments", "utterances", "labels", "transcripts", "features")
OF_RUNS = ("models", "predictions", "perturbed", "weights", "salience")
OF_STUDY = ("splits", "encoders", "features", "labels", *OF_RUNS, "transfer", "reports")
CAUTION = "chosen by its test part, so its number is too good"


def about_results(folder: Path, given: Sequence[Sequence[Path]]) -> dict[str, Any]:
    """Facts of results, results/NAME or results/NAME/STUDY as a dict for JSON.

    given: the config files of one run of the workflow each, later ones over earlier ones. Without
    any, nothing is said of what no config makes. InputError: a folder that is none of the three.
    """
    corpora = {corpus: [study] if study else _studies(corpus) for corpus, study in _of(folder)}
    wanted = [merged(paths) for paths in given]
    holds: Counter[str] = Counter()
    unmade: Counter[str] = Counter()
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        corpus = next(c for c in corpora if path.is_relative_to(c))
        size, parts = path.stat().st_size, path.relative_to(corpus).parts
        study = parts[0] in {s.name for s in corpora[corpus]}
        depth = 2 if study or parts[0] == "features" else 1
        holds["/".join((corpus.name, *parts[:depth]))] += size
        if wanted and (extra := _unmade(corpus.name, parts, wanted)) is not None:
            unmade["/".join((corpus.name, *extra))] += size
    studies = [study for found in corpora.values() for study in found]
    best = {str(s.relative_to(s.parents[1])): line for s in studies if (line := best_of(s))}
    return {
        "path": str(folder),
        "kind": "results",
        "holds": dict(holds),
        "unmade": dict(unmade) if wanted else None,
        "best": best,
        "bytes": sum(holds.values()),
    }


def _of(folder: Path) -> list[tuple[Path, Path | None]]:
    """The corpora that a folder holds or is in, each with the one study to look at, or all."""
    if _holds(folder, ("segments", "utterances")):
        return [(folder, None)]
    if _holds(folder, ("splits", "models", "predictions", "reports")):
        return [(folder.parent, folder)]
    inside = [(f, None) for f in sorted(folder.iterdir()) if _holds(f, ("segments", "utterances"))]
    if not inside:
        raise InputError(f"{folder}: {_instead_of(folder)}")
    return list(inside)


def _instead_of(folder: Path) -> str:
    """What a folder is that is none to look at, and which one to give."""
    if bundle := bundle_around(folder):
        return f"a part of the bundle {bundle}; give that folder, or that of a model in it"
    place = Path(os.path.normpath(folder.absolute()))  # as named: results may be a link
    marks = ("segments", "utterances", "splits")
    if around := next((above for above in place.parents if _holds(above, marks)), None):
        inside = variants_in(folder)[:1] or sorted(folder.rglob("*.h5"))[:1]
        more = f", or {inside[0]}" if inside else ""
        return f"a part of the results {around}; give that folder{more}"
    if _holds(folder, ["results"]):
        return f"no results, but holds them; give {folder / 'results'}"
    return (
        "neither a model, a bundle nor results, expected a folder that labelmer wrote: results, "
        "results/NAME, results/NAME/STUDY, the folder of a variant or of a run, or a bundle"
    )


def _holds(folder: Path, names: Iterable[str]) -> bool:
    return any((folder / name).is_dir() for name in names)


def _studies(corpus: Path) -> list[Path]:
    found = [folder for folder in sorted(corpus.iterdir()) if folder.is_dir()]
    return [f for f in found if f.name not in OF_CORPUS and _holds(f, OF_STUDY)]


def merged(paths: Sequence[Path]) -> dict[str, Any]:
    """The config of some files, later ones over earlier ones, as Snakemake merges them.

    `test_on` names corpora there, not files. InputError: a file that is not there, or a config that
    is not valid.
    """
    if absent := [path for path in paths if not path.is_file()]:
        raise InputError(f"{absent[0]}: there is no such config file; correct the path")
    check_files(paths)
    made: dict[str, Any] = {}
    for path in paths:
        _update(made, yaml.safe_load(path.read_text(encoding="utf-8")))
    check(made)
    made = with_defaults(made)
    return {**made, "test_on": list(tested_on(made))}


def _update(made: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(made.get(key), dict):
            _update(made[key], value)
        else:
            made[key] = value


def _name(config: Mapping[str, Any]) -> str:
    return config["corpus"]["name"]


def _unmade(
    corpus: str, parts: Sequence[str], configs: Sequence[Mapping[str, Any]]
) -> tuple[str, ...] | None:
    """How much of a file's path below its corpus no config makes; None if one makes it."""
    wanted = [config for config in configs if corpus in (_name(config), *config["test_on"])]
    if not wanted:
        return ()
    top, *rest = parts
    if top in OF_CORPUS:
        if top == "features" and rest[0] not in _encoders(wanted):
            return (top, rest[0])
        return _of_other_words(parts, wanted)
    of_study = [c for c in wanted if (_name(c), c["study"]) == (corpus, top)]
    if not of_study:
        return (top,)
    if len(rest) < 2:
        return None
    above: tuple[str, ...] = (top, rest[0])
    kind, *below = rest
    if kind == "transfer":
        other, *below = below
        above = (*above, other)
        if other not in {name for config in of_study for name in config["test_on"]}:
            return above
        kind = below[0] if below[0] == "features" else kind
        if kind == "features":
            above, below = (*above, kind), below[1:]
    if kind in ("features", "encoders", "labels"):
        known = below[0].removesuffix(".h5") in _encoders(of_study)
        return _of_other_words(parts, of_study) if known else (*above, below[0])
    if kind not in (*OF_RUNS, "transfer") or len(below) < 4:
        return None
    name, mode, variant, run = below[:4]
    if (name, mode, variant) not in set(_variants(of_study)):
        return (*above, name, mode, variant)
    own = [config for config in of_study if variant in config["variants"]]
    seeds = {f"seed{seed}" for config in own for seed in seeds_of(config, variant)}
    return None if run.split(".")[1] in seeds else (*above, name, mode, variant, run)


def _encoders(wanted: Sequence[Mapping[str, Any]]) -> set[str]:
    return {e[m] for config in wanted for e in config["experiments"] for m in ("speech", "text")}


def _of_other_words(
    parts: Sequence[str], wanted: Sequence[Mapping[str, Any]]
) -> tuple[str, ...] | None:
    """As _unmade() of what is recognised, and of its features: by other transcribers than theirs.

    Words stand in transcripts/ where a table gives them, and in transcripts/TRANSCRIBER/.
    """
    if parts[0] != "transcripts" and "transcripts" not in parts[3:]:  # behind an encoder's name
        return None
    place = 0 if parts[0] == "transcripts" else parts.index("transcripts", 3)
    by = tuple(parts[place + 1 : -1])
    known: set[tuple[str, ...]] = set()
    for config in wanted:
        if "transcriber" in config:
            known.add((config["transcriber"]["name"],))
        if "transcripts" in config["corpus"]:
            known.add(())
    return None if by in known else (*parts[: place + 1], *by)


def _variants(wanted: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """(SPEECH+TEXT, MODE, VARIANT) of all that configs run, and of what late fusions multiply."""
    for config in wanted:
        for e in config["experiments"]:
            for variant in e["variants"]:
                own = name_of(e)
                for home, each in ((own, variant), *members_of(config, variant, own)):
                    name, _, mode = home.rpartition("/")
                    yield name, mode, each


def best_of(study: Path) -> str:
    """The variant of a study with the greatest pooled UA, as its report has it; "" without one."""
    path = study / "reports" / "compare.tsv"
    if not path.exists():
        return ""
    table = columns.read(path, "compare")
    row = table.loc[table["ua_pooled"].idxmax()]
    speech, text, mode = row[EXPERIMENT]
    interval = percent_interval(row["ua_low"], row["ua_high"])
    return (
        f"{row['variant']} of {len(table)} ({speech} + {text}, {mode}): pooled UA "
        f"{percent(row['ua_pooled'])} {interval}; {CAUTION}"
    )
