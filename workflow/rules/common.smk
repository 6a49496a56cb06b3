"""What the other files share: the checked config, paths, wildcards, and functions of them.

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
from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from labelmer.__main__ import VERBS
from labelmer.base import tables
from labelmer.base.digest import canonical_json, code_digest, file_digest
from labelmer.base.errors import InputError
from labelmer.config import check
from labelmer.config.corpora import Corpus, check_recordings, shared, tested_on
from labelmer.config.entries import (
    is_together,
    kind_of,
    members_of,
    mode_of,
    name_of,
    seeds_of,
    trains_on_recognised,
    turns_of,
)
from labelmer.config.files import check_files
from labelmer.config.presence import (
    check_codes,
    check_folds,
    check_given,
    check_recognised,
    check_results,
    check_sources,
    check_times,
    files_of_nobody,
)
from labelmer.config.sections import with_defaults
from labelmer.corpus.options import FoldOptions

ENVIRONMENT = workflow.source_path("../../envs/labelmer.yaml")


# The config and the corpus


def told(function, *arguments, **options):
    """Call a function of the package; what it says of bad input is Snakemake's error."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        raise WorkflowError(str(error))


@cache
def utterances_of(corpus, session):
    """The tables "utterances" and "unread" of a session of a corpus, by name."""
    return CORPORA[corpus].reader.utterances(CORPORA[corpus].root, session)


def utterances_here(session):
    return utterances_of(NAME, session)[0]


def ids_here(in_use, names=None):
    """The ids of all utterances of the corpus, or of those named; where in_use, of the sessions in
    use alone."""
    return [
        utterance
        for name in names or [NAME]
        for session in (CORPORA[name].sessions if in_use else CORPORA[name].all_sessions)
        for utterance in utterances_of(name, session)[0].id
    ]


def ids_everywhere(in_use):
    return ids_here(in_use, CORPORA)


# Before `configfile:`, because Snakemake copies what aliases stand for.
told(check_files, workflow.overwrite_configfiles or ["config.yaml"])
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


told(check, config)
config.update(with_defaults(config))
for experiment in config["experiments"]:
    experiment["mode"] = mode_of(experiment)

CORPUS, FOLDING = config["corpus"], FoldOptions(**config["folds"])
NAME = CORPUS["name"]
OTHERS = told(tested_on, config)  # {name of a corpus that is tested on: its config}
CORPORA = {NAME: told(Corpus.of, config, FOLDING.hold_out)}  # each by its name
CORPORA |= {name: told(Corpus.of, other) for name, other in OTHERS.items()}
SESSIONS, SESSIONS_OF_CORPUS = CORPORA[NAME].sessions, CORPORA[NAME].all_sessions
SESSIONS_LEFT_OUT = sorted(set(SESSIONS_OF_CORPUS) - set(SESSIONS))  # by the study
told(check_results, Path("results"))
if workflow.is_main_process:
    told(check_times)
told(check_given, config)
told(check_sources, config)
told(check_recognised, config, ids_here)
for corpus in CORPORA.values():
    if hasattr(corpus.reader, "codes"):
        codes = told(corpus.reader.codes, corpus.root)
        told(check_codes, corpus.labels, codes, corpus is CORPORA[NAME])
    for session in corpus.sessions:  # are the folders there?
        told(corpus.reader.audio_files, corpus.root, session, **corpus.options)
if OTHERS:
    told(
        check_recordings,
        [CORPORA[name] for name in OTHERS],
        CORPORA[NAME],
        lambda *place: utterances_of(*place)[0],
    )
for warning in told(files_of_nobody, config, ids_everywhere):
    logger.warning(warning)
PARTS_OF_CORPUS = config["folds"].get("parts")
FOLDS = range(1, 1 + told(check_folds, config, SESSIONS, utterances_here))
SEEDS = config["seeds"]
CLASSES = list(config["labels"])
GPU = int(config["gpu"])
# Megabytes that a job may need: a quarter more than measured; docs/configuration.md says of what.
MEMORY = {"plain": 1500, "torch": 2000, "encoder": 2000, "tuning": 11_000}


