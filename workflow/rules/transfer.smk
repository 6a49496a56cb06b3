"""Trained models -> their predictions of other corpora, those of `test_on` in the config.

The other corpora's audio, words, labels and frozen features are made by the rules of every corpus.

REQUIRED INPUTS, C being that of the other corpus:

    C/utterances/{session}.tsv, C/segments/{session}.tsv, C/labels/{session}.tsv
    C/features/{encoder}/frozen/{session}.h5
    S/models/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}/
    S/predictions/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv

OUTPUTS:

    S/transfer/{corpus}/test.tsv        the utterances of the classes that both corpora have
    S/transfer/{corpus}/left_out.tsv    the others, and why
    S/transfer/{corpus}/features/{encoder}/finetuned/fold{fold}.seed{seed}/{session}.h5
    S/transfer/{corpus}/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/reports/cross_corpus.tsv          how far the models carry
"""


rule match:
    input:
        utterances=of_other("utterances/{session}.tsv"),
        unread=of_other("utterances/{session}.unread.tsv"),
        segments=of_other("segments/{session}.tsv"),
        labels=of_other("labels/{session}.tsv"),
    output:
        test=f"{TRANSFER}/test.tsv",
        left_out=f"{TRANSFER}/left_out.tsv",
    log:
        f"{LOGS}/transfer/{{corpus}}/test.log",
    benchmark:
        f"{BENCHMARKS}/transfer/{{corpus}}/test.tsv"
    wildcard_constraints:
        corpus=one_of(OTHERS),
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        config=match_params,
    shell:
        """
        python -m labelmer match \
            --utterances {input.utterances:q} \
            --unread {input.unread:q} \
            --segments {input.segments:q} \
            --labels {input.labels:q} \
            --test {output.test:q} \
            --left-out {output.left_out:q} \
            --config {params.config:q} \
            --log {log:q}
        """


use rule extract as extract_finetuned_other with:
    input:
        content=segments_or_utterances,
        encoder=rules.finetune.output.encoder,
    output:
        update(f"{TRANSFER}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.h5"),
    log:
        f"{LOGS}/transfer/{{corpus}}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/transfer/{{corpus}}/features/{{encoder}}/finetuned/{TUNED}/{{session}}.tsv"
    wildcard_constraints:
        corpus=one_of(OTHERS),


rule transfer:
    input:
        test=rules.match.output.test,
        model=saved_model,
        speech=other_features("speech"),
        text=other_features("text"),
        utterances=other_tables("utterances"),
        segments=other_tables("segments"),
        predictions=multiplied(PREDICTIONS),
        members=multiplied(f"{TRANSFER}/{RUN}.tsv"),
    output:
        f"{TRANSFER}/{RUN}.tsv",
    log:
        f"{LOGS}/transfer/{{corpus}}/{RUN}.log",
    benchmark:
        f"{BENCHMARKS}/transfer/{{corpus}}/{RUN}.tsv"
    wildcard_constraints:
        corpus=one_of(OTHERS),
        variant=one_of(config["variants"]),
    group:
        "models.fold{fold}.seed{seed}"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=lambda wildcards: GPU if KINDS[wildcards.variant] == "network" else 0,
        mem_mb=memory("torch"),
    params:
        folder=f"{S}/models/{RUN}",
        config=transfer_params,
    shell:
        """
        python -m labelmer transfer \
            {input.test:q} \
            {params.folder:q} \
            {output:q} \
            --speech {input.speech:q} \
            --text {input.text:q} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --predictions {input.predictions:q} \
            --members {input.members:q} \
            --run {wildcards.speech:q} {wildcards.text:q} {wildcards.mode:q} \
            {wildcards.variant:q} {wildcards.fold} {wildcards.seed} \
            --threads {threads} \
            --gpu {resources.gpu} \
            --config {params.config:q} \
            --log {log:q}
        """


# All of them in one job, as tabulate does.
rule cross_corpus:
    input:
        predictions=every_run(PREDICTIONS),
        tested=[path for name in OTHERS for path in every_run(transferred(name))],
        audit=split_table("audit"),
    output:
        report(
            f"{S}/reports/cross_corpus.tsv",
            category="Tables",
            caption="../report/cross_corpus.rst",
        ),
    log:
        f"{LOGS}/reports/cross_corpus.log",
    benchmark:
        f"{BENCHMARKS}/reports/cross_corpus.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        predictions=every_run_short(PREDICTIONS),
        tested=tested_short,
        config=cross_corpus_params,
    shell:
        """
        python -m labelmer cross_corpus \
            --predictions {params.predictions} \
            {params.tested} \
            --audit {input.audit:q} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """
