"""What the other files share: the checked config, wildcards, input and params functions.

The param `config` of each stage is canonical JSON of just the sections that the stage uses, with a
digest of its code. Snakemake compares it, and the stage gets nothing else of the config: so a
change reruns exactly what it changes.
"""

import re
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version, validate

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from labelmer import tables
from labelmer.config import (
    check,
    check_given,
    kind_of,
    linear_options,
    options_of,
    sessions,
    starts_from_words,
)
from labelmer.digest import canonical_json, code_digest, content_key, file_digest
from labelmer.readers import READERS
from labelmer.result_tables import reference_of
from labelmer.errors import InputError

SCHEMA = workflow.source_path("../schemas/config.schema.yaml")
ENVIRONMENT = workflow.source_path("../../envs/labelmer.yaml")


# The config and the corpus


def told(function, *arguments):
    """Call a function of the package; what it says of bad input is Snakemake's error."""
    try:
        return function(*arguments)
    except InputError as error:
        raise WorkflowError(str(error))


told(check, config, SCHEMA)
validate(config, SCHEMA)  # fills in the defaults

CORPUS = config["corpus"]
ROOT = CORPUS["root"]
MANIFEST = CORPUS["reader"] == "manifest"
READER = READERS[CORPUS["reader"]]
SESSIONS = told(sessions, CORPUS)
told(check_given, CORPUS)
SPEAKERS = [speaker for session in SESSIONS for speaker in told(READER.speakers, ROOT, session)]
if len(SESSIONS) < (3 if config["folds"]["validation"] == "session" else 2):
    raise WorkflowError(
        f"folds: the corpus has the sessions {SESSIONS}; expected three or more, so that one tests, "
        "one validates and the rest trains (two, with validation: partner or dialogues); group its "
        "speakers into more sessions"
    )
if "labels" in SESSIONS:  # features/.../labels.h5 holds the labels' words
    raise WorkflowError("corpus: sessions: 'labels' names another file; rename the session")
