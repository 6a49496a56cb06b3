"""Supervised contrastive loss across modalities, after DeepMSI-MER (arXiv 2502.08573)."""

from collections.abc import Mapping

import torch
from torch.nn import functional as F

TEMPERATURE = 0.5
NEVER = -1e4  # a similarity that counts for nothing


def contrastive(
    vectors: Mapping[str, torch.Tensor], labels: torch.Tensor, there: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """How much less alike than others are what two modalities say of one label; zero without pairs.

    s_ij is the cosine, divided by TEMPERATURE, of utterance i of one modality and j of the other.
    The loss is the mean of -log(exp(s_ij) / (exp(s_ij) + sum over k exp(s_ik))) over all i and j
    of the same label, i and j two utterances, and both directions; k: those of other labels.

    vectors: of two modalities, (B, d) each; labels (B,); there: by modality, (B,) bool.
    """
    one, other = (F.normalize(x.float(), dim=-1) for x in vectors.values())
    have_one, have_other = (there[m] for m in vectors)
    both = have_one[:, None] & have_other  # (B, B)
    same = labels[:, None] == labels
    pairs = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    similar = one @ other.T / TEMPERATURE
    total, count = similar.new_zeros(()), similar.new_zeros(())
    for s, counts in ((similar, both), (similar.T, both.T)):
        against = s.masked_fill(same | ~counts, NEVER).logsumexp(1, keepdim=True)  # (B, 1)
        total = total + (F.softplus(against - s) * (pairs & counts)).sum()
        count = count + (pairs & counts).sum()
    return total / count.clamp_min(1)
