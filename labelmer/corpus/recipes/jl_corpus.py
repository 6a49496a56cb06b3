"""JL-Corpus: New Zealand English; speaker, emotion, sentence, take and session are in the name.

The words lie beside each clip. Five emotions are called primary, five secondary; whether a
sentence of one number has the same words in both, is not relied on.
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

PRIMARY = ("angry", "happy", "neutral", "sad")
OTHERS = {  # excited is primary too, the rest is secondary
    "excited": "excited and thrilled",
    "anxious": "anxious and worried",
    "apologetic": "apologetic and sorry",
    "assertive": "assertive and firm",
    "concerned": "concerned and caring",
    "encouraging": "encouraging and supportive",
}
CLASSES = emotions(**{name: name for name in PRIMARY}) | {
    name: ([name], words) for name, words in OTHERS.items()
}
NAME = re.compile(
    rf"(?P<speaker>(?:fe)?male[12])_(?P<emotion>{'|'.join(CLASSES)})_(?P<sentence>\d+)[ab]_[12]"
    r"\.(?i:wav)"
)

FACTS = Facts(
    title="JL-Corpus",
    language="English",
    licence="CC0 or ODC-By, sources differ",
    where="kaggle.com/datasets/tli725/jl-corpus",
    looks="Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav",
    tables="a .txt of the same name (words)",
    classes=CLASSES,
    clips=dict.fromkeys(CLASSES, 240),
    speakers=4,
    folds={"hold_out": "speakers", "folds": 4},
    advice=(
        "The first five classes are the corpus' primary emotions, the others its secondary ones,",
        "which many leave out.",
    ),
)


def read(release: Release) -> None:
    """The clips; the sentence is the number in the name, the words those of the text beside."""
    texts = release.stems(".txt")
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            beside = texts.get(path.rpartition("/")[2].rpartition(".")[0])
            release.take(
                path,
                speaker=match["speaker"],
                label=match["emotion"],
                scenario=match["sentence"],
                text=release.text(beside) if beside else "",
            )
