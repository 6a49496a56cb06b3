"""What the config says of fine-tuning."""

from dataclasses import dataclass

from labelmer.base.options import option


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
