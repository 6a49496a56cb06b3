"""The label-guided model of docs/method.md, with every piece that its options leave in it."""

from dataclasses import dataclass, field

from labelmer.models import options
from labelmer.models.options import check_heads


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change. The defaults are the full model."""

    architecture: str = "label-guided"
    heads: int = 4  # of the cross-attention
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
    expert_loss: float = 1.0  # weight of the cross-entropy of each of the experts' readers
    label_loss: float = 0.1  # weight of telling the labels apart

    @classmethod
    def of(cls, given):
        """As in Options; a modality that label_start does not name has its default."""
        start = {**cls().label_start, **given.get("label_start", {})}
        return super().of({**given, "label_start": start})

    def check(self):
        """InputError unless the heads share the width equally."""
        check_heads(self)

    @property
    def labels(self):
        """Does anything in the model use label embeddings?"""
        pools = [self.expert_pooling, self.pooling] if self.joint else [self.expert_pooling]
        guided = self.label_guidance and self.cross_attention
        inside = self.joint and (self.label_interaction or guided)
        return inside or any(pool in ("label-attention", "leam") for pool in pools)


def untrained(options, rows, classes):
    """An untrained LabelGuidedFusion; arguments as of parts.Network."""
    from labelmer.models.architectures.label_guided.network import LabelGuidedFusion

    return LabelGuidedFusion(options, rows, classes)
