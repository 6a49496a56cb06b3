"""config.yaml, checked: by the schema, and across its keys where a schema cannot look."""

import json
import math
import re
from pathlib import Path

import jsonschema
import yaml

from labelmer.base import names
from labelmer.base.errors import InputError
from labelmer.base.ragged import FEATURE_DTYPE
from labelmer.corpus import readers
from labelmer.features import encoders
from labelmer.models import architectures

KINDS = {
    "object": "keys with values ({} for none)",
    "array": "a list",
    "string": "text (put numbers, and words such as no, on and null, in quotes)",
    "integer": "a whole number, without a point",
    "number": "a number",
    "boolean": "true or false",
}


def _whole(_, value):
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(_, value):
    return _whole(_, value) or (isinstance(value, float) and math.isfinite(value))


# JSON's own types let 2.0 pass for a whole number, and infinity for a number.
TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
    {"integer": _whole, "number": _finite}
)
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=TYPES)


# Numbers as everyone reads them. YAML 1.1 has more: 010 is 8, 1:30 is 90, 1_0 is 10.
NUMBER = re.compile(r"[+-]?(\d|[1-9]\d+|(\d|[1-9]\d+)?\.\d*)(e[+-]?\d+)?|[+-]?\.(inf|nan)", re.I)


def check_files(paths):
    """Raise an InputError that lists what config files say twice, and what YAML reads otherwise.

    YAML's loader takes the last of two keys, and keys such as `no` and values such as `010` for
    something else than what stands there; so the files are looked at before their content is.
    """
    problems = [problem for path in paths for problem in _misread(path)]
    if problems:
        raise InputError("\n".join(["the config is not valid.", *problems]))


def _misread(path):
    text = Path(path).read_text(encoding="utf-8")
    try:
        json.loads(text)
        text = text.replace("\t", " ")  # JSON is YAML but for its tabs
    except ValueError:
        pass
    yield from _misread_node(yaml.compose(text, Loader=yaml.SafeLoader), path, (), set())


def _misread_node(node, path, way, seen):
    """Complaints about a node of a YAML file. way: the keys above it; seen: ids of those done."""
    if node is None or id(node) in seen:  # an anchor and its aliases are one node
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _misread_node(item, path, (*way, str(number)), seen)
    elif isinstance(node, yaml.ScalarNode):
        kind = node.tag.rpartition(":")[2]
        place = _place(node, path, way)
        if kind == "timestamp":
            yield f"{place}: YAML reads {node.value} as a date; put it in quotes"
        elif kind in ("int", "float") and not NUMBER.fullmatch(node.value):
            yield (
                f"{place}: YAML reads {node.value} as {_read(node)}; put it in quotes if it is "
                "text, or write the number in plain decimal digits"
            )
    else:
        first = {}
        for key, value in node.value:
            place = _place(key, path, way)
            if not isinstance(key, yaml.ScalarNode):
                yield f"{place}: a key that is a list or has keys itself, expected text"
                continue
            name = key.value
            if key.tag.rpartition(":")[2] not in ("str", "merge"):
                yield f"{place}: YAML reads the key {name} as {_read(key)}; put it in quotes"
            if name in first:
                yield (
                    f"{place}: '{name}' stands twice, first in line {first[name]}; YAML would "
                    "take the last alone: rename or remove one of the two"
                )
            first.setdefault(name, key.start_mark.line + 1)
            yield from _misread_node(value, path, (*way, name), seen)


def _place(node, path, way):
    return ": ".join([f"{path}:{node.start_mark.line + 1}", *way])


def _read(node):
    """What YAML makes of a scalar, as text."""
    return str(yaml.safe_load(node.value))


