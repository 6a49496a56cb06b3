"""Variants that look at the turns around an utterance, through the whole workflow to the page."""

import pytest
from conftest import Workspace, tiny_study
from corpora import turns_of, write_release
from test_baseline_workflow import table
from test_reruns import configure

from labelmer.base import tables
from labelmer.base.ragged import Ragged

pytestmark = pytest.mark.slow

RUN = "results/tiny/main/{}/fbank+minilm/frozen"
VARIANTS = {
    "text-only": {"modalities": ["text"]},
    "context": {"context_turns": 2},
    "context-text": {"context_turns": 2, "modalities": ["text"]},
    "context-speech": {"context_turns": 3, "context": "both", "modalities": ["speech"]},
    "late-fusion": {"product_of": ["context-text", "context-speech"]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    write_release(workspace.folder / "corpus", turns_of(sessions=2))
    workspace.configure(tiny_study(VARIANTS))
    workspace.snakemake()
    return workspace


def test_the_tables_say_what_each_variant_is_given(finished):
    given = table(finished, "compare").set_index("variant")["inputs"]
    assert given["text-only"] == "text"
    assert given["context"] == "speech, text, 2 turns before"
    assert given["context-speech"] == "speech, 3 turns before and after"
    assert set(given["late-fusion"].split(", ")) == {
        *("speech", "text", "2 turns before", "3 turns before and after"),
    }
    said = "context-speech, late-fusion: given later turns as well, for offline use alone"
    for name in ("compare", "pairs", "robustness", "classes"):
        assert said in table(finished, name)["protocol"].iloc[0], name


def test_each_is_tested_without_the_turns_around(finished):
    found = table(finished, "robustness").groupby("variant")["condition"].agg(set)
    alone = {"speech missing", "text missing"}
    assert found["text-only"] == {"all"}
    assert found["context"] == found["late-fusion"] == {"all", "context missing", *alone}
    assert found["context-text"] == found["context-speech"] == {"all", "context missing"}
    assert set(table(finished, "missing_rates")["variant"]) == {"context", "late-fusion"}


def test_salience_names_the_turns_and_the_examples_show_them(finished):
    folder = finished.folder / RUN.format("salience")
    of_fold = folder / "context/fold1.seed1"
    files = {path.name for path in of_fold.glob("*.h5")}
    assert files == {"context.h5", "speech.h5", "text.h5"}
    assert not (folder / "text-only/fold1.seed1/context.h5").exists()
    turns = Ragged(of_fold / "context.h5")
    told = tables.read_all(
        (finished.folder / "results/tiny/utterances").glob("Session?.tsv"), "utterances"
    )
    ends, starts = (told.set_index("id")[column] for column in ("end_s", "start_s"))
    for name in turns.ids:
        assert all(ends[turn] <= starts[name] for turn in turns.marks(name))
    figure = finished.folder / RUN.format("reports/figures") / "examples.svg"
    assert "Salience of the variant context" in figure.read_text()
    page = (finished.folder / "results/tiny/main/reports/index.html").read_text()
    assert "turns around missing" in page


def test_more_turns_train_what_looks_at_them_and_nothing_else(finished, tmp_path):
    workspace = finished.copied(tmp_path / "elsewhere")
    assert workspace.jobs() == set()
    configure(workspace, variants={"context": {"context_turns": 1}})
    trained = {path for rule, path in workspace.jobs() if rule == "train"}
    models = RUN.format("models")
    assert trained == {f"{models}/context/fold{n}.seed1/model.safetensors" for n in (1, 2)}
