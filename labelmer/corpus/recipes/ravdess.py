"""RAVDESS: 24 actors speak two statements; everything is in the name, seven numbers of two digits.

Modality, channel, emotion, intensity, statement, repetition, actor.
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(
    r"(?P<modality>\d\d)-(?P<channel>\d\d)-(?P<emotion>0[1-8])-(?P<intensity>0[12])-"
    r"(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>\d\d)\.(?:wav|mp4)",
    re.IGNORECASE,
)
STATEMENTS = {
    "01": "Kids are talking by the door",
    "02": "Dogs are sitting by the door",
}
OTHERS = {"01": "a video with sound, of which the audio alone is taken", "02": "a silent video"}

FACTS = Facts(
    title="RAVDESS",
    language="English",
    licence="CC BY-NC-SA 4.0",
    where="zenodo.org/record/1188976",
    looks="Actor_01/03-01-06-01-02-01-01.wav",
    classes=emotions(
        neutral="01",
        calm="02",
        happy="03",
        sad="04",
        angry="05",
        fearful="06",
        disgusted="07",
        surprised="08",
    ),
    clips={"01": 96, **{f"{n:02}": 192 for n in range(2, 9)}},
    speakers=24,
    folds={"hold_out": "speakers", "folds": 6},
)


def read(release: Release) -> None:
    """Speech, audio alone; songs and videos are left out."""
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            if match["channel"] != "01":
                release.leave(path, "a song" if match["channel"] == "02" else "no such channel")
            elif match["modality"] != "03":
                release.leave(path, OTHERS.get(match["modality"], "no such modality"))
            else:
                release.take(
                    path,
                    speaker=match["actor"],
                    label=match["emotion"],
                    scenario=match["statement"],
                    text=STATEMENTS[match["statement"]],
                )
