"""MSP-Podcast: turns of podcasts; labels, speakers and parts are in Labels/labels_consensus.csv.

Test1 is the test part. Test2 stays without a part; Test3 has no labels.
"""

import pandas as pd

from labelmer.base.errors import InputError
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

TABLES = ("labels_consensus.csv", "labels_concensus.csv")  # sic, in older releases
COLUMNS = ("FileName", "EmoClass", "SpkrID", "Split_Set")
PARTS = {
    "train": "train",
    "development": "validation",
    "validation": "validation",  # its name in 1.8
    "test1": "test",
    "test2": "",
    "test3": "",
}
CLIPS = "about 73,000 (1.8), 151,654 (1.11), 207,136 (1.12), 264,705 (2.0)"
MOST = (74_000, 151_654, 207_136, 264_705)  # turns that a release may have
UNLABELLED = 4_000  # Test3 is smaller

FACTS = Facts(
    title="MSP-Podcast",
    language="English",
    licence="academic or commercial, on request",
    where="ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
    looks="Audios/MSP-PODCAST_0001_0008.wav",
    tables="Labels/labels_consensus.csv (labels, speakers, parts); "
    "Transcripts, if they are there (words)",
    classes=emotions(
        angry="A",
        sad="S",
        happy="H",
        surprised="U",
        fearful="F",
        disgusted="D",
        contemptuous="C",
        neutral="N",
    ),
    clips=CLIPS,
    speakers="varies",
    folds={"hold_out": "part"},
    advice=(
        "Parts are the corpus' own: Train, Development (validation), Test1 (test). Test2 stands in",
        "no part, as it shares speakers with Test1: to test on it, change the manifest's part.",
        "Speakers that are not known (SpkrID Unknown) count as one. O (other) and X (no agreement)",
        "are of no class, and left out.",
    ),
    words=True,
)


def read(release: Release) -> None:
    """The turns that the table names, with its speakers and parts, and their transcripts."""
    table = next(iter(release.named(*TABLES)), None)
    if table is None:
        raise InputError(
            f"{release.root}: no {TABLES[0]}, which has labels, speakers and parts; put the "
            "release's folder Labels into the folder"
        )
    said = release.table(table, ",", COLUMNS)
    rows = release.by_key(table, said, lambda row: row["FileName"])
    words = release.stems(".txt", "transcripts")
    unheard = set(rows)
    for path in release.files:
        file = path.rpartition("/")[2]
        if not file.lower().endswith(".wav"):
            continue
        file = f"{file[:-4]}.wav"  # as the table has it
        row = rows.get(file, dict.fromkeys(COLUMNS, ""))
        unheard.discard(file)
        if file not in rows:
            release.leave(path, f"{table} has no row for it, so it has no label (as Test3's)")
        elif not row["EmoClass"]:
            release.leave(path, f"it has no label in {table}")
        elif (part := row["Split_Set"].lower()) not in PARTS:
            release.leave(path, f"its Split_Set is '{part}', expected one of {', '.join(PARTS)}")
        else:
            name = file.rpartition(".")[0]
            release.take(
                path,
                speaker=row["SpkrID"] or "Unknown",
                label=row["EmoClass"],
                part=PARTS[part],
                text=release.text(words[name]) if name in words else "",
            )
    for file in unheard:
        release.leave(file, f"{table} names it, and there is no such file")


def differences(rows: pd.DataFrame) -> list[str]:
    """Whether there are as many turns with a label as a release has."""
    if any(0 <= most - len(rows) <= UNLABELLED for most in MOST):
        return []
    return [
        f"turns with a label: {len(rows):,} here; releases have, with those of Test3 that have "
        f"none, {CLIPS}"
    ]
