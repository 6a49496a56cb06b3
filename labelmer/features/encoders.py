"""One interface over all encoders: a list of inputs in, a list of (rows, ...) arrays out.

Speech goes in as mono 16 kHz samples, int16 (as the segments file holds them) or float32 in
[-1, 1); text as strings. An item's rows (frames or tokens) never depend on its neighbours in the
batch: what looks across time (normalisation, convolutions, attention) sees an item's own samples
and frames, and nothing of the padding.

What is out of the ordinary is defined, and nothing is dropped:

- audio shorter than one frame's receptive field (400 samples for wav2vec 2.0 and the filterbank,
  320 for Whisper), empty audio too, is padded with zeros to it and gives one frame;
- what is longer than a model can take (30 s for Whisper, `window_s` for wav2vec 2.0 and its kin,
  512 tokens for most text models) goes through it in windows of that length, each as if it stood
  alone; neighbours overlap by a fifth, each gives up its half of that, and so every frame and
  token stands once;
- empty text gives the special tokens alone ([CLS], [SEP]); what is written like a special token
  in a text ("[MASK]", "<s>") is words like others, and is split into smaller tokens;
- Whisper hears silence behind a clip, as it was trained to; rows of silence are not kept.

Of a checkpoint's preprocessor_config.json, do_normalize and the sampling rate are obeyed. Whether
it asks for an attention mask makes no difference: padding is masked everywhere.

On a GPU the networks run in mixed precision (float16), but for DeBERTa of the first version; on a
CPU in float32. What is float32 on a GPU is so in earnest (no TF32) where `exact` asks for it.

`layer` counts as Hugging Face's hidden_states do: 0 is what enters the first layer, N the output
of the last one, after the final layer norm where a model has one (for large wav2vec 2.0, HuBERT
and WavLM that is last_hidden_state; transformers 5 ends their hidden_states before the norm).
Layers above are not computed. `layer: all` keeps every one of them: rows are (layers, width) then.
"""

import hashlib
import itertools
import json
import logging
import math
import re
import threading
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from labelmer.base.digest import canonical_json, file_digest
from labelmer.base.errors import InputError, lacks_memory
from labelmer.base.ragged import RATE

log = logging.getLogger("labelmer")

ALL = "all"  # as a layer: every one of them
WINDOW_S = 60  # seconds; IEMOCAP's longest utterance takes 34
SILENCES = ("compact", "full", "none")  # behind a clip, for Whisper; the first is the default
NEAR = 50  # rows of compact silence that stand for themselves: 1 s
STEP = 10  # rows of it that one stands for from there on
# Padded rows of a batch. Half a minute of speech fills a CPU; a GPU wants ten.
ROWS_PER_BATCH = {"cpu": 1500, "cuda": 30000}
GPU_MEMORY_PER_ROW = 2**20  # bytes, of which the first convolution takes most


def load(folder, layer, device="cpu", window_s=None, silence=None):
    """The encoder in a snapshot's folder, cut to give the hidden states of `layer`.

    layer     -(N + 1) ... N for a network of N layers, or "all"; None or 0 for the filterbank
    window_s  seconds of speech that wav2vec 2.0 and its kin see at once; WINDOW_S if None
    silence   one of SILENCES, what Whisper hears behind a clip; the first one if None

    Everything is read from the folder. InputError: not a snapshot, a family not known, a layer out
    of range, weights that lack a part, a window for an encoder that has its own, silence for
    another than Whisper.
    """
    folder = Path(folder)
    family = FAMILIES[model_type(folder)]
    if silence is not None and family is not Whisper:
        raise InputError(f"{folder}: silence goes with Whisper's encoder; remove it")
    if family is Waveform:
        return Waveform(folder, layer, device, window_s or WINDOW_S)
    if window_s is not None:
        raise InputError(
            f"{folder}: window_s goes with wav2vec 2.0, HuBERT, WavLM and data2vec; remove it"
        )
    if family is Whisper:
        return Whisper(folder, layer, device, silence or SILENCES[0])
    return family(folder, layer, device)


def model_type(folder):
    """The family that a snapshot's config.json names; InputError if it is not a known one."""
    path = Path(folder) / "config.json"
    try:
        family = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not the config of an encoder ({error!r}); expected a Hugging Face snapshot "
            "with a model_type, as `labelmer fetch` writes it"
        ) from None
    if not isinstance(family, str) or family not in FAMILIES:
        raise InputError(
            f"{path}: bad model_type '{family}', expected one of {sorted(FAMILIES)}; "
            "choose an encoder of one of these families"
        )
    return family


