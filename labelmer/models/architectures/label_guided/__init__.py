"""The label-guided model of docs/method.md, with every piece that its options leave in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from labelmer.base.errors import InputError
from labelmer.base.options import option
from labelmer.models import options
from labelmer.models.options import POOLINGS, check_heads

if TYPE_CHECKING:
    from labelmer.models.architectures.label_guided.network import LabelGuidedFusion


@dataclass(frozen=True)
class Options(options.NetworkOptions):
    """What a variant may change. The defaults are the full model."""

    architecture: str = option("what the model is", "label-guided")
    heads: int = option("of the cross-attention", 4, 2, minimum=1)
    label_start: dict = option(
        "where label embeddings start",
        {"speech": "prototype", "text": "prototype"},
        {"text": "words"},
        type="object",
        additionalProperties=False,
        properties={
            "speech": {"enum": ["prototype", "random"]},
            "text": {"enum": ["prototype", "words", "random"]},
        },
    )
    label_embeddings: str = option(
        "do they learn?", "learned", "frozen", enum=["learned", "frozen"]
    )
    label_interaction: bool = option(
        "tokens and frames take up the labels that they are like", True, False
    )
    label_guidance: bool = option("the label term in the cross-attention", True, False)
    cross_attention: bool = option("text to speech and speech to text", True, False)
    experts: bool = option("each modality's own logits in the sum", False, True)
    expert_pooling: str = option(
        "pooling over time in the experts", "attention", "mean", enum=POOLINGS
    )
    expert_statistics: bool = option(
        "experts also read the mean and the deviation over time of an utterance's tokens or frames",
        True,
        False,
    )
    pooling: str = option(
        "pooling in the joint term", "label-attention", "attention", enum=POOLINGS
    )
    expert_loss: float = option("weight of the losses of the experts' readers", 1.0, 0.5, minimum=0)
    label_loss: float = option("weight of telling the labels apart", 0.1, 0, minimum=0)
    contrastive: float = option(
        "weight of pulling together what speech and text say of the same label", 0.0, 0.5, minimum=0
    )
    keep_frames: float = option(
        "share of the speech frames that the others are merged into, before both are fused",
        1.0,
        0.5,
        exclusiveMinimum=0,
        maximum=1,
    )
    context_turns: int = option(
        "turns of the dialogue that are looked at as well, at most", 0, 8, minimum=0, maximum=64
    )
    context: str = option(
        "which turns: those that ended before the utterance began, or as many later ones, too, "
        "which are not there while people talk",
        "past",
        "both",
        enum=["past", "both"],
    )
    context_loss: float = option("weight of the loss of the context expert", 0.1, 1.0, minimum=0)

    @classmethod
    def of(cls, given: dict[str, Any]) -> "Options":
        """As in Options; a modality that label_start does not name has its default."""
        made = super().of(given)
        return replace(made, label_start={**cls().label_start, **made.label_start})

    def check(self) -> None:
        """InputError unless the heads share the width equally, or if context says nothing."""
        check_heads(self)
        if self.context == "both" and not self.context_turns:
            raise InputError(
                "model: context: both goes with context_turns, and there are none; say how many "
                "turns, or take context out"
            )

    @property
    def idle(self) -> tuple[str, ...]:
        """As in Options: on one modality there is no joint term, on two there may be no experts."""
        if self.joint:
            none = ("expert_loss", "expert_pooling", "expert_statistics")
            return () if self.experts else none
        around = () if self.context_turns else ("label_interaction", "label_guidance")
        return ("contrastive", "cross_attention", "experts", "keep_frames", "pooling", *around)

    @property
    def labels(self) -> bool:
        """Does anything in the model use label embeddings?"""
        pools = [self.expert_pooling, self.pooling] if self.joint else [self.expert_pooling]
        around = self.context_turns > 0
        crossed = self.joint and self.cross_attention
        inside = self.label_interaction and (self.joint or around)
        inside = inside or (self.label_guidance and (crossed or around))
        return inside or any(pool in ("label-attention", "leam") for pool in pools)

    @property
    def turns(self) -> tuple[int, bool]:
        """As in NetworkOptions."""
        return self.context_turns, self.context == "both"


def untrained(
    options: Options, rows: Mapping[str, Sequence[int]], classes: int
) -> "LabelGuidedFusion":
    """An untrained LabelGuidedFusion; arguments as of parts.Network."""
    from labelmer.models.architectures.label_guided.network import LabelGuidedFusion

    return LabelGuidedFusion(options, rows, classes)
