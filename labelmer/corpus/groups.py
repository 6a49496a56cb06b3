"""Speakers and scenarios, in groups that are as even as can be in size and in classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from labelmer.base.errors import InputError
from labelmer.base.log import NOTICE, log

DRAWS = 100  # of which the evenest is taken
SHOWN = 9  # names of a group or a corpus, in a line for people


def speaker_groups(table: pd.DataFrame, number: int, seed: int) -> list[list[str]]:
    """Speakers in even groups; who talk with each other stay together, if that makes enough.

    table: with speaker, dialogue and label. Else the largest circles are split into their speakers,
    until there are enough.
    """
    circles = circles_of_speakers(table)
    count, split = circles.nunique(), []
    while circles.nunique() < min(number, len(circles)):
        largest = circles.value_counts(sort=False).idxmax()
        members = circles == largest
        split += list(circles.index[members])
        circles[members] = circles.index[members]
    if split:
        log.warning(
            "%d circles of speakers who talk with each other cannot make %d groups; the speakers "
            "%s of the largest are grouped one by one, and of the dialogues that they share "
            "utterances are left out (left_out.tsv)",
            *(count, number, ", ".join(split)),
        )
    counts = pd.crosstab(table.speaker.map(circles), table.label)
    dealt = even_groups(counts, number, seed, "speaker")
    groups = [sorted(circles.index[circles.isin(group)]) for group in dealt]
    tell(groups, "speakers")
    return groups


def circles_of_speakers(table: pd.DataFrame) -> pd.Series:
    """The first of those with whom each speaker talks, directly or through others: by speaker.

    table: with speaker and dialogue.
    """
    dialogues, speakers = pd.factorize(table.dialogue)[0], pd.Categorical(table.speaker)
    spoken = coo_array((np.ones(len(table)), (speakers.codes, dialogues)))
    _, circle = connected_components(spoken @ spoken.T)
    names = pd.Series(speakers.categories, index=speakers.categories)
    return names.groupby(circle).transform("first")


def scenario_groups(
    table: pd.DataFrame, given: int | list, seed: int, held: Sequence[pd.Series]
) -> list[list[str]]:
    """The groups of scenarios that are kept apart: see check_scenarios.

    held: for each group of speakers that is held out, which rows (N,) are theirs; a draw in which
    all of them play scenarios of all groups is taken before others.
    """
    check_scenarios(table, given)
    if isinstance(given, int):
        counts = pd.crosstab(table.scenario, table.label)
        played = pd.DataFrame(
            {i: rows.groupby(table.scenario).any() for i, rows in enumerate(held)}
        )
        groups = even_groups(counts, given, seed, "scenario", played)
    else:
        groups = [list(group) for group in given]
    tell(groups, "scenarios")
    return groups


def tell(groups: Sequence[list[str]], what: str) -> None:
    """Say who is in which group, on the terminal too; what: they are, in the plural."""
    for place, group in enumerate(groups, 1):
        names = ", ".join(group[:SHOWN]) + (
            f" and {len(group) - SHOWN} more" * (len(group) > SHOWN)
        )
        log.log(NOTICE, "%s, group %d of %d: %s", what, place, len(groups), names)


def check_scenarios(table: pd.DataFrame, given: int | list) -> None:
    """InputError: an utterance without a scenario, groups that are not of the table's scenarios.

    table: utterances of the classes, with id and scenario; given: how many groups to draw, or the
    groups.
    """
    bare = table[table.scenario == ""]
    if len(bare):
        raise InputError(
            f"folds: scenarios: apart needs the scenario of every utterance; id "
            f"'{bare.id.iloc[0]}' has none ({len(bare)} of {len(table)}); give it (with reader: "
            "manifest in the column scenario), or set scenarios: shared"
        )
    known = sorted(table.scenario.unique())
    if isinstance(given, int):
        _check_number(known, given, "scenario")
        return
    named = [name for group in given for name in group]
    wrong = {
        "stand twice": {name for name in named if named.count(name) > 1},
        "stand at no utterance of the classes": set(named) - set(known),
        "stand in no group": set(known) - set(named),
    }
    for what, names in wrong.items():
        if names:
            raise InputError(
                f"folds: scenario_groups: {sorted(names)} {what}; expected each of {known} in "
                "one group"
            )


def even_groups(
    counts: pd.DataFrame, number: int, seed: int, what: str, needed: pd.DataFrame | None = None
) -> list[list[str]]:
    """Names in groups, each sorted, the groups in the order of their first names.

    counts: utterances of each name (rows) and class (columns); number: of groups; what: a name is,
    for the error. Of several random orders, the larger names mostly first, each name joins
    the group where the shares of all classes and of all utterances stay evenest; the evenest deal
    is taken. needed: of each name (rows) what it has of things (columns, bool) that every group
    should have: a deal where less is lacking goes before an evener one. InputError: fewer names
    than groups.
    """
    _check_number(counts.index, number, what)
    counts = counts.sort_index()
    found = counts.to_numpy(float)
    shares = np.column_stack([found, found.sum(axis=1)])
    shares /= shares.sum(axis=0)  # (names, classes + 1)
    draw = np.random.default_rng(seed)
    dealt = [_dealt(shares, number, draw) for _ in range(DRAWS)]
    has = (needed if needed is not None else counts[[]]).loc[counts.index].to_numpy(bool)

    def lacking(home: np.ndarray) -> int:
        return sum(int((~has[home == group].any(axis=0)).sum()) for group in range(number))

    _, best = min(dealt, key=lambda deal: (lacking(deal[1]), deal[0]))
    groups = [counts.index[best == group].tolist() for group in range(number)]
    return sorted(groups)


def _check_number(names: Sequence[str], number: int, what: str) -> None:
    if (count := len(names)) < number:
        remedy = f"ask for {count} groups or fewer" if count >= 3 else "so few cannot be kept apart"
        said = f"{what}{'s' * (count != 1)} ({', '.join(map(str, names[:SHOWN]))})"
        raise InputError(f"folds: {count} {said} cannot make {number} groups; {remedy}")


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
