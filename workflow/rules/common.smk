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

from labelmer.__main__ import VERBS
from labelmer.base import tables
from labelmer.config import (
    architecture_of,
    check,
    check_codes,
    check_files,
    check_given,
    check_sources,
    encoding,
    kind_of,
    options_of,
    sessions,
    starts_from_words,
)
from labelmer.base.digest import (
    canonical_json,
    code_digest,
    content_key,
    file_digest,
    places_digest,
)
from labelmer.corpus import readers
from labelmer.features.encoders import builtins, family_of, options_in
from labelmer.models.architectures import module_of
from labelmer.base.errors import InputError

SCHEMA = workflow.source_path("../schemas/config.schema.yaml")
ENVIRONMENT = workflow.source_path("../../envs/labelmer.yaml")


# The config and the corpus


def told(function, *arguments, **options):
    """Call a function of the package; what it says of bad input is Snakemake's error."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        raise WorkflowError(str(error))


told(check_files, workflow.configfiles)
told(check, config, SCHEMA)
validate(config, SCHEMA)  # fills in the defaults

CORPUS = config["corpus"]
ROOT = CORPUS["root"]
READER = readers.load(CORPUS["reader"])
READER_OPTIONS = readers.options_of(CORPUS)
SESSIONS = told(sessions, CORPUS)
SESSIONS_OF_CORPUS = told(READER.sessions, ROOT)  # those that the study leaves out, too
told(check_given, CORPUS)
told(check_sources, config)
if hasattr(READER, "codes"):
    told(check_codes, config["labels"], told(READER.codes, ROOT))
for session in SESSIONS:
    told(READER.audio_files, ROOT, session, **READER_OPTIONS)  # are the folders there?
SPEAKERS = [speaker for session in SESSIONS for speaker in told(READER.speakers, ROOT, session)]
if len(SESSIONS) < (3 if config["folds"]["validation"] == "session" else 2):
    raise WorkflowError(
        f"folds: the corpus has the sessions {SESSIONS}; expected three or more, so that one tests, "
        "one validates and the rest trains (two, with validation: partner or dialogues); group its "
        "speakers into more sessions"
    )
FOLDS = range(1, 1 + len(SESSIONS if config["folds"]["hold_out"] == "session" else SPEAKERS))
SEEDS = config["seeds"]
CLASSES = list(config["labels"])
GPU = int(config["gpu"])
# Of an encoder's job, so that the jobs of all sessions, or of all folds, run beside each other.
SHARE_OF_CORES = max(1, (workflow.resource_settings.cores or 1) // len(SESSIONS))

if GPU and "gpu" not in workflow.global_resources:
    logger.warning("gpu: true, but no --resources gpu=1: jobs may crowd on one GPU.")


# Paths

# C: what depends on the corpus and the encoders alone, for all studies; S: what depends on the
# study's question. Logs and benchmarks mirror them.
C, C_LOGS, C_BENCHMARKS = (f"{top}/{CORPUS['name']}" for top in ("results", "logs", "benchmarks"))
S, LOGS, BENCHMARKS = (f"{top}/{config['study']}" for top in (C, C_LOGS, C_BENCHMARKS))
TUNED = "fold{fold}.seed{seed}"  # an encoder, for this fold and seed
EXPERIMENT = "{speech}+{text}/{mode}"
RUN = f"{EXPERIMENT}/{{variant}}/fold{{fold}}.seed{{seed}}"
PREDICTIONS = f"{S}/predictions/{RUN}.tsv"
HISTORY = f"{S}/models/{RUN}/history.tsv"
PERTURBED = f"{S}/perturbed/{RUN}.tsv"
SALIENCE = f"{S}/salience/{RUN}"


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
    session=one_of(SESSIONS_OF_CORPUS),
    encoder=one_of(config["encoders"]),
    speech=one_of(encoders_of("speech")),
    text=one_of(encoders_of("text")),
    mode="frozen|finetuned",
    fold=r"\d+",
    seed=r"\d+",


# Salience is of networks.
ANY_TRAINED = any(KINDS[v] == "network" for e in config["experiments"] for v in e["variants"])
RATIONALES = [CORPUS["rationales"]] if "rationales" in CORPUS and ANY_TRAINED else []
CHECKED_RATIONALES = [f"{S}/rationales.tsv"] if RATIONALES else []


# Params


def tracked(stage, *loaded, **sections):
    """The param `config`: the sections that a stage uses, and the digests of its code.

    loaded: modules that the stage loads by name, which are in no digest but their own.
    """
    code = [code_digest(module) for module in (VERBS[stage][0], *loaded)]
    return canonical_json({**sections, "code": " ".join(code)})


def architecture(wildcards):
    """The module of a variant's architecture, and of no other."""
    return module_of(architecture_of(config, wildcards.variant))


# The corpus' files are no inputs of any rule, as Snakemake looks at the times of inputs: an older
# corpus in the place of a newer one would change nothing, and a file from the future would fail a
# job that has done its work. What the jobs read of them is digested here instead.

READING = {key: CORPUS[key] for key in ("reader", "root")}
READER_MODULE = f"corpus.readers.{CORPUS['reader']}"


@cache
def utterances_of(session):
    return READER.utterances(ROOT, session)


def digest_of(function, *arguments):
    """Digest of text that a function makes of the corpus. Of bad input it is what the reader says:
    the job will say it, in its log."""
    try:
        return content_key(*function(*arguments)).hex()
    except InputError as error:
        return str(error)


