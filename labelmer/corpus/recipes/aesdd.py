"""AESDD: Greek actors; emotion, utterance and speaker are in the name, "a06 (5)b.wav".

The number in brackets is the speaker, with or without a zero; a letter behind it is a further take.
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(
    r"(?P<emotion>[adfhs])(?P<utterance>\d\d) ?\((?P<speaker>\d+)\)[a-z]?\.wav", re.IGNORECASE
)
BROKEN = "s05 (3).wav"

FACTS = Facts(
    title="AESDD",
    language="Greek",
    licence="CC BY 4.0",
    where="m3c.web.auth.gr/research/aesdd-speech-emotion-recognition",
    looks="anger/a06 (5)b.wav",
    classes=emotions(angry="a", disgusted="d", fearful="f", happy="h", sad="s"),
    clips={"a": 121, "d": 122, "f": 120, "h": 119, "s": 122},
    speakers=6,
    folds={"hold_out": "speakers", "folds": 6},
    encoder="nlpaueb/bert-base-greek-uncased-v1",
)


def read(release: Release) -> None:
    """The clips, but for the one that the release has broken."""
    for path in release.files:
        name = path.rpartition("/")[2]
        if name == BROKEN:
            release.leave(path, "broken in the release: no decoder reads it")
        elif match := NAME.fullmatch(name):
            release.take(
                path,
                speaker=str(int(match["speaker"])),
                label=match["emotion"].lower(),
                scenario=match["utterance"],
            )
