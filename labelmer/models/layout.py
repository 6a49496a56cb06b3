"""The rows of a batch without its padding.

Shapes: B utterances, T rows of the longest one, R rows of all.
"""

import copy

import torch
from torch.nn import functional as F

GROUP = 4  # utterances whose rows are all looked at at once


class Layout:
    """Where the rows of a batch stand, so that no more is computed than there is.

    pack() lays the rows of all utterances end to end, (R, ...); unpack() puts them back, as
    (B, T, ...), with zeros on padding. On a CPU R is the number of rows. A GPU would have to be
    waited for to know that, and asked for many small things instead of a few: there R is B T.

    mask      (B, T): the rows that count
    before    (R, 1): 1 where the utterance has a row before this one, else 0
    after     (R, 1): the same of a row after it
    together  number of utterances that what looks at all rows of an utterance takes at once, and
    longest   rows of the longest of these, of each such group: few are padding where a batch is in
              order of length, as in training
    """

    def __init__(self, mask: torch.Tensor) -> None:
        self.mask = self.inside = mask
        self.places = places_of(mask)
        self.together, self.longest = len(mask), [mask.shape[1]]
        if self.places is not None:
            self.owner = self.places // mask.shape[1]  # (R,): the number of a row's utterance
            ends = (mask * torch.arange(1, 1 + mask.shape[1])).amax(1).tolist()
            starts = range(0, len(mask), GROUP)
            self.together = GROUP
            self.longest = [max(ends[start : start + GROUP]) for start in starts]
        edged = F.pad(mask, (1, 1))
        self.before, self.after = (
            self.pack(there)[:, None].float() for there in (edged[:, :-2], edged[:, 2:])
        )

    def pack(self, values: torch.Tensor) -> torch.Tensor:
        """(R, ...) of values (B, T, ...)."""
        rows = values.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)

    def unpack(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, T, ...) of rows (R, ...)."""
        shape = self.inside.shape
        if self.places is None:
            outside = ~self.inside.view(*shape, *[1] * (rows.ndim - 1))
            return rows.unflatten(0, shape).masked_fill(outside, 0)
        empty = rows.new_zeros(shape.numel(), *rows.shape[1:])
        return empty.index_copy(0, self.places, rows).unflatten(0, shape)

    def each(self, values: torch.Tensor) -> torch.Tensor:
        """(R, ...): for each row what values (B, ...) have for its utterance."""
        if self.places is None:
            return values.repeat_interleave(self.mask.shape[1], 0)
        return values.index_select(0, self.owner)

    def mean(self, rows: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """(B, d): the means of each utterance's rows (R, d), by weights (B, T) that sum to one."""
        if weights is not None:
            return self._sums(rows * self.pack(weights)[:, None])
        return self._sums(rows) / self.inside.sum(1, keepdim=True)

    def _sums(self, rows: torch.Tensor) -> torch.Tensor:
        if self.places is None:
            return self.unpack(rows).sum(1)
        return rows.new_zeros(len(self.mask), rows.shape[1]).index_add(0, self.owner, rows)

    def first_where(self, missing: torch.Tensor) -> "Layout":
        """The same rows, of which the first alone counts where missing (B,) is True."""
        first = torch.arange(self.mask.shape[1], device=self.mask.device) == 0
        return self.only(torch.where(missing[:, None], first, self.mask))

    def only(self, mask: torch.Tensor) -> "Layout":
        """The same rows, of which those of a mask (B, T) alone count."""
        other = copy.copy(self)
        other.mask = mask
        return other


def places_of(mask: torch.Tensor) -> torch.Tensor | None:
    """Where rows stand among all places of a batch (B T): (R,), or None on a GPU."""
    return mask.flatten().nonzero()[:, 0] if mask.device.type == "cpu" else None
