"""Encoders, and the features of every utterance.

REQUIRED INPUTS:

    R/segments/{session}.h5       for speech
    R/utterances/{session}.tsv    for text

OUTPUTS:

    resources/encoders/{encoder}/               a snapshot, offline from then on
    R/features/{encoder}/frozen/{session}.h5    a ragged file of frames or tokens
    R/features/{encoder}/frozen/labels.h5       the same for the labels' words
"""


rule fetch:
    input:
        lambda wildcards: ancient(snapshot_files(encoder_of(wildcards)["source"])),
    output:
        directory("resources/encoders/{encoder}"),
    log:
        "logs/encoders/{encoder}.log",
    benchmark:
        "benchmarks/encoders/{encoder}.tsv"
    conda:
        ENVIRONMENT
    params:
        source=lambda wildcards: encoder_of(wildcards)["source"],
        config=fetch_params,
    shell:
        """
        python -m labelmer.fetch \
            {output:q} \
            --source {params.source:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule extract_frozen:
    input:
        content=segments_or_utterances,
        encoder=rules.fetch.output,
    output:
        update(f"{R}/features/{{encoder}}/frozen/{{session}}.h5"),
    log:
        f"{LOGS}/features/{{encoder}}/frozen/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/features/{{encoder}}/frozen/{{session}}.tsv"
    conda:
        ENVIRONMENT
    threads: max(1, (workflow.resource_settings.cores or 1) // len(SESSIONS))
    resources:
        gpu=GPU,
    params:
        config=lambda wildcards: tracked("extract", **encoding(wildcards)),
    shell:
        """
        python -m labelmer.extract \
            {input.content:q} \
            {input.encoder:q} \
            {output:q} \
            --encoder {wildcards.encoder:q} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule extract_labels:
    input:
        encoder=rules.fetch.output,
    output:
        update(f"{R}/features/{{encoder}}/frozen/labels.h5"),
    log:
        f"{LOGS}/features/{{encoder}}/frozen/labels.log",
    benchmark:
        f"{BENCHMARKS}/features/{{encoder}}/frozen/labels.tsv"
    conda:
        ENVIRONMENT
    params:
        config=lambda wildcards: tracked(
            "extract",
            **encoding(wildcards),
            labels={name: config["labels"][name]["words"] for name in CLASSES},
        ),
    shell:
        """
        python -m labelmer.extract \
            {input.encoder:q} \
            {output:q} \
            --encoder {wildcards.encoder:q} \
            --config {params.config:q} \
            --log {log:q}
        """
