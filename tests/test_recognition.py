"""recognition: word error rates against the corpus' words, counted by hand here."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from labelmer.base import tables
from labelmer.report import recognition
from labelmer.report.columns import RECOGNITION
from labelmer.scores import intervals

# id: speaker, class, what was said, what was recognised
SAID = {
    # one word substituted, one deleted, one inserted in a2
    "a1": ("p", "sad", "It's over, Mister Smith!", "it is over mr smith"),  # as the normaliser says
    "a2": ("p", "ang", "an old tree is falling on my car", "an odd tree falling on my red car"),
    "b1": ("q", "sad", "no more of it", ""),  # four deleted
    "b2": ("q", "ang", "stop", "stop stop stop"),  # two inserted
    "b3": ("q", "ang", "(laughs)", "ha ha"),  # the corpus has no words
}


@pytest.fixture
def measure(tmp_path):
    """measure(said, language): the stage's table."""

    def measure(said, language="en"):
        frame = pd.DataFrame.from_dict(
            said, orient="index", columns=["speaker", "label", "text", "heard"]
        ).rename_axis("id")
        frame = frame.reset_index().assign(session=[f"S{name[0]}" for name in said], dialogue="d")
        parts = frame.assign(scenario="", part=["test", "train"] * (len(frame) // 2) + ["train"])
        tables.write(tmp_path / "fold1.tsv", parts.drop(columns=["text", "heard"]), "fold")
        extra = frame.iloc[:1].assign(id="z", text="of no class")
        own = pd.concat([frame, extra]).assign(start_s=None, end_s=None)
        tables.write(tmp_path / "own.tsv", own.drop(columns=["label", "heard"]), "utterances")
        heard = frame[["id", "heard"]].assign(text=frame["heard"])
        heard = heard.assign(reason="", no_speech=0.1, compression=1.0, windows=1, key="k")
        tables.write(tmp_path / "heard.tsv", heard, "recognised")
        files = {"utterances": "own", "transcripts": "heard", "folds": "fold1"}
        words = [w for name, file in files.items() for w in (f"--{name}", f"{tmp_path}/{file}.tsv")]
        config = f'{{"language": "{language}"}}'
        out = tmp_path / "recognition.tsv"
        recognition.main([str(out), *words, "--config", config])
        return tables.read(out, "recognition", RECOGNITION)

    return measure


def test_errors_are_counted_for_all_per_class_and_per_session(measure):
    table = measure(SAID).set_index("slice")
    assert list(table.index) == ["all", "ang", "sad", "Sa", "Sb"]
    assert table.slicing.tolist() == ["all", "class", "class", "session", "session"]
    counts = ["utterances", "words", "substitutions", "deletions", "insertions", "empty"]
    assert table.loc["all", counts].tolist() == [4, 18, 1, 5, 3, 1]
    assert table.loc["ang", counts].tolist() == [2, 9, 1, 1, 3, 0]
    assert table.loc["sad", counts].tolist() == [2, 9, 0, 4, 0, 1]
    assert table.loc["Sb", counts].tolist() == [2, 5, 0, 4, 2, 1]
    assert table.wer["all"] == pytest.approx(9 / 18) and table.wer["Sb"] == pytest.approx(6 / 5)
    assert set(table.normaliser) == {"EnglishTextNormalizer"}
    assert table.speakers.tolist() == [2, 2, 2, 1, 1]
    assert table.wer_low.isna().tolist() == [False, False, False, True, True]


def test_the_interval_is_that_of_a_jackknife_over_speakers(measure):
    row = measure(SAID).iloc[0]
    without = np.array([6 / 5, 3 / 13])  # without p, without q
    error = np.sqrt(0.5 * ((without - without.mean()) ** 2).sum())
    reach = t.ppf(0.975, 1) * error
    assert row.wer_low == 0 and row.wer_high == pytest.approx(9 / 18 + reach)


def test_other_languages_are_compared_without_case_and_punctuation(measure):
    said = {"a1": ("p", "sad", "Żółta Łódź, tak!", "żółta łódź nie")}
    (row, *_) = measure(said, "pl").itertuples()
    assert (row.words, row.substitutions, row.normaliser) == (3, 1, "words_of")


@pytest.mark.parametrize(
    "text, heard, words, errors",
    [
        ("I don't know...", "i do not know", 4, 0),
        ("I know", "I know ...", 2, 0),
    ],
)
def test_a_word_has_a_letter_or_a_digit(measure, text, heard, words, errors):
    (row, *_) = measure({"a1": ("p", "sad", text, heard)}).itertuples()
    assert (row.words, row.wer) == (words, pytest.approx(errors / words))


@pytest.mark.parametrize("language", ["en", "hi"])
@pytest.mark.parametrize("text", ["...", "--", "[noise] ...", "(laughs) ."])
def test_an_utterance_of_marks_alone_is_without_words(measure, language, text):
    assert measure({"a1": ("p", "sad", text, "a word")}, language).empty


def test_marks_of_indic_scripts_do_not_part_words(measure):
    said = {"a1": ("p", "sad", "नमस्ते दुनिया", "नमस्ते।")}
    (row, *_) = measure(said, "hi").itertuples()
    assert (row.words, row.deletions, row.substitutions) == (2, 1, 0)


def test_letters_are_compared_where_a_script_has_no_blanks(measure):
    said = {"a1": ("p", "sad", "我很高兴。", "我很高")}
    (row, *_) = measure(said, "zh").itertuples()
    assert (row.words, row.deletions) == (4, 1)


def test_a_corpus_without_words_gives_no_rows(measure):
    assert measure({"a1": ("p", "sad", "", "the dog")}).empty


def test_a_speaker_with_all_the_words_has_no_interval():
    found = intervals.ratio_over_speakers(np.array([1, 0]), np.array([4, 0]), np.array(["p", "q"]))
    assert found.value == 0.25 and np.isnan(intervals.interval_of_ratio(found)).all()
