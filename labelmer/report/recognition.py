"""Recognised words held against the corpus' own: word error rates, for all, per class and session.

They are of the utterances of the study's classes whose words the corpus has. Both texts are
normalised first: English by Whisper's English normaliser, as the field does (Radford et al.,
"Robust speech recognition via large-scale weak supervision", 2023, appendix C), other languages by
labelmer.base.words without what stands in brackets, as Whisper's basic one parts words at the marks
of Indic scripts; where a script has no blanks between words, letters are compared. Errors are
counted by jiwer. Intervals are those of a jackknife over speakers.

--config holds {"language": code}.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jiwer
import pandas as pd

from labelmer.base import tables
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.stage import command, parse, stage_parser
from labelmer.base.words import words_of
from labelmer.report.columns import RECOGNITION
from labelmer.scores import intervals

ERRORS = ["substitutions", "deletions", "insertions"]
ASIDES = re.compile(r"\[[^\]]*\]|<[^>]*>|\([^)]*\)")  # such as (laughs), which Whisper drops too


def normaliser(language: str) -> tuple[str, Callable[[str], str]]:
    """How a language's texts are normalised: its name in the table, and the function."""
    if language != "en":
        return "words_of", lambda text: " ".join(words_of(ASIDES.sub(" ", text))[0])
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    whisper = EnglishTextNormalizer({})  # without its table of British and American spellings

    def english(text: str) -> str:
        # It keeps "." and "$", alone too: these are no words.
        return " ".join(word for word in whisper(text).split() if any(map(str.isalnum, word)))

    return EnglishTextNormalizer.__name__, english


def counted(texts: pd.DataFrame, normal: Callable[[str], str]) -> pd.DataFrame:
    """The errors in each utterance: columns words, ERRORS and empty beside those of `texts`.

    texts: columns id, text, recognised. Utterances without words in the corpus are left out.
    """
    said, heard = texts["text"].map(normal), texts["recognised"].map(normal)
    kept = said != ""
    rows = []
    for reference, found in zip(said[kept], heard[kept], strict=True):
        errors = jiwer.process_words(reference, found)
        row = {name: getattr(errors, name) for name in ERRORS}
        rows.append({**row, "words": len(reference.split()), "empty": int(found == "")})
    counts = pd.DataFrame(rows, columns=[*ERRORS, "words", "empty"], dtype=int)
    return pd.concat([texts[kept].reset_index(drop=True), counts], axis=1)


def recognition_table(counts: pd.DataFrame) -> pd.DataFrame:
    """The table "recognition" without its normaliser; no rows where the corpus has no words.

    counts: of counted(), with the columns label, session and speaker.
    """
    slices = [("all", "all", counts)] if len(counts) else []
    for slicing, column in (("class", "label"), ("session", "session")):
        slices += [(slicing, name, frame) for name, frame in counts.groupby(column)]
    rows = []
    for slicing, name, frame in slices:
        errors = frame[ERRORS].sum(axis=1).to_numpy()
        wer = intervals.ratio_over_speakers(errors, frame["words"].to_numpy(), frame["speaker"])
        low, high = intervals.interval_of_ratio(wer)
        row = {"slicing": slicing, "slice": name, "utterances": len(frame), "wer": wer.value}
        row |= {"wer_low": low, "wer_high": high, "speakers": frame["speaker"].nunique()}
        rows.append({**row, **frame[[*ERRORS, "words", "empty"]].sum()})
    return pd.DataFrame(rows, columns=[c for c in RECOGNITION["recognition"] if c != "normaliser"])


def of_classes(folds: Sequence[Path]) -> pd.DataFrame:
    """The utterances of fold tables, each once: id, session, speaker, label."""
    table = tables.read_all(folds, "fold")
    return table[["id", "session", "speaker", "label"]].drop_duplicates("id")


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the rule recognition."""
    parser = stage_parser(__doc__)
    parser.add_argument("out", type=Path, metavar="RECOGNITION.tsv")
    for name, meaning in (
        ("utterances", "the corpus' words"),
        ("transcripts", "recognised words"),
        ("folds", "of the study"),
    ):
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", required=True, metavar="TSV", help=meaning
        )
    args = parse(parser, argv, {"language": TEXT})
    said = tables.read_all(args.utterances, "utterances")[["id", "text"]]
    heard = tables.read_all(args.transcripts, "recognised")[["id", "text"]]
    both = of_classes(args.folds).merge(said, on="id")
    both = both.merge(heard.rename(columns={"text": "recognised"}), on="id")
    name, normal = normaliser(args.config["language"])
    counts = counted(both, normal)
    left = len(both) - len(counts)
    log.info("%d utterances compared, %d without words in the corpus", len(counts), left)
    table = recognition_table(counts).assign(normaliser=name)
    tables.write(args.out, table, "recognition", RECOGNITION)
