"""Reading and writing features: the ragged file against the ways that public code stores them.

The ways: one dataset per utterance in an HDF5 file, one .npy file per utterance, and, as the most
that can be had, numpy.memmap on one flat file. The items are float16 (frames, 768) with lengths
like IEMOCAP's. To read is to copy each item out once, in one random order, from a warm page cache.

Opening is timed apart, as a training job opens once. A mapped file is mapped page by page on the
first pass, which depends on the sizes of the pages in the cache, and so on who put them there.
Three passes show it: the first one straight after writing; the first one after the files were
dropped from the cache and read from disk again, which is what a training job finds; and one more.
The ways take turns, in changing order. Only the ragged file is synchronised to disk by its writer.

Prints a table of medians and, as its last line, one JSON object of ratios of speed, each the
median of the rounds' ratios. Needs Linux.

    python bench/store.py [--tiny]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from lengths import seconds_of_utterances

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from labelmer.base.ragged import Ragged  # noqa: E402
from labelmer.base.ragged_writer import Writer  # noqa: E402

ITEMS, WIDTH, RATE = 1500, 768, 50  # frames per second
WRITES, READS = 3, 5  # rounds; of reading, after each of writing


def made_items(count):
    """{id: (frames, width)} with lengths of median 3.6 s, 95th percentile 11 s."""
    seconds = seconds_of_utterances(count)
    draw = np.random.default_rng(1)
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


def open_ragged(folder, items):
    file = Ragged(folder / "ragged.h5")
    return lambda name: np.array(file[name])


def open_memmap(folder, items):
    offsets = np.concatenate([[0], np.cumsum([len(x) for x in items.values()])])
    place = {name: i for i, name in enumerate(items)}
    flat = np.memmap(folder / "flat", np.float16, "r").reshape(-1, WIDTH)

    def read(name):
        i = place[name]
        return np.array(flat[offsets[i] : offsets[i + 1]])

    return read


def open_datasets(folder, items):
    file = h5py.File(folder / "datasets.h5")
    return lambda name: file[name][:]


def open_npy(folder, items):
    return lambda name: np.load(folder / "npy" / f"{name}.npy")


WAYS = {
    "ragged": (write_ragged, open_ragged),
    "memmap": (write_memmap, open_memmap),
    "datasets": (write_datasets, open_datasets),
    "npy": (write_npy, open_npy),
}
WRITE, WRITTEN, FIRST, LATER, OPEN = "write", "just written", "from disk", "later", "open (ms)"


def seconds_of(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def passes(way, folder, items, order):
    """Seconds of opening, of the first pass and of a second one."""
    start = time.perf_counter()
    read = WAYS[way][1](folder, items)
    opening = time.perf_counter() - start

    def through():
        for name in order:
            read(name)

    return opening, seconds_of(through), seconds_of(through)


def read_back(folder):
    """Drop all files from the page cache and read them again from end to end."""
    os.sync()  # a page that is not on disk yet cannot be dropped
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                while file.read(2**20):
                    pass


def measure(folder, items, order):
    """{column: {way: seconds of each round}}"""
    taken = {column: {way: [] for way in WAYS} for column in (WRITE, WRITTEN, FIRST, LATER, OPEN)}
    ways = list(WAYS)
    for _ in range(WRITES):
        for way in ways:
            os.sync()  # what others have left to write
            taken[WRITE][way].append(seconds_of(WAYS[way][0], folder, items))
        for column in (WRITTEN, FIRST):
            if column == FIRST:
                read_back(folder)
            for _ in range(READS):
                ways = ways[1:] + ways[:1]
                for way in ways:
                    opening, first, later = passes(way, folder, items, order)
                    taken[column][way].append(first)
                    taken[LATER][way].append(later)
                    taken[OPEN][way].append(opening)
    return taken


def ratio(taken, way):
    """How much faster than `way` the ragged file is: the median of the rounds' ratios."""
    pairs = zip(taken[way], taken["ragged"], strict=True)
    return round(statistics.median(theirs / ours for theirs, ours in pairs), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    items = made_items(10 if parser.parse_args().tiny else ITEMS)
    order = np.random.default_rng(2).permutation(list(items)).tolist()
    size = sum(x.nbytes for x in items.values()) / 1e9
    with tempfile.TemporaryDirectory() as place:
        taken = measure(Path(place), items, order)
    print(
        f"{len(items)} items, {size:.2f} GB of float16, in GB/s; medians of {WRITES} writes and "
        f"{WRITES * READS} reads\n"
    )
    print(f"{'way':10}" + "".join(f" {column:>12}" for column in taken))
    for way in WAYS:
        middle = {column: statistics.median(taken[column][way]) for column in taken}
        numbers = [1e3 * x if column == OPEN else size / x for column, x in middle.items()]
        print(f"{way:10}" + "".join(f" {number:12.2f}" for number in numbers))
    ratios = {f"read_vs_{way}": ratio(taken[FIRST], way) for way in ("memmap", "npy", "datasets")}
    ratios["read_later_vs_memmap"] = ratio(taken[LATER], "memmap")
    ratios["read_written_vs_memmap"] = ratio(taken[WRITTEN], "memmap")
    ratios["write_vs_npy"] = ratio(taken[WRITE], "npy")
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
