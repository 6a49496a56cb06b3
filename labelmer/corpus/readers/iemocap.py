"""IEMOCAP's release: its folders and files -> rows.

Layout, for each Session1 .. Session5:
    dialog/transcriptions/Ses01F_impro01.txt    ids, times, words
    dialog/EmoEvaluation/Ses01F_impro01.txt     ids, codes, dimensions, raters
    dialog/wav/Ses01F_impro01.wav               the dialogue
    sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav

In an id such as Ses01F_impro01_M000 the letter behind Ses01 says who wore the motion-capture
markers. The speaker is the letter behind the last underscore.

Busso et al. (2008), IEMOCAP: interactive emotional dyadic motion capture database.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from labelmer.base.errors import InputError
from labelmer.base.files import lines_of
from labelmer.base.log import log

UTTERANCE = re.compile(
    r"(?P<id>Ses\d\d[FM]_\w+_[FM]\w+) \[(?P<start>[\d.]+)-(?P<end>[\d.]+)\]:(?P<text>.*)"
)
MISWRITTEN = re.compile(r"\S+_\S+ *\[[^\]]*\]")  # a line that is meant to be one of the above
EVALUATION = re.compile(
    r"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\t(?P<id>\S+)\t(?P<code>\S+)\t"
    r"\[(?P<valence>[\d.]+), (?P<activation>[\d.]+), (?P<dominance>[\d.]+)\]"
)
RATER = re.compile(r"C-E\d+:\t(?P<labels>[^(]*)")
SCENARIO = re.compile(r"Ses\d\d[FM]_([a-z]+\d+)")
TAG = re.compile(r"\[[^\]]*\]")
DIMENSIONS = ("valence", "activation", "dominance")

ROOT = (
    "IEMOCAP (the folder that holds Session1 ... Session5; its authors at USC give it out under a "
    "licence)"
)
OPTIONS = {
    "audio": {
        "description": "of IEMOCAP: the sentence files, or cut from the dialogues by the "
        "annotated times",
        "enum": ["sentences", "dialogues"],
        "default": "sentences",
        "example": "dialogues",
    },
}

# The raters' words for the release's codes. xxx (no majority) has none.
WORDS = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "sad": "Sadness",
    "neu": "Neutral",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}

# Counts of the full release's evaluations.
RELEASE_SESSIONS = {
    "Session1": 1819,
    "Session2": 1811,
    "Session3": 2136,
    "Session4": 2103,
    "Session5": 2170,
}
RELEASE_CODES = {
    "xxx": 2507,
    "fru": 1849,
    "neu": 1708,
    "ang": 1103,
    "sad": 1084,
    "exc": 1041,
    "hap": 595,
    "sur": 107,
    "fea": 40,
    "oth": 3,
    "dis": 2,
}
# Utterances of the usual four classes (ang, hap and exc, neu, sad) by speaker.
RELEASE_SPEAKERS = {
    "Ses01F": 528,
    "Ses01M": 557,
    "Ses02F": 481,
    "Ses02M": 542,
    "Ses03F": 522,
    "Ses03M": 629,
    "Ses04F": 528,
    "Ses04M": 503,
    "Ses05F": 590,
    "Ses05M": 651,
}


def sessions(root: Path | str) -> list[str]:
    """Names of the sessions under a release's root, in order."""
    names = sorted(p.name for p in Path(root).glob("Session[0-9]*") if p.is_dir())
    if not names:
        raise InputError(
            f"{root}: no Session1 ... Session5 in this folder; corpus: root: must name the "
            "release's top folder"
        )
    return names


def speakers(root: Path | str, session: str) -> list[str]:
    """The two speakers of a session: Session1 -> Ses01F, Ses01M."""
    number = int(re.sub(r"\D", "", session))
    return [f"Ses{number:02d}F", f"Ses{number:02d}M"]


def transcript_files(root: Path | str, session: str) -> list[Path]:
    """Transcription files of a session, sorted."""
    return _visible(Path(root) / session / "dialog" / "transcriptions", "*.txt")


def label_files(root: Path | str, session: str) -> list[Path]:
    """Evaluation files of a session, sorted."""
    return _visible(Path(root) / session / "dialog" / "EmoEvaluation", "*.txt")


def audio_files(root: Path | str, session: str, audio: str) -> list[Path]:
    """What the audio of a session depends on: dialogue files, or the dialogues' sentence folders.

    Folders stand for the ten thousand sentence files in them.
    """
    if audio == "dialogues":
        return _visible(Path(root) / session / "dialog" / "wav", "*.wav")
    return _visible(Path(root) / session / "sentences" / "wav", "*")


def speaker_of(utterance: str) -> str:
    """Speaker of an utterance id: Ses01F_impro01_M000 -> Ses01M."""
    return utterance[:5] + utterance.rsplit("_", 1)[1][0]


