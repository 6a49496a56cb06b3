"""DeepMSI: contrast across modalities and guided compression, by hand, and in the label-guided."""

import math

import pytest
import torch
from test_model import C, backward, batch, fresh, one
from torch.nn import functional as F

from labelmer.models import parts
from labelmer.models.compression import Compression, spread
from labelmer.models.contrast import contrastive
from labelmer.models.layout import Layout


def placed(degrees):
    """Vectors of a length of their own in a plane: (N, 2)."""
    angle = torch.tensor(degrees) * torch.pi / 180
    return torch.stack([angle.cos(), angle.sin()], 1) * torch.arange(1.0, 1 + len(angle))[:, None]


# Contrast

EVERYONE = torch.ones(4, dtype=torch.bool)


def test_the_contrastive_loss_by_hand():
    speech, text = [0.0, 40.0, 90.0, 130.0], [10.0, 70.0, 80.0, 200.0]
    labels = [0, 0, 1, 1]
    there = {"speech": [True, True, True, False], "text": [True, True, True, True]}
    terms = []
    for a, b, has_a, has_b in (
        (speech, text, there["speech"], there["text"]),
        (text, speech, there["text"], there["speech"]),
    ):
        s = [[math.exp(math.cos(math.radians(x - y)) / 0.5) for y in b] for x in a]
        for i in range(4):
            against = sum(s[i][k] for k in range(4) if labels[k] != labels[i] and has_b[k])
            for j in range(4):
                if i != j and labels[i] == labels[j] and has_a[i] and has_b[j]:
                    terms.append(-math.log(s[i][j] / (s[i][j] + against)))
    assert len(terms) == 2 * 3  # the last utterance has no speech
    found = contrastive(
        {"speech": placed(speech), "text": placed(text)},
        torch.tensor(labels),
        {m: torch.tensor(x) for m, x in there.items()},
    )
    assert found.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [2, 2, 2, 2]])
def test_without_pairs_or_without_other_labels_nothing_is_to_be_told_apart(labels):
    vectors = {m: torch.randn(4, 3, requires_grad=True) for m in ("speech", "text")}
    loss = contrastive(vectors, torch.tensor(labels), dict.fromkeys(vectors, EVERYONE))
    loss.backward()
    assert loss.item() == 0 and all(x.grad.isfinite().all() for x in vectors.values())


# Compression


def compression(share, guide):
    """One whose guide is the mean row and this."""
    made = Compression(share, d=2, width=3, dropout=0.0)
    torch.nn.init.zeros_(made.guide[-1].weight)
    made.guide[-1].bias.data = guide
    return made.eval()


