"""What runs again after what change, exactly: the specification of reruns, on the real workflow.

A tiny corpus of three sessions is taken through the workflow once. Each test changes one thing in
a copy of the result and asks a dry run which jobs it would do.
"""

import os
import re
import shutil
import subprocess
import time

import pytest
from conftest import Workspace, made_once, tiny_config
from corpora import Turn, turns_of, write_audio, write_release
from test_encoders import snapshot  # noqa: F401

from labelmer.base import tables
from labelmer.base.ragged import Ragged
from labelmer.report import columns

pytestmark = pytest.mark.slow

FOLDS = (1, 2, 3)
SESSIONS = ("Session1", "Session2", "Session3")
TRAINED = ("full", "speech-only", "text-only")
VARIANTS = (*TRAINED, "late-fusion")


def config_with(bert):
    """demo.yaml on the tiny corpus, with a tiny text encoder and a tiny model."""
    config = tiny_config(transcripts="recognised.tsv")
    config["encoders"]["bert"] = {"modality": "text", "source": f"path:{bert}", "layer": 1}
    del config["encoders"]["minilm"], config["variants"]["additive"]
    config["experiments"][0].update(text="bert", variants=list(VARIANTS))
    return config


def write_recognised(path, turns):
    """A table of recognised words: the last one is missed, and turns of no class are too."""
    rows = [f"{t.id}\t{t.text.rpartition(' ')[0]}" for t in turns if t.code != "fru"]
    path.write_text("\n".join(["id\ttext", *rows]) + "\n")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, snapshot):  # noqa: F811
    """A workspace in which the whole workflow has run."""

    def make(folder):
        workspace = Workspace(folder)
        write_release(workspace.folder / "corpus", turns_of())
        write_recognised(workspace.folder / "recognised.tsv", turns_of())
        shutil.copytree(snapshot("bert"), workspace.folder / "bert")
        workspace.configure(config_with("bert"))
        workspace.snakemake()

    return made_once(tmp_path_factory, "finished", make)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace in another place."""
    return finished.copied(tmp_path / "elsewhere")


def change(workspace, path, old, new):
    """Replace text in a file of the workspace."""
    file = workspace.folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def configure(workspace, **sections):
    """Update sections of the config."""
    config = workspace.config()
    for name, values in sections.items():
        if isinstance(values, dict):
            config[name].update(values)
        else:
            config[name] = values
    workspace.configure(config)


def age(path, days=30):
    """Give a file, or a folder and all that it holds, the times of some days ago."""
    then = time.time() - days * 86_400
    for place in (path, *path.rglob("*")):
        os.utime(place, (then, then))


def swap(workspace, path, old, new):
    """Put an older file with a changed word in the place of a file."""
    change(workspace, path, old, new)
    age(workspace.folder / path)


def only(jobs, *rules):
    return {job for job in jobs if job[0] in rules}


# What a dry run prints of a job: its rule and its first output.


def utterances(*sessions):
    return {("utterances", f"results/tiny/utterances/{s}.tsv") for s in sessions}


def labels(*sessions):
    return {("labels", f"results/tiny/labels/{s}.tsv") for s in sessions}


def segments(*sessions):
    return {("segment", f"results/tiny/segments/{s}.h5") for s in sessions}


def features(encoder, *sessions):
    folder = f"results/tiny/features/{encoder}/frozen"
    return {("extract", f"{folder}/{s}.h5") for s in sessions}


REPLACED = {("transcripts", "results/tiny/transcripts/Session1.tsv")}
RECOGNISED = {
    ("extract_transcripts", f"results/tiny/features/bert/frozen/transcripts/{s}.h5")
    for s in SESSIONS
}


def trainings(variants, folds=FOLDS, seeds=(1,)):
    return _runs("train", "results/tiny/main/models", "/model.safetensors", variants, folds, seeds)


def evaluations(variants, folds=FOLDS, seeds=(1,)):
    return _runs("evaluate", "results/tiny/main/predictions", ".tsv", variants, folds, seeds)


def fusions(folds=FOLDS, seeds=(1,)):
    made = _runs("fuse", "results/tiny/main/predictions", ".tsv", ["late-fusion"], folds, seeds)
    return made | WEIGHTS


def _runs(rule, folder, end, variants, folds, seeds):
    place = f"{folder}/fbank+bert/frozen"
    return {
        (rule, f"{place}/{v}/fold{f}.seed{s}{end}") for v in variants for f in folds for s in seeds
    }


WEIGHTS = {("weights", "results/tiny/main/reports/weights.tsv")}
EXAMPLES = {("plot_examples", "results/tiny/main/reports/figures/fbank+bert/frozen/examples.svg")}
PAGE = {("page", "results/tiny/main/reports/index.html")}
BROWSER = {("browser", "results/tiny/main/reports/browser.json")}


def figures(*kinds):
    folder = "results/tiny/main/reports/figures/fbank+bert/frozen"
    return {(f"plot_{kind.split('.')[-1]}", f"{folder}/{kind}.svg") for kind in kinds}


TABLES = {
    ("tabulate", "results/tiny/main/reports/compare.tsv"),
    *figures("folds", "pairs", "calibration", *(f"{v}.confusion" for v in VARIANTS)),
    *figures("slices", "robustness", "missing_rates", "deletion"),
    *PAGE,
}
REPORTS = TABLES | BROWSER
CURVES = {("convergence", "results/tiny/main/reports/convergence.tsv"), *figures("training")}
SPLIT = {("split", "results/tiny/main/splits/fold1.tsv")}


def runs_of(variants, folds=FOLDS, tested=()):
    """All that follows when these variants are trained anew on these folds.

    tested: other folds, whose models are as they were and have something else to predict.
    """
    every = (*folds, *tested)
    follow = fusions(every) if {"speech-only", "text-only"} & set(variants) else set()
    follow |= EXAMPLES if "full" in variants else set()
    return trainings(variants, folds) | evaluations(variants, every) | follow | REPORTS | CURVES


# What a job is told of the machine


def test_every_job_says_how_much_memory_it_needs(copy):
    _, output = copy.snakemake("--forceall", "--dry-run")
    said = re.findall(
        r"^ *(?:rule|checkpoint) (\w+):\n(?: .*\n)*? +resources: .*mem_mb=(\d+)", output, re.M
    )
    megabytes = {rule: int(number) for rule, number in said}
    rules = set(re.findall(r"^ *(?:rule|checkpoint) (\w+):", output, re.M))
    assert megabytes.keys() == rules - {"all"}
    assert megabytes["train"] > megabytes["page"] > 0


def test_the_largest_session_is_the_first(copy):
    configure(copy, gpu=True)  # so that one job runs at a time
    shutil.rmtree(copy.folder / "results/tiny/features/fbank")
    made = [copy.folder / path for _, path in features("fbank", *SESSIONS)]
    copy.snakemake(*(str(path.relative_to(copy.folder)) for path in made))

    def seconds(path):
        table = copy.folder / f"results/tiny/segments/{path.stem}.tsv"
        return tables.read(table, "segments")["seconds"].sum()

    in_time = sorted(made, key=lambda path: path.stat().st_mtime_ns)
    assert in_time == sorted(made, key=seconds, reverse=True)


# Changes that change nothing


def test_nothing_runs_again_in_another_place(copy):
    assert copy.jobs() == set()
    assert "Nothing to be done" in copy.snakemake()[1]


def test_another_number_of_cores_runs_nothing(copy):
    """Though a job gets more threads then."""
    assert copy.jobs(cores=9) == set()


def test_touching_every_file_runs_nothing(copy):
    for folder in ("labelmer", "workflow", "corpus", "bert"):
        for path in (copy.folder / folder).rglob("*"):
            if path.is_file() and path.suffix != ".wav":
                path.touch()
    for path in ("Snakefile", "config.yaml", "test.yaml", "recognised.tsv"):
        (copy.folder / path).touch()
    assert copy.jobs() == set()


def test_comments_docstrings_and_reformatting_run_nothing(copy):
    for path in (copy.folder / "labelmer").rglob("*.py"):
        path.write_text("# a comment\n\n\n" + path.read_text() + "\n\n# and another\n")
    change(copy, "labelmer/features/encoders/__init__.py", '"""One interface', '"""Some interface')
    change(copy, "labelmer/models/train.py", "WARM_UP = 0.15", "WARM_UP   =   0.15")
    assert copy.jobs() == set()


def test_the_order_of_keys_in_the_config_runs_nothing(copy):
    config = copy.config()
    config["encoders"] = dict(reversed(config["encoders"].items()))
    copy.configure(dict(reversed(config.items())))
    assert copy.jobs() == set()


# Changes of the config


def test_a_learning_rate_trains_every_model(copy):
    configure(copy, training={"learning_rate": 5.0e-4})
    assert copy.jobs() == runs_of(TRAINED)


def test_two_values_that_change_places_are_seen(copy):
    configure(copy, training={"learning_rate": 0.01, "weight_decay": 0.002})
    copy.snakemake("--touch")  # as if all had been made with these
    assert copy.jobs() == set()
    configure(copy, training={"learning_rate": 0.002, "weight_decay": 0.01})
    assert copy.jobs() == runs_of(TRAINED)


def test_a_variant_trains_that_variant(copy):
    configure(copy, variants={"speech-only": {"modalities": ["speech"], "dropout": 0.5}})
    assert copy.jobs() == runs_of(["speech-only"])


def test_a_seed_runs_that_seed(copy):
    configure(copy, seeds=[1, 2])
    seed = {"seeds": (2,)}
    new = trainings(TRAINED, **seed) | evaluations(TRAINED, **seed) | fusions(**seed)
    assert copy.jobs() == new | REPORTS | CURVES


def test_a_seed_multiplies_those_together_anew_and_leaves_the_product_of_fewer(copy):
    late = {"product_of": ["speech-only", "text-only"], "seeds": "together"}
    configure(copy, variants={"late-fusion": late}, seeds=[1, 2])
    before = trainings(TRAINED, seeds=(2,)) | evaluations(TRAINED, seeds=(2,))
    assert copy.jobs() == before | fusions(seeds=("1+2",)) | REPORTS | CURVES
    configure(copy, seeds=[1, 2, 3])
    more = trainings(TRAINED, seeds=(2, 3)) | evaluations(TRAINED, seeds=(2, 3))
    assert copy.jobs() == more | fusions(seeds=("1+2+3",)) | REPORTS | CURVES


@pytest.mark.parametrize("listed", ["text-only", "full"])
def test_a_member_of_another_experiment_trains_alone(copy, listed):
    """Whether that experiment lists it, or another variant alone."""
    own, encoders = copy.config()["experiments"][0], copy.config()["encoders"]
    sums = {"late-fusion": {"product_of": ["speech-only", "other+bert/frozen/text-only"]}}
    here = {**own, "variants": ["full", "speech-only", "late-fusion"]}
    there = {**own, "speech": "other", "variants": [listed]}
    configure(copy, encoders={"other": encoders["fbank"]}, variants=sums, experiments=[here, there])
    for path in ("resources/encoders/fbank", "results/tiny/features/fbank"):
        shutil.copytree(copy.folder / path, (copy.folder / path).with_name("other"))
    for kind in ("models", "predictions", "perturbed", "salience"):  # as if they had been trained
        runs = copy.folder / "results/tiny/main" / kind / "fbank+bert"
        shutil.copytree(runs, runs.with_name("other+bert"))
    copy.snakemake("--touch", "--forceall")  # what was never made has nothing to compare with
    assert not only(copy.jobs(), "train", "evaluate", "fuse", "extract", "fetch")
    configure(copy, variants={"text-only": {"modalities": ["text"], "dropout": 0.5}})
    again = {
        (rule, path.replace("fbank+bert", "other+bert"))
        for rule, path in trainings(["text-only"]) | evaluations(["text-only"])
    }
    made = copy.jobs()
    assert only(made, "train", "evaluate", "fuse") == again | fusions() - WEIGHTS
    assert {rule for rule, _ in made} >= {"tabulate", "weights", "browser", "page"}
    assert not only(made, "extract", "split")


def test_audio_on_the_page_runs_its_browser_alone(copy):
    assert copy.config()["page"] == {"audio": True}  # as in the demo
    configure(copy, page={"audio": False})
    assert copy.jobs() == BROWSER | PAGE


def test_rationales_weigh_salience_and_train_nothing(copy):
    rows = ["id\tmodality\tstart\tend", "Ses01F_impro01_F000\ttext\t0\t4"]
    (copy.folder / "rationales.tsv").write_text("\n".join(rows) + "\n")
    configure(copy, corpus={"rationales": "rationales.tsv"})
    weighed = {("salience", "results/tiny/main/reports/salience.tsv")}
    weighed |= {("rationales", "results/tiny/main/rationales.tsv")}
    figures = "results/tiny/main/reports/figures/fbank+bert/frozen"
    drawn = {("plot_salience", f"{figures}/salience.svg")}
    assert copy.jobs() == weighed | drawn | EXAMPLES | PAGE
    copy.snakemake()
    table = columns.read(copy.folder / "results/tiny/main/reports/salience.tsv", "salience")
    assert set(zip(table["variant"], table["modality"], strict=True)) == {
        ("full", "text"),
        ("text-only", "text"),
    }
    swap(copy, "rationales.tsv", "\t4", "\t6")
    assert copy.jobs() == weighed | drawn | EXAMPLES | PAGE


def test_a_label_scheme_splits_and_trains_and_extracts_nothing(copy):
    configure(copy, labels={"happy": {"codes": ["exc"], "words": "happy and excited"}})
    jobs = copy.jobs()
    assert jobs >= SPLIT
    assert not {rule for rule, _ in jobs} & {"segment", "extract", "fetch"}
    copy.snakemake("split")
    assert copy.jobs() == runs_of(TRAINED)


def test_a_layer_extracts_that_encoder_and_trains_what_uses_it(copy):
    encoder = copy.config()["encoders"]["bert"]
    configure(copy, encoders={"bert": {**encoder, "layer": 2}})
    bert = features("bert", *SESSIONS) | RECOGNISED
    assert copy.jobs() == bert | runs_of(["full", "text-only"])


def test_an_encoders_revision_fetches_and_extracts_that_encoder(copy):
    shutil.copytree(copy.folder / "bert", copy.folder / "bert-2")
    encoder = copy.config()["encoders"]["bert"]
    configure(copy, encoders={"bert": {**encoder, "source": "path:bert-2"}})
    fetched = {("fetch", "resources/encoders/bert")}
    bert = fetched | features("bert", *SESSIONS) | RECOGNISED
    assert copy.jobs() == bert | runs_of(["full", "text-only"])


def test_without_recognised_words_there_is_no_job_for_them(copy):
    config = copy.config()
    del config["corpus"]["transcripts"]
    copy.configure(config)
    assert copy.jobs() == evaluations(["full", "text-only"]) | fusions() | REPORTS | EXAMPLES


def test_a_variant_that_starts_from_words_encodes_the_words_once(copy):
    configure(copy, variants={"words": {"label_start": {"text": "words"}}})
    experiment = copy.config()["experiments"][0]
    configure(copy, experiments=[{**experiment, "variants": ["words"]}])
    words = {("extract_labels", "results/tiny/main/labels/bert.h5")}
    jobs = copy.jobs()
    assert words | trainings(["words"]) | evaluations(["words"]) <= jobs
    assert not {rule for rule, _ in jobs} & {"extract", "fetch"}
    copy.snakemake("results/tiny/main/predictions/fbank+bert/frozen/words/fold1.seed1.tsv")
    file = Ragged(copy.folder / "results/tiny/main/labels/bert.h5")
    assert file.ids == ["angry", "happy", "neutral", "sad"]
    assert file.marks("sad")[0] == "[CLS]" and len(file["sad"]) == len(file.marks("sad"))


# Changes of the corpus


def test_a_corrected_transcript_touches_only_its_sessions_text(copy):
    path = "corpus/Session2/dialog/transcriptions/Ses02F_impro01.txt"
    change(copy, path, "what a wonderful day", "what a wonderful morning")
    assert utterances("Session2") | SPLIT <= copy.jobs()
    copy.snakemake("split")
    words = features("bert", "Session2") | REPLACED | RECOGNISED
    # Fold 2 tests the session, and learned nothing from it.
    assert copy.jobs() == words | runs_of(["full", "text-only"], folds=(1, 3), tested=(2,))
    copy.snakemake("features")
    log = copy.folder / "logs/tiny/features/bert/frozen/Session2.log"
    assert "19 items kept, 1 computed" in log.read_text()


def test_a_recognised_word_computes_one_utterance_and_trains_nothing(copy):
    change(copy, "recognised.tsv", "what a wonderful day", "what a wonderful morning")
    exact = (
        REPLACED | RECOGNISED | evaluations(["full", "text-only"]) | fusions() | REPORTS | EXAMPLES
    )
    assert copy.jobs() == exact
    copy.snakemake(*(path for _, path in RECOGNISED))
    logs = copy.folder / "logs/tiny/features/bert/frozen/transcripts"
    said = [(logs / f"{session}.log").read_text() for session in SESSIONS]
    counts = ["16 items kept, 1 computed", "17 items kept, 0 computed", "17 items kept, 0 computed"]
    assert all(count in text for count, text in zip(counts, said, strict=True))


def test_a_corrected_label_extracts_nothing(copy):
    path = "corpus/Session2/dialog/EmoEvaluation/Ses02F_impro01.txt"
    change(copy, path, "\tneu\t", "\tsad\t")
    assert labels("Session2") | SPLIT <= copy.jobs()
    copy.snakemake("split")
    assert copy.jobs() == runs_of(TRAINED)


def test_a_new_utterance_computes_one_utterance(copy):
    turns = [t for t in turns_of() if t.dialogue == "Ses02F_impro01"]
    turns.append(Turn("Ses02F_impro01_F900", 30.0, 30.5, "ang", "not again please not again"))
    write_release(copy.folder / "new", turns)
    for kind in ("transcriptions", "EmoEvaluation"):
        place = f"Session2/dialog/{kind}/Ses02F_impro01.txt"
        shutil.copy(copy.folder / "new" / place, copy.folder / "corpus" / place)
    folder = copy.folder / "corpus/Session2/sentences/wav/Ses02F_impro01"
    write_audio(folder / "Ses02F_impro01_F900.wav", 0.5, "noise")
    changed = utterances("Session2") | labels("Session2") | segments("Session2") | SPLIT
    jobs = copy.jobs()
    assert changed <= jobs
    assert not {job for job in jobs if "Session1" in job[1] or "Session3" in job[1]}
    copy.snakemake("split")
    both = features("bert", "Session2") | features("fbank", "Session2")
    assert copy.jobs() == both | REPLACED | RECOGNISED | runs_of(TRAINED)
    copy.snakemake("features")
    for encoder in ("bert", "fbank"):
        log = copy.folder / f"logs/tiny/features/{encoder}/frozen/Session2.log"
        assert "20 items kept, 1 computed" in log.read_text()


def test_an_edited_fold_table_trains_that_fold(copy):
    table = copy.folder / "results/tiny/main/splits/fold2.tsv"
    first, second, *rest = table.read_text().splitlines(keepends=True)
    table.write_text("".join([first, *rest]))  # one utterance fewer
    assert second.startswith("Ses01F")
    assert copy.jobs() == runs_of(TRAINED, folds=(2,))


def test_what_is_left_out_is_counted_on_the_page(copy):
    table = copy.folder / "results/tiny/main/splits/left_out.tsv"
    *rest, _ = table.read_text().splitlines(keepends=True)
    table.write_text("".join(rest))  # one line fewer
    assert copy.jobs() == PAGE


# An older corpus in the place of a newer one, as by rsync -a, tar x, cp -p, mv or a link


CORPUS = ("utterances", "labels", "segment", "transcripts")


def test_an_older_transcription_is_seen(copy):
    path = "corpus/Session2/dialog/transcriptions/Ses02F_impro01.txt"
    swap(copy, path, "what a wonderful day", "what a wonderful morning")
    assert only(copy.jobs(), *CORPUS) == utterances("Session2")


def test_an_older_evaluation_is_seen(copy):
    path = "corpus/Session2/dialog/EmoEvaluation/Ses02F_impro01.txt"
    swap(copy, path, "\tneu\t", "\tsad\t")
    assert only(copy.jobs(), *CORPUS) == labels("Session2")


def test_older_recognised_words_are_seen(copy):
    swap(copy, "recognised.tsv", "what a wonderful day", "what a wonderful morning")
    words = REPLACED | RECOGNISED | evaluations(["full", "text-only"])
    assert copy.jobs() == words | fusions() | REPORTS | EXAMPLES


def test_an_older_folder_of_audio_is_seen(copy):
    folder = copy.folder / "corpus/Session2/sentences"
    shutil.copytree(folder, copy.folder / "denoised")
    age(copy.folder / "denoised")
    folder.rename(copy.folder / "raw")
    (copy.folder / "denoised").rename(folder)
    assert only(copy.jobs(), *CORPUS) == segments("Session2")


@pytest.mark.parametrize("done", ["longer", "touched", "gone"])
def test_one_changed_audio_file_cuts_its_session(copy, done):
    path = copy.folder / "corpus/Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F001.wav"
    folder, before = path.parent.stat(), path.stat()
    if done == "longer":
        write_audio(path, 0.9, "noise")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif done == "touched":
        path.touch()
    else:
        path.unlink()
    os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    assert only(copy.jobs(), *CORPUS) == segments("Session2")


def test_a_link_that_points_to_an_older_corpus_is_seen(copy):
    corpus, folder = copy.folder / "corpus", copy.folder
    corpus.rename(folder / "v1")
    shutil.copytree(folder / "v1", folder / "v2")  # of the same sizes and times
    for path in (folder / "v2").glob("Session?/dialog/*/*.txt"):
        words = ("\tneu\t", "\tsad\t") if path.parent.name == "EmoEvaluation" else ("day", "night")
        swap(copy, path.relative_to(folder), *words)
    corpus.symlink_to("v1")
    copy.snakemake("--touch")
    assert copy.jobs() == set()
    corpus.unlink()
    corpus.symlink_to("v2")
    every = utterances(*SESSIONS) | labels(*SESSIONS) | segments(*SESSIONS)
    assert only(copy.jobs(), *CORPUS) == every


# A corpus from the future


def test_a_corpus_from_the_future_runs_and_is_done(copy):
    for name in ("corpus", "recognised.tsv", "bert", "test.yaml"):
        age(copy.folder / name, days=-0.125)
    for name in ("utterances", "transcripts", "labels", "segments", "main/splits"):
        shutil.rmtree(copy.folder / "results" / "tiny" / name)
    shutil.rmtree(copy.folder / "resources")
    made = [path for _, path in {*segments(*SESSIONS), *REPLACED, *SPLIT}]
    copy.snakemake(*made, "resources/encoders/bert")
    assert not only(copy.jobs(), *CORPUS, "fetch", "split")


@pytest.mark.parametrize("part", ["results", "results/tiny/features"])
def test_results_of_a_clock_that_was_ahead_are_named_and_kept(copy, part):
    before = {path.relative_to(copy.folder) for path in (copy.folder / "results").rglob("*")}
    age(copy.folder / part, days=-0.125)
    status, output = copy.snakemake("-n", check=False)
    assert status == 1 and "the clock was ahead when it was made" in output
    command = re.search(r"find -L .* \+", output)[0]
    subprocess.run(command, shell=True, cwd=copy.folder, check=True)
    assert copy.jobs() == set()
    assert {
        path.relative_to(copy.folder) for path in (copy.folder / "results").rglob("*")
    } == before


# A corpus as a table


@pytest.fixture(scope="module")
def listed(tmp_path_factory, finished):
    """A workspace with a manifest, in which the folds have been made."""
    workspace = Workspace(tmp_path_factory.mktemp("listed"))
    corpus = workspace.folder / "corpus"
    rows = [("id", "path", "speaker", "session", "label", "text")]
    for turn in turns_of():
        path = f"audio/{turn.session}/{turn.id}.wav"
        write_audio(corpus / path, 0.1, "noise")
        speaker = turn.id[:5] + turn.id.rpartition("_")[2][0]
        rows.append((turn.id, path, speaker, turn.session, turn.code, turn.text))
    (corpus / "manifest.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    shutil.copytree(finished.folder / "bert", workspace.folder / "bert")
    config = finished.config()
    config["corpus"] = {"name": "tiny", "reader": "manifest", "root": "corpus/manifest.tsv"}
    names = ("sad", "happy", "angry", "neutral")
    config["labels"] = {name: config["labels"][name] for name in names}
    config["folds"] = {"hold_out": "speaker", "validation": "partner"}
    workspace.configure(config)
    workspace.snakemake("splits")
    return workspace


def splits(workspace):
    """The jobs that a dry run of the folds alone would do."""
    return workspace.jobs("splits")


def test_an_older_row_of_a_manifest_is_seen(listed, tmp_path):
    copy = listed.copied(tmp_path / "elsewhere")
    assert splits(copy) == set()
    swap(copy, "corpus/manifest.tsv", "what a wonderful day", "what a wonderful morning")
    assert splits(copy) == utterances("Session1") | SPLIT


def test_older_audio_of_a_manifest_is_seen(listed, tmp_path):
    copy = listed.copied(tmp_path / "elsewhere")
    folder = copy.folder / "corpus" / "audio" / "Session3"
    write_audio(folder / "of-no-row.wav", 0.1, "noise")
    assert splits(copy) == set()
    age(folder)
    assert splits(copy) == segments("Session3") | SPLIT


def test_a_manifest_from_the_future_runs(listed, tmp_path):
    copy = listed.copied(tmp_path / "elsewhere")
    age(copy.folder / "corpus", days=-0.125)
    shutil.rmtree(copy.folder / "results")
    copy.snakemake("splits")
    assert splits(copy) == set()


def test_fewer_folds_leave_no_table_of_the_more(listed, tmp_path):
    copy = listed.copied(tmp_path / "elsewhere")
    folder = copy.folder / "results" / "tiny" / "main" / "splits"
    assert {path.name for path in folder.glob("fold*")} == {f"fold{n}.tsv" for n in range(1, 7)}
    configure(copy, folds={"hold_out": "session", "validation": "session"})
    copy.snakemake("splits")
    assert {path.name for path in folder.glob("fold*")} == {f"fold{n}.tsv" for n in FOLDS}
    assert splits(copy) == set()


def test_the_audit_has_the_classes_in_the_configs_order(listed):
    audit = tables.read(
        listed.folder / "results" / "tiny" / "main" / "splits" / "audit.tsv", "audit"
    )
    names = [column for column in audit.columns if column.startswith("n_")]
    assert names == ["n_sad", "n_happy", "n_angry", "n_neutral"]


# Changes of the code


@pytest.mark.parametrize(
    "path, old, new, jobs",
    [
        ("report/page", "import base64", "import base64, html", PAGE),
        (
            "report/columns",
            "accuracy, fold mean",
            "accuracy, mean over folds",
            TABLES | CURVES | WEIGHTS | EXAMPLES,
        ),
        ("report/tabulate", "DESIGN = [*", "SPARE = 1\nDESIGN = [*", TABLES),
        ("report/browser", "LEVELS, MOST = 15, 4", "LEVELS, MOST = 15, 5", BROWSER | PAGE),
        ("report/slices", "1 / 3, 2 / 3", "1 / 4, 3 / 4", TABLES),
        ("report/runs", "VARIANT, RUN = ", "SPARE = 1\nVARIANT, RUN = ", REPORTS),
        ("report/robustness", "CHANGE = [", "SPARE = 1\nCHANGE = [", TABLES),
        ("scores/intervals", "ALPHA, POWER = 0.05, 0.8", "ALPHA, POWER = 0.05, 0.9", REPORTS),
        ("scores/calibration", "BINS = 15", "BINS = 10", fusions() | REPORTS),
        (
            "models/evaluate",
            "output.logits.cpu()",
            "output.logits.clone().cpu()",
            evaluations(TRAINED) | fusions() | REPORTS | EXAMPLES,
        ),
        ("scores/metrics/f1", "F1, mean over", "F1: mean over", TABLES),
        ("figures/pairs", "s=22", "s=23", figures("pairs") | PAGE),
        ("figures/examples", "RIGHT, WRONG = 4, 2", "RIGHT, WRONG = 3, 3", EXAMPLES | PAGE),
        (
            "models/train",
            "WARM_UP = 0.15",
            "WARM_UP = 0.2",
            runs_of(TRAINED),
        ),
        (
            "features/encoders/text",
            "longest = min(",
            "longest = max(",
            features("bert", *SESSIONS) | RECOGNISED | runs_of(["full", "text-only"]),
        ),
        (
            "features/encoders/base",
            "2**20",
            "2**21",
            {("fetch", f"resources/encoders/{e}") for e in ("bert", "fbank")}
            | features("bert", *SESSIONS)
            | features("fbank", *SESSIONS)
            | RECOGNISED
            | runs_of(TRAINED),
        ),
    ],
)
def test_an_edit_runs_its_stage_and_what_follows(copy, path, old, new, jobs):
    change(copy, f"labelmer/{path}.py", old, new)
    assert copy.jobs() == jobs
