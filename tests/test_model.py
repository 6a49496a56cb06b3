"""The model's properties, for every variant of config.yaml and every kind of pooling."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml
from scipy.spatial.distance import jensenshannon
from torch.nn import functional as F

from labelmer.base.errors import InputError
from labelmer.config.entries import kind_of, options_of
from labelmer.learning.context import NOBODY, OTHER, SAME
from labelmer.models import architectures, layout, parts, saved

torch.set_num_threads(1)
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text(encoding="utf-8"))
NETWORKS = [n for n in CONFIG["variants"] if kind_of(CONFIG, n) == "network"]
VARIANTS = {n: CONFIG["variants"][n] for n in NETWORKS} | {
    "all-mean": {"experts": True, "pooling": "mean", "expert_pooling": "mean"},
    "all-leam": {"experts": True, "pooling": "leam", "expert_pooling": "leam"},
    "all-label-attention": {"experts": True, "expert_pooling": "label-attention"},
    "speech-leam": {"modalities": ["speech"], "expert_pooling": "leam"},
    "guidance-alone": {"label_interaction": False},
    "compressed": {"experts": True, "keep_frames": 0.5, "contrastive": 0.5},
    "compressed-bare": {
        **CONFIG["variants"]["concatenate"],
        "keep_frames": 0.3,
        "contrastive": 0.5,
    },
    "compressed-leam": {**CONFIG["variants"]["leam"], "keep_frames": 0.3},
}
GUIDED = [name for name, v in VARIANTS.items() if "architecture" not in v]  # label-guided
RETRIEVING = [name for name, v in VARIANTS.items() if v.get("architecture") == "ramer"]
WIDTHS = {"speech": 6, "text": 5}
C = 4
LENGTHS = {"speech": [3, 1, 9, 6], "text": [1, 5, 7, 4]}
PRESENT = {
    "speech": torch.tensor([False, True, True, True]),
    "text": torch.tensor([True, False, True, True]),
}

each_variant = pytest.mark.parametrize("variant", VARIANTS)
joint_variants = [n for n, v in VARIANTS.items() if "modalities" not in v]
each_joint_variant = pytest.mark.parametrize("variant", joint_variants)


def fresh(variant, **more):
    """A variant as training starts it, small, with a mean and sd to standardise by."""
    torch.manual_seed(0)
    config = {"model": CONFIG["model"], "variants": {variant: VARIANTS[variant]}}
    options = architectures.options({**options_of(config, variant), "width": 16, **more})
    model = architectures.untrained(options, {m: (width,) for m, width in WIDTHS.items()}, C)
    for side in model.sides.values():
        side.mean.normal_()
        side.sd.uniform_(0.5, 2)
    if variant in RETRIEVING:
        model.index_speech, model.index_text = F.normalize(torch.randn(2, 9, 16), dim=-1)
    return model.eval()


def batch(model, padding=0.0, seed=1):
    """Four utterances of unequal lengths; padding: the value that stands behind their ends."""
    draw = torch.Generator().manual_seed(seed)
    inputs = {}
    for m in model.options.modalities:
        lengths = torch.tensor(LENGTHS[m])[:, None]
        mask = torch.arange(lengths.max()) < lengths
        values = torch.randn(*mask.shape, WIDTHS[m], generator=draw)
        inputs[m] = values.masked_fill(~mask[..., None], padding), mask
    return inputs


def one(inputs, number):
    """One utterance of a batch, without padding."""
    return {
        m: (x[[number], : mask[number].sum()], mask[[number], : mask[number].sum()])
        for m, (x, mask) in inputs.items()
    }


def flat(output):
    """The tensors of an output by name."""
    named = {"logits": output.logits}
    for kind in ("experts", "says", "pooling", "expert_pooling", "received"):
        named |= {f"{kind} {m}": value for m, value in getattr(output, kind).items()}
    return named


def presence_of(variant, there):
    """Who has which modality: all have both, or, in a variant with two, some lack one."""
    return PRESENT if there == "missing" and variant in joint_variants else None


# Padding, masks, sums


@each_variant
@pytest.mark.parametrize("there", ["all", "missing"])
def test_padding_never_changes_an_output(variant, there):
    model, present = fresh(variant), presence_of(variant, there)
    together = flat(model(batch(model), present))
    for name, value in flat(model(batch(model, padding=100.0), present)).items():
        mask = batch(model)[name.split()[1]][1] if name.startswith("says") else ...
        torch.testing.assert_close(value[mask], together[name][mask], atol=0, rtol=0)
    for i in range(4):
        alone = model(one(batch(model), i), present and {m: p[[i]] for m, p in present.items()})
        for name, value in flat(alone).items():
            whole = together[name][i]
            if not name.startswith(("logits", "experts")):
                whole = whole[: value.shape[1]]
            torch.testing.assert_close(value[0], whole, atol=1e-5, rtol=0, msg=name)


@each_variant
@pytest.mark.parametrize("there", ["all", "missing"])
def test_a_cpu_leaves_padding_out_and_a_gpu_does_not(variant, there, monkeypatch):
    model, present, seen = fresh(variant), presence_of(variant, there), []
    side = model.sides[model.options.modalities[0]]
    side.project.over_time.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    short = flat(model(batch(model), present))
    monkeypatch.setattr(layout, "places_of", lambda mask: None)
    for name, value in flat(model(batch(model), present)).items():
        mask = batch(model)[name.split()[1]][1] if name.startswith("says") else ...
        torch.testing.assert_close(value[mask], short[name][mask], atol=1e-5, rtol=0, msg=name)
    mask = batch(model)[model.options.modalities[0]][1]
    assert {mask.sum().item(), mask.numel()} <= set(seen)


@each_variant
@pytest.mark.parametrize("there", ["all", "missing"])
def test_weights_sum_to_one_and_are_zero_on_padding(variant, there):
    model, present = fresh(variant), presence_of(variant, there)
    inputs = batch(model)
    output = model(inputs, present)
    ones = torch.ones(4)
    for m, (_, mask) in inputs.items():
        if present is not None:  # what is missing is one token
            null = torch.arange(mask.shape[1]) == 0
            mask = torch.where(present[m][:, None], mask, null)
        for weights in (
            output.pooling,
            output.expert_pooling,
            output.received,
            output.salience(),
        ):
            if m in weights:
                torch.testing.assert_close(weights[m].sum(1), ones)
                assert not weights[m][~mask].any() and (weights[m][mask] > 0).all()
        if m in output.says:
            inside = inputs[m][1]
            torch.testing.assert_close(output.says[m].sum(-1), inside.float())
    guided, options = variant in GUIDED, model.options
    crossed = variant == "lsgmer" or (guided and options.joint and options.cross_attention)
    assert set(output.received) == (set(inputs) if crossed else set())
    assert set(output.says) == (set(inputs) if guided and options.labels else set())


# Equations


@pytest.mark.parametrize("variant", ["full", "with-experts"])
def test_the_model_follows_its_equations(variant):
    """docs/method.md once more, for one utterance at a time and without a mask."""
    model = fresh(variant)
    inputs = batch(model)
    for i in range(4):
        alone, state, logits = one(inputs, i), {}, 0
        for m, side in model.sides.items():
            x = (alone[m][0][0] - side.mean) / side.sd  # (T, D)
            H = projected(side.project, x)  # (T, d)
            L = torch.cat([projected(side.project, e[None]) for e in side.label_embeddings])
            P = sharp_cosine(side, H, L).softmax(-1)  # (T, C)
            enhanced = F.layer_norm(H + P @ L @ side.take_up.weight.T, (16,))
            if variant == "with-experts":
                z = side.expert_pool.score(H).softmax(0).T @ H  # (1, d)
                mean = side.project.inward(x.mean(0, keepdim=True))  # (1, d)
                deviation = side.deviation(x.std(0, correction=0, keepdim=True))
                statistics = side.expert_of_statistics(torch.cat([mean, deviation], 1))
                logits = logits + side.expert(z) + statistics
            state[m] = enhanced, P, L
        pooled = []
        for m, other in (("speech", "text"), ("text", "speech")):
            attend, (H, P, L), (H2, P2, _) = model.to_other[m], state[m], state[other]
            heads = []
            for k in range(4):
                part = slice(4 * k, 4 * k + 4)
                q, key = attend.query(H)[:, part], attend.key(H2)[:, part]
                scores = q @ key.T / math.sqrt(16 / 4) + attend.guidance[k] * P @ P2.T
                heads.append(scores.softmax(-1) @ attend.value(H2)[:, part])
            fused = F.layer_norm(H + attend.outward(torch.cat(heads, -1)), (16,))
            salient = sharp_cosine(model.sides[m], fused, L).amax(-1, keepdim=True)
            pooled.append((model.pools[m].score(fused) + salient).softmax(0).T @ fused)
        logits = logits + model.joint(torch.cat(pooled, -1))
        torch.testing.assert_close(model(alone).logits, logits, atol=1e-5, rtol=1e-5)


def projected(project, x):
    """LN(a + GELU(W' conv(a))) with a = LN(GELU(W x)), of one sequence (T, D)."""
    a = F.layer_norm(F.gelu(project.inward[0](x)), (16,))
    around = F.pad(a, (0, 0, 1, 1))
    kernel = project.over_time.weight[:, 0]  # (d, 3)
    conv = sum(around[j : j + len(a)] * kernel[:, j] for j in range(3)) + project.over_time.bias
    return F.layer_norm(a + F.gelu(project.mix[0](conv)), (16,))


def sharp_cosine(side, H, L):
    return side.log_sharpness.exp() * F.cosine_similarity(H[:, None], L[None], dim=-1)


def test_sharpness_starts_at_five_and_guidance_at_one():
    model = fresh("full")
    for m in WIDTHS:
        assert model.sides[m].log_sharpness.exp().item() == pytest.approx(5)
        assert model.to_other[m].guidance.tolist() == [1] * 4


@pytest.mark.parametrize(
    "variant", [n for n in joint_variants if n in GUIDED and VARIANTS[n].get("experts")]
)
def test_the_logits_are_the_joint_term_plus_the_experts(variant):
    model, joint = fresh(variant), []
    model.joint.register_forward_hook(lambda *call: joint.append(call[-1]))
    output = model(batch(model))
    assert joint[0].abs().min() > 0
    experts = output.experts["speech"] + output.experts["text"]
    torch.testing.assert_close(output.logits, joint[0] + experts)


def test_a_token_identical_to_a_label_embedding_says_that_label_most(place=3):
    model = fresh("full")
    for m, side in model.sides.items():
        same = (side.label_embeddings * side.sd + side.mean)[:, None]  # (C, 1, D): C utterances
        others = torch.randn(C, 6, WIDTHS[m]) * side.sd + side.mean
        inputs = {n: (torch.randn(C, 2, WIDTHS[n]), torch.ones(C, 2).bool()) for n in WIDTHS}
        values = torch.cat([others[:, :place], same, others[:, place:]], 1)
        inputs[m] = values, torch.ones(C, 7).bool()
        says = model(inputs).says[m]
        assert says[:, place].argmax(-1).tolist() == list(range(C))
        assert [says[c, :, c].argmax().item() for c in range(C)] == [place] * C


@each_variant
def test_permuting_labels_permutes_logits_and_nothing_else(variant):
    model = fresh(variant)
    before = flat(model(batch(model)))
    order = torch.tensor([2, 0, 3, 1])
    by_class = (
        *("label_embeddings", "label_signals", "expert.3.", "expert_of_statistics.3."),
        *("joint.3.", "classify."),
    )
    for name, value in model.state_dict(keep_vars=True).items():
        if any(part in name for part in by_class):
            value.data = value[order]
        elif ".over_time." in name and "project" not in name:  # leam mixes labels over time
            value.data = value[order][:, order] if value.dim() == 3 else value[order]
    for name, value in flat(model(batch(model))).items():
        by_label = name.startswith(("logits", "experts", "says"))
        wanted = before[name][..., order] if by_label else before[name]
        torch.testing.assert_close(value, wanted, atol=1e-5, rtol=1e-5, msg=name)


# What a variant lacks

LABELS = ["label_embeddings", "log_sharpness", "take_up", "guidance"]
LACKS = {
    "with-experts": [],
    "full": ["expert"],
    "no-label-guidance": ["guidance", "expert"],
    "additive": [*LABELS, "to_other"],
    "cross-attention": [*LABELS, "expert"],
    "concatenate": [*LABELS, "to_other", "expert", "score", "pools"],  # a mean learns nothing
    "leam": ["take_up", "guidance", "to_other", "expert", "score"],
    "lsgmer": [*LABELS, "expert", "score", "joint", "pools"],
    "deepmsi": [*LABELS, "to_other", "expert", "joint"],
    "ramer": [*LABELS, "to_other", "joint", "pools", "null"],
    "speech-only": [*LABELS, "to_other", "joint", "pools", "null", "sides.text"],
    "text-only": [*LABELS, "to_other", "joint", "pools", "null", "sides.speech"],
}
PIECES = [
    *LABELS,
    "to_other",
    "expert",
    "score",
    "joint",
    "pools",
    "null",
    "sides.speech",
    "sides.text",
]


@pytest.mark.parametrize("variant", LACKS)
def test_each_variant_lacks_what_it_says_and_nothing_else(variant):
    whole, names = list(fresh("with-experts").state_dict()), list(fresh(variant).state_dict())
    assert all(any(piece in name for name in whole) for piece in PIECES)
    absent = [piece for piece in PIECES if not any(piece in name for name in names)]
    assert sorted(absent) == sorted(LACKS[variant])


def test_guidance_without_cross_attention_needs_no_labels():
    options = {"label_interaction": False, "cross_attention": False, "pooling": "attention"}
    assert not architectures.options(options).labels and architectures.options({}).labels


# Learning


def step(model, present=None, steps=1):
    """Some steps of AdamW on one batch."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        backward(model, present)
        optimiser.step()


def around(model, padding=0.0):
    """Turns around the four utterances of a batch, as an input; the last one has none."""
    draw = torch.Generator().manual_seed(2)
    who = torch.tensor([[SAME, OTHER], [OTHER, NOBODY], [SAME, SAME], [NOBODY, NOBODY]])
    who = torch.cat([who, torch.full((4, model.options.turns[0] - 2), NOBODY)], 1)
    found = {}
    for m in model.options.modalities:
        rows = torch.randn(*who.shape, WIDTHS[m], generator=draw)
        found[m] = rows.masked_fill(who[..., None] == NOBODY, padding), who
    return {"context": found}


def backward(model, present=None):
    labels, weights = torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 2.0, 0.5, 1.0])
    inputs = batch(model) | (around(model) if model.options.turns[0] else {})
    output = model(inputs, present)
    loss = model.loss(output, labels, parts.loss_shares(labels, weights, present))
    loss.backward()
    return output, loss


def unreached(model):
    """Parameters without a gradient, by name; rounding is none."""
    model.zero_grad()
    backward(model, PRESENT if model.options.joint else None)
    return {
        name
        for name, value in model.named_parameters()
        if value.requires_grad and (value.grad is None or value.grad.abs().max() < 1e-8)
    }


@each_variant
def test_gradients_reach_every_parameter(variant):
    assert unreached(fresh(variant).train()) == set()


@pytest.mark.parametrize("variant", ["context", "context-no-labels"])
def test_places_without_a_turn_say_nothing(variant):
    model = fresh(variant).eval()
    inputs = batch(model)
    said, padded = (model(inputs | around(model, padding)) for padding in (0.0, 1e3))
    torch.testing.assert_close(said.logits, padded.logits)
    alone = model(inputs).logits
    torch.testing.assert_close(said.logits[3], alone[3])
    assert not torch.isclose(said.logits[:3], alone[:3]).any()
    for weights in said.turns.values():
        torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1, 1, 0]))
        assert (weights[:, 2:] == 0).all()
    nobody = {"context": torch.zeros(4, dtype=torch.bool)}
    torch.testing.assert_close(model(inputs | around(model), nobody).logits, alone)


def test_frozen_labels_stay_and_learned_ones_move():
    for kind in ("frozen", "learned"):
        model = fresh("full", label_embeddings=kind).train()
        before = {m: side.label_embeddings.clone() for m, side in model.sides.items()}
        count = parts.parameter_count(model)
        step(model, steps=2)
        for m, side in model.sides.items():
            assert torch.equal(side.label_embeddings, before[m]) == (kind == "frozen")
        labels = sum(side.label_embeddings.numel() for side in model.sides.values())
        everything = sum(p.numel() for p in model.parameters())
        assert everything - count == (labels if kind == "frozen" else 0)


def test_label_embeddings_start_centred_with_unit_rms():
    side = fresh("full").sides["speech"]
    for start in (None, 100 + torch.randn(C, 6)):
        if start is not None:
            side.start_labels(start)
        rms = side.label_embeddings.square().mean(1).sqrt()
        torch.testing.assert_close(rms, torch.ones(C))
    centred = start - start.mean(0)
    cosine = F.cosine_similarity(side.label_embeddings, centred)
    torch.testing.assert_close(cosine, torch.ones(C))


@pytest.mark.parametrize("variant", ["with-experts", "full", "cross-attention", "speech-only"])
def test_the_loss_is_the_sum_of_its_terms(variant):
    model = fresh(variant, expert_loss=0.7, label_loss=0.3)
    present = PRESENT if model.options.joint else None
    output, loss = backward(model, present)
    labels, weights = torch.tensor([0, 1, 2, 3]), torch.tensor([1.0, 2.0, 0.5, 1.0])

    def weighted(logits, rows):
        own = -logits.log_softmax(-1)[rows, labels[rows]]
        return (weights[labels[rows]] * own).sum() / weights[labels[rows]].sum()

    expected = weighted(output.logits, [0, 1, 2, 3])
    if variant == "with-experts":
        present = {"speech": [1, 2, 3], "text": [0, 2, 3]}
        terms = [(logits, present[m]) for m in present for logits in output.readers[m]]
        assert len(terms) == 4
        expected = expected + 0.7 * sum(weighted(*term) for term in terms)
    if variant in ("full", "with-experts"):
        for side in model.sides.values():
            similar = sharp_cosine(side, side.labels(), side.labels())
            expected = expected - 0.3 * similar.log_softmax(-1).diagonal().mean()
    if variant == "speech-only":
        readers = output.readers["speech"]
        torch.testing.assert_close(output.logits, readers[0] + readers[1])
        expected = expected + 0.7 * sum(weighted(logits, [0, 1, 2, 3]) for logits in readers)
    torch.testing.assert_close(loss, expected)


# LSGMER


def test_label_signals_follow_the_means_of_their_classes():
    model = fresh("lsgmer")
    before, labels = model.label_signals.clone(), torch.tensor([2, 0, 2, 2])
    output = model(batch(model))
    fused = output.fused.detach()
    model.train().loss(output, labels, parts.loss_shares(labels, torch.ones(C)))
    model.after_batch()
    wanted = before.clone()
    wanted[0] = 0.9 * before[0] + 0.1 * fused[1]
    wanted[2] = 0.9 * before[2] + 0.1 * fused[[0, 2, 3]].mean(0)
    torch.testing.assert_close(model.label_signals, wanted)


def test_the_divergence_is_jensen_and_shannons():
    model = fresh("lsgmer", label_loss=0.7)
    output, labels = model(batch(model)), torch.tensor([0, 1, 2, 3])
    cosine = F.cosine_similarity(output.fused[:, None], model.label_signals[None], dim=-1)
    pairs = zip(cosine.softmax(-1).tolist(), output.logits.softmax(-1).tolist(), strict=True)
    apart = sum(jensenshannon(p, q) ** 2 for p, q in pairs) / 4
    entropy = F.cross_entropy(output.logits, labels)
    loss = model.loss(output, labels, parts.loss_shares(labels, torch.ones(C)))
    assert loss.item() == pytest.approx(entropy.item() + 0.7 * apart, rel=1e-5)


# Salience


def test_salience_is_the_pooling_times_what_is_said_of_the_predicted_class():
    output = parts.Output(
        logits=torch.tensor([[0.0, 2.0]]),
        experts={},
        says={"text": torch.tensor([[[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]]])},
        pooling={"text": torch.tensor([[0.2, 0.3, 0.5]]), "speech": torch.tensor([[0.5, 0.5]])},
        expert_pooling={"text": torch.tensor([[0.6, 0.1, 0.3]])},
        received={},
    )
    shares = torch.tensor([0.4 * 0.1, 0.2 * 0.6, 0.4 * 0.5])
    torch.testing.assert_close(output.salience()["text"][0], shares / shares.sum())
    assert output.salience()["speech"].tolist() == [[0.5, 0.5]]  # without labels: the pooling


# Missing modalities


@each_joint_variant
def test_what_is_missing_has_no_influence(variant):
    model = fresh(variant)
    output = model(batch(model), PRESENT)
    other = batch(model, seed=2)
    changed = {  # other values and another length
        m: (torch.where(PRESENT[m][:, None, None], x, other[m][0]), mask | ~PRESENT[m][:, None])
        for m, (x, mask) in batch(model).items()
    }
    for m, (x, mask) in changed.items():
        assert not torch.equal(x, batch(model)[m][0]) and not torch.equal(mask, batch(model)[m][1])
    again = model(changed, PRESENT).logits
    torch.testing.assert_close(again, output.logits, atol=1e-6, rtol=0)
    whole = model(batch(model)).logits
    same = (whole - output.logits).abs().amax(1) < 1e-5
    assert same.tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    "variant", [n for n in joint_variants if n in GUIDED and VARIANTS[n].get("experts")]
)
def test_a_missing_modality_has_no_expert(variant):
    model = fresh(variant)
    torch.nn.init.zeros_(model.joint[-1].weight)  # the logits are the sum of the experts
    torch.nn.init.zeros_(model.joint[-1].bias)
    experts = model(batch(model)).experts
    output = model(batch(model), PRESENT)
    torch.testing.assert_close(output.logits[0], experts["text"][0])
    torch.testing.assert_close(output.logits[1], experts["speech"][1])
    assert not output.experts["speech"][0].any() and not output.experts["text"][1].any()


def test_a_batch_of_one_without_speech_trains():
    model = fresh("with-experts").train()
    present = {"speech": torch.tensor([False]), "text": torch.tensor([True])}
    output = model(one(batch(model), 1), present)
    label = torch.tensor([2])
    loss = model.loss(output, label, parts.loss_shares(label, torch.ones(C), present))
    loss.backward()
    assert loss.isfinite()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in grads)
    assert not any(
        p.grad is not None and p.grad.any() for p in model.sides["speech"].expert.parameters()
    )


# Saved models


@each_variant
def test_a_saved_model_gives_the_same_probabilities(variant, tmp_path):
    model = fresh(variant)
    saved.save(tmp_path, model, list("abcd"), {"updates": 3})
    loaded, classes = saved.load(tmp_path)
    assert classes == list("abcd") and loaded.options == model.options and not loaded.training
    assert torch.equal(loaded(batch(model)).logits, model(batch(model)).logits)
    assert json.loads((tmp_path / "config.json").read_text())["updates"] == 3


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def edit(**changes):
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE = {
    "cut weights": ("model.safetensors", cut),
    "no weights": ("model.safetensors", Path.unlink),
    "cut config": ("config.json", cut),
    "no config": ("config.json", Path.unlink),
    "no dictionary": ("config.json", lambda path: path.write_text("[]")),
    "another format": ("config.json", edit(format=99)),
    "another size": ("config.json", edit(rows={"speech": [7], "text": [5]})),
    "unknown option": ("config.json", edit(model={"depth": 3})),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_an_input_error(damage, tmp_path):
    saved.save(tmp_path, fresh("full"), list("abcd"), {})
    name, harm = DAMAGE[damage]
    harm(tmp_path / name)
    expected = "depth" if damage == "unknown option" else str(tmp_path)
    with pytest.raises(InputError, match=expected) as raised:
        saved.load(tmp_path)
    assert "None:" not in str(raised.value)


def test_bad_options_are_input_errors():
    with pytest.raises(InputError, match=r"unknown keys \['depth'\], expected .*'width'"):
        architectures.options({"depth": 3})
    with pytest.raises(InputError, match=r"modalities \['text'\] with architecture lsgmer"):
        architectures.options({"architecture": "lsgmer", "modalities": ["text"]})
    with pytest.raises(InputError, match="width 30 is no multiple of heads 4"):
        architectures.options({"width": 30})


# Numbers


@each_variant
def test_extreme_inputs_stay_finite(variant):
    model = fresh(variant).train()
    values = {m: torch.full((1, 1, WIDTHS[m]), 6e4) for m in model.options.modalities}
    inputs = {m: (x, torch.ones(1, 1).bool()) for m, x in values.items()}
    output = model(inputs)
    label = torch.tensor([1])
    model.loss(output, label, parts.loss_shares(label, torch.ones(C))).backward()
    assert all(value.isfinite().all() for value in flat(output).values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_baseline_is_no_network():
    with pytest.raises(InputError, match="architecture linear is no network"):
        architectures.untrained(architectures.options({"architecture": "linear"}), {}, C)


def test_input_dropout_takes_the_same_dimensions_from_all_rows_of_an_utterance():
    model = fresh("concatenate", input_dropout=0.5)
    side, (_, mask), seen = model.sides["speech"], batch(model)["speech"], []
    side.mean.zero_()
    side.sd.fill_(1)
    side.project.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for training in (False, True):
        side.train(training)
        side(torch.ones(*mask.shape, WIDTHS["speech"]), mask)
    plain, dropped = (layout.Layout(mask).unpack(rows) for rows in seen)
    assert (plain[mask] == 1).all() and set(dropped[mask].flatten().tolist()) == {0.0, 2.0}
    assert all((rows[there] == rows[0]).all() for rows, there in zip(dropped, mask, strict=True))
    assert len({tuple(rows[0].tolist()) for rows in dropped}) > 1
