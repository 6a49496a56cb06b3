"""kill -9 at random moments of a stage: its command, run again, ends in the same bytes and leaves
nothing else. Extraction and recognition have such tests of their own."""

import json
import multiprocessing
import random
import shutil
import time
from io import StringIO

import pandas as pd
import pytest
import torch
from studies import Study
from test_encoders import snapshot  # noqa: F401
from test_faults import contents
from test_finetune import bench  # noqa: F401

from labelmer.corpus import segment
from labelmer.features import finetune
from labelmer.prediction import bundle

KILLS = 20  # moments
HISTORIES = b"speech\ttext\tmode\tvariant\tfold\tseed\tepoch", b"encoder\tfold\tseed\tepoch"
MEASURED = ["seconds", "waiting", "peak_memory_mb"]  # columns of a history that are of the machine


def of_all(folder):
    """What is in a folder, but for logs, and for how long an epoch took and how much memory."""
    found = {path: made for path, made in contents(folder).items() if path.suffix != ".log"}
    for path, content in found.items():
        if content.startswith(HISTORIES):
            table = pd.read_csv(StringIO(content.decode()), sep="\t")
            found[path] = table.drop(columns=MEASURED, errors="ignore").to_csv()
    return found


def check(folder, outputs, work):
    """Kill a stage that makes these outputs of what is in a folder, and run it to its end."""

    def alone():
        torch.set_num_threads(1)  # a forked process cannot use the parent's threads
        work()

    def anew():
        for path in outputs:  # as Snakemake does with what is incomplete
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        process = multiprocessing.get_context("fork").Process(target=alone)
        process.start()
        return process

    def to_the_end():
        process = anew()
        process.join()
        assert process.exitcode == 0
        return of_all(folder)

    begun = time.monotonic()
    expected, draw, killed = to_the_end(), random.Random(1), 0
    took = time.monotonic() - begun
    for _ in range(5 * KILLS):
        process, begun = anew(), time.monotonic()
        process.join(draw.uniform(0, took))
        if process.exitcode is None:
            process.kill()
            killed += 1
        else:  # it takes no longer
            took = min(took, time.monotonic() - begun)
        process.join()
        if killed == KILLS:
            break
    assert killed == KILLS
    assert to_the_end() == expected


@pytest.fixture(scope="module")
def study(tmp_path_factory, snapshot):  # noqa: F811
    """A study with a run of each kind, and their reports."""
    made = Study(tmp_path_factory.mktemp("study"))
    made.encoder("fbank", "speech", "builtin:fbank")
    made.encoder("bert", "text", f"path:{snapshot('bert')}", 2)
    made.kinds = [("full", {}), ("linear", {"architecture": "linear"})]
    made.runs = [made.run(name, "fbank", "bert", **model) for name, model in made.kinds]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["segment", "train and evaluate", "linear", "tabulate", "bundle"])
def test_a_stage_killed_at_random_moments_ends_in_the_same_bytes(stage, study):
    top = study.study
    if stage == "segment":
        root, out = study.folder / "wav/corpus.tsv", study.corpus / "segments/again.h5"
        given = study.table.assign(path=study.table["id"] + ".wav")
        given[["id", "path", "speaker", "session", "label", "text"]].to_csv(
            root, sep="\t", index=False
        )
        told = ["--session", "s", "--segments", out, "--table", out.with_suffix(".tsv")]
        config = {"corpus": {"reader": "manifest", "root": str(root)}, "code": "c0de"}
        told = [*map(str, told), "--config", json.dumps(config)]
        check(study.folder, [out, out.with_suffix(".tsv")], lambda: segment.main(told))
        return
    if stage == "tabulate":
        check(study.folder, [top / "reports"], lambda: study.report(*study.runs))
        return
    if stage == "bundle":
        out = study.folder / "m"
        check(study.folder, [out], lambda: bundle.main([str(study.runs[0]), "-o", str(out)]))
        return
    number = int(stage == "linear")
    (name, model), place = study.kinds[number], study.runs[number].relative_to(top / "models")
    outputs = [top / "models" / place, top / "salience" / place]
    outputs += [top / kind / f"{place}.tsv" for kind in ("predictions", "perturbed")]
    check(study.folder, outputs, lambda: study.run(name, "fbank", "bert", **model))


@pytest.mark.slow
def test_fine_tuning_killed_at_random_moments_ends_in_the_same_bytes(bench):  # noqa: F811
    made = bench("bert")
    arguments = made.arguments("out", epochs=2)
    outputs = [made.folder / "out", made.folder / "out.tsv"]
    check(made.folder, outputs, lambda: finetune.main(arguments))
