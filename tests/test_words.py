"""Words as two transcripts are compared: in every script, however a sentence is typed."""

import unicodedata

import pytest

from labelmer.base.words import words_of
from labelmer.corpus.split import normalised

SENTENCES = {
    "Chinese": "我再也受不了了",
    "Japanese": "もう我慢できないよ",
    "Thai": "ฉันทนไม่ไหวอีกต่อไปแล้ว",
    "Lao": "ຂ້ອຍທົນບໍ່ໄຫວອີກແລ້ວ",
    "Khmer": "ខ្ញុំទ្រាំមិនបានទៀតទេ",
    "Burmese": "ငါသည်းမခံနိုင်တော့ဘူး",
    "Hindi": "मैं इसे और नहीं सह सकती",
    "Arabic": "لم أعد أحتمل هذا الأمر",
    "Hebrew": "אני לא יכול יותר לסבול",
    "Korean": "더 이상은 정말 못 참겠어",
    "Russian": "Я больше не могу это терпеть",
    "Greek": "Δεν αντέχω άλλο αυτό το πράγμα",
    "Turkish": "Artık buna dayanamıyorum ben İstanbul'da",
    "Tibetan": "ང་ལ་དེ་འདྲ་དགོས་མེད",
    "Amharic": "ከዚህ በላይ መታገስ አልችልም",
}
each_script = pytest.mark.parametrize("text", SENTENCES.values(), ids=list(SENTENCES))


@each_script
def test_a_sentence_counts_however_it_is_typed(text):
    said = normalised(text)
    assert said
    ways = {form: unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    ways |= {
        "upper": text.upper(),
        "punctuated": f"«{text}»… ?! 。",
        "emoji": f"👩🏽‍🚀 {text} ❤️🇫🇷",
        "unseen": "\u200b".join(text),
        "marked": f"\ufeff\u202b{text}\u202c",
    }
    assert {way: normalised(typed) for way, typed in ways.items()} == dict.fromkeys(ways, said)


@each_script
def test_another_sentence_is_another(text):
    others = [other for other in SENTENCES.values() if other != text]
    assert normalised(text) not in [normalised(other) for other in others]
    assert normalised(text[::-1]) != normalised(text)


@pytest.mark.parametrize("name", ["Chinese", "Japanese", "Thai", "Lao", "Khmer", "Burmese"])
def test_blanks_say_nothing_where_words_have_none(name):
    text = SENTENCES[name]
    clusters = "".join(
        c if unicodedata.category(c).startswith("M") else f" {c}" for c in text
    ).replace("្ ", "្")
    assert normalised(clusters) == normalised(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("नमस्ते दोस्तो", 2),  # the marks of vowels part no words
        ("हाँ जी नहीं", 3),
        ("مَرْحَبًا بِكَ", 2),
        ("e\u0301te\u0301", 1),
        ("สวัสดี", 2),  # a greeting: four letters with their marks
        ("ありがとう", 2.5),
        ("ขอบคุณ", 2.5),
        ("你好", 2),
        ("OK, 我不知道!", 5),
        ("第2个 iPhone", 4),
        ("안녕하세요 여러분", 2),
        ("--- 🙂 ❤️ ' … _", 0),
        ("", 0),
    ],
)
def test_how_many_words_a_text_counts_for(text, count):
    assert words_of(text)[1] == count


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It’s what I said", "It's what I said"),
        ("it`s what i said", "ITʼS WHAT I SAID"),
        ("'It is' what “I” said", "it is what I said"),
        ("rock 'n' roll for us all", "rock ’n’ roll for us all"),
        ("Die Straße ist sehr lang", "DIE STRASSE IST SEHR LANG"),
        ("ΟΔΟΣ ΤΟΥ ΑΛΛΟΥ ΚΟΣΜΟΥ", "οδος του αλλου κοσμου"),
        ("ISPARTA IĞDIR İZMİR ÇOK GÜZEL", "ısparta ığdır izmir çok güzel"),
        ("ｆｕｌｌ　ｗｉｄｔｈ　ｌｅｔｔｅｒｓ　１２", "full width letters 12"),
        ("room ١٢ of the house", "room 12 of the house"),
        ("कमरा १२ में हैं हम", "कमरा 12 में हैं हम"),
        ("ﾓｳｶﾞﾏﾝﾃﾞｷﾅｲ", "モウガマンデキナイ"),
        ("مَا هٰذَا الَّذِي تَقُولُهُ", "ما هذا الذي تقوله"),
        ("هــذا مــا قلته أنا", "هذا ما قلته أنا"),
        ("أنا في المدرسة الآن", "انا فى المدرسه الان"),
        ("این کتاب یک دوست است", "اين كتاب يك دوست است"),
        ("well\u2011known as a co\u00adoperation", "well-known as a cooperation"),
        ("snake_case is no word", "snake case is no word"),
    ],
)
def test_two_ways_to_type_the_same(one, other):
    assert normalised(one) == normalised(other) != ""


def test_accents_and_vowel_signs_make_other_words():
    assert words_of("où")[0] != words_of("ou")[0]
    assert words_of("की")[0] != words_of("का")[0]
