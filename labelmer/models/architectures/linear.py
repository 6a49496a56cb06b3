"""The baseline without a network. The stage `linear` (labelmer/models/linear.py) fits it."""

from dataclasses import dataclass

from labelmer.base.options import option
from labelmer.models import options


@dataclass(frozen=True)
class Options(options.FeatureOptions):
    """What a variant of the baseline may change."""

    architecture: str = option("what the model is", "linear")

    kind = "linear"
