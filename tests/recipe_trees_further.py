"""More small trees in the shape of public corpora; see recipe_trees.py."""

from recipe_trees import HIDDEN, NO_SOUND, RULE, SAME, Tree


def shemo():
    """Clips with and without words, and words without a clip."""
    word = "\ufeffسلام\u200e\r\n".encode()
    return Tree(
        {
            "female/F03S02.wav": {"speaker": "F03", "label": "S", "text": "سلام"},
            "female/F04F01.wav": {"speaker": "F04", "label": "F", "text": ""},
            "male/M01A01.wav": {"speaker": "M01", "label": "A", "text": "نه نه"},
            "male/M02W03.wav": {"speaker": "M02", "label": "W", "text": ""},
        },
        {
            "final script/F03S02.tra": "a phonetic transcription",
            "final text/M09H01.ort": "a transcript of no clip",
            "female/F03X02.wav": RULE,
            "male/._M01A01.wav": HIDDEN,
            "female.zip": "an archive",
        },
        tables={"final text/F03S02.ort": word, "final text/M01A01.ort": "نه\rنه\n"},
    )


def jl_corpus():
    """Primary and secondary emotions, and a sound without its text."""
    folder = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
    clips = {
        "female1_angry_10a_1": ("female1", "angry", "10", "Carl leaps into a jeep"),
        "female2_apologetic_2b_2": ("female2", "apologetic", "2", "I am late"),
        "male1_excited_13a_1": ("male1", "excited", "13", ""),
        "male2_neutral_1b_1": ("male2", "neutral", "1", "Tom beats that farmer"),
    }
    return Tree(
        {
            f"{folder}/{name}.wav": {"speaker": who, "label": how, "scenario": n, "text": said}
            for name, (who, how, n, said) in clips.items()
        },
        {
            "annotated/JL(wav+txt)/more/female1_angry_10a_1.wav": SAME,
            f"{folder}/female1_bored_10a_1.wav": RULE,
            f"{folder}/female3_angry_10a_1.txt": NO_SOUND,
        },
        tables={f"{folder}/{name}.txt": said for name, (*_, said) in clips.items() if said},
    )


def aesdd():
    """Speakers in brackets, with zero and without, further takes, the broken clip."""
    names = {
        "anger/a06 (5)": ("5", "a", "06"),
        "anger/a06 (5)b": ("5", "a", "06"),
        "disgust/d03 (01)": ("1", "d", "03"),
        "sadness/s01 (5)a": ("5", "s", "01"),
        "sadness/s05 (2)": ("2", "s", "05"),
        "happiness/h20 (6)": ("6", "h", "20"),
    }
    return Tree(
        {
            f"{path}.wav": {"speaker": who, "label": how, "scenario": n}
            for path, (who, how, n) in names.items()
        },
        {"sadness/s05 (3).wav": "broken in the release", "fear/x01 (1).wav": RULE},
    )


