"""What every architecture lets a variant change. Without torch: a config is checked at once.

An architecture (labelmer/models/architectures) has a class of its own that adds its options.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

from labelmer.base.errors import InputError
from labelmer.base.tables import MODALITIES


@dataclass(frozen=True)
class Options:
    """What a variant of any architecture may change."""

    architecture: str
    modalities: tuple = MODALITIES  # what the model sees
    frame_stride: int = 4  # speech frames averaged into one before the model

    kind: ClassVar[str] = "network"  # made by the stage train; or the stage that does it all

    @classmethod
    def names(cls):
        """The options that there are, sorted."""
        return sorted(field.name for field in fields(cls))

    @classmethod
    def of(cls, given):
        """Options from a dict, as config.yaml has it; what is not given has its default.

        InputError: options that the architecture does not have, or that do not go together.
        """
        unknown = sorted(set(given) - set(cls.names()))
        if unknown:
            raise InputError(f"model: unknown options {unknown}, expected some of {cls.names()}")
        seen = given.get("modalities", MODALITIES)
        options = cls(**{**given, "modalities": tuple(m for m in MODALITIES if m in seen)})
        options.check()
        return options

    def check(self):
        """InputError if options do not go together; nothing can be wrong with these alone."""

    @property
    def joint(self):
        """Does the model see both modalities?"""
        return len(self.modalities) == 2


@dataclass(frozen=True)
class NetworkOptions(Options):
    """What a variant of any network may change."""

    width: int = 128  # d
    dropout: float = 0.3
    input_dropout: float = 0.3  # of the encoder's dimensions: one mask for all rows of an utterance
    standardise: bool = True  # by the training part's mean and sd
    modality_dropout: float = 0.1  # chance, in training, that one modality is missing


def check_heads(options):
    """InputError unless the heads of cross-attention share the width equally."""
    if options.width % options.heads:
        raise InputError(
            f"model: width {options.width} is no multiple of heads {options.heads}; raise the one "
            "or lower the other"
        )
