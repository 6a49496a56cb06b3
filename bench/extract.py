"""Extracting speech features: labelmer against the ways that public code does it.

The encoder is wav2vec2-base's architecture with random weights; the audio is noise with lengths
like IEMOCAP's. The ways, each on the same weights, audio, threads and device:

- labelmer: all of labelmer.features.extract, from int16 samples to one ragged file of float16;
- bfloat16: the same on a CPU with `precision: bfloat16`;
- the loop: one utterance at a time through the Hugging Face model in float32, one .npy each;
- padded: batches of 8 in the corpus' order, padded to their longest, through that same model
  without an attention mask (wav2vec2-base was trained without one), one .npy each, cut to its own
  frames. Its features are wrong, as the first convolution's group norm takes in the padding. It is
  timed only.

Whisper has a part of its own: whisper-base's encoder with random weights, on noise up to 30 s long.
labelmer with `silence: full`, `compact` (on a CPU in bfloat16, too) and `none` is compared with the
loop of that, one utterance and silence up to 30 s at a time.

Loading the model counts in no way. The ways take turns, after a warm-up; what is printed are the
medians of the rounds. GFLOP are counted from the network's configuration for each utterance's own
frames, none for padding. The ceiling is a matrix product of a shape that the transformer has on
the CPU, measured in every round, and a large one in float16 on the GPU.

Before anything is timed on a GPU its features are compared with each other; in both parts
labelmer's file is compared with the loop's. A difference that is too large is said, and the exit
status is 1 then. Prints tables and, as its last line, one JSON object of ratios of speed; null
stands for what was not measured.

    python bench/extract.py [--tiny]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))
os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from lengths import seconds_of_utterances  # noqa: E402

from labelmer.base.digest import code_digest  # noqa: E402
from labelmer.base.ragged import RATE, Ragged  # noqa: E402
from labelmer.features import encoders  # noqa: E402
from labelmer.features.encoders.onednn import Linear  # noqa: E402
from labelmer.features.extract import extract  # noqa: E402
from labelmer.features.items import Items  # noqa: E402

ITEMS = {"cpu": 24, "cuda": 1500}
WHISPER_ITEMS = {"cpu": 8, "cuda": 500}
ROUNDS = 3
PADDED = 8  # utterances of a padded batch
WAYS = {"cpu": ("labelmer", "bfloat16", "the loop", "padded")}
WAYS["cuda"] = tuple(way for way in WAYS["cpu"] if way != "bfloat16")
SILENCES = ("full", "compact", "none")
BFLOAT16 = "compact, bfloat16"
# Largest difference allowed, as a share of the largest feature. cuDNN may take TF32 (10 bits).
ALLOWED = {"float32": 5e-3, "mixed precision": 5e-2}


TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
TINY |= {"intermediate_size": 64, "conv_dim": [16] * 7, "num_conv_pos_embedding_groups": 2}
WHISPER = {"d_model": 512, "encoder_layers": 6, "encoder_attention_heads": 8}
WHISPER |= {"encoder_ffn_dim": 2048, "decoder_layers": 0}
TINY_WHISPER = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2}
TINY_WHISPER |= {"encoder_ffn_dim": 64, "decoder_layers": 0}


def write_snapshot(folder, changes):
    """wav2vec2-base's architecture with random weights, as `labelmer fetch` leaves an encoder."""
    torch.manual_seed(1)
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**changes)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return {
        "encoder": "wav2vec2-base",
        "source": "random weights",
        "revision": "none",
        **encoders.describe(folder),
    }


def write_whisper(folder, sizes):
    """A Whisper with random weights and no decoder, as `labelmer fetch` leaves an encoder."""
    torch.manual_seed(1)
    transformers.WhisperModel(transformers.WhisperConfig(**sizes)).save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    origin = {"encoder": "whisper-base", "source": "random weights", "revision": "none"}
    return {**origin, **encoders.describe(folder)}


