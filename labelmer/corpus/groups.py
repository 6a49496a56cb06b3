"""Names dealt into groups that are as even as can be, in size and in classes."""

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError

DRAWS = 100  # of which the evenest is taken


def even_groups(counts: pd.DataFrame, number: int, seed: int, what: str) -> list[list[str]]:
    """Names in groups, each sorted, the groups in the order of their first names.

    counts: utterances of each name (rows) and class (columns); number: of groups; what: the names
    are, for the error. Of several random orders, the larger names mostly first, each name joins
    the group where the shares of all classes and of all utterances stay evenest; the evenest deal
    is taken. InputError: fewer names than groups.
    """
    if len(counts) < number:
        raise InputError(
            f"folds: {len(counts)} {what} ({', '.join(map(str, counts.index[:9]))}) cannot make "
            f"{number} groups; ask for fewer groups"
        )
    counts = counts.sort_index()
    found = counts.to_numpy(float)
    shares = np.column_stack([found, found.sum(axis=1)])
    shares /= shares.sum(axis=0)  # (names, classes + 1)
    draw = np.random.default_rng(seed)
    dealt = [_dealt(shares, number, draw) for _ in range(DRAWS)]
    _, best = min(dealt, key=lambda deal: deal[0])
    groups = [counts.index[best == group].tolist() for group in range(number)]
    return sorted(groups)


def _dealt(shares: np.ndarray, number: int, draw: np.random.Generator) -> tuple[float, np.ndarray]:
    """How uneven one deal is, and the group (names,) of each name."""
    groups = np.zeros((number, shares.shape[1]))
    home = np.zeros(len(shares), int)
    members = np.zeros(number, int)
    sizes = shares.sum(axis=1) * draw.uniform(0.5, 1.5, len(shares))
    for place, name in enumerate(np.argsort(-sizes, kind="stable")):
        # (g + s)^2 - g^2: how much each group adds to the sum of squares, which even groups have
        # at its smallest. Towards the end no group may stay empty.
        added = (groups * shares[name]).sum(axis=1)
        if (members == 0).sum() >= len(shares) - place:
            added[members > 0] = np.inf
        home[name] = added.argmin()
        groups[home[name]] += shares[name]
        members[home[name]] += 1
    return float((groups**2).sum()), home
