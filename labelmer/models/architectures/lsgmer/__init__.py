"""LSGMER (arXiv 2504.05158), a neighbour to compare with: label signals."""

from dataclasses import dataclass

from labelmer.base.errors import InputError
from labelmer.base.tables import MODALITIES
from labelmer.models import options
from labelmer.models.options import check_heads


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change."""

    architecture: str = "lsgmer"
    heads: int = 4  # of the cross-attention
    label_loss: float = 0.1  # weight of the divergence

    def check(self):
        """InputError unless both modalities are there and the heads share the width equally."""
        if not self.joint:
            raise InputError(
                f"model: modalities {list(self.modalities)} with architecture lsgmer, which takes "
                f"{list(MODALITIES)}; take one of the two out"
            )
        check_heads(self)


def untrained(options, rows, classes):
    """An untrained LSGMER; arguments as of parts.Network."""
    from labelmer.models.architectures.lsgmer.network import LSGMER

    return LSGMER(options, rows, classes)
