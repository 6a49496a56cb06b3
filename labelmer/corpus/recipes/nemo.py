"""nEMO: nine Polish actors, 90 sentences; speaker, emotion and sentence are in the name.

The words are in data.tsv.
"""

import re

from labelmer.base.log import log
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(
    r"(?P<speaker>[A-Z]{2}\d)_(?P<emotion>anger|fear|happiness|neutral|sadness|surprised)_"
    r"(?P<sentence>\d+)\.(?i:wav)"
)
COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id")

FACTS = Facts(
    title="nEMO",
    language="Polish",
    licence="CC BY-NC-SA 4.0",
    where="github.com/amu-cai/nEMO",
    looks="samples/EB0_anger_1.wav",
    tables="data.tsv (words)",
    classes=emotions(
        angry="anger",
        fearful="fear",
        happy="happiness",
        neutral="neutral",
        sad="sadness",
        surprised="surprised",
    ),
    clips={
        "anger": 749,
        "fear": 736,
        "happiness": 749,
        "neutral": 809,
        "sadness": 769,
        "surprised": 669,
    },
    speakers=9,
    folds={"hold_out": "speakers", "folds": 9},
    encoder="allegro/herbert-base-cased",
)


def read(release: Release) -> None:
    """Clips by their names, with the words of the table; a row without a clip is left out."""
    table = next(iter(release.named("data.tsv")), None)
    if table is None:
        log.warning("%s: there is no data.tsv, so no clip has words", release.root)
    said = release.table(table, "\t", COLUMNS) if table else []
    rows = release.by_key(table or "", said, lambda row: row["file_id"])
    unheard = set(rows)
    for path in release.files:
        name = path.rpartition("/")[2]
        if not (match := NAME.fullmatch(name)):
            continue
        name = f"{name[:-4]}.wav"  # as the table has it
        unheard.discard(name)
        row = rows.get(name)
        if row and (row["speaker_id"], row["emotion"]) != (match["speaker"], match["emotion"]):
            release.leave(path, f"{table} says otherwise: {row['speaker_id']}, {row['emotion']}")
            continue
        release.take(
            path,
            speaker=match["speaker"],
            label=match["emotion"],
            scenario=match["sentence"],
            text=row["raw_text"] if row else "",
        )
    for name in unheard:
        release.leave(f"{table}:{name}", "a row without a clip")
