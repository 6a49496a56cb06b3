"""LSGMER (arXiv 2504.05158), a neighbour to compare with: label signals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labelmer.base.options import option
from labelmer.models import options
from labelmer.models.options import check_heads, check_joint

if TYPE_CHECKING:
    from labelmer.models.architectures.lsgmer.network import LSGMER


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change."""

    architecture: str = option("what the model is", "lsgmer")
    heads: int = option("of the cross-attention", 4, 2, minimum=1)
    label_loss: float = option("weight of the divergence", 0.1, 0, minimum=0)

    def check(self) -> None:
        """InputError unless both modalities are there and the heads share the width equally."""
        check_joint(self)
        check_heads(self)


def untrained(options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> "LSGMER":
    """An untrained LSGMER; arguments as of parts.Network."""
    from labelmer.models.architectures.lsgmer.network import LSGMER

    return LSGMER(options, rows, classes)
