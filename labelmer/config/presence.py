"""What the config names, held against what is there."""

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from labelmer.base import names, tables
from labelmer.base.errors import InputError
from labelmer.config.entries import trains_on_recognised
from labelmer.corpus import readers
from labelmer.corpus.groups import check_scenarios, circles_of_speakers
from labelmer.corpus.official import official_parts
from labelmer.corpus.options import FoldOptions
from labelmer.features import made
from labelmer.features.checkpoint import spoken


def sessions(corpus: dict[str, Any], hold_out: str | None) -> list[str]:
    """The names of the corpus' sessions that the config asks for.

    hold_out: of the config; None where no folds are made. InputError: it is not there; a speaker
    in two sessions where sessions are what hold_out keeps apart.
    """
    root, reader = corpus["root"], readers.load(corpus["reader"])
    if not Path(root).exists():
        raise InputError(
            f"corpus: root: there is no '{root}' in {Path.cwd()}{names.misspelt(root)}, expected "
            f"{reader.ROOT}. Put it there, or correct the path in the config. "
            "To see labelmer at work without a corpus: labelmer demo resources/demo, and then the "
            "workflow with --configfile demo.yaml (in the repository: make demo)"
        )
    present = reader.sessions(root)
    wanted = corpus.get("sessions", present)
    problems = [p for name in wanted for p in unknown(name, present, "corpus: sessions")]
    if problems:
        raise InputError("\n".join(problems))
    if hold_out in ("speakers", "part", None):
        return sorted(wanted)
    home: dict[str, str] = {}
    for session in sorted(wanted):
        for speaker in reader.speakers(root, session):
            if home.setdefault(speaker, session) != session:
                raise InputError(
                    f"{root}: speaker '{speaker}' stands in '{home[speaker]}' and in '{session}', "
                    "and would be tested on and trained on; use folds: hold_out: speakers, or name "
                    "one of the two under corpus: sessions"
                )
    return sorted(wanted)


def check_folds(
    config: dict[str, Any],
    sessions: Collection[str],
    utterances_of: Callable[[str], pd.DataFrame],
) -> int:
    """How many folds there are.

    config: with the defaults of its sections; sessions: in use; utterances_of: the table
    "utterances" of a session, of any in the corpus. InputError: the corpus has too few sessions,
    speakers or scenarios for the folds asked for, or a split that it does not fit.
    """
    corpus, options = config["corpus"], FoldOptions(**config["folds"])
    reader, root = readers.load(corpus["reader"]), corpus["root"]
    if options.hold_out in ("session", "speaker") and options.scenarios == "shared":
        # Ids and labels of a large release take a while to read, and have no say here.
        speakers = {name for session in sessions for name in reader.speakers(root, session)}
        options.check(sessions, speakers)
        return options.number(sessions, speakers, official=1)
    known = {code for entry in config["labels"].values() for code in entry["codes"]}
    columns = ["id", "dialogue", "speaker", "scenario", "part"]
    table = pd.concat(
        [utterances_of(session).reindex(columns=columns, fill_value="") for session in sessions]
    )
    labels = pd.concat([reader.labels(root, session)[["id", "code"]] for session in sessions])
    of_classes = table[table.id.isin(labels.id[labels.code.isin(known)])]
    circles = circles_of_speakers(of_classes).nunique()
    options.check(sessions, set(of_classes.speaker), circles)
    if options.scenarios == "apart":
        check_scenarios(of_classes, options.scenario_groups)
    official = 1
    if options.hold_out == "part":
        others = set(reader.sessions(root)) - set(sessions) if options.parts else ()
        ids = [name for session in sorted(others) for name in utterances_of(session).id]
        official = official_parts(table, options.parts, ids).fold.nunique()
    return options.number(sessions, set(table.speaker), official)


def check_codes(labels: dict[str, Any], known: Sequence[str], all_classes: bool) -> None:
    """Raise an InputError if a label of the corpus is a code of the config but for its spelling,
    or if a class has no code that is a label.

    labels: the config's section; known: the corpus' labels; all_classes: are there utterances of
    all classes? Of another corpus that is tested on there may be some alone.
    """
    home = {code: name for name, entry in labels.items() for code in entry["codes"]}
    for code, name in home.items():
        for other in names.like(code, known):
            if other not in home:
                raise InputError(
                    f"labels: {name}: code '{code}' and the corpus' label '{other}' differ only as "
                    f"spellings of one name do ({names.difference(code, other)}); write the code "
                    "as the corpus does, or list both"
                )
    for name, entry in labels.items():
        if all_classes and not set(entry["codes"]) & set(known):
            raise InputError(
                f"labels: no utterance of the class '{name}', codes {entry['codes']}; the corpus "
                f"has the codes {sorted(set(known))}; correct the codes, or take the class out"
            )


# Tables that may be given beside the corpus: section and key, what is expected there.
GIVEN = {
    ("corpus", "transcripts"): "a TSV with the columns id and text, the words recognised in each "
    "utterance",
    ("corpus", "rationales"): "a TSV with the columns id, modality, start and end, stretches that "
    "tell labels",
    ("folds", "parts"): "a TSV with the columns id, fold and part, the corpus' own split",
}


