"""Faults that are of no stage alone: the rows of docs/faults.md that no other test file holds."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import REPOSITORY, Workspace, python_of_jobs
from every_rule import jobs, weighed  # noqa: F401
from test_cross_corpus import finished as crossed  # noqa: F401
from test_encoders import snapshot  # noqa: F401
from test_finetuned_workflow import finished as finetuned  # noqa: F401
from test_reruns import finished  # noqa: F401
from test_transcribe_workflow import finished as transcribed  # noqa: F401

from labelmer.base import description, lock, tables
from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.base.ragged_writer import Writer
from labelmer.config import files
from labelmer.features import encoders, made
from labelmer.inspection.models import about_model
from labelmer.models import saved
from labelmer.models.transfer import linear
from labelmer.prediction import bundled

# The disk


@pytest.fixture
def disk(tmp_path):
    """mount(options): a small file system of its own, mounted so; its folder."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        told = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)]
        done = subprocess.run(told, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True)


def contents(folder):
    """{path: what is in it} of a folder; None: a folder itself."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def run(command, workspace):
    """Run a job's command in a workspace; its exit status, and what it says."""
    path = os.pathsep.join([python_of_jobs(), os.environ["PATH"]])
    told = {"PATH": path, "PYTHONPATH": str(workspace.folder)}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=workspace.folder,
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def copied(jobs, place):  # noqa: F811
    """Copies of the workspaces of jobs, in a place: {folder: its copy}."""
    folders = sorted({job.workspace.folder for job in jobs.values()})
    return {
        folder: Workspace.at(folder).copied(place / str(number))
        for number, folder in enumerate(folders)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", ["No space left on device|GB are free there", "Read-only file system"]
)
def test_every_stage_says_that_the_disk_refuses_and_leaves_what_was_there(
    jobs,  # noqa: F811
    disk,
    tmp_path,
    fault,
):
    place = disk("size=500m")
    copies = copied(jobs, place)
    for number, copy in enumerate(copies.values()):
        shutil.rmtree(copy.folder / "logs")  # elsewhere: what comes after the log is to fail
        (tmp_path / f"logs{number}").mkdir()
        (copy.folder / "logs").symlink_to(tmp_path / f"logs{number}")
    if fault.startswith("No"):
        with pytest.raises(OSError, match="No space"):
            (place / "filler").write_bytes(bytes(2**29))
    else:
        disk("remount", "ro")
    before = {copy: contents(copy.folder / "results") for copy in copies.values()}
    wrong = {}
    for rule, job in jobs.items():
        status, said = run(job.command, copies[job.workspace.folder])
        named = re.search(rf"error: .*(results|resources)/.*({fault})", said)
        if status != 1 or not named or "Traceback" in said:
            wrong[rule] = job.command, status, said
    disk("remount", "rw")
    assert wrong == {}
    assert {copy: contents(copy.folder / "results") for copy in before} == before


def test_where_nothing_can_be_locked_it_is_said_and_the_work_is_done(tmp_path, monkeypatch, caplog):
    def acquire(*_, **__):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.FileLock, "acquire", acquire)
    with Writer(tmp_path / "f.h5", ["a"], [1], (), "int16", {}) as writer:
        writer.write(0, np.array([5], np.int16), b"k" * 32)
    assert Ragged(tmp_path / "f.h5")["a"].tolist() == [5]
    assert "f.h5: cannot be locked" in caplog.text and "one process alone write it" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


# What is damaged


IMAGES = (".svg", ".png")  # which the page shows, and nobody reads
# Of these a message names the folder: they are read by libraries, all together.
TOGETHER = ("model.safetensors", "tokenizer.json", "tokenizer_config.json")
TOGETHER += ("preprocessor_config.json",)


def read_by(job, top):
    """Of each kind of file that a job reads of what others made, the first."""
    found = {}
    for name in job.inputs:
        if name.startswith(("results", "resources")):
            inside = sorted((top / name).rglob("*")) if (top / name).is_dir() else [top / name]
            for path in inside:
                if path.is_file() and not path.name.startswith(".") and path.suffix not in IMAGES:
                    folders = [part for part in path.relative_to(top).parts[:-1] if part != "main"]
                    of_runs = "predictions" in folders or "perturbed" in folders
                    kind = tuple(folders[:3]), path.suffix if of_runs else path.name
                    found.setdefault(kind, path)
    return found.values()


