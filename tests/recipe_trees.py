"""Small trees in the shape of public corpora as they are distributed, quirks included.

A tree says what its recipe is to make of it. Files hold their own path, where nothing else is said:
no recipe listens.
"""

import os
from dataclasses import dataclass, field


@dataclass
class Tree:
    """A release's files, and what is expected of them."""

    clips: dict  # {path: cells of its row in the manifest}
    left_out: dict = field(default_factory=dict)  # {path: words of the reason}
    tables: dict = field(default_factory=dict)  # {path: text or bytes} that the recipe reads
    contents: dict = field(default_factory=dict)  # {path: bytes} of those with bytes of their own
    unfiled: tuple = ()  # those of left_out that are no files, but are named by a table

    def write(self, root):
        """Write the tree into a folder; return the folder."""
        files = {path: os.fsencode(path) for path in (*self.clips, *self.left_out)}
        for path, content in (files | self.tables | self.contents).items():
            if path not in self.unfiled:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                data = content.encode() if isinstance(content, str) else content
                (root / path).write_bytes(data)
        return root


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
HIDDEN = "a hidden file"
NO_SOUND = "no audio, and no table"
SAME = "the same as"
RULE = "fits no rule"


def ravdess():
    """Two actors, and all again in a folder of its own, as on Kaggle; a song and a video."""
    kids = {"scenario": "01", "text": "Kids are talking by the door"}
    dogs = {"scenario": "02", "text": "Dogs are sitting by the door"}
    names = {
        "Actor_01/03-01-01-01-01-01-01.wav": {"speaker": "01", "label": "01", **kids},
        "Actor_01/03-01-03-01-02-01-01.wav": {"speaker": "01", "label": "03", **dogs},
        "Actor_01/03-01-03-01-02-02-01.wav": {"speaker": "01", "label": "03", **dogs},
        "Actor_02/03-01-06-02-01-02-02.wav": {"speaker": "02", "label": "06", **kids},
        "Actor_03/03-01-08-02-01-02-03.wav": {"speaker": "03", "label": "08", **kids},
    }
    same = {f"Actor_01/03-01-03-01-02-0{n}-01.wav": b"the same" for n in (1, 2)}
    again = "audio_speech_actors_01-24/Actor_01/03-01-01-01-01-01-01.wav"
    return Tree(
        names,
        {
            again: SAME,
            "audio_speech_actors_01-24/Actor_02/03-01-06-02-01-02-02.wav": "though its bytes",
            "Actor_01/03-02-01-01-01-01-01.wav": "a song",
            "Actor_01/01-01-01-01-01-01-01.mp4": "a video",
            "Actor_01/02-01-01-01-01-01-01.mp4": "a silent video",
            "Actor_01/03-01-09-01-01-01-01.wav": RULE,
            "Actor_01/._03-01-01-01-01-01-01.wav": HIDDEN,
            "README.txt": NO_SOUND,
        },
        contents=same | {again: b"Actor_01/03-01-01-01-01-01-01.wav"},
    )


def cremad():
    """An actor's clips, one with its old name; the other forms, and Kaggle's two of one clip."""
    names = {
        "1001_DFA_ANG_XX": ("1001", "ANG", "DFA", "Don't forget a jacket"),
        "1001_IEO_HAP_HI": ("1001", "HAP", "IEO", "It's eleven o'clock"),
        "1040_ITH_SAD_X": ("1040", "SAD", "ITH", "I think I have a doctor's appointment"),
        "1076_MTI_SAD_XX": ("1076", "SAD", "MTI", "Maybe tomorrow it will be cold"),
        "1091_WSI_NEU_XX": ("1091", "NEU", "WSI", "We'll stop in a couple of minutes"),
    }
    cells = ("speaker", "label", "scenario", "text")
    return Tree(
        {f"AudioWAV/{name}.wav": dict(zip(cells, of, strict=True)) for name, of in names.items()},
        {
            "AudioWAV/1006_TIE_HAP_XX.wav": "the same bytes as AudioWAV/1006_TIE_NEU_XX.wav",
            "AudioWAV/1006_TIE_NEU_XX.wav": "the same bytes as AudioWAV/1006_TIE_HAP_XX.wav",
            "AudioWAV/1040_ITH_SAD_XX.wav": SAME,
            "AudioMP3/1001_DFA_ANG_XX.mp3": "another form",
            "VideoFlash/1001_DFA_ANG_XX.flv": "another form",
            "AudioWAV/1001_DFA_ANG.wav": RULE,
            "VideoDemographics.csv": NO_SOUND,
            ".git": "a hidden folder",
        },
        tables={".git/HEAD": b"ref"},
        contents={f"AudioWAV/1006_TIE_{emotion}_XX.wav": b"one" for emotion in ("HAP", "NEU")},
        unfiled=(".git",),
    )


