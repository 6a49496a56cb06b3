"""What the rules of tables and the page are given."""

from dataclasses import asdict
from itertools import groupby

from labelmer.report.protocol import protocol, selection
from labelmer.scores.metrics import MODULES


def inputs_of(variant):
    """What a variant is made from: modalities, and the experiments that it names of the models that
    it multiplies; of metadata tabulate names the columns."""
    if KINDS[variant] == "product":
        of_members = members_of(config, variant, "")
        names = sorted({name for _, part in of_members for name in inputs_of(part)})
        return [*names, *dict.fromkeys(home for home, _ in of_members if home)]
    if KINDS[variant] == "metadata":
        return ["metadata"]
    count, after = TURNS[variant]
    around = [f"{count} turns before" + (" and after" if after else "")] if count else []
    return modalities(variant) + around


ALL_INPUTS = {v: inputs_of(v) for e in config["experiments"] for v in e["variants"]}
LATER = [v for v in ALL_INPUTS if any(TURNS[part][1] for _, part in members_of(config, v, ""))]
# How many models a run of a late fusion multiplies.
MULTIPLIED = {
    v: len(members_of(config, v, "")) * (len(SEEDS) if is_together(config, v) else 1)
    for v in ALL_INPUTS
    if KINDS[v] == "product"
}
FOLDED = {"validating": FOLDING.validating, "scenario_parts": FOLDING.scenario_parts}
# What every result table states.
STATED = {
    "protocol": protocol({**config["folds"], **FOLDED}, len(FOLDS), LATER),
    "selection": selection(config["training"]["refit"]),
}
config["protocol"] = STATED["protocol"]  # for the captions of a report


def every_run_short(pattern, variants=all_variants):
    """A function of the same paths, short for bash to expand: a whole command may have 128 KiB."""

    def braces(values):
        return f"{{{','.join(map(str, values))}}}" if len(values) > 1 else values[0]

    def paths(wildcards):  # a function, as braces in a plain param are wildcards
        return [
            pattern.format(**e, variant=braces(list(run)), fold=braces(FOLDS), seed=braces(seeds))
            for e in config["experiments"]
            for seeds, run in groupby(variants(e), lambda variant: seeds_of(config, variant))
        ]

    return paths


def fold_tables(wildcards):
    """The tables of all folds, in which all utterances of the classes stand."""
    return [split_table("fold{fold}")({"fold": fold}) for fold in FOLDS]


# Checkpoints that are given none know English alone.
LANGUAGE = TRANSCRIBER.get("language", "en") if TRANSCRIBER else None


def page_params(wildcards):  # a function, as braces in a plain param are wildcards
    figures = {name: asdict(said) for name, said in FIGURES.items()}
    return tracked("page", figures=figures, linear=[v for v in KINDS if KINDS[v] == "linear"])
