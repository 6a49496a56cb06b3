"""The sections of config.yaml, and the schema of the whole.

What belongs to a stage stands with it: folds, encoders, models and how both are trained.
"""

from dataclasses import dataclass
from typing import Any

from labelmer.base.options import NAME, NAMES, closed, either, filled, option, schema_of
from labelmer.corpus import readers
from labelmer.corpus.options import FoldOptions
from labelmer.features.finetuning import FinetuningOptions
from labelmer.features.options import encoder_schema
from labelmer.features.transcribing import TranscriberOptions
from labelmer.models import architectures
from labelmer.models.training import TrainingOptions


@dataclass(frozen=True)
class CorpusOptions:
    """The corpus, beside what its reader adds."""

    name: str = option("results go to `results/NAME/STUDY`", example="iemocap", **NAME)
    reader: str = option("how the corpus is read", example="manifest", enum=readers.names())
    root: str = option(
        "what is there, the reader says: the release's folder, or the manifest's file",
        example="my/manifest.tsv",
        minLength=1,
    )
    rationales: str = option(
        "a table that says which stretch of an utterance carries its label",
        None,
        "my/rationales.tsv",
        minLength=1,
    )
    sessions: list = option(
        "the sessions to use; all, if not given",
        None,
        ["Session1", "Session2", "Session3"],
        **{**NAMES, "minItems": 2},
    )
    transcripts: str = option(
        "a table with `id` and `text`, recognised words, on which models are tested as well",
        None,
        "recognised.tsv",
        minLength=1,
    )


@dataclass(frozen=True)
class LabelOptions:
    """A class."""

    codes: list = option("the corpus' labels of this class", example=["hap", "exc"], **NAMES)
    words: str = option(
        "words for a label embedding; needed for `label_start: {text: words}`",
        None,
        "happy and excited",
        minLength=1,
    )


@dataclass(frozen=True)
class ProductOptions:
    """A late fusion."""

    product_of: list = option(
        "variants of any modality, none of them a late fusion: the product of their posteriors, "
        "weights chosen on validation; `SPEECH+TEXT/MODE/VARIANT` is that of another experiment",
        example=["full", "speech-only", "linear"],
        **NAMES,
    )
    seeds: str = option(
        "`together`: of each variant the models of all seeds, so that a fold has one product",
        None,
        "together",
        enum=["together"],
    )


@dataclass(frozen=True)
class ExperimentOptions:
    """What is run with every variant on every fold and seed."""

    speech: str = option("a speech encoder's name", example="wav2vec2-base")
    text: str = option("a text encoder's name", example="bert-base-uncased")
    mode: str = option(
        "encoders as they are, or fine-tuned for each fold and seed",
        example="finetuned",
        enum=["frozen", "finetuned"],
    )
    variants: list = option("names of variants", example=["full", "additive"], **NAMES)
    words: str = option(
        "which words are read: the corpus' own, or those that the `transcriber` (or "
        "`corpus: transcripts:`) gives, in training as well; `recognised` needs `mode: frozen`",
        "corpus",
        "recognised",
        enum=["corpus", "recognised"],
    )


@dataclass(frozen=True)
class PageOptions:
    """The page of results."""

    audio: bool = option(
        "the test utterances can be played; then whoever is given the page is given audio of the "
        "corpus",
        False,
        True,
    )


@dataclass(frozen=True)
class RunOptions:
    """What stands at the top beside the sections."""

    seeds: list = option(
        "one training each, per variant and fold",
        example=[1, 2, 3],
        minItems=1,
        uniqueItems=True,
        items={"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    )
    study: str = option(
        "splits, models and reports go to `results/NAME/STUDY`", "main", "six-classes", **NAME
    )
    test_on: list = option(
        "configs of other corpora, on which the models are tested as well; of each, `corpus` and "
        "`labels` are used",
        [],
        ["cremad.yaml"],
        uniqueItems=True,
        items={"type": "string", "minLength": 1},
    )
    gpu: bool = option("extract, fine-tune and train on a GPU where there is one", False, True)


def corpus_schema(reader: str | None = None) -> dict[str, Any]:
    """The schema of `corpus`, with the keys of a reader, or of all."""
    own = [options for name, options in readers.options().items() if reader in (None, name)]
    schema = schema_of(CorpusOptions)
    for options in own:
        schema["properties"] |= options
    return schema


def model_schema() -> dict[str, Any]:
    """The schema of `model`: the options of every architecture, in the default one's words.

    Where several have an option of one name, it takes what any of them does; a variant's own
    architecture looks at it again.
    """
    found: dict[str, list] = {}
    for name in (architectures.DEFAULT, *architectures.names()):
        for key, rules in schema_of(architectures.module(name).Options)["properties"].items():
            found.setdefault(key, []).append(rules)
    known = {key: either(several) for key, several in found.items()}
    known["architecture"] = {**known["architecture"], "enum": architectures.names()}
    return closed(known)


def named(entry: dict[str, Any], least: int = 1) -> dict[str, Any]:
    """The schema of a section in which each name has an entry."""
    return {
        "type": "object",
        "minProperties": least,
        "propertyNames": NAME,
        "additionalProperties": entry,
    }


def sections() -> dict[str, dict[str, Any]]:
    """The tables of keys that there are: {name: JSON schema}."""
    return {
        "corpus": corpus_schema(),
        "labels": schema_of(LabelOptions),
        "folds": schema_of(FoldOptions),
        "encoders": encoder_schema(),
        "transcriber": schema_of(TranscriberOptions),
        "model": model_schema(),
        "training": schema_of(TrainingOptions),
        "finetuning": schema_of(FinetuningOptions),
        "product": schema_of(ProductOptions),
        "experiments": schema_of(ExperimentOptions),
        "page": schema_of(PageOptions),
        "run": schema_of(RunOptions),
    }


def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml."""
    parts = sections()
    properties = {
        "corpus": parts["corpus"],
        "labels": named(parts["labels"], least=2),
        "folds": parts["folds"],
        "encoders": named(parts["encoders"]),
        "transcriber": parts["transcriber"],
        "model": {**parts["model"], "default": {}},
        "training": {**parts["training"], "default": {}},
        "finetuning": {**parts["finetuning"], "default": {}},
        "variants": named({"anyOf": [parts["product"], parts["model"]]}),
        "experiments": {"type": "array", "minItems": 1, "items": parts["experiments"]},
        "page": {**parts["page"], "default": {}},
        **parts["run"]["properties"],
    }
    needed = ["corpus", "labels", "folds", "encoders", "variants", "experiments", "seeds"]
    return closed(properties, needed)


def with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """A checked config with what its sections have by default.

    Of `model` only what is given stays, as each architecture has defaults of its own.
    """
    parts, flat = sections(), ("folds", "training", "finetuning", "page")
    made: dict[str, Any] = {name: filled(parts[name], config.get(name, {})) for name in flat}
    made["experiments"] = [filled(parts["experiments"], given) for given in config["experiments"]]
    if "transcriber" in config:
        made["transcriber"] = filled(parts["transcriber"], config["transcriber"])
    top = filled(parts["run"], config)
    return {**top, **made, "model": config.get("model", {})}