def dialogue_of(utterance: str) -> str:
    """Dialogue of an utterance id: Ses01F_impro01_M000 -> Ses01F_impro01."""
    return utterance.rsplit("_", 1)[0]


def scenario_of(dialogue: str) -> str:
    """Scenario of a dialogue: Ses01F_script01_2 -> script01; "" where its name has none."""
    match = SCENARIO.match(dialogue)
    return match[1] if match else ""


def utterances(root: Path | str, session: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Utterances of a session and the transcription lines that are none: two frames.

    The first has the columns of the table "utterances", the second those of "unread". Of lines
    with the same id one is taken: where the id has a label, the one with the evaluation's times.
    """
    lines: dict[str, list] = {}
    unread: list[tuple] = []
    for path, text in _texts(transcript_files(root, session)).items():
        for number, line in enumerate(text, 1):
            match = UTTERANCE.match(line)
            if match:
                lines.setdefault(match["id"], []).append((path, number, match))
            elif MISWRITTEN.match(line):
                reason = "not 'ID [START-END]: WORDS' as the release writes it"
                unread.append((path.name, number, line, reason))
                log.warning("%s:%d: '%s' is %s: left out", path, number, line, reason)
            elif line.strip():
                unread.append((path.name, number, line, "no utterance id"))
    if not lines:
        raise InputError(
            f"{root}: {session}: no line 'ID [START-END]: WORDS' in its transcriptions; is the "
            "release complete?"
        )
    twice = {name: found for name, found in lines.items() if len(found) > 1}
    for name, at in _lines_taken(root, session, twice).items():
        path, number, _ = taken = twice[name][at]
        lines[name] = [taken]
        unread += [
            (other.name, line, match[0], f"its id stands twice; {path.name}:{number} is taken")
            for other, line, match in twice[name]
            if (other, line) != (path, number)
        ]
    rows = [
        {
            "id": name,
            "session": session,
            "dialogue": dialogue_of(name),
            "scenario": scenario_of(dialogue_of(name)),
            "passage": dialogue_of(name).partition("_")[2],
            "speaker": speaker_of(name),
            "role": speaker_of(name)[-1],
            "start_s": float(match["start"]),
            "end_s": float(match["end"]),
            "text": " ".join(TAG.sub(" ", match["text"]).split()),
        }
        for name, [(_, _, match)] in lines.items()
    ]
    columns = ["file", "line", "text", "reason"]
    return pd.DataFrame(rows), pd.DataFrame(sorted(unread), columns=columns)


def _lines_taken(root: Path | str, session: str, twice: dict[str, list]) -> dict[str, int]:
    """Which line of each id that stands twice is its own: {id: position among its lines}.

    twice: {id: [(path, line number, match of UTTERANCE)]}. The label's is the line with the
    evaluation's times, to the millisecond; without a label it is the first.
    """
    taken = dict.fromkeys(twice, 0)
    for place, match, _ in _evaluations(root, session) if twice else ():
        name, times = match["id"], _times(match)
        if name not in twice:
            continue
        near = [np.allclose(_times(m), times, rtol=0, atol=1e-3) for _, _, m in twice[name]]
        places = " and ".join(f"{path}:{number}" for path, number, _ in twice[name])
        if True not in near:
            raise InputError(
                f"{places}: id '{name}' stands twice, neither with the times {times} that "
                f"{place} gives it; correct the ids or the times"
            )
        taken[name] = near.index(True)
        path, number, _ = twice[name][taken[name]]
        log.warning(
            "%s: id '%s' has a label and stands twice; %s:%d is taken, by the evaluation's times",
            *(places, name, path.name, number),
        )
    return taken


def _times(match: re.Match) -> tuple[float, float]:
    return float(match["start"]), float(match["end"])


def labels(root: Path | str, session: str) -> pd.DataFrame:
    """Labels of a session's utterances: a frame with the columns of the table "labels"."""
    rows: list[dict] = []
    places: dict[str, str] = {}
    for place, match, votes in _evaluations(root, session):
        name = match["id"]
        if name in places:
            raise InputError(
                f"{place}: id '{name}' stands twice, as in {places[name]}; an id has one label: "
                "remove one of the two"
            )
        places[name] = place
        word = WORDS.get(match["code"])
        row = {key: match[key] for key in ("id", "code", *DIMENSIONS)}
        rows.append(row | {"raters": len(votes), "agreement": _agreement(word, votes)})
    if not rows:
        raise InputError(
            f"{root}: {session}: no line '[START - END]<TAB>ID<TAB>CODE<TAB>[V, A, D]' in its "
            "evaluations; is the release complete?"
        )
    _warn_of_dialogues_in_part(Path(root) / session / "dialog")
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(DIMENSIONS, float))


