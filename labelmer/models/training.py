"""What the config says of training."""

from dataclasses import dataclass

from labelmer.base.options import option


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is fitted."""

    updates: int = option(
        "of the weights, at least: a small training part is passed over more often",
        500,
        1000,
        minimum=1,
    )
    epochs: int = option("passes over the training part, at least", 4, 8, minimum=1)
    patience: int = option(
        "passes without a better epoch after which training ends, before all `updates` are made; "
        "if not given, all are made",
        None,
        10,
        minimum=1,
    )
    batch_size: int = option("utterances whose gradient makes one update", 16, 64, minimum=1)
    learning_rate: float = option("at its height", 1e-3, 5e-4, exclusiveMinimum=0)
    weight_decay: float = option("of matrices alone", 0.01, 0.0, minimum=0)
    refit: bool = option(
        "train anew on training and validation part, for as many updates as was best on validation",
        True,
        False,
    )

    def passes(self, utterances: int) -> int:
        """Epochs that a training part of so many utterances is trained for."""
        return max(self.epochs, -(-self.updates // self.batches(utterances)))

    def batches(self, utterances: int) -> int:
        """Updates of an epoch."""
        return -(-utterances // self.batch_size)
