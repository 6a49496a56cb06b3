"""The corpora that labelmer can read: a file here for each, found by itself.

A reader is a module of this folder; `reader:` in the config names it by its file's name. It has

    ROOT                            in words, what `root:` of the config is to name
    OPTIONS                         its own keys of `corpus:`, {key: rules}, as base/options.py has
                                    them: with `description` and `default`
    sessions(root)                  names of the sessions
    speakers(root, session)         names of the session's speakers
    utterances(root, session)       the tables "utterances" and "unread"; of the first, scenario,
                                    passage, role and part may lack
    labels(root, session)           the table "labels"
    clips(root, table, **options)   where the audio is: a list of (id, path, start_s, end_s)
    audio_files(root, session, **options)    what must be there before anything is cut

and may have

    codes(root)                     all labels, where each corpus has labels of its own
    release_differences(utterances, labels)    how the tables of all sessions differ from those of
                                    the full release: a list of sentences

Modules are loaded by their name, so that the code of one reader counts for its corpora alone.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from labelmer.base.options import check, closed, refuse


def names() -> list[str]:
    """The names of all readers, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of a reader."""
    return importlib.import_module(f"{__name__}.{name}")


def options() -> dict[str, dict[str, Any]]:
    """The readers' own options, {name of the reader: {key: rules}}."""
    return {name: load(name).OPTIONS for name in names()}


def section(given: dict[str, Any]) -> dict[str, Any]:
    """A stage's section `corpus`, checked: the reader, what it reads, the reader's own options."""
    name = {"reader": {"enum": names()}}
    refuse(check({"properties": name, "required": ["reader"]}, given, "--config: corpus"))
    own = load(given["reader"]).OPTIONS
    known = {**name, "root": {"type": "string", "minLength": 1}, **own}
    refuse(check(closed(known, ["root"]), given, "--config: corpus"))
    return given


def options_of(corpus: Mapping[str, Any]) -> dict[str, Any]:
    """The reader's own options in the config's section `corpus`, by default where it has none."""
    own = load(corpus["reader"]).OPTIONS
    return {key: corpus.get(key, option["default"]) for key, option in own.items()}