def memory(kind):
    """What a job asks for, and when it is tried again twice as much."""
    return lambda wildcards, attempt: MEMORY[kind] * attempt


# On a cluster --resources gpu=1 is of each submission; the Snakemake that runs there is not told.
resource_scopes:
    gpu="local",


if not workflow.is_main_process:
    workflow.register_resource("gpu", 1)

if GPU and "gpu" not in workflow.global_resources:
    logger.warning("gpu: true, but no --resources gpu=1: jobs may crowd on one GPU.")


# Paths

# C: what depends on a corpus and the encoders alone, for all studies; S: what depends on the
# study's question. Logs and benchmarks mirror them.
C, C_LOGS, C_BENCHMARKS = (f"{top}/{{corpus}}" for top in ("results", "logs", "benchmarks"))
S, LOGS, BENCHMARKS = (
    f"{top}/{config['study']}".format(corpus=NAME) for top in (C, C_LOGS, C_BENCHMARKS)
)
TUNED = "fold{fold}.seed{seed}"  # an encoder, for this fold and seed
EXPERIMENT = "{speech}+{text}/{mode}"
RUN = f"{EXPERIMENT}/{{variant}}/fold{{fold}}.seed{{seed}}"
PREDICTIONS = f"{S}/predictions/{RUN}.tsv"
ABOUT, HISTORY = f"{S}/models/{RUN}/config.json", f"{S}/models/{RUN}/history.tsv"
PERTURBED = f"{S}/perturbed/{RUN}.tsv"
WEIGHTS = f"{S}/weights/{RUN}.tsv"
SALIENCE = f"{S}/salience/{RUN}"
TRANSFER = f"{S}/transfer/{{corpus}}"  # of the models to another corpus


def in_corpus(path, sessions=SESSIONS, corpus=NAME):
    """The paths of some sessions below C."""
    return expand(f"{C}/{path}", corpus=corpus, session=sessions)


