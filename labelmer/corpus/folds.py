"""What the config says of folds, and the folds that come of it.

The test part of a fold is one of these:
    session     a session
    speaker     a speaker
    speakers    a group of speakers
    part        what the corpus, or a table, says

Otherwise than in `part`, which is obeyed to the letter, the validation part is never the test part:
    session     the next session
    speakers    the next group of speakers
    partner     the held-out speaker's partner in the session
    dialogues   whole dialogues of the training speakers (who train as well)
No speaker of the test part stands in another part then; that is checked, not hoped for.

With `scenarios: apart` each of these folds becomes one for every group of scenarios, and no two of
its parts share a speaker or a scenario.
"""

import functools
import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import NAMES, option
from labelmer.base.tables import PARTS
from labelmer.base.words import words_of
from labelmer.corpus.groups import scenario_groups, speaker_groups

SHARED_WORDS = 4  # a transcript this long counts as the same when it stands elsewhere
SAID_ELSEWHERE = "its words stand in validation or test"
SHARED_DIALOGUE = "shares its dialogues with the test speaker"


@dataclass(frozen=True)
class FoldOptions:
    """How a corpus is split."""

    hold_out: str = option(
        "the test part",
        example="speakers",
        enum=["session", "speaker", "speakers", "part"],
    )
    validation: str = option(
        "the validation part; if not given, `speakers` with `hold_out: speakers`, else `session`; "
        "goes without saying in `hold_out: part`",
        None,
        "partner",
        enum=["session", "speakers", "partner", "dialogues"],
    )
    folds: int = option("with `hold_out: speakers`: number of groups", 5, 10, minimum=2)
    parts: str = option(
        "with `hold_out: part`: a table with `id`, `fold` and `part`; else the manifest's column "
        "`part` says it",
        None,
        "my/parts.tsv",
        minLength=1,
    )
    scenarios: str = option(
        "may training know the scenarios of the test part?",
        "shared",
        "apart",
        enum=["shared", "apart"],
    )
    scenario_groups: int | list = option(
        "with `scenarios: apart`: number of groups, drawn as even in classes as can be, or the "
        "groups themselves",
        5,
        [["impro01", "script01"], ["impro02", "script02"], ["impro03", "script03"]],
        anyOf=[
            {"type": "integer", "minimum": 2},
            {"type": "array", "minItems": 2, "items": NAMES},
        ],
        expected="a number from 2, or a list of lists of scenarios (put numbers in quotes)",
    )
    shared_scripts: str = option(
        "training turns whose words validate or test", "keep", "drop", enum=["keep", "drop"]
    )
    fraction: float = option(
        "only with `dialogues`: share that validates, as near as whole dialogues come",
        0.2,
        0.1,
        exclusiveMinimum=0,
        maximum=0.5,
    )
    seed: int = option("of all that is drawn: groups, dialogues", 1, 7, minimum=0)

    @property
    def validating(self) -> str:
        """What validates, where the config says it or not."""
        usual = {"speakers": "speakers", "part": "part"}.get(self.hold_out, "session")
        return self.validation or usual

    @property
    def scenario_parts(self) -> int:
        """How many folds each group of held-out speakers makes."""
        if self.scenarios == "shared":
            return 1
        groups = self.scenario_groups
        return groups if isinstance(groups, int) else len(groups)

    def check(self, sessions: Collection[str], speakers: Collection[str]) -> None:
        """InputError: a corpus with too few sessions, or speakers, for the folds asked for."""
        if self.hold_out in ("session", "speaker"):
            if len(sessions) < (3 if self.validating == "session" else 2):
                raise InputError(
                    f"folds: the corpus has the sessions {sorted(sessions)}; expected three or "
                    "more, so that one tests, one validates and the rest trains (two, with "
                    "validation: partner or dialogues); group its speakers into more sessions, or "
                    "let hold_out: speakers do so"
                )
        elif self.hold_out == "speakers" and len(speakers) < self.folds:
            fewest = 2 if self.validating == "dialogues" else 3
            remedy = f"ask for {len(speakers)} or fewer, {fewest} at least"
            if len(speakers) < fewest:
                remedy = f"so few cannot be held out: {fewest} are needed at least"
            raise InputError(
                f"folds: folds: {self.folds}, but the corpus has the speakers {sorted(speakers)}, "
                f"{len(speakers)} in all; {remedy}"
            )

    def number(self, sessions: Collection, speakers: Collection, official: int) -> int:
        """How many folds there are; official: as many has the corpus' own split."""
        held_out = {
            "session": len(sessions),
            "speaker": len(speakers),
            "speakers": self.folds,
            "part": official,
        }
        return held_out[self.hold_out] * self.scenario_parts


