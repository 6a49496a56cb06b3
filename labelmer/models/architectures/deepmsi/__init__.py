"""DeepMSI-MER (arXiv 2502.08573), a neighbour to compare with: contrast and compression."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labelmer.base.options import option
from labelmer.models import options
from labelmer.models.options import check_joint

if TYPE_CHECKING:
    from labelmer.models.architectures.deepmsi.network import DeepMSI


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change."""

    architecture: str = option("what the model is", "deepmsi")
    contrastive: float = option("weight of the contrastive loss", 0.5, 0, minimum=0)
    keep_frames: float = option(
        "share of the speech frames that the others are merged into",
        0.5,
        1.0,
        exclusiveMinimum=0,
        maximum=1,
    )

    def check(self) -> None:
        """InputError unless both modalities are there."""
        check_joint(self)


def untrained(options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> "DeepMSI":
    """An untrained DeepMSI; arguments as of parts.Network."""
    from labelmer.models.architectures.deepmsi.network import DeepMSI

    return DeepMSI(options, rows, classes)
