"""What the config says of an encoder. Without torch, to be checked at once."""

from dataclasses import dataclass
from typing import Any

from labelmer.base.options import option, schema_of
from labelmer.base.ragged import FEATURE_DTYPE, LARGEST
from labelmer.base.tables import MODALITIES
from labelmer.features import encoders


@dataclass(frozen=True)
class EncoderOptions:
    """An encoder, beside what its family adds."""

    modality: str = option("what goes in", example="text", enum=list(MODALITIES))
    source: str = option(
        "where it comes from, see below",
        example="builtin:fbank",
        type="string",
        pattern=r"^(hub:[^/@]+/[^/@]+@[0-9a-f]{40}|path:.+|package:.+|builtin:.+|files:.+)$",
        expected="hub:OWNER/NAME@REVISION (40 hexadecimal digits), path:FOLDER, "
        "package:MODULE/FOLDER, builtin:NAME or files:FOLDER",
    )
    layer: Any = option(
        "0 enters the first layer, N leaves the last of N; -1 is the last; `all` keeps every one, "
        "and the model learns a mix of them; needed but for `builtin:` and `files:`",
        None,
        8,
        anyOf=[{"type": "integer"}, {"const": "all"}],
        expected="a whole number, or all",
    )
    dtype: str = option(
        "of the numbers in its feature files, see below",
        FEATURE_DTYPE,
        "float32",
        enum=list(LARGEST),
    )
    precision: str = option(
        "in which a network runs on a CPU, see below",
        encoders.PRECISIONS[0],
        "bfloat16",
        enum=list(encoders.PRECISIONS),
    )


def encoder_schema() -> dict[str, Any]:
    """The JSON schema of an encoder's entry, with the options of all families."""
    schema = schema_of(EncoderOptions)
    return {**schema, "properties": {**schema["properties"], **encoders.options()}}


def extraction_rules() -> dict[str, Any]:
    """The rules of what the stage extract is told of an encoder."""
    entry = encoder_schema()["properties"]
    return {key: rules for key, rules in entry.items() if key not in ("modality", "source")}
