"""The corpus -> audio and tables per session -> folds.

REQUIRED INPUTS:

    corpus: root: of the config     the release's folder, or a manifest and its audio
    corpus: transcripts:            recognised words, if there are any

They stand in no `input:`; digests of what the jobs read of them are params (common.smk).

OUTPUTS:

    R/utterances/{session}.tsv          id, session, dialogue, speaker, times, words
    R/utterances/{session}.unread.tsv   lines that are no utterance
    R/transcripts/{session}.tsv         the same with the recognised words
    R/labels/{session}.tsv              id, code, dimensions, raters
    R/segments/{session}.h5             the audio of every utterance
    R/segments/{session}.tsv            where it came from
    R/splits/fold{fold}.tsv             id, speaker, part, label
    R/splits/audit.tsv                  what each fold holds, what its parts share
    R/splits/left_out.tsv               what is in no fold, and why
"""


rule annotate_utterances:
    output:
        utterances=f"{R}/utterances/{{session}}.tsv",
        unread=f"{R}/utterances/{{session}}.unread.tsv",
    log:
        f"{LOGS}/utterances/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/utterances/{{session}}.tsv"
    conda:
        ENVIRONMENT
    params:
        config=utterances_params,
    shell:
        """
        python -m labelmer annotate \
            --session {wildcards.session:q} \
            --utterances {output.utterances:q} \
            --unread {output.unread:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule replace_transcripts:
    input:
        utterances=expand(f"{R}/utterances/{{session}}.tsv", session=SESSIONS),
    output:
        tables=expand(f"{R}/transcripts/{{session}}.tsv", session=SESSIONS),
    log:
        f"{LOGS}/transcripts.log",
    benchmark:
        f"{BENCHMARKS}/transcripts.tsv"
    conda:
        ENVIRONMENT
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


rule annotate_labels:
    output:
        f"{R}/labels/{{session}}.tsv",
    log:
        f"{LOGS}/labels/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/labels/{{session}}.tsv"
    conda:
        ENVIRONMENT
    params:
        config=labels_params,
    shell:
        """
        python -m labelmer annotate \
            --session {wildcards.session:q} \
            --labels {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# Reads ids and times from the corpus, not from the table of utterances: a corrected word must not
# cut the audio anew.
rule segment:
    output:
        segments=f"{R}/segments/{{session}}.h5",
        table=f"{R}/segments/{{session}}.tsv",
    log:
        f"{LOGS}/segments/{{session}}.log",
    benchmark:
        f"{BENCHMARKS}/segments/{{session}}.tsv"
    conda:
        ENVIRONMENT
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
        utterances=expand(f"{R}/utterances/{{session}}.tsv", session=SESSIONS),
        unread=expand(f"{R}/utterances/{{session}}.unread.tsv", session=SESSIONS),
        segments=expand(f"{R}/segments/{{session}}.tsv", session=SESSIONS),
        labels=expand(f"{R}/labels/{{session}}.tsv", session=SESSIONS),
    output:
        folds=expand(f"{R}/splits/fold{{fold}}.tsv", fold=FOLDS),
        audit=report(
            f"{R}/splits/audit.tsv",
            category="Corpus",
            caption="../report/audit.rst",
        ),
        left_out=report(
            f"{R}/splits/left_out.tsv",
            category="Corpus",
            caption="../report/left_out.rst",
        ),
    log:
        f"{LOGS}/splits.log",
    benchmark:
        f"{BENCHMARKS}/splits.tsv"
    conda:
        ENVIRONMENT
    params:
        config=tracked(
            "split",
            reader=CORPUS["reader"],
            # pairs, as JSON with sorted keys would lose the order of the classes
            classes=[(name, config["labels"][name]["codes"]) for name in CLASSES],
            folds=config["folds"],
        ),
    shell:
        """
        python -m labelmer split \
            --utterances {input.utterances:q} \
            --unread {input.unread:q} \
            --segments {input.segments:q} \
            --labels {input.labels:q} \
            --out "$(dirname {output.audit:q})" \
            --config {params.config:q} \
            --log {log:q}
        """
