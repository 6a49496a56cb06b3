"""Batches: what is averaged, padded and masked, which items meet, what the statistics are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from labelmer.base.digest import content_key
from labelmer.base.errors import InputError
from labelmer.base.ragged_writer import Writer
from labelmer.learning import batches

torch.set_num_threads(1)
ATTRS = {
    "encoder": "made",
    "source": "test",
    "revision": "1",
    "weights": "none",
    "layer": 0,
    "rate_hz": 100,
}


def write_features(path, items, **others):
    """A feature file of {id: (rows, width)}, with the attributes that extract gives it."""
    ids = sorted(items)
    shape, lengths = items[ids[0]].shape[1:], [len(items[i]) for i in ids]
    marks = [[f"t{i}" for i in range(length)] for length in lengths]
    spans = [np.stack([np.arange(n), np.arange(n) + 1], axis=1) for n in lengths]
    with Writer(path, ids, lengths, shape, "float16", {**ATTRS, **others}, marks, spans) as writer:
        for index, name in enumerate(ids):
            writer.write(index, items[name], content_key(name))
    return path


def ragged_items(lengths, width, seed=0):
    """{id: (length, width)} of noise, in numbers that float16 can hold."""
    draw = np.random.default_rng(seed)
    made = (draw.normal(2, 3, (length, width)) for length in lengths)
    return {f"u{i:03d}": rows.astype(np.float16).astype(np.float32) for i, rows in enumerate(made)}


@pytest.fixture
def items():
    return ragged_items([5, 1, 9, 4, 7, 2], width=3)


@pytest.fixture
def paths(tmp_path, items):
    """The items in two files, as two sessions would have them."""
    names = list(items)
    halves = {"a.h5": names[:3], "b.h5": names[3:]}
    return [write_features(tmp_path / f, {n: items[n] for n in ns}) for f, ns in halves.items()]


def averaged(rows, stride):
    """The mean of every `stride` rows, the last one over those that are left."""
    return np.stack([rows[i : i + stride].mean(0) for i in range(0, len(rows), stride)])


@pytest.mark.parametrize("kept", [False, True])
def test_a_stride_averages_neighbours_and_the_last_ones_that_are_left(tmp_path, kept):
    items = {"long": np.arange(10).reshape(5, 2), "short": np.array([[3, 7]])}
    path = write_features(tmp_path / "f.h5", items)
    expected = {2: [[1, 2], [5, 6], [8, 9]], 4: [[3, 4], [8, 9]], 8: [[4, 5]]}
    for stride, rows in expected.items():
        features = batches.Features([path], ["long", "short"], stride)
        if kept:
            features.keep("cpu")
        assert features[0].tolist() == rows and features[1].tolist() == [[3, 7]]
        assert features[0].dtype == np.float32


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_features_come_in_the_order_asked_for_with_their_lengths(paths, items, stride):
    ids = sorted(items, reverse=True)
    features = batches.Features(paths, ids, stride)
    assert len(features) == len(ids) and features.row == (3,)
    for number, name in enumerate(ids):
        expected = averaged(items[name], stride)
        np.testing.assert_allclose(features[number], expected, rtol=1e-3)  # rounded to float16
        assert features.lengths[number] == len(expected)


@pytest.mark.parametrize(
    "others, width, said",
    [
        ({"encoder": "bert"}, 3, "encoder is 'bert', expected 'made'"),
        ({"source": "path:x"}, 3, "source is 'path:x', expected 'test'"),
        ({"layer": 2}, 3, "layer is '2', expected '0'"),
        ({"weights": "abc"}, 3, "weights is 'abc', expected 'none'"),
        ({}, 4, "width is '4', expected '3'"),
    ],
)
def test_files_by_several_encoders_are_refused(tmp_path, items, others, width, said):
    first = write_features(tmp_path / "a.h5", items)
    wide = {f"{name}x": np.resize(rows, (len(rows), width)) for name, rows in items.items()}
    second = write_features(tmp_path / "b.h5", wide, **others)
    with pytest.raises(InputError) as caught:
        batches.Features([first, second], list(items))
    assert f"{second}: {said} as in {first}; give the features by one" in str(caught.value)


def test_a_batch_is_padded_with_zeros_that_its_mask_leaves_out(paths, items):
    features = batches.Features(paths, list(items))
    values, mask = features.batch(np.array([1, 3, 0]))
    assert values.shape == (3, 5, 3) and values.dtype == torch.float16  # as in the files
    assert mask.sum(1).tolist() == [1, 4, 5] and mask[0].tolist() == [True] + [False] * 4
    assert not values[~mask].any()
    for row, name in enumerate(["u001", "u003", "u000"]):
        assert np.array_equal(values[row][mask[row]], items[name])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("layers", [(), (2,)])
def test_a_device_that_keeps_all_rows_gives_the_same_batches(tmp_path, layers, stride):
    draw = np.random.default_rng(0)
    items = {f"u{n}": draw.normal(size=(n, *layers, 3)) for n in (5, 1, 9, 4)}
    files = [write_features(tmp_path / f"{i}.h5", {i: items[i]}) for i in items]
    numbers = np.array([2, 0, 3])
    mapped, kept = (batches.Features(files, list(items), stride) for _ in range(2))
    kept.keep("cpu")
    assert kept.kept[0].nbytes == kept.size == kept.lengths.sum() * np.prod((*layers, 3)) * 2
    for found, expected in zip(kept.batch(numbers), mapped.batch(numbers), strict=True):
        assert torch.equal(found, expected)
    # Some of the items, in another order, are gathered from the same rows.
    some = [features.subset(np.array([3, 0, 2])) for features in (kept, mapped)]
    assert some[0].kept[0] is kept.kept[0] and len(some[0]) == 3
    assert some[0].lengths.tolist() == kept.lengths[[3, 0, 2]].tolist()
    for features in some:
        for found, expected in zip(
            features.batch(np.array([2, 1, 0])), mapped.batch(numbers), strict=True
        ):
            assert torch.equal(found, expected)


def test_an_id_that_no_file_has_is_named(paths, items):
    with pytest.raises(InputError, match=r"id 'nobody' \(and 1 more\).*a\.h5"):
        batches.Features(paths, [*items, "nobody", "nothing"])


def test_every_epoch_holds_every_item_once_in_batches_of_its_own():
    generator = np.random.default_rng(1)
    epochs = [batches.shuffled(507, 16, generator) for _ in range(2)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == list(range(507))
        assert len(epoch) == 32 and {len(batch) for batch in epoch} == {15, 16}  # no remainder
    assert not members(epochs[0]) & members(epochs[1])
    again = batches.shuffled(507, 16, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(epochs[0], again, strict=True))
    other = batches.shuffled(507, 16, np.random.default_rng(2))
    assert not members(epochs[0]) & members(other)


def members(epoch):
    return {frozenset(batch.tolist()) for batch in epoch}


def mates(epoch):
    """All pairs of items that share a batch."""
    return {(a, b) for batch in epoch for a in batch for b in batch if a < b}


@pytest.mark.parametrize("items, size", [(584, 32), (3300, 64)])
def test_items_meet_again_by_chance_alone(items, size):
    generator = np.random.default_rng(0)
    epochs = [mates(batches.shuffled(items, size, generator)) for _ in range(4)]
    again = [len(epochs[0] & other) / len(epochs[0]) for other in epochs[1:]]
    assert np.mean(again) == pytest.approx(size / items, rel=0.15)


def test_in_order_goes_from_short_to_long():
    ordered = batches.in_order(np.array([5, 1, 9, 4, 7]), 2)
    assert [batch.tolist() for batch in ordered] == [[1, 3], [0, 4], [2]]


def test_what_is_too_large_goes_in_pieces():
    lengths = np.random.default_rng(0).integers(1, 200, 300)
    plain = batches.in_order(lengths, 64)
    pieces = batches.in_order(lengths, 64, rows=3000)
    assert np.array_equal(np.concatenate(pieces), np.concatenate(plain))
    assert len(plain) == 5 and max(len(p) * lengths[p].max() for p in pieces) <= 3000
    assert len(pieces) < lengths.sum() / 3000 + 5 + 5
    small = [batch.tolist() for batch in plain[:1]]
    assert [p.tolist() for p in pieces[:1]] == small  # 64 items of up to 40 rows fit
    odd = batches.in_order(np.array([5000] * 3), 64, rows=8192)  # two would be too many
    assert [p.tolist() for p in odd] == [[0], [1], [2]]
    alone = batches.in_order(np.array([5, 1, 9]), 2, rows=4)
    assert [p.tolist() for p in alone] == [[1], [0], [2]]


@pytest.mark.parametrize("stride", [1, 2])
def test_statistics_are_those_of_the_rows_laid_end_to_end(paths, items, stride):
    labels = np.array([0, 1, 2, 0, 1, 0])
    rows = [averaged(value.astype(np.float64), stride) for value in items.values()]
    mean, sd, of_class = batches.statistics(
        batches.Features(paths, list(items), stride), labels, classes=3
    )
    rows = [np.float16(value).astype(float) for value in rows]
    np.testing.assert_allclose(mean, np.concatenate(rows).mean(0), rtol=1e-6)
    np.testing.assert_allclose(sd, np.concatenate(rows).std(0), rtol=1e-6)
    for c in range(3):
        mine = np.concatenate([rows[i] for i in np.flatnonzero(labels == c)])
        np.testing.assert_allclose(of_class[c], mine.mean(0), rtol=1e-6)


def test_statistics_stand_a_mean_far_from_zero(tmp_path):
    """Squares of such numbers would lose the deviations in float32."""
    items = ragged_items([400, 1500, 900], width=3)
    items = {name: np.float16(1000 + rows) for name, rows in items.items()}
    features = batches.Features([write_features(tmp_path / "f.h5", items)], list(items))
    mean, sd, _ = batches.statistics(features, np.array([0, 1, 0]), classes=2)
    rows = np.concatenate(list(items.values())).astype(np.float64)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-7)
    np.testing.assert_allclose(sd, rows.std(0), rtol=1e-5)


def test_a_dimension_that_never_changes_has_sd_one(tmp_path):
    items = ragged_items([3, 4], width=4)
    for value in items.values():
        value[:, :3] = [0.0, np.float16(0.1), np.float16(60000)]
    features = batches.Features([write_features(tmp_path / "f.h5", items)], list(items))
    _, sd, _ = batches.statistics(features, np.array([0, 1]), classes=2)
    assert sd[:3].tolist() == [1, 1, 1] and sd[3] != 1


def test_a_part_has_the_modalities_asked_for_and_strides_only_speech(tmp_path, items):
    path = write_features(tmp_path / "f.h5", items)
    table = pd.DataFrame(
        {"id": list(items), "label": ["sad", "angry", "sad", "angry", "sad", "sad"]}
    )
    both = {"speech": [path], "text": [path]}
    part = batches.load_part(table, both, ["angry", "sad"], ("speech", "text"), 4)
    assert part.labels.tolist() == [1, 0, 1, 0, 1, 1]
    assert part.features["speech"].lengths.tolist() == [2, 1, 3, 1, 2, 1]
    assert part.features["text"].lengths.tolist() == [5, 1, 9, 4, 7, 2]
    assert part.lengths().tolist() == [7, 2, 12, 5, 9, 3]
    alone = batches.load_part(table, {"text": [path]}, ["angry", "sad"], ("text",), 4)
    assert list(alone.features) == ["text"]


class Mean(torch.nn.Linear):
    """A model whose logits are the mean of the text."""

    def forward(self, inputs):
        values, mask = inputs["text"]
        return SimpleNamespace(logits=values.sum(1) / mask.sum(1, keepdim=True))


def test_predictions_stand_in_the_order_of_the_part(paths, items):
    features = batches.Features(paths, list(items))
    part = batches.Part({"text": features}, np.zeros(6, dtype=np.int64))
    logits = batches.predict(Mean(1, 1), part)
    expected = np.stack([value.mean(0) for value in items.values()])
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_class_weights_are_n_over_c_times_n_c():
    found = batches.class_weights(np.array([0, 0, 0, 1, 2, 2]), 3)
    torch.testing.assert_close(found, torch.tensor([6 / 9, 6 / 3, 6 / 6]))
    with pytest.raises(InputError, match="class 2 of 3 has no training utterance"):
        batches.class_weights(np.array([0, 2]), 3)


def test_rows_that_a_gpu_cannot_keep_are_made_ahead_in_order():
    made, taken = [], []
    for group in batches._ahead(lambda group: made.append(group) or group, range(5)):
        taken.append(group)
        assert group in made
    assert taken == made == list(range(5))


@pytest.mark.parametrize("free, kept", [(2.5, True), (1.5, False)])
def test_a_gpu_keeps_what_takes_half_of_its_free_memory_at_most(
    tmp_path, items, monkeypatch, caplog, free, kept
):
    path = write_features(tmp_path / "f.h5", items)
    table = pd.DataFrame({"id": list(items), "label": "a"})
    part = batches.load_part(table, {"text": [path]}, ["a"], ["text"], 1)
    memory = int(free * part.size), 10 * part.size
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: memory)
    given = []
    monkeypatch.setattr(batches.Features, "keep", lambda self, device: given.append(device))
    with caplog.at_level("INFO"):
        part.keep("cuda:1")
    assert given == ([torch.device("cuda:1")] if kept else [])
    assert ("come from pinned memory" in caplog.text) is not kept


def test_a_cpu_averages_frames_once(tmp_path, items, monkeypatch):
    path = write_features(tmp_path / "f.h5", items)
    table = pd.DataFrame({"id": list(items), "label": "a"})
    paths = {"speech": [path], "text": [path]}
    few, part = (batches.load_part(table, paths, ["a"], ["speech", "text"], 2) for _ in range(2))
    part.keep("cpu")
    assert part.features["text"].kept is None  # nothing is averaged there
    numbers = np.arange(2)
    expected = part.features["speech"].batch(numbers)[0], few.features["speech"].batch(numbers)[0]
    assert torch.equal(*expected)
    monkeypatch.setattr(batches, "KEPT_BYTES", 0)
    few.keep("cpu")
    assert few.features["speech"].kept is None
    monkeypatch.setattr(batches.Features, "_rows", None)  # of the file
    assert torch.equal(part.features["speech"].batch(numbers)[0], expected[0])


def test_a_gpu_takes_rows_by_its_memory_and_a_cpu_few(monkeypatch):
    gib = {"cuda:0": 80, "cuda:1": 8}
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(total_memory=gib[str(device)] * 2**30),
    )
    assert [batches.rows_at_once(name) for name in gib] == [163840, 16384]
    assert batches.rows_at_once("cpu") == 8192
