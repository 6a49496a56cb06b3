"""What architectures share: the network that each begins with, and pieces to build it of.

Shapes: B utterances, T tokens or frames, R rows of all utterances of a batch end to end (Layout),
D encoder width, d model width, C labels, K heads. Masks are True on tokens and frames, False on
padding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from labelmer.base.tables import MODALITIES
from labelmer.learning.batches import Part
from labelmer.models.layout import Layout
from labelmer.models.options import NetworkOptions


@dataclass
class Output:
    """What the model says, and the tensors by which it came to say it, by modality.

    Each modality has weights of a pooling, of one kind or of both: salience is made of them.
    """

    logits: torch.Tensor  # (B, C)
    experts: dict = field(default_factory=dict)  # (B, C) each: what one modality alone says
    says: dict = field(default_factory=dict)  # P (B, T, C): what a row says about the label
    pooling: dict = field(default_factory=dict)  # (B, T): weights of the joint term's pooling
    expert_pooling: dict = field(default_factory=dict)  # (B, T): weights of the expert's pooling
    received: dict = field(default_factory=dict)  # (B, T): mean cross-attention that a row received
    turns: dict = field(default_factory=dict)  # (B, P): mean attention to the turns around

    def salience(self) -> dict[str, torch.Tensor]:
        """How much each token or frame counts for the predicted class: {modality: (B, T)}.

        The mean of the pooling weights, times what the row says of the class where labels are
        asked; zero on padding, the sum over an utterance is one.
        """
        found = {}
        for m in {**self.expert_pooling, **self.pooling}:
            weights = [pool[m] for pool in (self.pooling, self.expert_pooling) if m in pool]
            salience = sum(weights) / len(weights)
            if m in self.says:
                salience = salience * self.says_of_predicted(m)
            found[m] = salience / salience.sum(-1, keepdim=True)
        return found

    def says_of_predicted(self, modality: str) -> torch.Tensor:
        """What each token or frame says of the predicted class: (B, T)."""
        says = self.says[modality]
        predicted = self.logits.argmax(-1)[:, None, None]  # (B, 1, 1)
        return says.gather(2, predicted.expand(-1, says.shape[1], 1))[..., 0]


@dataclass
class State:
    """One modality of a batch on its way through the model."""

    values: torch.Tensor  # (R, D): standardised, layers mixed
    hidden: torch.Tensor  # (R, d)
    layout: Layout


class Side(nn.Module):
    """One modality: standardise, project.

    Where the features hold all layers, a learned softmax mixes them, as in SUPERB (Yang et al.
    2021).
    """

    def __init__(self, options: NetworkOptions, row: Sequence[int], classes: int) -> None:
        super().__init__()
        self.options = options
        self.register_buffer("mean", torch.zeros(*row))
        self.register_buffer("sd", torch.ones(*row))
        self.layer_mix = nn.Parameter(torch.zeros(row[0])) if len(row) == 2 else None
        self.project = Projection(row[-1], options.width, options.dropout)
        if options.joint:
            self.null = nn.Parameter(torch.randn(options.width) / math.sqrt(options.width))

    def start(
        self,
        modality: str,
        mean: np.ndarray,
        sd: np.ndarray,
        prototypes: np.ndarray,
        words: np.ndarray | None,
    ) -> None:
        """Take over what is known of a training part before training, in numpy.

        mean, sd (*row): to standardise by; prototypes (C, *row): the classes' means; words
        (C, *row): the means of the labels' words, of text alone, or None.
        """
        self.mean.copy_(torch.from_numpy(mean))
        self.sd.copy_(torch.from_numpy(sd))

    def standardised(self, values: torch.Tensor) -> torch.Tensor:
        """Rows (..., *row) by the training part's mean and deviation, layers mixed: (..., D)."""
        if self.options.standardise:
            values = (values - self.mean) / self.sd
        if self.layer_mix is not None:
            values = torch.einsum("...ld,l->...d", values, self.layer_mix.softmax(0))
        return values

    def forward(
        self, values: torch.Tensor, mask: torch.Tensor, present: torch.Tensor | None = None
    ) -> State:
        """The State of a batch; a modality that is missing becomes one null token."""
        options, layout = self.options, Layout(mask)
        values = self.standardised(layout.pack(values))  # (R, D)
        if self.training and options.input_dropout:
            everyone = values.new_ones(len(mask), values.shape[-1])  # (B, D): one mask for all rows
            values = values * layout.each(F.dropout(everyone, options.input_dropout))
        hidden = self.project(values, layout)  # (R, d)
        if present is not None:
            hidden = torch.where(layout.each(present)[:, None], hidden, self.null)
            layout = layout.first_where(~present)
        return State(values, hidden, layout)


