"""The label-guided model: label embeddings, label interaction, label-guided attentive fusion.

Our reading of 'Leveraging Label Information for Multimodal Emotion Recognition' (arXiv
2309.02106), of which the abstract is known; docs/method.md says what is the paper's and what is
ours. The interaction builds on LEAM (Wang et al. 2018, 'Joint Embedding of Words and Labels for
Text Classification').

Shapes: B utterances, T tokens or frames, R rows of all utterances end to end (Layout), D
encoder width, d model width, C labels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from labelmer.base.errors import InputError
from labelmer.base.tables import MODALITIES
from labelmer.models import parts
from labelmer.models.architectures.label_guided import Options
from labelmer.models.architectures.label_guided.context import ContextExpert
from labelmer.models.compression import Compression, spread
from labelmer.models.contrast import contrastive
from labelmer.models.layout import Layout
from labelmer.models.parts import CrossAttention, Pooling, State, entropy, inward, mlp


@dataclass
class Output(parts.Output):
    """As of every model, and what the losses of experts and labels need, by modality."""

    readers: dict = field(default_factory=dict)  # lists of (B, C): what an expert adds up
    labels: dict = field(default_factory=dict)  # (C, d): the label embeddings that were used
    alone: dict = field(default_factory=dict)  # (B, d): each modality before both are fused


@dataclass
class GuidedState(State):
    """One modality of a batch, its rows label-enhanced where the options say so."""

    labels: torch.Tensor | None  # (C, d)
    says: torch.Tensor | None  # (B, T, C)
    readers: list[torch.Tensor]  # (B, C) each: the expert's logits are their sum
    pooled: torch.Tensor | None  # (B, d), and
    weights: torch.Tensor | None  # (B, T): the expert's pooling

    def alone(self) -> torch.Tensor:
        """What the modality alone is (B, d): what its expert pools, or without one the mean."""
        if self.pooled is not None:
            return self.pooled
        mask = self.layout.mask
        return self.layout.mean(self.hidden, mask / mask.sum(1, keepdim=True))


class LabelGuidedFusion(parts.Network):
    """A joint term, which sees both modalities; of one modality an expert on it.

    With `experts` the logits are the sum of the joint term and of an expert on each modality. With
    context_turns another expert looks at the turns around the utterance.
    """

    options: Options

    def __init__(self, options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> None:
        super().__init__(options, rows, classes, Side)
        d = options.width
        if options.context_turns:
            self.context = ContextExpert(options, classes)
        if not options.joint:
            return
        if options.cross_attention:
            self.to_other = nn.ModuleDict(
                {
                    m: CrossAttention(d, options.heads, options.dropout, options.label_guidance)
                    for m in options.modalities
                }
            )
        self.pools = nn.ModuleDict(
            {m: Pooling(options.pooling, d, classes) for m in options.modalities}
        )
        self.joint = mlp(2 * d, d, classes, options.dropout)
        if options.keep_frames < 1:
            self.compress = Compression(options.keep_frames, d, d, options.dropout)

    def forward(
        self,
        inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
        present: Mapping[str, torch.Tensor] | None = None,
    ) -> Output:
        """Output of a batch; arguments as in parts.Network."""
        options, sides = self.options, self.states(inputs, present)
        readers = {m: side.readers for m, side in sides.items() if side.readers}
        experts = {m: sum(logits) for m, logits in readers.items()}
        asked = {m: side.weights for m, side in sides.items() if side.weights is not None}
        received, weights = {}, {}
        logits = sum(experts.values())
        pooled = {m: side.pooled for m, side in sides.items()}
        says = {m: side.says for m, side in sides.items() if side.says is not None}
        labels = {m: side.labels for m, side in sides.items() if side.labels is not None}
        alone, merged = {}, None
        if options.joint:
            alone = {m: side.alone() for m, side in sides.items()}
            if options.keep_frames < 1:
                sides["speech"], merged = self.compressed(sides["speech"], alone)
            enhanced = {m: side.hidden for m, side in sides.items()}
            if options.cross_attention:
                fused = {}
                for m, other in (MODALITIES, MODALITIES[::-1]):
                    fused[m], received[other] = self.crossed(m, sides[m], sides[other])
                enhanced = fused
            for m, side in sides.items():
                similar = self.sides[m].similarity(enhanced[m], side.labels)
                pooled[m], weights[m] = self.pools[m](enhanced[m], side.layout, similar)
            if merged is not None:
                weights["speech"] = spread(weights["speech"], merged)
                if "speech" in received:
                    received["speech"] = spread(received["speech"], merged)
            both = torch.cat(list(pooled.values()), dim=-1)
            logits = logits + self.joint(both).float()  # (B, C)
        turns: dict[str, torch.Tensor] = {}
        if options.context_turns and "context" in inputs:
            of_labels = {m: side.labels for m, side in sides.items()}
            said, turns = self.context(inputs["context"], self.sides, pooled, of_labels, present)
            logits, readers["context"] = logits + said, [said]
        return Output(
            *(logits, experts, says, weights, asked, received, turns),
            readers=readers,
            labels=labels,
            alone=alone,
        )

    def compressed(
        self, side: GuidedState, alone: Mapping[str, torch.Tensor]
    ) -> tuple[GuidedState, torch.Tensor]:
        """A state with fewer rows that count, and what was merged into these (B, T, T)."""
        vectors = [alone[m] for m in MODALITIES]
        rows, layout, merged = self.compress(side.hidden, side.layout, vectors)
        says = None if side.says is None else merged @ side.says
        return replace(side, hidden=rows, layout=layout, says=says), merged

    def crossed(
        self, modality: str, asking: GuidedState, answering: GuidedState
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What cross-attention of a modality makes of two states, guided by their labels."""
        says = (asking.says, answering.says) if self.options.label_guidance else None
        return self.to_other[modality](asking, answering, says)

    def loss(
        self, output: Output, labels: torch.Tensor, shares: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Weighted cross-entropy of the logits, of each reader, and of the labels among themselves.

        Arguments as in parts.Network.
        """
        options = self.options
        terms = [(output.logits, shares["all"])]
        if options.joint or options.expert_statistics or options.context_turns:
            # Else the one reader is the sum itself.
            weight = {"context": options.context_loss}
            terms += [
                (logits, weight.get(name, options.expert_loss) * shares[name])
                for name, readers in output.readers.items()
                for logits in readers
            ]
        logits, counted = map(torch.cat, zip(*terms, strict=True))
        total = entropy(logits, counted, labels.repeat(len(terms)))
        for m, embeddings in output.labels.items():
            told_apart = self.sides[m].label_loss(embeddings)
            total = total + options.label_loss * shares["even"].sum() * told_apart
        if options.joint and options.contrastive:
            there = {m: shares[m] > 0 for m in output.alone}
            apart = contrastive(output.alone, labels, there)
            total = total + options.contrastive * shares["even"].sum() * apart
        return total


class Side(parts.Side):
    """One modality: compare its tokens or frames with the labels, and the expert on it alone."""

    options: Options

    def __init__(self, options: Options, row: Sequence[int], classes: int) -> None:
        super().__init__(options, row, classes)
        d, width = options.width, row[-1]
        if options.labels:
            self.label_embeddings = nn.Parameter(
                torch.empty(classes, width), options.label_embeddings == "learned"
            )
            self.start_labels(torch.randn(classes, width))
            self.log_sharpness = nn.Parameter(torch.tensor(math.log(5.0)))
        if options.label_interaction and (options.joint or options.context_turns):
            self.take_up = nn.Linear(d, d, bias=False)  # W_e
            self.norm = nn.LayerNorm(d)
        if options.experts or not options.joint:
            self.expert_pool = Pooling(options.expert_pooling, d, classes)
            self.expert = mlp(d, d, classes, options.dropout)
            if options.expert_statistics:
                self.deviation = inward(width, d)
                self.expert_of_statistics = mlp(2 * d, d, classes, options.dropout)

    def start(
        self,
        modality: str,
        mean: np.ndarray,
        sd: np.ndarray,
        prototypes: np.ndarray,
        words: np.ndarray | None,
    ) -> None:
        """As in parts.Side; the label embeddings start where the options say."""
        super().start(modality, mean, sd, prototypes, words)
        kind = self.options.label_start[modality]
        if self.options.labels and kind != "random":
            if kind == "words" and words is None:
                raise InputError(
                    f"label_start: {modality}: words needs the labels' words, and there are none; "
                    "give their features by --label-words, or another label_start"
                )
            starts = ((words if kind == "words" else prototypes) - mean) / sd
            if starts.ndim == 3:  # all layers count alike at the start
                starts = starts.mean(1)
            self.start_labels(torch.from_numpy(starts).float())

    def start_labels(self, embeddings: torch.Tensor) -> None:
        """Start the label embeddings (C, D): what all labels share is taken off, then unit RMS."""
        with torch.no_grad():
            self.label_embeddings.copy_(unit(embeddings - embeddings.mean(0)))

    def labels(self) -> torch.Tensor:
        """The label embeddings in the model's space (C, d): sequences of length one."""
        return self.project(self.label_embeddings)

    def similarity(self, hidden: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor | None:
        """Sharpened cosine of every token, frame or turn (..., d) with every label: (..., C)."""
        if labels is None:
            return None
        cosine = F.normalize(hidden, dim=-1) @ F.normalize(labels, dim=-1).T
        return self.log_sharpness.exp() * cosine

    def label_loss(self, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the labels' (C, d) similarity among themselves with the identity."""
        target = torch.arange(len(labels), device=labels.device)
        return F.cross_entropy(self.similarity(labels, labels), target)

    def forward(
        self, values: torch.Tensor, mask: torch.Tensor, present: torch.Tensor | None = None
    ) -> GuidedState:
        options, state = self.options, super().forward(values, mask, present)
        values, hidden, layout = state.values, state.hidden, state.layout
        labels = self.labels() if options.labels else None
        similar = self.similarity(hidden, labels)
        says = similar.softmax(-1) if similar is not None else None  # P (R, C)
        readers, pooled, weights = [], None, None
        if options.experts or not options.joint:
            pooled, weights = self.expert_pool(hidden, layout, similar)
            readers = [self.expert(pooled)]
            if options.expert_statistics:
                readers.append(self.of_statistics(values, layout))
            # Mixed precision does not round the sum of logits. A missing modality says nothing.
            readers = [logits.float() for logits in readers]
            if present is not None:
                readers = [logits * present[:, None] for logits in readers]
        if says is not None:
            if options.joint and options.label_interaction:
                hidden = self.norm(hidden + self.take_up(says @ labels))
            says = layout.unpack(says)
        return GuidedState(values, hidden, layout, labels, says, readers, pooled, weights)

    def of_statistics(self, values: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Logits (B, C) of the mean and the deviation over time of values (R, D)."""
        mean = layout.mean(values)  # (B, D)
        variance = layout.mean((values - layout.each(mean)).square())
        deviation = variance.clamp_min(1e-12).sqrt()  # whose slope at zero is infinite
        both = self.project.inward(mean), self.deviation(deviation)  # (B, d) each
        return self.expert_of_statistics(torch.cat(both, dim=-1))


def unit(embeddings: torch.Tensor) -> torch.Tensor:
    """Each row scaled to unit root mean square."""
    return embeddings / embeddings.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-8)
