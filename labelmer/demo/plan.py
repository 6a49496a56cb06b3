"""Which dialogues the demo corpus has, which turns, and what tells the emotion of each."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labelmer.demo.lines import ANSWERS, BACKCHANNELS, LINES, SLOTS

SESSIONS = (1, 2, 3, 4, 5)
FOUR_CLASSES = {"ang": "ang", "hap": "hap", "exc": "hap", "neu": "neu", "sad": "sad"}
EMOTIONAL = ("ang", "hap", "sad")
KINDS = ("neu", *EMOTIONAL)

# Turns per session and emotion, before the scripted lines; those of the four classes vary by one.
TURNS = {"ang": 12, "hap": 5, "exc": 7, "neu": 14, "sad": 12}
OTHER_TURNS = {"fru": 5, "xxx": 4, "sur": 1, "fea": 1}
RARE = ("dis", "oth")  # one of them per session, in turn
# Whose markers are recorded and what is played, the same in every session, with the turns of each
# class: about as lopsided as in the release. A script has its shared lines beside them.
SCENES = {
    "F_impro01": {"ang": 4, "neu": 2},
    "M_impro02": {"sad": 4, "neu": 1},
    "F_impro03": {"hap": 5, "neu": 1},
    "M_impro04": {"neu": 3, "sad": 1},
    "F_impro05": {"ang": 4, "neu": 2},
    "M_impro06": {"sad": 5, "neu": 1},
    "F_impro07": {"hap": 5, "neu": 1},
    "M_impro08": {"neu": 3, "ang": 1},
    "F_script01_1": {"ang": 1, "hap": 1, "sad": 1},
    "M_script02_1": {"ang": 2, "hap": 1, "sad": 1},
}
SHARED_LINES = ("neu", "ang", "exc", "sad")  # of each script, spoken in every session
REPLAYED = 0.2  # the share of these that a session plays with another emotion

# Where an emotion shows, and how often. Dealt like cards, so that every corpus holds these shares.
SHOWN = ("words",) * 4 + ("prosody",) * 4 + ("both",) * 8
MISLEADING = 0.1  # of the turns where one of the two is silent: it tells another emotion instead
NEUTRAL = ("words", "prosody") + ("both",) * 10  # the same: the other of the two misleads

HEARD = {"hap": "[LAUGHTER]", "exc": "[LAUGHTER]", "sad": "[BREATHING]"}
TWICE = ("Ses05M_impro02", "Ses05M_impro04")  # dialogues in which two turns have one id

LONG_SCENES, CLASH_SCENES = 4, 5  # per session
LONG_TURNS = 7  # per session and class
NEUTRAL_SENTENCES = (3, 4)  # of a long turn, at the least and at the most


@dataclass(frozen=True)
class Turn:
    """One turn as planned: who says what, what was meant, and what shows it.

    id is empty for a line that the transcription gives without one; emotion is empty where the
    raters saw nothing. `words` and `prosody` name the emotion that each of the two tells in
    `sentence`; in a long turn neutral sentences, neutrally said, stand before and after it. `cue`
    is the id of the turn just before that alone tells this one's emotion, in a course.
    """

    id: str
    speaker: str  # F or M
    sentence: str  # as transcribed, tags included
    emotion: str
    words: str
    prosody: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cue: str | None = None

    @property
    def text(self) -> str:
        """All that is said, as transcribed."""
        return " ".join((*self.before, self.sentence, *self.after))

    @property
    def shows(self) -> str | None:
        """Where the emotion shows: `words`, `prosody`, `both`, `clash`, `course` or None (xxx).

        clash: each tells another emotion, and only the two together tell this one; course: only
        the turn before tells it.
        """
        if self.cue:
            return "course"
        if self.words == self.prosody == self.emotion:
            return "both"
        if self.words == self.emotion:
            return "words"
        if self.prosody == self.emotion:
            return "prosody"
        return "clash" if self.emotion in EMOTIONAL else None

    @property
    def characters(self) -> tuple[int, int]:
        """Where `sentence` stands in `text`: (start, end)."""
        start = sum(len(sentence) + 1 for sentence in self.before)
        return start, start + len(self.sentence)


@dataclass(frozen=True)
class Dialogue:
    """A dialogue's name (Ses01F_impro01: the letter is the marker wearer), and its turns."""

    name: str
    session: int
    turns: tuple[Turn, ...]


def dealt(rng: np.random.Generator, cards: Sequence[str]) -> Iterator[str]:
    """Endless cards in random order; every card is dealt before one comes again."""
    while True:
        yield from rng.permutation(cards).tolist()


def lines(rng: np.random.Generator, kind: str) -> Iterator[str]:
    """Endless sentences of one kind, none of them twice."""
    seen = set()
    for template in dealt(rng, [line.strip() for line in LINES[kind].strip().splitlines()]):
        choices = {slot: rng.choice(words.split("|")) for slot, words in SLOTS.items()}
        text = template.format(**choices)
        text = text[0].upper() + text[1:]
        if text not in seen:
            seen.add(text)
            yield text