def noise_of(seconds):
    """Items of int16 noise of the given lengths, each with samples of its own."""
    draw = np.random.default_rng(2)
    counts = [round(s * RATE) for s in seconds]
    noise = draw.normal(0, 3000, 2 * max(counts)).astype(np.int16)
    starts = draw.integers(0, max(counts), len(counts))
    inputs = [noise[a : a + n] for a, n in zip(starts, counts, strict=True)]
    ids = [f"u{i:05d}" for i in range(len(inputs))]
    return Items("speech", ids, inputs, [samples.tobytes() for samples in inputs])


class Ways:
    """The ways on one device, each a method that takes items and leaves files in a folder."""

    def __init__(self, snapshot, facts, folder, device):
        self.facts, self.folder, self.device = facts, folder, device
        self.encoder = encoders.load(snapshot, -1, device)
        self.rounding = encoders.load(snapshot, -1, device, "bfloat16")
        self.code = code_digest(self.encoder.family.module)
        self.extractor = transformers.AutoFeatureExtractor.from_pretrained(snapshot)
        self.model = transformers.AutoModel.from_pretrained(snapshot).eval().to(device)

    def labelmer(self, items):
        self._extract(items, self.encoder, "features.h5")

    def bfloat16(self, items):
        self._extract(items, self.rounding, "bfloat16.h5")

    def _extract(self, items, encoder, name):
        out = self.folder / name
        out.unlink(missing_ok=True)  # or its items would be taken over
        extract(items, encoder, self.facts, out, self.code)

    def loop(self, items):
        for name, samples in zip(items.ids, items.inputs, strict=True):
            np.save(self.folder / f"{name}.npy", self._hidden([samples])[0])

    def padded(self, items):
        (self.folder / "padded").mkdir(exist_ok=True)
        for start in range(0, len(items.ids), PADDED):
            batch = slice(start, start + PADDED)
            names, inputs = items.ids[batch], items.inputs[batch]
            frames = self.encoder.lengths(inputs)
            for name, rows, count in zip(names, self._hidden(inputs), frames, strict=True):
                np.save(self.folder / "padded" / f"{name}.npy", rows[:count])

    @torch.inference_mode()
    def _hidden(self, inputs):
        """What public code does with utterances: (batch, longest, 768) of float32."""
        clips = [samples.astype(np.float32) / 32768 for samples in inputs]
        values = self.extractor(
            clips, sampling_rate=RATE, padding=True, return_tensors="pt"
        ).input_values
        return self.model(values.to(self.device)).last_hidden_state.cpu().numpy()

    def seconds(self, way, items):
        start = time.perf_counter()
        named = {"labelmer": self.labelmer, "bfloat16": self.bfloat16}
        named |= {"the loop": self.loop, "padded": self.padded}
        named[way](items)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


