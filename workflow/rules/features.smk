"""Encoders, and the features of every utterance.

REQUIRED INPUTS:

    R/segments/{session}.h5       for speech
    R/utterances/{session}.tsv    for text

OUTPUTS:

    resources/encoders/{encoder}/               a snapshot, offline from then on
    R/features/{encoder}/frozen/{session}.h5    a ragged file of frames or tokens
    R/features/{encoder}/frozen/labels.h5       the same for the labels' words
"""

if "labels" in SESSIONS:  # features/.../labels.h5 holds the labels' words
    raise WorkflowError("corpus: sessions: 'labels' names another file; rename the session")


def encoder_options(name):
    return config["encoders"][name]


def snapshot_files(wildcards):
    """A snapshot that lies on this machine is an input; others are named by their revision."""
    kind, _, place = encoder_options(wildcards.encoder)["source"].partition(":")
    if kind != "path":
        return []
    if not Path(place).is_dir():
        raise WorkflowError(
            f"encoders: {wildcards.encoder}: source: there is no folder '{place}'; expected one "
            "with config.json and model.safetensors"
        )
    return sorted(str(p) for p in Path(place).iterdir() if p.is_file())


def utterances_or_segments(wildcards):
    if encoder_options(wildcards.encoder)["modality"] == "speech":
        return f"{R}/segments/{wildcards.session}.h5"
    return f"{R}/utterances/{wildcards.session}.tsv"


def all_features():
    used = sorted({e[m] for e in config["experiments"] for m in ("speech", "text")})
    return expand(f"{R}/features/{{encoder}}/frozen/{{session}}.h5", encoder=used, session=SESSIONS)


rule fetch:
    input:
        snapshot_files,
    output:
        directory("resources/encoders/{encoder}"),
    log:
        "logs/encoders/{encoder}.log",
    benchmark:
        "benchmarks/encoders/{encoder}.tsv"
    conda:
        ENVIRONMENT
    params:
        source=lambda wildcards: encoder_options(wildcards.encoder)["source"],
        config=tracked("fetch"),
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
        content=utterances_or_segments,
        encoder=rules.fetch.output,
    output:
        update(f"{R}/features/{{encoder}}/frozen/{{session}}.h5"),
    log:
        f"{LOGS}/features/{{encoder}}/frozen/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/features/{{encoder}}/frozen/{{session}}.tsv"
    conda:
        ENVIRONMENT
    threads: max(1, (workflow.cores or 1) // len(SESSIONS))  # sessions run side by side
    resources:
        gpu=GPU,
    params:
        config=lambda wildcards: tracked(
            "extract", layer=encoder_options(wildcards.encoder).get("layer")
        ),
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
            layer=encoder_options(wildcards.encoder).get("layer"),
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