def emovo():
    """Three actors, and documents."""
    lines = {
        "b1": "Gli operai si alzano presto.",
        "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    }
    names = {
        "f1/dis-f1-b1": ("f1", "dis", lines["b1"]),
        "f1/neu-f1-n5": ("f1", "neu", lines["n5"]),
        "f2/gio-f2-b1": ("f2", "gio", lines["b1"]),
        "m3/tri-m3-n5": ("m3", "tri", lines["n5"]),
    }
    return Tree(
        {
            f"{path}.wav": {"speaker": who, "label": how, "scenario": said, "text": said}
            for path, (who, how, said) in names.items()
        },
        {"documents/EMOVO.pdf": NO_SOUND, "f1/dis-f1-b9.wav": RULE, "f1/pau-f4-b1.wav": RULE},
    )


def cafe():
    """Folders garbled by the archive, Neutre without a level, and the other edition as well."""
    horse, bears = "Un cheval fou dans mon jardin", "Six ours aimants domestiqués"
    names = {
        "CaFE_48k/Col\u251c\u00bfre/Faible/01-C-1-1": ("01", "C", horse),
        "CaFE_48k/D\u00e9go\u00fbt/Fort/02-D-2-6": ("02", "D", bears),
        "CaFE_48k/Neutre/02-N-1-1": ("02", "N", horse),
        "CaFE_48k/Tristesse/Fort/12-T-2-6": ("12", "T", bears),
    }
    return Tree(
        {
            f"{path}.wav": {"speaker": who, "label": how, "scenario": said, "text": said}
            for path, (who, how, said) in names.items()
        },
        {
            "192k/Neutre/02-N-1-1.aiff": "the same as CaFE_48k/Neutre/02-N-1-1.wav, though",
            "CaFE_48k/Neutre/02-N-1-7.wav": RULE,
            "CaFE_48k/Readme.txt": NO_SOUND,
        },
    )


def oreau():
    """Both folders: the second is the corpus."""
    names = {
        "m/sessc/33a08Ca": ("33", "C", "a08"),
        "m/sesss/07z03Sa": ("07", "S", "z03"),
        "f/sessj/10a02Ja": ("10", "J", "a02"),
        "m/sessn/16a20Na": ("16", "N", "a20"),
    }
    return Tree(
        {
            f"OréauFR_02/{path}.wav": {"speaker": who, "label": how, "scenario": n, "text": ""}
            for path, (who, how, n) in names.items()
        },
        {
            "OréauFR_01/m/sessc/33a08Ca.wav": SAME,
            "OréauFR_01/m/sessc/33a09Ca.wav": "in OréauFR_01 alone",
            "OréauFR_01/contents.txt": NO_SOUND,
            "OréauFR_02/m/sessc/33a08Xa.wav": RULE,
        },
    )


def emov_db():
    """Openslr's folders, names that vary and repeat, a piece of the sorted edition."""
    danger = "Author of the danger trail, Philip Steels, etc."
    names = {
        "bea_Amused/amused_1-28_0001": ("bea", "amused", "0001"),
        "jenie_Amused/amused_1-28_0001": ("jenie", "amused", "0001"),
        "jenie_Neutral/neutral_1-28_0001": ("jenie", "neutral", "0001"),
        "sam_Disgusted/Disgust_169_196_0196": ("sam", "disgusted", "0196"),
        "josh_Sleepy/sleepiness_113_140_0120": ("josh", "sleepy", "0120"),
        "sam/Angry/anger_1-28_0002": ("sam", "angry", "0002"),
    }
    return Tree(
        {
            f"{path}.wav": {
                "id": f"{who}-{how}-{path.rpartition('/')[2]}",
                "speaker": who,
                "label": how,
                "scenario": n,
                "text": danger if n == "0001" else "",
            }
            for path, (who, how, n) in names.items()
        },
        {
            "sorted/bea/Amused/amused_1-28_0001.wav": "the same as bea_Amused/amused",
            "bea_Amused/sleepiness_1-28_0003.wav": "its name says sleepy, its folder amused",
            "amused_1-28_0009.wav": "no folder, or several, says who speaks",
            "bea_Amused/amused.wav": RULE,
            "bea_Amused/amused_1-28.TextGrid": NO_SOUND,
        },
        tables={"cmuarctic.data": f'( arctic_a0001 "{danger}" )\n( arctic_b0002 "Other." )\n'},
    )


def emotiontts():
    """Two parts, text with a mark, transcripts and scripts."""
    plain, other = "Emotional/plain-to-emotional", "Emotional/emotional-to-emotional"
    names = {
        f"{plain}/ema/wav/ema00001": ("ema", "neutral", "안녕"),
        f"{plain}/ema/wav/ema00101": ("ema", "happy", "좋아"),
        f"{other}/nea/wav/nea00300": ("nea", "angry", ""),
        f"{other}/nek/wav/nek00301": ("nek", "sad", ""),
    }
    return Tree(
        {
            f"{path}.wav": {"speaker": who, "label": how, "text": said}
            for path, (who, how, said) in names.items()
        },
        {
            f"{plain}/ema/script/ema00001.txt": "what was to be read",
            f"{other}/nea/wav/nea00401.wav": "none of 1 to 400",
            "Personality/avb/wav/avb00001.wav": RULE,
        },
        tables={
            f"{plain}/ema/transcript/ema00001.txt": "\ufeff안녕\r\n",
            f"{plain}/ema/script/ema00101.txt": "\ufeff좋아",
        },
    )


def msp_improv():
    """Labels of raters, not of names; turns without a line, and a line without a turn."""
    lines = [
        "UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.000000; V:3.500000; D:3.000000 ; N:NaN;",
        "F07; Neutral; ; A:3.0; V:3.0; D:3.0; N:4.0;",
        "",
        "UTD-IMPROV-S01A-M01-S-FM02.avi; A; A:3.000000; V:3.500000; D:3.000000 ; N:NaN;",
        "UTD-IMPROV-S20H-M06-R-MF01.avi; X; A:NaN; V:NaN; D:3.000000 ; N:4.0;",
        "UTD-IMPROV-S05S-F02-T-FM01.avi; S; A:NaN; V:NaN; D:3.000000 ; N:4.0;",
        "UTD-IMPROV-S05S-F02-T-FM09.avi; H; A:NaN; V:NaN; D:3.000000 ; N:4.0;",
    ]
    names = {
        "session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01": ("F01", "session1", "N", "S01", "How is it?"),
        "session1/S01A/S/MSP-IMPROV-S01A-M01-S-FM02": ("M01", "session1", "A", "S01", ""),
        "session2/S05S/T/MSP-IMPROV-S05S-F02-T-FM01": ("F02", "session2", "S", "S05", ""),
        "session6/S20H/R/MSP-IMPROV-S20H-M06-R-MF01": ("M06", "session6", "X", "S20", ""),
    }
    columns = ("speaker", "session", "label", "scenario", "text")
    said = "All_human_transcriptions/MSP-IMPROV-S01A-F01-P-FM01.txt"
    return Tree(
        {f"Audio/{p}.wav": dict(zip(columns, row, strict=True)) for p, row in names.items()},
        {
            "MSP-IMPROV-S05S-F02-T-FM09.wav": "Evaluation.txt names it",
            "Audio/session2/S05S/T/MSP-IMPROV-S05S-M02-S-FM01.wav": "has no line for it",
            "Video/session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.avi": "a video",
            "Audio/session1/S01A/P/MSP-IMPROV-S01B-F01-P-FM01.wav": RULE,
            "Phonetic/MSP-IMPROV-S01A-F01-P-FM01.txt": NO_SOUND,
        },
        tables={"Evalution.txt": "\r\n".join(lines), said: "How is it?\n"},
        unfiled=("MSP-IMPROV-S05S-F02-T-FM09.wav",),
    )


def msp_podcast():
    """All parts, a speaker who is not known, a row without a file, a file without a row."""
    table = [
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set",
        "MSP-PODCAST_0001_0008.wav,N,4.2,4.0,4.8,127,Female,Test1",
        "MSP-PODCAST_0002_0033.wav,X,4.2,4.0,4.8,Unknown,Unknown,Train",
        "MSP-PODCAST_0002_0034_0001.wav,H,4.2,4.0,4.8,12,Male,Development",
        "MSP-PODCAST_0003_0001.wav,A,4.2,4.0,4.8,13,Male,Test2",
        "MSP-PODCAST_0003_0002.wav,U,4.2,4.0,4.8,14,Male,Train",
        "MSP-PODCAST_0003_0003.wav,U,4.2,4.0,4.8,14,Male,Extra",
        "MSP-PODCAST_0003_0004.wav,U,4.2,4.0,4.8,14,Male,Train",
    ]
    names = {
        "0001_0008": ("127", "N", "test", "so it is"),
        "0002_0033": ("Unknown", "X", "train", ""),
        "0002_0034_0001": ("12", "H", "validation", ""),
        "0003_0001": ("13", "A", "", ""),
        "0003_0002": ("14", "U", "train", ""),
    }
    columns = ("speaker", "label", "part", "text")
    return Tree(
        {
            f"Audios/MSP-PODCAST_{name}.wav": dict(zip(columns, row, strict=True))
            for name, row in names.items()
        },
        {
            "MSP-PODCAST_0003_0004.wav": "there is no such file",
            "Audios/MSP-PODCAST_0003_0003.wav": "its Split_Set is 'extra'",
            "Audios/MSP-PODCAST_9001_0001.wav": "has no row for it",
            "Labels/labels_detailed.csv": NO_SOUND,
        },
        tables={
            "Labels/labels_concensus.csv": "\n".join(table),
            "Transcripts/MSP-PODCAST_0001_0008.txt": "so it is",
        },
        unfiled=("MSP-PODCAST_0003_0004.wav",),
    )


TREES = {
    "aesdd": aesdd,
    "cafe": cafe,
    "emotiontts": emotiontts,
    "emov-db": emov_db,
    "emovo": emovo,
    "jl-corpus": jl_corpus,
    "msp-improv": msp_improv,
    "msp-podcast": msp_podcast,
    "oreau": oreau,
    "shemo": shemo,
}
