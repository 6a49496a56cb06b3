"""What a variant of the model may change. Without torch, so that a config is checked at once."""

from dataclasses import dataclass, field, fields

from labelmer.base.errors import InputError
from labelmer.base.tables import MODALITIES

LSGMER_LACKS = {  # of what a label-guided model can have
    "label_interaction": False,
    "label_guidance": False,
    "experts": False,
    "expert_pooling": "attention",
    "pooling": "attention",
    "modalities": MODALITIES,
}


@dataclass(frozen=True)
class ModelOptions:
    """What a variant may change. The defaults are the full model."""

    architecture: str = "label-guided"  # or lsgmer; or linear, which is no network
    modalities: tuple = MODALITIES  # what the model sees
    width: int = 128  # d
    heads: int = 4  # of the cross-attention
    dropout: float = 0.3
    input_dropout: float = 0.3  # of the encoder's dimensions: one mask for all rows of an utterance
    frame_stride: int = 4  # speech frames averaged into one before the model
    standardise: bool = True  # by the training part's mean and sd
    label_start: dict = field(  # where the label embeddings start: prototype, words (text), random
        default_factory=lambda: {"speech": "prototype", "text": "prototype"}
    )
    label_embeddings: str = "learned"  # or frozen
    label_interaction: bool = True  # tokens and frames take up the labels that they are like
    label_guidance: bool = True  # cross-attention where both point to the same label
    cross_attention: bool = True  # text to speech and speech to text
    experts: bool = True  # each modality's own logits are part of the sum
    expert_pooling: str = "attention"  # attention, label-attention, mean, leam
    expert_statistics: bool = True  # experts also see mean and deviation of an utterance's rows
    pooling: str = "label-attention"  # of the joint term: the same choice
    modality_dropout: float = 0.1  # chance, in training, that one modality is missing
    expert_loss: float = 1.0  # weight of the cross-entropy of each of the experts' readers
    label_loss: float = 0.1  # weight of telling the labels apart

    @property
    def joint(self):
        """Is there a term that sees both modalities?"""
        return len(self.modalities) == 2

    @property
    def labels(self):
        """Does anything in the model use label embeddings?"""
        pools = [self.expert_pooling, self.pooling] if self.joint else [self.expert_pooling]
        guided = self.label_guidance and self.cross_attention
        inside = self.joint and (self.label_interaction or guided)
        return inside or any(pool in ("label-attention", "leam") for pool in pools)

    @classmethod
    def of(cls, given):
        """Options from a dict, as config.yaml has it; what is not given has its default."""
        known = {f.name for f in fields(cls)}
        if set(given) - known:
            raise InputError(
                f"model: unknown options {sorted(set(given) - known)}, expected {sorted(known)}"
            )
        values = dict(given)
        if values.get("architecture") == "lsgmer":
            if set(values.get("modalities", MODALITIES)) != set(MODALITIES):
                raise InputError(
                    f"model: modalities {list(values['modalities'])} with architecture lsgmer, "
                    f"which takes {list(MODALITIES)}; take one of the two out"
                )
            values |= LSGMER_LACKS
        if "modalities" in values:
            values["modalities"] = tuple(m for m in MODALITIES if m in values["modalities"])
        values["label_start"] = {**cls().label_start, **values.get("label_start", {})}
        options = cls(**values)
        if options.width % options.heads:
            raise InputError(
                f"model: width {options.width} is no multiple of heads {options.heads}"
            )
        return options
