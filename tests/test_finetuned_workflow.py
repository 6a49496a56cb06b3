"""mode: finetuned through the real workflow, and what runs again after what change.

A tiny corpus of two sessions is taken through the workflow once, with tiny encoders. Speech is
fine-tuned on one fold only, which tests that its sessions' audio gets there.
"""

import json
import shutil

import pytest
from conftest import Workspace, made_once, tiny_config
from corpora import turns_of, write_release
from test_encoders import snapshot  # noqa: F401
from test_reruns import REPLACED, change, write_recognised

from labelmer.base import tables
from labelmer.base.ragged import Ragged
from labelmer.inspection.judge import compare
from labelmer.report import columns

pytestmark = pytest.mark.slow


def tuned_config():
    """demo.yaml on a tiny corpus of two sessions, its tiny encoders fine-tuned."""
    config = tiny_config(transcripts="recognised.tsv")
    config["folds"].update(validation="dialogues", fraction=0.5)
    config["encoders"] = {
        "wave": {"modality": "speech", "source": "path:wave", "layer": -1, "window_s": 30},
        "bert": {"modality": "text", "source": "path:bert", "layer": -1},
    }
    config["finetuning"] = {"epochs": 1, "learning_rate": 1.0e-3}
    words = {"modalities": ["text"], "label_start": {"text": "words"}}
    config["variants"] = {"text-only": words, "full": {}}
    experiment = {"speech": "wave", "text": "bert", "mode": "finetuned"}
    return {**config, "experiments": [{**experiment, "variants": ["text-only"]}]}


@pytest.fixture(scope="session")
def finished(tmp_path_factory, snapshot):  # noqa: F811
    """A workspace in which a whole workflow with fine-tuned encoders has run."""

    def make(folder):
        workspace = Workspace(folder)
        write_release(workspace.folder / "corpus", turns_of(sessions=2))
        write_recognised(workspace.folder / "recognised.tsv", turns_of(sessions=2))
        shutil.copytree(snapshot("bert"), workspace.folder / "bert")
        shutil.copytree(snapshot("wav2vec2-group"), workspace.folder / "wave")
        workspace.configure(tuned_config())
        workspace.snakemake("all", features("wave", 1, 1).pop()[1])

    return made_once(tmp_path_factory, "finetuned", make)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace in another place."""
    return finished.copied(tmp_path / "elsewhere")


# What a dry run prints of a job: its rule and its first output.


def tunings(encoder, *folds):
    folder = f"results/tiny/main/encoders/{encoder}"
    return {("finetune", f"{folder}/fold{fold}.seed1") for fold in folds}


def features(encoder, fold, *sessions):
    folder = f"results/tiny/main/features/{encoder}/finetuned/fold{fold}.seed1"
    return {("extract_finetuned", f"{folder}/Session{session}.h5") for session in sessions}


def words(*folds):
    folder = "results/tiny/main/labels/bert"
    return {("extract_finetuned_labels", f"{folder}/fold{f}.seed1.h5") for f in folds}


def recognised(*folds):
    """The features of recognised words: of the session that the fold tests, and of no other."""
    folder = "results/tiny/main/features/bert/finetuned"
    return {
        ("extract_finetuned_transcripts", f"{folder}/fold{f}.seed1/transcripts/Session{f}.h5")
        for f in folds
    }


def runs(variant, *folds):
    """A variant's trainings and what follows."""
    place = f"wave+bert/finetuned/{variant}"
    figures = "results/tiny/main/reports/figures/wave+bert/finetuned"
    return {
        *(
            ("train", f"results/tiny/main/models/{place}/fold{f}.seed1/model.safetensors")
            for f in folds
        ),
        *(("evaluate", f"results/tiny/main/predictions/{place}/fold{f}.seed1.tsv") for f in folds),
        ("tabulate", "results/tiny/main/reports/compare.tsv"),
        ("browser", "results/tiny/main/reports/browser.json"),
        ("convergence", "results/tiny/main/reports/convergence.tsv"),
        ("plot_folds", f"{figures}/folds.svg"),
        ("plot_slices", f"{figures}/slices.svg"),
        ("plot_calibration", f"{figures}/calibration.svg"),
        ("plot_robustness", f"{figures}/robustness.svg"),
        ("plot_missing_rates", f"{figures}/missing_rates.svg"),
        ("plot_deletion", f"{figures}/deletion.svg"),
        ("plot_training", f"{figures}/training.svg"),
        ("plot_examples", f"{figures}/examples.svg"),
        ("plot_confusion", f"{figures}/{variant}.confusion.svg"),
        ("page", "results/tiny/main/reports/index.html"),
    }