def other_class(rng: np.random.Generator, emotion: str) -> str:
    """One of the four classes that is neither neutral nor the emotion's own."""
    own = FOUR_CLASSES.get(emotion)
    return str(rng.choice([kind for kind in EMOTIONAL if kind != own]))


def told(emotion: str, shown: str, silent: str = "neu") -> tuple[str, str]:
    """What the words and what the prosody tell (two emotions) of one that shows as in SHOWN."""
    return silent if shown == "prosody" else emotion, silent if shown == "words" else emotion


def telling(rng: np.random.Generator, emotion: str, shown: str) -> tuple[str, str]:
    """What the words and what the prosody of a turn tell (two emotions); shown as in SHOWN."""
    if emotion == "xxx":
        return str(rng.choice(["neu", "ang", "sad"])), str(rng.choice(["neu", "hap", "fru"]))
    misleads = emotion == "neu" or rng.random() < MISLEADING
    return told(emotion, shown, other_class(rng, emotion) if misleads else "neu")


def tagged(rng: np.random.Generator, text: str, prosody: str) -> str:
    """The sentence, sometimes with a tag of what else is heard before or after it."""
    if rng.random() > 0.1:
        return text
    tag = HEARD.get(prosody, "[GARBAGE]")
    return f"{tag} {text}" if rng.random() < 0.5 else f"{text} {tag}"


def session_emotions(rng: np.random.Generator, session: int) -> list[str]:
    """The emotions of a session's turns, scripted lines aside, in random order."""
    counts = {kind: n + int(rng.integers(-1, 2)) for kind, n in TURNS.items()}
    counts |= OTHER_TURNS | {RARE[session % len(RARE)]: 1}
    return rng.permutation([kind for kind, n in counts.items() for _ in range(n)]).tolist()


def scenes_played(rng: np.random.Generator, emotions: Iterable[str]) -> dict[str, list[str]]:
    """Deal a session's emotions to its scenes, those of the four classes as SCENES has them."""
    decks = {
        kind: dealt(rng, [scene for scene, of in SCENES.items() for _ in range(of.get(kind, 0))])
        for kind in KINDS
    }
    anywhere = dealt(rng, list(SCENES))
    played: dict[str, list[str]] = {scene: [] for scene in SCENES}
    for emotion in emotions:
        played[next(decks.get(FOUR_CLASSES.get(emotion, ""), anywhere))].append(emotion)
    return played


def numbered(name: str, drafts: Iterable[tuple]) -> list[Turn]:
    """Give drafts, a turn's fields from `speaker` on, their ids: a count per speaker."""
    counts: Counter[str] = Counter()
    turns = []
    for speaker, *rest in drafts:
        turns.append(Turn(f"{name}_{speaker}{counts[speaker]:03d}", speaker, *rest))
        counts[speaker] += 1
    return turns


