"""What the rules of the corpus are given."""

from labelmer.base.digest import content_key, places_digest

# The corpus' files are no inputs of any rule, as Snakemake looks at the times of inputs: an older
# corpus in the place of a newer one would change nothing, and a file from the future would fail a
# job that has done its work. What the jobs read of them is digested here instead.

READING = {key: CORPUS[key] for key in ("reader", "root")}
READER_MODULE = f"corpus.readers.{CORPUS['reader']}"


@cache
def digest_of(function, session):
    """Digest of text that a function makes of a session. Of bad input it is what the reader says:
    the job will say it, in its log."""
    try:
        return content_key(*function(session)).hex()
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


def other_utterances():
    """The utterances of the sessions that the study leaves out, which tables beside it may name."""
    return expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS_LEFT_OUT)
