"""Speak the demo corpus: invented dialogues by ten synthetic voices, in IEMOCAP's own layout.

The emotion of a turn shows in its words, in its prosody or in both, and both are noisy: either
modality alone tells it well above chance and well below the two together. Three kinds of turns ask
for more: in a long turn one sentence among neutral ones tells the emotion, in a clash turn only
words and prosody together tell it, and an answer in a course has the emotion of the turn before.
The sessions play the same scenes, most of which have a mood. Every sentence is ours and every
voice is espeak-ng's, so the corpus is free to keep, to cut and to pass on.

    python -m labelmer demo FOLDER [--seed 1]
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.stage import command, stage_parser
from labelmer.demo import plan
from labelmer.demo.speech import RATE, Synthesiser, speak_dialogue

RECIPE = 5  # count up whenever the same seed would give other files

RATINGS = {  # mean valence, activation, dominance, 1 to 5
    "ang": (1.9, 3.7, 3.9),
    "hap": (4.0, 3.1, 3.0),
    "exc": (4.2, 3.8, 3.4),
    "neu": (3.0, 2.5, 2.7),
    "sad": (2.1, 2.1, 2.3),
    "fru": (2.3, 3.0, 3.1),
    "sur": (3.1, 3.5, 2.8),
    "fea": (2.1, 3.4, 2.3),
    "dis": (2.1, 2.9, 3.2),
    "oth": (2.8, 2.8, 2.9),
    "xxx": (2.8, 2.9, 2.9),
}
RATER_NAMES = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "neu": "Neutral",
    "sad": "Sadness",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}
COMMENTS = ("tired", "a little ironic", "hard to hear", "between the two", "resigned")


def rater_lines(rng: np.random.Generator, turn: plan.Turn) -> tuple[np.ndarray, list[str]]:
    """A turn's ratings: the mean (valence, activation, dominance), and the lines that give them."""
    names = list(RATER_NAMES.values())
    if turn.emotion == "xxx":
        labels = [str(name) for name in rng.choice(names[:6], 3, replace=False)]
    else:
        # Two of three agree at the least: that is what makes the label.
        stray = rng.random() < 0.4
        labels = [RATER_NAMES[turn.emotion]] * 2
        labels.append(str(rng.choice(names)) if stray else labels[0])
    rows = []
    for rater, label in enumerate(labels, 1):
        more = " Other;" if rng.random() < 0.08 and label != "Other" else ""
        comment = str(rng.choice(COMMENTS)) if rng.random() < 0.08 else ""
        rows.append(f"C-E{rater}:\t{label};{more}\t({comment})")
    rows.append(f"C-{turn.speaker}1:\t{labels[0]};\t()")

    scores = np.clip(np.round(rng.normal(RATINGS[turn.emotion], 0.6, size=(3, 3))), 1, 5)
    missing = rng.integers(3) if rng.random() < 0.05 else None
    for who, score in zip(("E1", "E2", f"{turn.speaker}1"), scores, strict=True):
        if who == "E2" and missing is not None:
            score[missing] = np.nan
        val, act, dom = ("" if np.isnan(value) else f"{value:.0f}" for value in score)
        rows.append(f"A-{who}:\tval {val}; act {act}; dom  {dom};\t()")
    return np.nanmean(scores[:2], axis=0), rows


def evaluation(rng: np.random.Generator, dialogue: plan.Dialogue, spans: np.ndarray) -> str:
    """The text of EmoEvaluation/{dialogue}.txt; spans (turns, 2) in samples."""
    text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    for turn, (start, end) in zip(dialogue.turns, spans / RATE, strict=True):
        if turn.emotion:
            (val, act, dom), rows = rater_lines(rng, turn)
            text += f"[{start:.4f} - {end:.4f}]\t{turn.id}\t{turn.emotion}"
            text += f"\t[{val:.4f}, {act:.4f}, {dom:.4f}]\n" + "\n".join(rows) + "\n\n"
    return text


def transcription(dialogue: plan.Dialogue, spans: np.ndarray) -> str:
    """The text of transcriptions/{dialogue}.txt; spans (turns, 2) in samples."""
    text = ""
    for turn, (start, end) in zip(dialogue.turns, spans / RATE, strict=True):
        if turn.id:
            text += f"{turn.id} [{start:08.4f}-{end:08.4f}]: {turn.text}\n"
        else:
            # The release puts no space before a tag here.
            text += f"{turn.speaker}:{'' if turn.text.startswith('[') else ' '}{turn.text}\n"
    return text


def write_dialogue(
    session: Path,
    dialogue: plan.Dialogue,
    audio: np.ndarray,
    spans: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Write one dialogue's files into its Session folder."""
    name = dialogue.name
    evaluations = session / "dialog" / "EmoEvaluation"
    texts = {
        evaluations / f"{name}.txt": evaluation(rng, dialogue, spans),
        session / "dialog" / "transcriptions" / f"{name}.txt": transcription(dialogue, spans),
    }
    labelled = [turn for turn in dialogue.turns if turn.emotion]
    for folder, ending in (
        ("Attribute", "e1_atr"),
        ("Categorical", "e1_cat"),
        ("Self-evaluation", "f_cat"),
    ):
        rows = [f"{turn.id} :{RATER_NAMES.get(turn.emotion, 'Other')}; ()\n" for turn in labelled]
        texts[evaluations / folder / f"{name}_{ending}.txt"] = "".join(rows)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")

    sounds = {session / "dialog" / "wav" / f"{name}.wav": audio}
    for turn, (start, end) in zip(dialogue.turns, spans, strict=True):
        if turn.emotion:
            path = session / "sentences" / "wav" / name / f"{turn.id}.wav"
            sounds[path] = audio[start:end, "FM".index(turn.speaker)]
    for path, samples in sounds.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, subtype="PCM_16")