@pytest.mark.slow
def test_whatever_a_stage_reads_is_refused_by_name_where_it_is_junk(jobs, tmp_path):  # noqa: F811
    copies, wrong, tried = copied(jobs, tmp_path), {}, 0
    for rule, job in jobs.items():
        workspace = copies[job.workspace.folder]
        for path in read_by(job, workspace.folder):
            whole = path.read_bytes()
            path.write_bytes(b"\xca\xfe" * 99)
            status, said = run(job.command, workspace)
            path.write_bytes(whole)
            place = path.parent if path.name in TOGETHER else path
            named = str(place.relative_to(workspace.folder)) in said and len(said) < 2000
            if status != 1 or not named or "did not expect" in said or "Traceback" in said:
                wrong[rule, path.name] = status, said
            tried += 1
    assert wrong == {} and tried > 100


@pytest.mark.parametrize("read", [linear.loaded, about_model])
def test_weights_that_are_none_are_refused_with_their_folder(read, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**OF_ALL, "model": {}}))
    for junk in (b"", b"\xca\xfe" * 99):
        (tmp_path / "model.safetensors").write_bytes(junk)
        words = rf"{tmp_path}: not a whole model \(.*(header|JSON|cut off).*\); move the folder"
        with pytest.raises(InputError, match=words):
            read(tmp_path)


# What is given


@pytest.mark.parametrize("text", ["a: &a [*a]\n", None], ids=["of itself", "of aliases"])
def test_aliases_that_explode_are_refused_at_once(text, tmp_path):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    path = tmp_path / "config.yaml"
    path.write_text(text or "\n".join(lines))
    with pytest.raises(InputError, match=r"config\.yaml: .* values where each alias"):
        files.check_files([path])


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/tmp/a"])
def test_an_id_that_leads_out_of_the_folder_of_features_is_refused(name, tmp_path):
    (tmp_path / "features").mkdir()
    np.save(tmp_path / "a.npy", np.zeros((1, 2), "f4"))
    with pytest.raises(InputError, match=f"'{re.escape(name)}': their files would not lie in"):
        made.check_names(tmp_path / "features", [name])


def bundled_so():
    """What a bundle.json says that is as it should be."""
    of = {"name": "minilm", "source": "hub:x/y@1", "revision": "1", "weights": "", "options": {}}
    of |= {"content": "0" * 64, "folder": None}
    encoder = {**of, "modality": "text", "layer": 1, "dtype": "float16", "precision": "float32"}
    about = dict.fromkeys(("labelmer", "corpus", "study", "experiment"), "x")
    about |= {"format": bundled.FORMAT, "classes": ["a", "b"], "variants": ["full"]}
    part = {"folder": "models/full", "encoders": {"text": "minilm"}, "weight": 1.0}
    part["files"] = {"model.safetensors": "", "config.json": ""}
    about["encoders"] = {"minilm": {**encoder, "finetuned": False}}
    return about | {"models": [{"fold": 1, "seed": "1", "parts": [part]}], "transcriber": dict(of)}


OF_BUNDLES = [
    (lambda told: told.pop("encoders"), "encoders is missing, expected keys with values"),
    (lambda told: told.pop("transcriber"), "transcriber is missing"),
    (lambda told: told["models"][0]["parts"][0].pop("files"), "models: 1: parts: 1: files is miss"),
    (lambda told: told.update(classes="a"), "classes: 'a', expected a list"),
    (lambda told: told.update(models=[]), r"models: \[\], expected 1 or more"),
    (lambda told: told["models"][0].update(fold="1"), "models: 1: fold: '1', expected a whole num"),
    (lambda told: told["encoders"]["minilm"].update(layer="last"), 'layer: .*or "all"'),
    (lambda told: told["encoders"]["minilm"].update(content="../x"), "'../x', expected a SHA-256"),
    (lambda told: told["encoders"]["minilm"].update(modality="speech"), "'minilm' for text, expec"),
    (lambda told: told["encoders"].update(bert=1), "encoders: bert: 1, expected one entry, with"),
    (lambda told: told["transcriber"].update(beam=1), r"transcriber: unknown keys \['beam'\]"),
    (lambda told: told["models"][0].update(seed="1+"), r"seed: '1\+', expected seeds, as"),
    (lambda told: told.update(weight=1), r"unknown keys \['weight'\], expected some of"),
    (lambda told: told.update(format=4), "format 4, expected 3; update labelmer if a newer one"),
    (lambda told: told.update(format=2), "format 2, expected 3; an older labelmer wrote it: make"),
    (lambda told: told.pop("format"), "format None, expected 3"),
    (lambda told: told.update(transcriber=3), "transcriber: 3, expected keys with values, or null"),
]


