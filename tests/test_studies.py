"""Studies of one corpus: what the corpus and the encoders give is made once, for all of them."""

import pytest
from conftest import workflow_files
from test_encoders import snapshot  # noqa: F401
from test_reruns import copy, finished  # noqa: F401

pytestmark = pytest.mark.slow

SIX = {"angry": "ang", "happy": "hap", "excited": "exc", "neutral": "neu", "sad": "sad"}
SIX |= {"frustrated": "fru"}
COMPARED = "results/tiny/six/reports/compare.tsv"


def six_classes(config):
    """Another study: six classes, speakers held out, one variant."""
    changed = {"study": "six", "labels": {name: {"codes": [code]} for name, code in SIX.items()}}
    changed["folds"] = {"hold_out": "speaker", "validation": "session"}
    changed["experiments"] = [{**config["experiments"][0], "variants": ["full"]}]
    corpus = {key: value for key, value in config["corpus"].items() if key != "transcripts"}
    return {**config, **changed, "corpus": corpus}


def two_sessions(config):
    """A third one, of two of the three sessions."""
    corpus = {**config["corpus"], "sessions": ["Session1", "Session3"]}
    folds = {"hold_out": "session", "validation": "dialogues", "fraction": 0.5}
    return {**config, "study": "two", "corpus": corpus, "folds": folds}


def test_another_study_splits_and_trains_and_makes_nothing_of_the_corpus_anew(copy):  # noqa: F811
    first, before = copy.config(), workflow_files(copy)
    copy.configure(six_classes(first))
    jobs = copy.jobs(COMPARED)
    assert {rule for rule, _ in jobs} == {"split", "train", "evaluate", "tabulate"}
    assert {path.split("/")[2] for _, path in jobs} == {"six"}
    copy.snakemake(COMPARED)
    assert copy.jobs(COMPARED) == set()
    after = workflow_files(copy)
    assert {path: after[path] for path in before} == before
    new = {path for path in after if path not in before}
    assert {path.split("/")[2] for path in new} == {"six"}
    assert {path.split("/")[0] for path in new} == {"results", "logs", "benchmarks"}
    assert {f"results/tiny/six/splits/fold{n}.tsv" for n in range(1, 7)} <= new
    copy.configure(first)
    assert copy.jobs() == set()


def test_a_study_of_fewer_sessions_shares_their_recognised_words_too(copy):  # noqa: F811
    first = copy.config()
    copy.configure(two_sessions(first))
    assert {path.split("/")[2] for _, path in copy.jobs()} == {"two"}
    copy.snakemake("split")
    copy.configure(first)
    assert copy.jobs() == set()
