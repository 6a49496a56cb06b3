"""Retrieval in place of a missing modality, re-implemented from the description of RAMER
(arXiv 2410.02804).

Shapes: B utterances, T tokens or frames, R rows of the index, d model width, C labels, k
neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from labelmer.base.tables import MODALITIES
from labelmer.learning.batches import Part, passes
from labelmer.models import parts
from labelmer.models.architectures.ramer import Options
from labelmer.models.parts import Pooling, State, entropy, mlp

OTHER = dict(zip(MODALITIES, MODALITIES[::-1], strict=True))
HIDDEN = 256, 128  # widths of the layers that fuse


@dataclass(kw_only=True)
class Output(parts.Output):
    """As of every model, and the vectors (B, d) of unit length by which utterances are found."""

    vectors: dict


@dataclass
class UnimodalState(State):
    """One modality of a batch, and what its own model makes of it."""

    pooled: torch.Tensor  # (B, d)
    weights: torch.Tensor  # (B, T): its pooling
    logits: torch.Tensor  # (B, C)


class RAMER(parts.Network):
    """A model of each modality alone, an index of their vectors, and a fusion of two vectors.

    z_m: what attention pools of a modality, taught by its own classifier alone; v_m = z_m / |z_m|.
    The index holds v_m of every utterance that trains. For one that lacks modality m, the k of
    them with the greatest v_n . v_n' by the other modality n are found, never itself; the sum of
    their v_m, scaled to unit length, stands in for v_m. The prediction is an MLP of [v_s ; v_t],
    with layers of 256 and 128. docs/method.md says what is ours.
    """

    options: Options
    index_speech: torch.Tensor  # (R, d): the index, row by row of the same utterances
    index_text: torch.Tensor

    def __init__(self, options: Options, rows: Mapping[str, Sequence[int]], classes: int) -> None:
        super().__init__(options, rows, classes, Side)
        fuse = mlp(2 * options.width, *HIDDEN, options.dropout)
        self.fuse = nn.Sequential(fuse, nn.GELU(), nn.Dropout(options.dropout))
        self.classify = nn.Linear(HIDDEN[-1], classes)
        for m in MODALITIES:
            self.register_buffer(f"index_{m}", torch.zeros(0, options.width))
        # {modality: (R,)}: which of the training utterances a row is of, as long as they train.
        self.whose: dict[str, torch.Tensor] = {}
        self.register_load_state_dict_pre_hook(_make_room)

    def forward(
        self,
        inputs: Mapping[str, Any],
        present: Mapping[str, torch.Tensor] | None = None,
    ) -> Output:
        """Output of a batch; arguments as in parts.Network."""
        sides = self.states(inputs, present)
        # What fuses does not teach the models of one modality.
        vectors = {
            m: F.normalize(side.pooled.detach().float(), dim=-1) for m, side in sides.items()
        }
        given, experts = vectors, {m: side.logits for m, side in sides.items()}
        if present is not None:
            found = {m: self.found(m, vectors[OTHER[m]], inputs.get("numbers")) for m in MODALITIES}
            given = {m: torch.where(present[m][:, None], vectors[m], found[m]) for m in MODALITIES}
            experts = {m: logits * present[m][:, None] for m, logits in experts.items()}
        logits = self.classify(self.fuse(torch.cat([given[m] for m in MODALITIES], dim=-1)))
        weights = {m: side.weights for m, side in sides.items()}
        return Output(logits.float(), experts, expert_pooling=weights, vectors=vectors)

    @torch.no_grad()
    def found(
        self, modality: str, asking: torch.Tensor, numbers: torch.Tensor | None
    ) -> torch.Tensor:
        """What stands in for a modality: (B, d) of unit length.

        asking (B, d): the vectors of the other modality; numbers (B,): of training utterances,
        which are none of their own neighbours.
        """
        keys, values = self._index(OTHER[modality]), self._index(modality)
        wanted = 1 if self.options.retrieval == "prototype" else self.options.neighbours
        with torch.autocast(asking.device.type, enabled=False):  # rounded, it were no exact search
            similar = asking @ keys.T  # (B, R)
            if numbers is not None:
                for of_rows in self.whose.values():
                    similar = similar.masked_fill(of_rows == numbers[:, None], -torch.inf)
            most, places = similar.topk(min(wanted, len(keys)))  # (B, k)
            neighbours = values[places] * (most > -torch.inf)[..., None]  # (B, k, d)
            return F.normalize(neighbours.sum(1), dim=-1)

    def _index(self, modality: str) -> torch.Tensor:
        return getattr(self, f"index_{modality}")

    def loss(
        self, output: Output, labels: torch.Tensor, shares: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Weighted cross-entropy of the fusion and of each model of one modality.

        Arguments as in parts.Network.
        """
        total = entropy(output.logits, shares["all"], labels)
        for m, logits in output.experts.items():
            total = total + entropy(logits, shares[m], labels)
        return total

    def remember(self, train: Part) -> None:
        """Make the index anew, of all utterances that train and of no other."""
        size, device = len(train.labels), self.index_text.device
        vectors = {m: torch.zeros(size, self.options.width, device=device) for m in MODALITIES}
        for numbers, _, output in passes(self, train):
            places = torch.from_numpy(numbers).to(device)
            for m, of_batch in output.vectors.items():
                vectors[m].index_copy_(0, places, of_batch)
        whose = dict.fromkeys(MODALITIES, torch.arange(size, device=device))
        if self.options.retrieval == "random":  # whose words stand beside whose speech: by lot
            order = torch.randperm(size, generator=torch.Generator().manual_seed(0)).to(device)
            vectors["text"], whose["text"] = vectors["text"][order], order
        if self.options.retrieval == "prototype":
            labels = torch.from_numpy(train.labels).to(device)
            members = F.one_hot(labels, self.classes).T.float()  # (C, N)
            vectors, whose = {m: F.normalize(members @ v, dim=-1) for m, v in vectors.items()}, {}
        self.index_speech, self.index_text = (vectors[m] for m in MODALITIES)
        self.whose = whose


class Side(parts.Side):
    """One modality, and the model of it alone."""

    def __init__(self, options: Options, row: Sequence[int], classes: int) -> None:
        super().__init__(options, row, classes)
        del self.null  # what is missing is looked up
        d = options.width
        self.pool = Pooling("attention", d, classes)
        self.expert = mlp(d, d, classes, options.dropout)

    def forward(
        self, values: torch.Tensor, mask: torch.Tensor, present: torch.Tensor | None = None
    ) -> UnimodalState:
        """The state of a batch; of a missing modality one row counts, whatever stands there."""
        state = super().forward(values, mask)
        layout = state.layout if present is None else state.layout.first_where(~present)
        pooled, weights = self.pool(state.hidden, layout)
        logits = self.expert(pooled).float()
        return UnimodalState(state.values, state.hidden, layout, pooled, weights, logits)


def _make_room(model: RAMER, state: dict[str, torch.Tensor], prefix: str, *_: Any) -> None:
    """Before a state is loaded: as many rows for the index as that state has."""
    for m in MODALITIES:
        index = model._index(m)
        rows = len(state.get(f"{prefix}index_{m}", index))
        setattr(model, f"index_{m}", index.new_zeros(rows, model.options.width))