class Network(nn.Module):
    """What all architectures begin with: one Side for each modality. Each adds forward().

    options: models.options.NetworkOptions; rows: {modality: (D,), or (layers, D) where the
    features hold all layers}; classes: C; side: the class of its sides.

    forward(inputs, present=None) is the Output of a batch. inputs: {modality: (values (B, T, *row),
    mask (B, T))}, and with turns around the utterances also "context": {modality: (values
    (B, P, *row), who (B, P))} (learning/context.py), and in training "numbers": (B,), which of the
    training utterances they are; present: {modality or "context": (B,) bool}, all there if not
    given.
    """

    def __init__(
        self,
        options: NetworkOptions,
        rows: Mapping[str, Sequence[int]],
        classes: int,
        side: type[Side] = Side,
    ) -> None:
        super().__init__()
        self.options, self.classes = options, classes
        self.rows = {m: list(row) for m, row in rows.items()}
        self.sides = nn.ModuleDict({m: side(options, rows[m], classes) for m in options.modalities})

    def start(
        self,
        statistics: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
        words: np.ndarray | None = None,
    ) -> None:
        """Take over what is known of a training part before training, in numpy.

        statistics: {modality: mean (*row), sd (*row) and the classes' means (C, *row)}; words
        (C, *row): the means of the labels' words, if a side starts from them.
        """
        for m, side in self.sides.items():
            mean, sd, prototypes = statistics[m]
            if not self.options.standardise:
                mean, sd = np.zeros_like(mean), np.ones_like(sd)
            side.start(m, mean, sd, prototypes, words)

    def states(
        self,
        inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
        present: Mapping[str, torch.Tensor] | None,
    ) -> dict[str, Any]:
        """What the sides make of a batch: {modality: State}; arguments as of forward()."""
        return {
            m: side(*inputs[m], present.get(m) if present else None)
            for m, side in self.sides.items()
        }

    def loss(
        self, output: Any, labels: torch.Tensor, shares: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """Weighted cross-entropy.

        output: what forward() gives; labels (B,); shares: what loss_shares() says of them.
        """
        return entropy(output.logits, shares["all"], labels)

    def after_batch(self) -> None:
        """What is to be done after loss() has seen all pieces of a training batch: nothing."""

    def remember(self, train: Part) -> None:
        """What is to be done with what trains, before the first pass and after each: nothing."""


class Projection(nn.Module):
    """a = LN(GELU(W x)); LN(a + Drop(GELU(W' conv(a)))), conv depthwise of width 3 over time."""

    def __init__(self, width: int, d: int, dropout: float) -> None:
        super().__init__()
        self.inward = inward(width, d)
        self.over_time = Neighbours(d)
        self.mix = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(d)

    def forward(self, values: torch.Tensor, layout: Layout | None = None) -> torch.Tensor:
        """(R, d) of rows (R, D); without a layout each is an utterance of its own."""
        a = self.inward(values)
        return self.norm(a + self.mix(self.over_time(a, layout)))


class Neighbours(nn.Conv1d):
    """A depthwise convolution of width 3 over time, of rows (R, d).

    As sums of shifted rows, which are quick for batches of a few utterances too.
    """

    def __init__(self, d: int) -> None:
        super().__init__(d, d, 3, groups=d)

    def forward(self, rows: torch.Tensor, layout: Layout | None = None) -> torch.Tensor:
        before, here, after = self.weight[:, 0].unbind(-1)  # (d,) each
        alone = rows * here + self.bias
        if layout is None:
            return alone
        edged = F.pad(rows, (0, 0, 1, 1))
        return alone + edged[:-2] * layout.before * before + edged[2:] * layout.after * after


class Pooling(nn.Module):
    """A weighted mean over time; returns it (B, d) and the weights (B, T).

    attention: softmax of w2' tanh(W1 h). label-attention: the same plus the greatest similarity
    with any label. mean: equal weights. leam: similarity convolved over time, its greatest label.
    """

    def __init__(self, kind: str, d: int, classes: int) -> None:
        super().__init__()
        self.kind = kind
        if kind in ("attention", "label-attention"):
            self.score = nn.Sequential(
                nn.Linear(d, d // 2), nn.Tanh(), nn.Linear(d // 2, 1, bias=False)
            )
        elif kind == "leam":
            self.over_time = nn.Conv1d(classes, classes, 5, padding=2)

    def forward(
        self, hidden: torch.Tensor, layout: Layout, similar: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """hidden (R, d) and its Layout; similar (R, C): with the labels, if they are asked."""
        if self.kind == "mean":
            logits = torch.zeros_like(layout.mask, dtype=hidden.dtype)
        elif self.kind == "leam":
            inside = layout.unpack(similar) * layout.mask[..., None]
            logits = F.relu(self.over_time(inside.transpose(1, 2))).amax(1)  # of (B, C, T)
        else:
            logits = self.score(hidden)[:, 0]
            if self.kind == "label-attention":
                logits = logits + similar.amax(-1)
            logits = layout.unpack(logits)
        weights = logits.masked_fill(~layout.mask, -torch.inf).softmax(-1)  # (B, T)
        return layout.mean(hidden, weights), weights


class CrossAttention(nn.Module):
    """One modality asks, the other answers; guided, more where both point to the same label.

    The logit of token i for frame j in head k is q k' / sqrt(d / K) + g_k agree[i, j].
    """

    def __init__(self, d: int, heads: int, dropout: float, guided: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value = nn.Linear(d, d), nn.Linear(d, d)
        self.key = nn.Linear(d, d, bias=False)  # a bias here cancels in the softmax
        self.outward = nn.Linear(d, d)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(d)
        self.guidance = nn.Parameter(torch.ones(heads)) if guided else None

    def forward(
        self, asking: State, answering: State, says: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """New (R, d) of the State that asks, and what the other one's (B, T') received.

        says: P of both, (B, T, C) and (B, T', C), where guided; agree is their product.
        """
        ask, asked = asking.layout, answering.layout
        query = self._split(ask.unpack(self.query(asking.hidden)))  # (B, K, T, d / K)
        query = query / math.sqrt(query.shape[-1])
        key = self._split(asked.unpack(self.key(answering.hidden)))  # (B, K, T', d / K)
        value = self._split(asked.unpack(self.value(answering.hidden)))
        if self.guidance is not None:  # P makes C more dimensions of queries and keys
            own, other = (p[:, None].expand(-1, self.heads, -1, -1) for p in says)
            query = torch.cat([query, self.guidance[:, None, None] * own], -1)
            key = torch.cat([key, other], -1)
        share = ask.mask / (self.heads * ask.mask.sum(-1, keepdim=True))  # (B, T)
        answers, received = [], []
        together = zip(
            *(x.split(ask.together) for x in (query, key, value, asked.mask, share)),
            *(ask.longest, asked.longest),
            strict=True,
        )
        for q, k, v, there, counts, t, u in together:  # of b utterances
            logits = q[:, :, :t] @ k[:, :, :u].transpose(-1, -2)  # (b, K, t, u)
            attention = logits.masked_fill(~there[:, None, None, :u], -torch.inf).softmax(-1)
            answer = (attention @ v[:, :, :u]).transpose(1, 2).flatten(2)  # (b, t, d)
            answers.append(F.pad(answer, (0, 0, 0, query.shape[2] - t)))
            weights = (counts[:, None, None, :t] @ attention).sum((1, 2))  # (b, u)
            received.append(F.pad(weights, (0, key.shape[2] - u)))
        answer = ask.pack(torch.cat(answers))  # (R, d)
        return self.norm(asking.hidden + self.dropout(self.outward(answer))), torch.cat(received)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def loss_shares(
    labels: torch.Tensor,
    class_weights: torch.Tensor,
    present: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, torch.Tensor]:
    """How much each utterance of a batch counts in each term of the loss: {term: (B,)}.

    labels (B,), class_weights (C,). "all": by class weight; "even": equally; a modality: by class
    weight where it is present, as the expert of a missing one is not to blame; so too "context".
    Each sums to one, so that the losses of the pieces of a batch add up to that of the batch.
    """
    weights = class_weights[labels]
    terms = {"all": weights, "even": torch.ones_like(weights)}
    there = present or {}
    terms |= {m: weights * there.get(m, 1) for m in (*MODALITIES, "context")}
    return {term: counts / counts.sum().clamp_min(1e-8) for term, counts in terms.items()}


def entropy(logits: torch.Tensor, shares: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (B, C), each utterance counted by its share (B,)."""
    return (shares * F.cross_entropy(logits, labels, reduction="none")).sum()


def inward(width: int, d: int) -> nn.Sequential:
    """Linear, GELU, layer norm: from an encoder's width to the model's."""
    return nn.Sequential(nn.Linear(width, d), nn.GELU(), nn.LayerNorm(d))


def mlp(width: int, hidden: int, outward: int, dropout: float) -> nn.Sequential:
    """Linear, GELU, dropout, linear."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outward)
    )


def parameter_count(model: nn.Module) -> int:
    """Number of learned parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
