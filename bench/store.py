"""Reading and writing features: the ragged file against the ways that public code stores them.

The ways: one dataset per utterance in an HDF5 file, one .npy file per utterance, and, as the most
that can be had, numpy.memmap on one flat file. The items are float16 (frames, 768) with lengths
like IEMOCAP's. Every way copies each item out once, in one random order, from a warm page cache.
Prints a table (medians of the runs) and, as its last line, one JSON object of ratios of speed.

    python bench/store.py
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from labelmer.ragged import Ragged, Writer  # noqa: E402

ITEMS, WIDTH, RATE = 1500, 768, 50  # frames per second
RUNS = 5


def made_items():
    """{id: (frames, width)} with lengths of median 3.6 s, 95th percentile 11 s."""
    draw = np.random.default_rng(1)
    seconds = np.clip(draw.lognormal(np.log(3.58), 0.688, ITEMS), 0.58, 34.1)
    noise = draw.standard_normal((int(seconds.max() * RATE) + 1, WIDTH)).astype(np.float16)
    return {f"u{i:05d}": noise[: int(s * RATE)] for i, s in enumerate(seconds)}


def write_ragged(folder, items):
    lengths = [len(x) for x in items.values()]
    with Writer(folder / "ragged.h5", list(items), lengths, (WIDTH,), "float16", {}) as writer:
        for index, values in enumerate(items.values()):
            writer.write(index, values, b"k" * 32)


def write_memmap(folder, items):
    np.concatenate(list(items.values())).tofile(folder / "flat")


def write_datasets(folder, items):
    with h5py.File(folder / "datasets.h5", "w") as file:
        for name, values in items.items():
            file[name] = values


def write_npy(folder, items):
    (folder / "npy").mkdir(exist_ok=True)
    for name, values in items.items():
        np.save(folder / "npy" / f"{name}.npy", values)


def read_ragged(folder, items, order):
    file = Ragged(folder / "ragged.h5")
    for name in order:
        np.array(file[name])


def read_memmap(folder, items, order):
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in items.values()])])
    flat = np.memmap(folder / "flat", np.float16, "r").reshape(-1, WIDTH)
    place = {name: i for i, name in enumerate(items)}
    for name in order:
        i = place[name]
        np.array(flat[offsets[i] : offsets[i + 1]])


def read_datasets(folder, items, order):
    with h5py.File(folder / "datasets.h5") as file:
        for name in order:
            file[name][:]


def read_npy(folder, items, order):
    for name in order:
        np.load(folder / "npy" / f"{name}.npy")


WAYS = {
    "ragged": (write_ragged, read_ragged),
    "memmap": (write_memmap, read_memmap),
    "datasets": (write_datasets, read_datasets),
    "npy": (write_npy, read_npy),
}


def seconds_of(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main():
    items = made_items()
    order = np.random.default_rng(2).permutation(list(items)).tolist()
    size = sum(x.nbytes for x in items.values()) / 1e9
    taken = {(way, verb): [] for way in WAYS for verb in ("write", "read")}
    with tempfile.TemporaryDirectory() as place:
        for _ in range(RUNS):  # in turn, so that a busy moment hits every way alike
            for way, (write, read) in WAYS.items():
                taken[way, "write"].append(seconds_of(write, Path(place), items))
                taken[way, "read"].append(seconds_of(read, Path(place), items, order))
    speed = {key: size / statistics.median(seconds) for key, seconds in taken.items()}
    print(f"{ITEMS} items, {size:.2f} GB of float16, medians of {RUNS} runs, in GB/s\n")
    print(f"{'way':10} {'write':>6} {'read':>6}")
    for way in WAYS:
        print(f"{way:10} {speed[way, 'write']:6.2f} {speed[way, 'read']:6.2f}")
    ratios = {
        f"read_vs_{way}": speed["ragged", "read"] / speed[way, "read"]
        for way in ("memmap", "npy", "datasets")
    }
    ratios["write_vs_npy"] = speed["ragged", "write"] / speed["npy", "write"]
    print(json.dumps({name: round(value, 2) for name, value in ratios.items()}))


if __name__ == "__main__":
    main()
