"""A tree of the full release's size: 10,039 labelled utterances in its exact counts.

As in the release, two ids of Session5 stand at two lines each, and have no label.
"""

import math
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY, Workspace
from corpora import SENTENCES, Turn, write_release

from labelmer.base import tables
from labelmer.corpus.readers import iemocap

pytestmark = pytest.mark.slow

FOUR = ("ang", "hap", "exc", "neu", "sad")
DIALOGUES = 30  # per session; the release has 151 in all


def seconds(draw):
    """A length like the release's: median 3.58 s, 95th percentile 11.1 s, 0.58 s to 34.1 s."""
    return min(max(draw.lognormvariate(math.log(3.58), 0.688), 0.58), 34.1)


def release_turns():
    """As many turns per session, code and speaker as the release has; words and times made up."""
    draw = random.Random(1)
    codes = [code for code, count in iemocap.RELEASE_CODES.items() for _ in range(count)]
    draw.shuffle(codes)
    four = iter([code for code in codes if code in FOUR])
    others = iter([code for code in codes if code not in FOUR])
    turns = []
    for session, total in iemocap.RELEASE_SESSIONS.items():
        prefix = f"Ses0{session[-1]}"
        spoken = [
            (letter, next(four))
            for letter in "FM"
            for _ in range(iemocap.RELEASE_SPEAKERS[prefix + letter])
        ]
        spoken += [(draw.choice("FM"), next(others)) for _ in range(total - len(spoken))]
        draw.shuffle(spoken)
        clocks = [0.0] * DIALOGUES
        for number, (letter, code) in enumerate(spoken):
            dialogue = number % DIALOGUES
            start = clocks[dialogue]
            clocks[dialogue] = end = start + seconds(draw)
            words = SENTENCES.get(code, SENTENCES["xxx"]).format(number)
            name = f"{prefix}F_impro{dialogue + 1:02d}_{letter}{number // DIALOGUES:03d}"
            turns.append(Turn(name, start, end, code, words))
    return turns


def add_doubles(root):
    """Two ids that stand at two lines each, as the release has them."""
    for name in ("Ses05F_impro03_FXX3", "Ses05M_impro03_FXX0"):
        dialogue = name.rpartition("_")[0]
        path = root / "Session5" / "dialog" / "transcriptions" / f"{dialogue}.txt"
        with path.open("a") as file:
            file.write(f"{name} [001.0000-001.5000]: mhm\n{name} [009.0000-009.5000]: right\n")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("release"))
    write_release(made.folder / "IEMOCAP_full_release", release_turns(), audio="silence")
    add_doubles(made.folder / "IEMOCAP_full_release")
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    made.configure(config)
    yield made
    shutil.rmtree(made.folder)  # 1.4 GB of silence


def test_a_full_release_is_segmented_annotated_and_split(workspace):
    command = ["snakemake", "splits", "--configfile", "test.yaml", "--cores", "2"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(workspace.folder)}
    output = workspace.folder / "output"
    with output.open("w") as file:
        run = subprocess.Popen(
            command, cwd=workspace.folder, env=environment, stdout=file, stderr=file
        )
        # Waited for by this call, which tells the memory of it and of its jobs alone.
        _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0, output.read_text()
    assert "NOT THE FULL RELEASE" not in output.read_text()
    results = workspace.folder / "results" / "iemocap" / "main"
    audit = tables.read(results / "splits" / "audit.tsv", "audit")
    test = audit[audit["part"] == "test"]
    assert test["utterances"].tolist() == [1085, 1023, 1151, 1031, 1241]
    assert test["speakers"].tolist() == [2] * 5
    totals = {name: test[f"n_{name}"].sum() for name in ("angry", "happy", "neutral", "sad")}
    assert totals == {"angry": 1103, "happy": 1636, "neutral": 1708, "sad": 1084}
    left_out = tables.read(results / "splits" / "left_out.tsv", "left_out")
    # Of each id that stands twice, one line has no label, and the other is no utterance.
    assert left_out["reason"].str.startswith("its id stands twice").sum() == 2
    assert (left_out["reason"] == "no label").sum() == 2
    assert len(left_out) == 10_039 - 5_531 + 4
    assert used.ru_maxrss < 2_000_000  # the largest process, in kilobytes


def test_a_release_that_lacks_a_label_is_said_to_differ(workspace):
    path = next((workspace.folder / "IEMOCAP_full_release/Session3/dialog/EmoEvaluation").iterdir())
    path.write_text(re.sub(r"\tneu\t", "\tsad\t", path.read_text(), count=1))
    _, output = workspace.snakemake("splits")
    said = [line for line in output.splitlines() if "NOT THE FULL RELEASE" in line]
    assert any("code neu: 1707 here, 1708 in the full release" in line for line in said)
    assert any("code sad: 1085 here, 1084 in the full release" in line for line in said)


def test_the_label_of_an_id_that_stands_twice_chooses_its_line(workspace):
    """Its audio is a sentence file, whichever line is taken."""
    top = workspace.folder / "IEMOCAP_full_release" / "Session5" / "dialog" / "EmoEvaluation"
    path = top / "Ses05M_impro03.txt"
    for start, rules in ((1.0, set()), (9.0, {"utterances"})):
        times = f"[{start:.4f} - {start + 0.5:.4f}]"
        path.write_text(f"{times}\tSes05M_impro03_FXX0\txxx\t[2.0000, 2.0000, 2.0000]\n")
        jobs = {rule for rule, output in workspace.jobs("splits") if "/Session5" in output}
        assert jobs == {"labels", *rules}
