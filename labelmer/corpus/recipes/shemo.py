"""ShEMO: Persian, from radio plays; sex, speaker, emotion and number are in the name.

The F of F03S02 is the sex, the S the emotion. The words lie apart (transcript.zip, "final text");
162 clips have none, and 162 transcripts have no clip.
"""

import re

import pandas as pd

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(r"(?P<speaker>[FM]\d\d)(?P<emotion>[AFHNSW])\d\d+\.wav", re.IGNORECASE)
WITHOUT_WORDS = 162  # clips of the full release that have no transcript
MARKS = dict.fromkeys(map(ord, "\u200e\u200f\ufeff"))  # directions of writing, no characters

FACTS = Facts(
    title="ShEMO",
    language="Persian",
    licence="free for academic use",
    where="github.com/mansourehk/ShEMO",
    looks="female/F03S02.wav",
    tables="the .ort of transcript.zip, unpacked, if they are there (words)",
    classes=emotions(angry="A", fearful="F", happy="H", neutral="N", sad="S", surprised="W"),
    clips={"A": 1059, "F": 38, "H": 201, "N": 1028, "S": 449, "W": 225},
    speakers=87,
    folds={"hold_out": "speakers", "folds": 5},
    advice=(
        "There are 38 fearful clips of 3,000: a fold says little of it; many leave the class out.",
    ),
    words=True,
    encoder="HooshvareLab/bert-fa-base-uncased",
)


def read(release: Release) -> None:
    """The clips, with the words of the transcript of their name."""
    transcripts, clips = release.stems(".ort"), set()
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            name = path.rpartition("/")[2].rpartition(".")[0].upper()
            words = release.text(transcripts[name]) if name in transcripts else ""
            clips.add(name)
            release.take(
                path,
                speaker=match["speaker"].upper(),
                label=match["emotion"].upper(),
                text=words.translate(MARKS),
            )
        elif path.lower().endswith(".tra"):
            release.leave(path, "a phonetic transcription, which is not read")
    for name in transcripts.keys() - clips:
        release.leave(transcripts[name], "a transcript of no clip that is here")


def differences(rows: pd.DataFrame) -> list[str]:
    """How many clips have no words."""
    here = int((rows.text == "").sum())
    if here == WITHOUT_WORDS:
        return []
    return [
        f"clips without a transcript (transcript.zip): {here} here, {WITHOUT_WORDS} in the full "
        "release"
    ]
