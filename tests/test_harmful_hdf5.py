"""HDF5 that was made to do harm: refused by name, and whoever opens it neither hangs nor crashes,
nor is shown other files."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY
from test_inspect import Corpus

from labelmer import inspection
from labelmer.base import trial
from labelmer.base.errors import InputError
from labelmer.base.ragged import NotWhole, Ragged
from labelmer.base.ragged_writer import Writer

PARTS = ("ids", "keys", "marks", "offsets", "spans", "values")


@pytest.fixture
def path(tmp_path):
    """A whole file of text features."""
    marks, spans = [["a"], ["b", "c"]], [np.zeros((1, 2)), np.zeros((2, 2))]
    place, attrs = tmp_path / "f.h5", {"kind": "features", "params": "{}"}
    with Writer(place, ["x", "y"], [1, 2], (4,), "float32", attrs, marks, spans) as writer:
        for index in range(2):
            writer.write(index, np.ones((index + 1, 4)), b"k" * 32)
    return place


def external_link(file, name, old):
    file[name] = h5py.ExternalLink("other.h5", name)


def circle(file, name, old):
    file[name] = h5py.SoftLink(name)


def link(file, name, old):
    file["elsewhere"] = old
    file[name] = h5py.SoftLink("elsewhere")


def outer_storage(file, name, old):
    place = ("/etc/passwd", 0, h5py.h5f.UNLIMITED)
    file.create_dataset(name, old.shape, old.dtype, external=[place])


def virtual(file, name, old):
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource("other.h5", name, old.shape)
    file.create_virtual_dataset(name, layout)


def terabytes(file, name, old):
    file.create_dataset(name, (2**60 // 32, *old.shape[1:]), old.dtype)


def bomb(file, name, old):
    rows = 10**10 // old.dtype.itemsize
    shape, chunks = (rows, *old.shape[1:]), (10**4, *old.shape[1:])
    file.create_dataset(name, shape, old.dtype, chunks=chunks, compression="gzip")


def unknown_filter(file, name, old):
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk(old.shape)
    layout.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL)  # nobody has it
    h5py.h5d.create(file.id, name.encode(), old.id.get_type(), old.id.get_space(), layout)


def references(file, name, old):
    file.create_dataset(name, data=[file.ref] * len(old), dtype=h5py.ref_dtype)


def regions(file, name, old):
    area = file.create_dataset("area", (9,), "u1").regionref[:3]
    file.create_dataset(name, data=[area] * len(old), dtype=h5py.regionref_dtype)


def strings(file, name, old):
    file.create_dataset(name, data=["a"] * len(old), dtype=h5py.string_dtype())


def group(file, name, old):
    file.create_group(name)


def nothing(file, name, old):
    file[name] = h5py.Empty("f4")


HARM = [external_link, circle, link, outer_storage, virtual, terabytes, bomb, unknown_filter]
HARM += [references, regions, strings, group, nothing]


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_what_is_no_block_of_the_file_itself_is_refused(harm, path):
    whole = path.read_bytes()
    path.with_name("other.h5").write_bytes(whole)
    for name in PARTS:
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            old = file[name]
            del file[name]
            harm(file, name, old)
        with pytest.raises(NotWhole, match=rf"f\.h5: not a whole ragged HDF5 file \(.*{name}"):
            Ragged(path)


def endless(path):
    """Change a byte, so that HDF5 looks for the end of its heap of strings for ever."""
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"GCOL") + 24] = 0  # how long the heap's first string is
    path.write_bytes(whole)


def test_a_file_at_which_hdf5_hangs_is_refused_in_time(path, monkeypatch, said):
    monkeypatch.setattr(trial, "SECONDS", 0.5)
    assert trial.try_to_open(path) is None
    endless(path)
    message = said(inspection.main, path)
    assert "f.h5: not a ragged file, or a damaged one (HDF5 was not done after 0.5 s)" in message


def test_a_neighbour_at_which_hdf5_hangs_is_refused_in_time(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trial, "SECONDS", 0.5)
    corpus = Corpus(tmp_path)
    endless(corpus.segments)
    inspection.main([str(corpus.frames)])
    told = capsys.readouterr().out
    assert "S1.h5: not a ragged file, or a damaged one (HDF5 was not done after 0.5 s)" in told
    assert "keys       unknown: " in told and str(corpus.segments) in told


def test_a_file_at_which_hdf5_crashes_is_refused(path, monkeypatch, said):
    monkeypatch.setattr(trial, "Ragged", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    message = said(inspection.main, path)
    assert "f.h5: not a ragged file, or a damaged one (HDF5 crashes on it" in message


def test_a_file_that_would_take_all_memory_is_refused(path, monkeypatch, said):
    """Holes take no disk, so that a small file may be, and say, as large as it likes."""
    monkeypatch.setattr(trial, "MEMORY", 2**31)
    whole = path.read_bytes()
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        kind = file["ids"].dtype
        del file["ids"]
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((2**40,))
        h5py.h5d.create(file.id, b"ids", h5py.h5t.py_create(kind, logical=True), space, layout)
    assert path.stat().st_size > 2**40 > 2**20 * path.stat().st_blocks
    assert "Unable to allocate" in said(inspection.main, path)


def test_a_whole_file_is_read_where_memory_is_limited(path):
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (2**32, 2**32))
from labelmer import inspection
inspection.main(sys.argv[1:])
"""
    done = subprocess.run([sys.executable, "-c", code, path], cwd=REPOSITORY, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_ends_a_trial_that_hangs(path, monkeypatch):
    monkeypatch.setattr(trial, "Ragged", lambda _: time.sleep(30))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C, but to us alone
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            trial.try_to_open(path)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert multiprocessing.active_children() == []


def test_bytes_changed_anywhere_do_no_harm(path, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 1.0)
    whole, draw, said = path.read_bytes(), random.Random(3), []
    used = [place for place, byte in enumerate(whole) if byte]  # the rest is mostly room
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(draw.choice([1, 1, 3, 10])):
            place, size = draw.choice(used), draw.choice([1, 8])
            place -= place % size
            number = draw.choice([0, 2**60, draw.randrange(len(whole)), 2**64 - 1])
            damaged[place : place + size] = number.to_bytes(8, "little")[:size]
        path.write_bytes(damaged)
        try:
            trial.try_to_open(path)
        except InputError as error:
            assert "f.h5: " in str(error)
            said.append(re.sub(r".*f\.h5: ", "", str(error)))
    assert 50 < len(said) < 190
