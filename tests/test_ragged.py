"""ragged: what is written is what is mapped, whole or not at all, and plain h5py reads it."""

import errno
import mmap
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import REPOSITORY

from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.base.ragged_writer import Writer

ITEMS = {"a": 3, "b": 0, "ä": 2}  # rows of each item
MARKS = [["ja", "", "日本"], [], ["🎉", "##ed"]]
SPANS = [np.array([[0, 2], [2, 2], [3, 5]]), np.zeros((0, 2)), np.array([[0, 1], [1, 3]])]


def item(name, rows, width=4):
    """Values that tell items and rows apart."""
    return (ord(name) + np.arange(rows * width).reshape(rows, width) / 100).astype("float16")


def key(name):
    return name.encode().ljust(31, b"k") + b"\0"


def write(path, order="abä", marks=None, attrs=None, items=ITEMS, spans=None):
    lengths, attrs = list(items.values()), attrs or {}
    with Writer(path, items, lengths, (4,), "float16", attrs, marks, spans) as writer:
        for name in order:
            writer.write(list(items).index(name), item(name, items[name]), key(name))
    return path


def test_features_come_back(tmp_path):
    file = Ragged(write(tmp_path / "f.h5", attrs={"kind": "features", "layer": 3}))
    assert len(file) == 3 and file.ids == ["a", "b", "ä"]
    for index, (name, rows) in enumerate(ITEMS.items()):
        np.testing.assert_array_equal(file[name], item(name, rows))
        np.testing.assert_array_equal(file[index], item(name, rows))
        assert bytes(file.keys[index]) == key(name)
    assert file["b"].shape == (0, 4) and file["a"].dtype == np.float16
    assert "a" in file and "c" not in file
    assert (file.attrs["kind"], file.attrs["layer"]) == ("features", 3)
    assert file.marks("a") is None


def test_samples_come_back(tmp_path):
    samples = np.array([-32768, 0, 32767], np.int16)
    with Writer(tmp_path / "s.h5", ["x"], [3], (), "int16", {}) as writer:
        writer.write(0, samples, b"\0" * 31 + b"k")
    np.testing.assert_array_equal(Ragged(tmp_path / "s.h5")["x"], samples)


def test_marks_come_back(tmp_path):
    file = Ragged(write(tmp_path / "f.h5", marks=MARKS))
    assert [file.marks(name) for name in ITEMS] == MARKS


def test_spans_come_back_and_a_file_of_before_says_that_it_has_none(tmp_path):
    file = Ragged(write(tmp_path / "f.h5", marks=MARKS, spans=SPANS))
    assert [file.spans(name).tolist() for name in ITEMS] == [of.tolist() for of in SPANS]
    with pytest.raises(InputError, match=r"f\.h5: does not say where tokens .* made anew"):
        Ragged(write(tmp_path / "f.h5", marks=MARKS)).spans("a")


@pytest.mark.parametrize("items", [{}, {"a": 0, "b": 0}])
def test_a_file_without_values(tmp_path, items):
    file = Ragged(write(tmp_path / "f.h5", "".join(items), [[] for _ in items], items=items))
    assert file.ids == list(items)
    assert file.values.shape == (0, 4)
    assert all(file[name].shape == (0, 4) and file.marks(name) == [] for name in items)


def test_the_order_of_writing_and_the_time_do_not_show_in_the_bytes(tmp_path):
    write(tmp_path / "1.h5", "abä", MARKS, {"kind": "x"})
    time.sleep(1.1)  # HDF5 can stamp objects with the second they are made in
    write(tmp_path / "2.h5", "äba", MARKS, {"kind": "x"})
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_values_are_mapped_not_read(tmp_path):
    file = Ragged(write(tmp_path / "f.h5"))
    assert isinstance(file.mapping, mmap.mmap)
    assert np.shares_memory(file["a"], file.values)
    assert np.shares_memory(file.values, np.frombuffer(file.mapping, np.uint8))
    assert not file["a"].flags.writeable


