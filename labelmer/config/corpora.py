"""The corpora of a config: its own, and those that the trained models are also tested on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.config import check
from labelmer.config.entries import encoding, trains_on_recognised
from labelmer.config.files import check_files, loaded
from labelmer.config.presence import sessions
from labelmer.config.sections import with_defaults
from labelmer.corpus import readers


@dataclass(frozen=True)
class Corpus:
    """A corpus as the workflow reads it: its section of a config, held against what is there."""

    section: dict[str, Any]
    labels: dict[str, dict[str, Any]]  # {class: its entry}
    sessions: list[str]  # in use
    all_sessions: list[str]

    @classmethod
    def of(cls, config: dict[str, Any], hold_out: str | None = None) -> "Corpus":
        """The corpus of a config. hold_out: as presence.sessions has it, as are the errors."""
        section = config["corpus"]
        used = sessions(section, hold_out)
        there = readers.load(section["reader"]).sessions(section["root"])
        return cls(section, config["labels"], used, there)

    @property
    def root(self) -> str:
        """What is there: the reader says."""
        return self.section["root"]

    @property
    def reader(self) -> ModuleType:
        """The module that reads it."""
        return readers.load(self.section["reader"])

    @cached_property
    def options(self) -> dict[str, Any]:
        """The reader's own options."""
        return readers.options_of(self.section)


def tested_on(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The configs that `test_on` of a checked config names: {name of the corpus: config}.

    InputError: a file is not there, is no config, or does not go with this one.
    """
    found: dict[str, dict[str, Any]] = {}
    given = "transcripts" in config["corpus"]
    if config["test_on"] and given and trains_on_recognised(config):
        raise InputError(
            "test_on: an experiment has words: recognised, and corpus: transcripts names a table "
            "of this corpus alone, expected words of the others too; take a transcriber: instead"
        )
    for path in config["test_on"]:
        other = _read(path)
        problems = [*_of_names(other, config, *found.values()), *_of_encoders(other, config)]
        if len(shared(config["labels"], other["labels"])) < 2:
            problems.append(
                f"its labels are {list(other['labels'])}, and this config's are "
                f"{list(config['labels'])}, expected two or more of one name: only what both have "
                "can be tested; name what is one class alike in both"
            )
        problems += [*_of_classes(other, config), *_of_transcribers(other, config)]
        if problems:
            raise InputError("\n".join(f"test_on: {path}: {problem}" for problem in problems))
        found[other["corpus"]["name"]] = other
    return found


def shared(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """The classes that two sections `labels` both have, in the order of the first."""
    return [name for name in mine if name in theirs]


def check_recordings(
    others: Iterable[Corpus], trained: Corpus, utterances_of: Callable[[str, str], pd.DataFrame]
) -> None:
    """Raise an InputError if a corpus that is tested has a recording of the one that trains.

    others: that are tested;
    utterances_of: the table "utterances" of a corpus' session, by the names of both.
    """

    def recordings(corpus: Corpus) -> dict[Path, str]:
        """{file: the first id that is cut from it}, of the sessions in use."""
        found: dict[Path, str] = {}
        for session in corpus.sessions:
            table = utterances_of(corpus.section["name"], session).sort_values("id")
            for name, path, *_ in corpus.reader.clips(corpus.root, table, **corpus.options):
                found.setdefault(path, name)
        return {path.resolve(): name for path, name in reversed(found.items())}

    mine = recordings(trained)
    for tested in others:
        theirs = recordings(tested)
        if common := sorted(mine.keys() & theirs.keys()):
            first = common[0]
            raise InputError(
                f"test_on: {tested.root} and {trained.root} have {len(common)} audio files in "
                f"common, the first is {first} (id '{theirs[first]}' there, '{mine[first]}' here), "
                "expected none: models would be tested on what they were trained on; take the rows "
                "of these files out of one of the two, or remove the config from test_on"
            )


def _read(path: str) -> dict[str, Any]:
    """The config in a file, checked by itself."""
    if not Path(path).is_file():
        raise InputError(
            f"test_on: there is no file '{path}' in {Path.cwd()}{names.misspelt(path)}, expected "
            "the config of another corpus; correct the path, or remove it"
        )
    try:
        check_files([path])
        config = loaded(path)
        check(config if isinstance(config, dict) else {})
    except InputError as error:
        raise InputError(f"test_on: {path}: {error}") from None
    return config


def _of_names(other: dict[str, Any], *known: dict[str, Any]) -> list[str]:
    """Complaints if two corpora would share a folder, or are one. known: the configs before."""
    theirs, problems = other["corpus"], []
    for mine in (config["corpus"] for config in known):
        if names.key(theirs["name"]) == names.key(mine["name"]):
            problems.append(
                f"corpus: name: '{theirs['name']}', but a corpus of this run is '{mine['name']}', "
                "expected another name, as results go to a folder of that name; rename one"
            )
        elif Path(theirs["root"]).resolve() == Path(mine["root"]).resolve():
            problems.append(
                f"corpus: root: '{theirs['root']}' is that of '{mine['name']}', expected another "
                "corpus: models would be tested on what they were trained on; correct one of the "
                "two, or remove the file from test_on"
            )
    return problems


def _of_classes(other: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Complaints if a class would not be shared for its spelling alone."""
    return [
        f"labels: '{theirs}' there and '{mine}' here differ only as spellings of one name do "
        f"({names.difference(theirs, mine)}), expected one spelling, as classes are shared by "
        "name; write both alike, or give one of the two another name"
        for theirs in other["labels"]
        for mine in names.like(theirs, config["labels"])
    ]


def _of_transcribers(other: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Complaints if words of two transcribers would lie under one name, or if this config's would
    hear the other corpus in a language that is not spoken there."""
    here, there = (with_defaults(each).get("transcriber") for each in (config, other))
    if not (here and there):
        return []
    problems = []
    if here["name"] == there["name"] and here != there:
        problems.append(
            f"transcriber: '{here['name']}' is {there} there, and {here} here, expected the same: "
            "words lie under the transcriber's name, for both; rename one of the two"
        )
    if trains_on_recognised(config) and here["language"] != there["language"]:
        problems.append(
            f"transcriber: language: '{there['language']}' there, and '{here['language']}' here, "
            "expected one language, as an experiment here has words: recognised, and this config's "
            "transcriber would hear that corpus in its own; take the experiment out, or the file "
            "out of test_on"
        )
    return problems


def _of_encoders(other: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Complaints if features of two encoders would lie under one name."""

    def said(entry: dict[str, Any]) -> dict[str, Any]:
        return {"source": entry["source"], **encoding(entry)}

    mine, theirs = config["encoders"], other["encoders"]
    return [
        f"encoders: '{name}' is {said(theirs[name])} there, and {said(mine[name])} here, expected "
        "the same: features lie under the encoder's name, for both; rename one of the two"
        for name in mine
        if name in theirs and said(mine[name]) != said(theirs[name])
    ]
