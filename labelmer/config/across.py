"""Checks across the keys of a config whose sections are right by themselves."""

from collections.abc import Iterator
from typing import Any

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.config.entries import (
    architecture_of,
    is_together,
    kind_of,
    known_options,
    members_of,
    mode_of,
    name_of,
    options_of,
    starts_from_words,
)
from labelmer.config.presence import unknown
from labelmer.corpus import readers
from labelmer.corpus.options import VALIDATIONS
from labelmer.features import encoders
from labelmer.models import architectures


def problems(config: dict[str, Any]) -> list[str]:
    """All that is wrong: a list of sentences."""
    checks = (
        _corpus,
        _study,
        _names,
        _labels,
        _encoders,
        _variants,
        _products,
        _experiments,
        _words,
        _folds,
    )
    return [problem for check_of in checks for problem in check_of(config)]


def _corpus(config: dict[str, Any]) -> Iterator[str]:
    corpus, options = config["corpus"], readers.options()
    for name, others in options.items():
        for key in sorted(corpus.keys() & others.keys() - options[corpus["reader"]].keys()):
            yield f"corpus: {key} goes with reader: {name}; remove it"


# The folders in results/{corpus} of what all studies share.
SHARED = ("segments", "utterances", "labels", "transcripts", "features")


def _study(config: dict[str, Any]) -> Iterator[str]:
    if config.get("study", "").lower() in SHARED:
        yield (
            f"study: '{config['study']}' is a folder of what all studies of a corpus share, as are "
            f"{list(SHARED)}; expected another name; rename the study"
        )


# What stands beside the folders of encoders and transcribers: words and features of others, logs,
# and what is not finished.
BESIDE = (".tsv", ".h5", ".log", ".part", ".new", ".lock")


def _names(config: dict[str, Any]) -> Iterator[str]:
    """Names become files and columns, and not everywhere does case tell files apart."""
    for section in ("labels", "encoders", "variants"):
        if pair := names.alike(config[section]):
            yield f"{section}: '{pair[0]}' and '{pair[1]}' differ in case only; rename one of them"
    made = {f"encoders: {name}": name for name in config["encoders"]}
    if "transcriber" in config:
        made["transcriber: name"] = config["transcriber"]["name"]
    for place, name in made.items():
        if name.lower().endswith(BESIDE):
            yield (
                f"{place}: '{name}' may be another's file or unfinished folder where its own are "
                f"made; expected another ending than {list(BESIDE)}; rename it"
            )


def _labels(config: dict[str, Any]) -> Iterator[str]:
    home: dict[str, str] = {}
    for label, entry in config["labels"].items():
        for code in entry["codes"]:
            if code in home:
                yield (
                    f"labels: code '{code}' stands in '{home[code]}' and in '{label}'; "
                    "a code belongs to one class"
                )
            home[code] = label
    said: dict[str, str] = {}
    for label, entry in config["labels"].items():
        if "words" not in entry:
            continue
        words = names.key(entry["words"])
        if not words:
            yield f"labels: {label}: words: '{entry['words']}', expected words; write some"
        elif words in said:
            yield (
                f"labels: {label}: words: '{entry['words']}', which are those of '{said[words]}', "
                "expected others: a class may start from them; write what tells the two apart"
            )
        said.setdefault(words, label)
    wordless = [label for label, entry in config["labels"].items() if "words" not in entry]
    needing = [v for v in config["variants"] if starts_from_words(options_of(config, v))]
    if wordless and needing:
        yield f"labels: {wordless} have no words, and the variants {needing} start from them"


def _encoders(config: dict[str, Any]) -> Iterator[str]:
    for name, encoder in config["encoders"].items():
        source, known = encoder["source"], encoders.builtins()
        if source.startswith("builtin:") and source not in known:
            yield f"encoders: {name}: source: '{source}', expected one of {list(known)}"
            continue
        families = encoders.possible(source, encoder["modality"])
        if families[0].modality != encoder["modality"]:
            yield (
                f"encoders: {name}: modality: '{encoder['modality']}', but {source} is "
                f"{families[0].title}, for {families[0].modality}; correct one of the two"
            )
        if "layer" not in encoder and any(family.network for family in families):
            yield (
                f"encoders: {name}: layer is missing, expected a number: 0 is what enters the "
                "first layer, -1 the last layer; a middle one is usually best"
            )
        if encoder.get("layer") and not any(family.network for family in families):
            yield (
                f"encoders: {name}: layer: {encoder['layer']}, but {source} has no layers; "
                "remove it"
            )
        if "precision" in encoder and not any(family.network for family in families):
            yield f"encoders: {name}: precision goes with networks; remove it"
        for option in encoders.options_in(encoder):
            if not any(option in family.options for family in families):
                yield f"encoders: {name}: {encoders.misplaced(option)}"


def _variants(config: dict[str, Any]) -> Iterator[str]:
    variants = config["variants"]
    for name, variant in variants.items():
        if kind_of(config, name) == "product":
            continue
        known = known_options(config, name)
        if idle := sorted(set(variant) - set(known)):
            yield (
                f"variants: {name}: {idle} say nothing to architecture "
                f"{architecture_of(config, name)}, expected some of {known}; take them out"
            )
            continue
        try:
            options = architectures.options(options_of(config, name))
        except InputError as error:
            yield f"variants: {name}: {error}"
            continue
        if idle := [key for key in variant if key in options.idle]:
            yield (
                f"variants: {name}: {idle} do nothing beside its other options, so it would be a "
                "model that another variant is already; take them out"
            )