def resident():
    """MB of files that are mapped and in memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssFile:")[2].split()[0]) / 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_is_given_back_and_values_stay(tmp_path):
    ones = np.ones(2**24, np.float16)  # 32 MiB
    with Writer(tmp_path / "f.h5", ["a"], [len(ones)], (), "float16", {}) as writer:
        writer.write(0, ones, b"k" * 32)
    file = Ragged(tmp_path / "f.h5")
    before = resident()
    assert file["a"].all() and resident() > before + 25
    file.release()
    assert resident() < before + 5
    assert file["a"].all()


def test_plain_h5py_reads_it(tmp_path):
    with h5py.File(write(tmp_path / "f.h5", marks=MARKS)) as file:
        values = file["values"]
        assert (values.chunks, values.compression) == (None, None)
        start, stop = file["offsets"][2:4]
        np.testing.assert_array_equal(values[start:stop], item("ä", 2))
        assert [name.decode() for name in file["ids"]] == list(ITEMS)
        assert [mark.decode() for mark in file["marks"][start:stop]] == MARKS[2]
        assert file["keys"].shape == (3, 32)
        assert file["ids"].asstr()[2] == "ä"


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "a"]])
def test_ids_must_be_sorted_and_unique(tmp_path, ids):
    with pytest.raises(ValueError, match="sorted and unique"):
        Writer(tmp_path / "f.h5", ids, [1, 1], (), "int16", {})
    assert not list(tmp_path.iterdir())


def unwritten(writer):
    writer.write(0, item("a", 3), key("a"))


def wrong_length(writer):
    writer.write(0, item("a", 2), key("a"))


def wrong_width(writer):
    writer.write(0, item("a", 3, width=5), key("a"))


def interrupted(writer):
    unwritten(writer)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (unwritten, ValueError, "item b was never written"),
        (wrong_length, ValueError, r"a: values of shape \(2, 4\), expected \(3, 4\)"),
        (wrong_width, ValueError, r"a: values of shape \(3, 5\), expected \(3, 4\)"),
        (interrupted, KeyboardInterrupt, "^$"),
    ],
)
def test_a_fault_leaves_the_old_file_and_no_litter(tmp_path, fault, error, words):
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()
    with (
        pytest.raises(error, match=words),
        Writer(path, ITEMS, list(ITEMS.values()), (4,), "float16", {}) as writer,
    ):
        fault(writer)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def keys(items=ITEMS):
    return [key(name) for name in items]


def test_after_taking_over_an_unfinished_file_lasts(tmp_path):
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()
    more = {"a": 3, "b": 0, "c": 1, "ä": 2, "ö": 5}
    args = (path, more, list(more.values()), (4,), "float16", {})
    with pytest.raises(KeyboardInterrupt), Writer(*args) as writer:
        assert writer.take_over(keys(more)) == ({0, 1, 3}, set())
        writer.write(2, item("c", 1), key("c"))
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    with Writer(*args) as writer:
        assert writer.take_over(keys(more)) == ({0, 1, 3}, {0, 1, 2, 3})
        writer.write(4, item("ö", 5), key("ö"))
    assert list(tmp_path.iterdir()) == [path]
    for name, rows in more.items():
        np.testing.assert_array_equal(Ragged(path)[name], item(name, rows))


def test_other_keys_are_not_taken_over(tmp_path):
    path = write(tmp_path / "f.h5")
    with Writer(path, ITEMS, list(ITEMS.values()), (4,), "float16", {}) as writer:
        assert writer.take_over([b"x" * 32, key("b"), key("ä")]) == ({1, 2}, set())
        writer.write(0, item("a", 3) + 1, b"x" * 32)
    np.testing.assert_array_equal(Ragged(path)["a"], item("a", 3) + 1)


def test_a_damaged_unfinished_file_is_of_no_use_and_no_harm(tmp_path, caplog):
    path = tmp_path / "f.h5"
    path.with_name("f.h5.part").write_bytes(b"not HDF5")
    with Writer(path, ["a"], [3], (4,), "float16", {}) as writer:
        assert writer.take_over([key("a")]) == (set(), set())
        writer.write(0, item("a", 3), key("a"))
    assert "nothing is taken over" in caplog.text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"my notes", b"RIFF\0\0\0\0WAVEfmt "])
def test_a_file_that_is_not_ours_is_never_replaced(tmp_path, content):
    path = tmp_path / "f.h5"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"f\.h5: is there and no HDF5 file, and would be lost"):
        write(path)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]
    path.unlink()
    with h5py.File(path, "w") as file:
        file["mine"] = [1.0]
    with pytest.raises(InputError, match=r"f\.h5: .*another program's; give another name"):
        write(path)
    assert list(h5py.File(path)) == ["mine"]


def test_a_cut_off_file_of_ours_is_replaced(tmp_path):
    path = write(tmp_path / "f.h5")
    whole = path.read_bytes()
    for size in (0, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert write(path).read_bytes() == whole


def test_a_full_disk_is_found_before_the_work(tmp_path, monkeypatch):
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 10**6))
    with pytest.raises(InputError, match=r"f\.h5: needs 0\.008 GB, but only 0\.001 GB are free"):
        Writer(path, ["a"], [1000], (1000,), "float64", {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


WRITE_TOO_MUCH = """
import resource, sys
from labelmer.base.errors import InputError
from labelmer.base import ragged_writer
from labelmer.base.ragged_writer import Writer

