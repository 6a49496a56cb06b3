"""Oréau: French; the name has speaker, utterance, emotion and take, as 33a08Ca.

The release has two folders: OréauFR_01 with 502 clips, and OréauFR_02 with 434, mostly used.
"""

import re

from labelmer.corpus.recipes import Facts
from labelmer.corpus.recipes.cafe import LETTERS  # Oréau has taken them over
from labelmer.corpus.release import Release

NAME = re.compile(
    r"(?P<speaker>\d\d)(?P<utterance>[a-z]\d\d)(?P<emotion>[CDJNPST])[a-z]?\.(?i:wav)"
)
SECOND = re.compile(r"(?:.*/)?[^/]*FR_02/.*")  # whatever archives made of the é

FACTS = Facts(
    title="Oréau",
    language="French",
    licence="CC BY 4.0",
    where="zenodo.org/record/4405783",
    looks="OréauFR_02/m/sessc/33a08Ca.wav",
    classes=LETTERS,
    clips={"C": 67, "D": 67, "J": 62, "N": 70, "P": 51, "S": 62, "T": 55},
    speakers=32,
    folds={"hold_out": "speakers", "folds": 5},
    encoder="almanach/camembert-base",
)


def read(release: Release) -> None:
    """The clips of OréauFR_02; where there is no such folder, all."""
    second = [path for path in release.files if SECOND.fullmatch(path)]
    known = {path.rpartition("/")[2] for path in second}
    for path in [*second, *(path for path in release.files if not SECOND.fullmatch(path))]:
        name = path.rpartition("/")[2]
        if not (match := NAME.fullmatch(name)):
            continue
        if known and name not in known:
            release.leave(path, "in OréauFR_01 alone, and OréauFR_02 is taken")
        else:
            release.take(
                path,
                speaker=match["speaker"],
                label=match["emotion"],
                scenario=match["utterance"],
            )
