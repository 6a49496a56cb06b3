"""Encoders, and the features of every utterance.

REQUIRED INPUTS:

    C/segments/{session}.h5       for speech
    C/utterances/{session}.tsv    for text
    C/transcripts/{session}.tsv   for text, if a table of recognised words is given
    S/splits/fold{fold}.tsv       for fine-tuning

OUTPUTS:

    resources/encoders/{encoder}/               a snapshot, offline from then on
    resources/transcribers/{name}/              the same of the transcriber
    C/transcripts/{transcriber}/{session}.tsv   the words that it recognises
    C/transcripts/{transcriber}/{session}.json  by what and how
    S/encoders/{encoder}/fold{fold}.seed{seed}/     the same, fine-tuned on a fold's training part
    S/encoders/{encoder}/fold{fold}.seed{seed}.tsv  how that went
    C/features/{encoder}/frozen/{session}.h5    a ragged file of frames or tokens
    C/features/{encoder}/frozen/transcripts/{session}.h5    the same of the recognised words; with
        a transcriber in transcripts/{transcriber}
    S/labels/{encoder}.h5                       the same of the labels' words
    S/features/{encoder}/finetuned/fold{fold}.seed{seed}/
        {session}.h5, transcripts/{session}.h5  the same from the fine-tuned encoder
    S/labels/{encoder}/fold{fold}.seed{seed}.h5
"""


