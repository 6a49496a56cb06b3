"""EMOVO: six Italian actors say 14 sentences; emotion, actor and sentence are in the name."""

import re

from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

SENTENCES = {  # b short, l long, n nonsense, d questions
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna: nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}
NAME = re.compile(
    r"(?P<emotion>dis|gio|neu|pau|rab|sor|tri)-(?P<actor>[fm][123])-"
    rf"(?P<sentence>{'|'.join(SENTENCES)})\.wav",
    re.IGNORECASE,
)

FACTS = Facts(
    title="EMOVO",
    language="Italian",
    licence="not confirmed",
    where="voice.fub.it/activities/corpora/emovo",
    looks="f1/dis-f1-b1.wav",
    classes=emotions(
        angry="rab",
        disgusted="dis",
        fearful="pau",
        happy="gio",
        neutral="neu",
        sad="tri",
        surprised="sor",
    ),
    clips=dict.fromkeys(["dis", "gio", "neu", "pau", "rab", "sor", "tri"], 84),
    speakers=6,
    folds={"hold_out": "speakers", "folds": 6},
    encoder="dbmdz/bert-base-italian-cased",
)


def read(release: Release) -> None:
    """The clips."""
    for path in release.files:
        if match := NAME.fullmatch(path.rpartition("/")[2]):
            sentence = SENTENCES[match["sentence"].lower()]
            release.take(
                path,
                speaker=match["actor"].lower(),
                label=match["emotion"].lower(),
                scenario=sentence,
                text=sentence,
            )
