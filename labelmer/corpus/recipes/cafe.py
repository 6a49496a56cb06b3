"""CaFE: twelve actors of Quebec say six sentences; the name has all, as 01-C-1-1.

Actor, emotion, level (1 weak, 2 strong), sentence. Folders are not read: archives garble their
accents (Colère, Dégoût). There are two editions, 48 kHz (wav) and 192 kHz (aiff).
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

SENTENCES = {
    "1": "Un cheval fou dans mon jardin",
    "2": "Deux ânes aigris au pelage brun",
    "3": "Trois cygnes aveugles au bord du lac",
    "4": "Quatre vieilles truies éléphantesques",
    "5": "Cinq pumas fiers et passionnés",
    "6": "Six ours aimants domestiqués",
}
NAME = re.compile(
    r"(?P<actor>\d\d)-(?P<emotion>[CDJNPST])-[012]-(?P<sentence>[1-6])\.(?:wav|aiff?)",
    re.IGNORECASE,
)
LETTERS = emotions(
    angry="C", disgusted="D", happy="J", neutral="N", fearful="P", surprised="S", sad="T"
)

FACTS = Facts(
    title="CaFE",
    language="French",
    licence="CC BY-NC-SA 4.0",
    where="zenodo.org/record/1478765",
    looks="Colère/Faible/01-C-1-1.wav",
    classes=LETTERS,
    clips={"N": 72, **dict.fromkeys("CDJPST", 144)},
    speakers=12,
    folds={"hold_out": "speakers", "folds": 6},
    encoder="almanach/camembert-base",
)


def read(release: Release) -> None:
    """The clips; of two editions the wav."""
    for path in sorted(release.files, key=lambda path: not path.lower().endswith(".wav")):
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            release.take(
                path,
                speaker=match["actor"],
                label=match["emotion"].upper(),
                scenario=SENTENCES[match["sentence"]],
                text=SENTENCES[match["sentence"]],
            )