ragged_writer.COMMIT_S = 0.0
items = {f"{i:03d}": 1000 for i in range(100)}
try:
    with Writer(sys.argv[1], items, list(items.values()), (10,), "float32", {}) as writer:
        if sys.argv[2] == "take over":
            writer.take_over([b"k" * 32] * 100)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
        for i in range(100):
            writer.write(i, [[i] * 10] * 1000, b"k" * 32)
            writer.commit()
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("lasting", ["take over", ""])
def test_a_disk_that_fills_up_leaves_the_old_file(lasting, tmp_path):
    """A limit on the size of files stands for it: the system refuses to write beyond."""
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()
    run = [sys.executable, "-c", WRITE_TOO_MUCH, str(path), lasting]
    done = subprocess.run(run, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert f"{path}: cannot be written (File too large)" in done.stdout
    assert path.read_bytes() == before
    part = tmp_path / "f.h5.part"
    assert set(tmp_path.iterdir()) == ({path, part} if lasting else {path})
    if lasting:  # with room again, what was written need not be written again
        items = {f"{i:03d}": 1000 for i in range(100)}
        with Writer(path, items, list(items.values()), (10,), "float32", {}) as writer:
            held, left = writer.take_over([b"k" * 32] * 100)
            assert held == set() and 0 < len(left) < 100
            for i in set(range(100)) - left:
                writer.write(i, np.full((1000, 10), i), b"k" * 32)
        assert (Ragged(path).values[::1000, 0] == range(100)).all()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"f\.h5: cannot be written"):
        Writer(tmp_path / "file" / "f.h5", ["a"], [1], (), "int16", {})


def test_many_writers_take_turns(tmp_path):
    path = tmp_path / "f.h5"
    code = (
        "import logging, sys; from labelmer.base.ragged_writer import Writer\n"
        "logging.disable()\n"
        "for _ in range(40):\n"
        "    with Writer(sys.argv[1], ['b'], [1], (), 'int16', {}) as w: w.write(0, [7], b'k' * 32)"
    )
    run = [sys.executable, "-c", code, str(path)]
    running = [subprocess.Popen(run, cwd=REPOSITORY) for _ in range(5)]
    assert [process.wait(60) for process in running] == [0] * 5
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_writer_waits_and_says_so(tmp_path):
    path = tmp_path / "f.h5"
    code = (
        "import sys; from labelmer.base.ragged_writer import Writer\n"
        "with Writer(sys.argv[1], ['b'], [1], (), 'int16', {}) as w: w.write(0, [7], b'k' * 32)"
    )
    run = [sys.executable, "-c", code, str(path)]
    with Writer(path, ["a"], [1], (), "int16", {}) as writer:
        second = subprocess.Popen(run, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
        said = second.stderr.readline()
        assert second.poll() is None
        writer.write(0, np.array([5], np.int16), key("a"))
    assert f"{path}: another process writes it; waiting" in said
    assert second.wait(30) == 0
    assert Ragged(path).ids == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_at_the_path_before_all_is_written(tmp_path):
    path = tmp_path / "f.h5"
    with Writer(path, ["a"], [3], (4,), "float16", {}) as writer:
        writer.write(0, item("a", 3), key("a"))
        assert not path.exists()
    assert path.exists()


def test_the_old_file_stays_readable_while_the_new_one_takes_its_place(tmp_path):
    old = Ragged(write(tmp_path / "f.h5"))
    write(tmp_path / "f.h5", items={"a": 1}, order="a")
    np.testing.assert_array_equal(old["ä"], item("ä", 2))
    assert Ragged(tmp_path / "f.h5").ids == ["a"]


def said(path):
    """The message with which a file is refused."""
    with pytest.raises(InputError) as error:
        Ragged(path)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in said(tmp_path / "no.h5")


def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path):
    path = write(tmp_path / "f.h5")
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert "not a whole ragged HDF5 file" in said(path)


def test_what_is_not_hdf5_is_refused(tmp_path):
    (tmp_path / "f.h5").write_text("id\tsession\n" * 99)
    assert "not a whole ragged HDF5 file" in said(tmp_path / "f.h5")


