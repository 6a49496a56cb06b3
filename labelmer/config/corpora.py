"""A corpus of a config, as the workflow reads it."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from labelmer.config.presence import sessions
from labelmer.corpus import readers


@dataclass(frozen=True)
class Corpus:
    """A section `corpus` that has been held against what is there."""

    section: dict[str, Any]
    sessions: list[str]  # in use
    all_sessions: list[str]

    @classmethod
    def of(cls, section: dict[str, Any], hold_out: str | None = None) -> "Corpus":
        """The corpus of a section. hold_out: as presence.sessions has it, as are the errors."""
        used = sessions(section, hold_out)
        return cls(section, used, readers.load(section["reader"]).sessions(section["root"]))

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
