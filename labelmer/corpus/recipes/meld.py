"""MELD: scenes of the series Friends, with parts of its own; a table a part, a video a row."""

import re
from collections import Counter, defaultdict

import pandas as pd

from labelmer.base import names
from labelmer.base.log import log
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

NAME = re.compile(r"dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)\.(?:mp4|wav|flac)", re.IGNORECASE)
SECOND_CUT = re.compile(r"final_videos_test.*\.mp4")
# How the folders of a part begin, which is never told by a name: each part counts from 0 again.
FOLDERS = {"train": "train", "dev": "dev", "output_repeated": "test", "test": "test"}
PARTS = {"train": "train", "dev": "validation", "test": "test"}
CLIPS = {"train": 9988, "validation": 1108, "test": 2610}
BROKEN = {"train_dia125_utt3": "broken in the release: no sound can be read"}
ABSENT = {"dev_dia110_utt7": "a row without a clip, as in the release"}
LONG = ("test_dia38_utt4", "test_dia220_utt0", "train_dia309_utt0")  # a scene or more
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")

FACTS = Facts(
    title="MELD",
    language="English",
    licence="GPL-3.0",
    where="affective-meld.github.io",
    looks="train_splits/dia0_utt0.mp4",
    tables="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv (labels, speakers, words)",
    classes=emotions(
        neutral="neutral",
        happy="joy",
        sad="sadness",
        angry="anger",
        surprised="surprise",
        fearful="fear",
        disgusted="disgust",
    ),
    clips={  # the tables have two rows more, both neutral: one clip is absent, one is broken
        "neutral": 6434,
        "joy": 2308,
        "sadness": 1002,
        "anger": 1607,
        "surprise": 1636,
        "fear": 358,
        "disgust": 361,
    },
    speakers="304 names",
    folds={"hold_out": "part"},
    advice=("The official parts. The six leads stand in all of them.",),
    words=True,
)


def read(release: Release) -> None:
    """The clip of each row; clips without a row and rows without a clip are left out."""
    tables = {part: table_of(release, part) for part in PARTS}
    rows = {part: rows_of(release, part, path) for part, path in tables.items()}
    spellings = usual_spellings([row["Speaker"] for part in rows.values() for row in part.values()])
    seen = set()
    for path in release.files:
        *folders, name = path.split("/")
        match, part = NAME.fullmatch(name), part_of(folders)
        if SECOND_CUT.fullmatch(name):
            release.leave(path, "a second cut, which no row names")
        if not match:
            continue
        key = f"{part}_dia{int(match['dialogue'])}_utt{int(match['utterance'])}"
        seen.add(key)
        if not part:
            release.leave(path, f"no folder of it is a part's, expected one of {list(FOLDERS)}")
        elif not tables[part]:
            release.leave(path, f"there is no {part}_sent_emo.csv with its row")
        elif key in BROKEN:
            release.leave(path, BROKEN[key])
        elif key not in rows[part]:
            release.leave(path, f"no row in {tables[part]}")
        else:
            row = rows[part][key]
            if key in LONG:
                log.warning("%s: cut wrongly in the release, and far too long; it is kept", path)
            release.take(
                path,
                id=key,
                speaker=spellings[row["Speaker"]],
                label=row["Emotion"],
                text=row["Utterance"],
                dialogue=key.rpartition("_")[0],
                part=PARTS[part],
            )
    for part, found in rows.items():
        for key in sorted(found.keys() - seen):
            why = ABSENT.get(key, "a row without a clip")
            release.leave(f"{tables[part]}:{key.partition('_')[2]}", why)


def part_of(folders: list[str]) -> str:
    """The part that the innermost folder with such a name says, or nothing."""
    for folder in reversed(folders):
        for start, part in FOLDERS.items():
            if folder.lower().startswith(start):
                return part
    return ""


def table_of(release: Release, part: str) -> str:
    """The path of a part's table, or nothing; others of the name are left out."""
    found = release.named(f"{part}_sent_emo.csv")
    for path in found[1:]:
        release.leave(path, f"another {part}_sent_emo.csv; {found[0]} is read")
    return found[0] if found else ""


def rows_of(release: Release, part: str, path: str) -> dict[str, dict[str, str]]:
    """The rows of a part's table by the ids of their clips; Sr No. is no key."""
    rows = release.table(path, ",", COLUMNS) if path else []
    return release.by_key(
        path, rows, lambda row: f"{part}_dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
    )


def usual_spellings(speakers: list[str]) -> dict[str, str]:
    """{speaker: the spelling that most rows have}, as one name in two spellings is one speaker."""
    counts = Counter(speakers)
    groups = defaultdict(list)
    for speaker in sorted(counts, key=lambda name: (-counts[name], name)):
        groups[names.key(speaker)].append(speaker)
    for group in groups.values():
        if len(group) > 1:
            log.warning("one speaker in several spellings: %s; the first is taken", group)
    return {speaker: group[0] for group in groups.values() for speaker in group}


def differences(rows: pd.DataFrame) -> list[str]:
    """Parts that have more or fewer clips."""
    counts = rows.part.value_counts()
    return [
        f"clips of the part {part}: {counts.get(part, 0)} here, {full} in the full release"
        for part, full in CLIPS.items()
        if counts.get(part, 0) != full
    ]