@pytest.mark.parametrize(("change", "words"), OF_BUNDLES, ids=[words for _, words in OF_BUNDLES])
def test_a_bundle_that_says_other_things_is_refused_by_key(change, words, tmp_path):
    about = bundled_so()
    change(about)
    (tmp_path / bundled.NAME).write_text(json.dumps(about))
    with pytest.raises(InputError, match=rf"bundle\.json: .*{words}"):
        bundled.opened(tmp_path)


OF_ALL = {"format": 1, "classes": ["a", "b"]}
NETWORK = {**OF_ALL, "model": {}, "rows": {"text": [1]}, "encoders": {}, "updates": 3}
LINEAR = {**OF_ALL, "model": {}, "encoders": {}, "c": 0.1, "scores": {"0.1": 0.5}, "refit": False}
METADATA = {
    **OF_ALL,
    "columns": ["turn"],
    "inputs": ["turn"],
    "c": 1.0,
    "scores": {},
    "refit": True,
}
OF_MODELS = [
    (NETWORK, {"rows": None}, "rows: None, expected keys with values"),
    (NETWORK, {"updates": "3"}, "updates: '3', expected a whole number"),
    (LINEAR, {"c": "0.1"}, "c: '0.1', expected a number"),
    (LINEAR, {"scores": [0.5]}, r"scores: \[0\.5\], expected keys with values"),
    (METADATA, {"columns": "turn"}, "columns: 'turn', expected a list"),
    (METADATA, {"refit": 1}, "refit: 1, expected true or false"),
    (METADATA, {"c": None}, "c: None, expected a number"),
    (NETWORK, {"classes": ["a", 1]}, "classes: 2: 1, expected text"),
    (LINEAR, {"epochs": 3}, r"unknown keys \['epochs'\]"),
    (LINEAR, {"format": 2}, "format 2, expected 1; update labelmer if a newer one wrote it"),
    (METADATA, {"format": 0}, "format 0, expected 1; an older labelmer wrote it: make its folder"),
    (NETWORK, {"run": {"fold": "1"}}, "run: speech is missing"),
    (NETWORK, {"encoders": {"text": {"layer": 1}}}, "encoders: text: layer: 1, expected text"),
]


@pytest.mark.parametrize(("about", "given", "words"), OF_MODELS, ids=[of[2] for of in OF_MODELS])
def test_a_model_that_says_other_things_is_refused_by_key(about, given, words, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(about))
    assert description.described(tmp_path) == about
    path.write_text(json.dumps({**about, **given}))
    with pytest.raises(InputError, match=rf"config\.json: .*{words}"):
        description.described(tmp_path)


