"""Speak the demo corpus: invented dialogues by ten synthetic voices, in IEMOCAP's own layout.

The emotion of a turn shows in its words, in its prosody or in both, and both are noisy: either
modality alone tells it well above chance and well below the two together. Two kinds of turns ask
for more: in a long turn one sentence among neutral ones tells the emotion, and in a clash turn
only words and prosody together tell it. Every sentence is ours and every voice is espeak-ng's, so
the corpus is free to keep, to cut and to pass on.

    python -m labelmer demo FOLDER [--seed 1]
"""

import ctypes
import json
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import lfilter, resample_poly

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.stage import command, stage_parser
from labelmer.demo.lines import BACKCHANNELS, LINES, SLOTS, TAGS

RECIPE = 4  # count up whenever the same seed would give other files
RATE = 16000  # Hz, the release's own
SESSIONS = (1, 2, 3, 4, 5)
FOUR_CLASSES = {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"}
EMOTIONAL = ("ang", "hap", "sad")

# ------------------------------------------------------------------------------------ voices


class Voice(NamedTuple):
    """One speaker: what espeak-ng calls the voice, and how this person speaks when neutral."""

    name: str
    pitch: int  # espeak's 0 to 99
    rate: int  # words per minute
    volume: int  # espeak's 0 to 200; low, so that anger has room


# None of espeak's variants with a `breath` line: their noise differs from run to run.
VOICES = {
    (1, "F"): Voice("en-us+linda", 40, 170, 14),
    (1, "M"): Voice("en-us+m3", 45, 165, 16),
    (2, "F"): Voice("en-gb-x-rp+f4", 46, 178, 14),
    (2, "M"): Voice("en-us+ed", 40, 172, 8),
    (3, "F"): Voice("en-us+f1", 36, 162, 14),
    (3, "M"): Voice("en-gb-scotland+m7", 52, 175, 14),
    (4, "F"): Voice("en-us+Annie", 38, 176, 14),
    (4, "M"): Voice("en-us+michel", 38, 168, 14),
    (5, "F"): Voice("en-gb-scotland+belinda", 24, 164, 9),
    (5, "M"): Voice("en+adam", 44, 178, 14),
}


class Prosody(NamedTuple):
    """How an emotion sounds, against the same speaker's neutral."""

    pitch: float  # added, in espeak's units (25 are about four semitones)
    range: float  # added, in espeak's units, to 50
    rate: float  # times as fast
    level: float  # dB louder
    tilt: float  # dB more above 1 kHz: the spectrum of vocal effort


PROSODY = {
    "ang": Prosody(-2, 22, 1.25, 8.0, 10.0),
    "hap": Prosody(34, 40, 1.16, 4.0, 4.0),
    "exc": Prosody(40, 46, 1.2, 5.0, 4.5),
    "neu": Prosody(0, 0, 1.0, 0.0, 0.0),
    "sad": Prosody(-17, -40, 0.74, -6.0, -8.0),
    "fru": Prosody(0, 10, 0.96, 4.0, 4.0),
    "sur": Prosody(34, 45, 0.95, 2.0, 0.0),
    "fea": Prosody(22, 5, 1.22, -4.0, -2.0),
    "dis": Prosody(-6, 20, 0.88, 1.0, 2.0),
    "oth": Prosody(0, 0, 1.0, 0.0, 0.0),
}
JITTER = Prosody(4, 9, 0.05, 1.4, 1.2)  # standard deviations, the same for every emotion

# ----------------------------------------------------------------------------------- emotions

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

# Turns per session and emotion, before the scripted lines; those of the four classes vary by one.
TURNS = {"ang": 12, "hap": 5, "exc": 7, "neu": 14, "sad": 12}
OTHER_TURNS = {"fru": 5, "xxx": 4, "sur": 1, "fea": 1}
RARE = ("dis", "oth")  # one of them per session, in turn
SHARED_LINES = ("neu", "ang", "exc", "sad")  # of each script, spoken in every session
REPLAYED = 0.2  # the share of these that a session plays with another emotion

# Where an emotion shows, and how often. Dealt like cards, so that every corpus holds these shares.
SHOWN = ("words",) * 4 + ("prosody",) * 4 + ("both",) * 8
MISLEADING = 0.1  # of the turns where one of the two is silent: it tells another emotion instead
NEUTRAL = ("words", "prosody") + ("both",) * 10  # the same: the other of the two misleads

TWICE = ("Ses05F_impro02", "Ses05M_impro02")  # dialogues in which two turns have one id

LONG_TURNS = 7  # per session and class
NEUTRAL_SENTENCES = (3, 4)  # of a long turn, at the least and at the most
PAUSE = (0.15, 0.3)  # seconds between its sentences
CLASH_SENTENCES = 3  # per scene, speaker and emotion; each is said in three tones

# ------------------------------------------------------------------------------------- plan


@dataclass(frozen=True)
class Turn:
    """One turn as planned: who says what, what was meant, and what shows it.

    id is empty for a line that the transcription gives without one; emotion is empty where the
    raters saw nothing. `words` and `prosody` name the emotion that each of the two tells in
    `sentence`; in a long turn neutral sentences, neutrally said, stand before and after it.
    """

    id: str
    speaker: str  # F or M
    sentence: str  # as transcribed, tags included
    emotion: str
    words: str
    prosody: str
    before: tuple = ()
    after: tuple = ()

    @property
    def text(self):
        """All that is said, as transcribed."""
        return " ".join((*self.before, self.sentence, *self.after))

    @property
    def shows(self):
        """Where the emotion shows: `words`, `prosody`, `both`, `clash` or None (xxx).

        clash: each tells another emotion, and only the two together tell this one.
        """
        if self.words == self.prosody == self.emotion:
            return "both"
        if self.words == self.emotion:
            return "words"
        if self.prosody == self.emotion:
            return "prosody"
        return "clash" if self.emotion in EMOTIONAL else None

    @property
    def characters(self):
        """Where `sentence` stands in `text`: (start, end)."""
        start = sum(len(sentence) + 1 for sentence in self.before)
        return start, start + len(self.sentence)


@dataclass(frozen=True)
class Dialogue:
    """A dialogue's name (Ses01F_impro01: the letter is the marker wearer), and its turns."""

    name: str
    session: int
    turns: tuple


def dealt(rng, cards):
    """Endless cards in random order; every card is dealt before one comes again."""
    while True:
        yield from rng.permutation(cards).tolist()


def lines(rng, kind):
    """Endless sentences of one kind, none of them twice."""
    seen = set()
    for template in dealt(rng, [line.strip() for line in LINES[kind].strip().splitlines()]):
        choices = {slot: rng.choice(words.split("|")) for slot, words in SLOTS.items()}
        text = template.format(**choices)
        text = text[0].upper() + text[1:]
        if text not in seen:
            seen.add(text)
            yield text


def other_class(rng, emotion):
    """One of the four classes that is neither neutral nor the emotion's own."""
    own = FOUR_CLASSES.get(emotion)
    return str(rng.choice([kind for kind in EMOTIONAL if kind != own]))


def told(emotion, shown, silent="neu"):
    """What the words and what the prosody tell (two emotions) of one that shows as in SHOWN."""
    return silent if shown == "prosody" else emotion, silent if shown == "words" else emotion


def telling(rng, emotion, shown):
    """What the words and what the prosody of a turn tell (two emotions); shown as in SHOWN."""
    if emotion == "xxx":
        return str(rng.choice(["neu", "ang", "sad"])), str(rng.choice(["neu", "hap", "fru"]))
    misleads = emotion == "neu" or rng.random() < MISLEADING
    return told(emotion, shown, other_class(rng, emotion) if misleads else "neu")


def tagged(rng, text, prosody):
    """The sentence, sometimes with a tag of what else is heard before or after it."""
    if rng.random() > 0.1:
        return text
    heard = {"hap": "[LAUGHTER]", "exc": "[LAUGHTER]", "sad": "[BREATHING]"}
    tag = heard.get(prosody, "[GARBAGE]")
    return f"{tag} {text}" if rng.random() < 0.5 else f"{text} {tag}"


def session_emotions(rng, session):
    """The emotions of a session's turns, scripted lines aside, in random order."""
    counts = {kind: n + rng.integers(-1, 2) for kind, n in TURNS.items()}
    counts |= OTHER_TURNS | {RARE[session % len(RARE)]: 1}
    return rng.permutation([kind for kind, n in counts.items() for _ in range(n)]).tolist()


def numbered(name, drafts):
    """Give drafts, a turn's fields from `speaker` on, their ids: a count per speaker."""
    counts, turns = Counter(), []
    for speaker, *rest in drafts:
        turns.append(Turn(f"{name}_{speaker}{counts[speaker]:03d}", speaker, *rest))
        counts[speaker] += 1
    return turns


def with_oddities(rng, name, turns):
    """Add what the release's transcriptions hold beside labelled utterances.

    A line without an id, in some dialogues a turn with an XX id and no label, and in some a
    turn whose text is nothing but a tag. In Session5 an XX id stands at two turns.
    """
    turns = list(turns)
    if name.endswith("impro01"):
        at, tag = next(
            (at, tag)
            for at, turn in enumerate(turns)
            for tag, heard in (("[LAUGHTER]", ("hap", "exc")), ("[BREATHING]", ("sad", "neu")))
            if turn.prosody == turn.emotion and turn.emotion in heard
        )
        old = turns[at]
        turns[at] = Turn(old.id, old.speaker, tag, old.emotion, "neu", old.prosody)
    speaker, text = str(rng.choice(["F", "M"])), str(rng.choice([*BACKCHANNELS, "[GARBAGE]"]))
    odd = f"{name}_{speaker}XX0"
    again = odd if name in TWICE else ""
    turns.insert(rng.integers(1, len(turns)), Turn(again, speaker, text, "", "neu", "neu"))
    if name.endswith("impro02"):
        text = str(rng.choice(BACKCHANNELS))
        turns.insert(rng.integers(1, len(turns)), Turn(odd, speaker, text, "", "neu", "neu"))
    return tuple(turns)


def long_draft(rng, bank, emotion, shown):
    """A long turn: one sentence tells the emotion (shown as in SHOWN), all others are neutral."""
    low, high = NEUTRAL_SENTENCES
    neutral = [next(bank["neu"]) for _ in range(rng.integers(low, high + 1))]
    at = rng.integers(len(neutral) + 1)
    words, prosody = told(emotion, shown)
    speaker = str(rng.choice(["F", "M"]))
    around = tuple(neutral[:at]), tuple(neutral[at:])
    return speaker, next(bank[words]), emotion, words, prosody, *around


def long_scenes(rng, bank, shown):
    """Two scenes of long turns, all four classes equally often: lists of drafts."""
    kinds = ("neu", *EMOTIONAL)
    drafts = [
        long_draft(rng, bank, kind, next(shown[kind])) for kind in kinds for _ in range(LONG_TURNS)
    ]
    order = rng.permutation(len(drafts))
    return [[drafts[index] for index in half] for half in np.array_split(order, 2)]


def clash(words, prosody):
    """The emotion of a clash turn: what the two tell if they agree, else the third of the three.

    That is a Latin square. No sum of a score of the words and a score of the prosody has its
    maximum at the right emotion in all nine cells: summed over the cells, the right ones' scores
    equal those of any other Latin square.
    """
    if words == prosody:
        return words
    return next(kind for kind in EMOTIONAL if kind not in (words, prosody))


def clash_scene(rng, bank):
    """A scene in which both speakers say each sentence in three tones: a list of drafts."""
    drafts = [
        (speaker, sentence, clash(words, prosody), words, prosody)
        for speaker in "FM"
        for words in EMOTIONAL
        for sentence in [next(bank[words]) for _ in range(CLASH_SENTENCES)]
        for prosody in EMOTIONAL
    ]
    return [drafts[index] for index in rng.permutation(len(drafts))]


def special_dialogues(rng, bank, shown):
    """The dialogues of long turns and of clash turns: two of each per session."""
    dialogues = []
    for session in SESSIONS:
        scenes = {"long01": long_scenes(rng, bank, shown)}
        scenes["clash01"] = [clash_scene(rng, bank) for _ in "FM"]
        for scene, both in scenes.items():
            for wearer, drafts in zip("FM", both, strict=True):
                name = f"Ses{session:02d}{wearer}_{scene}"
                dialogues.append(Dialogue(name, session, tuple(numbered(name, drafts))))
    return dialogues


def plan(seed):
    """Plan the corpus, from the seed alone: a list of Dialogue, six per session, then four more."""
    rng = np.random.default_rng(seed)
    bank = {kind: lines(rng, kind) for kind in LINES}
    shown = {kind: dealt(rng, NEUTRAL if kind == "neu" else SHOWN) for kind in RATINGS}

    def draft(emotion):
        words, prosody = telling(rng, emotion, next(shown[emotion]))
        text = tagged(rng, next(bank[words]), prosody)
        return str(rng.choice(["F", "M"])), text, emotion, words, prosody

    def replay(line):
        if rng.random() > REPLAYED:
            return line
        speaker, text, _, words, _ = line
        emotion = str(rng.choice([kind for kind in SHARED_LINES if kind != words]))
        return speaker, text, emotion, words, emotion

    scripts = [[draft(emotion) for emotion in SHARED_LINES] for _ in "FM"]
    dialogues = []
    for session in SESSIONS:
        scenes = [(f"{w}_impro0{n}", []) for n in (1, 2) for w in "FM"]
        scenes += [("F_script01_1", scripts[0]), ("M_script02_1", scripts[1])]
        shares = np.array_split(session_emotions(rng, session), len(scenes))
        for (scene, shared), emotions in zip(scenes, shares, strict=True):
            name = f"Ses{session:02d}{scene}"
            drafts = [draft(str(kind)) for kind in emotions] + [replay(line) for line in shared]
            drafts = [drafts[index] for index in rng.permutation(len(drafts))]
            turns = with_oddities(rng, name, numbered(name, drafts))
            dialogues.append(Dialogue(name, session, turns))
    return dialogues + special_dialogues(rng, bank, shown)


# ------------------------------------------------------------------------------------ speech


class Synthesiser:
    """espeak-ng by ctypes, without sound output: text in, samples out."""

    RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # espeak_PARAMETER
    SYNCHRONOUS, CHARS_UTF8, DONT_EXIT = 2, 1, 0x8000

    def __init__(self):
        try:
            import espeakng_loader
        except ImportError as error:
            raise InputError(
                "the demo corpus needs espeakng_loader; pip install 'labelmer[demo]'"
            ) from error
        # espeak's random state lives as long as the loaded library and cannot be reset. A copy is
        # a library of its own with a fresh state, so the same calls give the same samples.
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(espeakng_loader.get_library_path(), folder)
            self._espeak = ctypes.CDLL(str(copy))
        data = espeakng_loader.get_data_path()
        self._rate = self._espeak.espeak_Initialize(
            self.SYNCHRONOUS, 0, str(data).encode(), self.DONT_EXIT
        )
        if self._rate <= 0:
            raise InputError(f"espeak-ng cannot read its data in {data}; reinstall espeakng_loader")
        self._chunks = []
        receiver = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._receive = receiver(self._receive_chunk)  # kept: ctypes does not own callbacks
        self._espeak.espeak_SetSynthCallback(self._receive)

    def _receive_chunk(self, samples, count, events):
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(self, text, voice, *, pitch, range, rate, volume):
        """Speak one text: float samples (n,) at 16 kHz, full scale 1, silence around it cut."""
        if self._espeak.espeak_SetVoiceByName(voice.encode()):
            raise InputError(f"espeak-ng has no voice {voice!r}; reinstall espeakng_loader")
        for parameter, value, low, high in (
            (self.RATE, rate, 80, 450),
            (self.VOLUME, volume, 0, 200),
            (self.PITCH, pitch, 0, 99),
            (self.RANGE, range, 0, 99),
        ):
            value = int(np.clip(round(value), low, high))
            self._espeak.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        data = text.encode()
        self._espeak.espeak_Synth(data, len(data) + 1, 0, 1, 0, self.CHARS_UTF8, None, None)
        samples = np.frombuffer(b"".join(self._chunks), np.int16) / 2.0**15
        return resample_poly(np.trim_zeros(samples), RATE, self._rate)


def spoken(text):
    """What is said where the transcription says this: tags become their sounds."""
    return re.sub(r"\[[A-Z]+\]", lambda tag: TAGS[tag[0]], text)


def tilted(samples, decibel):
    """Raise what lies above about 1 kHz by so many dB; samples (n,) at 16 kHz."""
    pole = np.exp(-2 * np.pi * 1000 / RATE)
    low = lfilter([1 - pole], [1, -pole], samples)
    return low + (samples - low) * 10 ** (decibel / 20)


def speak_sentence(synthesiser, rng, voice, text, prosody):
    """Speak one sentence in a speaker's voice with jittered prosody: samples (n,) at 16 kHz."""
    noise = rng.normal(size=len(JITTER)) * JITTER
    tone = Prosody(*(np.array(PROSODY[prosody]) + noise))
    samples = synthesiser.speak(
        spoken(text),
        voice.name,
        pitch=voice.pitch + tone.pitch,
        range=50 + tone.range,
        rate=voice.rate * tone.rate,
        volume=voice.volume,
    )
    return tilted(samples, tone.tilt) * 10 ** (tone.level / 20)


def speak_turn(synthesiser, rng, voice, turn):
    """Speak one turn, sentence by sentence, with some silence around it.

    Returns samples (n,) at 16 kHz, and where turn.sentence is in them: (start, stop) in samples.
    """
    margin = np.zeros(RATE // 20)
    sentences = [(text, "neu") for text in turn.before]
    sentences += [(turn.sentence, turn.prosody)]
    sentences += [(text, "neu") for text in turn.after]
    pieces = [margin]
    for text, prosody in sentences:
        if len(pieces) > 1:
            pieces.append(np.zeros(round(rng.uniform(*PAUSE) * RATE)))
        pieces.append(speak_sentence(synthesiser, rng, voice, text, prosody))
    own = 1 + 2 * len(turn.before)  # pauses stand between the sentences
    start = sum(map(len, pieces[:own]))
    return np.concatenate([*pieces, margin]), (start, start + len(pieces[own]))


def placed(rng, turns, lengths):
    """When each turn starts and ends: (turns, 2) int, in samples; some answers come too early.

    Times are whole hundredths of a second, so that what the files print is exact. Nobody
    overlaps with themselves.
    """
    grid = RATE // 100
    spans, ends, last = [], {"F": RATE, "M": RATE}, None
    for turn, length in zip(turns, lengths, strict=True):
        gap = rng.uniform(0.1, 0.7)
        if last not in (None, turn.speaker) and rng.random() < 0.2:
            gap = -rng.uniform(0.15, 0.5)
        start = max(max(ends.values()) + round(gap * RATE), ends[turn.speaker]) // grid * grid
        stop = start + -(-length // grid) * grid
        spans.append((start, stop))
        ends[turn.speaker], last = stop, turn.speaker
    return np.array(spans)


def room(rng, samples):
    """A dialogue's background, one level per microphone: (samples, 2), F first, full scale 1."""
    level = 10 ** (rng.uniform(-69, -51, size=2) / 20)
    noise = lfilter([1], [1, -0.9], rng.normal(size=(samples, 2)), axis=0)
    return noise * level * np.sqrt(1 - 0.9**2)


def speak_dialogue(synthesiser, rng, dialogue):
    """Speak a dialogue. Returns int16 (samples, 2), F's microphone first, and two (turns, 2).

    The first are the turns' spans in the dialogue, the second the spans of each turn's `sentence`
    in the turn; both in samples.
    """
    voices, sentences = zip(
        *(
            speak_turn(synthesiser, rng, VOICES[dialogue.session, turn.speaker], turn)
            for turn in dialogue.turns
        ),
        strict=True,
    )
    spans = placed(rng, dialogue.turns, [len(voice) for voice in voices])
    audio = room(rng, spans.max() + RATE)
    for turn, voice, (start, _) in zip(dialogue.turns, voices, spans, strict=True):
        heard = (1, 0.08) if turn.speaker == "F" else (0.08, 1)  # the far microphone hears a little
        audio[start : start + len(voice)] += voice[:, None] * heard
    audio = np.round(np.clip(audio, -1, 1) * (2**15 - 1)).astype(np.int16)
    return audio, spans, np.array(sentences)


# ----------------------------------------------------------------------------------- release


def rater_lines(rng, turn):
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
    for rater, score in zip(("E1", "E2", f"{turn.speaker}1"), scores, strict=True):
        if rater == "E2" and missing is not None:
            score[missing] = np.nan
        val, act, dom = ("" if np.isnan(value) else f"{value:.0f}" for value in score)
        rows.append(f"A-{rater}:\tval {val}; act {act}; dom  {dom};\t()")
    return np.nanmean(scores[:2], axis=0), rows


def evaluation(rng, dialogue, spans):
    """The text of EmoEvaluation/{dialogue}.txt; spans (turns, 2) in samples."""
    text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    for turn, (start, end) in zip(dialogue.turns, spans / RATE, strict=True):
        if turn.emotion:
            (val, act, dom), rows = rater_lines(rng, turn)
            text += f"[{start:.4f} - {end:.4f}]\t{turn.id}\t{turn.emotion}"
            text += f"\t[{val:.4f}, {act:.4f}, {dom:.4f}]\n" + "\n".join(rows) + "\n\n"
    return text


def transcription(dialogue, spans):
    """The text of transcriptions/{dialogue}.txt; spans (turns, 2) in samples."""
    text = ""
    for turn, (start, end) in zip(dialogue.turns, spans / RATE, strict=True):
        if turn.id:
            text += f"{turn.id} [{start:08.4f}-{end:08.4f}]: {turn.text}\n"
        else:
            # The release puts no space before a tag here.
            text += f"{turn.speaker}:{'' if turn.text.startswith('[') else ' '}{turn.text}\n"
    return text


def write_dialogue(session, dialogue, audio, spans, rng):
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


def rationales(dialogue, sentences):
    """Which stretch of a long turn tells its emotion: rows of the table "rationales".

    sentences: (turns, 2) in samples, from speak_dialogue().
    """
    rows = []
    for turn, seconds in zip(dialogue.turns, sentences / RATE, strict=True):
        if turn.emotion in EMOTIONAL and (turn.before or turn.after):
            if turn.shows in ("prosody", "both"):
                rows.append((turn.id, "speech", *seconds))
            if turn.shows in ("words", "both"):
                rows.append((turn.id, "text", *turn.characters))
    return rows


def litter(session):
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


def write_release(folder, dialogues, seed):
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
        }
        for dialogue in dialogues
        for turn in dialogue.turns
        if turn.emotion
    }
    content = {"seed": seed, "recipe": RECIPE, "count": len(truth), "utterances": truth}
    (folder / "demo.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------ folder


def release_files(folder, ids):
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


def read_truth(folder):
    """demo.json of a folder that holds a demo corpus, or None for a new or an empty folder.

    Raises InputError for a folder that holds anything else: it is not ours to replace.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        truth = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        return truth if {"seed", "recipe", "utterances"} <= set(truth) else {}["recipe"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} is there and is not a demo corpus (it has no demo.json of ours); "
            "give another folder"
        ) from error


def make(folder, seed):
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
        write_release(new, plan(seed), seed)
        if folder.exists():
            folder.rename(Path(beside) / "old")
        new.rename(folder)
    return True


def summary(folder):
    """A few lines about the corpus in folder: sessions, utterances, hours, turns per kind."""
    truth = read_truth(Path(folder))["utterances"]
    kinds = Counter(utterance.split("_")[1].rstrip("0123456789") for utterance in truth)
    emotions = Counter(entry["emotion"] for entry in truth.values())
    wavs = Path(folder).glob("Session*/sentences/wav/*/Ses*.wav")
    hours = sum(soundfile.info(wav).duration for wav in wavs) / 3600
    sessions = len({utterance[:5] for utterance in truth})
    four = sum(n for emotion, n in emotions.items() if emotion in FOUR_CLASSES)
    return (
        f"{sessions} sessions, {len(truth)} utterances, {hours:.2f} hours\n"
        + ", ".join(f"{kind} {n}" for kind, n in kinds.items())
        + "\n"
        + ", ".join(f"{emotion} {n}" for emotion, n in emotions.most_common())
        + f"\n{four} in the four classes ang, hap + exc, neu, sad"
    )


@command
def main(argv=None):
    parser = stage_parser(__doc__)
    parser.add_argument(
        "folder", type=Path, help="the release's folder, made or brought up to date"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    written = make(args.folder, args.seed)
    print(f"{args.folder}: {'spoken' if written else 'already there, nothing to do'}")
    print(summary(args.folder))
