"""TESS: two women, "Say the word ..." with 200 words; speaker, word, emotion are in the name."""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

# OA: the release has an OA_bite_neutral.wav, which is OAF's.
NAME = re.compile(
    r"(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>angry|disgust|fear|happy|neutral|ps|sad)"
    r"\.wav",
    re.IGNORECASE,
)

FACTS = Facts(
    title="TESS",
    language="English",
    licence="CC BY-NC-ND 4.0",
    where="doi.org/10.5683/SP2/E8H2MF",
    looks="OAF_angry/OAF_back_angry.wav",
    classes=emotions(
        angry="angry",
        disgusted="disgust",
        fearful="fear",
        happy="happy",
        neutral="neutral",
        surprised="ps",
        sad="sad",
    ),
    clips=dict.fromkeys(("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"), 400),
    speakers=2,
    folds={"hold_out": "speakers", "folds": 2},
    advice=(
        "Two speakers, each tested by what the other taught: no interval over speakers says",
        "much, and published numbers that mix the two are no measure of new speakers.",
    ),
)


def read(release: Release) -> None:
    """Clips; the whole corpus again in a folder of its own is left out."""
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            speaker = "YAF" if match["speaker"].upper() == "YAF" else "OAF"
            word, emotion = match["word"].lower(), match["emotion"].lower()
            release.take(
                path,
                id=f"{speaker}_{word}_{emotion}",
                speaker=speaker,
                label=emotion,
                scenario=word,
                text=f"Say the word {word}",
            )
