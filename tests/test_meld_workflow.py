"""MELD as it is distributed, videos and all, through the recipe and the workflow to the page."""

import csv

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Workspace, made_once, tiny_config
from test_ffmpeg import store

from labelmer.base import tables
from labelmer.corpus import manifest

pytestmark = pytest.mark.slow

HEAD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode"
FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
EMOTIONS = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust")
LEADS = ("Joey", "Ross")  # in every part, as the six are; all others are guests of one part
VARIANTS = ["linear", "metadata-only"]


def rows_of(part):
    """A part's rows: (dialogue, utterance, speaker, emotion, words); each counts from 0 again."""
    return [
        (dialogue, n, (*LEADS, f"{part} guest")[n % 3], emotion, "Well, " * dialogue + "so!")
        for dialogue in range(2)
        for n, emotion in enumerate(EMOTIONS)
    ]


def video(path, number):
    """Half a second of noise of its own under a picture: AAC at 48 kHz, mostly in six channels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = (6, 6, 2)[number % 3]
    noise = np.random.default_rng(number).normal(0, 0.1, (24_000, channels))
    store(path, noise, "aac", 48_000, picture=True)


def write_meld(root):
    """A small release: its folders, its tables, and files that are no clips."""
    number = 0
    for part, folder in FOLDERS.items():
        rows = rows_of(part)
        for dialogue, utterance, *_ in rows:
            video(root / folder / f"dia{dialogue}_utt{utterance}.mp4", number := number + 1)
        (root / folder / "._dia0_utt0.mp4").write_bytes(b"\0\5\x16\7")
        with (root / f"{part}_sent_emo.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(HEAD.split(","))
            for n, (dialogue, utterance, speaker, emotion, said) in enumerate(rows):
                table.writerow([n, said, speaker, emotion, "", dialogue, utterance, 1, 1])
    video(root / FOLDERS["test"] / "dia108_utt2.mp4", 0)  # it has no row


def finish(folder):
    """Take the tree to scores by the command and its config, with encoders that are at hand."""
    workspace = Workspace(folder)
    write_meld(folder / "MELD.Raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        manifest.main(["meld", "MELD.Raw", "meld.tsv", "--config", "written.yaml"])
    config = yaml.safe_load((folder / "written.yaml").read_text())
    tiny = tiny_config()
    config |= {key: tiny[key] for key in ("encoders", "model", "training")}
    config["experiments"][0].update(speech="fbank", text="minilm", variants=VARIANTS)
    workspace.configure(config)
    workspace.snakemake()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of the study."""
    return made_once(tmp_path_factory, "meld", finish).folder / "results/meld/main"


def ids(part):
    return sorted(f"{part}_dia{dialogue}_utt{n}" for dialogue, n, *_ in rows_of(part))


def test_the_official_parts_are_obeyed(results):
    assert [path.name for path in (results / "splits").glob("fold*.tsv")] == ["fold1.tsv"]
    fold = tables.read(results / "splits/fold1.tsv", "fold")
    parts = {part: sorted(rows.id) for part, rows in fold.groupby("part")}
    assert parts == {"train": ids("train"), "validation": ids("dev"), "test": ids("test")}
    left_out = pd.read_csv(results.parents[2] / "meld.left_out.tsv", sep="\t", index_col="path")
    assert left_out.reason[f"{FOLDERS['test']}/dia108_utt2.mp4"] == "no row in test_sent_emo.csv"
    assert len(left_out) == 4


def test_the_sound_of_every_video_is_cut_whole(results):
    table = tables.read(results.parent / "segments/all.tsv", "segments")
    assert sorted(table.id) == sorted(ids("train") + ids("dev") + ids("test"))
    assert (table.problem == "").all() and table.seconds.between(0.45, 0.55).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_utterance_of_the_test_part_has_a_prediction(results, variant):
    path = results / f"predictions/fbank+minilm/frozen/{variant}/fold1.seed1.tsv"
    table = tables.read(path, "predictions")
    assert sorted(table.id[table.part == "test"]) == ids("test")


def test_every_table_says_whose_parts_they_are_and_which_speakers_stand_in_several(results):
    said = (
        "1 fold, the parts are given; scripts that several speakers share are kept; "
        "2 of 3 test speakers train as well; 2 of 3 test speakers validate as well; "
        "2 of 3 validation speakers train as well"
    )
    paths = list((results / "reports").rglob("*.tsv"))
    assert len(paths) == 11
    for path in paths:
        assert set(pd.read_csv(path, sep="\t").protocol) == {said}, path
    assert said in (results / "reports/index.html").read_text()
