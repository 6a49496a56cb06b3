"""EmotionTTS: Korean; the name has speaker and number, and the number says the emotion.

1-100 neutral, 101-200 happy, 201-300 angry, 301-400 sad. 5 % are public, the rest on request.
"""

import re

import pandas as pd

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(r"(?P<speaker>em[abfgh]|ne[a-eklmno])(?P<number>\d{5})\.wav", re.IGNORECASE)
EMOTIONS = ("neutral", "happy", "angry", "sad")  # each a hundred numbers, from 1
PUBLIC, ALL = 75, 1500  # clips of each emotion
SPEAKERS = 15

FACTS = Facts(
    title="EmotionTTS",
    language="Korean",
    licence="CC BY-NC-SA 4.0, for research",
    where="github.com/emotiontts/emotiontts_open_db",
    looks="emotional-to-emotional/nea/wav/nea00001.wav",
    tables="the .txt of a folder transcript or script (words)",
    classes=emotions(neutral="neutral", happy="happy", angry="angry", sad="sad"),
    clips="300 public, 6,000 on request",
    speakers=SPEAKERS,
    folds={"hold_out": "speakers", "folds": 5},
    advice=(
        "Whether speakers of the two parts (ema and nea, ...) are one person, the release does not",
        "say: if some are, they may stand in training and test.",
    ),
    words=True,
    encoder="klue/bert-base",
)


def read(release: Release) -> None:
    """The clips, with the words that were said, else those that were to be read."""
    said, script = release.stems(".txt", "transcript"), release.stems(".txt", "script")
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            number = int(match["number"])
            if not 1 <= number <= 100 * len(EMOTIONS):
                release.leave(path, "its number is none of 1 to 400, which say the emotion")
                continue
            name = path.rpartition("/")[2].rpartition(".")[0]
            words = said.get(name) or script.get(name)
            release.take(
                path,
                speaker=match["speaker"].lower(),
                label=EMOTIONS[(number - 1) // 100],
                text=release.text(words) if words else "",
            )
    for name in said.keys() & script.keys():
        release.leave(script[name], "what was to be read; the transcript says what was said")


def differences(rows: pd.DataFrame) -> list[str]:
    """How the counts differ from the public part's, or from all where there is more."""
    full = ALL if len(rows) > PUBLIC * len(EMOTIONS) else PUBLIC
    which = "the public part" if full == PUBLIC else "the full release"
    pairs = {f"clips of {emotion}": (sum(rows.label == emotion), full) for emotion in EMOTIONS}
    pairs["speakers"] = rows.speaker.nunique(), SPEAKERS
    return [
        f"{what}: {here} here, {there} in {which}"
        for what, (here, there) in pairs.items()
        if here != there
    ]
