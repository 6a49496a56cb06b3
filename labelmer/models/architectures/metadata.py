"""What can be guessed without features. The stage `metadata` (labelmer/models/metadata.py)."""

from dataclasses import dataclass
from typing import Any

from labelmer.base.errors import InputError
from labelmer.base.options import option
from labelmer.models import options


@dataclass(frozen=True)
class Options(options.Options):
    """There is nothing to change."""

    architecture: str = option("what the model is", "metadata")

    kind = "metadata"


def untrained(*_: Any) -> None:
    """There is none: InputError."""
    raise InputError(
        "model: architecture metadata is no network, expected one that can be trained; "
        "`labelmer metadata` fits the baseline"
    )