def test_a_finetuned_experiment_runs_through_and_then_has_nothing_to_do(finished, copy):
    assert copy.jobs() == set()
    results = finished.folder / "results" / "tiny" / "main"
    for fold in (1, 2):
        run = f"fold{fold}.seed1"
        source = json.loads((results / "encoders" / "bert" / run / "source.json").read_text())
        assert source["finetuned"] == {"fold": fold, "seed": 1}
        tables.read(results / "encoders" / "bert" / f"{run}.tsv", "finetuning")
        folder = results / "features" / "bert" / "finetuned" / run
        made = {path.stem for path in folder.glob("*.h5")}
        assert made == {"Session1", "Session2"}
        file = Ragged(folder / "Session1.h5")
        assert file.attrs["weights"] == source["weights"] and file.attrs["layer"] == 3
        assert compare(file, {})["state"] == "current"
        (words,) = (folder / "transcripts").glob("*.h5")
        assert words.stem == f"Session{fold}"
        assert (results / "labels" / "bert" / f"{run}.h5").exists()
        assert len(Ragged(words)) == 17 and compare(Ragged(words), {})["state"] == "current"
    run = "wave+bert/finetuned/text-only/fold1.seed1.tsv"
    changed = tables.read(results / "perturbed" / run, "perturbed")
    heard = changed.id[changed.change == "transcripts"].tolist()
    predicted = tables.read(results / "predictions" / run, "predictions")
    assert heard == predicted.id[predicted.part == "test"].tolist() != []
    compared = columns.read(results / "reports" / "compare.tsv", "compare")
    assert compared["mode"].tolist() == ["finetuned"]
    wave = Ragged(results / "features" / "wave" / "finetuned" / "fold1.seed1" / "Session1.h5")
    assert wave.attrs["window_s"] == 30


def test_an_option_of_fine_tuning_tunes_extracts_and_trains_and_fetches_nothing(copy):
    config = copy.config()
    config["finetuning"]["learning_rate"] = 2.0e-3
    copy.configure(config)
    bert = tunings("bert", 1, 2) | features("bert", 1, 1, 2) | features("bert", 2, 1, 2)
    assert copy.jobs() == bert | words(1, 2) | recognised(1, 2) | runs("text-only", 1, 2)


def test_a_layer_extracts_and_tunes_nothing(copy):
    config = copy.config()
    config["encoders"]["bert"]["layer"] = 2
    copy.configure(config)
    bert = features("bert", 1, 1, 2) | features("bert", 2, 1, 2)
    assert copy.jobs() == bert | words(1, 2) | recognised(1, 2) | runs("text-only", 1, 2)


def test_another_silence_tunes_and_extracts(copy):
    """What the option does is tested elsewhere; wav2vec 2.0 would refuse it, if it ran."""
    config = copy.config()
    config["experiments"][0]["variants"] = ["full"]
    config["encoders"]["wave"]["silence"] = "full"
    copy.configure(config)
    wave = tunings("wave", 1, 2) | features("wave", 1, 1, 2) | features("wave", 2, 1, 2)
    assert copy.jobs() == wave | runs("full", 1, 2)


def test_a_variant_of_both_modalities_tunes_what_is_not_tuned_yet(copy):
    config = copy.config()
    config["experiments"][0]["variants"] = ["full"]
    copy.configure(config)
    wave = tunings("wave", 2) | features("wave", 1, 2) | features("wave", 2, 1, 2)
    assert copy.jobs() == wave | runs("full", 1, 2)


def test_a_test_sessions_transcript_does_not_tune_its_fold_again(copy):
    path = "corpus/Session1/dialog/transcriptions/Ses01F_impro01.txt"
    change(copy, path, "what a wonderful day", "what a wonderful morning")
    copy.snakemake("split")
    second = tunings("bert", 2) | features("bert", 2, 1, 2) | words(2)
    bert = features("bert", 1, 1) | second | REPLACED | recognised(1, 2)
    first = {job for job in runs("text-only", 1) if job[0] == "train"}
    assert copy.jobs() == bert | runs("text-only", 1, 2) - first
