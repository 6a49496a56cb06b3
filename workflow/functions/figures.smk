"""What the rules of figures are given."""

from labelmer.figures import FIGURES
from labelmer.report.columns import reference_of

SUFFIXES = ("svg", "png")


def examples_of(pattern):
    """Paths of the runs that the examples are of, with the first seed: of the first variant that
    looks at the turns around an utterance, else of the reference."""

    def paths(wildcards):
        experiment = experiment_of(wildcards)
        networks = trained(experiment)
        around = [v for v in networks if TURNS[v][0]]
        run = {**wildcards, "variant": [*around, reference_of(networks)][0], "seed": SEEDS[0]}
        return expand(pattern, **run, fold=FOLDS)

    return paths


def histories(wildcards):
    """The histories of all that an experiment trained."""
    experiment = experiment_of(wildcards)
    return runs(HISTORY, experiment, trained(experiment))


def given_to_draw(reads):
    """The inputs of a figure: its tables, and what else it is of."""
    if reads == "utterances":
        return {
            "tables": [],
            "predictions": examples_of(PREDICTIONS),
            "salience": examples_of(SALIENCE),
            "utterances": in_corpus("utterances/{session}.tsv"),
            "segments": in_corpus("segments/{session}.h5"),
            "rationales": CHECKED_RATIONALES,
        }
    return {"tables": histories if reads == "histories" else f"{S}/reports/{reads}.tsv"}


def options_of_plot(wildcards, input):
    """What a figure is of besides its tables, as words of the command line."""
    others = {name: paths for name, paths in input.items() if name != "tables"}
    words = [word for name, paths in others.items() for word in (f"--{name}", *paths)]
    return words + (["--variant", wildcards.variant] if "variant" in wildcards.keys() else [])


def figure_path(figure, said, suffix, top=S):
    """The path of a figure, of its log or of its benchmark."""
    stem = f"{{variant}}.{figure}" if said.each_variant else figure
    return f"{top}/reports/figures/{EXPERIMENT}/{stem}.{suffix}"


def is_drawn(reads, experiment):
    """Has an experiment figures that read this? Without a training or a pair it lacks some."""
    networks = trained(experiment)
    own = not tables.is_recognised(experiment["mode"])  # examples show the corpus' own words
    there = {
        "pairs": experiment["variants"][1:],
        "salience": RATIONALES and networks,
        "utterances": own and networks,
        **dict.fromkeys(("histories", "deletion", "convergence"), networks),
    }
    return bool(there.get(reads, True))


def figures_of(experiment):
    """The paths of the figures of an experiment."""
    for figure, said in FIGURES.items():
        if is_drawn(said.reads, experiment):
            stem = figure_path(figure, said, "{suffix}")
            variants = experiment["variants"] if said.each_variant else [""]
            for variant in variants:
                yield from (stem.format(**experiment, variant=variant, suffix=s) for s in SUFFIXES)


def all_figures():
    return [path for experiment in config["experiments"] for path in figures_of(experiment)]