def test_rows_like_the_guide_stay_and_take_up_the_others_by_hand():
    x = placed([0.0, 80.0, 10.0, 60.0])
    layout = Layout(torch.ones(1, 4, dtype=torch.bool))
    # A guide at 10 degrees; of two that stay, 0 and 10, the latter is the nearest of both others.
    wanted = torch.tensor([math.cos(math.radians(10)), math.sin(math.radians(10))])
    compress = compression(0.5, wanted * 100 - x.mean(0))
    rows, kept, merged = compress(x, layout, torch.zeros(2, 1, 3))
    assert kept.mask.tolist() == [[True, False, True, False]] and layout.mask.all()
    weigh = torch.tensor([math.exp(math.cos(math.radians(a))) for a in (70, 0, 50)])
    weigh = weigh / weigh.sum()
    torch.testing.assert_close(rows[0], x[0])
    torch.testing.assert_close(rows[2], weigh @ x[[1, 2, 3]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(merged[0, 2, [1, 2, 3]], weigh, rtol=1e-4, atol=1e-4)
    on_rows = spread(torch.tensor([[0.25, 0, 0.75, 0]]), merged)
    torch.testing.assert_close(on_rows[0, [1, 2, 3]], 0.75 * weigh, rtol=1e-4, atol=1e-4)
    assert on_rows[0, 0] == 0.25


@pytest.mark.parametrize("share, left", [(0.1, [1, 1, 1]), (0.3, [3, 1, 1]), (0.5, [5, 2, 1])])
def test_a_share_of_each_utterances_rows_stays(share, left):
    lengths = torch.tensor([10, 4, 1])
    mask = torch.arange(10) < lengths[:, None]
    layout = Layout(mask)
    rows = torch.randn(15, 2)
    made = compression(share, torch.zeros(2))
    _, kept, merged = made(rows, layout, torch.zeros(2, 3, 3))
    assert kept.mask.sum(1).tolist() == left
    assert merged.sum(2).isclose(kept.mask.float()).all()  # a mean, in what stays
    assert ((merged > 0).sum(1) == mask).all()  # each row is in one group, padding in none


# The architecture


def test_deepmsi_follows_its_equations():
    """docs/method.md once more, for one utterance at a time and without a mask."""
    model = fresh("deepmsi")
    inputs = batch(model)
    for i in range(4):
        alone = one(inputs, i)
        hidden = {m: side(*alone[m]).hidden for m, side in model.sides.items()}  # (T, d)

        def head(m, H):
            z = model.pools[m].score(H).softmax(0).T @ H  # (1, d)
            p = model.heads[m].inward(z)
            mixed = model.heads[m].mix[1](F.gelu(p))
            return F.layer_norm(p + mixed, (256,))

        both = [head(m, hidden[m]) for m in ("speech", "text")]
        H = hidden["speech"]
        guide = H.mean(0) + model.compress.guide(torch.cat(both, 1))[0]
        r = F.cosine_similarity(H, guide[None])
        stays = r.argsort(descending=True)[: max(1, round(len(H) / 2))].tolist()
        groups = {j: [j] for j in stays}
        for t in set(range(len(H))) - set(stays):
            groups[max(stays, key=lambda j, t=t: F.cosine_similarity(H[t], H[j], dim=0))].append(t)
        merged = torch.stack([r[groups[j]].softmax(0) @ H[groups[j]] for j in stays])
        p_s = head("speech", merged)
        hidden_layers = [
            layer for layer in model.fuse.modules() if isinstance(layer, torch.nn.Linear)
        ]
        x = torch.cat([p_s, both[1]], 1)
        for layer in hidden_layers:
            x = F.gelu(layer(x))
        assert [layer.weight.shape for layer in hidden_layers] == [(256, 512), (128, 256)]
        output = model(alone)
        torch.testing.assert_close(output.logits, model.classify(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.vectors["speech"], p_s, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["deepmsi", "full", "with-experts"])
def test_the_contrastive_term_is_part_of_the_loss(variant):
    labels = torch.tensor([0, 0, 1, 1])
    present = {m: torch.tensor([True, True, True, m == "speech"]) for m in ("speech", "text")}
    shares = parts.loss_shares(labels, torch.ones(C), present)
    losses = []
    for weight in (0.0, 0.7):
        model = fresh(variant, contrastive=weight)
        output = model(batch(model), present)
        losses.append(model.loss(output, labels, shares))
    vectors = output.vectors if variant == "deepmsi" else output.alone
    apart = contrastive(vectors, labels, present)
    assert apart > 0
    torch.testing.assert_close(losses[1] - losses[0], 0.7 * apart)


# The label-guided model


def test_off_there_is_nothing_more_to_learn():
    plain, off = fresh("full"), fresh("full", contrastive=0.0, keep_frames=1.0)
    states = [model.state_dict() for model in (plain, off)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert not any("compress" in name for name in states[0])
    assert any("compress" in name for name in fresh("full", keep_frames=0.5).state_dict())


def test_compression_is_of_the_joint_terms_speech_alone():
    model = fresh("with-experts", keep_frames=0.5)
    joint = []
    model.joint.register_forward_hook(lambda *call: joint.append(call[-1]))
    squeezed = model(batch(model))
    plain = fresh("with-experts")
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "compress" not in k})
    whole = plain(batch(plain))
    for m in ("speech", "text"):
        for kind in ("experts", "says", "expert_pooling"):
            assert torch.equal(getattr(squeezed, kind)[m], getattr(whole, kind)[m])
    differs = (squeezed.logits - whole.logits).abs().amax(1) > 1e-6
    assert differs.tolist() == [True, False, True, True]  # the second has one frame


def test_without_experts_the_mean_is_what_a_modality_is_alone():
    model = fresh("cross-attention", contrastive=0.5)
    output, _ = backward(model)
    inputs = batch(model)
    for m, side in model.sides.items():
        for i in range(4):
            hidden = side(*one(inputs, i)[m]).hidden
            torch.testing.assert_close(output.alone[m][i], hidden.mean(0), atol=1e-5, rtol=1e-5)
