"""CREMA-D: 91 actors say twelve sentences; actor, sentence, emotion and level are in the name."""

import re

import pandas as pd

from labelmer.base.log import log
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
# One X: 1040_ITH_SAD_X.wav, as one file was named until 2022.
NAME = re.compile(
    rf"(?P<actor>1\d{{3}})_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)"
    r"_(?P<level>LO|MD|HI|XX?)\.(?P<ending>wav|mp3|flv)",
    re.IGNORECASE,
)
SILENT = "1076_MTI_SAD_XX"
CLIPS = 82  # of an actor
FEWER = {"1008": 76, "1009": 76, "1019": 76, "1002": 81, "1076": 81}

FACTS = Facts(
    title="CREMA-D",
    language="English",
    licence="ODbL 1.0 + DbCL 1.0",
    where="github.com/CheyneyComputerScience/CREMA-D",
    looks="AudioWAV/1001_DFA_ANG_XX.wav",
    classes=emotions(
        angry="ANG",
        disgusted="DIS",
        fearful="FEA",
        happy="HAP",
        neutral="NEU",
        sad="SAD",
    ),
    clips={"ANG": 1271, "DIS": 1271, "FEA": 1271, "HAP": 1271, "NEU": 1087, "SAD": 1271},
    speakers=91,
    folds={"hold_out": "speakers", "folds": 5},
    advice=("The labels are what the actors were to play, not what listeners heard.",),
)


def read(release: Release) -> None:
    """The WAV files; the same clips as MP3 and as video are left out."""
    for path in release.files:
        match = NAME.fullmatch(path.rpartition("/")[2])
        if match and match["ending"].lower() != "wav":
            release.leave(path, "the clip in another form; AudioWAV is taken")
        elif match:
            actor, sentence, emotion, level = (cell.upper() for cell in match.groups()[:4])
            name = f"{actor}_{sentence}_{emotion}_{'XX' if level == 'X' else level}"
            if name == SILENT:
                log.warning("%s: this clip of the release has no sound; it is kept", path)
            release.take(
                path,
                id=name,
                speaker=actor,
                label=emotion,
                scenario=sentence,
                text=SENTENCES[sentence],
            )


def differences(rows: pd.DataFrame) -> list[str]:
    """Actors who are there with more or fewer clips."""
    return [
        f"clips of actor {actor}: {count} here, {FEWER.get(actor, CLIPS)} in the full release"
        for actor, count in rows.speaker.value_counts().sort_index().items()
        if count != FEWER.get(str(actor), CLIPS)
    ]
