"""A batch with some of its tokens or frames deleted, or with a modality missing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch

from labelmer.base.tables import MODALITIES
from labelmer.models.deletions import SHARES, chances_of

Inputs = Mapping[str, Any]  # as of parts.Network


def chances(ids: Sequence[str], modality: str, mask: torch.Tensor) -> torch.Tensor:
    """The chances_of the rows of a batch, zero on padding: (B, T) on the CPU."""
    drawn = torch.zeros(mask.shape, dtype=torch.float64)
    for place, (name, length) in enumerate(zip(ids, mask.sum(1).tolist(), strict=True)):
        drawn[place, :length] = torch.from_numpy(chances_of(name, modality, length))
    return drawn


def without_highest(
    values: torch.Tensor, mask: torch.Tensor, scores: torch.Tensor, share: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs without that share of the rows of each utterance with the highest scores.

    values (B, T, ...), mask (B, T), scores (B, T). At least one row goes and at least one stays;
    the others keep their order. Returns values and mask of fewer rows.
    """
    lengths = mask.sum(1)
    gone = (lengths * share).round().clamp_min(1).minimum(lengths - 1)
    order = scores.masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    keep = mask & (order.argsort(1) >= gone[:, None])
    front = (~keep).byte().argsort(dim=1, stable=True)[:, : int(keep.sum(1).max())]
    utterances = torch.arange(len(mask), device=mask.device)[:, None]
    return values[utterances, front], keep[utterances, front]


def perturbed(
    inputs: Inputs,
    salience: Mapping[str, torch.Tensor],
    ids: Sequence[str],
    deletable: Collection[str] = MODALITIES,
) -> Iterator[tuple[str, str, float, Inputs, dict[str, torch.Tensor] | None]]:
    """Each change of a batch: (change, modality, share, inputs, present).

    inputs, present: as the model takes them; salience: {modality: (B, T)}; ids: names of the
    utterances; deletable: modalities from which rows are deleted. Where the context is missing,
    `inputs` are without it; a modality that is missing is so in the turns around the utterances,
    too.
    """
    seen = {m: inputs[m] for m in MODALITIES if m in inputs}
    everyone = {
        m: torch.ones(len(ids), dtype=torch.bool, device=x.device) for m, (x, _) in seen.items()
    }
    if "context" in inputs:
        yield "missing", "context", 1.0, seen, None
    for m, (values, mask) in seen.items():
        if len(seen) > 1:
            yield "missing", m, 1.0, inputs, {**everyone, m: ~everyone[m]}
        chance = chances(ids, m, mask).to(mask.device)
        # Equal salience, as mean pooling has it, says nothing of the order: chance decides.
        ranked = salience[m].double() + 1e-12 * chance
        for share in SHARES if m in deletable else ():
            for change, scores in (("most-salient", ranked), ("random", chance)):
                fewer = without_highest(values, mask, scores, share)
                yield change, m, share, {**inputs, m: fewer}, None