def check(config, schema_path):
    """Raise an InputError that lists everything that is wrong with a config.

    config: dict as YAML gives it; schema_path: the JSON schema, as YAML.
    """
    schema = yaml.safe_load(Path(schema_path).read_text(encoding="utf-8"))
    _complete(schema)
    errors = Validator(schema).iter_errors(config)
    problems = [_sentence(e) for e in sorted(errors, key=lambda e: list(map(str, e.path)))]
    if not problems:
        checks = (_corpus, _study, _names, _labels, _encoders, _variants, _experiments, _folds)
        problems = [problem for check_of in checks for problem in check_of(config)]
    if problems:
        raise InputError("\n".join(["the config is not valid.", *problems]))


def _complete(schema):
    """Put the options of all readers, families of encoders and architectures into the schema.

    Nothing else is let in. What the schema does not describe is for an architecture to check.
    """
    readers.add_to(schema["properties"]["corpus"])
    entry = schema["properties"]["encoders"]["additionalProperties"]
    entry["properties"].update(encoders.options())
    entry["additionalProperties"] = False
    names = architectures.names()
    known = [option for name in names for option in architectures.module(name).Options.names()]
    model = schema["$defs"]["model"]
    model["properties"] = {**dict.fromkeys(known, True), **model["properties"]}
    model["properties"]["architecture"] = {"enum": names}
    model["additionalProperties"] = False


def sessions(corpus):
    """The names of the corpus' sessions that the config asks for; InputError if it is not there."""
    root, reader = corpus["root"], readers.load(corpus["reader"])
    if not Path(root).exists():
        raise InputError(
            f"corpus: root: there is no '{root}' in {Path.cwd()}{names.misspelt(root)}, expected "
            f"{reader.ROOT}. Put it there, or correct the path in the config. "
            "To see labelmer at work without a corpus: make demo"
        )
    present = reader.sessions(root)
    wanted = corpus.get("sessions", present)
    problems = [p for name in wanted for p in _unknown(name, present, "corpus: sessions")]
    if problems:
        raise InputError("\n".join(problems))
    home = {}
    for session in sorted(wanted):
        for speaker in reader.speakers(root, session):
            if home.setdefault(speaker, session) != session:
                raise InputError(
                    f"{root}: speaker '{speaker}' stands in '{home[speaker]}' and in '{session}', "
                    "and would be tested on and trained on; name one of them under corpus: sessions"
                )
    return sorted(wanted)


def check_codes(labels, known):
    """Raise an InputError if a label of the corpus is a code of the config but for its spelling.

    labels: the config's section; known: the corpus' labels.
    """
    home = {code: name for name, entry in labels.items() for code in entry["codes"]}
    for code, name in home.items():
        for other in names.like(code, known):
            if other not in home:
                raise InputError(
                    f"labels: {name}: code '{code}' and the corpus' label '{other}' differ only as "
                    f"spellings of one name do ({names.difference(code, other)}); write the code "
                    "as the corpus does, or list both"
                )


# Tables that may be given beside the corpus: key of `corpus`, what is expected there.
GIVEN = {
    "transcripts": "a TSV with the columns id and text, the words recognised in each utterance",
    "rationales": "a TSV with the columns id, modality, start and end, stretches that tell labels",
}


def check_given(corpus):
    """Raise an InputError if a table that the config gives beside the corpus is not there."""
    for key, expected in GIVEN.items():
        if key in corpus and not Path(corpus[key]).is_file():
            raise InputError(
                f"corpus: {key}: there is no file '{corpus[key]}' in {Path.cwd()}"
                f"{names.misspelt(corpus[key])}, expected {expected}; correct the path, or "
                "remove the key"
            )


# What an encoder's entry says where it says nothing: writing it down changes nothing.
ENCODING = {name: spec["default"] for name, spec in encoders.options().items()}
ENCODING |= {"dtype": FEATURE_DTYPE, "precision": encoders.PRECISIONS[0]}


def encoding(encoder):
    """What an encoder's entry says of how features are made, but for what is so anyway."""
    said = {key: encoder[key] for key in ("layer", *ENCODING) if key in encoder}
    return {key: value for key, value in said.items() if value != ENCODING.get(key)}


