"""URDU: clips of talk shows; speaker (sex and number), file, emotion and number are in the name."""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(r"S(?P<speaker>[MF]\d+)_F\d+_(?P<emotion>[AHNS])\d+\.(?i:wav)")
FOLDERS = {"angry": "A", "happy": "H", "neutral": "N", "sad": "S"}

FACTS = Facts(
    title="URDU",
    language="Urdu",
    licence="research only",
    where="github.com/siddiquelatif/URDU-Dataset",
    looks="Angry/SM1_F10_A010.wav",
    classes=emotions(
        angry="A",
        happy="H",
        neutral="N",
        sad="S",
    ),
    clips=dict.fromkeys("AHNS", 100),
    speakers=29,
    folds={"hold_out": "speakers", "folds": 5},
    advice=(
        "Most speakers have one class only: who recognises a speaker knows the class. So speakers",
        "must be held out, and a fold's classes are uneven (splits/audit.tsv).",
    ),
)


def read(release: Release) -> None:
    """Clips by their names; SM1 and SF1 are two people."""
    for path in release.files:
        *folders, name = path.split("/")
        if match := NAME.fullmatch(name):
            folder = folders[-1] if folders else ""
            if FOLDERS.get(folder.lower(), match["emotion"]) != match["emotion"]:
                release.leave(path, f"its name says {match['emotion']}, its folder {folder}")
            else:
                release.take(path, speaker=f"S{match['speaker']}", label=match["emotion"])
