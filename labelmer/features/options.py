"""What the config says of encoders and of fine-tuning. Without torch, to be checked at once."""

from dataclasses import dataclass
from typing import Any

from labelmer.base.options import closed, option, schema_of
from labelmer.base.ragged import FEATURE_DTYPE
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
        pattern=r"^(hub:[^/@]+/[^/@]+@[0-9a-f]{40}|path:.+|package:.+|builtin:.+)\Z",
        expected="hub:OWNER/NAME@REVISION (40 hexadecimal digits), path:FOLDER, "
        "package:MODULE/FOLDER or builtin:NAME",
    )
    layer: Any = option(
        "0 enters the first layer, N leaves the last of N; -1 is the last; `all` keeps every one, "
        "and the model learns a mix of them; needed but for `builtin:`",
        None,
        8,
        anyOf=[{"type": "integer"}, {"const": "all"}],
        expected="a whole number, or all",
    )
    dtype: str = option(
        "of the numbers in its feature files, see below",
        FEATURE_DTYPE,
        "float32",
        enum=["float16", "bfloat16", "float32"],
    )
    precision: str = option(
        "in which a network runs on a CPU, see below",
        encoders.PRECISIONS[0],
        "bfloat16",
        enum=list(encoders.PRECISIONS),
    )


@dataclass(frozen=True)
class FinetuningOptions:
    """How an encoder is fine-tuned."""

    epochs: int = option("the best on validation is kept", 5, 10, minimum=1)
    batch_size: int = option("utterances in the network at once", 8, 2, minimum=1)
    accumulation: int = option("batches for one update of the weights", 1, 4, minimum=1)
    learning_rate: float = option(
        "at its height; then it falls to 0", 2e-5, 1e-5, exclusiveMinimum=0
    )
    weight_decay: float = option("of matrices alone", 0.01, 0.0, minimum=0)
    warm_up: float = option(
        "share of the updates in which the rate rises", 0.1, 0.2, minimum=0, maximum=1
    )
    clip: float = option("greatest norm of the gradient", 1.0, 5.0, exclusiveMinimum=0)
    dropout: float = option(
        "of the mean, before the linear layer", 0.1, 0.0, minimum=0, exclusiveMaximum=1
    )
    freeze_front_end: bool = option(
        "leave the convolutions of a speech encoder as they are", True, False
    )
    gradient_checkpointing: bool = option("less memory, more time", False, True)


def encoder_schema() -> dict[str, Any]:
    """The JSON schema of an encoder's entry, with the options of all families."""
    schema = schema_of(EncoderOptions)
    return {**schema, "properties": {**schema["properties"], **encoders.options()}}


def extraction_schema() -> dict[str, Any]:
    """What the stage extract is told of an encoder."""
    entry = encoder_schema()["properties"]
    return closed({key: rules for key, rules in entry.items() if key not in ("modality", "source")})