def rationales(dialogue: plan.Dialogue, sentences: np.ndarray) -> list[tuple]:
    """Which stretch of a long turn tells its emotion: rows of the table "rationales".

    sentences: (turns, 2) in samples, from speak_dialogue().
    """
    rows = []
    for turn, seconds in zip(dialogue.turns, sentences / RATE, strict=True):
        if turn.emotion in plan.EMOTIONAL and (turn.before or turn.after):
            if turn.shows in ("prosody", "both"):
                rows.append((turn.id, "speech", *seconds))
            if turn.shows in ("words", "both"):
                rows.append((turn.id, "text", *turn.characters))
    return rows


def litter(session: Path) -> None:
    """Leave an AppleDouble file beside the first file of each folder, as the release has them."""
    for pattern in (
        "dialog/EmoEvaluation/*.txt",
        "dialog/transcriptions/*.txt",
        "dialog/wav/*.wav",
        "sentences/wav/*/*.wav",
    ):
        first = min(session.glob(pattern))
        double = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(range(128, 256))
        first.with_name("._" + first.name).write_bytes(double)


def write_release(folder: Path, dialogues: Sequence[plan.Dialogue], seed: int) -> None:
    """Speak the dialogues into an empty folder; demo.json, the ground truth, comes last."""
    synthesiser, rows = Synthesiser(), []
    for index, dialogue in enumerate(dialogues):
        rng = np.random.default_rng([seed, index])
        audio, spans, sentences = speak_dialogue(synthesiser, rng, dialogue)
        write_dialogue(folder / f"Session{dialogue.session}", dialogue, audio, spans, rng)
        rows += rationales(dialogue, sentences)
    for session in folder.glob("Session*"):
        litter(session)
    table = pd.DataFrame(sorted(rows), columns=list(tables.TABLES["rationales"]))
    tables.write(folder / "rationales.tsv", table, "rationales")
    truth = {
        turn.id: {
            "text": turn.text,
            "emotion": turn.emotion,
            "shows": turn.shows,
            "words": turn.words,
            "prosody": turn.prosody,
            "cue": turn.cue,
        }
        for dialogue in dialogues
        for turn in dialogue.turns
        if turn.emotion
    }
    content = {"seed": seed, "recipe": RECIPE, "count": len(truth), "utterances": truth}
    (folder / "demo.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def release_files(folder: Path, ids: Iterable[str]) -> list[Path]:
    """The files that a reader of these utterances opens."""
    files = {folder / "rationales.tsv"}
    for utterance in ids:
        dialogue = utterance.rpartition("_")[0]
        session = folder / f"Session{int(dialogue[3:5])}"
        files |= {
            session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt",
            session / "dialog" / "transcriptions" / f"{dialogue}.txt",
            session / "dialog" / "wav" / f"{dialogue}.wav",
            session / "sentences" / "wav" / dialogue / f"{utterance}.wav",
        }
    return sorted(files)


def read_truth(folder: Path) -> dict[str, Any] | None:
    """demo.json of a folder that holds a demo corpus, or None for a new or an empty folder.

    Raises InputError for a folder that holds anything else: it is not ours to replace.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        truth = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        if not {"seed", "recipe", "utterances"} <= set(truth):
            raise KeyError("recipe")
        return truth
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is there and is not a demo corpus (it has no demo.json of ours); "
            "give another folder"
        ) from error


def make(folder: Path | str, seed: int) -> bool:
    """Make the demo corpus in folder, whole or not at all. Returns whether anything was written.

    A folder that holds the same seed and recipe already stays untouched.
    """
    folder = Path(folder).absolute()
    truth = read_truth(folder)
    if (
        truth
        and (truth["seed"], truth["recipe"]) == (seed, RECIPE)
        and all(path.exists() for path in release_files(folder, truth["utterances"]))
    ):
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        write_release(new, plan.dialogues(seed), seed)
        if folder.exists():
            folder.rename(Path(beside) / "old")
        new.rename(folder)
    return True


def summary(folder: Path | str) -> str:
    """A few lines about the corpus in folder: sessions, utterances, hours, turns per kind."""
    found = read_truth(Path(folder))
    truth = found["utterances"] if found else {}
    kinds = Counter(utterance.split("_")[1].rstrip("0123456789") for utterance in truth)
    emotions = Counter(entry["emotion"] for entry in truth.values())
    wavs = Path(folder).glob("Session*/sentences/wav/*/Ses*.wav")
    hours = sum(soundfile.info(wav).duration for wav in wavs) / 3600
    sessions = len({utterance[:5] for utterance in truth})
    four = sum(n for emotion, n in emotions.items() if emotion in plan.FOUR_CLASSES)
    return (
        f"{sessions} sessions, {len(truth)} utterances, {hours:.2f} hours\n"
        + ", ".join(f"{kind} {n}" for kind, n in kinds.items())
        + "\n"
        + ", ".join(f"{emotion} {n}" for emotion, n in emotions.most_common())
        + f"\n{four} in the four classes ang, hap + exc, neu, sad"
    )


@command
def main(argv: Sequence[str] | None = None) -> None:
    parser = stage_parser(__doc__)
    parser.add_argument(
        "folder", type=Path, help="the release's folder, made or brought up to date"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    written = make(args.folder, args.seed)
    print(f"{args.folder}: {'spoken' if written else 'already there, nothing to do'}")
    print(summary(args.folder))