rule fetch:
    output:
        directory("resources/encoders/{encoder}"),
    log:
        "logs/encoders/{encoder}.log",
    benchmark:
        "benchmarks/encoders/{encoder}.tsv"
    localrule: True  # nodes of a cluster often have no network
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("torch"),
    params:
        source=lambda wildcards: encoder_of(wildcards)["source"],
        config=fetch_params,
    shell:
        """
        python -m labelmer fetch \
            {output:q} \
            --source {params.source:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# There is at most one transcriber in a config: its name stands in the paths as it is, and those
# of other configs beside it.
if TRANSCRIBER:

    rule fetch_transcriber:
        output:
            directory(f"resources/transcribers/{TRANSCRIBER['name']}"),
        log:
            f"logs/transcribers/{TRANSCRIBER['name']}.log",
        benchmark:
            f"benchmarks/transcribers/{TRANSCRIBER['name']}.tsv"
        localrule: True
        conda:
            ENVIRONMENT
        resources:
            mem_mb=memory("torch"),
        params:
            source=TRANSCRIBER["source"],
            language=spoken_language,
            config=fetching(TRANSCRIBER["source"]),
        shell:
            """
            python -m labelmer fetch \
                {output:q} \
                --source {params.source:q} \
                --transcriber \
                {params.language:q} \
                --config {params.config:q} \
                --log {log:q}
            """

    rule transcribe:
        input:
            segments=f"{C}/segments/{{session}}.h5",
            checkpoint=rules.fetch_transcriber.output,
        output:
            words=update(f"{C}/{TRANSCRIPTS}/{{session}}.tsv"),
            params=f"{C}/{TRANSCRIPTS}/{{session}}.json",
        log:
            f"{C_LOGS}/{TRANSCRIPTS}/{{session}}.log",
        benchmark:
            f"{C_BENCHMARKS}/{TRANSCRIPTS}/{{session}}.tsv"
        conda:
            ENVIRONMENT
        threads: SHARE_OF_CORES
        resources:
            gpu=GPU,
            mem_mb=memory("encoder"),
        params:
            config=transcribe_params,
        shell:
            """
            python -m labelmer transcribe \
                {input.segments:q} \
                {input.checkpoint:q} \
                {output.words:q} \
                --threads {threads} \
                --gpu {resources.gpu} \
                --config {params.config:q} \
                --log {log:q}
            """


rule finetune:
    input:
        fold=split_table("fold{fold}"),
        content=taught_by,
        encoder=rules.fetch.output,
    output:
        encoder=directory(f"{S}/encoders/{{encoder}}/{TUNED}"),
        history=f"{S}/encoders/{{encoder}}/{TUNED}.tsv",
    log:
        f"{LOGS}/encoders/{{encoder}}/{TUNED}.log",
    benchmark:
        f"{BENCHMARKS}/encoders/{{encoder}}/{TUNED}.tsv"
    conda:
        ENVIRONMENT
    threads: SHARE_OF_CORES
    resources:
        gpu=GPU,
        mem_mb=memory("tuning"),
    params:
        config=finetune_params,
    shell:
        """
        python -m labelmer finetune \
            {input.fold:q} \
            {input.encoder:q} \
            {output.encoder:q} \
            --history {output.history:q} \
            --inputs {input.content:q} \
            --encoder {wildcards.encoder:q} \
            --fold {wildcards.fold} \
            --seed {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


rule extract:
    input:
        content=segments_or_utterances,
        encoder=rules.fetch.output,
    output:
        update(f"{C}/features/{{encoder}}/frozen/{{session}}.h5"),
    log:
        f"{C_LOGS}/features/{{encoder}}/frozen/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/features/{{encoder}}/frozen/{{session}}.tsv"
    conda:
        ENVIRONMENT
    threads: SHARE_OF_CORES
    resources:
        gpu=GPU,
        mem_mb=memory("encoder"),
    params:
        config=extract_params,
    shell:
        """
        python -m labelmer extract \
            {input.content:q} \
            {input.encoder:q} \
            {output:q} \
            --encoder {wildcards.encoder:q} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


use rule extract as extract_transcripts with:
    input:
        content=recognised_words,
        encoder=rules.fetch.output,
    output:
        update(f"{C}/features/{{encoder}}/frozen/{TRANSCRIPTS}/{{session}}.h5"),
    log:
        f"{C_LOGS}/features/{{encoder}}/frozen/{TRANSCRIPTS}/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/features/{{encoder}}/frozen/{TRANSCRIPTS}/{{session}}.tsv"
    wildcard_constraints:
        encoder=one_of(encoders_of("text")),


rule extract_labels:
    input:
        encoder=rules.fetch.output,
    output:
        update(f"{S}/labels/{{encoder}}.h5"),
    log:
        f"{LOGS}/labels/{{encoder}}.log",
    benchmark:
        f"{BENCHMARKS}/labels/{{encoder}}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("encoder"),
    params:
        config=extract_labels_params,
    shell:
        """
        python -m labelmer extract \
            {input.encoder:q} \
            {output:q} \
            --encoder {wildcards.encoder:q} \
            --threads {threads} \
            --config {params.config:q} \
            --log {log:q}
        """


# The same commands on the fine-tuned encoder.


use rule extract as extract_finetuned with:
    input:
        content=segments_or_utterances,
        encoder=rules.finetune.output.encoder,
    output:
        update(f"{S}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.h5"),
    log:
        f"{LOGS}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.tsv"


use rule extract_transcripts as extract_finetuned_transcripts with:
    input:
        content=recognised_words,
        encoder=rules.finetune.output.encoder,
    output:
        update(f"{S}/features/{{encoder}}/finetuned/{TUNED}/{TRANSCRIPTS}/{{session}}.h5"),
    log:
        f"{LOGS}/features/{{encoder}}/finetuned/{TUNED}/{TRANSCRIPTS}/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/features/{{encoder}}/finetuned/{TUNED}/{TRANSCRIPTS}/{{session}}.tsv"


use rule extract_labels as extract_finetuned_labels with:
    input:
        encoder=rules.finetune.output.encoder,
    output:
        update(f"{S}/labels/{{encoder}}/{TUNED}.h5"),
    log:
        f"{LOGS}/labels/{{encoder}}/{TUNED}.log",
    benchmark:
        f"{BENCHMARKS}/labels/{{encoder}}/{TUNED}.tsv"
