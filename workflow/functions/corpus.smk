"""What the rules of the corpus are given."""

from labelmer.base.digest import content_key, places_digest

# The corpus' files are no inputs of any rule, as Snakemake looks at the times of inputs: an older
# corpus in the place of a newer one would change nothing, and a file from the future would fail a
# job that has done its work. What the jobs read of them is digested here instead.


def reader_module(corpus):
    return f"corpus.readers.{CORPORA[corpus].section['reader']}"


@cache
def digest_of(function, corpus, session):
    """Digest of text that a function makes of a session. Of bad input it is what the reader says:
    the job will say it, in its log."""
    try:
        return content_key(*function(corpus, session)).hex()
    except InputError as error:
        return str(error)


def utterance_rows(corpus, session):
    return [frame.to_csv(index=False) for frame in utterances_of(corpus, session)]


def label_rows(corpus, session):
    return [CORPORA[corpus].reader.labels(CORPORA[corpus].root, session).to_csv(index=False)]


def cuts(corpus, session):
    """What is cut from which files, as they are. Words do not count: a corrected one must not cut
    the audio anew."""
    table, read = utterances_of(corpus, session)[0].sort_values("id"), CORPORA[corpus]
    clips = read.reader.clips(read.root, table, **read.options)
    stretches = [(name, str(path), start, end) for name, path, start, end in clips]
    return canonical_json(stretches), places_digest(path for _, path, _, _ in stretches)


def reading(corpus):
    """What is read: a part of the section `corpus`."""
    return {key: CORPORA[corpus].section[key] for key in ("reader", "root")}


def utterances_params(wildcards):
    corpus = wildcards.corpus
    rows = digest_of(utterance_rows, corpus, wildcards.session)
    return tracked("utterances", reader_module(corpus), corpus=reading(corpus), rows=rows)


def labels_params(wildcards):
    corpus = wildcards.corpus
    rows = digest_of(label_rows, corpus, wildcards.session)
    return tracked("labels", reader_module(corpus), corpus=reading(corpus), rows=rows)


def segment_params(wildcards):
    corpus = wildcards.corpus
    section = {**reading(corpus), **CORPORA[corpus].options}
    digest = digest_of(cuts, corpus, wildcards.session)
    return tracked("segment", reader_module(corpus), corpus=section, cuts=digest)


def other_utterances():
    """The utterances of the sessions that the study leaves out, which tables beside it may name."""
    return in_corpus("utterances/{session}.tsv", SESSIONS_LEFT_OUT)