def check_sources(config):
    """Raise an InputError if the folder of an encoder that an experiment names is not there."""
    for experiment in config["experiments"]:
        for name in (experiment["speech"], experiment["text"]):
            kind, _, place = config["encoders"][name]["source"].partition(":")
            if kind == "path" and not Path(place).is_dir():
                raise InputError(
                    f"encoders: {name}: source: there is no folder '{place}' in {Path.cwd()}, "
                    "expected one with config.json and the weights; correct the path"
                )


def architecture_of(config, variant):
    """The name of the architecture of one variant's model."""
    both = {**config.get("model", {}), **config["variants"][variant]}
    return both.get("architecture", architectures.DEFAULT)


def known_options(config, variant):
    """The names of the options that the architecture of a variant has, sorted."""
    return architectures.module(architecture_of(config, variant)).Options.names()


def options_of(config, variant):
    """The options of one variant's model: those of `model` that its architecture has, replaced by
    the variant's."""
    known = known_options(config, variant)
    shared = {key: value for key, value in config.get("model", {}).items() if key in known}
    return {**shared, **config["variants"][variant]}


def kind_of(config, variant):
    """What a variant is: a "product" of others, or what its architecture says: a "network", or
    the name of the stage that makes it."""
    if "product_of" in config["variants"][variant]:
        return "product"
    return architectures.module(architecture_of(config, variant)).Options.kind


def starts_from_words(options):
    """Do the label embeddings of the text side start from the labels' words?"""
    return options.get("label_start", {}).get("text") == "words"


def _sentence(error):
    """One violation of the schema: where, what, what was expected."""
    place = ": ".join(map(str, error.absolute_path)) or "config"
    value, rule, wanted = error.instance, error.validator, error.validator_value
    if rule == "additionalProperties" and isinstance(value, dict):
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(map(str, value)) - set(known))
        return f"{place}: unknown keys {unknown}, expected some of {known}"
    if rule == "enum":
        return f"{place}: {value!r}, expected one of {wanted}"
    if rule == "minProperties":
        return f"{place}: {sorted(value)}, expected {wanted} or more"
    if rule == "minItems":
        return f"{place}: {value!r}, expected {wanted} or more"
    if rule == "uniqueItems":
        twice = [item for i, item in enumerate(value) if item in value[:i]]
        return f"{place}: {twice[0]!r} stands twice, expected each once"
    if rule in ("pattern", "anyOf"):
        return f"{place}: {value!r}, expected {error.schema.get('description', wanted)}"
    if rule == "type":
        return f"{place}: {value!r}, expected {KINDS[wanted]}{_exponent(value, wanted)}"
    return f"{place}: {error.message}"


def _exponent(value, wanted):
    """What to write for a number such as 1e-4, which YAML takes for text."""
    match = re.fullmatch(r"([+-]?\d+)e([+-]?\d+)", str(value), re.IGNORECASE)
    if wanted != "number" or not match:
        return ""
    return f"; YAML takes this for text, write {match[1]}.0e{match[2]}"


def _unknown(name, known, place):
    """A complaint if a name of the config is defined nowhere."""
    if name in known:
        return []
    expected = f"expected one of {sorted(known)}{names.meant(name, known)}"
    return [f"{place}: '{name}' is not defined, {expected}"]


def _corpus(config):
    corpus, options = config["corpus"], readers.options()
    for name, others in options.items():
        for key in sorted(corpus.keys() & others.keys() - options[corpus["reader"]].keys()):
            yield f"corpus: {key} goes with reader: {name}; remove it"


# The folders in results/{corpus} of what all studies share.
SHARED = ("segments", "utterances", "labels", "transcripts", "features")


def _study(config):
    if config.get("study", "").lower() in SHARED:
        yield (
            f"study: '{config['study']}' is a folder of what all studies of a corpus share, as are "
            f"{list(SHARED)}; expected another name; rename the study"
        )


