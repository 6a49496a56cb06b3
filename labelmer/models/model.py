"""The label-guided model: label embeddings, label interaction, label-guided attentive fusion.

Our reading of 'Leveraging Label Information for Multimodal Emotion Recognition' (arXiv
2309.02106), of which the abstract is known; docs/method.md says what is the paper's and what is
ours. The interaction builds on LEAM (Wang et al. 2018, 'Joint Embedding of Words and Labels for
Text Classification'). LSGMER, at the end, is a neighbour to compare with.

Shapes: B utterances, T tokens or frames, D encoder width, d model width, C labels, K heads.
Masks are True on tokens and frames, False on padding.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn
from torch.nn import functional as F

from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.tables import MODALITIES
from labelmer.models.options import ModelOptions

FORMAT = 1  # of a saved model


@dataclass
class Output:
    """What the model says, and the tensors by which it came to say it, by modality."""

    logits: torch.Tensor  # (B, C)
    experts: dict  # (B, C) each: the sum of its readers
    says: dict  # P (B, T, C): what each token or frame says about the label
    pooling: dict  # (B, T): weights of the joint term's pooling
    expert_pooling: dict  # (B, T): weights of the expert's pooling
    received: dict  # (B, T): mean cross-attention that each token or frame received
    readers: dict = field(default_factory=dict)  # lists of (B, C): what an expert adds up
    fused: torch.Tensor | None = None  # (B, d): what LSGMER compares with its labels

    def salience(self):
        """How much each token or frame counts for the predicted class: {modality: (B, T)}.

        The mean of the pooling weights, times what the row says of the class where labels are
        asked; zero on padding, the sum over an utterance is one.
        """
        predicted = self.logits.argmax(-1)[:, None, None]  # (B, 1, 1)
        found = {}
        for m in {**self.expert_pooling, **self.pooling}:
            weights = [pool[m] for pool in (self.pooling, self.expert_pooling) if m in pool]
            salience = sum(weights) / len(weights)
            if m in self.says:
                says = self.says[m]
                salience = salience * says.gather(2, predicted.expand(-1, says.shape[1], 1))[..., 0]
            found[m] = salience / salience.sum(-1, keepdim=True)
        return found


class Sides(nn.Module):
    """What all architectures begin with: one Side for each modality.

    rows: {modality: (D,), or (layers, D) where the features hold all layers}; classes: C. The
    buffers hold the training part's mean and sd.
    """

    def __init__(self, options, rows, classes):
        super().__init__()
        self.options, self.classes = options, classes
        self.rows = {m: list(row) for m, row in rows.items()}
        self.sides = nn.ModuleDict({m: Side(options, rows[m], classes) for m in options.modalities})

    def states(self, inputs, present):
        """The SideState of each modality of a batch; inputs and present as forward() has them."""
        return {
            m: side(*inputs[m], None if present is None else present[m])
            for m, side in self.sides.items()
        }


class LabelGuidedFusion(Sides):
    """The model of docs/method.md with every piece that the options leave in it."""

    def __init__(self, options, rows, classes):
        super().__init__(options, rows, classes)
        d = options.width
        if not options.joint:
            return
        if options.cross_attention:
            self.to_other = nn.ModuleDict({m: CrossAttention(options) for m in options.modalities})
        self.pools = nn.ModuleDict(
            {m: Pooling(options.pooling, d, classes) for m in options.modalities}
        )
        self.joint = mlp(2 * d, d, classes, options.dropout)

    def forward(self, inputs, present=None):
        """Logits of a batch.

        inputs: {modality: (values (B, T, *row), mask (B, T))}; present: {modality: (B,) bool}, all
        there if not given. A modality that is missing becomes one null token.
        """
        options, sides = self.options, self.states(inputs, present)
        readers = {m: side.readers for m, side in sides.items() if side.readers}
        experts = {m: sum(logits) for m, logits in readers.items()}
        asked = {m: side.weights for m, side in sides.items() if side.weights is not None}
        received, weights = {}, {}
        logits = sum(experts.values())
        if options.joint:
            enhanced = {m: side.enhanced for m, side in sides.items()}
            if options.cross_attention:
                fused = {}
                for m, other in (MODALITIES, MODALITIES[::-1]):
                    fused[m], received[other] = self.to_other[m](sides[m], sides[other])
                enhanced = fused
            pooled = []
            for m, side in sides.items():
                similar = self.sides[m].similarity(enhanced[m], side.labels)
                z, weights[m] = self.pools[m](enhanced[m], side.mask, similar)
                pooled.append(z)
            logits = logits + self.joint(torch.cat(pooled, dim=-1)).float()  # (B, C)
        says = {m: side.says for m, side in sides.items() if side.says is not None}
        return Output(logits, experts, says, weights, asked, received, readers)

    def loss(self, output, labels, shares):
        """Weighted cross-entropy of the sum, of each reader, and of the labels among themselves.

        labels (B,); shares: what loss_shares() says of these utterances.
        """
        options = self.options
        terms = [(output.logits, shares["all"])]
        if options.joint or options.expert_statistics:  # else the one reader is the sum itself
            terms += [
                (logits, options.expert_loss * shares[m])
                for m, readers in output.readers.items()
                for logits in readers
            ]
        logits, counted = map(torch.cat, zip(*terms, strict=True))
        total = entropy(logits, counted, labels.repeat(len(terms)))
        if options.labels:
            for side in self.sides.values():
                total = total + options.label_loss * shares["even"].sum() * side.label_loss()
        return total


@dataclass
class SideState:
    """One modality of a batch on its way through the model."""

    mask: torch.Tensor  # (B, T)
    enhanced: torch.Tensor  # (B, T, d): label-enhanced where the options say so
    labels: torch.Tensor | None  # (C, d)
    says: torch.Tensor | None  # (B, T, C)
    readers: list  # (B, C) each: the expert's logits are their sum
    weights: torch.Tensor | None  # (B, T): the expert's pooling


class Side(nn.Module):
    """One modality: standardise, project, compare with the labels, and the expert on it alone.

    Where the features hold all layers, a learned softmax mixes them, as in SUPERB (Yang et al.
    2021).
    """

    def __init__(self, options, row, classes):
        super().__init__()
        d, width = options.width, row[-1]
        self.options = options
        self.register_buffer("mean", torch.zeros(*row))
        self.register_buffer("sd", torch.ones(*row))
        self.layer_mix = nn.Parameter(torch.zeros(row[0])) if len(row) == 2 else None
        self.project = Projection(width, d, options.dropout)
        if options.joint:
            self.null = nn.Parameter(torch.randn(d) / math.sqrt(d))
        if options.labels:
            self.label_embeddings = nn.Parameter(
                torch.empty(classes, width), options.label_embeddings == "learned"
            )
            self.start_labels(torch.randn(classes, width))
            self.log_sharpness = nn.Parameter(torch.tensor(math.log(5.0)))
        if options.joint and options.label_interaction:
            self.take_up = nn.Linear(d, d, bias=False)  # W_e
            self.norm = nn.LayerNorm(d)
        if options.experts or not options.joint:
            self.expert_pool = Pooling(options.expert_pooling, d, classes)
            self.expert = mlp(d, d, classes, options.dropout)
            if options.expert_statistics:
                self.deviation = inward(width, d)
                self.expert_of_statistics = mlp(2 * d, d, classes, options.dropout)

    def start_labels(self, embeddings):
        """Start the label embeddings (C, D): what all labels share is taken off, then unit RMS."""
        with torch.no_grad():
            self.label_embeddings.copy_(unit(embeddings - embeddings.mean(0)))

    def labels(self):
        """The label embeddings in the model's space (C, d): sequences of length one."""
        sequences = self.label_embeddings[:, None]  # (C, 1, D)
        mask = torch.ones(sequences.shape[:2], dtype=torch.bool, device=sequences.device)
        return self.project(sequences, mask)[:, 0]

    def similarity(self, hidden, labels):
        """Sharpened cosine of every token or frame with every label: a G (B, T, C)."""
        if labels is None:
            return None
        cosine = F.normalize(hidden, dim=-1) @ F.normalize(labels, dim=-1).T
        return self.log_sharpness.exp() * cosine

    def label_loss(self):
        """Cross-entropy of the labels' similarity among themselves with the identity."""
        labels = self.labels()
        target = torch.arange(len(labels), device=labels.device)
        return F.cross_entropy(self.similarity(labels, labels), target)

    def forward(self, values, mask, present=None):
        options = self.options
        if options.standardise:
            values = (values - self.mean) / self.sd
        if self.layer_mix is not None:
            values = torch.einsum("btld,l->btd", values, self.layer_mix.softmax(0))  # (B, T, D)
        if self.training and options.input_dropout:
            everyone = torch.ones_like(values[:, :1])  # (B, 1, D): one mask for all rows
            values = values * F.dropout(everyone, options.input_dropout)
        hidden = self.project(values, mask)  # (B, T, d)
        if present is not None:
            first = torch.arange(mask.shape[1], device=mask.device) == 0
            hidden = torch.where(present[:, None, None], hidden, self.null)
            mask = torch.where(present[:, None], mask, first)
        labels = self.labels() if options.labels else None
        similar = self.similarity(hidden, labels)
        says = similar.softmax(-1) if labels is not None else None  # P (B, T, C)
        readers, weights = [], None
        if options.experts or not options.joint:
            z, weights = self.expert_pool(hidden, mask, similar)
            readers = [self.expert(z)]
            if options.expert_statistics:
                readers.append(self.of_statistics(values, mask))
            # Mixed precision does not round the sum of logits. A missing modality says nothing.
            readers = [logits.float() for logits in readers]
            if present is not None:
                readers = [logits * present[:, None] for logits in readers]
        if options.joint and options.label_interaction:
            hidden = self.norm(hidden + self.take_up(says @ labels))
        return SideState(mask, hidden, labels, says, readers, weights)

    def of_statistics(self, values, mask):
        """Logits (B, C) of the mean and the deviation over time of values (B, T, D)."""
        inside, rows = mask[..., None], mask.sum(1, keepdim=True)  # (B, T, 1), (B, 1)
        mean = (values * inside).sum(1) / rows  # (B, D)
        apart = (values - mean[:, None]) * inside
        deviation = torch.linalg.vector_norm(apart, dim=1) / rows.sqrt()
        both = self.project.inward(mean), self.deviation(deviation)  # (B, d) each
        return self.expert_of_statistics(torch.cat(both, dim=-1))


