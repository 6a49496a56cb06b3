"""What the config says of folds."""

from collections.abc import Collection
from dataclasses import dataclass

from labelmer.base.errors import InputError
from labelmer.base.options import NAMES, option

VALIDATIONS = {  # what may validate, by what is held out
    "session": ["session", "dialogues"],
    "speaker": ["session", "partner", "dialogues"],
    "speakers": ["speakers", "dialogues"],
    "part": [],
}


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
    folds: int = option(
        "with `hold_out: speakers`: number of groups, three or more; two with "
        "`validation: dialogues`",
        5,
        10,
        minimum=2,
    )
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
            {"type": "integer", "minimum": 3},
            {"type": "array", "minItems": 3, "items": NAMES},
        ],
        expected="a number from 3 (one group tests, one validates, the rest trains), or a list of "
        "as many lists of scenarios (put numbers in quotes)",
    )
    shared_scripts: str = option(
        "training turns whose words validate or test, validation turns whose words test",
        "keep",
        "drop",
        enum=["keep", "drop"],
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

    @property
    def fewest_groups(self) -> int:
        """How many groups of speakers, or sessions, are needed: to test, to validate, to train."""
        return 2 if self.validating in ("dialogues", "partner") else 3

    def check(self, sessions: Collection[str], speakers: Collection[str], circles: int = 0) -> None:
        """InputError: a corpus with too few sessions, or speakers, for the folds asked for.

        speakers: those with an utterance of the classes; circles: how many circles of those who
        talk with each other they make, for `hold_out: speakers`.
        """
        if self.hold_out in ("session", "speaker"):
            if len(sessions) < self.fewest_groups:
                raise InputError(
                    f"folds: the corpus has the sessions {sorted(sessions)}; expected three or "
                    "more, so that one tests, one validates and the rest trains (two, with "
                    "validation: partner or dialogues); group its speakers into more sessions, or "
                    "let hold_out: speakers do so"
                )
        elif self.hold_out == "speakers" and len(speakers) < self.folds:
            fewest = self.fewest_groups
            if len(speakers) < fewest:
                remedy = f"so few cannot be held out: {fewest} are needed at least"
                remedy += " (two, with validation: dialogues and folds: 2)" * (fewest == 3)
            elif fewest <= circles < len(speakers):
                remedy = f"as those who talk with each other stay together, ask for {circles}"
                remedy += f" or fewer, {fewest} at least"
            else:
                remedy = f"ask for {len(speakers)} or fewer, {fewest} at least"
                remedy += ", or choose validation: dialogues" * (circles < fewest == 3)
            raise InputError(
                f"folds: folds: {self.folds}, but the speakers with an utterance of the classes "
                f"are {sorted(speakers)}, {len(speakers)} in all; {remedy}"
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
