"""What the turns around an utterance say of its class (docs/method.md, context expert).

Shapes: B utterances, P places for turns around each, D encoder width, d model width, C labels,
K heads.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from labelmer.learning.context import NOBODY, SAME
from labelmer.models.architectures.label_guided import Options
from labelmer.models.parts import mlp

START = 0.5  # deviation of the embeddings of places
NEVER = -1e4  # a logit of what is not there; of all absent turns softmax is still a number


class ContextExpert(nn.Module):
    """Logits (B, C) of the turns around utterances, zero for one that has none.

    The utterance's pooled vectors ask and the turns answer, each modality its own turns; the
    answers of all modalities say the class together.
    """

    def __init__(self, options: Options, classes: int) -> None:
        super().__init__()
        d, (count, after) = options.width, options.turns
        # Places that start alike are hardly told apart in a few hundred updates.
        self.speaker = nn.Parameter(START * torch.randn(2, d))  # the utterance's own, or another
        self.distance = nn.Parameter(START * torch.randn(count * (1 + after), d))
        self.answers = nn.ModuleDict({m: Answer(options) for m in options.modalities})
        self.says = mlp(d * len(options.modalities), d, classes, options.dropout)

    def forward(
        self,
        context: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
        sides: Mapping[str, Any],
        pooled: Mapping[str, torch.Tensor],
        labels: Mapping[str, Any],
        present: Mapping[str, torch.Tensor] | None,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Logits (B, C), and {modality: how much each turn was looked at (B, P)}.

        context: {modality: (values (B, P, *row), who (B, P))}; by modality: the network's sides,
        pooled vectors of the utterances (B, d), label embeddings (C, d) or None; present: as in
        parts.Network.
        """
        answers, turns = [], {}
        anyone: Any = False
        for m, answer in self.answers.items():
            values, who = context[m]
            there = who != NOBODY  # (B, P)
            for name in (m, "context"):
                if present and name in present:
                    there = there & present[name][:, None]
            place = self.speaker[(who - SAME).clamp_min(0)] + self.distance
            found, turns[m] = answer(sides[m], values, place, there, pooled[m], labels[m])
            answers.append(found)
            anyone = there.any(1) | anyone
        return self.says(torch.cat(answers, -1)).float() * anyone[:, None], turns


class Answer(nn.Module):
    """What the turns of one modality answer an utterance.

    The logit of a turn in head k is q k' / sqrt(d / K) + g_k <P_utterance, P_turn>, as in the
    cross-attention between modalities.
    """

    def __init__(self, options: Options) -> None:
        super().__init__()
        d, self.heads = options.width, options.heads
        self.interaction = options.label_interaction
        self.input_dropout = options.input_dropout
        self.query, self.value = nn.Linear(d, d), nn.Linear(d, d)
        self.key = nn.Linear(d, d, bias=False)  # a bias here cancels in the softmax
        self.guidance = nn.Parameter(torch.ones(self.heads)) if options.label_guidance else None

    def forward(
        self,
        side: Any,
        values: torch.Tensor,
        place: torch.Tensor,
        there: torch.Tensor,
        pooled: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The answers (B, d), zero where no turn is there, and the mean attention (B, P).

        side: of the network; values (B, P, *row); place (B, P, d): who speaks each turn and how
        far it is; there (B, P); pooled (B, d); labels (C, d), or None.
        """
        values = side.standardised(values)
        if self.training and self.input_dropout:  # as of the utterance's rows: one mask for all
            everyone = values.new_ones(len(values), 1, values.shape[-1])
            values = values * F.dropout(everyone, self.input_dropout)
        turns = side.project.inward(values) + place  # (B, P, d)
        agree: Any = 0.0
        if labels is not None:
            says = side.similarity(turns, labels).softmax(-1)  # (B, P, C)
            if self.guidance is not None:
                own = side.similarity(pooled, labels).softmax(-1)  # (B, C)
                agree = self.guidance[:, None] * (says @ own[..., None])[:, None, :, 0]  # (B, K, P)
            if self.interaction:
                turns = side.norm(turns + side.take_up(says @ labels))
        query = self.query(pooled).unflatten(-1, (self.heads, -1))  # (B, K, d / K)
        key, value = (w(turns).unflatten(-1, (self.heads, -1)) for w in (self.key, self.value))
        logits = torch.einsum("bkd,bpkd->bkp", query, key) / math.sqrt(query.shape[-1]) + agree
        attention = logits.masked_fill(~there[:, None], NEVER).softmax(-1) * there[:, None]
        answer = torch.einsum("bkp,bpkd->bkd", attention, value).flatten(1)
        return answer, attention.mean(1)
