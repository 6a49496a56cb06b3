"""What the rules of other corpora are given."""

# {name of another corpus: the classes that both have}, in the order of this config.
SHARED = {name: shared(config["labels"], CORPORA[name].labels) for name in OTHERS}


def of_other(path):
    """The paths of another corpus' sessions below C."""
    return lambda wildcards: in_corpus(path, CORPORA[wildcards.corpus].sessions, wildcards.corpus)


def match_params(wildcards):
    labels = CORPORA[wildcards.corpus].labels
    classes = [(name, entry["codes"]) for name, entry in labels.items()]
    return tracked("match", classes=classes, shared=SHARED[wildcards.corpus])


def other_features(modality):
    """The feature files of another corpus, or none where the variant does without the modality."""

    def files(wildcards):
        variant, corpus = wildcards.variant, wildcards.corpus
        if KINDS[variant] not in ("network", "linear") or modality not in modalities(variant):
            return []
        run = wildcards.mode, wildcards.fold, wildcards.seed
        folder = feature_folder(wildcards[modality], *run, corpus)
        return expand(f"{folder}/{{session}}.h5", session=CORPORA[corpus].sessions)

    return files


def other_tables(folder):
    """The tables in a folder of another corpus, where the variant looks at them."""

    def paths(wildcards):
        looks = folder == "utterances" and TURNS[wildcards.variant][0]
        if not looks and KINDS[wildcards.variant] != "metadata":
            return []
        return of_other(f"{folder}/{{session}}.tsv")(wildcards)

    return paths


def saved_model(wildcards):
    """The files of a model; of a late fusion there are none."""
    if KINDS[wildcards.variant] == "product":
        return []
    return expand([f"{S}/models/{RUN}/model.safetensors", ABOUT], **wildcards)


def transfer_params(wildcards):
    kind = KINDS[wildcards.variant]
    loaded = [f"models.transfer.{kind}"]
    loaded += [architecture(wildcards)] if kind == "network" else []
    return tracked("transfer", *loaded, kind=kind, shared=SHARED[wildcards.corpus])


def transferred(corpus):
    """The pattern of a run's predictions of another corpus."""
    return f"{TRANSFER}/{RUN}.tsv".replace("{corpus}", corpus)


def tested_short(wildcards):  # a function, as braces in a plain param are wildcards
    words = [["--tested", name, *every_run_short(transferred(name))(wildcards)] for name in OTHERS]
    return [word for of_corpus in words for word in of_corpus]


def cross_corpus_params(wildcards):
    others = {
        name: {"shared": SHARED[name], "classes": list(CORPORA[name].labels)} for name in OTHERS
    }
    said = {"classes": CLASSES, "trained_on": NAME, "others": others}
    return tracked("cross_corpus", *MODULES, **STATED, **said)
