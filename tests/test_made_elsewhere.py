"""files:FOLDER: features made elsewhere are checked, taken over as they are, and rerun by content.

The workflow extracts them beside the filterbank; what each test changes is done in a copy.
"""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import Workspace, made_once, tiny_config
from corpora import turns_of, write_release
from test_encoders import noise
from test_extract import write_segments

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.config import presence
from labelmer.features import encoders, extract, fetch, items
from labelmer.features import made as made_elsewhere
from labelmer.models.deletions import deletable
from labelmer.report import columns
from labelmer.report.salience_file import SalienceFile

CLIPS = dict(zip(("a", "b", "sub/c"), noise(1.0, 0.2, 0.6), strict=True))


def write_features(folder, seconds, rate=50, width=6, dtype="float32", seed=0):
    """Random features of utterances: {id: seconds}; rate 0: a vector for each."""
    random = np.random.default_rng(seed)
    for name, length in seconds.items():
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (round(length * rate), width) if rate else (width,)
        np.save(path, random.normal(size=shape).astype(dtype))
    return folder


@pytest.fixture
def made(tmp_path):
    return write_features(tmp_path / "made", {n: len(clip) / 16000 for n, clip in CLIPS.items()})


def take_over(folder, rate_hz=50.0, dtype="float16"):
    """(kept, computed) of an extraction of CLIPS into out.h5 beside the folder."""
    top = folder.parent
    fetch.fetch(f"files:{folder}", top / "encoder")
    facts = encoders.read_facts(top / "encoder", "e2v")
    encoder = encoders.load(top / "encoder", None, rate_hz=rate_hz)
    segments = items.read_items(write_segments(top / "segments.h5", CLIPS))
    found = made_elsewhere.found(segments, folder, encoder.width, encoder.rate_hz)
    return extract.extract(found, encoder, facts, top / "out.h5", "c0de", dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_they_are_taken_over_as_they_are(dtype, made):
    write_features(made, {n: len(clip) / 16000 for n, clip in CLIPS.items()}, dtype=dtype)
    assert take_over(made, dtype="float32") == (0, 3)
    features = Ragged(made.parent / "out.h5")
    assert features.ids == sorted(CLIPS)
    for name in CLIPS:
        expected = np.load(made / f"{name}.npy").astype(np.float32)
        np.testing.assert_array_equal(features[name], expected)
    assert (features.attrs["rate_hz"], features.attrs["width"]) == (50, 6)
    assert deletable("speech", features)
    assert (features.attrs["family"], features.attrs["source"]) == ("files", f"files:{made}")


def test_a_changed_file_is_taken_over_alone(made):
    take_over(made)
    assert take_over(made) == (3, 0)
    write_features(made, {"b": 0.2}, seed=1)
    assert take_over(made) == (2, 1)
    moved = made.rename(made.with_name("moved"))  # what it holds counts, not where it stands
    assert take_over(moved) == (3, 0)


def test_a_row_for_an_utterance_has_no_rate(made):
    write_features(made, {n: len(clip) / 16000 for n, clip in CLIPS.items()}, rate=0)
    take_over(made, rate_hz=0.0)
    features = Ragged(made.parent / "out.h5")
    assert (np.diff(features.offsets).tolist(), features.attrs["rate_hz"]) == ([1, 1, 1], 0)
    assert not deletable("speech", features)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("b", None, r"made: no file for 1 of 3 utterances: 'b'; expected ID\.npy for each"),
        ("b", np.zeros((10, 5), "f4"), r"b\.npy: rows of 5 numbers, expected 6"),
        ("b", np.zeros((10, 6), int), r"b\.npy: numbers of type int64, expected floating-point"),
        ("b", np.full((10, 6), None), r"b\.npy: cannot be read \(.*[Oo]bject"),
        ("b", np.zeros((1, 10, 6), "f4"), r"b\.npy: \(1, 10, 6\), expected the shape \(frames"),
        ("b", np.zeros((0, 6), "f4"), r"b\.npy: \(0, 6\), expected the shape"),
        ("b", np.full((10, 6), np.nan), r"b\.npy: nan at row 0, column 0, expected finite"),
        ("a", np.zeros((100, 6), "f4"), r"100 rows for 1\.00 s, expected about 50 by `rate_hz` 50"),
        ("b", np.zeros(6, "f4"), r"1 rows for 0\.20 s, expected about 10"),
        ("b", b"", r"b\.npy: cannot be read"),
        ("b", b"\x93NUMPY\x01\x00v\x00", r"b\.npy: cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(name, array, words, made):
    path = made / f"{name}.npy"
    if array is None:
        path.unlink()
    elif isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array)
    with pytest.raises(InputError, match=words):
        take_over(made)
    assert not list(made.parent.glob("out*"))


def test_the_rate_is_asked_for(made):
    words = r"a\.npy: 50 rows for 1\.00 s, expected one, .* no `rate_hz`; add it: 50 by this file"
    with pytest.raises(InputError, match=words):
        take_over(made, rate_hz=0.0)


def test_numbers_beyond_float16_are_said(made, caplog):
    np.save(made / "b.npy", np.full((10, 6), 1e6))
    take_over(made)
    assert "b: largest feature 1e+06, but float16 holds numbers up to 65504" in caplog.text


def test_a_folder_without_features_is_named(tmp_path):
    with pytest.raises(InputError, match=r"encoder out, source 'files:.*': there is no folder"):
        fetch.fetch(f"files:{tmp_path / 'nowhere'}", tmp_path / "out")
    with pytest.raises(InputError, match=r"no file ends in \.npy, expected ID\.npy"):
        fetch.fetch(f"files:{tmp_path}", tmp_path / "out")


def test_a_file_whose_name_is_another_spelling_is_said(made):
    (made / "b.npy").rename(made / "B.npy")
    with pytest.raises(
        InputError, match=r"no file for 1 of 3 utterances: 'b'; .*'B' differs from it"
    ):
        take_over(made)


def test_files_of_no_utterance_are_named(made):
    config = {
        "experiments": [{"speech": "e2v", "text": "minilm"}],
        "encoders": {"e2v": {"source": f"files:{made}"}},
    }
    said = presence.files_of_nobody(config, lambda used: ["a"] if used else ["a", "b"])
    assert said == [
        f"encoders: e2v: {made} has 1 files of no utterance, which are left aside: 'sub/c'"
    ]
    with pytest.raises(InputError, match=r"no file for 1 of 2 utterances: 'd'"):
        presence.files_of_nobody(config, lambda used: ["a", "d"])


TARGETS = [f"results/tiny/features/e2v/frozen/Session{n}.h5" for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    turns = turns_of()
    write_release(workspace.folder / "corpus", turns)
    write_features(workspace.folder / "e2v", {turn.id: turn.end - turn.start for turn in turns})
    config = tiny_config()
    config["encoders"]["e2v"] = {"modality": "speech", "source": "files:e2v", "rate_hz": 50}
    config["experiments"] = [
        {"speech": "e2v", "text": "minilm", "mode": "frozen", "variants": ["full"]}
    ]
    workspace.configure(config)
    workspace.snakemake(*TARGETS)
    return workspace


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copied(tmp_path / "elsewhere")


@pytest.mark.slow
def test_the_workflow_takes_them_over(finished):
    features = Ragged(finished.folder / TARGETS[0])
    for name in features.ids[:3]:
        expected = np.load(finished.folder / f"e2v/{name}.npy").astype(np.float16)
        np.testing.assert_array_equal(features[name], expected)
    assert finished.jobs(*TARGETS) == set()


@pytest.mark.slow
def test_a_changed_file_reruns_its_session_and_takes_that_file_over(copy):
    name = Ragged(copy.folder / TARGETS[1]).ids[0]
    path = copy.folder / f"e2v/{name}.npy"
    np.save(path, 2 * np.load(path))
    assert copy.jobs(*TARGETS) == {("extract", TARGETS[1])}
    _, said = copy.snakemake(*TARGETS)
    log = (copy.folder / "logs/tiny/features/e2v/frozen/Session2.log").read_text()
    assert re.search(r"\d+ items kept, 1 computed", log), said
    assert copy.jobs(*TARGETS) == set()


@pytest.mark.slow
def test_another_width_is_another_encoder(copy):
    for path in (copy.folder / "e2v").glob("*.npy"):
        np.save(path, np.load(path)[:, :5])
    expected = {("extract", path) for path in TARGETS} | {("fetch", "resources/encoders/e2v")}
    assert copy.jobs(*TARGETS) == expected


@pytest.mark.slow
def test_what_is_missing_or_of_nobody_is_said_before_anything_runs(copy):
    np.save(copy.folder / "e2v/nobody.npy", np.zeros((5, 6)))
    _, said = copy.snakemake("-n", *TARGETS)
    assert "e2v has 1 files of no utterance, which are left aside: 'nobody'" in said
    name = Ragged(copy.folder / TARGETS[1]).ids[0]
    (copy.folder / f"e2v/{name}.npy").unlink()
    _, said = copy.snakemake("-n", *TARGETS, check=False)
    assert f"e2v: no file for 1 of 60 utterances: '{name}'" in said


WHOLE = {
    "full": {},
    "speech-only": {"modalities": ["speech"]},
    "context": {"context_turns": 2},
    "linear": {"architecture": "linear"},
    "linear-text": {"architecture": "linear", "modalities": ["text"]},
    "late-fusion": {"product_of": ["speech-only", "linear-text"]},
}
MINE = "results/tiny/main/{}/e2v+minilm/frozen"


def finish(folder):
    """One fold of a study of a row for each utterance, with a rationale, to its page."""
    workspace = Workspace(folder)
    turns = turns_of()
    write_release(folder / "corpus", turns)
    write_features(folder / "e2v", {turn.id: turn.end - turn.start for turn in turns}, rate=0)
    parts = dict(zip(("Session1", "Session2", "Session3"), tables.PARTS, strict=True))
    rows = [(turn.id, 1, parts[turn.session]) for turn in turns]
    pd.DataFrame(rows, columns=["id", "fold", "part"]).to_csv(
        folder / "parts.tsv", sep="\t", index=False
    )
    tested = next(turn for turn in turns if parts[turn.session] == "test" and turn.code == "sad")
    (folder / "why.tsv").write_text(
        f"id\tmodality\tstart\tend\n{tested.id}\tspeech\t0.0\t0.2\n{tested.id}\ttext\t0\t3\n"
    )
    config = tiny_config()
    config["corpus"]["rationales"] = "why.tsv"
    config["encoders"]["e2v"] = {"modality": "speech", "source": "files:e2v"}
    config["folds"] = {"hold_out": "part", "parts": "parts.tsv"}
    config["variants"] = WHOLE
    config["experiments"] = [
        {"speech": "e2v", "text": "minilm", "mode": "frozen", "variants": list(WHOLE)}
    ]
    workspace.configure(config)
    workspace.snakemake()


@pytest.fixture(scope="module")
def of_whole_utterances(tmp_path_factory):
    return made_once(tmp_path_factory, "whole-utterances", finish).folder


@pytest.mark.slow
def test_a_row_for_an_utterance_is_never_deleted_and_can_be_missing(of_whole_utterances):
    reports = of_whole_utterances / "results/tiny/main/reports"
    deleted = columns.read(reports / "deletion.tsv", "deletion")
    assert set(deleted.modality) == {"text"}
    assert set(deleted.variant) == {"full", "context", "linear", "linear-text", "late-fusion"}
    given = columns.read(reports / "robustness.tsv", "robustness")
    given = given.groupby("variant")["condition"].agg(set).to_dict()
    one = {"speech missing", "text missing"}
    assert given == {
        **{name: {"all", *one} for name in ("full", "linear", "late-fusion")},
        "context": {"all", "context missing", *one},
        **{name: {"all"} for name in ("speech-only", "linear-text")},
    }


@pytest.mark.slow
def test_the_salience_of_a_row_for_an_utterance_tells_no_stretch_of_it(of_whole_utterances):
    folder = of_whole_utterances / MINE.format("salience") / "speech-only/fold1.seed1"
    file = SalienceFile(folder / "speech.h5")
    assert all(file.weights(name, "salience").tolist() == [1] for name in file.ids)
    reports = of_whole_utterances / "results/tiny/main/reports"
    scored = columns.read(reports / "salience.tsv", "salience")
    assert set(scored.modality) == {"text"} and set(scored.variant) == {"full", "context"}
    page = (reports / "index.html").read_text()
    for heading in ("Deletion", "Salience and rationales", "Examples"):
        assert f">{heading}</h3>" in page
