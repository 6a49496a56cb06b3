"""Encoders on a GPU that is not there: fake tensors have a device and a shape, and no numbers.

An operation on tensors of two devices fails as on a GPU, and so does what needs a number of a
tensor at hand (with which a GPU would be waited for).
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_encoders import CLIPS, SENTENCES, SIZES, TEXTS, WAVEFORMS, snapshot  # noqa: F401
from torch._subclasses import FakeTensorMode

from labelmer.features import encoders, finetune
from labelmer.features.encoders import text
from labelmer.features.encoders.base import GPU_MEMORY_PER_ROW, ROWS_PER_BATCH

DEVICE = "cuda:1"  # not the one that PyTorch takes where none is named
KINDS = [*WAVEFORMS, "wav2vec2-bert", "whisper", *TEXTS]


@pytest.fixture
def fake(monkeypatch):
    """The mode in which tensors are fake; what only a driver could do is left out."""
    gpu = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    return FakeTensorMode(allow_non_fake_inputs=True)


def moved(encoder):
    """The encoder as it would be, had it been loaded on the device."""
    encoder._place(DEVICE, encoder.encoder if hasattr(encoder, "encoder") else encoder.model)
    if hasattr(encoder, "one_by_one"):
        encoder.one_by_one = False
    return encoder


@pytest.mark.parametrize("layer", [0, 2, -1, "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_extraction(kind, layer, snapshot, fake):  # noqa: F811
    encoder = encoders.load(snapshot(kind), layer)
    inputs = SENTENCES if kind in TEXTS else CLIPS
    lengths = encoder.lengths(inputs)
    with fake:
        moved(encoder)
        with torch.no_grad():
            features, found = encoder._encoded(inputs, torch.float16)
            (alone,) = encoder.states(inputs[:1])
    assert str(features.device) == str(alone.device) == DEVICE
    assert features.dtype == torch.float16 and features.shape == (sum(lengths), *encoder.row)
    assert found == lengths and alone.shape == (lengths[0], *encoder.row)


@pytest.mark.parametrize("silence", ["full", "none"])
def test_extraction_by_whisper_with_other_silence(silence, snapshot, fake):  # noqa: F811
    encoder = encoders.load(snapshot("whisper"), 2, silence=silence)
    lengths = encoder.lengths(CLIPS)
    with fake:
        moved(encoder)
        with torch.no_grad():
            features, found = encoder._encoded(CLIPS, torch.float16)
    assert str(features.device) == DEVICE and found == lengths


def test_batches_fit_the_gpus_memory_and_how_many_layers_are_kept(snapshot, fake, monkeypatch):  # noqa: F811
    budgets = {}
    for memory in (80, 8):
        gpu = SimpleNamespace(total_memory=memory * 2**30)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, gpu=gpu: gpu)
        one, every = (encoders.load(snapshot("bert"), layer) for layer in (2, "all"))
        with fake:
            budgets[memory] = moved(one).budget, moved(every).budget
    assert budgets[8][0] < budgets[80][0] == ROWS_PER_BATCH["cuda"]
    assert budgets[8][0] == 8 * 2**30 // GPU_MEMORY_PER_ROW
    assert budgets[8][1] == budgets[8][0] // (every.depth + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_fine_tuning(kind, snapshot, fake):  # noqa: F811
    """A batch's logits and loss: fake tensors have no gradient, nor what chance leaves out."""
    encoder = finetune.load_encoder(snapshot(kind), "cpu")
    inputs = SENTENCES if kind in TEXTS else CLIPS
    labels = np.arange(len(inputs)) % 4
    part = finetune.Utterances(list(inputs), inputs, labels, encoder.lengths(inputs))
    with fake:
        classifier = finetune.Classifier(moved(encoder), 4, finetune.FinetuningOptions()).eval()
        weights = torch.ones(4, device=DEVICE)
        batch, classes = part.batch(np.arange(len(inputs)), DEVICE)
        logits = classifier(batch)
        loss = torch.nn.functional.cross_entropy(logits, classes, weights)
    assert logits.shape == (len(inputs), 4)
    assert str(logits.device) == str(loss.device) == DEVICE


def test_a_tensor_on_the_wrong_device_is_caught(snapshot, fake, monkeypatch):  # noqa: F811
    """That the tests above can fail."""
    encoder = encoders.load(snapshot("bert"), 2)
    monkeypatch.setattr(text, "sent", lambda tensor, device: tensor)
    with fake:
        moved(encoder)
        with torch.no_grad(), pytest.raises(RuntimeError, match=r"device.* cuda:1"):
            encoder.states(SENTENCES)
