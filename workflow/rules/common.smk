"""What the other rule files share: the checked config, wildcards, input and params functions.

Every rule has one param, `config`: canonical JSON of just the config sections that it uses, with
a digest of the code that it runs. Snakemake compares it, and the rule's stage gets nothing else:
so a change reruns exactly what it changes.
"""

import re
import sys
from functools import cache
from pathlib import Path

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version, validate

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from labelmer.digest import canonical_json, code_digest, content_key
from labelmer.readers import READERS
from labelmer.stage import InputError

SCHEMA = workflow.source_path("../schemas/config.schema.yaml")


# The config, checked


def schema_problem(error):
    """One sentence for one violation of the schema: where, what, what was expected."""
    place = ": ".join(str(step) for step in error.absolute_path) or "config"
    known = sorted(error.schema.get("properties", {})) if isinstance(error.schema, dict) else []
    if error.validator == "additionalProperties" and known:
        unknown = sorted(set(error.instance) - set(known))
        return f"{place}: unknown keys {unknown}, expected some of {known}"
    if error.validator == "enum":
        return f"{place}: '{error.instance}', expected one of {error.validator_value}"
    if error.validator in ("type", "pattern") and isinstance(error.instance, str):
        wanted = f"expected {error.validator_value}"
        if re.fullmatch(r"[+-]?\d+e[+-]?\d+", error.instance, re.IGNORECASE):
            mantissa, exponent = re.split("e", error.instance, flags=re.IGNORECASE)
            wanted += f"; YAML takes this for text, write {mantissa}.0e{exponent}"
        return f"{place}: '{error.instance}', {wanted}"
    return f"{place}: {error.message}"