def emodb():
    """Release 1, and the laryngograph's signal of release 2.0 under the same name."""
    lappen = "Der Lappen liegt auf dem Eisschrank."
    return Tree(
        {
            "wav/03a01Fa.wav": {"speaker": "03", "label": "F", "scenario": "a01", "text": lappen},
            "wav/03a01Wa.wav": {"speaker": "03", "label": "W"},
            "wav/08b10Ab.wav": {"speaker": "08", "label": "A", "scenario": "b10"},
        },
        {"laryngo/03a01Fa.wav": "laryngograph", "wav/03a03Fa.wav": RULE, "erkennung.txt": NO_SOUND},
    )


def savee():
    """Both layouts: the stems of AudioData stand in four folders each."""
    return Tree(
        {
            "AudioData/DC/sa03.wav": {"id": "DC_sa03", "speaker": "DC", "label": "sa", "text": ""},
            "AudioData/DC/a03.wav": {"id": "DC_a03", "speaker": "DC", "label": "a"},
            "AudioData/JE/sa03.wav": {"id": "JE_sa03", "speaker": "JE", "label": "sa"},
            "ALL/JK_su15.wav": {"id": "JK_su15", "speaker": "JK", "label": "su"},
            "ALL/KL_n30.wav": {"id": "KL_n30", "speaker": "KL", "label": "n"},
        },
        {
            "AudioData/JK/su15.wav": SAME,
            "a01.wav": "its folder is no speaker",
            "AudioData/DC/KL_a01.wav": "its name says KL",
            "AudioData/Info.txt": NO_SOUND,
        },
        contents={"AudioData/JK/su15.wav": b"ALL/JK_su15.wav"},
    )


def tess():
    """Kaggle's folders, with all of it a second time below; the name that lacks a letter."""
    top = "TESS Toronto emotional speech set data"
    again = f"{top.lower()}/{top}"
    surprise = {"speaker": "YAF", "label": "ps", "scenario": "dog", "text": "Say the word dog"}
    return Tree(
        {
            f"{top}/OAF_angry/OAF_back_angry.wav": {"speaker": "OAF", "label": "angry"},
            f"{top}/OAF_neutral/OA_bite_neutral.wav": {
                "id": "OAF_bite_neutral",
                "speaker": "OAF",
                "label": "neutral",
            },
            f"{top}/OAF_Fear/OAF_back_fear.wav": {"speaker": "OAF", "label": "fear"},
            f"{top}/YAF_pleasant_surprised/YAF_dog_ps.wav": surprise,
        },
        {
            f"{again}/OAF_angry/OAF_back_angry.wav": "the same as",
            f"{again}/YAF_pleasant_surprised/YAF_dog_ps.wav": "the same as",
            f"{top}/OAF_angry/OAF_back.wav": RULE,
        },
        contents={f"{again}/OAF_angry/OAF_back_angry.wav": b"angry"},
    )


def esd():
    """Mandarin and English, with and without folders of parts; words in four encodings."""
    return Tree(
        {
            "ESD/0001/Neutral/0001_000001.wav": {
                "speaker": "0001",
                "label": "Neutral",
                "part": "validation",
                "scenario": "zh001",
                "text": "打远一看",
            },
            "ESD/0001/Angry/0001_000351.wav": {"label": "Angry", "scenario": "zh001"},
            "ESD/0001/Angry/0001_000371.wav": {"part": "test", "text": "我很快乐"},
            "ESD/0001/Surprise/0001_001750.wav": {"part": "train", "scenario": "zh350"},
            "ESD/0003/Happy/test/0003_000721.wav": {"part": "test", "text": "好"},
            "ESD/0012/Sad/train/0012_001355.wav": {"part": "train", "text": "no label here"},
            "ESD/0016/Happy/0016_000701.wav": {
                "scenario": "en001",
                "part": "validation",
                "text": "a café",
            },
        },
        {
            "ESD/0001/0001_000002.wav": "is no emotion",
            "ESD/0001/Neutral/0021_000002.wav": RULE,
            "ESD/ReadMe.txt": NO_SOUND,
        },
        tables={
            "ESD/0001/0001.txt": (
                "0001_000001\t打远一看\t中立\r\n0001_000371 我很快乐 生气\r\n"
            ).encode("gb2312"),
            "ESD/0003/0003.txt": "0003_000721\t好\t快乐\n".encode("utf-16"),
            "ESD/0012/0012.txt": b"\n0012_001355   no label here  \n",
            "ESD/0016/0016.txt": "0016_000701\ta café\tHappy\n".encode("latin-1"),
        },
    )


def nemo():
    """The table with its eight blanks before each speaker, a clip without a row and the reverse."""
    blanks = " " * 8
    return Tree(
        {
            "samples/EB0_anger_1.wav": {
                "speaker": "EB0",
                "label": "anger",
                "scenario": "1",
                "text": "Lubię czytać przed snem.",
            },
            "samples/MK0_neutral_2.wav": {"speaker": "MK0", "scenario": "2"},
            "samples/MP0_surprised_90.wav": {"speaker": "MP0", "label": "surprised", "text": ""},
        },
        {
            "samples/EB0_fear_2.wav": "data.tsv says otherwise",
            "data.tsv:KS0_anger_3.wav": "a row without a clip",
            "README.md": NO_SOUND,
        },
        tables={
            "data.tsv": "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
            f"EB0_anger_1.wav\tanger\tLubię czytać przed snem.\tx\t{blanks}EB0\tfemale\t27\n"
            f"EB0_fear_2.wav\tanger\tLubię.\tx\t{blanks}EB0\tfemale\t27\n"
            f"KS0_anger_3.wav\tanger\tLubię.\tx\t{blanks}KS0\tfemale\t27\n"
        },
        unfiled=("data.tsv:KS0_anger_3.wav",),
    )


