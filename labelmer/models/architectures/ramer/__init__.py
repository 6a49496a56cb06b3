"""RAMER (arXiv 2410.02804), a neighbour to compare with: what is missing is looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labelmer.base.options import option
from labelmer.models import options
from labelmer.models.options import check_joint

if TYPE_CHECKING:
    from labelmer.models.architectures.ramer.network import RAMER


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change."""

    architecture: str = option("what the model is", "ramer")
    retrieval: str = option(
        "what stands in for a missing modality: its vectors of the training utterances that are "
        "nearest by the other one, of as many drawn by lot, or the mean of the nearest class",
        "nearest",
        "random",
        enum=["nearest", "random", "prototype"],
    )
    neighbours: int = option("how many training utterances stand in", 5, 10, minimum=1)

    def check(self) -> None:
        """InputError unless both modalities are there."""
        check_joint(self)

    @property
    def idle(self) -> tuple[str, ...]:
        """As in Options: one class stands in alone."""
        return ("neighbours",) if self.retrieval == "prototype" else ()


def untrained(options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> "RAMER":
    """An untrained RAMER; arguments as of parts.Network."""
    from labelmer.models.architectures.ramer.network import RAMER

    return RAMER(options, rows, classes)
