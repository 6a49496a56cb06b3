"""One model per variant, fold and seed, and its predictions.

REQUIRED INPUTS:

    S/splits/fold{fold}.tsv
    C/utterances/{session}.tsv
    C/features/{encoder}/frozen/{session}.h5
    S/features/{encoder}/finetuned/fold{fold}.seed{seed}/{session}.h5

OUTPUTS:

    S/models/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}/
        model.safetensors, config.json, history.tsv, validation.tsv
    S/predictions/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/perturbed/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/salience/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}/
        speech.h5, text.h5, context.h5
    S/weights/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv

Utterances are for context_turns alone, and so is context.h5. The baseline `linear` has no history
and no salience, a late fusion no model either. Weights are of late fusions; where one multiplies
the models of all seeds, its {seed} is 1+2+3.
"""


rule train:
    input:
        fold=split_table("fold{fold}"),
        speech=features_of("speech", "train", "validation"),
        text=features_of("text", "train", "validation"),
        label_words=label_words,
        utterances=dialogues_of("train", "validation"),
    output:
        model=f"{S}/models/{RUN}/model.safetensors",
        config=ABOUT,
        history=HISTORY,
        validation=f"{S}/models/{RUN}/validation.tsv",
    log:
        f"{LOGS}/models/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/models/{RUN}.tsv"
    wildcard_constraints:
        variant=TRAINED,
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=memory("torch"),
    params:
        config=lambda wildcards: tracked(
            "train",
            architecture(wildcards),
            classes=CLASSES,
            model=options_of(config, wildcards.variant),
            training=config["training"],
        ),
    shell:
        """
        python -m labelmer train \
            {input.fold:q} \
            "$(dirname {output.model:q})" \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --label-words {input.label_words:q} \
            --utterances {input.utterances:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule evaluate:
    input:
        fold=split_table("fold{fold}"),
        speech=features_of("speech", "test"),
        text=features_of("text", "test"),
        transcripts=transcript_features,
        utterances=dialogues_of("test"),
        model=rules.train.output.model,
        config=rules.train.output.config,
        validation=rules.train.output.validation,
    output:
        predictions=PREDICTIONS,
        perturbed=PERTURBED,
        salience=directory(SALIENCE),
    log:
        f"{LOGS}/predictions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predictions/{RUN}.tsv"
    wildcard_constraints:
        variant=TRAINED,
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=memory("torch"),
    params:
        config=lambda wildcards: tracked("evaluate", architecture(wildcards)),
    shell:
        """
        python -m labelmer evaluate \
            {input.fold:q} \
            "$(dirname {input.model:q})" \
            {output.predictions:q} \
            --perturbed {output.perturbed:q} \
            --salience {output.salience:q} \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --transcripts {input.transcripts:q} \
            --utterances {input.utterances:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule linear:
    input:
        fold=split_table("fold{fold}"),
        speech=features_of("speech", "train", "validation", "test"),
        text=features_of("text", "train", "validation", "test"),
        transcripts=transcript_features,
    output:
        model=f"{S}/models/{RUN}/model.safetensors",
        config=ABOUT,
        predictions=PREDICTIONS,
        perturbed=PERTURBED,
    log:
        f"{LOGS}/models/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/models/{RUN}.tsv"
    wildcard_constraints:
        variant=LINEAR,
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory("plain"),
    params:
        config=lambda wildcards: tracked(
            "linear",
            architecture(wildcards),
            classes=CLASSES,
            model=options_of(config, wildcards.variant),
            refit=config["training"]["refit"],
        ),
    shell:
        """
        python -m labelmer linear \
            {input.fold:q} \
            "$(dirname {output.model:q})" \
            {output.predictions:q} \
            --perturbed {output.perturbed:q} \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --transcripts {input.transcripts:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --config {params.config:q} \
            --log {log:q}
        """


rule metadata:
    input:
        fold=split_table("fold{fold}"),
        utterances=session_tables("utterances"),
        segments=session_tables("segments"),
    output:
        model=f"{S}/models/{RUN}/model.safetensors",
        config=ABOUT,
        predictions=PREDICTIONS,
        perturbed=PERTURBED,
    log:
        f"{LOGS}/models/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/models/{RUN}.tsv"
    wildcard_constraints:
        variant=METADATA,
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory("plain"),
    params:
        config=tracked("metadata", classes=CLASSES, refit=config["training"]["refit"]),
    shell:
        """
        python -m labelmer metadata \
            {input.fold:q} \
            "$(dirname {output.model:q})" \
            {output.predictions:q} \
            --perturbed {output.perturbed:q} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --config {params.config:q} \
            --log {log:q}
        """


rule fuse:
    input:
        predictions=multiplied(PREDICTIONS),
        perturbed=multiplied(PERTURBED),
    output:
        predictions=PREDICTIONS,
        perturbed=PERTURBED,
        weights=WEIGHTS,
    log:
        f"{LOGS}/predictions/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/predictions/{RUN}.tsv"
    wildcard_constraints:
        variant=FUSED,
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        config=lambda wildcards: tracked("fuse", sees=seen_by_members(wildcards)),
    shell:
        """
        python -m labelmer fuse \
            {input.predictions:q} \
            {output.predictions:q} \
            --perturbed {input.perturbed:q} \
            --perturbed-out {output.perturbed:q} \
            --weights {output.weights:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --config {params.config:q} \
            --log {log:q}
        """
