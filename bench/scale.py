"""A corpus of 100,000 utterances and 2,000 speakers through the workflow, beside smaller ones.

Made-up corpora of MSP-Podcast's kind: a manifest with a column `part`, a WAV file of 0.2 to 0.4 s
of noise and six words for each utterance, 50 utterances of each speaker, four classes. Each runs
twice: with `hold_out: part` as one session, which is what `labelmer manifest msp-podcast` makes of
that corpus, and with `hold_out: speakers` in three folds and 20 sessions. Speech goes through the
filterbank, words through a tiny BERT with random weights, so that what is measured is labelmer's
own work; two networks are trained for an epoch, without a refit, and two baselines, and all four
are multiplied.

A stage is a call of Snakemake for its jobs with one core, with all that Snakemake does before them.
Of each: its jobs, seconds, CPU seconds, and the most memory that one of its processes held,
Snakemake's too; and the exponents by which seconds and CPU seconds grow from one size to the next:
1 is linear. Then the page is opened and filtered as bench/page.py does, where Chromium is. Prints
the tables in Markdown and, as its last line, one JSON object.

    python bench/scale.py [--tiny] [--utterances N ...] [--hold-out part|speakers ...]
"""

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).parents[1]
UTTERANCES = (6_250, 25_000, 100_000)
SESSIONS = 20
OF_A_SPEAKER = 50  # utterances
RATE = 16_000  # Hz
CODES = {"angry": "A", "happy": "H", "neutral": "N", "sad": "S"}
WORDS = "i you we never always said went home told about it what because mother money leave love"
FOLDS = {"part": 1, "speakers": 3}
NETWORKS = {"full": {}, "speech-only": {"modalities": ["speech"]}}
BASELINES = {"linear": {"architecture": "linear"}, "metadata-only": {"architecture": "metadata"}}
FUSED = {"late-fusion": {"product_of": [*NETWORKS, *BASELINES]}}
RUN = "fbank+bert/frozen/{variant}/fold{fold}.seed1"
CHANGES = [("label", 0), ("label", ""), ("words", "mother"), ("words", ""), ("order", "surest")]
BEFORE, AFTER = "`snakemake -n`, nothing run", "`snakemake -n`, all run"


class Spent(NamedTuple):
    """What a stage took."""

    jobs: int
    seconds: float
    cpu_s: float
    peak_mb: float


class Page(NamedTuple):
    """A page, and what it takes in Chromium; None where there is none."""

    megabytes: float
    opens_s: float | None = None
    filters_ms: float | None = None


def apart(work, *arguments):
    """What work returns, done in a process of its own: Linux counts the memory of a process for
    those that it starts, too."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def make_up(folder, count):
    """Audio, a manifest for each way to hold out, and a text encoder."""
    write_corpus(folder, count)
    write_text_encoder(folder / "bert")


def write_corpus(folder, count):
    """Audio, and a manifest for each way to hold out."""
    draw = np.random.default_rng(1)
    number = np.arange(count)
    speaker = number // OF_A_SPEAKER
    part = np.array(["train", "train", "train", "validation", "test"])[speaker % 5]
    words = draw.choice(WORDS.split(), (count, 6))
    table = pd.DataFrame(
        {
            "id": [f"podcast_{s:04d}_{n:06d}" for s, n in zip(speaker, number, strict=True)],
            "path": [f"audio/{s:04d}/{n:06d}.wav" for s, n in zip(speaker, number, strict=True)],
            "speaker": [f"speaker{s:04d}" for s in speaker],
            "label": draw.choice(list(CODES.values()), count),
            "text": [" ".join(row) for row in words],
            "part": part,
        }
    )
    noise = draw.normal(0, 2000, RATE).astype("<i2")
    frames = draw.integers(RATE // 5, RATE * 2 // 5, count)
    starts = draw.integers(0, RATE * 3 // 5, count)
    for path, first, length in zip(table.path, starts, frames, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(noise[first : first + length].tobytes())
    table.to_csv(folder / "part.tsv", sep="\t", index=False)
    table["session"] = [f"s{n:03d}" for n in number * SESSIONS // count]
    table.to_csv(folder / "speakers.tsv", sep="\t", index=False)


def write_text_encoder(folder):
    """A BERT that knows the words by heart, with random weights."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 32, "vocab_size": len(vocabulary)}
    BertModel(BertConfig(**sizes)).save_pretrained(folder)


def config_of(hold_out):
    """A config for the manifest of a way to hold out."""
    folds = {"folds": FOLDS[hold_out]} if hold_out == "speakers" else {}
    variants = NETWORKS | BASELINES | FUSED
    return {
        "corpus": {"name": hold_out, "reader": "manifest", "root": f"{hold_out}.tsv"},
        "labels": {name: {"codes": [code], "words": name} for name, code in CODES.items()},
        "folds": {"hold_out": hold_out, **folds},
        "encoders": {
            "fbank": {"modality": "speech", "source": "builtin:fbank"},
            "bert": {"modality": "text", "source": "path:bert", "layer": 1},
        },
        "model": {"width": 32, "frame_stride": 8},
        "training": {"epochs": 1, "updates": 1, "batch_size": 64, "refit": False},
        "variants": variants,
        "experiments": [
            {"speech": "fbank", "text": "bert", "mode": "frozen", "variants": list(variants)}
        ],
        "seeds": [1],
        "gpu": False,
    }