def describe(folder):
    """What a snapshot holds: its family, width, number of layers, and digests (SHA-256).

    `weights` is that of each safetensors file, `content` covers every file, so that it changes
    whenever a feature could.
    """
    folder = Path(folder)
    family = model_type(folder)
    if family == "labelmer-fbank":
        width, layers = _fbank_config(folder)["num_mel_bins"], 0
    else:
        from transformers import AutoConfig

        with _explained(f"{folder}: config.json cannot be used", "correct it"):
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            width, layers = int(config.hidden_size), int(config.num_hidden_layers)
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name != "source.json")
    digests = {name: file_digest(folder / name) for name in names}
    return {
        "model_type": family,
        "width": width,
        "layers": layers,
        "weights": " ".join(digests[n] for n in names if n.endswith(".safetensors")),
        "content": hashlib.sha256(canonical_json(digests).encode()).hexdigest(),
    }


def network(folder, use_safetensors=True, **options):
    """The whole network of a snapshot in float32, ready for inference.

    InputError: no weights, or weights that are not those of the config: tensors that are missing
    (they would be random numbers), of another shape, or not finite. A warning names layers that the
    weights have and the config does not.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what counts in its report of the loading is checked below
    with _explained(
        f"{folder}: no weights to load", "take whole files, and fetch the encoder anew"
    ):
        model, report = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=use_safetensors,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are named below
            **options,
        )
    _check_weights(folder, model, report)
    return model.eval()


# The pooler and the mask of pretraining are not used here, and many checkpoints lack them.
UNUSED = ("pooler", "masked_spec_embed")
ONE_CHECKPOINT = "take config.json and weights from one checkpoint, or choose another"
LAYER = re.compile(r"encoder\.layers?\.(\d+)\.")


def _check_weights(folder, model, report):
    """Hold what transformers reports of the loading against what the network needs."""

    def used(name):
        return not any(part in name for part in UNUSED)

    for name, found, wanted in sorted(report["mismatched_keys"]):
        if used(name):
            raise InputError(
                f"{folder}: the tensor '{name}' has shape {tuple(found)} in the weights, expected "
                f"{tuple(wanted)} by config.json; {ONE_CHECKPOINT}"
            )
    missing = sorted(filter(used, report["missing_keys"]))
    if missing:
        raise InputError(
            f"{folder}: the weights lack {len(missing)} tensors, the first is '{missing[0]}'; "
            f"expected a checkpoint of this very model_type and size; {ONE_CHECKPOINT}"
        )
    for name, values in model.named_parameters():
        if values.numel() and used(name) and not torch.stack(values.aminmax()).isfinite().all():
            raise InputError(
                f"{folder}: the tensor '{name}' holds numbers that are not finite, so no feature "
                "could be; take whole weights, or choose another encoder"
            )
    unknown = {int(found[1]) for found in map(LAYER.search, report["unexpected_keys"]) if found}
    if unknown:
        log.warning(
            "%s: the weights have the layers %s, which config.json (num_hidden_layers %d) leaves "
            "out: `layer` counts without them; correct config.json if it is not meant so",
            *(folder, sorted(unknown), model.config.num_hidden_layers),
        )


@contextmanager
def _explained(what, advice):
    """Whatever a library raises on files that are not as they should be, as an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # transformers, safetensors and pickle have no common class
        if lacks_memory(error):
            raise
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"{what} ({type(error).__name__}: {said}); {advice}") from None


def batches_by_length(lengths, budget):
    """Indices of items in batches of similar length, the longest first.

    A batch's padded total (items x longest) stays within `budget`, unless one item alone is over.
    """
    batches = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


@dataclass(frozen=True)
class Window:
    """A part of an item that the network takes in one go."""

    content: object  # samples or token ids
    rows: int  # rows that the network gives for it
    keep: slice  # those that stand in the item's result


