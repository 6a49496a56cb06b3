"""Deleting rows: which go, which stay, and that chance is the same for everyone."""

import torch

from labelmer.models.deletions import SHARES, left_at_random
from labelmer.models.perturbations import chances, perturbed, without_highest


def numbered(lengths):
    """Values (B, T, 1) that are their row's number from 1, zero on padding, and the mask."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    values = (torch.arange(max(lengths)) + 1.0).expand(len(lengths), -1)
    return (values * mask)[..., None], mask


def rows(values, mask):
    return [v[m, 0].tolist() for v, m in zip(values, mask, strict=True)]


def test_the_highest_rows_go_and_the_others_keep_their_order():
    values, mask = numbered([5, 3, 1])
    scores = torch.tensor([[0.1, 0.5, 0.2, 0.9, 0.3], [0.7, 0.2, 0.1, 9, 9], [1, 9, 9, 9, 9.0]])
    left = rows(*without_highest(values, mask, scores, 0.4))
    assert left == [[1, 3, 5], [2, 3], [1]]  # two of five, one of three, none of one


def test_at_least_one_row_goes_and_at_least_one_stays():
    values, mask = numbered([4, 2])
    scores = torch.rand(2, 4)
    assert [len(r) for r in rows(*without_highest(values, mask, scores, 0.01))] == [3, 1]
    assert [len(r) for r in rows(*without_highest(values, mask, scores, 0.99))] == [1, 1]


def test_chance_depends_on_the_utterance_and_not_on_its_batch():
    alone = chances(["b"], "text", torch.ones(1, 3, dtype=torch.bool))
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    together = chances(["a", "b"], "text", mask)
    assert torch.equal(together[1, :3], alone[0]) and not together[1, 3:].any()
    assert not torch.equal(chances(["b"], "speech", mask[:1, :3]), alone)


def test_what_is_left_at_random_is_the_same_without_a_batch():
    lengths = list(range(1, 300))
    values, mask = numbered(lengths)
    names = [f"u{length}" for length in lengths]
    chance = chances(names, "speech", mask)
    for place, share in enumerate(SHARES):
        wanted = rows(*without_highest(values, mask, chance, share))
        for name, length, left in zip(names, lengths, wanted, strict=True):
            assert (left_at_random(name, "speech", length)[place].nonzero()[0] + 1).tolist() == left


def test_every_change_disturbs_its_modality_alone():
    inputs = {"speech": numbered([9, 4]), "text": numbered([5, 5])}
    salience = {m: x[..., 0] / x[..., 0].sum(1, keepdim=True) for m, (x, _) in inputs.items()}
    found = list(perturbed(inputs, salience, ["a", "b"]))
    kinds = {(change, m, share) for change, m, share, *_ in found}
    deletions = {(c, m, s) for c in ("most-salient", "random") for m in inputs for s in SHARES}
    assert kinds == deletions | {("missing", m, 1.0) for m in inputs} and len(found) == len(kinds)
    for change, m, share, then, present in found:
        other = "text" if m == "speech" else "speech"
        assert then[other] is inputs[other]
        if change == "missing":
            assert not present[m].any() and present[other].all()
        if change == "most-salient":  # the salience rises with the row
            gone = max(1, round(5 * share))
            assert m == "speech" or rows(*then[m])[0] == list(range(1, 6 - gone))


def test_of_a_modality_without_rows_to_delete_only_its_absence_is_tried():
    inputs = {"speech": numbered([1, 1]), "text": numbered([5, 4])}
    salience = {m: x[..., 0] for m, (x, _) in inputs.items()}
    found = list(perturbed(inputs, salience, ["a", "b"], ["text"]))
    assert {change for change, m, *_ in found if m == "speech"} == {"missing"}
    assert len(found) == 2 + 2 * len(SHARES)


def test_equal_salience_deletes_by_chance():
    inputs = {"text": numbered([8])}
    flat = {"text": torch.full((1, 8), 1 / 8)}
    by_change = {(c, s): rows(*then["text"]) for c, _, s, then, _ in perturbed(inputs, flat, ["a"])}
    assert all(by_change["most-salient", s] == by_change["random", s] for s in SHARES)


def test_one_modality_cannot_be_missing():
    inputs = {"text": numbered([8])}
    flat = {"text": torch.full((1, 8), 1 / 8)}
    assert "missing" not in {change for change, *_ in perturbed(inputs, flat, ["a"])}
