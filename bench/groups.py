"""The network against logistic regression on the same features, over many groupings of speakers.

A corpus of a few speakers falls into folds in many ways, and who comes out ahead hangs on that. So
the speakers are put into equal groups at random, again and again; each group tests once, the next
one validates, the others train. `speech-only` and `linear` have nothing but defaults, on one
layer of an encoder that hears a manifest's clips. Printed is the unweighted accuracy of each
grouping in percent, the mean over its folds, and as the last line one JSON object: both means and
the points by which the network is ahead.

    python bench/groups.py MANIFEST ENCODER [--layer N] [--groups N] [--groupings N]
    python bench/groups.py --tiny
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402
from silence import made_up, segments_of  # noqa: E402

from labelmer.base.digest import code_digest  # noqa: E402
from labelmer.corpus.readers import manifest  # noqa: E402
from labelmer.features import encoders, fetch  # noqa: E402
from labelmer.features.extract import extract  # noqa: E402
from labelmer.features.items import read_items  # noqa: E402
from labelmer.learning.batches import load_part, predict  # noqa: E402
from labelmer.learning.device import make_deterministic  # noqa: E402
from labelmer.models import architectures, linear, train  # noqa: E402
from labelmer.models.training import TrainingOptions  # noqa: E402
from labelmer.scores.accuracy import accuracies  # noqa: E402

SEED = 1


def features_of(segments, folder, layer, place):
    """The files of features of segments, by the encoder in a folder."""
    facts = encoders.read_facts(folder, "whisper")
    code, encoder = code_digest(encoders.family_of(folder).module), encoders.load(folder, layer)
    paths = [place / f"features.{path.name}" for path in segments]
    for path, out in zip(segments, paths, strict=True):
        extract(read_items(path), encoder, facts, out, code)
    return paths


def folds_of(rows, groups, generator):
    """Fold tables of one grouping of the speakers of a table (id, speaker, label)."""
    speakers = generator.permutation(np.unique(rows["speaker"]))
    group = {speaker: number % groups for number, speaker in enumerate(speakers)}
    number = rows["speaker"].map(group)
    for test in range(groups):
        held_out = {test: "test", (test + 1) % groups: "validation"}
        yield rows.assign(part=number.map(held_out).fillna("train"))


def by_network(table, paths, classes, training):
    """Unweighted accuracy of `speech-only` on the test part of a fold."""
    options = architectures.options({"architecture": "label-guided", "modalities": ["speech"]})
    whole = load_part(table, {"speech": paths}, classes, ["speech"], options.frame_stride)
    parts = {name: whole.subset(table["part"] == name) for name in ("train", "validation", "test")}
    make_deterministic(SEED, 1, onednn=False)
    model = train.build(options, parts["train"], classes)
    history, _ = train.fit(model, parts["train"], parts["validation"], training, SEED)
    count = next(row["updates"] for row in history if row["chosen"])
    both = whole.subset(table["part"] != "test")
    make_deterministic(SEED, 1, onednn=False)
    model = train.build(options, both, classes)
    train.refit(model, both, training, SEED, count)
    told = predict(model, parts["test"]).argmax(-1).numpy()
    return accuracies(parts["test"].labels, told)["ua"]


def by_regression(table, means, classes):
    """Unweighted accuracy of `linear` on the test part of a fold."""
    _, said, _ = linear.fitted({"speech": means}, table, classes, True, 1)
    rows, probabilities = said[1]
    told = np.array(classes)[probabilities.argmax(1)]
    return accuracies(rows["label"].to_numpy(), told)["ua"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("encoder", type=Path, nargs="?", help="folder of a speech encoder")
    parser.add_argument("--layer", type=int, default=-1)
    parser.add_argument("--groups", type=int, default=3)
    parser.add_argument("--groupings", type=int, default=8)
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    args = parser.parse_args()
    if args.tiny == (args.encoder is not None):
        parser.error("expected either MANIFEST and ENCODER or --tiny")
    groupings = 2 if args.tiny else args.groupings
    training = TrainingOptions(**({"updates": 4, "epochs": 1} if args.tiny else {}))
    scores = {"speech-only": [], "linear": []}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        root, origin = made_up(place) if args.tiny else (args.manifest, args.encoder)
        fetch.fetch(f"path:{origin.absolute()}", place / "encoder")
        paths = features_of(segments_of(root, place), place / "encoder", args.layer, place)
        rows = manifest.rows(root)[["id", "speaker", "label"]].reset_index(drop=True)
        classes = sorted(rows["label"].unique())
        means, generator = linear.Means("speech", paths, 1).of(rows["id"]), np.random.default_rng(0)
        print(f"{len(rows)} clips, {origin.name}, layer {args.layer}, {args.groups} groups; UA")
        print("grouping  speech-only  linear")
        for number in range(1, groupings + 1):
            folds = list(folds_of(rows, args.groups, generator))
            network = [by_network(table, paths, classes, training) for table in folds]
            regression = [by_regression(table, means, classes) for table in folds]
            for scored, found in zip(scores.values(), (network, regression), strict=True):
                scored.append(100 * np.mean(found))
            print(f"{number:8}  {scores['speech-only'][-1]:11.1f}  {scores['linear'][-1]:6.1f}")
    ahead = np.subtract(*scores.values())
    figures = {name.replace("-", "_"): round(np.mean(each), 1) for name, each in scores.items()}
    figures |= {"points": round(ahead.mean(), 1), "points_sd": round(ahead.std(ddof=1), 1)}
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