FOLDS = range(1, 1 + len(SESSIONS if config["folds"]["hold_out"] == "session" else SPEAKERS))
SEEDS = config["seeds"]
CLASSES = list(config["labels"])
GPU = int(config["gpu"])
# Of an encoder's job, so that the jobs of all sessions, or of all folds, run beside each other.
SHARE_OF_CORES = max(1, (workflow.resource_settings.cores or 1) // len(SESSIONS))

if GPU and "gpu" not in workflow.global_resources:
    logger.warning("gpu: true, but no --resources gpu=1: jobs may crowd on one GPU.")


# Paths

R = f"results/{CORPUS['name']}"
LOGS = f"logs/{CORPUS['name']}"
BENCHMARKS = f"benchmarks/{CORPUS['name']}"
TUNED = "fold{fold}.seed{seed}"  # an encoder, for this fold and seed
EXPERIMENT = "{speech}+{text}/{mode}"
RUN = f"{EXPERIMENT}/{{variant}}/fold{{fold}}.seed{{seed}}"
PREDICTIONS = f"{R}/predictions/{RUN}.tsv"
PERTURBED = f"{R}/perturbed/{RUN}.tsv"
SALIENCE = f"{R}/salience/{RUN}"
FIGURES = f"{R}/reports/figures/{EXPERIMENT}"


def one_of(names):
    """A wildcard's constraint: just these names, or nothing at all."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def encoders_of(modality):
    return [name for name, e in config["encoders"].items() if e["modality"] == modality]


KINDS = {variant: kind_of(config, variant) for variant in config["variants"]}
TRAINED, LINEAR, FUSED = (
    one_of(v for v in KINDS if KINDS[v] == kind) for kind in ("network", "linear", "product")
)


wildcard_constraints:
    session=one_of(SESSIONS),
    encoder=one_of(config["encoders"]),
    speech=one_of(encoders_of("speech")),
    text=one_of(encoders_of("text")),
    mode="frozen|finetuned",
    fold=r"\d+",
    seed=r"\d+",


# Salience is of networks.
ANY_TRAINED = any(KINDS[v] == "network" for e in config["experiments"] for v in e["variants"])
RATIONALES = [CORPUS["rationales"]] if "rationales" in CORPUS and ANY_TRAINED else []


# Params


def tracked(stage, **sections):
    """The param `config`: the sections that a stage uses, and the digest of the stage's code."""
    return canonical_json({**sections, "code": code_digest(stage)})


def digest_of(text):
    return content_key(text).hex()


@cache
def rows_digest(session, rows):
    """Digest of a session's rows of a manifest, which is one file for all sessions."""
    return digest_of(told(getattr(READER, rows), ROOT, session))


@cache
def times_digest(session):
    """Digest of a session's utterance ids and times: what cutting the audio depends on."""
    table, _ = told(READER.utterances, ROOT, session)
    return digest_of(table[["id", "start_s", "end_s"]].to_csv(index=False))


def annotate_params(rows):
    """Params of a rule that reads a session's annotations."""

    def params(wildcards):
        corpus = {key: CORPUS[key] for key in ("reader", "root")}
        changes = {"rows": rows_digest(wildcards.session, rows)} if MANIFEST else {}
        return tracked("annotate", corpus=corpus, **changes)

    return params


def segment_params(wildcards):
    corpus = {key: CORPUS[key] for key in ("reader", "root")}
    if MANIFEST:
        return tracked("segment", corpus=corpus, rows=rows_digest(wildcards.session, "audio_rows"))
    corpus["audio"] = CORPUS["audio"]
    return tracked("segment", corpus=corpus, times=times_digest(wildcards.session))


def encoder_of(wildcards):
    return config["encoders"][wildcards.encoder]


def encoding(wildcards):
    """What an encoder's entry says of how features are made with it."""
    encoder = encoder_of(wildcards)
    return {key: encoder[key] for key in ("layer", "window_s") if key in encoder}


def finetune_params(wildcards):
    window = {key: value for key, value in encoding(wildcards).items() if key == "window_s"}
    return tracked("finetune", classes=CLASSES, finetuning=config["finetuning"], **window)


# Inputs


def transcripts(wildcards):
    # ancient: the manifest's time and bytes do not count, rows_digest does.
    return ancient(ROOT) if MANIFEST else told(READER.transcript_files, ROOT, wildcards.session)


def evaluations(wildcards):
    return ancient(ROOT) if MANIFEST else told(READER.label_files, ROOT, wildcards.session)


def audio(wildcards):
    return told(READER.audio_files, ROOT, wildcards.session, CORPUS["audio"])


def snapshot_files(source):
    """The files of a snapshot that lies on this machine; others are named by their revision."""
    kind, _, place = source.partition(":")
    if kind != "path":
        return []
    if not Path(place).is_dir():
        raise WorkflowError(
            f"encoders: source: there is no folder '{place}', expected one with config.json and "
            "model.safetensors; correct the path"
        )
    return sorted(str(path) for path in Path(place).iterdir() if path.is_file())


@cache
def snapshot_digests(source):
    """What a local snapshot's files hold: their times do not count, however large they are."""
    return {Path(path).name: file_digest(path) for path in snapshot_files(source)}


def fetch_params(wildcards):
    source = encoder_of(wildcards)["source"]
    return tracked("fetch", source=source, files=snapshot_digests(source))


def content_of(encoder, session):
    """What an encoder reads of a session."""
    if config["encoders"][encoder]["modality"] == "speech":
        return f"{R}/segments/{session}.h5"
    return f"{R}/utterances/{session}.tsv"


def segments_or_utterances(wildcards):
    return content_of(wildcards.encoder, wildcards.session)


def split_table(name):
    """A table of the checkpoint: only what it changed for runs again."""

    def table(wildcards):
        checkpoints.split.get()
        return f"{R}/splits/{name}.tsv".format(**wildcards)

    return table


def fold_tables(wildcards):
    """The tables of all folds: they name the speakers of the utterances."""
    return [split_table(f"fold{fold}")(wildcards) for fold in FOLDS]


def sessions_of(wildcards, *parts):
    """The sessions that stand in some parts of a fold."""
    fold = told(tables.read, split_table("fold{fold}")(wildcards), "fold")
    return sorted(set(fold["session"][fold["part"].isin(parts)]))


def taught_by(wildcards):
    """What an encoder reads of the sessions that train and validate, and of no other."""
    teaching = sessions_of(wildcards, "train", "validation")
    return [content_of(wildcards.encoder, session) for session in teaching]


def modalities(variant):
    return options_of(config, variant).get("modalities", ["speech", "text"])


def feature_folder(encoder, mode, fold, seed):
    """Where an encoder's features are: the same for all folds and seeds, or for each its own."""
    folder = f"{R}/features/{encoder}/{mode}"
    return folder if mode == "frozen" else f"{folder}/{TUNED}".format(fold=fold, seed=seed)


def features_of(modality):
    """The feature files of one modality, or none where the variant does without it."""

    def files(wildcards):
        if modality not in modalities(wildcards.variant):
            return []
        run = wildcards.mode, wildcards.fold, wildcards.seed
        folder = feature_folder(wildcards[modality], *run)
        return [f"{folder}/{session}.h5" for session in SESSIONS]

    return files


def transcript_features(wildcards):
    """The text features of the test part's recognised words, or none where there are no words."""
    if "transcripts" not in CORPUS or "text" not in modalities(wildcards.variant):
        return []
    run = wildcards.mode, wildcards.fold, wildcards.seed
    folder = f"{feature_folder(wildcards.text, *run)}/transcripts"
    return [f"{folder}/{session}.h5" for session in sessions_of(wildcards, "test")]


def label_words(wildcards):
    """The labels' words as the text encoder reads them, where the variant starts from them."""
    starts = starts_from_words(options_of(config, wildcards.variant))
    if not starts or "text" not in modalities(wildcards.variant):
        return []
    run = wildcards.mode, wildcards.fold, wildcards.seed
    return f"{feature_folder(wildcards.text, *run)}/labels.h5"


def multiplied(folder):
    """The tables in a folder of the variants that a late fusion multiplies."""

    def tables_of_all(wildcards):
        parts = config["variants"][wildcards.variant]["product_of"]
        return [f"{R}/{folder}/{RUN}.tsv".format(**{**wildcards, "variant": v}) for v in parts]

    return tables_of_all


def runs(pattern, experiment, variants, seeds=SEEDS):
    """The paths of one experiment's runs: variants x folds x seeds."""
    names = {key: experiment[key] for key in ("speech", "text", "mode")}
    return expand(pattern, **names, variant=variants, fold=FOLDS, seed=seeds)


def experiment_of(wildcards):
    keys = ("speech", "text", "mode")
    return next(e for e in config["experiments"] if all(e[k] == wildcards[k] for k in keys))


def trained(experiment):
    """The variants of an experiment that are networks: these have a history and salience."""
    return [v for v in experiment["variants"] if KINDS[v] == "network"]


def histories(wildcards):
    """The histories of all that an experiment trained."""
    experiment = experiment_of(wildcards)
    return runs(f"{R}/models/{RUN}/history.tsv", experiment, trained(experiment))


def examples_of(pattern):
    """Paths of the runs that the examples are of: the reference variant's, with the first seed."""

    def paths(wildcards):
        experiment = experiment_of(wildcards)
        return runs(pattern, experiment, reference_of(trained(experiment)), SEEDS[0])

    return paths


def all_features():
    folders = {
        feature_folder(experiment[modality], experiment["mode"], fold, seed)
        for experiment in config["experiments"]
        for modality in ("speech", "text")
        for fold in FOLDS
        for seed in SEEDS
    }
    return expand("{folder}/{session}.h5", folder=sorted(folders), session=SESSIONS)


def all_variants(experiment):
    return experiment["variants"]


def every_run(pattern, variants=all_variants):
    """The paths of the runs of all experiments; variants(experiment) names those that count."""
    return [path for e in config["experiments"] for path in runs(pattern, e, variants(e))]


def every_run_short(pattern, variants=all_variants):
    """A function of the same paths, short for bash to expand: a whole command may have 128 KiB."""

    def braces(values):
        return f"{{{','.join(map(str, values))}}}" if len(values) > 1 else values[0]

    def paths(wildcards):  # a function, as braces in a plain param are wildcards
        return [
            pattern.format(**e, variant=braces(variants(e)), fold=braces(FOLDS), seed=braces(SEEDS))
            for e in config["experiments"]
            if variants(e)
        ]

    return paths


def kinds_of_figures(experiment):
    """The figures of an experiment: without a training or a pair there are none of these."""
    variants = experiment["variants"]
    kinds = ["folds", "slices", "calibration", "robustness", *(f"{v}.confusion" for v in variants)]
    if trained(experiment):
        kinds += ["training", "deletion", "examples", *(["salience"] if RATIONALES else [])]
    return kinds + (["pairs"] if len(variants) > 1 else [])


def all_figures():
    return [
        f"{FIGURES}/{kind}.{suffix}".format(**experiment)
        for experiment in config["experiments"]
        for kind in kinds_of_figures(experiment)
        for suffix in ("svg", "png")
    ]


# The protocol in words, for every table


def protocol():
    folds = config["folds"]
    validation = {
        "session": "the next session validates",
        "partner": "the other speaker of the session validates",
        "dialogues": f"whole dialogues of the training sessions validate (a share of "
        f"{folds['fraction']:g}; their speakers train as well)",
    }[folds["validation"]]
    scripts = {
        "keep": "scripts that several sessions share are kept",
        "drop": "training turns whose words stand in validation or test are dropped",
    }[folds["shared_scripts"]]
    return f"{len(FOLDS)} folds, one {folds['hold_out']} held out; {validation}; {scripts}"


SELECTION = (
    "the epoch with the best mean of WA and UA on the validation part; "
    "the test part chooses nothing"
)