def _products(config: dict[str, Any]) -> Iterator[str]:
    variants, experiments = config["variants"], list(map(name_of, config["experiments"]))
    for name in [name for name in variants if kind_of(config, name) == "product"]:
        place, given = f"variants: {name}: product_of", variants[name]["product_of"]
        together = is_together(config, name)
        if len(given) < 2 and not together:
            yield f"{place}: {given}, expected 2 or more, or seeds: together beside it"
        homes = [name_of(e) for e in config["experiments"] if name in e["variants"]]
        if len(config["seeds"]) < 2 and together and homes:
            yield (
                f"variants: {name}: seeds: together multiplies the models of all seeds, and seeds: "
                f"{config['seeds']} is one; add seeds, or take the variant out of the experiments"
            )
        for home, part in members_of(config, name, ""):
            if home:
                yield from unknown(home, experiments, f"{place}: experiment")
            yield from unknown(part, variants, place)
            if part == name:
                yield f"{place}: it names itself, expected other variants"
            elif "product_of" in variants.get(part, {}):
                yield (
                    f"{place}: '{part}' is a late fusion itself, expected a variant that is trained"
                )
        for home in homes:
            members = members_of(config, name, home)
            for twice in sorted({"/".join(m) for m in members if members.count(m) > 1}):
                yield f"{place}: '{twice}' stands twice in that experiment, expected each once"


def _experiments(config: dict[str, Any]) -> Iterator[str]:
    entries, variants = config["encoders"], config["variants"]
    for number, experiment in enumerate(config["experiments"], start=1):
        for modality in ("speech", "text"):
            place, name = f"experiments: {number}: {modality}", experiment[modality]
            fitting = [e for e in entries if entries[e]["modality"] == modality]
            if name in entries and name not in fitting:
                yield (
                    f"{place}: '{name}' is a {entries[name]['modality']} encoder, "
                    f"expected one of {fitting}"
                )
            yield from unknown(name, entries, place)
            source = entries.get(name, {}).get("source", "")
            fixed = any(not family.network for family in encoders.possible(source, modality))
            if experiment["mode"] == "finetuned" and fixed:
                yield (
                    f"{place}: '{name}' is {source}, which has nothing to fine-tune; expected an "
                    "encoder with weights, or mode: frozen"
                )
        for name in experiment["variants"]:
            yield from unknown(name, variants, f"experiments: {number}: variants")
    runs = [(e["speech"], e["text"], mode_of(e)) for e in config["experiments"]]
    for run in sorted({run for run in runs if runs.count(run) > 1}):
        yield f"experiments: {run} stands twice; put its variants into one list"


def _words(config: dict[str, Any]) -> Iterator[str]:
    """Whose recognised words are read, and by whom."""
    given = "transcripts" in config["corpus"]
    if given and "transcriber" in config:
        yield (
            "transcriber: corpus: transcripts: gives recognised words already; remove one of the "
            "two"
        )
    for number, experiment in enumerate(config["experiments"], start=1):
        place = f"experiments: {number}: words: recognised"
        if experiment.get("words") != "recognised":
            continue
        if not given and "transcriber" not in config:
            yield f"{place}: there are none; add a transcriber, or corpus: transcripts:"
        if experiment["mode"] == "finetuned":
            yield (
                f"{place}: mode: finetuned fine-tunes the text encoder on the corpus' own words; "
                "expected mode: frozen"
            )


def _folds(config: dict[str, Any]) -> Iterator[str]:
    folds = config["folds"]
    hold_out, validation = folds["hold_out"], folds.get("validation")
    fitting = VALIDATIONS[hold_out]
    if validation and not fitting:
        yield f"folds: validation: hold_out: {hold_out} says itself what validates; remove it"
    elif validation and validation not in fitting:
        yield (
            f"folds: validation: {validation} does not go with hold_out: {hold_out}, expected one "
            f"of {fitting}"
        )
    if folds.get("scenarios") == "apart" and (hold_out == "part" or validation == "dialogues"):
        other = "hold_out: part" if hold_out == "part" else "validation: dialogues"
        yield (
            f"folds: scenarios: apart does not go with {other}, where parts share scenarios; "
            "change one of the two"
        )
    if hold_out == "speakers" and validation != "dialogues" and folds.get("folds", 3) < 3:
        yield (
            "folds: folds: expected three or more, so that one group of speakers tests, one "
            "validates and the rest trains (two, with validation: dialogues)"
        )
    if hold_out == "part" and folds.get("shared_scripts") == "drop":
        yield "folds: shared_scripts: drop would change the parts of hold_out: part; remove it"
    goes_with = {
        "fraction": ("validation", "dialogues"),
        "folds": ("hold_out", "speakers"),
        "parts": ("hold_out", "part"),
        "scenario_groups": ("scenarios", "apart"),
    }
    for key, (other, value) in goes_with.items():
        if key in folds and folds.get(other) != value:
            yield f"folds: {key} goes with {other}: {value}; remove it, or change {other}"
