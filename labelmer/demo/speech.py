"""How the demo corpus sounds: ten voices of espeak-ng, the prosody of emotions, two microphones."""

import ctypes
import re
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import lfilter, resample_poly

from labelmer.base.errors import InputError
from labelmer.demo.lines import TAGS
from labelmer.demo.plan import Dialogue, Turn

RATE = 16000  # Hz, the release's own
PAUSE = (0.15, 0.3)  # seconds between the sentences of a turn


class Voice(NamedTuple):
    """One speaker: what espeak-ng calls the voice, and how this person speaks when neutral."""

    name: str
    pitch: int  # espeak's 0 to 99
    rate: int  # words per minute
    volume: int  # espeak's 0 to 200; low, so that anger has room


# None of espeak's variants with a `breath` line: their noise differs from run to run.
VOICES = {
    (1, "F"): Voice("en-us+linda", 40, 170, 14),
    (1, "M"): Voice("en-us+m3", 45, 165, 14),
    (2, "F"): Voice("en-gb-x-rp+f4", 46, 178, 14),
    (2, "M"): Voice("en-us+ed", 40, 172, 8),
    (3, "F"): Voice("en-us+f1", 36, 162, 14),
    (3, "M"): Voice("en-gb-scotland+m7", 52, 175, 12),
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


class Synthesiser:
    """espeak-ng by ctypes, without sound output: text in, samples out."""

    RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4  # espeak_PARAMETER
    SYNCHRONOUS, CHARS_UTF8, DONT_EXIT = 2, 1, 0x8000

    def __init__(self) -> None:
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
        self._chunks: list[bytes] = []
        receiver = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._receive = receiver(self._receive_chunk)  # kept: ctypes does not own callbacks
        self._espeak.espeak_SetSynthCallback(self._receive)

    def _receive_chunk(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(
        self, text: str, voice: str, *, pitch: float, range: float, rate: float, volume: float
    ) -> np.ndarray:
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


def spoken(text: str) -> str:
    """What is said where the transcription says this: tags become their sounds."""
    return re.sub(r"\[[A-Z]+\]", lambda tag: TAGS[tag[0]], text)


def tilted(samples: np.ndarray, decibel: float) -> np.ndarray:
    """Raise what lies above about 1 kHz by so many dB; samples (n,) at 16 kHz."""
    pole = np.exp(-2 * np.pi * 1000 / RATE)
    low = lfilter([1 - pole], [1, -pole], samples)
    return low + (samples - low) * 10 ** (decibel / 20)


def speak_sentence(
    synthesiser: Synthesiser, rng: np.random.Generator, voice: Voice, text: str, prosody: str
) -> np.ndarray:
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


def speak_turn(
    synthesiser: Synthesiser, rng: np.random.Generator, voice: Voice, turn: Turn
) -> tuple[np.ndarray, tuple[int, int]]:
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


def placed(rng: np.random.Generator, turns: Iterable[Turn], lengths: Iterable[int]) -> np.ndarray:
    """When each turn starts and ends: (turns, 2) int, in samples; some turns come too early.

    The answers of a course do not: a cue is over before. Times are whole hundredths of a second, so
    that what the files print is exact. Nobody overlaps with themselves.
    """
    grid = RATE // 100
    spans, ends, last = [], {"F": RATE, "M": RATE}, None
    for turn, length in zip(turns, lengths, strict=True):
        gap = rng.uniform(0.1, 0.7)
        if last not in (None, turn.speaker) and not turn.cue and rng.random() < 0.2:
            gap = -rng.uniform(0.15, 0.5)
        start = max(max(ends.values()) + round(gap * RATE), ends[turn.speaker]) // grid * grid
        stop = start + -(-length // grid) * grid
        spans.append((start, stop))
        ends[turn.speaker], last = stop, turn.speaker
    return np.array(spans)


def room(rng: np.random.Generator, samples: int) -> np.ndarray:
    """A dialogue's background, one level per microphone: (samples, 2), F first, full scale 1."""
    level = 10 ** (rng.uniform(-69, -51, size=2) / 20)
    noise = lfilter([1], [1, -0.9], rng.normal(size=(samples, 2)), axis=0)
    return noise * level * np.sqrt(1 - 0.9**2)


def speak_dialogue(
    synthesiser: Synthesiser, rng: np.random.Generator, dialogue: Dialogue
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
