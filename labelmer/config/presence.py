"""What the config names, held against what is there."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.corpus import readers


def sessions(corpus: dict[str, Any], hold_out: str) -> list[str]:
    """The names of the corpus' sessions that the config asks for.

    InputError: it is not there; a speaker in two sessions where sessions are what `hold_out`, of
    the config, keeps apart.
    """
    root, reader = corpus["root"], readers.load(corpus["reader"])
    if not Path(root).exists():
        raise InputError(
            f"corpus: root: there is no '{root}' in {Path.cwd()}{names.misspelt(root)}, expected "
            f"{reader.ROOT}. Put it there, or correct the path in the config. "
            "To see labelmer at work without a corpus: make demo"
        )
    present = reader.sessions(root)
    wanted = corpus.get("sessions", present)
    problems = [p for name in wanted for p in unknown(name, present, "corpus: sessions")]
    if problems:
        raise InputError("\n".join(problems))
    if hold_out in ("speakers", "part"):
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


def check_codes(labels: dict[str, Any], known: Iterable[str]) -> None:
    """Raise an InputError if a label of the corpus is a code of the config but for its spelling.

    labels: the config's section; known: the corpus' labels.
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


def check_sources(config: dict[str, Any]) -> None:
    """Raise an InputError if the folder of an encoder that an experiment names is not there."""
    for experiment in config["experiments"]:
        for name in (experiment["speech"], experiment["text"]):
            kind, _, place = config["encoders"][name]["source"].partition(":")
            if kind == "path" and not Path(place).is_dir():
                raise InputError(
                    f"encoders: {name}: source: there is no folder '{place}' in {Path.cwd()}, "
                    "expected one with config.json and the weights; correct the path"
                )


def unknown(name: str, known: Collection[str], place: str) -> list[str]:
    """A complaint if a name of the config is defined nowhere."""
    if name in known:
        return []
    expected = f"expected one of {sorted(known)}{names.meant(name, known)}"
    return [f"{place}: '{name}' is not defined, {expected}"]