def check_schema(config):
    schema = yaml.safe_load(Path(SCHEMA).read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    problems = [schema_problem(e) for e in sorted(errors, key=lambda e: list(map(str, e.path)))]
    if problems:
        raise WorkflowError("\n".join(["the config is not valid.", *problems]))
    validate(config, SCHEMA)  # fills in the defaults


def expect(value, known, place):
    """Complain that a value of the config names nothing that is there."""
    if value not in known:
        raise WorkflowError(f"{place}: '{value}' is not defined, expected one of {sorted(known)}")


def check_across(config):
    """What the schema cannot say: names that must be defined elsewhere, keys that exclude others."""
    encoders, variants, folds = config["encoders"], config["variants"], config["folds"]
    codes = {}
    for label, entry in config["labels"].items():
        for code in entry["codes"]:
            if code in codes:
                raise WorkflowError(
                    f"labels: code '{code}' stands in '{codes[code]}' and in '{label}'; "
                    "a code belongs to one class"
                )
            codes[code] = label
    for name, options in encoders.items():
        if "layer" not in options and not options["source"].startswith("builtin:"):
            raise WorkflowError(
                f"encoders: {name}: layer is missing, expected a number: 0 is what enters the first "
                "layer, -1 the last layer; a middle one is usually best"
            )
    for number, experiment in enumerate(config["experiments"]):
        for modality in ("speech", "text"):
            place = f"experiments: {number}: {modality}"
            name = experiment[modality]
            expect(name, encoders, place)
            if encoders[name]["modality"] != modality:
                fitting = sorted(e for e in encoders if encoders[e]["modality"] == modality)
                raise WorkflowError(
                    f"{place}: '{name}' is a {encoders[name]['modality']} encoder, "
                    f"expected one of {fitting}"
                )
        for name in experiment["variants"]:
            place = f"experiments: {number}: variants"
            expect(name, variants, place)
            for part in variants[name].get("product_of", []):
                expect(part, variants, f"variants: {name}: product_of")
                if "product_of" in variants[part]:
                    raise WorkflowError(
                        f"variants: {name}: product_of: '{part}' is a late fusion itself; "
                        "expected a variant that is trained"
                    )
    runs = [(e["speech"], e["text"], e["mode"]) for e in config["experiments"]]
    if len(set(runs)) < len(runs):
        raise WorkflowError(
            "experiments: two have the same speech, text and mode; put their variants together"
        )
    needing_words = sorted(
        name
        for name in variants
        if model_options(name).get("label_start", {}).get("text") == "words"
    )
    wordless = [label for label, entry in config["labels"].items() if "words" not in entry]
    if needing_words and wordless:
        raise WorkflowError(
            f"labels: {wordless} have no words, and variants {needing_words} start from them"
        )
    if folds["validation"] == "partner" and folds["hold_out"] != "speaker":
        raise WorkflowError(
            "folds: validation: partner goes with hold_out: speaker; with hold_out: session "
            "expected session or dialogues"
        )


def check_corpus(corpus):
    """The corpus is there: its sessions, in order."""
    if not Path(corpus["root"]).exists():
        what = (
            "Put IEMOCAP there (the folder that holds Session1 ... Session5; the licence is to be "
            "had from its authors at USC)"
            if corpus["reader"] == "iemocap"
            else "Put the manifest there (a TSV with id, path, speaker, session, label, text)"
        )
        raise WorkflowError(
            f"corpus: root: there is no '{corpus['root']}'. {what}, or correct the path in the "
            "config. To see labelmer at work without a corpus: make demo"
        )
    present = READERS[corpus["reader"]].sessions(corpus["root"])
    for session in corpus.get("sessions", present):
        expect(session, present, "corpus: sessions")
    return corpus.get("sessions", present)


def model_options(variant):
    """The options of one variant's model: those of `model`, replaced by the variant's."""
    return {**config["model"], **config["variants"][variant]}


check_schema(config)
check_across(config)

CORPUS = config["corpus"]
ROOT = CORPUS["root"]
READER = READERS[CORPUS["reader"]]
try:
    SESSIONS = check_corpus(CORPUS)
    SPEAKERS = [s for session in SESSIONS for s in READER.speakers(ROOT, session)]
except InputError as error:
    raise WorkflowError(str(error))
if len(SESSIONS) < (3 if config["folds"]["validation"] == "session" else 2):
    raise WorkflowError(
        f"folds: validation: the sessions {SESSIONS} are too few to test, validate and train on"
    )
FOLDS = range(1, 1 + len(SESSIONS if config["folds"]["hold_out"] == "session" else SPEAKERS))
SEEDS = config["seeds"]
CLASSES = list(config["labels"])
GPU = int(config["gpu"])

R = f"results/{CORPUS['name']}"
LOGS = f"logs/{CORPUS['name']}"
BENCHMARKS = f"benchmarks/{CORPUS['name']}"
ENVIRONMENT = workflow.source_path("../../envs/labelmer.yaml")

if GPU and "gpu" not in workflow.global_resources:
    logger.warning(
        "gpu: true, but no --resources gpu=1 was given: jobs may crowd on one GPU at the same time."
    )


def one_of(names):
    return "|".join(re.escape(str(name)) for name in names)


wildcard_constraints:
    session=one_of(SESSIONS),
    encoder=one_of(config["encoders"]),
    speech=one_of(e for e, o in config["encoders"].items() if o["modality"] == "speech"),
    text=one_of(e for e, o in config["encoders"].items() if o["modality"] == "text"),
    mode="frozen",
    fold=r"\d+",
    seed=r"\d+",


# Paths

RUN = "{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}"
EXPERIMENT = "{speech}+{text}/{mode}"


def is_trained(variant):
    return "product_of" not in config["variants"][variant]


TRAINED = one_of(filter(is_trained, config["variants"]))
FUSED = one_of(v for v in config["variants"] if not is_trained(v)) or "(?!)"


def modalities(variant):
    return model_options(variant).get("modalities", ["speech", "text"])


def runs(pattern, experiment, variants):
    """The paths of one experiment's runs: variants x folds x seeds."""
    names = {k: experiment[k] for k in ("speech", "text", "mode")}
    return expand(pattern, **names, variant=variants, fold=FOLDS, seed=SEEDS)


def fold_table(number):
    """A fold's table, through the checkpoint: only folds whose table changed run again."""
    checkpoints.split.get()
    return f"{R}/splits/fold{number}.tsv"


# Params: what Snakemake tracks


def tracked(stage, **sections):
    """A rule's one param: the sections that its stage uses, and the digest of the stage's code."""
    return canonical_json({**sections, "code": code_digest(stage)})


def digest_of(text):
    return content_key(text).hex()


@cache
def times_digest(session):
    """Digest of a session's utterance ids and times: what cutting the audio depends on."""
    try:
        table, _ = READER.utterances(ROOT, session)
    except InputError as error:
        raise WorkflowError(str(error))
    return digest_of(table[["id", "start_s", "end_s"]].to_csv(index=False))


# The experiment in words, for every table and caption


def protocol():
    """What is held out, what validates, what becomes of scripts that several sessions share."""
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
