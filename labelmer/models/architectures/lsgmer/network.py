"""Label signals, re-implemented from the published description of LSGMER (arXiv 2504.05158).

Shapes: B utterances, T tokens or frames, d model width, C labels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from labelmer.base.tables import MODALITIES
from labelmer.models import parts
from labelmer.models.architectures.lsgmer import Options
from labelmer.models.parts import CrossAttention, entropy


@dataclass(kw_only=True)
class Output(parts.Output):
    """As of every model, and what is compared with the labels."""

    fused: torch.Tensor  # (B, d)


class LSGMER(parts.Network):
    """Labels L (C, d) attend to what cross-attention H1 makes of the tokens or frames H0.

    H2 = Attention(L, H1, H1), w = sigmoid(H2), H = w * mean(H0) + H2. In training L is a moving
    average, L <- a L + (1 - a) L', and the Jensen-Shannon divergence of softmax(cos(H, L)) and the
    prediction is part of the loss. Ours, as the description leaves them open: one attention head,
    the means over time and over labels, L' the means of the batch's classes, a = 0.9, the weight
    of the divergence (label_loss), standardising, projection and null token of the other models.
    """

    KEPT = 0.9  # a
    options: Options
    label_signals: torch.Tensor

    def __init__(self, options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> None:
        super().__init__(options, rows, classes)
        d = options.width
        self.to_other = nn.ModuleDict(
            {m: CrossAttention(d, options.heads, options.dropout) for m in MODALITIES}
        )
        self.query = nn.ModuleDict({m: nn.Linear(d, d) for m in MODALITIES})
        self.key = nn.ModuleDict({m: nn.Linear(d, d, bias=False) for m in MODALITIES})
        self.value = nn.ModuleDict({m: nn.Linear(d, d) for m in MODALITIES})
        self.fuse = nn.Sequential(nn.Linear(2 * d, d), nn.GELU(), nn.Dropout(options.dropout))
        self.classify = nn.Linear(d, classes)
        self.register_buffer("label_signals", torch.randn(classes, d))
        # Of the training batch: (fused (B, d), labels (B,)) of each of its pieces.
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(
        self,
        inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
        present: Mapping[str, torch.Tensor] | None = None,
    ) -> Output:
        """Output of a batch; arguments as in parts.Network."""
        sides = self.states(inputs, present)
        received, weights, enhanced = {}, {}, []
        for m, other in (MODALITIES, MODALITIES[::-1]):
            hidden, received[other] = self.to_other[m](sides[m], sides[other])  # H1 (R, d)
            layout, query = sides[m].layout, self.query[m](self.label_signals)
            key = layout.unpack(self.key[m](hidden))  # (B, T, d)
            logits = query @ key.transpose(1, 2) / math.sqrt(key.shape[-1])  # (B, C, T)
            attention = logits.masked_fill(~layout.mask[:, None], -torch.inf).softmax(-1)
            signal = attention @ layout.unpack(self.value[m](hidden))  # H2 (B, C, d)
            evenly = layout.mask / layout.mask.sum(1, keepdim=True)  # (B, T)
            mean = layout.mean(sides[m].hidden, evenly)  # (B, d)
            enhanced.append((signal.sigmoid() * mean[:, None] + signal).mean(1))
            weights[m] = attention.mean(1)  # (B, T)
        fused = self.fuse(torch.cat(enhanced, dim=-1))  # (B, d)
        logits = self.classify(fused)
        return Output(logits, pooling=weights, received=received, fused=fused)

    def loss(
        self, output: Output, labels: torch.Tensor, shares: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Weighted cross-entropy, and the divergence; arguments as in parts.Network."""
        if self.training:
            self.seen.append((output.fused.detach(), labels))
        similar = F.normalize(output.fused, dim=-1) @ F.normalize(self.label_signals, dim=-1).T
        apart = jensen_shannon(similar.log_softmax(-1), output.logits.log_softmax(-1))  # (B,)
        divergence = (shares["even"] * apart).sum()
        return entropy(output.logits, shares["all"], labels) + self.options.label_loss * divergence

    def after_batch(self) -> None:
        """Move the signal of each class in the batch towards the mean of its utterances."""
        fused, labels = map(torch.cat, zip(*self.seen, strict=True))
        self.seen = []
        members = F.one_hot(labels, self.classes).to(fused.dtype).T  # (C, B)
        counts = members.sum(1, keepdim=True)
        means = members @ fused / counts.clamp_min(1)
        moved = self.KEPT * self.label_signals + (1 - self.KEPT) * means
        self.label_signals = torch.where(counts > 0, moved, self.label_signals)


def jensen_shannon(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence (B,) of two sets of log probabilities (B, C)."""
    log_middle = torch.logaddexp(log_p, log_q) - math.log(2)
    halves = [
        F.kl_div(log_middle, x, log_target=True, reduction="none").sum(-1) for x in (log_p, log_q)
    ]
    return sum(halves) / 2
