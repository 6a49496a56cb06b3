"""The folds of a corpus, as the options (options.py) ask for them.

The test part of a fold is one of these:
    session     a session
    speaker     a speaker
    speakers    a group of speakers
    part        what the corpus, or a table, says

Otherwise than in `part`, which is obeyed to the letter, the validation part is never the test part:
    session     the next session
    speakers    the next group of speakers, if it can be one that talks with nobody of the test part
    partner     the held-out speaker's partner in the session
    dialogues   whole dialogues of the training speakers (who train as well)
No speaker of the test part stands in another part then; that is checked, not hoped for.

With `scenarios: apart` each of these folds becomes one for every group of scenarios, and no two of
its parts share a speaker or a scenario.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.tables import PARTS
from labelmer.base.words import words_of
from labelmer.corpus.groups import scenario_groups, speaker_groups
from labelmer.corpus.options import FoldOptions
from labelmer.corpus.remedies import SAID_ELSEWHERE, TESTED_TOO, others, remedy

SHARED_WORDS = 4  # a transcript this long counts as the same when it stands elsewhere
SHARED_DIALOGUE = "shares its dialogues with the test speaker"


@dataclass(frozen=True)
class Fold:
    """One fold."""

    held_out: str  # names what the test part is
    rows: pd.DataFrame  # of the table "fold", with text and audio
    left_out: pd.DataFrame  # session, id, reason


class Held(NamedTuple):
    """Who is held out; series by the rows of a table."""

    name: str
    test: pd.Series
    validation: pd.Series  # all False, if dialogues validate
    reason: pd.Series  # why a row can stand in no part, else ""


def folds(
    table: pd.DataFrame, options: FoldOptions, official: pd.DataFrame | None = None
) -> list[Fold]:
    """All folds.

    table: utterances of the classes, sorted by id, with id, session, dialogue, scenario, speaker,
    text, audio and label; official: with `hold_out: part` a frame with id, fold and part.
    """
    if official is not None:
        made = list(_official(table, official))
        _tell_untested(table, made)
        return made
    groups, held_out = [], list(_held_out(table, options))
    if options.scenarios == "apart":
        tested = [held.test for held in held_out]
        groups = scenario_groups(table, options.scenario_groups, options.seed, tested)
        if not any(_share_scenarios(table, held) for held in held_out):
            log.warning(
                "folds: with scenarios: shared no two parts would share a scenario either, and "
                "more utterances would train, as each scenario is played in one place alone; "
                "remove scenarios: apart"
            )
    pairs = itertools.product(held_out, range(len(groups) or 1))
    return [
        _fold(number, table, held, groups, place, options)
        for number, (held, place) in enumerate(pairs, 1)
    ]


def _fold(
    number: int,
    table: pd.DataFrame,
    held: Held,
    groups: list[list[str]],
    place: int,
    options: FoldOptions,
) -> Fold:
    """The fold of one group of speakers and, if there are such, one group of scenarios."""
    name, test, validation, reason = held.name, held.test, held.validation, held.reason.copy()
    part = pd.Series("train", index=table.index)
    if groups:
        name = f"{name} in {', '.join(groups[place])}"
        tested = table.scenario.isin(groups[place])
        validated = table.scenario.isin(groups[(place + 1) % len(groups)])
        free = reason == ""
        reason[free & test & ~tested] = "its speaker is tested, in other scenarios"
        reason[free & validation & ~validated] = "its speaker validates, in other scenarios"
        elsewhere = (tested | validated) & ~test & ~validation
        reason[free & elsewhere] = "its scenario is tested or validates, by other speakers"
    if options.validating == "dialogues":
        training = table[~test & (reason == "")]
        validating = _whole_dialogues(training, options, f"fold {number}, held out {name}")
        part[validating] = "validation"
    part[validation] = "validation"
    part[test] = "test"
    if options.shared_scripts == "drop":
        for rows, why in _said_elsewhere(table.text, part.where(reason == "")):
            reason[rows] = why
    return _checked(number, name, table.assign(part=part), reason, options, groups)


def _held_out(table: pd.DataFrame, options: FoldOptions) -> Iterator[Held]:
    """Each group of speakers that is tested together, and who validates beside it."""
    sessions, validating = sorted(table.session.unique()), options.validating
    nobody, nothing = pd.Series(False, index=table.index), pd.Series("", index=table.index)
    if options.hold_out == "session":
        for place, session in enumerate(sessions):
            following = sessions[(place + 1) % len(sessions)]
            next_one = table.session == following if validating == "session" else nobody
            yield Held(session, table.session == session, next_one, nothing)
    elif options.hold_out == "speaker":
        both = table[["session", "speaker"]].drop_duplicates()
        for home, speaker in both.sort_values(["session", "speaker"]).itertuples(index=False):
            test = table.speaker == speaker
            partners = (table.session == home) & ~test
            reason = nothing.mask(partners, SHARED_DIALOGUE)
            if validating == "partner":
                _check_partner(table, home, speaker)
                yield Held(speaker, test, partners, nothing)
            elif validating == "session":
                following = sessions[(sessions.index(home) + 1) % len(sessions)]
                yield Held(speaker, test, table.session == following, reason)
            else:
                yield Held(speaker, test, nobody, reason)
    else:
        groups = speaker_groups(table, options.folds, options.seed)
        for place, group in enumerate(groups):
            test = table.speaker.isin(group)
            talked = table.dialogue.isin(table.dialogue[test]) & ~test
            others = [table.speaker.isin(g) for g in [*groups[place + 1 :], *groups[:place]]]
            following = next((rows for rows in others if not talked[rows].any()), others[0])
            next_ones = following if validating == "speakers" else nobody
            heard = table.dialogue.isin(table.dialogue[next_ones]) & ~next_ones & ~test
            reason = nothing.mask(heard, "shares its dialogues with a validating speaker")
            reason = reason.mask(talked, "shares its dialogues with a test speaker")
            yield Held(", ".join(group), test, next_ones, reason)


def _share_scenarios(table: pd.DataFrame, held: Held) -> bool:
    """Would parts share a scenario if nothing were done?"""
    part = (
        pd.Series("train", table.index).mask(held.validation, "validation").mask(held.test, "test")
    )
    kept = held.reason == ""
    return part[kept].groupby(table.scenario[kept]).nunique().max() > 1


def _official(table: pd.DataFrame, official: pd.DataFrame) -> Iterator[Fold]:
    """The folds of a split that was given, as it says."""
    numbers = sorted(official.fold.unique())
    for number in numbers:
        of_fold = official[official.fold == number].set_index("id").part
        part = table.id.map(of_fold)
        reason = pd.Series("", index=table.index).mask(part.isna(), "in no part of this fold")
        name = "the given test part" + (f" {number}" if len(numbers) > 1 else "")
        yield _checked(number, name, table.assign(part=part), reason)


def _tell_untested(table: pd.DataFrame, made: list[Fold]) -> None:
    """Log the utterances that no fold of a given split tests."""
    tested = {name for fold in made for name in fold.rows.id[fold.rows.part == "test"]}
    untested = table.id[~table.id.isin(tested)]
    if len(untested):
        # In one fold these are simply those that train and validate.
        tell = log.warning if len(made) > 1 else log.info
        tell(
            "the given split tests %d of %d utterances of the classes; %d are in no test part, the "
            "first is '%s'",
            *(len(tested), len(table), len(untested), untested.iloc[0]),
        )


def _checked(
    number: int,
    name: str,
    table: pd.DataFrame,
    reason: pd.Series,
    options: FoldOptions | None = None,
    groups: Sequence[list[str]] = (),
) -> Fold:
    """The Fold of a table with its parts; reason: why a row is left out, else "".

    groups: of scenarios, if they are apart.

    InputError: a class that is not taught, a part without an utterance and, without official
    parts (options), a speaker or a scenario that must not be shared and is.
    """
    rows = table[reason == ""]
    by_part = {part: rows[rows.part == part] for part in PARTS}
    place = f"fold {number}, held out {name}"
    if options:
        heard = pd.concat([by_part["train"], by_part["validation"]])
        _check_apart("speaker", heard, by_part["test"], place)
        if options.validating != "dialogues":
            _check_apart("speaker", by_part["train"], by_part["validation"], place)
        if options.scenarios == "apart":
            _check_apart("scenario", heard, by_part["test"], place)
            _check_apart("scenario", by_part["train"], by_part["validation"], place)
    for part, held in by_part.items():
        absent = sorted(set(table.label) - set(held.label))
        if not absent:
            continue
        counts = pd.crosstab(rows.part, rows.label).reindex(
            index=PARTS, columns=sorted(set(table.label)), fill_value=0
        )
        found = "; ".join(
            f"{name} has {', '.join(f'{count} {label}' for label, count in of.items())}"
            for name, of in counts.iterrows()
        )
        complaint = f"{place}: the {part} part has no utterance of {absent} ({found})"
        if part == "train" or len(held) == 0:
            if options is None:
                what = (
                    "correct the parts that are given, or choose other labels:; if corpus: "
                    "sessions leaves its sessions out, name them there"
                )
            else:
                what = remedy(table, reason, part, absent, options, groups)
            raise InputError(f"{complaint}; {what}")
        log.warning("%s", complaint)
    gone = table.assign(reason=reason)[reason != ""]
    return Fold(name, rows, gone[["session", "id", "reason"]])


def _check_apart(column: str, a: pd.DataFrame, b: pd.DataFrame, place: str) -> None:
    if leak := sorted(set(a[column]) & set(b[column])):
        raise InputError(
            f"{place}: {column}s {leak} of the {b.part.iloc[0]} part also stand in "
            f"{' or '.join(sorted(set(a.part)))}; a {column} must keep to one part; with a speaker "
            "in several sessions hold out speakers: hold_out: speakers"
        )


@functools.cache
def normalised(text: str) -> str:
    """A transcript's words as they are compared (words.py), or "" if they count for under four."""
    words, count = words_of(text)
    return " ".join(words) if count >= SHARED_WORDS else ""


