"""ESD: ten speakers of Mandarin, ten of English, 350 sentences in five emotions each.

The folder is the label; the number of a clip tells the sentence and the part. The words are in a
text file of each speaker, in any of several encodings.
"""

import re

from labelmer.base.files import lines_of
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release, text_of

NAME = re.compile(r"(?P<speaker>00(?:0[1-9]|1\d|20))_(?P<number>\d{6})\.(?i:wav)")
WORDS = re.compile(r"00\d\d\.txt")
LINE = re.compile(r"(?P<id>\d{4}_\d{6})\s+(?P<text>.*?)\s*")
LABELS = ("Angry", "Happy", "Neutral", "Sad", "Surprise")
# The last word of a line; some lines have none.
EMOTION = re.compile(rf"[\t ]+(?:{'|'.join(LABELS)}|中立|生气|快乐|伤心|惊喜)$")
PARTS = {"train": "train", "evaluation": "validation", "test": "test"}
SENTENCES = 350
EVALUATED, TESTED = 20, 50  # up to the 20th sentence, up to the 50th

FACTS = Facts(
    title="ESD",
    language="Mandarin and English",
    licence="research only, signed",
    where="github.com/HLTSingapore/Emotional-Speech-Data",
    looks="0001/Angry/0001_000351.wav",
    tables="0001/0001.txt and so on (words)",
    classes=emotions(
        angry="Angry",
        happy="Happy",
        neutral="Neutral",
        sad="Sad",
        surprised="Surprise",
    ),
    clips=dict.fromkeys(LABELS, 7000),
    speakers=20,
    folds={"hold_out": "part"},
    advice=(
        "The official parts part sentences: all speakers stand in all of them. For new speakers",
        "put `hold_out: speakers` and `folds: 5` in the place of `hold_out: part`.",
    ),
    encoder="google-bert/bert-base-multilingual-cased",
)


def read(release: Release) -> None:
    """Clips by their folders and numbers."""
    words: dict[str, str] = {}
    for path in release.files:
        if WORDS.fullmatch(path.rpartition("/")[2]):
            for name, text in lines(release.read(path)):
                words.setdefault(name, text)
    for path in release.files:
        *folders, name = path.split("/")
        match = NAME.fullmatch(name)
        if not match:
            continue
        part = PARTS.get(folders[-1].lower(), "") if folders else ""
        label = "".join(folders[-2:-1] if part else folders[-1:])
        sentence = (int(match["number"]) - 1) % SENTENCES + 1
        if label not in LABELS:
            release.leave(path, f"its folder '{label}' is no emotion, expected one of {LABELS}")
            continue
        if not part:
            early = "validation" if sentence <= EVALUATED else "test"
            part = early if sentence <= TESTED else "train"
        language = "zh" if match["speaker"] <= "0010" else "en"
        release.take(
            path,
            speaker=match["speaker"],
            label=label,
            text=words.get(name[:-4], ""),
            scenario=f"{language}{sentence:03}",
            part=part,
        )


def lines(data: bytes) -> list[tuple[str, str]]:
    """The (id, text) of a speaker's text file; a line is id, text and, most often, emotion."""
    found = []
    for line in lines_of(decoded(data)):
        if match := LINE.fullmatch(line.strip()):
            found.append((match["id"], EMOTION.sub("", match["text"])))
    return found


def decoded(data: bytes) -> str:
    """Text in UTF-16, UTF-8, GB 2312 (for which Chinese letters tell) or Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:  # UTF-16 without its mark
        little = data.find(b"\0") % 2
        return data.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    speakers = set(re.findall(rb"^(00\d\d)_", data, re.MULTILINE))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        mandarin = any(speaker <= b"0010" for speaker in speakers)
        return data.decode("gb18030", errors="replace") if mandarin else text_of(data)
