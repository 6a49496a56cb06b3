"""Models on a GPU that is not there: fake tensors know their device, and refuse to meet others.

Nothing is computed, so no GPU is needed; a tensor that stays on the CPU is found all the same. A
backward pass is not possible so.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_train import CLASSES, SMALL, WIDTHS, Corpus, made_features, made_fold
from torch._subclasses.fake_tensor import FakeTensorMode

from labelmer.learning import batches
from labelmer.learning.context import SAME, Turns
from labelmer.models import architectures
from labelmer.models.evaluate import salience_columns
from labelmer.models.parts import loss_shares
from labelmer.models.train import missing

VARIANTS = {
    "full": {},
    "with-experts": {"experts": True},
    "guidance-alone": {"label_interaction": False, "pooling": "attention"},
    "leam": {"cross_attention": False, "pooling": "leam"},
    "lsgmer": {"architecture": "lsgmer"},
    "compressed": {"keep_frames": 0.5, "contrastive": 0.5},
    "deepmsi": {"architecture": "deepmsi"},
    "ramer": {"architecture": "ramer"},
    "ramer-random": {"architecture": "ramer", "retrieval": "random"},
    "ramer-prototype": {"architecture": "ramer", "retrieval": "prototype"},
    "context": {"context_turns": 2},
    "speech-only": {"modalities": ["speech"]},
    "text-only": {"modalities": ["text"], "expert_pooling": "label-attention"},
}


@pytest.fixture
def corpus(tmp_path):
    table = made_fold({"train": 3, "validation": 2, "test": 2})
    return Corpus(tmp_path, table, made_features(table))


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Of the GPU: that it has so much is all that is asked of it."""
    gpu = SimpleNamespace(total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)


def on_gpu(options, layers=()):
    """An untrained model that was made on the GPU that is not there."""
    torch.set_default_device("cuda")
    try:
        return architectures.untrained(
            options, {m: [*layers, w] for m, w in WIDTHS.items()}, len(CLASSES)
        )
    finally:
        torch.set_default_device(None)


def turns(width, count):
    """The Turns around nine utterances."""
    places = torch.arange(9 * count).reshape(9, count) % 4
    return Turns(torch.ones(4, width, dtype=torch.float16), places, places.clamp_max(SAME))


@pytest.mark.parametrize("variant", VARIANTS)
def test_prediction_loss_and_salience_stay_on_the_device(corpus, variant):
    options = architectures.options({**SMALL, **VARIANTS[variant]})
    part = corpus.part("train", options)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = on_gpu(options)
        for features in part.features.values():
            features.keep("cuda")
        if count := options.turns[0]:
            part.context = {m: turns(width, count).keep("cuda") for m, width in WIDTHS.items()}
        numbers = np.array([4, 0, 7])
        inputs, labels = next(part.batches([numbers], "cuda"))
        around = inputs.get("context", {})
        pairs = [*(inputs[m] for m in options.modalities), *around.values()]
        assert {x.device.type for pair in pairs for x in pair} == {"cuda"}
        weights = batches.class_weights(part.labels, len(CLASSES)).to("cuda")
        there = None
        if options.joint:
            there = missing(3, 0.1, np.random.default_rng(0), context=bool(around))
        present = there and {m: x.to("cuda") for m, x in there.items()}
        model.train()
        output = model(inputs, present)
        loss = model.loss(output, labels, loss_shares(labels, weights, present))
        assert loss.device.type == "cuda" and loss.shape == ()
        model.after_batch()
        salience = output.salience()
        for m in options.modalities:
            columns = salience_columns(output, salience, m, CLASSES)
            assert {values.device.type for values in columns.values()} == {"cuda"}
        logits = batches.predict(model, part)
        assert logits.shape == (9, 3) and logits.device.type == "cpu"


def test_all_layers_are_mixed_on_the_device():
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = on_gpu(architectures.options(SMALL), layers=[4])
        mask = torch.ones(2, 5, dtype=torch.bool, device="cuda")
        inputs = {m: (torch.ones(2, 5, 4, w, device="cuda"), mask) for m, w in WIDTHS.items()}
        assert model.train()(inputs).logits.device.type == "cuda"


def test_a_tensor_left_on_the_cpu_is_found():
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = on_gpu(architectures.options(SMALL))
        mask = torch.ones(2, 5, dtype=torch.bool, device="cuda")
        inputs = {m: (torch.ones(2, 5, w), mask) for m, w in WIDTHS.items()}
        with pytest.raises(RuntimeError, match="devices"):
            model(inputs)