def check_given(config: dict[str, Any]) -> None:
    """Raise an InputError if a table that the config gives beside the corpus is not there."""
    for (section, key), expected in GIVEN.items():
        path = config[section].get(key)
        if path is not None and not Path(path).is_file():
            raise InputError(
                f"{section}: {key}: there is no file '{path}' in {Path.cwd()}"
                f"{names.misspelt(path)}, expected {expected}; correct the path, or remove the key"
            )


def check_results(path: Path) -> None:
    """Raise an InputError if the folder of the results is a file, or a link to nowhere."""
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path}: a link to {path.readlink()}, which is not there; mount that disk, make that "
            "folder, or remove the link"
        )
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: a file, expected a folder for the results, or nothing; move it")


MADE = ("results", "resources/encoders", "benchmarks")  # whose times Snakemake compares
AHEAD_S = 600.0  # the clock of a file server may be some minutes ahead of all others


def check_times() -> None:
    """Raise an InputError if what the workflow made is of the future, as of a clock that was ahead.

    Snakemake would stop where a job's output is older than its input, and remove the output.
    """
    now = time.time()
    files = (
        Path(place, name)
        for folder in MADE
        for place, _, names_there in os.walk(folder)
        for name in names_there
    )
    for path in files:
        if (made := path.lstat().st_mtime) > now + AHEAD_S:
            ahead, here = (time.strftime("%Y-%m-%d %H:%M", time.localtime(t)) for t in (made, now))
            raise InputError(
                f"{path}: it is of {ahead}, and now it is {here}: the clock was ahead when it was "
                "made; give all that was made one time, which runs nothing again: "
                f"find -L {' '.join(MADE)} -exec touch -d @{int(now)} {{}} +"
            )


def check_sources(config: dict[str, Any]) -> None:
    """Raise an InputError if the folder of an encoder that an experiment names, or of the
    transcriber, is not there, or the latter no whole Whisper checkpoint."""
    used = [e[modality] for e in config["experiments"] for modality in ("speech", "text")]
    sources = {f"encoders: {name}": config["encoders"][name]["source"] for name in used}
    if "transcriber" in config:
        sources["transcriber"] = config["transcriber"]["source"]
    expected = {"path": "config.json and the weights", "files": "ID.npy for each utterance"}
    for said, source in sources.items():
        kind, _, place = source.partition(":")
        if kind in expected and not Path(place).is_dir():
            raise InputError(
                f"{said}: source: there is no folder '{place}' in {Path.cwd()}"
                f"{names.misspelt(place)}, expected one with {expected[kind]}; correct the path"
            )
        if kind == "path" and said == "transcriber":
            try:
                spoken(Path(place), config["transcriber"].get("language"))
            except InputError as error:
                raise InputError(f"{said}: source: {error}") from None


def check_recognised(config: dict[str, Any], ids_of: Callable[[bool], Iterable[str]]) -> None:
    """Raise an InputError if a table of recognised words that an experiment trains on lacks some.

    ids_of: as of files_of_nobody.
    """
    path = config["corpus"].get("transcripts")
    if path is None or not trains_on_recognised(config):
        return
    known = set(tables.given(path, "transcripts")["id"])
    missing = [name for name in ids_of(True) if name not in known]
    if missing:
        raise InputError(
            f"corpus: transcripts: {path} has no row for {len(missing)} utterances: "
            f"{made.listed(missing)}; expected one for each, as experiments: words: recognised "
            "trains on them; add them, with an empty text if nothing was recognised"
        )


def files_of_nobody(config: dict[str, Any], ids_of: Callable[[bool], Iterable[str]]) -> list[str]:
    """What to say of files in the folder of a `files:` encoder that no utterance is called like.

    ids_of: the ids of the corpora's utterances; True: of the sessions in use alone. InputError: an
    utterance in use has no file, or two corpora have one of its id.
    """
    said = []
    for name in sorted({experiment["speech"] for experiment in config["experiments"]}):
        kind, _, place = config["encoders"][name]["source"].partition(":")
        if kind == "files":
            used = pd.Series(list(ids_of(True)), dtype=str)
            if len(twice := used[used.duplicated()]):
                raise InputError(
                    f"encoders: {name}: id '{twice.iloc[0]}' (and {len(twice) - 1} more) stands in "
                    f"two corpora, and {place} can have one file of that name; expected ids of one "
                    "corpus each: rename those of one of the two"
                )
            made.check_names(place, used)
            idle = sorted(set(made.names_in(place)) - set(ids_of(False)))
            if idle:
                said.append(
                    f"encoders: {name}: {place} has {len(idle)} files of no utterance, which are "
                    f"left aside: {made.listed(idle)}"
                )
    return said


def unknown(name: str, known: Collection[str], place: str) -> list[str]:
    """A complaint if a name of the config is defined nowhere."""
    if name in known:
        return []
    expected = f"expected one of {sorted(known)}{names.meant(name, known)}"
    return [f"{place}: '{name}' is not defined, {expected}"]
