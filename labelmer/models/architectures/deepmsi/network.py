"""Contrast across modalities and guided compression, re-implemented from the description of
DeepMSI-MER (arXiv 2502.08573).

Shapes: B utterances, T tokens or frames, d model width, C labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from labelmer.base.tables import MODALITIES
from labelmer.models import parts
from labelmer.models.architectures.deepmsi import Options
from labelmer.models.compression import Compression, spread
from labelmer.models.contrast import contrastive
from labelmer.models.parts import Pooling, entropy, mlp

WIDTH = 256  # of what a head gives
HIDDEN = 256, 128  # widths of the layers that classify


@dataclass(kw_only=True)
class Output(parts.Output):
    """As of every model, and what is contrasted: {modality: (B, WIDTH)}."""

    vectors: dict


class DeepMSI(parts.Network):
    """p_m = head(pool(H_m)) of each modality; speech once more, from its compressed frames.

    The logits are an MLP of [p_s ; p_t], with layers of 256 and 128; the loss has a contrastive
    term between p_s and p_t. docs/method.md says what is ours.
    """

    options: Options

    def __init__(self, options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> None:
        super().__init__(options, rows, classes)
        d, dropout = options.width, options.dropout
        self.pools = nn.ModuleDict({m: Pooling("attention", d, classes) for m in MODALITIES})
        self.heads = nn.ModuleDict({m: Head(d, dropout) for m in MODALITIES})
        if options.keep_frames < 1:
            self.compress = Compression(options.keep_frames, d, WIDTH, dropout)
        fuse = mlp(2 * WIDTH, *HIDDEN, dropout)
        self.fuse = nn.Sequential(fuse, nn.GELU(), nn.Dropout(dropout))
        self.classify = nn.Linear(HIDDEN[-1], classes)

    def forward(
        self,
        inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
        present: Mapping[str, torch.Tensor] | None = None,
    ) -> Output:
        """Output of a batch; arguments as in parts.Network."""
        sides = self.states(inputs, present)
        pooled = {m: self.pools[m](side.hidden, side.layout) for m, side in sides.items()}
        vectors = {m: self.heads[m](z) for m, (z, _) in pooled.items()}  # (B, WIDTH) each
        weights = {m: over_time for m, (_, over_time) in pooled.items()}
        if self.options.keep_frames < 1:
            speech = sides["speech"]
            both = [vectors[m] for m in MODALITIES]
            rows, layout, merged = self.compress(speech.hidden, speech.layout, both)
            z, of_compressed = self.pools["speech"](rows, layout)
            vectors["speech"] = self.heads["speech"](z)
            weights["speech"] = spread(of_compressed, merged)
        fused = self.fuse(torch.cat([vectors[m] for m in MODALITIES], dim=-1))
        return Output(self.classify(fused).float(), pooling=weights, vectors=vectors)

    def loss(
        self, output: Output, labels: torch.Tensor, shares: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Weighted cross-entropy, and the contrastive term; arguments as in parts.Network."""
        total = entropy(output.logits, shares["all"], labels)
        there = {m: shares[m] > 0 for m in MODALITIES}
        apart = contrastive(output.vectors, labels, there)
        return total + self.options.contrastive * shares["even"].sum() * apart


class Head(nn.Module):
    """p = W z; LN(p + Drop(W' GELU(p)))."""

    def __init__(self, d: int, dropout: float) -> None:
        super().__init__()
        self.inward = nn.Linear(d, WIDTH)
        self.mix = nn.Sequential(nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """(B, WIDTH) of pooled (B, d)."""
        p = self.inward(pooled)
        return self.norm(p + self.mix(p))
