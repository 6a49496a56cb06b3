"""What the rules of tables and the page are given."""

from dataclasses import asdict

from labelmer.report.protocol import protocol, selection
from labelmer.scores.metrics import MODULES

# What every result table states.
STATED = {
    "protocol": protocol(config["folds"], len(FOLDS)),
    "selection": selection(config["training"]["refit"]),
}


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


def page_params(wildcards):  # a function, as braces in a plain param are wildcards
    return tracked("page", figures={name: asdict(said) for name, said in FIGURES.items()})