def with_oddities(rng: np.random.Generator, name: str, turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Add what the release's transcriptions hold beside labelled utterances.

    A line without an id, in some dialogues a turn with an XX id and no label, and in some a
    turn whose text is nothing but a tag, if its tone tells the emotion. In Session5 an XX id
    stands at two turns.
    """
    turns = list(turns)
    if name.endswith(("impro03", "impro06")):
        heard = [turn.emotion in HEARD and turn.prosody == turn.emotion for turn in turns]
        if any(heard):
            at = heard.index(True)
            turns[at] = replace(turns[at], sentence=HEARD[turns[at].emotion], words="neu")
    speaker, text = str(rng.choice(["F", "M"])), str(rng.choice([*BACKCHANNELS, "[GARBAGE]"]))
    odd = f"{name}_{speaker}XX0"
    again = odd if name in TWICE else ""
    turns.insert(rng.integers(1, len(turns)), Turn(again, speaker, text, "", "neu", "neu"))
    if name.endswith(("impro02", "impro04")):
        text = str(rng.choice(BACKCHANNELS))
        turns.insert(rng.integers(1, len(turns)), Turn(odd, speaker, text, "", "neu", "neu"))
    return tuple(turns)


def long_draft(
    rng: np.random.Generator, bank: Mapping[str, Iterator[str]], emotion: str, shown: str
) -> tuple:
    """A long turn: one sentence tells the emotion (shown as in SHOWN), all others are neutral."""
    low, high = NEUTRAL_SENTENCES
    neutral = [next(bank["neu"]) for _ in range(rng.integers(low, high + 1))]
    at = rng.integers(len(neutral) + 1)
    words, prosody = told(emotion, shown)
    speaker = str(rng.choice(["F", "M"]))
    around = tuple(neutral[:at]), tuple(neutral[at:])
    return speaker, next(bank[words]), emotion, words, prosody, *around


def long_scenes(
    rng: np.random.Generator, bank: Mapping[str, Iterator[str]], shown: Mapping[str, Iterator[str]]
) -> list[list[tuple]]:
    """A session's scenes of long turns, all four classes equally often: lists of drafts."""
    drafts = [
        long_draft(rng, bank, kind, next(shown[kind])) for kind in KINDS for _ in range(LONG_TURNS)
    ]
    order = rng.permutation(len(drafts))
    return [[drafts[index] for index in part] for part in np.array_split(order, LONG_SCENES)]


def clash(words: str, prosody: str) -> str:
    """The emotion of a clash turn: what the two tell if they agree, else the third of the three.

    That is a Latin square. No sum of a score of the words and a score of the prosody has its
    maximum at the right emotion in all nine cells: summed over the cells, the right ones' scores
    equal those of any other Latin square.
    """
    if words == prosody:
        return words
    return next(kind for kind in EMOTIONAL if kind not in (words, prosody))


def clash_scenes(rng: np.random.Generator, bank: Mapping[str, Iterator[str]]) -> list[list[tuple]]:
    """A session's scenes in which sentences of each emotion are said in three tones: drafts.

    Each speaker says every sentence's three tones in three scenes, so that no turn of a scene
    tells by its tone what another is not.
    """
    scenes: list[list[tuple]] = [[] for _ in range(CLASH_SCENES)]
    places = list(itertools.combinations(range(CLASH_SCENES), len(EMOTIONAL)))
    for words in EMOTIONAL:
        for number, place in enumerate(rng.permutation(places).tolist()):
            speaker, sentence = "FM"[number % 2], next(bank[words])
            for scene, prosody in zip(place, rng.permutation(EMOTIONAL).tolist(), strict=True):
                draft = (speaker, sentence, clash(words, prosody), words, prosody)
                scenes[scene].append(draft)
    return [[drafts[index] for index in rng.permutation(len(drafts))] for drafts in scenes]


def course_scene(
    rng: np.random.Generator, bank: Mapping[str, Iterator[str]], answer: str
) -> list[tuple]:
    """A scene of cues and answers in turn, one of each class: a list of drafts.

    A cue's words and prosody both tell its emotion. The other speaker says, always in the same
    words and neutrally, that it is the same for them: the answer has the cue's emotion.
    """
    drafts = []
    for kind in rng.permutation(KINDS).tolist():
        cued, answering = rng.permutation(["F", "M"]).tolist()
        drafts.append((cued, next(bank[kind]), kind, kind, kind))
        drafts.append((answering, answer, kind, "neu", "neu"))
    return drafts


def with_cues(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of a course, where each answer knows its cue."""
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return [turn for cue, answer in pairs for turn in (cue, replace(answer, cue=cue.id))]


def special_dialogues(
    rng: np.random.Generator, bank: Mapping[str, Iterator[str]], shown: Mapping[str, Iterator[str]]
) -> list[Dialogue]:
    """The dialogues of long turns, of clash turns and of courses."""
    made = []
    for session in SESSIONS:
        scenes = {
            "long": long_scenes(rng, bank, shown),
            "clash": clash_scenes(rng, bank),
            "course": [course_scene(rng, bank, answer) for answer in ANSWERS],
        }
        for kind, played in scenes.items():
            for number, drafts in enumerate(played, 1):
                name = f"Ses{session:02d}{'MF'[number % 2]}_{kind}{number:02d}"
                turns = numbered(name, drafts)
                turns = with_cues(turns) if kind == "course" else turns
                made.append(Dialogue(name, session, tuple(turns)))
    return made


def dialogues(seed: int) -> list[Dialogue]:
    """Plan the corpus, from the seed alone: a list of Dialogue, the special ones last."""
    rng = np.random.default_rng(seed)
    bank = {kind: lines(rng, kind) for kind in LINES}
    kinds = (*TURNS, *OTHER_TURNS, *RARE)
    shown = {kind: dealt(rng, NEUTRAL if kind == "neu" else SHOWN) for kind in kinds}

    def draft(emotion: str) -> tuple:
        words, prosody = telling(rng, emotion, next(shown[emotion]))
        text = tagged(rng, next(bank[words]), prosody)
        return str(rng.choice(["F", "M"])), text, emotion, words, prosody

    def replay(line: tuple) -> tuple:
        if rng.random() > REPLAYED:
            return line
        speaker, text, _, words, _ = line
        emotion = str(rng.choice([kind for kind in SHARED_LINES if kind != words]))
        return speaker, text, emotion, words, emotion

    scripts = {
        scene: [draft(emotion) for emotion in SHARED_LINES] for scene in SCENES if "script" in scene
    }
    made = []
    for session in SESSIONS:
        played = scenes_played(rng, session_emotions(rng, session))
        for scene, emotions in played.items():
            name = f"Ses{session:02d}{scene}"
            drafts = [draft(kind) for kind in emotions]
            drafts += [replay(line) for line in scripts.get(scene, ())]
            drafts = [drafts[index] for index in rng.permutation(len(drafts))]
            turns = with_oddities(rng, name, numbered(name, drafts))
            made.append(Dialogue(name, session, turns))
    return made + special_dialogues(rng, bank, shown)
