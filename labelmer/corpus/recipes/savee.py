"""SAVEE: four men; the speaker is the folder (AudioData/DC/sa03.wav) or in the name (Kaggle).

The number says which of an emotion's sentences it is; what they are is not told.
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

# Two letters before one, or sa03 would be anger.
NAME = re.compile(
    r"(?:(?P<speaker>DC|JE|JK|KL)_)?(?P<emotion>sa|su|[adfhn])(?P<number>\d\d)\.(?i:wav)"
)
SPEAKERS = ("DC", "JE", "JK", "KL")

FACTS = Facts(
    title="SAVEE",
    language="English",
    licence="research only, on registration",
    where="kahlan.eps.surrey.ac.uk/savee",
    looks="AudioData/DC/sa03.wav or ALL/DC_sa03.wav",
    classes=emotions(
        angry="a",
        disgusted="d",
        fearful="f",
        happy="h",
        neutral="n",
        sad="sa",
        surprised="su",
    ),
    clips={"a": 60, "d": 60, "f": 60, "h": 60, "n": 120, "sa": 60, "su": 60},
    speakers=4,
    folds={"hold_out": "speakers", "folds": 4},
    advice=("Four men: each fold trains on two of them, and intervals over speakers are wide.",),
)


def read(release: Release) -> None:
    """Clips by speaker, emotion and number, in either layout."""
    for path in release.files:
        *folders, name = path.split("/")
        if match := NAME.fullmatch(name):
            folder = folders[-1] if folders else ""
            speaker = match["speaker"] or folder
            if speaker not in SPEAKERS:
                release.leave(path, f"its folder is no speaker, expected one of {SPEAKERS}")
            elif folder in SPEAKERS and folder != speaker:
                release.leave(path, f"its name says {speaker}, its folder {folder}")
            else:
                release.take(
                    path,
                    id=f"{speaker}_{match['emotion']}{match['number']}",
                    speaker=speaker,
                    label=match["emotion"],
                )
