"""EmoV-DB: four speakers read CMU Arctic; folders say who and how, names how and what.

bea_Amused/amused_1-28_0011.wav (openslr), or bea/Amused/... in the sorted edition. Names vary
(Neutral_, Disgust_169_196_, sleepiness_) and are not unique. The last number is Arctic's sentence;
its words are those of cmuarctic.data (festvox.org), if that file lies in the folder. The counts are
those of a public list of the files; the authors' README counts 7,000.
"""

import re

from labelmer.base.files import lines_of
from labelmer.corpus.recipes import Facts, emotions
from labelmer.corpus.release import Release

SPEAKERS = {"bea", "jenie", "josh", "sam"}
STYLES = {  # as folders and names have them
    "amused": "amused",
    "anger": "angry",
    "angry": "angry",
    "disgust": "disgusted",
    "disgusted": "disgusted",
    "neutral": "neutral",
    "sleepiness": "sleepy",
    "sleepy": "sleepy",
}
NAME = re.compile(r"(?P<style>[A-Za-z]+)_(?:.*_)?(?P<sentence>\d{4})\.wav", re.IGNORECASE)
ARCTIC = re.compile(r'\(\s*arctic_a(?P<sentence>\d{4})\s+"(?P<words>.*)"\s*\)')

FACTS = Facts(
    title="EmoV-DB",
    language="English",
    licence="non-commercial",
    where="openslr.org/115",
    looks="bea_Amused/amused_1-28_0011.wav",
    tables="cmuarctic.data of festvox.org, if it is there (words)",
    classes=emotions(angry="angry", disgusted="disgusted", neutral="neutral")
    | {"amused": (["amused"], "amused and laughing"), "sleepy": (["sleepy"], "sleepy and tired")},
    clips={"amused": 1315, "angry": 1267, "disgusted": 1019, "neutral": 1566, "sleepy": 1720},
    speakers=4,
    folds={"hold_out": "speakers", "folds": 4},
    advice=("Josh is neither angry nor disgusted: where he tests, UA is over three classes.",),
)


def read(release: Release) -> None:
    """The clips whose folders and name agree."""
    arctic = {
        match["sentence"]: match["words"]
        for path in release.named("cmuarctic.data")
        for match in map(ARCTIC.match, lines_of(release.text(path)))
        if match
    }
    for path in release.files:
        folders, _, name = path.rpartition("/")
        if not (match := NAME.fullmatch(name)) or match["style"].lower() not in STYLES:
            continue
        said = re.split("[_/]", folders.casefold())
        speakers = SPEAKERS.intersection(said)
        styles = {STYLES[word] for word in said if word in STYLES}
        style = STYLES[match["style"].lower()]
        if len(speakers) != 1:
            release.leave(path, "no folder, or several, says who speaks: bea, jenie, josh or sam")
        elif styles - {style}:
            release.leave(path, f"its name says {style}, its folder {' and '.join(sorted(styles))}")
        else:
            speaker = speakers.pop()
            release.take(
                path,
                id=f"{speaker}-{style}-{name.rpartition('.')[0]}",
                speaker=speaker,
                label=style,
                scenario=match["sentence"],
                text=arctic.get(match["sentence"], ""),
            )
