"""The exact search of `ramer`: how long it takes among 6,250, 25,000 and 100,000 utterances.

An untrained model of the default width on batches of 64 utterances of four seconds, speech of 50
frames of 768 numbers per second and 14 tokens, with an index of random vectors of unit length. Of
each size: the megabytes of the index, the milliseconds of the search for what all of a batch lack,
and of a whole prediction where nothing is missing, and so nothing is searched for. Medians of
ROUNDS, in turn. The last column: all searches of a pass over as many training utterances.

Prints a table and, as its last line, one JSON object: the search as a share of the prediction.

    python bench/retrieval.py [--tiny]
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from labelmer.models import architectures

SIZES, ROUNDS, BATCH, FRAMES, TOKENS, ROW = (6_250, 25_000, 100_000), 15, 64, 200, 14, 768


def seconds(work):
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    sizes, rounds = ((500,), 1) if parser.parse_args().tiny else (SIZES, ROUNDS)
    torch.manual_seed(0)
    options = architectures.options({"architecture": "ramer"})
    model = architectures.untrained(options, {"speech": (ROW,), "text": (ROW,)}, 4).eval()
    inputs = {
        m: (torch.randn(BATCH, rows, ROW), torch.ones(BATCH, rows, dtype=torch.bool))
        for m, rows in (("speech", FRAMES), ("text", TOKENS))
    }
    asking, numbers = F.normalize(torch.randn(BATCH, options.width), dim=-1), torch.arange(BATCH)
    print("| utterances | index (MB) | search (ms) | prediction (ms) | searches of an epoch (s) |")
    print("|---" * 5 + "|")
    found = {}
    for size in sizes:
        model.index_speech, model.index_text = (
            F.normalize(torch.randn(size, options.width), dim=-1) for _ in range(2)
        )
        times = []
        with torch.inference_mode():
            for _ in range(rounds):
                search = seconds(lambda: model.found("speech", asking, numbers))
                times.append((search, seconds(lambda: model(inputs))))
        search, whole = (statistics.median(column) for column in zip(*times, strict=True))
        megabytes = 2 * model.index_text.nbytes / 1e6
        print(
            f"| {size:,} | {megabytes:.1f} | {1e3 * search:.1f} | {1e3 * whole:.1f} "
            f"| {search * size / BATCH:.1f} |"
        )
        found[f"search_share_{size}"] = round(search / whole, 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