def urdu():
    """SM1 and SF1 are two people."""
    return Tree(
        {
            "Angry/SM1_F10_A010.wav": {"speaker": "SM1", "label": "A", "text": ""},
            "Angry/SF1_F10_A011.wav": {"speaker": "SF1", "label": "A"},
            "Sad/SM27_F1_S01.wav": {"speaker": "SM27", "label": "S"},
        },
        {"Sad/SM4_F1_A99.wav": "its name says A, its folder Sad", "Happy/SX1_F1_H1.wav": RULE},
    )


def ased():
    """A capital, a sex that is wrong for its speaker, repetitions that are the same bytes."""
    same = [f"01Neutral/n1-07-0{n}-02-53.wav" for n in (1, 2)]
    return Tree(
        {
            "05Angry/a5-03-01-02-50.wav": {"speaker": "50", "label": "a5", "scenario": "a5-03"},
            "04Sad/S4-04-02-01-29.wav": {"id": "s4-04-02-01-29", "speaker": "29", "label": "s4"},
            "03Happy/h3-01-01-01-15.wav": {"speaker": "15", "label": "h3"},
            "03Happy/h3-01-02-02-15.wav": {"speaker": "15", "label": "h3"},
            **{path: {"speaker": "53", "label": "n1"} for path in same},
        },
        {"05Angry/a4-03-01-02-50.wav": RULE},
        contents=dict.fromkeys(same, b"the same"),
    )


HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"


def meld():
    """The archive's folders and tables; ids that restart, what is broken, absent and too much."""
    train, dev, test = (
        "MELD.Raw/train/train_splits",
        "MELD.Raw/dev_splits_complete",
        "MELD.Raw/output_repeated_splits_test",
    )

    def csv(*lines):
        return "".join(f"{line}\r\n" for line in (HEAD, *lines))

    said = 'He said "no", twice'
    return Tree(
        {
            f"{train}/dia0_utt0.mp4": {
                "id": "train_dia0_utt0",
                "speaker": "Chandler",
                "label": "neutral",
                "part": "train",
                "dialogue": "train_dia0",
                "text": said,
            },
            f"{train}/dia0_utt1.mp4": {"speaker": "Richard’s Date", "text": "It’s"},
            f"{dev}/dia0_utt0.mp4": {"id": "dev_dia0_utt0", "part": "validation", "label": "joy"},
            f"{test}/dia0_utt0.mp4": {"id": "test_dia0_utt0", "part": "test", "speaker": "Joey"},
            f"{test}/dia38_utt4.mp4": {"id": "test_dia38_utt4", "part": "test", "speaker": "Joey"},
        },
        {
            f"{train}/dia125_utt3.mp4": "broken in the release",
            "MELD.Raw/train_sent_emo.csv:dia9_utt9": "a row without a clip",
            "MELD.Raw/dev_sent_emo.csv:dia110_utt7": "as in the release",
            f"{dev}/dia49_utt4.mp4": "no row in MELD.Raw/dev_sent_emo.csv",
            f"{test}/final_videos_testdia108_utt2.mp4": "a second cut",
            f"{test}/._dia0_utt0.mp4": HIDDEN,
            "MELD.Raw/dia0_utt0.mp4": "no folder of it is a part's",
            "data/MELD/train_sent_emo.csv": "another train_sent_emo.csv",
            "data/MELD_Dyadic/train_sent_emo_dya.csv": NO_SOUND,
        },
        tables={
            "MELD.Raw/train_sent_emo.csv": csv(
                '1,"He said ""no"", twice",Chandler,neutral,neutral,0,0,8,21',
                "1,It\x92s,Richard\x92s Date,sadness,negative,0,1,8,21",
                "3,Hm,Ross,neutral,neutral,125,3,8,21",
                "4,Hm,Ross,neutral,neutral,9,9,8,21",
            ),
            "MELD.Raw/dev_sent_emo.csv": csv(
                "1,Oh!,Joey,joy,positive,0,0,4,7",
                "2,Well?,Phoebe,neutral,neutral,110,7,6,11",
            ),
            "MELD.Raw/test_sent_emo.csv": csv(
                "1,Oh!,joey,anger,negative,0,0,4,7",
                "2,Oh!,Joey,anger,negative,38,4,4,7",
            ),
        },
        unfiled=("MELD.Raw/train_sent_emo.csv:dia9_utt9", "MELD.Raw/dev_sent_emo.csv:dia110_utt7"),
    )


TREES = {
    "ravdess": ravdess,
    "cremad": cremad,
    "emodb": emodb,
    "savee": savee,
    "tess": tess,
    "esd": esd,
    "nemo": nemo,
    "urdu": urdu,
    "ased": ased,
    "meld": meld,
}
