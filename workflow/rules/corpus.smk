"""The corpus -> audio and tables per session -> folds.

REQUIRED INPUTS:

    corpus: root: of the config     the release's folder, or a manifest and its audio
    corpus: transcripts:            recognised words, if there are any
    folds: parts:                   the corpus' own split, if it is to be obeyed

They stand in no `input:`; digests of what the jobs read of them are params.

OUTPUTS:

    C/utterances/{session}.tsv          id, session, dialogue, scenario, speaker, times, words
    C/utterances/{session}.unread.tsv   lines that are no utterance
    C/transcripts/{session}.tsv         the same with the recognised words
    C/labels/{session}.tsv              id, code, dimensions, raters
    C/segments/{session}.h5             the audio of every utterance
    C/segments/{session}.tsv            where it came from
    S/splits/fold{fold}.tsv             id, scenario, speaker, part, label
    S/splits/audit.tsv                  what each fold holds, what its parts share
    S/splits/left_out.tsv               what is in no fold, and why
"""


rule utterances:
    output:
        utterances=f"{C}/utterances/{{session}}.tsv",
        unread=f"{C}/utterances/{{session}}.unread.tsv",
    log:
        f"{C_LOGS}/utterances/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/utterances/{{session}}.tsv"
    group:
        "corpus.{corpus}.{session}"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        config=utterances_params,
    shell:
        """
        python -m labelmer utterances \
            --session {wildcards.session:q} \
            --utterances {output.utterances:q} \
            --unread {output.unread:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# Of all sessions, as one table of recognised words serves studies of different ones.
rule transcripts:
    input:
        utterances=in_corpus("utterances/{session}.tsv", SESSIONS_OF_CORPUS),
    output:
        tables=in_corpus("transcripts/{session}.tsv", SESSIONS_OF_CORPUS),
    log:
        f"{C_LOGS}/transcripts/tables.log".format(corpus=NAME),
    benchmark:
        f"{C_BENCHMARKS}/transcripts/tables.tsv".format(corpus=NAME)
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        table=CORPUS.get("transcripts", ""),
        config=tracked("transcripts", table=given("transcripts")),
    shell:
        """
        python -m labelmer transcripts \
            {params.table:q} \
            --utterances {input.utterances:q} \
            --out "$(dirname {output.tables[0]:q})" \
            --config {params.config:q} \
            --log {log:q}
        """


rule labels:
    output:
        f"{C}/labels/{{session}}.tsv",
    log:
        f"{C_LOGS}/labels/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/labels/{{session}}.tsv"
    group:
        "corpus.{corpus}.{session}"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        config=labels_params,
    shell:
        """
        python -m labelmer labels \
            --session {wildcards.session:q} \
            --labels {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# Reads ids and times from the corpus, not from the table of utterances: a corrected word must not
# cut the audio anew.
rule segment:
    output:
        segments=f"{C}/segments/{{session}}.h5",
        table=f"{C}/segments/{{session}}.tsv",
    log:
        f"{C_LOGS}/segments/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/segments/{{session}}.tsv"
    group:
        "corpus.{corpus}.{session}"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("torch"),
    params:
        config=segment_params,
    shell:
        """
        python -m labelmer segment \
            --session {wildcards.session:q} \
            --segments {output.segments:q} \
            --table {output.table:q} \
            --config {params.config:q} \
            --log {log:q}
        """


checkpoint split:
    input:
        utterances=in_corpus("utterances/{session}.tsv"),
        unread=in_corpus("utterances/{session}.unread.tsv"),
        segments=in_corpus("segments/{session}.tsv"),
        labels=in_corpus("labels/{session}.tsv"),
        left_out=other_utterances() if PARTS_OF_CORPUS else [],
    output:
        folds=expand(f"{S}/splits/fold{{fold}}.tsv", fold=FOLDS),
        audit=report(
            f"{S}/splits/audit.tsv",
            category="Corpus",
            caption="../report/audit.rst",
        ),
        left_out=report(
            f"{S}/splits/left_out.tsv",
            category="Corpus",
            caption="../report/left_out.rst",
        ),
    log:
        f"{LOGS}/splits.log",
    benchmark:
        f"{BENCHMARKS}/splits.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        parts=["--parts", PARTS_OF_CORPUS] if PARTS_OF_CORPUS else [],
        config=tracked(
            "split",
            reader_module(NAME),
            reader=CORPUS["reader"],
            # pairs, as JSON with sorted keys would lose the order of the classes
            classes=[(name, config["labels"][name]["codes"]) for name in CLASSES],
            folds=config["folds"],
            parts=file_digest(PARTS_OF_CORPUS) if PARTS_OF_CORPUS else None,
        ),
    shell:
        """
        python -m labelmer split \
            --utterances {input.utterances:q} \
            --unread {input.unread:q} \
            --segments {input.segments:q} \
            --labels {input.labels:q} \
            {params.parts:q} \
            --left-out {input.left_out:q} \
            --out "$(dirname {output.audit:q})" \
            --config {params.config:q} \
            --log {log:q}
        """
