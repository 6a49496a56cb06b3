"""What can be guessed without features. The stage `metadata` (labelmer/models/metadata.py)."""

from dataclasses import dataclass

from labelmer.base.options import option
from labelmer.models import options


@dataclass(frozen=True)
class Options(options.Options):
    """There is nothing to change."""

    architecture: str = option("what the model is", "metadata")

    kind = "metadata"
