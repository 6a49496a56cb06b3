"""What the rules of tables and the page are given."""

from dataclasses import asdict

from labelmer.report.protocol import protocol, selection
from labelmer.scores.metrics import MODULES


def inputs_of(variant):
    """What a variant is made from: modalities; of metadata tabulate names the columns."""
    if KINDS[variant] == "product":
        return sorted({name for part in parts_of(variant) for name in inputs_of(part)})
    if KINDS[variant] == "metadata":
        return ["metadata"]
    count, after = TURNS[variant]
    around = [f"{count} turns before" + (" and after" if after else "")] if count else []
    return modalities(variant) + around


ALL_INPUTS = {v: inputs_of(v) for e in config["experiments"] for v in e["variants"]}
LATER = [v for v in ALL_INPUTS if any(after for _, after in map(TURNS.get, parts_of(v)))]
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
            pattern.format(**e, variant=braces(variants(e)), fold=braces(FOLDS), seed=braces(SEEDS))
            for e in config["experiments"]
            if variants(e)
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