class Projection(nn.Module):
    """a = LN(GELU(W x)); LN(a + Drop(GELU(W' conv(a)))), conv depthwise of width 3 over time."""

    def __init__(self, width, d, dropout):
        super().__init__()
        self.inward = inward(width, d)
        self.over_time = Neighbours(d)
        self.mix = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(d)

    def forward(self, values, mask):
        a = self.inward(values) * mask[..., None]  # (B, T, d); padding is zero, as at the edges
        return self.norm(a + self.mix(self.over_time(a)))


class Neighbours(nn.Conv1d):
    """A depthwise convolution of width 3 over time, of (B, T, d).

    As sums of shifted rows, which are quick for batches of a few utterances too.
    """

    def __init__(self, d):
        super().__init__(d, d, 3, groups=d)

    def forward(self, rows):
        before, here, after = self.weight[:, 0].unbind(-1)  # (d,) each
        edged = F.pad(rows, (0, 0, 1, 1))
        return edged[:, :-2] * before + rows * here + edged[:, 2:] * after + self.bias


class Pooling(nn.Module):
    """A weighted mean over time; returns it (B, d) and the weights (B, T).

    attention: softmax of w2' tanh(W1 h). label-attention: the same plus the greatest similarity
    with any label. mean: equal weights. leam: similarity convolved over time, its greatest label.
    """

    def __init__(self, kind, d, classes):
        super().__init__()
        self.kind = kind
        if kind in ("attention", "label-attention"):
            self.score = nn.Sequential(
                nn.Linear(d, d // 2), nn.Tanh(), nn.Linear(d // 2, 1, bias=False)
            )
        elif kind == "leam":
            self.over_time = nn.Conv1d(classes, classes, 5, padding=2)

    def forward(self, hidden, mask, similar):
        if self.kind == "mean":
            logits = torch.zeros_like(hidden[..., 0])
        elif self.kind == "leam":
            inside = (similar * mask[..., None]).transpose(1, 2)  # (B, C, T)
            logits = F.relu(self.over_time(inside)).amax(1)
        else:
            logits = self.score(hidden)[..., 0]
            if self.kind == "label-attention":
                logits = logits + similar.amax(-1)
        weights = logits.masked_fill(~mask, -torch.inf).softmax(-1)  # (B, T)
        return (weights[:, None] @ hidden)[:, 0], weights


class CrossAttention(nn.Module):
    """One modality asks, the other answers; more where both point to the same label.

    The logit of token i for frame j in head k is q k' / sqrt(d / K) + g_k <P[i], P[j]>.
    """

    def __init__(self, options):
        super().__init__()
        d, self.heads = options.width, options.heads
        self.query, self.value = nn.Linear(d, d), nn.Linear(d, d)
        self.key = nn.Linear(d, d, bias=False)  # a bias here cancels in the softmax
        self.outward = nn.Linear(d, d)
        self.dropout = nn.Dropout(options.dropout)
        self.norm = nn.LayerNorm(d)
        self.guidance = nn.Parameter(torch.ones(self.heads)) if options.label_guidance else None

    def forward(self, asking, answering):
        """New (B, T, d) of the side that asks, and what the other side's (B, T') received."""
        query = self._split(self.query(asking.enhanced))  # (B, K, T, d / K)
        key = self._split(self.key(answering.enhanced))  # (B, K, T', d / K)
        value = self._split(self.value(answering.enhanced))
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # (B, K, T, T')
        if self.guidance is not None:
            agree = asking.says @ answering.says.transpose(-1, -2)  # (B, T, T')
            logits = logits + self.guidance[:, None, None] * agree[:, None]
        attention = logits.masked_fill(~answering.mask[:, None, None], -torch.inf).softmax(-1)
        answer = (attention @ value).transpose(1, 2).flatten(2)  # (B, T, d)
        asked = (
            asking.mask[:, None, :, None] / (self.heads * asking.mask.sum(-1))[:, None, None, None]
        )
        received = (attention * asked).sum((1, 2))  # (B, T')
        return self.norm(asking.enhanced + self.dropout(self.outward(answer))), received

    def _split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class LSGMER(Sides):
    """Label signals, re-implemented from the published description of LSGMER (arXiv 2504.05158).

    Labels L (C, d) attend to what cross-attention H1 makes of the tokens or frames H0:
    H2 = Attention(L, H1, H1), w = sigmoid(H2), H = w * mean(H0) + H2. In training L is a moving
    average, L <- a L + (1 - a) L', and the Jensen-Shannon divergence of softmax(cos(H, L)) and the
    prediction is part of the loss. Ours, as the description leaves them open: one attention head,
    the means over time and over labels, L' the means of the batch's classes, a = 0.9, the weight
    of the divergence (label_loss), standardising, projection and null token of the other models.
    """

    KEPT = 0.9  # a

    def __init__(self, options, rows, classes):
        super().__init__(options, rows, classes)
        d = options.width
        self.to_other = nn.ModuleDict({m: CrossAttention(options) for m in MODALITIES})
        self.query = nn.ModuleDict({m: nn.Linear(d, d) for m in MODALITIES})
        self.key = nn.ModuleDict({m: nn.Linear(d, d, bias=False) for m in MODALITIES})
        self.value = nn.ModuleDict({m: nn.Linear(d, d) for m in MODALITIES})
        self.fuse = nn.Sequential(nn.Linear(2 * d, d), nn.GELU(), nn.Dropout(options.dropout))
        self.classify = nn.Linear(d, classes)
        self.register_buffer("label_signals", torch.randn(classes, d))

    def forward(self, inputs, present=None):
        """Logits of a batch; inputs and present as in LabelGuidedFusion."""
        sides = self.states(inputs, present)
        received, weights, enhanced = {}, {}, []
        for m, other in (MODALITIES, MODALITIES[::-1]):
            hidden, received[other] = self.to_other[m](sides[m], sides[other])  # H1 (B, T, d)
            query, key = self.query[m](self.label_signals), self.key[m](hidden)
            logits = query @ key.transpose(1, 2) / math.sqrt(key.shape[-1])  # (B, C, T)
            attention = logits.masked_fill(~sides[m].mask[:, None], -torch.inf).softmax(-1)
            signal = attention @ self.value[m](hidden)  # H2 (B, C, d)
            inside = sides[m].mask[..., None]
            mean = (sides[m].enhanced * inside).sum(1) / inside.sum(1)  # (B, d)
            enhanced.append((signal.sigmoid() * mean[:, None] + signal).mean(1))
            weights[m] = attention.mean(1)  # (B, T)
        fused = self.fuse(torch.cat(enhanced, dim=-1))  # (B, d)
        return Output(self.classify(fused), {}, {}, weights, {}, received, fused=fused)

    def loss(self, output, labels, shares):
        """Weighted cross-entropy, and the divergence; arguments as in LabelGuidedFusion."""
        similar = F.normalize(output.fused, dim=-1) @ F.normalize(self.label_signals, dim=-1).T
        apart = jensen_shannon(similar.log_softmax(-1), output.logits.log_softmax(-1))  # (B,)
        divergence = (shares["even"] * apart).sum()
        return entropy(output.logits, shares["all"], labels) + self.options.label_loss * divergence

    def follow(self, fused, labels):
        """Move the signal of each class in a training batch towards the mean of its utterances.

        fused (B, d), without a gradient; labels (B,).
        """
        members = F.one_hot(labels, self.classes).to(fused.dtype).T  # (C, B)
        counts = members.sum(1, keepdim=True)
        means = members @ fused / counts.clamp_min(1)
        moved = self.KEPT * self.label_signals + (1 - self.KEPT) * means
        self.label_signals = torch.where(counts > 0, moved, self.label_signals)


def loss_shares(labels, class_weights, present=None):
    """How much each utterance of a batch counts in each term of the loss: {term: (B,)}.

    labels (B,), class_weights (C,). "all": by class weight; "even": equally; a modality: by class
    weight where it is present, as the expert of a missing one is not to blame. Each sums to one,
    so that the losses of the pieces of a batch add up to that of the batch.
    """
    weights = class_weights[labels]
    terms = {"all": weights, "even": torch.ones_like(weights)}
    terms |= {m: weights if present is None else weights * present[m] for m in MODALITIES}
    return {term: counts / counts.sum().clamp_min(1e-8) for term, counts in terms.items()}


def entropy(logits, shares, labels):
    """Cross-entropy of logits (B, C), each utterance counted by its share (B,)."""
    return (shares * F.cross_entropy(logits, labels, reduction="none")).sum()


def jensen_shannon(log_p, log_q):
    """Jensen-Shannon divergence (B,) of two sets of log probabilities (B, C)."""
    log_middle = torch.logaddexp(log_p, log_q) - math.log(2)
    halves = [
        F.kl_div(log_middle, x, log_target=True, reduction="none").sum(-1) for x in (log_p, log_q)
    ]
    return sum(halves) / 2


def model_of(options, rows, classes):
    """An untrained model of the options' architecture; arguments as in Sides."""
    kinds = {"label-guided": LabelGuidedFusion, "lsgmer": LSGMER}
    if options.architecture not in kinds:
        raise InputError(
            f"model: architecture {options.architecture} is no network, expected one of "
            f"{list(kinds)}; `labelmer linear` fits the baseline"
        )
    return kinds[options.architecture](options, rows, classes)


def inward(width, d):
    """Linear, GELU, layer norm: from an encoder's width to the model's."""
    return nn.Sequential(nn.Linear(width, d), nn.GELU(), nn.LayerNorm(d))


def mlp(width, hidden, outward, dropout):
    """Linear, GELU, dropout, linear."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outward)
    )


def unit(embeddings):
    """Each row scaled to unit root mean square."""
    return embeddings / embeddings.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-8)


def parameter_count(model):
    """Number of learned parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def save(folder, model, classes, about):
    """Write model.safetensors and config.json, which together are the model.

    classes: names in order; about: what else is worth knowing of it, for people and for predict.
    """
    folder = Path(folder)
    # safetensors' save_file lets nobody else read what it writes.
    tensors = {name: x.contiguous().cpu() for name, x in model.state_dict().items()}
    write_atomically(folder / "model.safetensors", to_bytes(tensors))
    description = {
        "format": FORMAT,
        "classes": classes,
        "rows": model.rows,
        "model": asdict(model.options),
        **about,
    }
    text = json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / "config.json", text + "\n")


def load(folder):
    """A saved model, ready to predict, and the names of its classes."""
    folder = Path(folder)
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise InputError(
                f"{folder}/config.json: format {description['format']}, expected {FORMAT}; "
                "train the model again"
            )
        classes = description["classes"]
        options = ModelOptions.of(description["model"])
        model = model_of(options, description["rows"], len(classes))
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except PermissionError as error:
        raise InputError(
            f"{folder}: may not be read ({error.strerror}); let it be read, and run again; the "
            "model itself was left as it is"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: not a whole model ({error}); move the folder away, and train it anew"
        ) from None
    return model.eval(), classes
