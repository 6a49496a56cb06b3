"""A batch's rows end to end, and back in their places."""

import numpy as np
import pytest
import torch

from labelmer.learning import batches
from labelmer.models import layout
from labelmer.models.layout import Layout

LENGTHS = [3, 1, 4]
MASK = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
VALUES = torch.arange(24.0).reshape(3, 4, 2)


@pytest.fixture(params=["without padding", "with padding"])
def there(request, monkeypatch):
    """A Layout as on a CPU, and as on a GPU."""
    if request.param == "with padding":
        monkeypatch.setattr(layout, "places_of", lambda mask: None)
    return Layout(MASK)


def test_what_is_packed_is_put_back_with_zeros_on_padding(there):
    rows = there.pack(VALUES)
    assert len(rows) == (8 if there.places is not None else 12)
    assert torch.equal(there.unpack(rows), VALUES * MASK[..., None])
    assert torch.equal(there.unpack(rows[:, 0]), VALUES[..., 0] * MASK)


def test_means_are_of_an_utterances_own_rows(there):
    rows = there.pack(VALUES)
    expected = [VALUES[i, :length].mean(0) for i, length in enumerate(LENGTHS)]
    torch.testing.assert_close(there.mean(rows), torch.stack(expected))
    torch.testing.assert_close(
        there.mean(rows, MASK / MASK.sum(1, keepdim=True)), torch.stack(expected)
    )
    last = torch.nn.functional.one_hot(torch.tensor(LENGTHS) - 1, 4).float()
    expected = [VALUES[i, length - 1] for i, length in enumerate(LENGTHS)]
    torch.testing.assert_close(there.mean(rows, last), torch.stack(expected))


def test_each_row_gets_what_its_utterance_has(there):
    numbers = there.unpack(there.each(torch.tensor([[1.0], [2.0], [3.0]])))[..., 0]
    assert torch.equal(numbers, torch.tensor([[1.0], [2.0], [3.0]]) * MASK)


def test_neighbours_are_of_the_same_utterance(there):
    assert there.unpack(there.before)[..., 0].tolist() == [[0, 1, 1, 0], [0] * 4, [0, 1, 1, 1]]
    assert there.unpack(there.after)[..., 0].tolist() == [[1, 1, 0, 0], [0] * 4, [1, 1, 1, 0]]


def test_of_a_missing_modality_the_first_row_counts(there):
    missing = torch.tensor([True, False, False])
    assert there.first_where(missing).mask.tolist() == [
        [True, False, False, False],
        *MASK[1:].tolist(),
    ]
    assert torch.equal(there.mask, MASK)


def test_groups_of_a_batch_in_order_hold_little_padding():
    """Lengths as IEMOCAP has them: median 3.6 s, a twentieth above 11 s, frames of 80 ms."""
    draw, rows, places = np.random.default_rng(0), 0, 0
    for _ in range(40):
        lengths = np.ceil(12.5 * np.exp(draw.normal(np.log(3.6), 0.68, 16))).astype(int)
        (order,) = batches.in_order(lengths, 16)
        lengths = torch.from_numpy(lengths[order])
        found = Layout(torch.arange(int(lengths.max())) < lengths[:, None])
        assert len(found.places) == lengths.sum()  # what looks at one row at a time: no padding
        groups = zip(lengths.split(found.together), found.longest, strict=True)
        places += sum(len(group) * longest for group, longest in groups)
        rows += int(lengths.sum())
    assert places < 1.3 * rows
