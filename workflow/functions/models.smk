"""What the rules of models and predictions are given."""

from labelmer.config.entries import architecture_of, options_of, starts_from_words
from labelmer.models.architectures import module_of


def architecture(wildcards):
    """The module of a variant's architecture, and of no other."""
    return module_of(architecture_of(config, wildcards.variant))


def modalities(variant):
    return options_of(config, variant).get("modalities", ["speech", "text"])


def seen_by_members(wildcards):
    """The modalities of each variant that a late fusion multiplies."""
    of_run = members(wildcards, wildcards.variant)
    return [modalities(v) if KINDS[v] != "metadata" else [] for _, v in of_run]


def session_tables(folder):
    """The tables in a folder of the sessions that stand in a fold, and of no other."""

    def paths(wildcards):
        return in_corpus(f"{folder}/{{session}}.tsv", sessions_of(wildcards, *tables.PARTS))

    return paths


def dialogues_of(*parts):
    """The utterances of the sessions that stand in some parts of a fold, where the variant looks at
    the turns around one; else none."""

    def paths(wildcards):
        if not TURNS[wildcards.variant][0]:
            return []
        return in_corpus("utterances/{session}.tsv", sessions_of(wildcards, *parts))

    return paths


def features_of(modality, *parts):
    """The feature files of one modality, of the sessions that stand in some parts of a fold and of
    no other; or none where the variant does without it."""

    def files(wildcards):
        if modality not in modalities(wildcards.variant):
            return []
        run = wildcards.mode, wildcards.fold, wildcards.seed
        folder = feature_folder(wildcards[modality], *run)
        return [f"{folder}/{session}.h5" for session in sessions_of(wildcards, *parts)]

    return files


def transcript_features(wildcards):
    """The text features of the test part's recognised words; none where there are no such words,
    or where the variant reads none or no others."""
    if not ANY_RECOGNISED or "text" not in modalities(wildcards.variant):
        return []
    if tables.is_recognised(wildcards.mode):
        return []
    run = wildcards.mode, wildcards.fold, wildcards.seed
    folder = f"{feature_folder(wildcards.text, *run)}/{TRANSCRIPTS}"
    return [f"{folder}/{session}.h5" for session in sessions_of(wildcards, "test")]


def label_words(wildcards):
    """The labels' words as the text encoder reads them, where the variant starts from them."""
    starts = starts_from_words(options_of(config, wildcards.variant))
    if not starts or "text" not in modalities(wildcards.variant):
        return []
    words = f"{S}/labels/{wildcards.text}"
    return (
        f"{words}/{TUNED}.h5".format(**wildcards)
        if wildcards.mode == "finetuned"
        else f"{words}.h5"
    )


def multiplied(pattern):
    """The tables of what a late fusion multiplies, member by member and seed by seed; of another
    variant none.

    pattern: of a run's path, in which speech, text and mode stand as EXPERIMENT has them.
    """
    named = pattern.replace(EXPERIMENT, "{experiment}")

    def tables_of_all(wildcards):
        if KINDS[wildcards.variant] != "product":
            return []
        return [
            named.format(**{**wildcards, "experiment": home, "variant": variant, "seed": seed})
            for home, variant in members(wildcards, wildcards.variant)
            for seed in wildcards.seed.split(tables.TOGETHER)
        ]

    return tables_of_all
