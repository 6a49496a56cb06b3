"""Public corpora as they are distributed: a file here for each, found by itself.

A recipe is a module of this folder; `labelmer manifest jl-corpus ...` is jl_corpus.py. It has

    FACTS            what is known of the full release, a Facts
    read(release)    says of the release's files (release.py) which are clips: take, leave, text

and may have

    differences(rows)    how the clips found differ from the full release, beside what FACTS tells
                         of codes and speakers: a list of sentences; rows: a frame of strings with
                         the manifest's columns

A recipe goes by names and by the release's own tables, and never looks into audio.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

# Words for the classes, whose names all recipes share: so one corpus can be tested on another.
EMOTIONS = {
    "angry": "angry and furious",
    "bored": "bored and weary",
    "calm": "calm and relaxed",
    "contemptuous": "contemptuous and scornful",
    "disgusted": "disgusted and repelled",
    "fearful": "fearful and afraid",
    "happy": "happy and cheerful",
    "neutral": "neutral and plain",
    "sad": "sad and unhappy",
    "surprised": "surprised and astonished",
}


def emotions(**codes: str) -> dict[str, tuple[list[str], str]]:
    """Classes of EMOTIONS, each with the release's one code of it: {class: (codes, words)}."""
    return {name: ([code], EMOTIONS[name]) for name, code in codes.items()}


@dataclass(frozen=True)
class Facts:
    """What is known of a full release."""

    title: str
    language: str  # in English
    licence: str
    where: str  # where to get it, without https://
    looks: str  # the path of one clip
    classes: Mapping[str, tuple[list[str], str]]  # {class: (the release's codes, words)}
    clips: Mapping[str, int] | str  # {code: number of clips}, or words where releases differ
    speakers: int | str  # the same
    folds: Mapping[str, str | int]  # the config's folds, as they fit the full release
    advice: tuple[str, ...] = ()  # comments above the folds: what to know of this corpus' protocol
    words: bool = False  # do the words tell emotions? Not where all read the same sentences
    tables: str = ""  # what is read beside the clips, and what for
    encoder: str = ""  # OWNER/NAME of a text encoder of the language on the Hugging Face hub

    @property
    def size(self) -> str:
        """How many clips there are, in words."""
        return self.clips if isinstance(self.clips, str) else f"{sum(self.clips.values()):,}"


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of a recipe."""
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")


def table() -> list[list[str]]:
    """What there is: rows of recipe, language, speakers, clips, classes, licence, where."""
    rows = [["recipe", "language", "speakers", "clips", "classes", "licence", "where"]]
    for name in names():
        facts = load(name).FACTS
        said = [facts.language, str(facts.speakers), facts.size, ", ".join(facts.classes)]
        rows.append([name, *said, facts.licence, facts.where])
    return rows


def trees() -> list[list[str]]:
    """What a release looks like: rows of recipe, a clip's path, tables that are read."""
    facts = {name: load(name).FACTS for name in names()}
    rows = [[name, f"`{of.looks}`", of.tables or "none"] for name, of in facts.items()]
    return [["recipe", "a clip", "read beside the clips"], *rows]
