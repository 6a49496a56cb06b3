"""What an entry of the config comes to: a variant's options, an encoder's part in its features."""

from collections.abc import Mapping
from typing import Any

from labelmer.base.tables import RECOGNISED, TOGETHER, experiment_name
from labelmer.features.options import extraction_rules
from labelmer.models import architectures

# What an encoder's entry says where it says nothing: writing it down changes nothing.
ENCODING = {name: rules.get("default") for name, rules in extraction_rules().items()}


def encoding(encoder: dict[str, Any]) -> dict[str, Any]:
    """What an encoder's entry says of how features are made, but for what is so anyway."""
    said = {key: encoder[key] for key in ENCODING if key in encoder}
    return {key: value for key, value in said.items() if value != ENCODING[key]}


def mode_of(experiment: dict[str, Any]) -> str:
    """What the runs of an experiment have for their mode: that of its encoders, and which words
    they read, where these are not the corpus' own."""
    return experiment["mode"] + (RECOGNISED if _reads_recognised(experiment) else "")


def trains_on_recognised(config: dict[str, Any]) -> bool:
    """Is any experiment trained on recognised words?"""
    return any(map(_reads_recognised, config["experiments"]))


def _reads_recognised(experiment: dict[str, Any]) -> bool:
    return experiment.get("words") == "recognised"


def architecture_of(config: dict[str, Any], variant: str) -> str:
    """The name of the architecture of one variant's model."""
    both = {**config.get("model", {}), **config["variants"][variant]}
    return both.get("architecture", architectures.DEFAULT)


def known_options(config: dict[str, Any], variant: str) -> list[str]:
    """The names of the options that the architecture of a variant has, sorted."""
    return architectures.module(architecture_of(config, variant)).Options.names()


def options_of(config: dict[str, Any], variant: str) -> dict[str, Any]:
    """The options of one variant's model: those of `model` that its architecture has, replaced by
    the variant's."""
    known = known_options(config, variant)
    shared = {key: value for key, value in config.get("model", {}).items() if key in known}
    return {**shared, **config["variants"][variant]}


def kind_of(config: dict[str, Any], variant: str) -> str:
    """What a variant is: a "product" of others, or what its architecture says: a "network", or
    the name of the stage that makes it."""
    if "product_of" in config["variants"][variant]:
        return "product"
    return architectures.module(architecture_of(config, variant)).Options.kind


def name_of(experiment: dict[str, Any]) -> str:
    """How results and a late fusion name an experiment: SPEECH+TEXT/MODE."""
    return experiment_name(experiment["speech"], experiment["text"], mode_of(experiment))


def members_of(config: Mapping[str, Any], variant: str, experiment: str) -> list[tuple[str, str]]:
    """What a variant multiplies in an experiment: (experiment, variant) of each.

    experiment: by name_of. Of a variant that multiplies none, itself.
    """
    found = []
    for member in config["variants"][variant].get("product_of", [variant]):
        elsewhere, _, name = member.rpartition("/")
        found.append((elsewhere or experiment, name))
    return found


def is_together(config: Mapping[str, Any], variant: str) -> bool:
    """Does a variant multiply the models of all seeds?"""
    return "seeds" in config["variants"][variant]


def seeds_of(config: Mapping[str, Any], variant: str) -> list[str]:
    """The seeds of a variant's runs, as their paths have them: one each, or all in one."""
    if is_together(config, variant):
        return [TOGETHER.join(map(str, sorted(config["seeds"])))]
    return list(map(str, config["seeds"]))


def starts_from_words(options: dict[str, Any]) -> bool:
    """Do the label embeddings of the text side start from the labels' words?"""
    return options.get("label_start", {}).get("text") == "words"


def turns_of(config: dict[str, Any], variant: str) -> tuple[int, bool]:
    """How many turns before an utterance a variant's network looks at; as many after it, too?"""
    if kind_of(config, variant) != "network":
        return 0, False
    return architectures.options(options_of(config, variant)).turns