class Encoder:
    """What every encoder answers.

    modality   "speech" or "text"
    width      numbers per row, and per layer where all are kept
    rate_hz    frames per second; None for text
    layer      index of the hidden states, from 0, or "all"
    row        shape of a row: (width,), or (layers, width) where all are kept
    window_s   seconds of speech that it sees at once, where that can be chosen; else None
    silence    what it hears behind a clip, where that can be chosen; else None
    budget     padded rows of a batch; halved, with a line in the log, when memory runs out
    repeated   windows (of items) that ran more than once for that reason
    mixed      can it run in mixed precision on a GPU?
    precision  "float16" where it does, else "float32"
    model      the whole network, None for the filterbank
    front_end  its modules below the transformer, which fine-tuning may leave as they are
    """

    modality = "speech"
    rate_hz = None
    window_s = None
    silence = None
    mixed = True
    model = None
    front_end = ()

    @property
    def row(self):
        return (self.depth + 1, self.width) if self.layer == ALL else (self.width,)

    @property
    def precision(self):
        return "float16" if self.mixed and _kind(self.device) != "cpu" else "float32"

    def lengths(self, inputs):
        """Rows that each item will have; the network does not run."""
        return [
            sum(len(range(window.rows)[window.keep]) for window in self._windows(item))
            for item in inputs
        ]

    def marks(self, inputs):
        """Per item the strings of its rows (tokens); None for speech."""
        return None

    def encode(self, inputs):
        """Features of each item: a list of float32 arrays (rows, *row)."""
        return self.begin(inputs)()

    @torch.inference_mode()
    def begin(self, inputs, dtype="float32", exact=False):
        """Start to encode; returns a function that waits for the arrays of encode(), of `dtype`.

        A GPU is still at work when this returns, so that what went before can be written.
        exact: float32 throughout, on a GPU too, and without TF32, which has 10 bits of 23.
        """
        half = self.precision == "float16" and not exact
        # What the modules must know of a batch is kept in them while it goes through.
        with (
            self.lock,
            torch.autocast(_kind(self.device), torch.float16, half),
            _ieee() if exact else nullcontext(),
        ):
            flat, lengths = self._encoded(inputs, getattr(torch, dtype))
        ends = np.cumsum(lengths)
        if _kind(self.device) == "cpu":
            return lambda: np.split(flat.numpy(), ends[:-1])
        host = torch.empty_like(flat, device="cpu", pin_memory=True)
        host.copy_(flat, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record(torch.cuda.current_stream(self.device))

        def wait():
            copied.synchronize()
            return np.split(host.numpy(), ends[:-1])

        return wait

    def states(self, inputs):
        """Features of each item as tensors (rows, *row) on the device, for a gradient too."""
        flat, lengths = self._encoded(inputs)
        return list(flat.split(lengths))

    def _encoded(self, inputs, dtype=torch.float32):
        """Features of all items in one tensor (all rows, *row), and the rows of each item."""
        items = [self._windows(item) for item in inputs]
        windows = [window for item in items for window in item]
        parts = [None] * len(windows)
        waiting = batches_by_length([window.rows for window in windows], self.budget)[::-1]
        while waiting:
            batch = waiting.pop()
            hidden = self._attempt([windows[i].content for i in batch])  # (batch, longest, *row)
            if hidden is None:
                waiting += self._halved(batch, windows)
                self.repeated += len(batch)
                continue
            hidden = hidden.to(dtype)
            for i, rows in zip(batch, hidden, strict=True):
                parts[i] = rows[: windows[i].rows][windows[i].keep]
        ends = np.cumsum([0, *map(len, items)])
        lengths = [sum(map(len, parts[a:b])) for a, b in itertools.pairwise(ends)]
        return torch.cat(parts), lengths

    def _attempt(self, contents):
        """The network's output, or None if memory ran out."""
        try:
            return self._run(contents)
        except (RuntimeError, MemoryError) as error:
            # A gradient keeps what all batches computed: smaller ones would not save memory.
            if torch.is_grad_enabled() or not lacks_memory(error):
                raise
        if _kind(self.device) != "cpu":
            torch.cuda.empty_cache()
        return None

    def _halved(self, batch, windows):
        """A batch that was too large, in two, and all later ones half as large."""
        rows = len(batch) * max(windows[i].rows for i in batch)
        if len(batch) == 1:
            raise InputError(
                f"memory ran out on one utterance of {rows} rows; use a machine with more, or give "
                "the encoder a shorter window_s if it takes one"
            )
        self.budget = rows // 2
        log.warning("memory ran out on a batch of %d rows; from now on %d", rows, self.budget)
        middle = len(batch) // 2
        return [batch[middle:], batch[:middle]]

    def _place(self, device, network=None):
        """Move the network to the device, and take batches that fit it."""
        self.device, self.lock, self.repeated = device, threading.Lock(), 0
        self.budget = ROWS_PER_BATCH[_kind(device)]
        if _kind(device) == "cuda":
            # All of it, not what is free: a run that goes on must find the batches it began with.
            memory = torch.cuda.get_device_properties(device).total_memory
            self.budget = min(self.budget, memory // GPU_MEMORY_PER_ROW)
            self.budget = max(1, self.budget // (self.depth + 1 if self.layer == ALL else 1))
        if network is not None:
            network.to(device)
        if network is not None and _kind(device) == "cpu":
            _through_onednn(network)


class Filterbank(Encoder):
    """Log-mel filterbank frames as Kaldi computes them, without dither, on the int16 scale."""

    def __init__(self, folder, layer, device):
        if layer not in (None, 0):
            raise InputError(
                f"{folder}: bad layer {layer}, expected 0: a filterbank has no layers; remove it"
            )
        self.config = _fbank_config(folder)
        self.layer = 0
        self.width = self.config["num_mel_bins"]
        self.field = _samples(self.config["frame_length_ms"])
        self.hop = _samples(self.config["frame_shift_ms"])
        self.rate_hz = RATE / self.hop
        self._place("cpu")

    def _windows(self, samples):
        rows = 1 + (max(len(samples), self.field) - self.field) // self.hop
        return [Window(samples, rows, slice(None))]

    def _run(self, batch):
        from torchaudio.compliance import kaldi

        return _padded(
            [
                kaldi.fbank(
                    torch.from_numpy(_at_least(_unit(samples), self.field))[None] * 32768,
                    num_mel_bins=self.width,
                    frame_length=self.config["frame_length_ms"],
                    frame_shift=self.config["frame_shift_ms"],
                    sample_frequency=RATE,
                    dither=0.0,
                )
                for samples in batch
            ]
        )[0]


class Waveform(Encoder):
    """wav2vec 2.0 and its kin (HuBERT, WavLM, data2vec): convolutions, then a transformer."""

    def __init__(self, folder, layer, device, window_s):
        self.normalise = _feature_extractor(folder).do_normalize
        self.model = network(folder)
        config, encoder = self.model.config, self.model.encoder
        self.width, self.depth = config.hidden_size, config.num_hidden_layers
        self.layer = _cut(encoder, "layers", layer, folder)
        # The "stable" variants end in a layer norm; the others have one before the first layer.
        stable = getattr(config, "do_stable_layer_norm", False)
        if self.layer not in (ALL, self.depth) and stable:
            encoder.layer_norm = torch.nn.Identity()
        self.entered = []  # what enters each layer, where all are kept
        if self.layer == ALL:
            for block in encoder.layers:
                block.register_forward_pre_hook(lambda _, given: self.entered.append(given[0]))
        self.front_end = [self.model.feature_extractor]
        self.norm = _norm_of_each(self.model.feature_extractor.conv_layers[0])
        self.padding = _Padding(encoder.pos_conv_embed)
        self.convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.field = 1
        for kernel, stride in reversed(self.convolutions):
            self.field = (self.field - 1) * stride + kernel
        self.hop = math.prod(config.conv_stride)
        self.rate_hz = RATE / self.hop
        self.window_s = float(window_s)
        self.longest = self._rows(round(window_s * RATE))
        self._place(device, self.model)
        # A CPU's cache holds the convolutions of one utterance; a GPU waits for its commands.
        self.one_by_one = _kind(device) == "cpu"

    def _rows(self, samples):
        rows = max(samples, self.field)
        for kernel, stride in self.convolutions:
            rows = (rows - kernel) // stride + 1
        return rows

    def _windows(self, samples):
        spans = _spans(self._rows(len(samples)), self.longest)
        if len(spans) == 1:
            return [Window(samples, spans[0][1], slice(None))]
        return [
            Window(samples[a * self.hop : (b - 1) * self.hop + self.field], b - a, keep)
            for a, b, keep in spans
        ]

    def _run(self, batch):
        self.entered.clear()  # an attempt for which memory ran out may have left something
        groups = [[samples] for samples in batch] if self.one_by_one else [batch]
        extracted = [rows for group in groups for rows in self._convolved(group)]
        hidden, mask = _padded(extracted, [self._rows(len(samples)) for samples in batch])
        projected = self.model.feature_projection(hidden)
        hidden = projected[0] if isinstance(projected, tuple) else projected  # HuBERT: no tuple
        self.padding.mask = mask
        last = self.model.encoder(hidden, attention_mask=mask)[0]
        states, self.entered[:] = [*self.entered, last], []  # nothing of a batch shall outlive it
        return torch.stack(states, dim=2) if self.layer == ALL else last

    def _convolved(self, batch):
        """Utterances through the convolutions: (batch, longest, channels)."""
        clips = [torch.from_numpy(_at_least(_unit(samples), self.field)) for samples in batch]
        samples, inside = (_sent(part, self.device) for part in _padded(clips))
        counts = inside.sum(1, keepdim=True)
        if self.normalise:
            samples = _normalised(samples, inside, counts)
        if self.norm is not None:
            kernel, stride = self.convolutions[0]
            self.norm.frames = (counts - kernel) // stride + 1
        return self.model.feature_extractor(samples).transpose(1, 2)


class Whisper(Encoder):
    """Whisper's encoder on a clip and the silence behind it, up to the 30 s that it was trained on.

    One row for every 320 samples begun; those of silence are not kept. `silence` is

    full     all 1,500 rows, as transformers has it;
    compact  the clip's rows and 50 of silence, then one row of ten. Behind a clip the rows are
             alike but for their positions, so the middle one of ten stands for all: log 10 is added
             to its key's scores in every attention, as if ten equal keys stood there;
    none     the clip alone, which it was not trained on.
    """

    def __init__(self, folder, layer, device, silence):
        if silence not in SILENCES:
            raise InputError(
                f"{folder}: bad silence {silence!r}, expected one of {sorted(SILENCES)}; correct "
                "the encoder's `silence`"
            )
        self.silence = silence
        self.extractor = _feature_extractor(folder)
        self.model = network(folder, attn_implementation="sdpa")
        self.encoder = self.model.get_encoder()
        self.width, self.depth = self.encoder.config.d_model, self.encoder.config.encoder_layers
        self.layer = _cut(self.encoder, "layers", layer, folder)
        if self.layer not in (ALL, self.depth):
            self.encoder.layer_norm = torch.nn.Identity()
        self.front_end = [self.encoder.conv1, self.encoder.conv2]
        self.padding = _Padding(*self.front_end)
        self.stride = self.encoder.conv2.stride[0]  # log-mel frames of a row
        self.hop = self.extractor.hop_length * self.stride
        self.longest = self.encoder.config.max_source_positions
        self.rate_hz = RATE / self.hop
        self._place(device, self.encoder)  # the decoder never runs

    def _windows(self, samples):
        windows = []
        for start, stop, keep in _spans(self._rows(samples), self.longest):
            content = samples[start * self.hop : stop * self.hop]
            through = len(self._plan(stop - start)[0])
            windows.append(Window(content, through, slice(*keep.indices(stop - start))))
        return windows

    def _rows(self, clip):
        return max(1, -(-len(clip) // self.hop))

    def _plan(self, rows):
        """What goes through the network for a clip: (sources, positions, scores, heard).

        sources    rows that the convolutions give, for each that goes through the layers
        positions  where in the 30 s each of them stands; the clip's come first
        scores     the log of how many rows each stands for, added to its key's in attention
        heard      rows of clip and silence that the convolutions see
        """
        end = rows if self.silence == "none" else self.longest
        near = end if self.silence == "full" else min(rows + NEAR, end)
        starts = np.arange(near, end, STEP)
        sizes = np.minimum(STEP, end - starts)
        positions = np.concatenate([np.arange(near), starts + sizes // 2])
        counts = np.concatenate([np.ones(near), sizes])
        # From the third one on the rows of silence are alike, but for the last that is heard.
        heard = min(near + 1, end)
        return np.minimum(positions, near - 1), positions, np.log(counts), heard

    def _run(self, batch):
        plans = [self._plan(self._rows(clip)) for clip in batch]
        sources, positions, scores = (
            pad_sequence([torch.from_numpy(plan[part]) for plan in plans], True, padding)
            for part, padding in enumerate((0, 0, -math.inf))
        )
        mask = _sent(scores[:, None, None].float(), self.device)
        if len({len(plan[2]) for plan in plans}) == 1 and not any(plan[2].any() for plan in plans):
            mask = None  # all nought: without it, attention has faster kernels
        hidden, self.padding.mask = self._mel(batch, [plan[3] for plan in plans])
        for convolution in self.front_end:
            hidden = torch.nn.functional.gelu(convolution(hidden))
        sources = _sent(sources[:, :, None], self.device)
        hidden = torch.take_along_dim(hidden.transpose(1, 2), sources, 1)
        hidden = hidden + self.encoder.embed_positions.weight[_sent(positions, self.device)]
        kept = slice(max(map(self._rows, batch)))  # of silence nothing stays in memory
        states = []
        for layer in self.encoder.layers:
            if self.layer == ALL:
                states.append(hidden[:, kept])
            hidden = layer(hidden, mask)
        hidden = self.encoder.layer_norm(hidden[:, kept])
        return torch.stack([*states, hidden], dim=2) if self.layer == ALL else hidden

    def _mel(self, clips, heard):
        """Log-mel frames of clips, each with zeros behind it up to the rows that are heard.

        Returns (batch, bins, longest) and its mask (batch, longest), with self.stride frames for a
        row: what WhisperFeatureExtractor gives clip by clip, for which it waits for a GPU.
        """
        length, step = self.extractor.n_fft, self.extractor.hop_length
        padded = [
            np.pad(_at_least(_unit(clip), rows * self.hop), length // 2, "reflect")
            for clip, rows in zip(clips, heard, strict=True)
        ]
        samples = _sent(pad_sequence(list(map(torch.from_numpy, padded)), True), self.device)
        frames = torch.tensor(heard) * self.stride
        inside = torch.arange(max(heard) * self.stride) < frames[:, None]
        inside = _sent(inside, self.device)
        window = torch.hann_window(length, device=self.device)
        filters = _sent(torch.from_numpy(self.extractor.mel_filters.T).float(), self.device)
        # The power of a clip overflows float16.
        with torch.autocast(samples.device.type, enabled=False):
            waves = torch.stft(samples, length, step, None, window, False, return_complex=True)
            power = waves[..., : inside.shape[1]].abs().square()
            mel = (filters @ power).clamp(min=1e-10).log10()
            loudest = mel.masked_fill(~inside[:, None], -math.inf).amax((1, 2), keepdim=True)
            return (torch.maximum(mel, loudest - 8) + 4) / 4, inside


class Text(Encoder):
    """The BERT family: tokens, special ones included."""

    modality = "text"

    def __init__(self, folder, layer, device):
        self.tokenizer = _tokenizer(folder)
        self.model = network(folder)
        config = self.model.config
        self.width, self.depth = config.hidden_size, config.num_hidden_layers
        self.mixed = config.model_type != "deberta"  # it masks with what float16 cannot hold
        # DeBERTa cannot run on no layers at all, so one stays even for layer 0.
        self.layer = _cut(self.model.encoder, "layer", layer, folder, least=1)
        self._place(device, self.model)
        unknown = self.tokenizer.unk_token_id
        self.unknown = self.tokenizer.unk_token
        self.special = set(self.tokenizer.all_special_ids) - {unknown}
        with _explained(f"{folder}: the tokenizer cannot read 'a'", TOKENIZER):
            tokens, content = self.tokenizer("a")["input_ids"], self._ids("a")
            start = next(i for i in range(len(tokens)) if tokens[i : i + len(content)] == content)
        self.before, self.after = tokens[:start], tokens[start + len(content) :]
        self._check_vocabulary(folder, [*self.before, *self.after, self.tokenizer.pad_token_id])
        # RoBERTa numbers its positions from after the padding's index.
        taken = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        longest = min(config.max_position_embeddings - taken, self.tokenizer.model_max_length)
        self.room = longest - len(self.before) - len(self.after)
        if self.room < 1:
            raise InputError(
                f"{folder}: the model takes {longest} tokens, expected more than its "
                f"{len(self.before) + len(self.after)} special ones; correct model_max_length in "
                "tokenizer_config.json"
            )

    def _check_vocabulary(self, folder, needed):
        """InputError if the tokenizer gives a token that the network has no embedding for."""
        rows, names = self.model.get_input_embeddings().num_embeddings, self.tokenizer.get_vocab()
        if None in needed:
            raise InputError(f"{folder}: the tokenizer has no padding token; {TOKENIZER}")
        for name, number in names.items():
            if number >= rows and (number not in self.special or number in needed):
                raise InputError(
                    f"{folder}: the tokenizer's '{name}' is token {number}, but the weights have "
                    f"embeddings for {rows} tokens; {TOKENIZER}"
                )

    def marks(self, inputs):
        """Per item its token strings, special tokens included."""
        return [
            self.tokenizer.convert_ids_to_tokens(self.before + self._content(text) + self.after)
            for text in inputs
        ]

    def _content(self, text):
        ids = self._ids(text)
        if self.special.isdisjoint(ids):
            return ids
        return [part for i in ids for part in (self._spelled(i) if i in self.special else [i])]

    def _spelled(self, special):
        """The tokens of what is written like a special token, in two pieces, which are words."""
        name = self.tokenizer.convert_ids_to_tokens(special)
        return self._ids(name[:1]) + self._ids(name[1:])

    def _ids(self, text):
        return self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]

    def _windows(self, text):
        content = self._content(text)
        windows = []
        for start, stop, keep in _spans(len(content), self.room):
            tokens = self.before + content[start:stop] + self.after
            # The special tokens stand once, at the ends of the whole text.
            first = 0 if start == 0 else len(self.before) + keep.start
            last = len(tokens) if stop == len(content) else len(self.before) + keep.stop
            windows.append(Window(tokens, len(tokens), slice(first, last)))
        return windows

    def _run(self, batch):
        padding = self.tokenizer.pad_token_id
        padded = _padded([torch.tensor(window) for window in batch], value=padding)
        tokens, mask = (_sent(part, self.device) for part in padded)
        output = self.model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True)
        states = output.hidden_states
        return torch.stack(states, dim=2) if self.layer == ALL else states[self.layer]


FAMILIES = {
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm", "data2vec-audio"), Waveform),
    "whisper": Whisper,
    "labelmer-fbank": Filterbank,
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "deberta", "deberta-v2"), Text),
}


class _Padding:
    """Zeros what is padding before every convolution within some modules, as at an item's end.

    mask: (batch, longest), True inside an item; set before the modules run.
    """

    def __init__(self, *modules):
        self.mask = None
        for module in modules:
            for part in module.modules():
                if isinstance(part, torch.nn.Conv1d):
                    part.register_forward_pre_hook(self._zeroed)

    def _zeroed(self, _, given):
        return given[0] * self.mask[:, None]  # (batch, channels, longest)


class _Linear(torch.nn.Linear):
    """A linear layer as a convolution of width one.

    PyTorch gives convolutions to oneDNN and matrix products to MKL, and on AMD's CPUs oneDNN is
    twice as fast (bench/extract.py measures both).
    """

    def forward(self, hidden):  # (..., width)
        pixels = hidden.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        weight = self.weight[:, :, None, None]
        # A dilation changes nothing here, but that a single thread takes oneDNN too.
        rows = torch.nn.functional.conv2d(pixels, weight, self.bias, dilation=2)
        rows = rows.permute(0, 2, 3, 1)
        return rows.reshape(*hidden.shape[:-1], self.out_features)


def _through_onednn(network):
    """Put _Linear in the place of a network's linear layers; the parameters stay what they are."""
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if type(layer) is torch.nn.Linear:
                own = _Linear(layer.in_features, layer.out_features, device="meta")
                own.weight, own.bias = layer.weight, layer.bias
                setattr(module, name, own)


class _GroupNorm(torch.nn.GroupNorm):
    """Group norm with a group per channel, of each item over its own frames.

    frames: (batch, 1), how many each item has; set before it runs.
    """

    frames = None

    def forward(self, hidden):  # (batch, channels, longest)
        if len(hidden) == 1:
            return super().forward(hidden)
        inside = torch.arange(hidden.shape[2], device=hidden.device) < self.frames[:, None]
        frames = self.frames[:, None]
        mean = (hidden * inside).sum(2, keepdim=True, dtype=torch.float32) / frames
        centred = (hidden - mean) * inside
        variance = centred.square().sum(2, keepdim=True) / frames
        scaled = centred * torch.rsqrt(variance + self.eps) * self.weight[:, None]
        return (scaled + self.bias[:, None]).to(hidden.dtype)


def _norm_of_each(convolution):
    """Make the group norm of a first convolution one of each item; None if it has no such norm."""
    norm = getattr(convolution, "layer_norm", None)
    if not isinstance(norm, torch.nn.GroupNorm):
        return None
    own = _GroupNorm(norm.num_groups, norm.num_channels, norm.eps)
    own.weight, own.bias = norm.weight, norm.bias
    convolution.layer_norm = own
    return own


def _normalised(samples, inside, counts):
    """Utterances (batch, longest) with zero mean and unit variance, as Wav2Vec2FeatureExtractor."""
    centred = (samples - samples.sum(1, keepdim=True) / counts) * inside
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / counts + 1e-7)


def _spans(rows, longest):
    """Stretches (start, stop, keep) of up to `longest` rows that together cover all rows.

    Neighbours share a fifth of `longest`; `keep` is a stretch's rows without its halves of that.
    """
    half = longest // 10
    starts = range(0, max(rows - 2 * half, 1), longest - 2 * half)
    return [
        (
            start,
            min(start + longest, rows),
            slice(half if start else 0, longest - half if start != starts[-1] else longest),
        )
        for start in starts
    ]


def _kind(device):
    """The type, "cpu" or "cuda", of a device such as "cuda:1"."""
    return torch.device(device).type


@contextmanager
def _ieee():
    """Convolutions and matrix products of float32 as IEEE has it, not in a GPU's TF32."""
    settings = torch.backends.cudnn, torch.backends.cuda.matmul
    given = [setting.allow_tf32 for setting in settings]
    try:
        for setting in settings:
            setting.allow_tf32 = False
        yield
    finally:
        for setting, value in zip(settings, given, strict=True):
            setting.allow_tf32 = value


def _sent(tensor, device):
    """A CPU's tensor on a device, without waiting for what the device still has to do."""
    return tensor if _kind(device) == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def _padded(items, lengths=None, value=0.0):
    """Items (rows, ...) as one batch (batch, longest, ...) and its mask (batch, longest).

    lengths: rows of each item that count; all of them, if not given.
    """
    batch = pad_sequence(items, batch_first=True, padding_value=value)
    counts = _sent(torch.tensor(lengths or [len(item) for item in items]), batch.device)
    return batch, torch.arange(batch.shape[1], device=batch.device) < counts[:, None]


def _cut(stack, name, layer, folder, least=0):
    """Drop the layers above `layer` from stack.<name>, `least` remain; return its index from 0."""
    if layer == ALL:
        return ALL
    layers = getattr(stack, name)
    count = len(layers)
    if not isinstance(layer, int) or not -(count + 1) <= layer <= count:
        raise InputError(
            f"{folder}: bad layer {layer}, expected a whole number from {-(count + 1)} to {count}, "
            "or all; correct the encoder's `layer`"
        )
    index = layer % (count + 1)
    setattr(stack, name, layers[: max(index, least)])
    return index


TOKENIZER = "take the tokenizer's files from the checkpoint that this one was made from"


def _tokenizer(folder):
    from transformers import AutoTokenizer

    with _explained(f"{folder}: no readable tokenizer", TOKENIZER):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Without its files, transformers makes one up that knows no word.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise InputError(
            f"{folder}: a tokenizer of {len(tokenizer)} special tokens alone, expected its "
            f"vocabulary (tokenizer.json, vocab.txt or the like); {TOKENIZER}"
        )
    return tokenizer


def _feature_extractor(folder):
    from transformers import AutoFeatureExtractor

    advice = (
        "it says how the encoder wants its audio; take it from the checkpoint that this one was "
        "made from"
    )
    with _explained(f"{folder}: no readable preprocessor_config.json", advice):
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    if extractor.sampling_rate != RATE:
        raise InputError(
            f"{folder}: the encoder wants audio at {extractor.sampling_rate!r} Hz, "
            f"expected {RATE} Hz; choose another encoder"
        )
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    whisper = config["model_type"] == "whisper"
    wanted = config.get("num_mel_bins", 80) if whisper else 1
    if extractor.feature_size != wanted or hasattr(extractor, "hop_length") != whisper:
        raise InputError(
            f"{folder}: preprocessor_config.json is that of a {type(extractor).__name__} with "
            f"feature_size {extractor.feature_size!r}, expected one of {config['model_type']} "
            f"with {wanted}; {advice}"
        )
    return extractor


def _fbank_config(folder):
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))


def _samples(milliseconds):
    return round(RATE * milliseconds / 1000)


def _unit(samples):
    """Samples as float32 in [-1, 1): int16 is scaled, float32 is taken as it is."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768
    return np.array(samples, np.float32)


def _at_least(samples, count):
    """Samples, padded with zeros to at least `count`."""
    return np.pad(samples, (0, max(0, count - len(samples))))
