"""The names of all clips of a corpus' full release, where a rule tells them; and parts that run."""

from itertools import product

from recipe_trees import HEAD, Tree


def ravdess():
    numbers = product(range(1, 9), (1, 2), (1, 2), (1, 2), range(1, 25))
    for emotion, level, statement, again, actor in numbers:
        if (emotion, level) != (1, 2):
            name = f"03-01-0{emotion}-0{level}-0{statement}-0{again}-{actor:02}.wav"
            yield f"Actor_{actor:02}/{name}"


def cremad():
    """Three actors lack a sentence, two others an utterance."""
    sentences = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    emotions = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    for actor, sentence, emotion in product(range(1001, 1092), sentences, emotions):
        if (actor in (1008, 1009, 1019) and sentence == "TSI") or (
            actor in (1002, 1076) and (sentence, emotion) == ("TSI", "NEU")
        ):
            continue
        levelled = sentence == "IEO" and emotion != "NEU"
        for level in ("LO", "MD", "HI") if levelled else ("XX",):
            yield f"AudioWAV/{actor}_{sentence}_{emotion}_{level}.wav"


def savee():
    for speaker, emotion in product(
        ("DC", "JE", "JK", "KL"), ("a", "d", "f", "h", "n", "sa", "su")
    ):
        for number in range(1, 31 if emotion == "n" else 16):
            yield f"AudioData/{speaker}/{emotion}{number:02}.wav"


def tess():
    """Words of our own, 200 of them."""
    words = [f"{a}{b}{c}" for a, b, c in product("bdfgl", "aeiou", "kmnprstx")]
    emotions = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    for speaker, word, emotion in product(("OAF", "YAF"), words, emotions):
        yield f"{speaker}_{word}_{emotion}.wav"


def emovo():
    for actor in ("f1", "f2", "f3", "m1", "m2", "m3"):
        for emotion in ("dis", "gio", "neu", "pau", "rab", "sor", "tri"):
            for kind, number in (("b", 3), ("l", 4), ("n", 5), ("d", 2)):
                for n in range(1, number + 1):
                    yield f"{actor}/{emotion}-{actor}-{kind}{n}.wav"


def cafe():
    for actor, emotion, level, n in product(range(1, 13), "CDJNPST", (1, 2), range(1, 7)):
        if (emotion, level) != ("N", 2):
            yield f"{emotion}/{level}/{actor:02}-{emotion}-{level}-{n}.wav"


def emotiontts():
    """Those that are public."""
    speakers = [*(f"em{c}" for c in "abfgh"), *(f"ne{c}" for c in "abcdeklmno")]
    for speaker, first, n in product(speakers, (0, 100, 200, 300), range(1, 6)):
        yield f"{speaker}/wav/{speaker}{first + n:05}.wav"


def jl_corpus():
    primary = ("angry", "excited", "happy", "neutral", "sad")
    secondary = ("anxious", "apologetic", "assertive", "concerned", "encouraging")
    speakers, emotions = ("female1", "female2", "male1", "male2"), primary + secondary
    for who, how, n, take, session in product(speakers, emotions, range(1, 16), "ab", "12"):
        yield f"JL(wav+txt)/{who}_{how}_{n}{take}_{session}.wav"


WHOLE = {
    "ravdess": ravdess,
    "cremad": cremad,
    "savee": savee,
    "tess": tess,
    "emovo": emovo,
    "cafe": cafe,
    "emotiontts": emotiontts,
    "jl-corpus": jl_corpus,
}


def nemo_part():
    """All nine speakers, five sentences."""
    emotions = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
    speakers = ("EB0", "IC0", "KD0", "KS0", "MK0", "MP0", "SM0", "TP0", "WR0")
    names = [f"{s}_{e}_{n}.wav" for s, e, n in product(speakers, emotions, range(1, 6))]
    rows = [f"{name}\t{name.split('_')[1]}\tZdanie.\tzdanie\t {name[:3]}\tf\t23" for name in names]
    header = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"
    table = "\n".join([header, *rows])
    return Tree({f"samples/{name}": {} for name in names}, tables={"data.tsv": table})


def meld_part():
    """Two dialogues of each part with every class."""
    emotions = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust")
    folders = {
        "train": "train_splits",
        "dev": "dev_splits_complete",
        "test": "output_repeated_splits_test",
    }
    clips, tables = {}, {}
    for part, folder in folders.items():
        lines = [HEAD]
        for dialogue, (number, emotion) in product((0, 1), enumerate(emotions)):
            clips[f"{folder}/dia{dialogue}_utt{number}.mp4"] = {}
            lines.append(f"1,So {emotion}.,Joey,{emotion},neutral,{dialogue},{number},8,21")
        tables[f"{part}_sent_emo.csv"] = "\r\n".join(lines)
    return Tree(clips, tables=tables)


PARTS = {
    "ravdess": lambda: Tree(dict.fromkeys(ravdess())),
    "cremad": lambda: Tree(dict.fromkeys(cremad())),
    "meld": meld_part,
    "nemo": nemo_part,
}