def stages_of(hold_out):
    """{stage: what Snakemake is asked for}, in their order."""
    study = f"results/{hold_out}/main"

    def runs(pattern, variants):
        folds = range(1, 1 + FOLDS[hold_out])
        return [f"{study}/{pattern.format(variant=v, fold=f)}" for v in variants for f in folds]

    return {
        BEFORE: ["-n"],
        "annotate": ["splits", "--until", "utterances", "labels"],
        "segment": ["splits", "--until", "segment"],
        "split": ["splits"],
        "extract": ["features"],
        "train": runs(f"models/{RUN}/model.safetensors", NETWORKS),
        "baselines": runs(f"predictions/{RUN}.tsv", BASELINES),
        "evaluate": runs(f"predictions/{RUN}.tsv", NETWORKS),
        "late fusion": runs(f"predictions/{RUN}.tsv", FUSED),
        "tables": [f"{study}/reports/{name}.tsv" for name in ("compare", "convergence")],
        "what the page shows": [f"{study}/reports/browser.json"],
        "figures and page": [],
        AFTER: ["-n"],
    }


def spent(folder, config, arguments):
    """Run Snakemake in a folder; what it took, its jobs' processes included."""
    # With one core nothing waits for another.
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1"]
    command += ["--configfile", config]
    environment = {**os.environ, "PYTHONPATH": str(folder)}  # labelmer is the copy there
    output, start = folder / "said.txt", time.perf_counter()
    with output.open("w") as file:
        running = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    _, status, usage = os.wait4(running.pid, 0)  # with all that it waited for
    seconds, said = time.perf_counter() - start, output.read_text()
    if status:
        sys.exit(said[-10_000:])
    jobs = re.findall(r"^total +(\d+)$", said, re.M)
    return Spent(
        int(jobs[0]) if jobs else 0,
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024 / 1e6,
    )


def opened(path):
    """The Page at a path."""
    size = round(path.stat().st_size / 1e6, 1)
    if not all(Path("/usr/bin", name).exists() for name in ("chromium", "chromedriver")):
        return Page(size)
    from page import measured as in_chromium

    seconds, slowest = in_chromium(path, 1, CHANGES)
    return Page(size, round(seconds, 1), round(max(slowest.values())))


def measured(count, ways):
    """{(way to hold out, stage): Spent} of a corpus of `count` utterances, and {way: Page}."""
    found, pages = {}, {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name in ("labelmer", "workflow", "profiles", "envs"):
            shutil.copytree(REPOSITORY / name, folder / name)
        shutil.copy(REPOSITORY / "Snakefile", folder)
        apart(make_up, folder, count)
        for way in ways:
            (folder / f"{way}.yaml").write_text(yaml.safe_dump(config_of(way), sort_keys=False))
            for stage, arguments in stages_of(way).items():
                found[way, stage] = spent(folder, f"{way}.yaml", arguments)
                print(count, way, stage, found[way, stage], file=sys.stderr)
            pages[way] = apart(opened, folder / f"results/{way}/main/reports/index.html")
            print(count, way, pages[way], file=sys.stderr)
            shutil.rmtree(folder / "results")
    return found, pages


def exponents(by_count, way, stage, what):
    """How seconds grow from each size to the next, as text: 1 is linear."""
    counts = list(by_count)
    values = [getattr(by_count[count][way, stage], what) for count in counts]
    grown = [
        math.log(values[i] / values[i - 1]) / math.log(counts[i] / counts[i - 1])
        for i in range(1, len(counts))
    ]
    return ", ".join(f"{e:.2f}" for e in grown)


def print_table(by_count, way):
    """One way to hold out: a row for each stage, the sizes beside each other."""
    sizes = " | ".join(f"{count:,}" for count in by_count)
    print(f"\n`hold_out: {way}`; jobs, then seconds / CPU seconds / MB of each size:\n")
    print(f"| stage | jobs | {sizes} | exponents of seconds | of CPU seconds |")
    print("|---" * (4 + len(by_count)) + "|")
    for stage in stages_of(way):
        of_stage = [found[way, stage] for found in by_count.values()]
        cells = [f"{s.seconds:,.1f} / {s.cpu_s:,.1f} / {s.peak_mb:,.0f}" for s in of_stage]
        cells += [exponents(by_count, way, stage, what) for what in ("seconds", "cpu_s")]
        print(f"| {stage} | {of_stage[-1].jobs} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, nargs="+", default=UTTERANCES, metavar="N")
    parser.add_argument("--hold-out", choices=FOLDS, nargs="+", default=list(FOLDS))
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    args = parser.parse_args()
    counts, ways = ([500], ["part"]) if args.tiny else (args.utterances, args.hold_out)
    by_count, pages = {}, {}
    for count in counts:
        by_count[count], pages[count] = measured(count, ways)
    for way in ways:
        print_table(by_count, way)
    largest = by_count[counts[-1]]
    print(
        json.dumps(
            {
                "most_mb": round(max(s.peak_mb for s in largest.values())),
                "dry_run_seconds": round(
                    max(s.seconds for (_, stage), s in largest.items() if "-n" in stage), 1
                ),
                "pages": {way: page._asdict() for way, page in pages[counts[-1]].items()},
            }
        )
    )


if __name__ == "__main__":
    main()
