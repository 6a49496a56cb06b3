"""Guided compression of a modality's rows, after DeepMSI-MER (arXiv 2502.08573).

Shapes: B utterances, T rows of the longest, R rows of all (Layout), d model width.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from labelmer.models.layout import Layout
from labelmer.models.parts import mlp


class Compression(nn.Module):
    """Rows that are alike what both modalities say stay; each other one is merged into one of them.

    The guide is the mean row + MLP([vectors of both]); r_i its cosine with row i. The `share` of
    the rows with the highest r stays, at least one. Each other row joins the group of that one
    with which its cosine is highest. A group becomes the mean of its rows weighted by exp(r_i),
    which is how the guide learns.
    """

    def __init__(self, share: float, d: int, width: int, dropout: float) -> None:
        """share: of the rows, that stay; width: of a vector."""
        super().__init__()
        self.share = share
        self.guide = mlp(2 * width, d, d, dropout)

    def forward(
        self, rows: torch.Tensor, layout: Layout, vectors: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, Layout, torch.Tensor]:
        """New rows, their Layout, in which those that stay count, and what was merged.

        rows (R, d) and their Layout; vectors: two of (B, width). What was merged (B, T, T): the
        weights of all rows in each that stays.
        """
        mask, x = layout.mask, layout.unpack(rows)  # (B, T), (B, T, d)
        count = mask.sum(1, keepdim=True)
        guide = layout.mean(rows, mask / count) + self.guide(torch.cat(list(vectors), dim=-1))
        unit = F.normalize(x, dim=-1)
        score = (unit @ F.normalize(guide, dim=-1)[..., None])[..., 0]  # r (B, T)
        order = score.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
        stays = mask & (order.argsort(1) < (self.share * count).round().clamp_min(1))
        nearest = (unit @ unit.mT).masked_fill(~stays[:, None], -torch.inf).argmax(2)  # (B, T)
        places = torch.arange(mask.shape[1], device=mask.device)
        joined = torch.where(stays, places, nearest)  # (B, T): the place of its group
        members = (joined[:, None] == places[:, None]) & mask[:, None]  # (B, T, T)
        weights = members * score.exp()[:, None]
        merged = weights / weights.sum(-1, keepdim=True).clamp_min(1e-8)
        return layout.pack(merged @ x), layout.only(stays), merged


def spread(weights: torch.Tensor, merged: torch.Tensor) -> torch.Tensor:
    """Weights (B, T) of compressed rows on all rows: (B, T). merged: as of Compression."""
    return (weights[:, None] @ merged)[:, 0]
