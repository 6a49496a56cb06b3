"""Studies made for tests: a corpus of a few noises, tiny encoders, and runs as the workflow does
them, each where the workflow has it, without Snakemake."""

import json

import numpy as np
import pandas as pd
import soundfile

from labelmer.base import tables
from labelmer.corpus import segment
from labelmer.features import extract, fetch, finetune, transcribe
from labelmer.models import evaluate, linear, train
from labelmer.report import tabulate

CLASSES = ["angry", "neutral", "sad"]
WORDS = {"angry": "no no tree", "neutral": "my new car", "sad": "is falling old"}
PITCHES = {"angry": 400, "neutral": 1200, "sad": 3000}  # Hz
COUNTS = {"train": 4, "validation": 2, "test": 3}  # utterances of each class
MODEL = {"width": 16, "heads": 2, "frame_stride": 4, "dropout": 0.1}
TRAINING = {"epochs": 2, "updates": 8, "batch_size": 4, "learning_rate": 5e-3}
RATE = 22_050  # Hz, so that the recordings are resampled


class Study:
    """results/tiny/main in a folder: one session, one dialogue, one fold.

    table: the fold table, with text; wav(id): the recording.
    """

    def __init__(self, folder):
        self.folder = folder
        self.corpus, self.study = folder / "results/tiny", folder / "results/tiny/main"
        draw = np.random.default_rng(0)
        parts = [(p, label) for p, n in COUNTS.items() for label in CLASSES for _ in range(n)]
        table = pd.DataFrame(parts, columns=["part", "label"]).sample(frac=1, random_state=1)
        table = table.assign(session="s", dialogue="d", scenario="").reset_index(drop=True)
        table["id"] = [f"u{i:03d}" for i in range(len(table))]
        table["speaker"] = table["part"] + (table.index % 2).astype(str)
        table["start_s"], table["end_s"] = table.index * 1.0, table.index + 0.9
        table["text"] = [" ".join(draw.permutation(WORDS[x].split())) for x in table["label"]]
        self.table = table
        for row in table.itertuples():
            time = np.arange(draw.integers(4000, 12000)) / RATE
            tone = 0.2 * np.sin(2 * np.pi * PITCHES[row.label] * time)
            noise = draw.normal(0, 0.02, (len(time), 2))
            self.wav(row.id).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(self.wav(row.id), tone[:, None] + noise, RATE)
        self.fold = self.study / "splits/fold1.tsv"
        tables.write(self.fold, table.drop(columns=["start_s", "end_s", "text"]), "fold")
        self.utterances = self.corpus / "utterances/s.tsv"
        tables.write(self.utterances, table.drop(columns=["part", "label"]), "utterances")
        self.segments = self.corpus / "segments/s.h5"
        clips = [(name, self.wav(name), None, None) for name in table["id"]]
        spans, found = segment.find(clips, folder, segment.Findings())
        told = self.segments, {"code": "c0de"}, segment.Findings()
        found["audio"] = found["id"].map(segment.write_segments(spans, *told))
        tables.write(self.segments.with_suffix(".tsv"), found, "segments")

    def wav(self, name):
        return self.folder / "wav" / f"{name}.wav"

    def tested(self):
        """The rows of the test part."""
        return self.table[self.table["part"] == "test"]

    def snapshot(self, encoder):
        return self.folder / "resources/encoders" / encoder

    def transcribe(self, name, source, **options):
        """Fetch a transcriber, and recognise the words of the session."""
        snapshot = self.folder / "resources/transcribers" / name
        if not snapshot.exists():
            fetch.fetch(source, snapshot)
        told = self.segments, snapshot, self.corpus / f"transcripts/{name}/s.tsv", "--threads", 1
        transcribe.main([*map(str, told), "--config", json.dumps(options)])

    def encoder(self, name, modality, source, layer=None, tuned=False, heard_by=None):
        """Fetch an encoder, tune it if asked to, and extract its features.

        heard_by: the transcriber whose words are read in place of the corpus' own.
        """
        if not self.snapshot(name).exists():
            fetch.fetch(source, self.snapshot(name))
        snapshot, out = self.snapshot(name), self.corpus / f"features/{name}/frozen/s.h5"
        inputs = self.segments if modality == "speech" else self.utterances
        if heard_by:
            inputs = self.corpus / f"transcripts/{heard_by}/s.tsv"
            out = out.parent / f"transcripts/{heard_by}/s.h5"
        if tuned:
            out = self.study / f"features/{name}/finetuned/fold1.seed1/s.h5"
            config = {"classes": CLASSES, "finetuning": {"epochs": 1, "learning_rate": 1e-3}}
            tuned = self.study / f"encoders/{name}/fold1.seed1"
            where = ["--history", f"{tuned}.tsv", "--inputs", inputs, "--encoder", name]
            run = ["--fold", 1, "--seed", 1, "--config", json.dumps({**config, "code": "c0de"})]
            finetune.main(list(map(str, [self.fold, snapshot, tuned, *where, *run])))
            snapshot = tuned
        config = json.dumps({} if layer is None else {"layer": layer})
        told = [inputs, snapshot, out, "--encoder", name, "--threads", 1, "--config", config]
        extract.main(list(map(str, told)))

    def run(self, variant, speech, text, mode="frozen", seed=1, **model):
        """Train and evaluate a variant, or fit the baseline; return the folder of the run."""
        kind = f"finetuned/fold1.seed{seed}" if mode == "finetuned" else "frozen"
        place = f"{speech}+{text}/{mode}/{variant}/fold1.seed{seed}"
        folder = self.study / "models" / place
        files = []
        for m, encoder in (("speech", speech), ("text", text)):
            if m in model.get("modalities", ("speech", "text")):
                home = self.study if mode == "finetuned" else self.corpus
                found = sorted((home / f"features/{encoder}/{kind}").glob("*.h5"))
                if m == "text" and mode == "frozen-recognised":
                    found = (home / f"features/{encoder}/{kind}/transcripts").glob("*/*.h5")
                files += [f"--{m}", *found]
        named = ["--run", speech, text, mode, variant, 1, seed]
        out = self.study / f"predictions/{place}.tsv"
        perturbed = ["--perturbed", self.study / f"perturbed/{place}.tsv"]
        if model.get("architecture") == "linear":
            config = {"classes": CLASSES, "model": {"frame_stride": 4, **model}, "refit": False}
            told = [self.fold, folder, out, *perturbed, *files, *named]
            linear.main([*map(str, told), "--config", json.dumps(config)])
            return folder
        config = {"classes": CLASSES, "model": {**MODEL, **model}, "training": TRAINING}
        files += ["--utterances", self.utterances]
        told = [self.fold, folder, *files, *named]
        train.main([*map(str, told), "--config", json.dumps(config)])
        more = [*perturbed, "--salience", self.study / f"salience/{place}"]
        evaluate.main(list(map(str, [self.fold, folder, out, *more, *files, *named])))
        return folder

    def report(self, *folders):
        """Write the result tables of some runs, which are all that the study has."""
        counts = dict.fromkeys((*tables.TABLES["audit"], *(f"n_{c}" for c in CLASSES)), 0)
        of_parts = self.table["part"].value_counts()
        audit = [
            {**counts, "fold": 1, "held_out": "s", "part": part, "utterances": of_parts[part]}
            for part in COUNTS
        ]
        audit = pd.DataFrame(audit).drop(columns="n_*")
        tables.write(self.study / "splits/audit.tsv", audit, "audit")
        runs = [folder.relative_to(self.study / "models") for folder in folders]
        config = {"protocol": "1 fold", "selection": "the best epoch", "classes": CLASSES}
        config["inputs"] = {folder.parent.name: ["speech", "text"] for folder in folders}
        told = [["--out", self.study / "reports", "--config", json.dumps(config)]]
        told += [["--audit", self.study / "splits/audit.tsv"]]
        told += [["--segments", self.segments.with_suffix(".tsv")]]
        told += [
            [f"--{kind}", *(self.study / kind / f"{run}.tsv" for run in runs)]
            for kind in ("predictions", "perturbed")
        ]
        tabulate.main([str(argument) for arguments in told for argument in arguments])

    def predictions(self, folder):
        """The test predictions of a run, by id."""
        path = self.study / "predictions" / folder.relative_to(self.study / "models")
        table = tables.read(path.with_name(f"{path.name}.tsv"), "predictions")
        return table[table["part"] == "test"].set_index("id")
