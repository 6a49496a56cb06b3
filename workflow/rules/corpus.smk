"""The corpus -> audio and tables per session -> folds.

REQUIRED INPUTS:

    corpus: root: of the config     the release's folder, or a manifest and its audio
    corpus: transcripts:            recognised words, if there are any

They stand in no `input:`; digests of what the jobs read of them are params.

OUTPUTS:

    C/utterances/{session}.tsv          id, session, dialogue, speaker, times, words
    C/utterances/{session}.unread.tsv   lines that are no utterance
    C/transcripts/{session}.tsv         the same with the recognised words
    C/labels/{session}.tsv              id, code, dimensions, raters
    C/segments/{session}.h5             the audio of every utterance
    C/segments/{session}.tsv            where it came from
    S/splits/fold{fold}.tsv             id, speaker, part, label
    S/splits/audit.tsv                  what each fold holds, what its parts share
    S/splits/left_out.tsv               what is in no fold, and why
"""

from labelmer.base.digest import content_key, places_digest

# The corpus' files are no inputs of any rule, as Snakemake looks at the times of inputs: an older
# corpus in the place of a newer one would change nothing, and a file from the future would fail a
# job that has done its work. What the jobs read of them is digested here instead.

READING = {key: CORPUS[key] for key in ("reader", "root")}
READER_MODULE = f"corpus.readers.{CORPUS['reader']}"


@cache
def utterances_of(session):
    return READER.utterances(ROOT, session)


def digest_of(function, *arguments):
    """Digest of text that a function makes of the corpus. Of bad input it is what the reader says:
    the job will say it, in its log."""
    try:
        return content_key(*function(*arguments)).hex()
    except InputError as error:
        return str(error)


def utterance_rows(session):
    return [frame.to_csv(index=False) for frame in utterances_of(session)]


def label_rows(session):
    return [READER.labels(ROOT, session).to_csv(index=False)]


def cuts(session):
    """What is cut from which files, as they are. Words do not count: a corrected one must not cut
    the audio anew."""
    table, _ = utterances_of(session)
    clips = READER.clips(ROOT, table.sort_values("id"), **READER_OPTIONS)
    stretches = [(name, str(path), start, end) for name, path, start, end in clips]
    return canonical_json(stretches), places_digest(path for _, path, _, _ in stretches)


def utterances_params(wildcards):
    rows = digest_of(utterance_rows, wildcards.session)
    return tracked("utterances", READER_MODULE, corpus=READING, rows=rows)


def labels_params(wildcards):
    rows = digest_of(label_rows, wildcards.session)
    return tracked("labels", READER_MODULE, corpus=READING, rows=rows)


def segment_params(wildcards):
    corpus = {**READING, **READER_OPTIONS}
    digest = digest_of(cuts, wildcards.session)
    return tracked("segment", READER_MODULE, corpus=corpus, cuts=digest)


rule utterances:
    output:
        utterances=f"{C}/utterances/{{session}}.tsv",
        unread=f"{C}/utterances/{{session}}.unread.tsv",
    log:
        f"{C_LOGS}/utterances/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/utterances/{{session}}.tsv"
    conda:
        ENVIRONMENT
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
        utterances=expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS_OF_CORPUS),
    output:
        tables=expand(f"{C}/transcripts/{{session}}.tsv", session=SESSIONS_OF_CORPUS),
    log:
        f"{C_LOGS}/transcripts/tables.log",
    benchmark:
        f"{C_BENCHMARKS}/transcripts/tables.tsv"
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


rule labels:
    output:
        f"{C}/labels/{{session}}.tsv",
    log:
        f"{C_LOGS}/labels/{{session}}.log",
    benchmark:
        f"{C_BENCHMARKS}/labels/{{session}}.tsv"
    conda:
        ENVIRONMENT
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
        utterances=expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS),
        unread=expand(f"{C}/utterances/{{session}}.unread.tsv", session=SESSIONS),
        segments=expand(f"{C}/segments/{{session}}.tsv", session=SESSIONS),
        labels=expand(f"{C}/labels/{{session}}.tsv", session=SESSIONS),
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
    params:
        config=tracked(
            "split",
            READER_MODULE,
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
