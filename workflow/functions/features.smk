"""What the rules of encoders and features are given."""

from labelmer.config.entries import encoding
from labelmer.base.digest import places_digest
from labelmer.features.encoders import builtins, family_of, options_in, possible
from labelmer.features.made import path_of, width_of

# Of an encoder's job, so that the jobs of all sessions, or of all folds, run beside each other.
SHARE_OF_CORES = max(1, (workflow.resource_settings.cores or 1) // len(SESSIONS))


def corpus_of(wildcards):
    """The corpus of a job: what lies in a study's folder is of the study's."""
    return wildcards.get("corpus", NAME)


def encoder_of(wildcards):
    return config["encoders"][wildcards.encoder]


def family(wildcards):
    """The module of an encoder's family, in a list; none before it can be known.

    Of a snapshot only its files tell. Snakemake asks for params again right before a job, so what
    is recorded always has it.
    """
    entry = encoder_of(wildcards)
    families = possible(entry["source"], entry["modality"])
    if len(families) > 1:
        path = entry["source"].removeprefix("path:")
        folders = (path, f"resources/encoders/{wildcards.encoder}")
        there = [folder for folder in folders if (Path(folder) / "config.json").exists()]
        families = [told(family_of, folder) for folder in there[:1]]
    return [each.module for each in families]


def made_elsewhere(wildcards):
    """The files of a session as they are, by names, sizes and times, of an encoder of `files:`.

    As they are no inputs, so that their times do not count: of a file that holds what it held
    nothing is taken over anew.
    """
    kind, _, folder = encoder_of(wildcards)["source"].partition(":")
    if kind != "files":
        return {}
    ids = utterances_of(corpus_of(wildcards), wildcards.session)[0].id
    return {"files": places_digest(path_of(folder, name) for name in ids)}


def extract_params(wildcards):  # with **sections Snakemake would give it input, output and threads
    sections = {**encoding(encoder_of(wildcards)), **made_elsewhere(wildcards)}
    return tracked("extract", *family(wildcards), **sections)


def extract_labels_params(wildcards):
    sections = encoding(encoder_of(wildcards))
    sections["labels"] = {name: config["labels"][name]["words"] for name in CLASSES}
    return tracked("extract", *family(wildcards), **sections)


def finetune_params(wildcards):
    seen = options_in(encoding(encoder_of(wildcards)))
    sections = {"classes": CLASSES, "finetuning": config["finetuning"], **seen}
    return tracked("finetune", *family(wildcards), **sections)


def snapshot_files(source):
    """The files of a snapshot that lies on this machine; others are named by their revision."""
    kind, _, place = source.partition(":")
    if kind != "path":
        return []
    return sorted(str(path) for path in Path(place).iterdir() if path.is_file())


@cache
def snapshot_digests(source):
    """What a local snapshot's files hold: their times do not count, however large they are."""
    return {Path(path).name: file_digest(path) for path in snapshot_files(source)}


def fetch_params(wildcards):
    return fetching(encoder_of(wildcards)["source"])


def fetching(source):
    files = builtins().get(source) or snapshot_digests(source)
    if source.startswith("files:"):
        files = {"width": told(width_of, source.removeprefix("files:"))}
    return tracked("fetch", source=source, files=files)


def spoken_language(wildcards, output):
    """What fetch is told of the transcriber's language.

    Snakemake compares no params of an output, so another study's language fetches nothing again.
    """
    return ["--language", TRANSCRIBER["language"]] if "language" in TRANSCRIBER else []


def content_of(encoder, *sessions, corpus=NAME):
    """What an encoder reads of some sessions."""
    speech = config["encoders"][encoder]["modality"] == "speech"
    path = "segments/{session}.h5" if speech else "utterances/{session}.tsv"
    return in_corpus(path, sessions, corpus)


def segments_or_utterances(wildcards):
    return content_of(wildcards.encoder, wildcards.session, corpus=corpus_of(wildcards))


def recognised_words(wildcards):
    path = f"{TRANSCRIPTS}/{{session}}.tsv"
    return in_corpus(path, wildcards.session, corpus_of(wildcards))


def taught_by(wildcards):
    """What an encoder reads of the sessions that train and validate, and of no other."""
    return content_of(wildcards.encoder, *sessions_of(wildcards, "train", "validation"))


def transcribe_params(wildcards):
    told_of = {key: of for key, of in TRANSCRIBER.items() if key not in ("name", "source")}
    return tracked("transcribe", **told_of)


def all_features():
    folders = {
        (feature_folder(experiment[modality], experiment["mode"], fold, seed, corpus), corpus)
        for experiment in config["experiments"]
        for modality in ("speech", "text")
        for fold in FOLDS
        for seed in SEEDS
        for corpus in CORPORA
    }
    return [
        f"{folder}/{session}.h5"
        for folder, corpus in sorted(folders)
        for session in CORPORA[corpus].sessions
    ]
