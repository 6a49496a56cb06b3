"""MSP-IMPROV: pairs of actors improvise; labels are raters', of Evaluation.txt.

MSP-IMPROV-S01A-F01-P-FM01: sentence, emotion to be played, speaker, type, turn. The emotion of the
name is only what was to be played. Types: P natural, R read, S other improvised, T the sentence
improvised. FM and MF say whose scenario it is; the speaker stands before the type.
"""

import re

from labelmer.base.errors import InputError
from labelmer.base.files import lines_of
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

TURN = r"S(?P<sentence>\d\d)[AHNS]-(?P<speaker>[FM]0(?P<session>[1-6]))-[PRST]-[FM]{2}\d+"
NAME = re.compile(rf"MSP-IMPROV-{TURN}\.(?P<ending>wav|avi)", re.IGNORECASE)
RATED = re.compile(r"\s*(?:UTD|MSP)-IMPROV-(?P<turn>[\w-]+)(?:\.\w+)?\s*;\s*(?P<label>[A-Z])\s*;")
TABLES = ("Evaluation.txt", "Evalution.txt")  # sic, in one edition

FACTS = Facts(
    title="MSP-IMPROV",
    language="English",
    licence="academic, on request",
    where="ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    looks="Audio/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav",
    tables="Evaluation.txt (labels); "
    "the .txt of a folder of transcriptions, if they are there (words)",
    classes=emotions(angry="A", happy="H", neutral="N", sad="S"),
    clips={"A": 792, "H": 2644, "N": 3477, "O": 85, "S": 885, "X": 555},
    speakers=12,
    folds={"hold_out": "session", "validation": "session"},
    advice=("O (other) and X (no agreement) are of no class, and left out.",),
    words=True,
)


def read(release: Release) -> None:
    """The turns with the raters' labels, and their words where the transcriptions are there."""
    labels = {
        match["turn"].upper(): match["label"]
        for path in release.named(*TABLES)
        for match in map(RATED.match, lines_of(release.text(path)))
        if match
    }
    if not labels:
        raise InputError(
            f"{release.root}: no {TABLES[0]} with a line for each turn, which has the labels (the "
            "letter in the name is only the emotion to be played); put it into the folder"
        )
    words = {
        name.upper().partition("-IMPROV-")[2]: path
        for name, path in release.stems(".txt", "transcription").items()
    }
    unheard = dict(labels)
    for path in release.files:
        name = path.rpartition("/")[2]
        if not (match := NAME.fullmatch(name)):
            continue
        turn = name.upper().removeprefix("MSP-IMPROV-").rpartition(".")[0]
        if match["ending"].lower() == "avi":
            release.leave(path, "a video, of which the audio alone is taken")
        elif turn not in labels:
            release.leave(path, f"{TABLES[0]} has no line for it, so it has no label")
        else:
            unheard.pop(turn, None)
            release.take(
                path,
                speaker=match["speaker"].upper(),
                session=f"session{match['session']}",
                label=labels[turn],
                scenario=f"S{match['sentence']}",
                text=release.text(words[turn]) if turn in words else "",
            )
    for turn in unheard:
        release.leave(f"MSP-IMPROV-{turn}.wav", f"{TABLES[0]} names it, and there is no such file")
