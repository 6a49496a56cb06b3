"""One model per variant, fold and seed, and its predictions.

REQUIRED INPUTS:

    R/splits/fold{fold}.tsv
    R/features/{encoder}/{mode}/{session}.h5

OUTPUTS:

    R/models/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}/
        model.safetensors, config.json, history.tsv
    R/predictions/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
"""


def features_of(modality):
    """The feature files of one modality, or none where the variant does without it."""

    def files(wildcards):
        if modality not in modalities(wildcards.variant):
            return []
        encoder = wildcards[modality]
        return expand(f"{R}/features/{encoder}/{wildcards.mode}/{{s}}.h5", s=SESSIONS)

    return files


def label_words(wildcards):
    """The labels' words as the text encoder reads them, where the variant starts from them."""
    start = model_options(wildcards.variant).get("label_start", {}).get("text")
    if start != "words" or "text" not in modalities(wildcards.variant):
        return []
    return f"{R}/features/{wildcards.text}/{wildcards.mode}/labels.h5"


def predictions_of(place):
    """The predictions of the first or the second variant that a late fusion multiplies."""

    def file(wildcards):
        variant = config["variants"][wildcards.variant]["product_of"][place]
        return f"{R}/predictions/{RUN}.tsv".format(**{**wildcards, "variant": variant})

    return file


def all_predictions():
    return [
        path
        for experiment in config["experiments"]
        for path in runs(f"{R}/predictions/{RUN}.tsv", experiment, experiment["variants"])
    ]


rule train:
    input:
        fold=lambda wildcards: fold_table(wildcards.fold),
        speech=features_of("speech"),
        text=features_of("text"),
        label_words=label_words,
    output:
        model=f"{R}/models/{RUN}/model.safetensors",
        config=f"{R}/models/{RUN}/config.json",
        history=f"{R}/models/{RUN}/history.tsv",
    log:
        f"{LOGS}/models/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/models/{RUN}.tsv"
    wildcard_constraints:
        variant=TRAINED,
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPU,
    params:
        config=lambda wildcards: tracked(
            "train",
            classes=CLASSES,
            model=model_options(wildcards.variant),
            training=config["training"],
        ),
    shell:
        """
        python -m labelmer.train \
            {input.fold:q} \
            "$(dirname {output.model:q})" \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --label-words {input.label_words:q} \
            --seed {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule evaluate:
    input:
        fold=lambda wildcards: fold_table(wildcards.fold),
        speech=features_of("speech"),
        text=features_of("text"),
        model=rules.train.output.model,
        config=rules.train.output.config,
    output:
        f"{R}/predictions/{RUN}.tsv",
    log:
        f"{LOGS}/predictions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predictions/{RUN}.tsv"
    wildcard_constraints:
        variant=TRAINED,
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPU,
    params:
        config=tracked("evaluate"),
    shell:
        """
        python -m labelmer.evaluate \
            {input.fold:q} \
            "$(dirname {input.model:q})" \
            {output:q} \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule fuse:
    input:
        first=predictions_of(0),
        second=predictions_of(1),
    output:
        f"{R}/predictions/{RUN}.tsv",
    log:
        f"{LOGS}/predictions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predictions/{RUN}.tsv"
    wildcard_constraints:
        variant=FUSED,
    conda:
        ENVIRONMENT
    params:
        config=tracked("fuse"),
    shell:
        """
        python -m labelmer.fuse \
            {input.first:q} \
            {input.second:q} \
            {output:q} \
            --variant {wildcards.variant:q} \
            --config {params.config:q} \
            --log {log:q}
        """
