"""A batch with some of its tokens or frames deleted, or with a modality missing."""

import numpy as np
import torch

from labelmer.digest import content_key

SHARES = (0.1, 0.2, 0.3, 0.5)  # of the rows, that are deleted


def chances(ids, modality, mask):
    """A number in [0, 1) for each row, by which rows are deleted at random: (B, T) on the CPU.

    It depends on the utterance's id, the modality and the row alone: each model, seed and share
    deletes from the same order.
    """
    drawn = torch.zeros(mask.shape, dtype=torch.float64)
    for place, (name, length) in enumerate(zip(ids, mask.sum(1).tolist(), strict=True)):
        seed = int.from_bytes(content_key(name, modality)[:8], "little")
        drawn[place, :length] = torch.from_numpy(np.random.default_rng(seed).random(length))
    return drawn


def without_highest(values, mask, scores, share):
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


def perturbed(inputs, salience, ids):
    """Each change of a batch: (change, modality, share, inputs, present).

    inputs: {modality: (values, mask)}; salience: {modality: (B, T)}; ids: names of the utterances;
    present: as the model takes it.
    """
    everyone = {
        m: torch.ones(len(ids), dtype=torch.bool, device=x.device) for m, (x, _) in inputs.items()
    }
    for m, (values, mask) in inputs.items():
        if len(inputs) > 1:
            yield "missing", m, 1.0, inputs, {**everyone, m: ~everyone[m]}
        chance = chances(ids, m, mask).to(mask.device)
        # Equal salience, as mean pooling has it, says nothing of the order: chance decides.
        ranked = salience[m].double() + 1e-12 * chance
        for share in SHARES:
            for change, scores in (("most-salient", ranked), ("random", chance)):
                fewer = without_highest(values, mask, scores, share)
                yield change, m, share, {**inputs, m: fewer}, None