def _names(config):
    """Names become files and columns, and not everywhere does case tell files apart."""
    for section in ("labels", "encoders", "variants"):
        if pair := names.alike(config[section]):
            yield f"{section}: '{pair[0]}' and '{pair[1]}' differ in case only; rename one of them"


def _labels(config):
    home = {}
    for label, entry in config["labels"].items():
        for code in entry["codes"]:
            if code in home:
                yield (
                    f"labels: code '{code}' stands in '{home[code]}' and in '{label}'; "
                    "a code belongs to one class"
                )
            home[code] = label
    wordless = [label for label, entry in config["labels"].items() if "words" not in entry]
    needing = [v for v in config["variants"] if starts_from_words(options_of(config, v))]
    if wordless and needing:
        yield f"labels: {wordless} have no words, and the variants {needing} start from them"


def _encoders(config):
    for name, encoder in config["encoders"].items():
        source, known = encoder["source"], encoders.builtins()
        if source.startswith("builtin:") and source not in known:
            yield f"encoders: {name}: source: '{source}', expected one of {list(known)}"
            continue
        families = encoders.possible(source, encoder["modality"])
        if "layer" not in encoder and any(family.network for family in families):
            yield (
                f"encoders: {name}: layer is missing, expected a number: 0 is what enters the "
                "first layer, -1 the last layer; a middle one is usually best"
            )
        if "precision" in encoder and not any(family.network for family in families):
            yield f"encoders: {name}: precision goes with networks; remove it"
        for option in encoders.options_in(encoder):
            if not any(option in family.options for family in families):
                yield f"encoders: {name}: {encoders.misplaced(option)}"


def _variants(config):
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
            architectures.options(options_of(config, name))
        except InputError as error:
            yield f"variants: {name}: {error}"
    for name, variant in variants.items():
        for part in variant.get("product_of", []):
            yield from _unknown(part, variants, f"variants: {name}: product_of")
            if part == name:
                yield f"variants: {name}: product_of: it names itself, expected other variants"
            elif "product_of" in variants.get(part, {}):
                yield (
                    f"variants: {name}: product_of: '{part}' is a late fusion itself, "
                    "expected a variant that is trained"
                )


def _experiments(config):
    entries, variants = config["encoders"], config["variants"]
    for number, experiment in enumerate(config["experiments"]):
        for modality in ("speech", "text"):
            place, name = f"experiments: {number}: {modality}", experiment[modality]
            fitting = [e for e in entries if entries[e]["modality"] == modality]
            if name in entries and name not in fitting:
                yield (
                    f"{place}: '{name}' is a {entries[name]['modality']} encoder, "
                    f"expected one of {fitting}"
                )
            yield from _unknown(name, entries, place)
            source = entries.get(name, {}).get("source", "")
            fixed = any(not family.network for family in encoders.possible(source, modality))
            if experiment["mode"] == "finetuned" and fixed:
                yield (
                    f"{place}: '{name}' is {source}, which has nothing to fine-tune; expected an "
                    "encoder with weights, or mode: frozen"
                )
        for name in experiment["variants"]:
            yield from _unknown(name, variants, f"experiments: {number}: variants")
    runs = [(e["speech"], e["text"], e["mode"]) for e in config["experiments"]]
    for run in sorted({run for run in runs if runs.count(run) > 1}):
        yield f"experiments: {run} stands twice; put its variants into one list"


def _folds(config):
    folds = config["folds"]
    if folds["validation"] == "partner" and folds["hold_out"] != "speaker":
        yield (
            "folds: validation: partner goes with hold_out: speaker; with hold_out: session "
            "expected session or dialogues"
        )
    if "fraction" in folds and folds["validation"] != "dialogues":
        yield "folds: fraction goes with validation: dialogues; remove it, or change validation"