def test_another_format_and_another_hdf5_file_are_refused(tmp_path):
    path = write(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 99
    assert "format 99, expected 1: a newer labelmer wrote it; update labelmer" in said(path)
    unchanged(path)
    with h5py.File(path, "w") as file:
        file["values"] = [1]
    assert "format None, expected 1: it is another program's" in said(path)
    unchanged(path)


def unchanged(path):
    """A Writer that would take its place says why not, and leaves it as it is."""
    before = path.read_bytes()
    with pytest.raises(InputError, match="format"):
        Writer(path, ["a"], [3], (4,), "float16", {})
    assert path.read_bytes() == before


def test_a_file_that_another_program_has_open_is_read_and_taken_over(tmp_path, caplog):
    path = write(tmp_path / "f.h5")
    with h5py.File(path, "r+"):
        code = (
            "import sys; from labelmer.base.ragged import Ragged\n"
            "from labelmer.base.ragged_writer import Writer\n"
            "file = Ragged(sys.argv[1]); keys = [k.tobytes() for k in file.keys]\n"
            "lengths = [len(file[n]) for n in file.ids]\n"
            "with Writer(sys.argv[1], file.ids, lengths, (4,), 'float16', {}) as writer:\n"
            "    assert writer.take_over(keys) == ({0, 1, 2}, set())\n"
        )
        done = subprocess.run([sys.executable, "-c", code, path], cwd=REPOSITORY, text=True)
    assert done.returncode == 0
    np.testing.assert_array_equal(Ragged(path)["a"], item("a", 3))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EAGAIN, errno.ENOLCK, errno.EIO])
@pytest.mark.parametrize("where", ["open", "h5py"])
def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(number, where, tmp_path, monkeypatch):
    path = write(tmp_path / "f.h5")
    before = path.read_bytes()

    def refused(*_, **__):
        raise OSError(number, f"[Errno {number}] unable to open file")

    home, name = (h5py, "File") if where == "h5py" else (Path, "open")
    as_it_is = getattr(home, name)

    def only_for_it(file, mode="r", **options):
        return (
            refused() if Path(file) == path and mode[0] == "r" else as_it_is(file, mode, **options)
        )

    with monkeypatch.context() as patch:
        patch.setattr(home, name, only_for_it)
        message = said(path)
        assert f"cannot be read ({os.strerror(number)})" in message
        assert "move" not in message and "remove" not in message
        with pytest.raises(InputError, match="cannot be read"):
            Writer(path, ITEMS, list(ITEMS.values()), (4,), "float16", {})
    assert path.read_bytes() == before


def test_advice_about_a_damaged_file_destroys_nothing(tmp_path):
    path = write(tmp_path / "f.h5")
    path.write_bytes(path.read_bytes()[:-1])
    assert "move it away, and it is made anew" in said(path) and "remove" not in said(path)


def test_bfloat16_is_rounded_and_comes_back_as_float32(tmp_path):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(40, 5)).astype(np.float32) * 10.0 ** draw.integers(-30, 38, (40, 5))
    values = np.vstack([values, [[0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, -3e38]]]).astype(np.float32)
    path = tmp_path / "f.h5"
    for number in (1, 2):  # the second time they are taken over
        with Writer(path, ["x"], [41], (5,), "bfloat16", {}) as writer:
            if writer.take_over([b"k" * 32]) == (set(), set()):
                writer.write(0, values, b"k" * 32)
            assert number == 1 or writer.keys.all()
        expected = torch.from_numpy(values).bfloat16().float().numpy()
        file = Ragged(path)
        np.testing.assert_array_equal(file["x"], expected)
        assert file["x"].dtype == file.values.dtype == np.float32 and file.values.shape == (41, 5)
        assert path.stat().st_size < 2 * values.size + 8000
    with h5py.File(path) as file:  # plain h5py knows what it is
        np.testing.assert_array_equal(file["values"][:], expected)


def test_a_file_without_one_of_its_datasets_is_refused(tmp_path):
    for name in ("values", "offsets", "ids", "keys"):
        path = write(tmp_path / f"{name}.h5")
        with h5py.File(path, "r+") as file:
            del file[name]
        assert "not a whole ragged HDF5 file" in said(path)


def test_a_damaged_header_is_either_harmless_or_refused(tmp_path):
    whole = write(tmp_path / "f.h5").read_bytes()
    draw = random.Random(1)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[draw.randrange(800)] ^= 1 << draw.randrange(8)
        (tmp_path / "f.h5").write_bytes(damaged)
        try:
            Ragged(tmp_path / "f.h5")
        except InputError as error:
            assert "f.h5" in str(error)
            refused += 1
    assert refused > 20


def test_an_id_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"f\.h5: id 'zoe' is not in this file"):
        Ragged(write(tmp_path / "f.h5"))["zoe"]
