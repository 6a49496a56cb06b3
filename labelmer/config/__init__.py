"""config.yaml, checked: each section by its own rules, then across sections.

sections.py says what may stand in it, files.py how it may be written, across.py what goes together,
presence.py what must be there, entries.py what an entry comes to; documents.py tells people.
"""

from collections.abc import Iterator
from typing import Any

from labelmer.base import options
from labelmer.base.errors import InputError
from labelmer.config import across
from labelmer.config.sections import ProductOptions, corpus_schema, schema
from labelmer.corpus import readers


def check(config: dict[str, Any]) -> None:
    """Raise an InputError that lists everything that is wrong with a config.

    config: dict as YAML gives it.
    """
    if problems := list(_sections(config)) or across.problems(config):
        raise InputError("\n".join(["the config is not valid.", *problems]))


def _sections(config: dict[str, Any]) -> Iterator[str]:
    """Complaints about what a section says by itself."""
    whole = schema()
    properties, corpus = whole["properties"], config.get("corpus")
    if isinstance(corpus, dict) and corpus.get("reader") in readers.names():
        own = corpus_schema(corpus["reader"])["properties"]
        # Those of other readers are for across.py to refuse.
        elsewhere: dict[str, Any] = {key: {} for key in properties["corpus"]["properties"]}
        properties["corpus"] = {**properties["corpus"], "properties": {**elsewhere, **own}}
    # A late fusion or a model: which of the two its keys tell.
    properties["variants"] = {**properties["variants"], "additionalProperties": {"type": "object"}}
    yield from options.check(whole, config, "config")
    variants = config.get("variants")
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        if isinstance(variant, dict):
            fused = "product_of" in variant
            rules = options.schema_of(ProductOptions) if fused else properties["model"]
            yield from options.check(rules, variant, f"variants: {name}")
