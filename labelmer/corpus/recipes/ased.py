"""ASED: Amharic; emotion, sentence, repetition, sex and speaker are in the name."""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

# The sex is wrong in five names, so the speaker is the last field alone.
NAME = re.compile(
    r"(?P<emotion>n1|f2|h3|s4|a5)-(?P<sentence>\d\d)-\d\d-\d\d-(?P<speaker>\d\d)\.wav",
    re.IGNORECASE,
)

FACTS = Facts(
    title="ASED",
    language="Amharic",
    licence="none stated",
    where="github.com/wgwangang/ASED_V1",
    looks="05Angry/a5-03-01-02-50.wav",
    classes=emotions(
        neutral="n1",
        fearful="f2",
        happy="h3",
        sad="s4",
        angry="a5",
    ),
    clips={"n1": 522, "f2": 510, "h3": 486, "s4": 470, "a5": 486},
    speakers=65,
    folds={"hold_out": "speakers", "folds": 5},
    advice=(
        "The sentences differ by emotion: what is said gives the class away, to metadata-only as",
        "well. With scenarios: apart the sentences that are tested are new.",
    ),
)


def read(release: Release) -> None:
    """Clips by their names, one of which begins with a capital."""
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            emotion = match["emotion"].lower()
            release.take(
                path,
                id=path.rpartition("/")[2][:-4].lower(),
                speaker=match["speaker"],
                label=emotion,
                scenario=f"{emotion}-{match['sentence']}",
            )