def utterance_rows(session):
    return [frame.to_csv(index=False) for frame in utterances_of(session)]


def label_rows(session):
    return [READER.labels(ROOT, session).to_csv(index=False)]


def cuts(session):
    """What is cut from which files, as they are. Words do not count: a corrected one must not cut
    the audio anew."""
    table, _ = utterances_of(session)
    clips = READER.clips(ROOT, table.sort_values("id"), **READER_OPTIONS)
    stretches = [(name, str(path), start, end) for name, path, start, end in clips]
    return canonical_json(stretches), places_digest(path for _, path, _, _ in stretches)


def utterances_params(wildcards):
    rows = digest_of(utterance_rows, wildcards.session)
    return tracked("utterances", READER_MODULE, corpus=READING, rows=rows)


def labels_params(wildcards):
    rows = digest_of(label_rows, wildcards.session)
    return tracked("labels", READER_MODULE, corpus=READING, rows=rows)


def segment_params(wildcards):
    corpus = {**READING, **READER_OPTIONS}
    digest = digest_of(cuts, wildcards.session)
    return tracked("segment", READER_MODULE, corpus=corpus, cuts=digest)


def given(key):
    """Digest of a table that the config gives beside the corpus, or None where there is none."""
    return file_digest(CORPUS[key]) if key in CORPUS else None


def encoder_of(wildcards):
    return config["encoders"][wildcards.encoder]


def family(wildcards):
    """The module of an encoder's family, in a list; none before the encoder is fetched.

    Snakemake asks for params again right before a job, so what is recorded always has it.
    """
    try:
        return [family_of(f"resources/encoders/{wildcards.encoder}").module]
    except InputError:
        return []


def extract_params(wildcards, **sections):
    sections |= encoding(encoder_of(wildcards))
    return tracked("extract", *family(wildcards), **sections)


def finetune_params(wildcards):
    seen = options_in(encoding(encoder_of(wildcards)))
    sections = {"classes": CLASSES, "finetuning": config["finetuning"], **seen}
    return tracked("finetune", *family(wildcards), **sections)


# Inputs


def snapshot_files(source):
    """The files of a snapshot that lies on this machine; others are named by their revision."""
    kind, _, place = source.partition(":")
    if kind != "path":
        return []
    return sorted(str(path) for path in Path(place).iterdir() if path.is_file())


@cache
def snapshot_digests(source):
    """What a local snapshot's files hold: their times do not count, however large they are."""
    return {Path(path).name: file_digest(path) for path in snapshot_files(source)}


def fetch_params(wildcards):
    source = encoder_of(wildcards)["source"]
    files = builtins().get(source) or snapshot_digests(source)
    return tracked("fetch", source=source, files=files)


def content_of(encoder, session):
    """What an encoder reads of a session."""
    if config["encoders"][encoder]["modality"] == "speech":
        return f"{C}/segments/{session}.h5"
    return f"{C}/utterances/{session}.tsv"


def segments_or_utterances(wildcards):
    return content_of(wildcards.encoder, wildcards.session)


def split_table(name):
    """A table of the checkpoint: only what it changed for runs again."""

    def table(wildcards):
        checkpoints.split.get()
        return f"{S}/splits/{name}.tsv".format(**wildcards)

    return table


def fold_tables(wildcards):
    """The tables of all folds: they name the speakers of the utterances."""
    return [split_table(f"fold{fold}")(wildcards) for fold in FOLDS]


def sessions_of(wildcards, *parts):
    """The sessions that stand in some parts of a fold."""
    path = Path(split_table("fold{fold}")(wildcards))
    found = sessions_in(path, path.stat().st_mtime_ns)
    return sorted(set().union(*(found.get(part, ()) for part in parts)))


@cache
def sessions_in(path, time):
    """The sessions of each part of a fold table, which many jobs ask for: {part: set}."""
    return told(tables.read, path, "fold").groupby("part")["session"].agg(set).to_dict()


def taught_by(wildcards):
    """What an encoder reads of the sessions that train and validate, and of no other."""
    teaching = sessions_of(wildcards, "train", "validation")
    return [content_of(wildcards.encoder, session) for session in teaching]


def modalities(variant):
    return options_of(config, variant).get("modalities", ["speech", "text"])


def feature_folder(encoder, mode, fold, seed):
    """Where an encoder's features are: the same for all folds and seeds, or for each its own."""
    if mode == "frozen":
        return f"{C}/features/{encoder}/frozen"
    return f"{S}/features/{encoder}/finetuned/{TUNED}".format(fold=fold, seed=seed)


def features_of(modality, *parts):
    """The feature files of one modality, of the sessions that stand in some parts of a fold and of
    no other; or none where the variant does without it."""

    def files(wildcards):
        if modality not in modalities(wildcards.variant):
            return []
        run = wildcards.mode, wildcards.fold, wildcards.seed
        folder = feature_folder(wildcards[modality], *run)
        return [f"{folder}/{session}.h5" for session in sessions_of(wildcards, *parts)]

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
    words = f"{S}/labels/{wildcards.text}"
    return (
        f"{words}.h5" if wildcards.mode == "frozen" else f"{words}/{TUNED}.h5".format(**wildcards)
    )


def multiplied(folder):
    """The tables in a folder of the variants that a late fusion multiplies."""

    def tables_of_all(wildcards):
        parts = config["variants"][wildcards.variant]["product_of"]
        return [f"{S}/{folder}/{RUN}.tsv".format(**{**wildcards, "variant": v}) for v in parts]

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
