"""A reader of corpora is one file: found by itself, and its code counts for its corpora alone."""

from collections import Counter

import pytest
import yaml
from conftest import REPOSITORY, Workspace
from corpora import turns_of, write_audio, write_release

from labelmer.base import tables

pytestmark = pytest.mark.slow

READER = '''
"""A folder for each speaker, with NUMBER.wav and NUMBER.txt: the label and the words."""

from pathlib import Path

import pandas as pd

ROOT = "a folder with a folder for each speaker"
OPTIONS = {"suffix": {"enum": ["wav", "flac"], "default": "wav"}}


def sessions(root):
    return sorted(path.name for path in Path(root).iterdir())


def speakers(root, session):
    return [session]


def utterances(root, session):
    rows = [
        {"id": f"{session}-{number}", "session": session, "dialogue": session, "speaker": session}
        | {"start_s": None, "end_s": None, "text": words}
        for number, _, words in _texts(root, session)
    ]
    return pd.DataFrame(rows), pd.DataFrame(columns=["file", "line", "text", "reason"])


def labels(root, session):
    none = {"valence": None, "activation": None, "dominance": None, "raters": 0, "agreement": None}
    rows = [
        {"id": f"{session}-{number}", "code": label, **none}
        for number, label, _ in _texts(root, session)
    ]
    return pd.DataFrame(rows)


def clips(root, table, suffix):
    places = (name.rsplit("-", 1) for name in table.id)
    paths = [Path(root) / speaker / f"{number}.{suffix}" for speaker, number in places]
    return [(name, path, None, None) for name, path in zip(table.id, paths, strict=True)]


def audio_files(root, session, suffix):
    return sorted((Path(root) / session).glob(f"*.{suffix}"))


def _texts(root, session):
    paths = sorted((Path(root) / session).glob("*.txt"))
    return [(path.stem, *path.read_text().split(" ", 1)) for path in paths]
'''


def demo_on(**corpus):
    """demo.yaml on another corpus."""
    config = yaml.safe_load((REPOSITORY / "demo.yaml").read_text())
    return {**config, "corpus": corpus}


def test_a_reader_is_one_new_file(tmp_path):
    workspace = Workspace(tmp_path / "work")
    (workspace.folder / "labelmer/corpus/readers/folders.py").write_text(READER)
    for speaker in ("ann", "ben", "cem"):
        folder = workspace.folder / "corpus" / speaker
        for number, code in enumerate(["ang", "hap", "neu", "sad"]):
            write_audio(folder / f"{number}.wav", 0.3, "noise")
            (folder / f"{number}.txt").write_text(f"{code} so says {speaker}")
    config = demo_on(name="spoken", reader="folders", root="nowhere")
    workspace.configure(config)
    said = workspace.snakemake("splits", check=False)[1]
    assert "there is no 'nowhere'" in said and "expected a folder with a folder for each" in said
    config["corpus"] |= {"root": "corpus", "suffix": "mp3"}
    workspace.configure(config)
    said = workspace.snakemake("splits", check=False)[1]
    assert "corpus: suffix: 'mp3', expected one of ['wav', 'flac']" in said
    del config["corpus"]["suffix"]
    workspace.configure(config)
    workspace.snakemake("splits")
    results = workspace.folder / "results" / "spoken"
    heard = tables.read(results / "segments" / "ann.tsv", "segments")
    assert heard["seconds"].tolist() == pytest.approx([0.3] * 4)
    assert len(tables.read(results / "main" / "splits" / "fold3.tsv", "fold")) == 12


def test_the_workflow_reads_words_and_labels_of_a_session_once(tmp_path):
    workspace = Workspace(tmp_path / "work")
    counted = 'Path("read.log").open("a").write(session + "\\n")\n    paths = sorted('
    reader = READER.replace("paths = sorted(", counted)
    (workspace.folder / "labelmer/corpus/readers/folders.py").write_text(reader)
    speakers = ("ann", "ben", "cem")
    for speaker in speakers:
        (workspace.folder / "corpus" / speaker).mkdir(parents=True)
        (workspace.folder / "corpus" / speaker / "1.txt").write_text(f"ang so says {speaker}")
    workspace.configure(demo_on(name="spoken", reader="folders", root="corpus"))
    made = [
        f"results/spoken/{table}/{s}.tsv" for table in ("utterances", "labels") for s in speakers
    ]
    workspace.snakemake(*made)
    read = (workspace.folder / "read.log").read_text().split()
    # Words and labels each for their digest, and in their job.
    assert Counter(read) == {"ann": 4, "ben": 4, "cem": 4}


def test_the_code_of_a_reader_counts_for_its_corpora_alone(tmp_path):
    workspace = Workspace(tmp_path / "work")
    write_release(workspace.folder / "corpus", turns_of())
    workspace.configure(demo_on(name="tiny", reader="iemocap", root="corpus"))
    workspace.snakemake("splits")
    readers = workspace.folder / "labelmer" / "corpus" / "readers"
    (readers / "folders.py").write_text(READER)
    (readers / "manifest.py").write_text((readers / "manifest.py").read_text() + "\nSPARE = 1\n")
    assert workspace.jobs("splits") == set()
    (readers / "iemocap.py").write_text((readers / "iemocap.py").read_text() + "\nSPARE = 1\n")
    read = {rule for rule, _ in workspace.jobs("splits")}
    assert read == {"utterances", "labels", "segment", "split"}