def _warn_of_dialogues_in_part(folder: Path) -> None:
    """A dialogue without one of its two texts is left out whole."""
    places = [folder / "transcriptions", folder / "EmoEvaluation"]
    names = [{path.stem for path in _entries(place, "*.txt")} for place in places]
    for lacking, place in zip((names[1] - names[0], names[0] - names[1]), places, strict=True):
        if lacking:
            log.warning(
                "%s: no %s.txt (files like this: %d), so that nothing of this dialogue is used; "
                "copy it, if the release has it",
                *(place, min(lacking), len(lacking)),
            )


def _evaluations(root: Path | str, session: str) -> list[tuple[str, re.Match, list[set[str]]]]:
    """A session's evaluated turns: tuples of FILE:LINE, a match of EVALUATION, the raters' votes.

    The votes are a list of sets of words, one for each rater.
    """
    found = []
    for path, text in _texts(label_files(root, session)).items():
        votes: list[set[str]] = []
        for number, line in enumerate(text, 1):
            if line.startswith("["):
                match = EVALUATION.match(line)
                if not match:
                    raise InputError(
                        f"{path}:{number}: '{line}', expected "
                        "'[START - END]<TAB>ID<TAB>CODE<TAB>[V, A, D]'; correct the line"
                    )
                votes = []
                found.append((f"{path}:{number}", match, votes))
            elif match := RATER.match(line):
                votes.append({word.strip() for word in match["labels"].split(";")})
    return found


def clips(root: Path | str, table: pd.DataFrame, audio: str) -> list[tuple]:
    """Where the audio of each utterance is: a list of (id, path, start_s, end_s).

    table is a session's "utterances"; start and end are None where a file is the whole clip.
    """
    rows = zip(table.session, table.dialogue, table.id, table.start_s, table.end_s, strict=True)
    if audio == "dialogues":
        return [
            (name, Path(root) / session / "dialog" / "wav" / f"{dialogue}.wav", start, end)
            for session, dialogue, name, start, end in rows
        ]
    return [
        (name, Path(root) / session / "sentences" / "wav" / dialogue / f"{name}.wav", None, None)
        for session, dialogue, name, _, _ in rows
    ]


def release_differences(utterances: pd.DataFrame, labels: pd.DataFrame) -> list[str]:
    """How a corpus that looks like the full release differs from its counts: a list of sentences.

    utterances and labels are the tables of all five sessions. With fewer sessions, or fewer than
    half of the release's 10,039 labels, a corpus is taken for a part of it, or for another in the
    same layout.
    """
    session = labels.id.map(lambda name: f"Session{int(name[3:5])}")
    if set(session) != set(RELEASE_SESSIONS) or len(labels) < sum(RELEASE_SESSIONS.values()) / 2:
        return []
    four = labels[labels.code.isin(["ang", "hap", "exc", "neu", "sad"])]
    found = {
        "utterances with a label": (session.value_counts(), RELEASE_SESSIONS),
        "utterances of the code": (labels.code.value_counts(), RELEASE_CODES),
        "utterances of the four classes by": (
            four.id.map(speaker_of).value_counts(),
            RELEASE_SPEAKERS,
        ),
    }
    differences = [
        f"{what} {name}: {counts.get(name, 0)} here, {expected.get(name, 0)} in the full release"
        for what, (counts, expected) in found.items()
        for name in sorted({*counts.index, *expected})
        if counts.get(name, 0) != expected.get(name, 0)
    ]
    unheard = sorted(set(labels.id) - set(utterances.id))
    return differences + [f"{name} has a label but no transcript" for name in unheard]


def _agreement(word: str | None, votes: list[set[str]]) -> float | None:
    if word is None or not votes:
        return None
    return sum(word in vote for vote in votes) / len(votes)


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Entries of a release folder, without the AppleDouble files (._Ses...) among them."""
    found = _entries(folder, pattern)
    if not found:
        raise InputError(
            f"{folder}: nothing like {pattern} in this folder; is the release complete?"
        )
    return found


def _entries(folder: Path, pattern: str) -> list[Path]:
    return sorted(p for p in folder.glob(pattern) if not p.name.startswith("."))


def _lines(path: Path) -> list[str]:
    if path.is_dir():
        raise InputError(f"{path}: a folder, expected a text file; move it away")
    data = path.read_bytes()
    if (place := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, place) + 1
        raise InputError(f"{path}:{line}: a NUL byte, as of UTF-16; save the file as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        log.warning("%s: not UTF-8, read as Windows-1252", path)
        text = data.decode("cp1252", errors="replace")
    return lines_of(text)


def _texts(paths: list[Path]) -> dict[Path, list[str]]:
    """The lines of text files. One that ends within a line is told, unless all are written so."""
    texts = {path: _lines(path) for path in paths}
    cut = [path for path, lines in texts.items() if lines[-1].strip()]
    for path in cut if len(cut) < len(paths) or len(paths) == 1 else ():
        log.warning(
            "%s:%d: no line end behind the last line, '%s'; if that is cut short, copy the file "
            "again",
            *(path, len(texts[path]), texts[path][-1]),
        )
    return texts