def one_of(names):
    """A wildcard's constraint: just these names, or nothing at all."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def encoders_of(modality):
    return [name for name, e in config["encoders"].items() if e["modality"] == modality]


KINDS = {variant: kind_of(config, variant) for variant in config["variants"]}
# How many turns before an utterance each variant looks at, and whether as many after it.
TURNS = {variant: turns_of(config, variant) for variant in config["variants"]}
TRAINED, LINEAR, METADATA, FUSED = (
    one_of(v for v in KINDS if KINDS[v] == kind)
    for kind in ("network", "linear", "metadata", "product")
)


wildcard_constraints:
    corpus=one_of(CORPORA),
    session=one_of(sorted({s for corpus in CORPORA.values() for s in corpus.all_sessions})),
    encoder=one_of(config["encoders"]),
    speech=one_of(encoders_of("speech")),
    text=one_of(encoders_of("text")),
    mode=f"frozen({tables.RECOGNISED})?|finetuned",
    fold=r"\d+",
    seed=r"\d+(\+\d+)*",


TRANSCRIBER = config.get("transcriber")
ANY_RECOGNISED = bool(TRANSCRIBER) or "transcripts" in CORPUS
# Where recognised words and their features stand, below C and below an encoder's features: those of
# another transcriber stand beside them.
TRANSCRIPTS = f"transcripts/{TRANSCRIBER['name']}" if TRANSCRIBER else "transcripts"

USED = {KINDS[variant] for e in config["experiments"] for variant in e["variants"]}
ANY_TRAINED, ANY_FUSED = "network" in USED, "product" in USED
if workflow.is_main_process:
    # Variants on the same features stand in one table, whichever experiment names them.
    BESIDE = {}
    for e in config["experiments"]:
        kinds = BESIDE.setdefault(f"{e['speech']} and {e['text']}, {e['mode']}", set())
        kinds.update(KINDS[variant] for variant in e["variants"])
    for features, kinds in BESIDE.items():
        if "network" in kinds and "linear" not in kinds:
            logger.warning(
                f"experiments: on {features}, no variant is of architecture: linear, so that no table will say "
                "whether a network is better than logistic regression on the means of the same features; add one."
            )
# Salience is of networks.
RATIONALES = [CORPUS["rationales"]] if "rationales" in CORPUS and ANY_TRAINED else []
CHECKED_RATIONALES = [f"{S}/rationales.tsv"] if RATIONALES else []


# Params


def tracked(stage, *loaded, **sections):
    """The param `config`: the sections that a stage uses, and the digests of its code.

    loaded: modules that the stage loads by name, which are in no digest but their own.
    """
    code = [code_digest(module) for module in (VERBS[stage][0], *loaded)]
    return canonical_json({**sections, "code": " ".join(code)})


def given(key):
    """Digest of a table that the config gives beside the corpus, or None where there is none."""
    return file_digest(CORPUS[key]) if key in CORPUS else None


def split_table(name):
    """A table of the checkpoint: only what it changed for runs again."""

    def table(wildcards):
        checkpoints.split.get()
        return f"{S}/splits/{name}.tsv".format(**wildcards)

    return table


def sessions_of(wildcards, *parts):
    """The sessions that stand in some parts of a fold."""
    path = Path(split_table("fold{fold}")(wildcards))
    found = sessions_in(path, path.stat().st_mtime_ns)
    return sorted(set().union(*(found.get(part, ()) for part in parts)))


@cache
def sessions_in(path, time):
    """The sessions of each part of a fold table, which many jobs ask for: {part: set}."""
    return told(tables.read, path, "fold").groupby("part")["session"].agg(set).to_dict()


def feature_folder(encoder, mode, fold, seed, corpus=NAME):
    """Where an encoder's features are: the same for all folds and seeds, or for each its own."""
    if mode == "finetuned":
        top = S if corpus == NAME else TRANSFER.format(corpus=corpus)
        return f"{top}/features/{encoder}/finetuned/{TUNED}".format(fold=fold, seed=seed)
    folder = f"{C}/features/{encoder}/frozen".format(corpus=corpus)
    recognised = tables.is_recognised(mode) and encoder in encoders_of("text")
    return f"{folder}/{TRANSCRIPTS}" if recognised else folder


def runs(pattern, experiment, variants):
    """The paths of one experiment's runs: variants x folds x seeds."""
    names = {key: experiment[key] for key in ("speech", "text", "mode")}
    return [
        path
        for variant in variants
        for path in expand(
            pattern, **names, variant=variant, fold=FOLDS, seed=seeds_of(config, variant)
        )
    ]


def experiment_of(wildcards):
    keys = ("speech", "text", "mode")
    return next(e for e in config["experiments"] if all(e[k] == wildcards[k] for k in keys))


def trained(experiment):
    """The variants of an experiment that are networks: these have a history and salience."""
    return [v for v in experiment["variants"] if KINDS[v] == "network"]


def all_variants(experiment):
    return experiment["variants"]


def fused(experiment):
    """The variants of an experiment that are late fusions."""
    return [v for v in experiment["variants"] if KINDS[v] == "product"]


def members(experiment, variant):
    """(experiment, variant) of each that a late fusion multiplies; of another variant itself."""
    return members_of(config, variant, name_of(experiment))


def from_metadata(experiment):
    """The models of metadata of an experiment, in late fusions too, also those of another."""
    every = [m for e in config["experiments"] for v in e["variants"] for m in members(e, v)]
    own = dict.fromkeys(v for home, v in every if home == name_of(experiment))
    return [v for v in own if KINDS[v] == "metadata"]


def every_run(pattern, variants=all_variants):
    """The paths of the runs of all experiments; variants(experiment) names those that count."""
    return [path for e in config["experiments"] for path in runs(pattern, e, variants(e))]
