"""A family of encoders is one file: dropped into the folder it is found, and reruns no other.

In a copy of the repository's code two files are dropped, and nothing else is edited; the real
workflow extracts with both, and with the filterbank. Each further test changes one file in a copy
of that and asks a dry run which jobs it would do.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import Workspace, tiny_config
from corpora import turns_of, write_release
from safetensors.torch import save_file

from labelmer.base.ragged import Ragged

pytestmark = pytest.mark.slow

FOLDER = "labelmer/features/encoders"
EARS = '''"""A network: one convolution over the samples."""

import torch
from safetensors.torch import load_file

from labelmer.base.errors import InputError
from labelmer.features.encoders.base import Encoder, Window, at_least, padded, settings, unit

FAMILY = {
    "encoder": "Ears",
    "title": "the toy's ears",
    "modality": "speech",
    "model_types": ["toy-ears"],
    "options": {"gain": {"type": "number", "exclusiveMinimum": 0, "default": 1.0}},
}


class Ears(Encoder):
    @classmethod
    def size(cls, folder):
        return settings(folder)["width"], 1

    def __init__(self, folder, layer, device, gain):
        if layer not in (1, -1):
            raise InputError(f"{folder}: bad layer {layer}, expected 1; correct it")
        self.weight = load_file(folder / "model.safetensors")["weight"]
        self.width, self.field = self.weight.shape
        self.layer, self.gain, self.rate_hz = 1, gain, 50
        self._place(device)

    def _windows(self, samples):
        return [Window(samples, max(1, len(samples) // self.field), slice(None))]

    def _run(self, batch):
        clips = [torch.from_numpy(at_least(unit(clip), self.field)) for clip in batch]
        frames = [clip.unfold(0, self.field, self.field) for clip in clips]
        return padded([self.gain * rows @ self.weight.T for rows in frames])[0]
'''
ENERGY = '''"""The mean power of 10 ms."""

import torch

from labelmer.features.encoders.base import Encoder, Window, at_least, padded, settings, unit

FAMILY = {
    "encoder": "Energy",
    "title": "the energy",
    "modality": "speech",
    "model_types": ["toy-energy"],
    "builtins": {"energy": {"model_type": "toy-energy", "hop": 160}},
    "network": False,
}


class Energy(Encoder):
    @classmethod
    def size(cls, folder):
        return 1, 0

    def __init__(self, folder, layer, device):
        self.hop, self.layer, self.width, self.rate_hz = settings(folder)["hop"], 0, 1, 100
        self._place("cpu")

    def _windows(self, samples):
        return [Window(samples, max(1, len(samples) // self.hop), slice(None))]

    def _run(self, batch):
        clips = [torch.from_numpy(at_least(unit(clip), self.hop)) for clip in batch]
        frames = [clip.unfold(0, self.hop, self.hop) for clip in clips]
        return padded([rows.square().mean(1, keepdim=True) for rows in frames])[0]
'''
ENCODERS = {
    "ears": {"modality": "speech", "source": "path:toy", "layer": -1, "gain": 2},
    "energy": {"modality": "speech", "source": "builtin:energy"},
}
TARGETS = [
    f"results/tiny/features/{name}/frozen/Session1.h5" for name in ("fbank", "ears", "energy")
]


def features(*encoders):
    folder = "results/tiny/features"
    return {("extract", f"{folder}/{name}/frozen/Session1.h5") for name in encoders}


# Pickled weights become safetensors by way of the code that reads a snapshot, and its base.
FETCHED = {("fetch", f"resources/encoders/{name}") for name in ("ears", "energy", "fbank")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace with two families more, and the features of a session by three encoders."""
    made = Workspace(tmp_path_factory.mktemp("families"))
    (made.folder / FOLDER / "ears.py").write_text(EARS)
    (made.folder / FOLDER / "energy.py").write_text(ENERGY)
    (made.folder / "toy").mkdir()
    config = {"model_type": "toy-ears", "width": 4}
    (made.folder / "toy" / "config.json").write_text(json.dumps(config))
    weight = torch.randn(4, 320, generator=torch.Generator().manual_seed(0))
    save_file({"weight": weight}, made.folder / "toy" / "model.safetensors")
    write_release(made.folder / "corpus", turns_of())
    config = tiny_config()
    config["encoders"].update(ENCODERS)
    made.configure(config)
    made.snakemake(*TARGETS)
    return made


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copied(tmp_path / "elsewhere")


def change(workspace, name, old, new):
    """Replace text in the file of a family."""
    file = workspace.folder / FOLDER / f"{name}.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_a_dropped_family_extracts_with_its_own_option(finished):
    segments = Ragged(finished.folder / "results/tiny/segments/Session1.h5")
    clip = segments[0][:320].astype(np.float64) / 32768
    ears, energy = (Ragged(finished.folder / path) for path in TARGETS[1:])
    assert ears.ids == energy.ids == segments.ids
    weight = torch.randn(4, 320, generator=torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(ears[0][0], 2 * weight @ clip, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(energy[0][0, 0], np.square(clip[:160]).mean(), rtol=2e-3)
    assert (ears.attrs["family"], ears.attrs["gain"], ears.attrs["width"]) == ("ears", 2, 4)
    assert (energy.attrs["family"], energy.attrs["source"]) == ("energy", "builtin:energy")
    assert ears.attrs["code"] != energy.attrs["code"]
    assert json.loads(ears.attrs["params"])["gain"] == 2


def test_nothing_runs_again(finished):
    assert finished.jobs(*TARGETS) == set()


def test_what_does_not_use_an_edit_runs_nothing(copy):
    change(copy, "ears", "correct it", "mend it")  # the words of an error
    change(copy, "waveform", "+ 1e-7", "+ 1e-6")
    change(copy, "text", "longest = min(", "longest = max(")
    (copy.folder / FOLDER / "third.py").write_text(EARS.replace("toy-ears", "toy-third"))
    assert copy.jobs(*TARGETS) == set()


@pytest.mark.parametrize(
    "name, old, new, jobs",
    [
        ("ears", "self.gain * rows", "rows * self.gain", features("ears")),
        ("filterbank", "dither=0.0", "dither=0.1", features("fbank")),
        ("base", "2**20", "2**21", FETCHED | features("ears", "energy", "fbank")),
        (
            "energy",
            '"hop": 160',
            '"hop": 320',
            {("fetch", "resources/encoders/energy")} | features("energy"),
        ),
    ],
)
def test_an_edit_extracts_with_its_own_family(copy, name, old, new, jobs):
    change(copy, name, old, new)
    assert copy.jobs(*TARGETS) == jobs


def test_two_families_of_one_name_are_refused(copy):
    (copy.folder / FOLDER / "third.py").write_text(ENERGY.replace("160", "80"))
    program = "from labelmer.features.encoders import builtins; builtins()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=copy.folder,
        env={**os.environ, "PYTHONPATH": str(copy.folder)},
        capture_output=True,
        text=True,
    )
    assert "two families declare 'energy', each its own; rename one" in done.stderr