@dataclass(frozen=True)
class Fold:
    """One fold."""

    held_out: str  # names what the test part is
    rows: pd.DataFrame  # of the table "fold", with the text
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
    text and label; official: with `hold_out: part` a frame with id, fold and part.
    """
    if official is not None:
        return list(_official(table, official))
    groups = []
    if options.scenarios == "apart":
        groups = scenario_groups(table, options.scenario_groups, options.seed)
    pairs = itertools.product(_held_out(table, options), range(len(groups) or 1))
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
        part[_whole_dialogues(training, options.fraction, options.seed)] = "validation"
    part[validation] = "validation"
    part[test] = "test"
    if options.shared_scripts == "drop":
        reason[_said_elsewhere(table.text, part.where(reason == ""))] = SAID_ELSEWHERE
    return _checked(number, name, table.assign(part=part), reason, options)


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
            following = groups[(place + 1) % len(groups)]
            test = table.speaker.isin(group)
            next_ones = table.speaker.isin(following) if validating == "speakers" else nobody
            talked = table.dialogue.isin(table.dialogue[test]) & ~test
            heard = table.dialogue.isin(table.dialogue[next_ones]) & ~next_ones & ~test
            reason = nothing.mask(heard, "shares its dialogues with a validating speaker")
            reason = reason.mask(talked, "shares its dialogues with a test speaker")
            log.info("speakers, group %d of %d: %s", place + 1, len(groups), ", ".join(group))
            yield Held(", ".join(group), test, next_ones, reason)


def _official(table: pd.DataFrame, official: pd.DataFrame) -> Iterator[Fold]:
    """The folds of a split that was given, as it says."""
    numbers = sorted(official.fold.unique())
    for number in numbers:
        of_fold = official[official.fold == number].set_index("id").part
        part = table.id.map(of_fold)
        reason = pd.Series("", index=table.index).mask(part.isna(), "in no part of this fold")
        name = "the given test part" + (f" {number}" if len(numbers) > 1 else "")
        yield _checked(number, name, table.assign(part=part), reason)


def _checked(
    number: int,
    name: str,
    table: pd.DataFrame,
    reason: pd.Series,
    options: FoldOptions | None = None,
) -> Fold:
    """The Fold of a table with its parts; reason: why a row is left out, else "".

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
        complaint = f"{place}: the {part} part has no utterance of {absent}"
        if part == "train" or len(held) == 0:
            raise InputError(f"{complaint}; {_remedy(table, reason, part, absent, options)}")
        log.warning("%s; audit.tsv has its counts", complaint)
    gone = table.assign(reason=reason)[reason != ""]
    return Fold(name, rows, gone[["session", "id", "reason"]])


def _check_apart(column: str, a: pd.DataFrame, b: pd.DataFrame, place: str) -> None:
    if leak := sorted(set(a[column]) & set(b[column])):
        raise InputError(
            f"{place}: {column}s {leak} of the {b.part.iloc[0]} part also stand in "
            f"{' or '.join(sorted(set(a.part)))}; a {column} must keep to one part; with a speaker "
            "in several sessions hold out speakers: hold_out: speakers"
        )


def _remedy(
    table: pd.DataFrame,
    reason: pd.Series,
    part: str,
    absent: list[str],
    options: FoldOptions | None,
) -> str:
    """What to do where a part lacks classes."""
    gone = reason[(table.part == part) & table.label.isin(absent) & (reason != "")]
    found = f"left out of it: {gone.value_counts().to_dict()}; " if len(gone) else ""
    if options is None:
        return f"{found}correct the parts that are given, or choose other labels:"
    advice = []
    if (gone == SAID_ELSEWHERE).any():
        advice.append("set folds: shared_scripts: keep")
    if options.scenarios == "apart":
        advice.append("name other folds: scenario_groups:, or more of them")
    if options.hold_out == "speakers":
        advice.append("ask for other folds: folds: or another seed:")
    advice.append("choose other labels: or another folds: validation:")
    return found + ", or ".join(advice)


@functools.cache
def normalised(text: str) -> str:
    """A transcript's words as they are compared (words.py), or "" if they count for under four."""
    words, count = words_of(text)
    return " ".join(words) if count >= SHARED_WORDS else ""


def _whole_dialogues(training: pd.DataFrame, fraction: float, seed: int) -> pd.Index:
    """Index of whole dialogues: about `fraction` of the utterances, classes in proportion."""
    from sklearn.model_selection import StratifiedGroupKFold

    # The training sessions are dealt into small stratified groups of dialogues, and as many of
    # these are taken as come nearest to the share.
    groups = min(20, training.dialogue.nunique(), training.label.value_counts().min())
    if groups < 2:
        raise InputError(
            "folds: validation: dialogues needs two dialogues, and two utterances of every class, "
            f"in the training sessions; {sorted(training.session.unique())} have "
            f"{training.dialogue.nunique()} dialogues; use validation: session"
        )
    splitter = StratifiedGroupKFold(groups, shuffle=True, random_state=seed)
    dealt = [rows for _, rows in splitter.split(training, training.label, training.dialogue)]
    shares = np.cumsum([len(rows) for rows in dealt[:-1]]) / len(training)
    count = 1 + int(np.abs(shares - fraction).argmin())
    return training.index[np.concatenate(dealt[:count])]


def _said_elsewhere(text: pd.Series, part: pd.Series) -> pd.Series:
    """Training turns whose words also stand in the validation or the test part.

    part: missing where a row is left out.
    """
    scripts = text.map(normalised)
    judging = part.isin(["validation", "test"])
    return (part == "train") & scripts.isin(set(scripts[judging]) - {""})


def _check_partner(table: pd.DataFrame, home: str, held_out: str) -> None:
    speakers = sorted(table.speaker[table.session == home].unique())
    if len(speakers) != 2:
        raise InputError(
            f"folds: validation: partner needs two speakers in each session; {home} has "
            f"{speakers} (held out: {held_out}); use validation: session"
        )
