"""RAMER: what is missing is looked up among the utterances that train, and nowhere else."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_batches import write_features
from test_evaluate import P, perturbed, run
from test_train import (
    CLASSES,
    QUICK,
    SMALL,
    WIDTHS,
    Corpus,
    altered,
    made_features,
    made_fold,
    weights,
)
from torch.nn import functional as F

from labelmer.base import tables
from labelmer.learning import batches
from labelmer.models import architectures, saved, train
from labelmer.prediction.members import Given, member

INDEX = ["index_speech", "index_text"]
ONCE = {**QUICK, "epochs": 1}


@pytest.fixture
def corpus(tmp_path):
    table = made_fold({"train": 12, "validation": 5, "test": 5})
    return Corpus(tmp_path, table, made_features(table))


def untrained(**options):
    torch.manual_seed(0)
    chosen = architectures.options({**SMALL, "architecture": "ramer", **options})
    return architectures.untrained(chosen, {m: (w,) for m, w in WIDTHS.items()}, 3).eval()


def placed(degrees, width=16):
    """Vectors of unit length in one plane: (N, width)."""
    angle = torch.tensor(degrees) * torch.pi / 180
    return F.pad(torch.stack([angle.cos(), angle.sin()], 1), (0, width - 2))


def index(folder):
    tensors = load_file(folder / "model.safetensors")
    return {name: tensors[name].numpy().tobytes() for name in INDEX}


# The search, by hand


def test_the_nearest_by_one_modality_give_their_vectors_of_the_other():
    model = untrained(neighbours=2)
    model.index_speech = placed([0.0, 100.0, 20.0, 200.0])
    model.index_text = placed([10.0, 50.0, 70.0, 300.0])
    # Of speech at 5 degrees the nearest are the first and the third: 10 and 70 degrees, so 40.
    found = model.found("text", placed([5.0]), None)
    torch.testing.assert_close(found, placed([40.0]))
    # Of text at 55 degrees the second and the third: 100 and 20, so 60; a batch is no matter.
    both = model.found("speech", placed([300.0, 55.0]), None)
    torch.testing.assert_close(both[1], placed([60.0])[0])


def test_an_utterance_that_trains_is_not_its_own_neighbour():
    model = untrained(neighbours=1)
    model.index_speech, model.index_text = placed([0.0, 90.0, 30.0]), placed([0.0, 120.0, 240.0])
    model.whose = dict.fromkeys(WIDTHS, torch.arange(3))
    asking = placed([0.0, 31.0])
    torch.testing.assert_close(model.found("text", asking, None), placed([0.0, 240.0]))
    of_others = model.found("text", asking, torch.tensor([0, 2]))
    torch.testing.assert_close(of_others, placed([240.0, 0.0]))


def test_fewer_utterances_than_neighbours_are_all_there_are():
    model = untrained(neighbours=5)
    model.index_speech, model.index_text = placed([0.0, 90.0]), placed([10.0, 30.0])
    model.whose = dict.fromkeys(WIDTHS, torch.arange(2))
    torch.testing.assert_close(model.found("text", placed([50.0]), None), placed([20.0]))
    alone = model.found("text", placed([50.0]), torch.tensor([1]))
    torch.testing.assert_close(alone, placed([10.0]))


# The index


def remembering(corpus, **options):
    """A model that remembers the training part; that part, and the vectors of each utterance."""
    model = untrained(**options)
    part = corpus.part("train", model.options)
    model.remember(part)
    of_each = [model(next(part.batches([[i]], "cpu"))[0]).vectors for i in range(len(part.labels))]
    return model, part, {m: torch.cat([v[m] for v in of_each]) for m in WIDTHS}


def test_the_index_holds_the_unit_vectors_of_what_trains_in_its_order(corpus):
    model, _, vectors = remembering(corpus)
    for m in WIDTHS:
        kept = getattr(model, f"index_{m}")
        assert kept.shape == (36, 16) and not kept.requires_grad
        torch.testing.assert_close(kept.norm(dim=1), torch.ones(36))
        torch.testing.assert_close(kept, vectors[m])
        assert model.whose[m].tolist() == list(range(36))


def test_class_means_stand_in_as_a_control(corpus):
    model, part, vectors = remembering(corpus, retrieval="prototype")
    labels = torch.from_numpy(part.labels)
    for m in WIDTHS:
        means = torch.stack([vectors[m][labels == c].mean(0) for c in range(3)])
        torch.testing.assert_close(getattr(model, f"index_{m}"), F.normalize(means, dim=-1))
    found = model.found("text", model.index_speech[[2]], torch.tensor([0]))
    torch.testing.assert_close(found, model.index_text[[2]])


def test_by_lot_other_words_stand_beside_an_utterances_speech(corpus):
    model, _, vectors = remembering(corpus, retrieval="random", neighbours=1)
    order = model.whose["text"]
    assert sorted(order.tolist()) == list(range(36)) != order.tolist()
    torch.testing.assert_close(model.index_speech, vectors["speech"])
    torch.testing.assert_close(model.index_text, vectors["text"][order])
    # Neither its own row of speech nor that of its own words.
    everyone = torch.arange(36)
    found = model.found("text", vectors["speech"], everyone)
    places = (found @ vectors["text"].T).argmax(1)
    assert (places != everyone).all()
    assert torch.equal(found, model.found("text", vectors["speech"], everyone))


@pytest.mark.parametrize("retrieval", ["nearest", "random", "prototype"])
def test_validation_and_test_data_are_in_no_index(corpus, tmp_path, retrieval):
    given = {"architecture": "ramer", "retrieval": retrieval, "training": ONCE}
    before = index(corpus.train("m", **given))
    others = corpus
    for part in ("validation", "test"):
        others = altered(others, tmp_path / part, part)
    assert index(others.train("m", **given)) == before
    assert index(altered(corpus, tmp_path / "train", "train").train("m", **given)) != before


def test_a_refit_remembers_what_it_trains_on_and_still_no_test_part(corpus, tmp_path):
    given = {"architecture": "ramer", "training": {**QUICK, "refit": True}}
    folder = corpus.train("m", **given)
    tensors = load_file(folder / "model.safetensors")
    assert all(len(tensors[name]) == 36 + 15 for name in INDEX)
    # The weights that were saved made it, and a seed repeats.
    model, _ = saved.load(folder)
    both = corpus.table[corpus.table.part != "test"]
    part = batches.load_part(both, corpus.paths, CLASSES, tuple(WIDTHS), 2)
    model.remember(part)
    for name in INDEX:
        torch.testing.assert_close(getattr(model, name), tensors[name])
    assert weights(altered(corpus, tmp_path, "test").train("m", **given)) == weights(folder)


def test_training_says_which_utterances_a_batch_holds(corpus):
    options = architectures.options({**SMALL, "architecture": "ramer"})
    part, seen = corpus.part("train", options), []
    model = train.build(options, part, CLASSES)
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    assert len(list(train.updates(model, part, train.TrainingOptions(**QUICK), 1, 3))) == 3
    # Before the pass and after it all utterances are remembered: then they ask nobody.
    assert ["numbers" in inputs for inputs in seen] == [False, True, True, True, False]
    numbers = torch.cat([inputs["numbers"] for inputs in seen[1:-1]])
    assert sorted(numbers.tolist()) == list(range(36))
    for inputs in seen[1:-1]:
        for number, values, mask in zip(inputs["numbers"], *inputs["text"], strict=True):
            assert (values[mask].numpy() == part.features["text"][int(number)]).all()


# Prediction


@pytest.mark.parametrize("missing", ["speech", "text"])
def test_what_is_found_is_fused_with_what_is_there(corpus, missing):
    model, _, vectors = remembering(corpus)
    there = "text" if missing == "speech" else "speech"
    test = corpus.part("test", model.options)
    inputs, _ = next(test.batches([np.arange(15)], "cpu"))
    present = {m: torch.full((15,), m == there) for m in WIDTHS}
    output = model(inputs, present)
    similar = output.vectors[there] @ vectors[there].T
    stands_in = [vectors[missing][row.argsort(descending=True)[:5]].sum(0) for row in similar]
    given = {there: output.vectors[there], missing: F.normalize(torch.stack(stands_in), dim=-1)}
    fused = model.classify(model.fuse(torch.cat([given["speech"], given["text"]], 1)))
    torch.testing.assert_close(output.logits, fused)
    assert not output.experts[missing].any() and output.experts[there].any()


def test_the_fusion_teaches_no_model_of_one_modality(corpus):
    model, part, _ = remembering(corpus)
    inputs, _ = next(part.batches([np.arange(15)], "cpu"))
    model(inputs).logits.sum().backward()
    assert all(p.grad is None for p in model.sides.parameters())


def test_a_bundled_model_says_what_was_evaluated(corpus, tmp_path):
    folder = corpus.train("m", architecture="ramer", training=ONCE)
    said = run(corpus, folder, tmp_path / "p.tsv").query("part == 'test'")
    changed = tables.read(perturbed(tmp_path / "p.tsv"), "perturbed")
    ids = said["id"].tolist()
    features = {
        m: write_features(tmp_path / f"{m}.h5", {name: corpus.features[m][name] for name in ids})
        for m in WIDTHS
    }
    everyone = np.ones(len(ids), bool)
    for lacking in (None, "speech", "text"):
        there = {m: everyone ^ (m == lacking) for m in WIDTHS}
        wanted = (
            said
            if lacking is None
            else changed.query(f"change == 'missing' & modality == '{lacking}'")
        )
        p = member(folder, "cpu").say(Given(ids, features, there), explain=True).p
        np.testing.assert_allclose(p, wanted.set_index("id").loc[ids, P], atol=1e-6)