@pytest.mark.parametrize("read", [saved.load, about_model])
def test_a_model_that_says_too_little_is_refused_by_key(read, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(OF_ALL))
    with pytest.raises(InputError, match=r"config\.json: model is missing, expected keys with val"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{" * 9, "\x00", "[1]", "9" * 9999, "null"])
def test_what_is_no_json_object_is_refused_by_name(text, tmp_path):
    for name, read in (
        (bundled.NAME, bundled.opened),
        ("config.json", description.described),
        ("source.json", lambda folder: encoders.read_facts(folder, "minilm")),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=rf"{name}: .*; \w+"):
            read(tmp_path)


@pytest.mark.parametrize("place", ["../model", "/tmp/model", "models/../../model"])
@pytest.mark.parametrize("key", ["models", "folder", "name", "encoders", "transcriber"])
def test_a_bundle_whose_parts_lie_elsewhere_is_refused(place, key, tmp_path):
    about = bundled_so()
    told = about["encoders"]["minilm"]
    if key == "models":
        about["models"][0]["parts"][0]["folder"] = place
    elif key == "transcriber":
        about["transcriber"]["folder"] = place
    elif key == "encoders":
        about["encoders"][place] = told
    else:
        told[key] = place
    (tmp_path / bundled.NAME).write_text(json.dumps(about))
    with pytest.raises(InputError, match=f"'{re.escape(place)}', expected a path below the bundle"):
        bundled.opened(tmp_path)


# What is large

# What getrusage() says would be no less than what the process had that started this one.
MEASURED = """
import sys
from pathlib import Path
{imports}
{work}
(peak,) = (x for x in open("/proc/self/status") if x.startswith("VmHWM:"))
print(int(peak.split()[1]) // 1024)
"""


def megabytes(imports, work, *arguments):
    """The most memory of a process that does some work."""
    code = MEASURED.format(imports=imports, work=work)
    told = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(told, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


@pytest.mark.slow
def test_a_manifest_of_a_million_rows_takes_the_memory_that_is_asked_for(tmp_path):
    path = tmp_path / "manifest.tsv"
    with path.open("w") as file:
        file.write("id\tpath\tspeaker\tsession\tlabel\ttext\n")
        for i in range(1_000_000):
            where = f"wav/{i // 100}.wav\ts{i // 1000}\tS{i // 100_000}"
            file.write(f"u{i:06d}\t{where}\tang\tWhat a day this is, {i}.\n")
    config = {"corpus": {"reader": "manifest", "root": str(path)}, "code": "c0de"}
    told = ["--session", "S3", "--utterances", tmp_path / "u.tsv", "--unread", tmp_path / "n.tsv"]
    told += ["--config", json.dumps(config)]
    work = "main(sys.argv[1:])"
    assert megabytes("from labelmer.corpus.utterances import main", work, *told) < 1500
    assert len(tables.read(tmp_path / "u.tsv", "utterances")) == 100_000


def silence(folder, rate, hours):
    """A FLAC file of so many hours of silence."""
    path = folder / "silence.flac"
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for _ in range(60 * hours):
            file.write(np.zeros(60 * rate, np.int16))
    assert path.stat().st_size < 2_000_000
    return path


@pytest.mark.slow
def test_an_utterance_of_hours_is_cut_without_a_second_copy_of_it(tmp_path):
    hours, path = 5, silence(tmp_path, 16_000, 5)
    manifest = tmp_path / "manifest.tsv"
    manifest.write_text(
        f"id\tpath\tspeaker\tsession\tlabel\ttext\nu\t{path.name}\ta\ts\tang\thello\n"
    )
    config = {"corpus": {"reader": "manifest", "root": str(manifest)}, "code": "c0de"}
    segments = tmp_path / "segments.h5"
    told = ["--session", "s", "--segments", segments, "--table", tmp_path / "segments.tsv"]
    told += ["--config", json.dumps(config)]
    samples = hours * 3600 * 16_000 * 2 / 2**20  # megabytes
    imports = "from labelmer.corpus.segment import main"
    assert megabytes(imports, "main(sys.argv[1:])", *told) < 1.5 * samples + 150
    (table,) = tables.read(tmp_path / "segments.tsv", "segments").itertuples()
    assert table.seconds == hours * 3600
    segments.unlink()


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "hours"), [(16_000, 10), (8_000, 3)])
def test_hours_of_silence_in_a_megabyte_take_little_memory(tmp_path, rate, hours):
    path = silence(tmp_path, rate, hours)
    work = """
try:
    list(of_recording(Path(sys.argv[1])))
except InputError as error:
    assert "nothing but silence, expected some sound" in str(error)
else:
    sys.exit("it was taken for sound")
"""
    imports = "from labelmer.base.errors import InputError\n"
    imports += "from labelmer.prediction.recordings import of_recording"
    assert megabytes(imports, work, path) < 3000


# The table


def test_every_row_of_the_table_has_its_tests():
    page = (REPOSITORY / "docs" / "faults.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row[-1])
        assert named, row
        for file, test in named:
            assert f"\ndef {test}(" in (REPOSITORY / "tests" / file).read_text(), test
