"""Why a part of a fold lacks classes, and what to do: the words of the error that says so."""

from collections.abc import Sequence

import pandas as pd

from labelmer.corpus.groups import circles_of_speakers
from labelmer.corpus.options import VALIDATIONS, FoldOptions

SAID_ELSEWHERE = "its words stand in validation or test"
TESTED_TOO = "its words stand in test"


def remedy(
    table: pd.DataFrame,
    reason: pd.Series,
    part: str,
    absent: Sequence[str],
    options: FoldOptions,
    groups: Sequence[list[str]],
) -> str:
    """Why a part lacks classes, as far as can be told, and what to do.

    table: utterances of the classes with their part; reason: why a row of it is left out, else "";
    absent: the classes; groups: of scenarios, if they are apart.
    """
    circles = table.speaker.map(circles_of_speakers(table))
    if part == "train" and (alone := _always_held_out(table, circles, absent, options)):
        return alone
    gone = reason[(table.part == part) & table.label.isin(absent) & (reason != "")]
    causes, advice = [], []
    if len(gone):
        counts = gone.value_counts().items()
        causes.append(f"left out of it: {', '.join(f'{count} x {why}' for why, count in counts)}")
    if gone.isin([SAID_ELSEWHERE, TESTED_TOO]).any():
        advice.append("set folds: shared_scripts: keep")
    if groups:
        causes.append(_where_scenarios_are(table, circles, absent, groups, options.hold_out))
        larger = "fewer, larger groups of scenarios" if len(groups) > 3 else "scenarios: shared"
        advice.append(f"name other folds: scenario_groups:, or ask for {larger}")
    if options.hold_out == "speakers":
        count, fewest = circles.nunique(), options.fewest_groups
        if count == 1:
            causes.append("all speakers share dialogues, directly or through others")
        elif options.folds > count:
            causes.append(
                f"speakers who share dialogues, directly or through others, make {count} circles"
            )
        if count > options.folds:
            advice.append("ask for other groups of speakers: folds: or seed:")
        elif min(count, options.folds - 1) >= fewest:
            most = min(count, options.folds - 1)
            advice.append(f"ask for at most {most} groups of speakers: folds:")
    return "; ".join([*causes, ", or ".join([*advice, f"choose {others(options)}"])])


def others(options: FoldOptions) -> str:
    """What may be chosen in the place of these labels and of what validates."""
    validations = [
        name
        for name in VALIDATIONS[options.hold_out]
        if name != options.validating and (options.scenarios, name) != ("apart", "dialogues")
    ]
    said = [f"folds: validation: {' or '.join(validations)}"] if validations else []
    return ", or ".join(["other labels:", *said])


def _always_held_out(
    table: pd.DataFrame, circles: pd.Series, absent: Sequence[str], options: FoldOptions
) -> str:
    """What to do about a class that is always held out as a whole; "" if there is none."""
    together = options.hold_out == "speakers"
    if together and options.folds > circles.nunique():  # circles are split
        return ""
    homes = circles if together else table.session
    for label in absent:
        of_class = table.label == label
        if homes[of_class].nunique() > 1 or homes.nunique() == 1:
            continue
        where = f"in the session {homes[of_class].iloc[0]}"
        if together:
            whole = sorted(table.speaker[circles == homes[of_class].iloc[0]].unique())
            where = f"in dialogues of {', '.join(whole)}, who are held out together"
        ways = ["part, with parts of your own"]
        if not together and circles[of_class].nunique() >= 3:
            ways.insert(0, "speakers")
        return (
            f"all utterances of '{label}' stand {where}: nothing of it is left to train on then, "
            f"whatever validates; choose other labels:, or folds: hold_out: {' or '.join(ways)}"
        )
    return ""


def _where_scenarios_are(
    table: pd.DataFrame,
    circles: pd.Series,
    labels: Sequence[str],
    groups: Sequence[list[str]],
    hold_out: str,
) -> str:
    """Why parts lack classes where scenarios are apart: where those of the classes are."""
    home = table.session if hold_out == "session" else circles
    if home.groupby(table.scenario).nunique().max() == 1:
        whose = "in one session" if hold_out == "session" else "by one circle of speakers"
        return (
            f"each scenario is played {whose} alone, so that scenarios: shared keeps them apart as "
            "well"
        )
    said = []
    for label in labels:
        found = set(table.scenario[table.label == label])
        places = [
            f"{', '.join(sorted(found & set(group)))} (group {place})"
            for place, group in enumerate(groups, 1)
            if found & set(group)
        ]
        few = ", fewer than the three that test, validate and train" if len(found) < 3 else ""
        said.append(f"'{label}' stands in the scenarios {', '.join(places)}{few}")
    return "; ".join(said)
