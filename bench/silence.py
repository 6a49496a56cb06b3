"""What the silence behind a clip does for Whisper's encoder, by the product's own features.

Segments and features of all layers are made of a corpus given as a manifest, one file per session,
with silence `none`, `compact` and `full` in turns. Loading the encoder counts in no way. Then, for
each layer, the mean over a clip's frames goes into logistic regression (standardised, C 0.1), one
speaker held out in turn; printed is the unweighted accuracy over all clips, in percent, and as the
last line one JSON object: how many times faster than `full` the others are, and their points less
those of `full` at its best layer and at the last one.

    python bench/silence.py MANIFEST ENCODER [--threads N]
    python bench/silence.py --tiny
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import balanced_accuracy_score  # noqa: E402
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from labelmer.base.digest import code_digest  # noqa: E402
from labelmer.base.ragged import RATE, Ragged  # noqa: E402
from labelmer.corpus import segment  # noqa: E402
from labelmer.corpus.readers import manifest  # noqa: E402
from labelmer.features import encoders, fetch  # noqa: E402
from labelmer.features.extract import extract  # noqa: E402
from labelmer.features.items import read_items  # noqa: E402

WAYS = ("none", "compact", "full")


def made_up(place):
    """A manifest of noise and a tiny random encoder."""
    rows = ["id\tpath\tspeaker\tsession\tlabel\ttext"]
    for number in range(12):
        speaker, label = f"p{number % 3}", ("low", "high")[number // 3 % 2]
        noise = np.random.default_rng(number).normal(0, 0.1, 1600 * (number + 1))
        soundfile.write(place / f"{number:02}.wav", noise, RATE)
        rows.append(f"u{number:02}\t{number:02}.wav\t{speaker}\tS{speaker}\t{label}\tso")
    (place / "manifest.tsv").write_text("\n".join([*rows, ""]))
    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2}
    config = transformers.WhisperConfig(**sizes, encoder_ffn_dim=32, decoder_layers=0)
    transformers.WhisperModel(config).save_pretrained(place / "tiny")
    transformers.WhisperFeatureExtractor().save_pretrained(place / "tiny")
    return place / "manifest.tsv", place / "tiny"


def segments_of(root, folder):
    """The segments files of a manifest's sessions."""
    config = json.dumps({"corpus": {"reader": "manifest", "root": str(root)}, "code": "bench"})
    paths = []
    for session in manifest.sessions(root):
        paths.append(folder / f"{session}.h5")
        table = ["--table", str(folder / f"{session}.tsv"), "--config", config]
        segment.main(["--session", session, "--segments", str(paths[-1]), *table])
    return paths


def features_of(segments, folder, place):
    """({way: seconds}, {way: {id: means over a clip's frames (layers, width)}})."""
    facts = encoders.read_facts(folder, "whisper")
    code = code_digest(encoders.family_of(folder).module)
    ways = {way: encoders.load(folder, "all", silence=way) for way in WAYS}
    taken, means = dict.fromkeys(WAYS, 0.0), {way: {} for way in WAYS}
    warm_up = read_items(segments[0]).inputs[:2]
    for encoder in ways.values():
        encoder.encode(warm_up)
    for path in segments:
        for way, encoder in ways.items():
            out = place / f"{way}.{path.name}"
            start = time.perf_counter()
            extract(read_items(path), encoder, facts, out, code)
            taken[way] += time.perf_counter() - start
            file = Ragged(out)
            means[way] |= {name: file[name].astype(np.float32).mean(0) for name in file.ids}
    return taken, means


def accuracy(features, labels, speakers):
    """Unweighted accuracy in percent, each speaker told by what was learnt from the others."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    told = cross_val_predict(model, features, labels, groups=speakers, cv=LeaveOneGroupOut())
    return 100 * balanced_accuracy_score(labels, told)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("encoder", type=Path, nargs="?", help="folder of a Whisper encoder")
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if args.tiny == (args.encoder is not None):
        parser.error("expected either MANIFEST and ENCODER or --tiny")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        root, origin = made_up(place) if args.tiny else (args.manifest, args.encoder)
        fetch.fetch(f"path:{origin.absolute()}", place / "encoder")
        taken, means = features_of(segments_of(root, place), place / "encoder", place)
        rows = manifest.rows(root).set_index("id")
    labels, speakers = rows["label"].to_numpy(), rows["speaker"].to_numpy()
    scores = {}
    for way, of in means.items():
        layers = np.stack([of[name] for name in rows.index], axis=1)  # (layers, clips, width)
        scores[way] = [accuracy(features, labels, speakers) for features in layers]

    print(f"{len(rows)} clips, {origin.name}, {args.threads} CPU threads; UA by layer")
    print(f"{'silence':8} {'seconds':>8}" + "".join(f"{i:6}" for i in range(len(scores["full"]))))
    for way, each in scores.items():
        print(f"{way:8} {taken[way]:8.1f}" + "".join(f"{score:6.1f}" for score in each))
    best = int(np.argmax(scores["full"]))
    figures = {f"{way}_faster": round(taken["full"] / taken[way], 2) for way in WAYS[:2]}
    for where, layer in (("best", best), ("last", -1)):
        for way in WAYS[:2]:
            points = scores[way][layer] - scores["full"][layer]
            figures[f"{way}_points_{where}"] = round(points, 2)
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
