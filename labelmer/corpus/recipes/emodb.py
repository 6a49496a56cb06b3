"""EmoDB, the Berlin database: ten actors read ten texts; all is in the name.

Speaker, text, emotion by the first letter of its German word (A is Angst, fear), version.
"""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(
    rf"(?P<speaker>\d\d)(?P<text>{'|'.join(TEXTS)})(?P<emotion>[WLEAFTN])[a-z]\.(?i:wav)"
)

FACTS = Facts(
    title="EmoDB",
    language="German",
    licence="CC0 (release 1), CC BY 4.0 (2.0)",
    where="emodb.bilderbar.info",
    looks="wav/03a01Fa.wav",
    classes=emotions(
        angry="W",
        bored="L",
        disgusted="E",
        fearful="A",
        happy="F",
        sad="T",
        neutral="N",
    ),
    clips={"W": 127, "L": 81, "E": 46, "A": 69, "F": 71, "T": 62, "N": 79},
    speakers=10,
    folds={"hold_out": "speakers", "folds": 5},
    encoder="dbmdz/bert-base-german-cased",
)


def read(release: Release) -> None:
    """What the microphone heard; what the laryngograph did is left out."""
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            if any("laryngo" in folder.lower() for folder in path.split("/")[:-1]):
                release.leave(path, "a laryngograph's signal, no speech")
            else:
                release.take(
                    path,
                    speaker=match["speaker"],
                    label=match["emotion"],
                    scenario=match["text"],
                    text=TEXTS[match["text"]],
                )