class WhisperWays:
    """The same for Whisper: labelmer with each kind of silence, one of them in bfloat16 on a CPU,
    and the loop over 30 s."""

    def __init__(self, snapshot, facts, folder, device):
        self.facts, self.folder, self.device = facts, folder, device
        self.encoders = {s: encoders.load(snapshot, -1, device, silence=s) for s in SILENCES}
        if device == "cpu":
            self.encoders[BFLOAT16] = encoders.load(snapshot, -1, device, "bfloat16")
        self.code = code_digest(encoders.family_of(snapshot).module)
        self.extractor = transformers.AutoFeatureExtractor.from_pretrained(snapshot)
        model = transformers.AutoModel.from_pretrained(snapshot).get_encoder()
        self.model = model.eval().to(device)

    @torch.inference_mode()
    def loop(self, items):
        for name, samples in zip(items.ids, items.inputs, strict=True):
            mel = self.extractor(
                samples.astype(np.float32) / 32768,
                sampling_rate=RATE,
                return_tensors="pt",
            ).input_features
            rows = self.model(mel.to(self.device)).last_hidden_state[0].cpu().numpy()
            np.save(self.folder / f"{name}.npy", rows[: -(-len(samples) // 320)])

    def seconds(self, way, items):
        start = time.perf_counter()
        if way == "the loop":
            self.loop(items)
        else:
            out = self.folder / f"{way}.h5"
            out.unlink(missing_ok=True)  # or its items would be taken over
            extract(items, self.encoders[way], self.facts, out, self.code)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start


def run_whisper(device, snapshot, facts):
    """Measure and print Whisper's part; returns ({way: seconds}, does `full` equal the loop)."""
    lengths = seconds_of_utterances(WHISPER_ITEMS[device] + 1)
    items = noise_of(sorted(lengths)[:-1])  # without the one of 34 s, which the loop would cut
    audio = sum(map(len, items.inputs)) / RATE
    with tempfile.TemporaryDirectory() as place:
        ways = WhisperWays(snapshot, facts, Path(place), device)
        names = [*ways.encoders, "the loop"]
        first = Items("speech", *(part[:2] for part in (items.ids, items.inputs, items.contents)))
        for way in names:
            ways.seconds(way, items if device == "cuda" else first)
        rounds = [{way: ways.seconds(way, items) for way in names} for _ in range(ROUNDS)]
        taken = {way: statistics.median(each[way] for each in rounds) for way in names}
        full = Ragged(ways.folder / "full.h5")
        good = agrees(
            "Whisper's file with full silence and the loop's",
            "float32" if device == "cpu" else "mixed precision",
            [full[name] for name in items.ids],
            [np.load(ways.folder / f"{name}.npy") for name in items.ids],
        )
    print(f"\nWhisper, {len(items.ids)} utterances, {audio:.0f} s, medians of {ROUNDS} rounds\n")
    print(f"{'way':16} {'seconds':>8} {'real-time factor':>16} {'utterances/s':>12}")
    for way, seconds in taken.items():
        speed = len(items.ids) / seconds
        print(f"{way:16} {seconds:8.2f} {seconds / audio:16.5f} {speed:12.1f}")
    return taken, good


def gflop_of(config, frames):
    """Multiplications and additions, in 10^9, of one utterance of that many frames."""
    counts = [frames]  # rows after each convolution, the last one first
    for kernel, stride in zip(config.conv_kernel[:0:-1], config.conv_stride[:0:-1], strict=True):
        counts.append((counts[-1] - 1) * stride + kernel)
    widths = pairwise([1, *config.conv_dim])
    total = sum(
        rows * inputs * outputs * kernel
        for rows, (inputs, outputs), kernel in zip(
            reversed(counts), widths, config.conv_kernel, strict=True
        )
    )
    width, inner = config.hidden_size, config.intermediate_size
    positions = width // config.num_conv_pos_embedding_groups * config.num_conv_pos_embeddings
    linear = 4 * width + 2 * inner  # queries, keys, values, output; the two of the feed-forward
    attention = 2 * frames  # scores, and the sum that they weigh
    layers = config.num_hidden_layers * (linear + attention)
    total += frames * width * (config.conv_dim[-1] + positions + layers)
    return 2 * total / 1e9


def best_gflops(product, gflop, device, repetitions):
    """GFLOP/s of the fastest of many calls."""
    best = float("inf")
    for _ in range(repetitions):
        start = time.perf_counter()
        product()
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return gflop / best


@torch.inference_mode()
def ceilings(device):
    """{name: GFLOP/s} of matrix products that do nothing else."""
    if device == "cuda":
        size = 8192
        square = torch.randn(size, size, device=device, dtype=torch.float16)
        product, gflop = (lambda: square @ square), 2 * size**3 / 1e9
        return {"torch.matmul": best_gflops(product, gflop, device, 30)}
    rows, width, inner = 1500, 768, 3072  # half a minute of speech into a feed-forward layer
    hidden, weight = torch.randn(rows, width), torch.randn(width, inner)
    convolution = Linear(width, inner, bias=False)
    gflop = 2 * rows * width * inner / 1e9
    return {
        "torch.matmul": best_gflops(lambda: hidden @ weight, gflop, device, 30),
        "1x1 convolution": best_gflops(lambda: convolution(hidden), gflop, device, 30),
    }


def difference(features, expected):
    """Largest difference over items, as a share of the item's largest feature."""
    shares = [
        np.abs(a.astype(np.float32) - b).max() / np.abs(b).max() if a.shape == b.shape else np.nan
        for a, b in zip(features, expected, strict=True)
    ]
    return np.max(shares)  # not a number, if any is


def agrees(what, precision, features, expected):
    """Print how far features are from what is expected; True if that is near enough."""
    found, allowed = difference(features, expected), ALLOWED[precision]
    good = found <= allowed  # not a number is not
    print(f"{'ok' if good else 'FAILED':6} {what}: {found:.1e}, at most {allowed:.0e}")
    return good


def gpu_agrees(ways, snapshot, longest_s):
    """True if the GPU's features agree in mixed precision and float32, in a batch and alone."""
    seconds = [*seconds_of_utterances(14), longest_s, 0.01]  # one in windows, one of one frame
    inputs = noise_of(seconds).inputs
    encoder, alone = ways.encoder, [[samples] for samples in inputs]
    exact, mixed = encoder.begin(inputs, exact=True)(), encoder.encode(inputs)
    exact_alone = [encoder.begin(one, exact=True)()[0] for one in alone]
    mixed_alone = [encoder.encode(one)[0] for one in alone]
    few = slice(None, 6)
    plain = [ways._hidden(one)[0] for one in alone[few]]
    cpu = encoders.load(snapshot, -1, "cpu").encode(inputs[few])
    print("Largest differences on the GPU, as a share of the largest feature:")
    return all(
        [
            agrees("float32, a batch and alone", "float32", exact, exact_alone),
            agrees("float32, GPU and CPU", "float32", exact[few], cpu),
            agrees("float32, labelmer and the Hugging Face model", "float32", exact[few], plain),
            agrees("mixed precision and float32", "mixed precision", mixed, exact),
            agrees("mixed precision, a batch and alone", "mixed precision", mixed, mixed_alone),
        ]
    )


def file_agrees(ways, items):
    """True if labelmer's file holds what the loop's files hold."""
    features = Ragged(ways.folder / "features.h5")
    expected = [np.load(ways.folder / f"{name}.npy") for name in items.ids]
    precision = "float32" if ways.device == "cpu" else "mixed precision"
    what = "labelmer's file and the loop's, largest difference"
    return agrees(what, precision, [features[name] for name in items.ids], expected)


def padding_share(seconds):
    """The share of padding in padded batches of utterances of the given lengths."""
    batches = [seconds[i : i + PADDED] for i in range(0, len(seconds), PADDED)]
    return 1 - sum(seconds) / sum(len(batch) * max(batch) for batch in batches)


def measure(ways, items):
    """({way: seconds}, {ceiling: GFLOP/s}, whether the files agree); medians of the rounds."""
    # A GPU's memory and kernels are set up by a whole round, a CPU's by a little.
    some = len(items.ids) if ways.device == "cuda" else 4
    first = Items("speech", *(part[:some] for part in (items.ids, items.inputs, items.contents)))
    for way in WAYS[ways.device]:
        ways.seconds(way, first)
    taken, tops = {way: [] for way in WAYS[ways.device]}, []
    for _ in range(ROUNDS):
        tops.append(ceilings(ways.device))
        for way in taken:
            taken[way].append(ways.seconds(way, items))
    top = {name: statistics.median(each[name] for each in tops) for name in tops[0]}
    return (
        {way: statistics.median(each) for way, each in taken.items()},
        top,
        file_agrees(ways, items),
    )


def report(ways, items, taken, tops):
    """Print the table of one device; returns {way or ceiling: GFLOP/s}."""
    audio = sum(map(len, items.inputs)) / RATE
    gflop = sum(gflop_of(ways.model.config, n) for n in ways.encoder.lengths(items.inputs))
    share = padding_share([len(x) for x in items.inputs])
    print(
        f"{len(items.ids)} utterances, {audio:.0f} s, {gflop / audio:.1f} GFLOP per second of "
        f"audio; padding is {share:.0%} of the padded batches (a large corpus: "
        f"{padding_share(seconds_of_utterances(5000)):.0%}); medians of {ROUNDS} rounds\n"
    )
    speed = {way: gflop / seconds for way, seconds in taken.items()} | tops
    head = f"{'way':16} {'seconds':>8} {'real-time factor':>16} {'utterances/s':>12} {'GFLOP/s':>8}"
    print(head + "".join(f"  of {name}" for name in tops))
    for way, gflops in speed.items():
        line = f"{way:16} {'':8} {'':16} {'':12} {gflops:8.0f}"
        if way in taken:
            line = (
                f"{way:16} {taken[way]:8.2f} {taken[way] / audio:16.5f} "
                f"{len(items.ids) / taken[way]:12.1f} {gflops:8.0f}"
            )
        print(line + "".join(f"  {gflops / top:{3 + len(name)}.0%}" for name, top in tops.items()))
    return speed


def run(device, snapshot, facts):
    """Measure and print one device's part; returns ({way or ceiling: GFLOP/s}, no check failed)."""
    items = noise_of(seconds_of_utterances(ITEMS[device]))
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()}"
    print(f"\n{name}{'' if device == 'cuda' else ' threads'}")
    with tempfile.TemporaryDirectory() as place:
        ways = Ways(snapshot, facts, Path(place), device)
        good = device == "cpu" or gpu_agrees(ways, snapshot, ways.encoder.options["window_s"] + 10)
        taken, tops, files_agree = measure(ways, items)
    return report(ways, items, taken, tops), good and files_agree


def ratios_of(device, speed):
    """The JSON object's part for one device; `speed` is None if it was not measured."""
    over = {f"{device}_vs_loop": "the loop", f"{device}_vs_padded": "padded"}
    over[f"{device}_matmul_share"] = "torch.matmul"
    if device == "cpu":
        over |= {"cpu_onednn_share": "1x1 convolution", "cpu_vs_bfloat16": "bfloat16"}
    return {key: speed and round(speed["labelmer"] / speed[way], 2) for key, way in over.items()}


def whisper_ratios_of(device, taken):
    """The same for Whisper: how many times faster than the loop; of each kind of silence."""
    keys = {f"{device}_whisper_{silence}_vs_loop": silence for silence in SILENCES}
    if device == "cpu":
        keys["cpu_whisper_bfloat16_vs_loop"] = BFLOAT16
    return {k: taken and round(taken["the loop"] / taken[way], 2) for k, way in keys.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--cpu-only", action="store_true")
    part.add_argument("--gpu-only", action="store_true")
    parser.add_argument(
        "--tiny", action="store_true", help="a size that shows that it runs, and no more"
    )
    args = parser.parse_args()
    if args.tiny:
        ITEMS.update(cpu=2, cuda=2)
        WHISPER_ITEMS.update(cpu=2, cuda=2)
    transformers.utils.logging.disable_progress_bar()
    gpu = torch.cuda.is_available() and not args.cpu_only
    if args.gpu_only and not gpu:
        sys.exit("no GPU on this machine")
    devices = [d for d, asked in (("cpu", not args.gpu_only), ("cuda", gpu)) if asked]
    speed, taken, checks = {}, {}, []
    with tempfile.TemporaryDirectory() as place:
        waveform, whisper = Path(place, "wav2vec2"), Path(place, "whisper")
        facts = write_snapshot(waveform, TINY if args.tiny else {})
        whisper_facts = write_whisper(whisper, TINY_WHISPER if args.tiny else WHISPER)
        print(f"wav2vec2-base, torch {torch.__version__}, transformers {transformers.__version__}")
        for device in devices:
            speed[device], good = run(device, waveform, facts)
            taken[device], whisper_good = run_whisper(device, whisper, whisper_facts)
            checks += [good, whisper_good]
        if not gpu and not args.cpu_only:
            print("\nno GPU on this machine")
    ratios = {}
    for name, device in (("cpu", "cpu"), ("gpu", "cuda")):
        ratios |= ratios_of(name, speed.get(device)) | whisper_ratios_of(name, taken.get(device))
    print(json.dumps(ratios), flush=True)
    if not all(checks):
        sys.exit("a check failed: see FAILED above")


if __name__ == "__main__":
    main()
