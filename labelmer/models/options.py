"""What every architecture lets a variant change. Without torch: a config is checked at once.

An architecture (labelmer/models/architectures) has a class of its own that adds its options.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from labelmer.base.errors import InputError
from labelmer.base.options import check, option, refuse, schema_of
from labelmer.base.tables import MODALITIES

POOLINGS = ["attention", "label-attention", "mean", "leam"]


@dataclass(frozen=True)
class Options:
    """What a variant of any architecture may change."""

    architecture: str = option("what the model is; see method.md")

    kind: ClassVar[str] = "network"  # made by the stage train; or the stage that does it all

    @classmethod
    def names(cls) -> list[str]:
        """The options that there are, sorted."""
        return sorted(field.name for field in fields(cls))

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Options from a dict, as config.yaml has it; what is not given has its default.

        InputError: options that the architecture does not have, values that they do not take, or
        options that do not go together.
        """
        refuse(check(schema_of(cls), given, "model"))
        options = cls(**given)
        options.check()
        return options

    def check(self) -> None:
        """InputError if options do not go together; nothing can be wrong with these alone."""

    @property
    def idle(self) -> tuple[str, ...]:
        """The options that do nothing, whatever they say, beside what others say."""
        return ()


@dataclass(frozen=True)
class FeatureOptions(Options):
    """What a variant of any architecture that reads features may change."""

    modalities: tuple = option(
        "what the model sees",
        MODALITIES,
        ["speech"],
        minItems=1,
        uniqueItems=True,
        items={"enum": list(MODALITIES)},
    )
    frame_stride: int = option("speech frames averaged into one", 4, 2, enum=[1, 2, 4, 8])

    def __post_init__(self) -> None:
        """Modalities stand in one order, however they are given."""
        ordered = tuple(m for m in MODALITIES if m in self.modalities)
        object.__setattr__(self, "modalities", ordered)

    @property
    def joint(self) -> bool:
        """Does the model see both modalities?"""
        return len(self.modalities) == 2


@dataclass(frozen=True)
class NetworkOptions(FeatureOptions):
    """What a variant of any network may change."""

    width: int = option("of the model, d; a multiple of `heads`", 128, 64, minimum=4)
    dropout: float = option("within the model", 0.3, 0.1, minimum=0, exclusiveMaximum=1)
    input_dropout: float = option(
        "of the encoder's dimensions; one mask for all rows of an utterance",
        0.3,
        0.0,
        minimum=0,
        exclusiveMaximum=1,
    )
    standardise: bool = option("by the training part's mean and deviation", True, False)
    modality_dropout: float = option(
        "chance in training that one modality is missing, and that the context is",
        0.1,
        0,
        minimum=0,
        maximum=0.5,
    )

    @property
    def turns(self) -> tuple[int, bool]:
        """How many turns before an utterance are looked at, and whether as many after it."""
        return 0, False


def check_heads(options: Any) -> None:
    """InputError unless the heads of cross-attention share the width equally."""
    if options.width % options.heads:
        raise InputError(
            f"model: width {options.width} is no multiple of heads {options.heads}; raise the one "
            "or lower the other"
        )


def check_joint(options: Any) -> None:
    """InputError unless both modalities are there, of an architecture that is made for both."""
    if not options.joint:
        raise InputError(
            f"model: modalities {list(options.modalities)} with architecture "
            f"{options.architecture}, which takes {list(MODALITIES)}; take one of the two out"
        )