def _whole_dialogues(training: pd.DataFrame, options: FoldOptions, place: str) -> pd.Index:
    """Index of whole dialogues: about `fraction` of the utterances, classes in proportion."""
    from sklearn.model_selection import StratifiedGroupKFold

    # The training utterances are dealt into small stratified groups of dialogues, and as many of
    # these are taken as come nearest to the share.
    classes = training.label.value_counts()
    groups = min(20, training.dialogue.nunique(), *classes)
    if groups < 2:
        counts = ", ".join(f"{count} of '{label}'" for label, count in classes.items()) or "none"
        raise InputError(
            f"{place}: validation: dialogues needs two dialogues, and two utterances of every "
            f"class, beside the test part; dialogues: {training.dialogue.nunique()}, utterances: "
            f"{counts}; choose {others(options) if len(training) else 'another folds: hold_out:'}"
        )
    splitter = StratifiedGroupKFold(groups, shuffle=True, random_state=options.seed)
    dealt = [rows for _, rows in splitter.split(training, training.label, training.dialogue)]
    shares = np.cumsum([len(rows) for rows in dealt[:-1]]) / len(training)
    count = 1 + int(np.abs(shares - options.fraction).argmin())
    return training.index[np.concatenate(dealt[:count])]


def _said_elsewhere(text: pd.Series, part: pd.Series) -> Iterator[tuple[pd.Series, str]]:
    """Rows whose words stand in a part that judges them, and why they are left out.

    Validation too, as it trains in the end where the config has `refit`. part: missing where a row
    is left out.
    """
    scripts = text.map(normalised)
    for mine, judging, why in (
        ("train", ["validation", "test"], SAID_ELSEWHERE),
        ("validation", ["test"], TESTED_TOO),
    ):
        said = set(scripts[part.isin(judging)]) - {""}
        yield (part == mine) & scripts.isin(said), why


def _check_partner(table: pd.DataFrame, home: str, held_out: str) -> None:
    speakers = sorted(table.speaker[table.session == home].unique())
    if len(speakers) != 2:
        raise InputError(
            f"folds: validation: partner needs two speakers in each session; {home} has "
            f"{speakers} (held out: {held_out}); use validation: session"
        )
