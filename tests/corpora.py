"""Corpora made for tests: small trees in IEMOCAP's layout, with words and noise of our own."""

import random
import wave
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SENTENCES = {
    "ang": "I have had enough of this nonsense {}",
    "exc": "what a wonderful day this is {}",
    "hap": "I love every bit of it {}",
    "neu": "the bus leaves at a quarter past {}",
    "sad": "she is gone and I miss her {}",
    "fru": "why does it never work {}",
    "xxx": "well I do not know {}",
}
RATERS = {"ang": "Anger", "exc": "Excited", "hap": "Happiness", "neu": "Neutral", "sad": "Sadness"}


@dataclass
class Turn:
    """One utterance of a made corpus; times in seconds."""

    id: str
    start: float
    end: float
    code: str
    text: str
    votes: list = field(default_factory=list)

    @property
    def dialogue(self):
        return self.id.rpartition("_")[0]

    @property
    def session(self):
        return f"Session{int(self.id[3:5])}"


def turns_of(sessions=3, dialogues=2, turns=10, seed=1):
    """Turns of a small corpus: both speakers of each dialogue in turn, codes in rotation."""
    draw = random.Random(seed)
    made = []
    for session in range(1, sessions + 1):
        for number in range(1, dialogues + 1):
            time = 0.5
            for turn in range(turns):
                code = ["ang", "exc", "neu", "sad", "hap", "fru"][(turn + number) % 6]
                length = round(draw.uniform(0.3, 0.7), 4)
                name = f"Ses{session:02d}F_impro{number:02d}_{'FM'[turn % 2]}{turn // 2:03d}"
                text = SENTENCES[code].format(f"{draw.choice('abcdefgh')} {turn}")
                made.append(Turn(name, time, time + length, code, text))
                time += length + 0.1
    return made


def write_release(root, turns, audio="noise"):
    """Write turns as a tree in IEMOCAP's layout; audio is noise, or silence that takes no disk."""
    root = Path(root)
    dialogues = {}
    for turn in turns:
        dialogues.setdefault((turn.session, turn.dialogue), []).append(turn)
    for (session, dialogue), spoken in dialogues.items():
        top = root / session
        write_transcription(top / "dialog" / "transcriptions" / f"{dialogue}.txt", spoken)
        write_evaluation(top / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", spoken)
        length = max(turn.end for turn in spoken) + 0.5
        write_audio(top / "dialog" / "wav" / f"{dialogue}.wav", length, audio, channels=2)
        for turn in spoken:
            path = top / "sentences" / "wav" / dialogue / f"{turn.id}.wav"
            write_audio(path, turn.end - turn.start, audio)
    return root


def write_transcription(path, turns):
    """Lines such as `Ses01F_impro01_F000 [000.5000-001.0000]: words`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{t.id} [{t.start:08.4f}-{t.end:08.4f}]: {t.text}" for t in turns]
    path.write_text("\n".join(lines) + "\n")


def write_evaluation(path, turns):
    """The release's header, then a block for each turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    for turn in turns:
        votes = turn.votes or [RATERS.get(turn.code, "Other")] * 3
        lines = [
            f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.id}\t{turn.code}\t[2.5000, 3.0000, 2.0000]"
        ]
        lines += [f"C-E{i}:\t{vote};\t()" for i, vote in enumerate(votes, 1)]
        lines += ["C-F1:\tNeutral;\t()", "A-E1:\tval 3; act 2; dom  2;\t()"]
        blocks.append("\n".join(lines) + "\n")
    path.write_text("\n".join(blocks))


def write_audio(path, seconds, audio, channels=1, rate=16_000):
    """A 16 bit WAV file. Silence is a header and a hole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = round(seconds * rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        if audio == "noise":
            seed = int.from_bytes(path.stem.encode()[-8:], "little")
            noise = np.random.default_rng(seed).normal(0, 2000, (frames, channels))
            file.writeframes(noise.astype("<i2").tobytes())
            return
        file.setnframes(frames)
        file.writeframes(b"")
    size = 2 * channels * frames
    with path.open("r+b") as file:
        file.seek(4)
        file.write((36 + size).to_bytes(4, "little"))
        file.seek(40)
        file.write(size.to_bytes(4, "little"))
        file.truncate(44 + size)
