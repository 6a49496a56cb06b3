"""One interface over all encoders: a list of inputs in, a list of (rows, ...) arrays out.

Speech goes in as mono 16 kHz samples, int16 (as the segments file holds them) or float32 in
[-1, 1); text as strings. An item's rows (frames or tokens) never depend on its neighbours in the
batch: all that looks across time before attention (normalisation, convolutions) runs on each item
alone, and attention sees a mask.

What is out of the ordinary is defined, and nothing is dropped:

- audio shorter than one frame's receptive field (400 samples for wav2vec 2.0 and the filterbank,
  320 for Whisper), empty audio too, is padded with zeros to it and gives one frame;
- what is longer than a model can take (30 s for Whisper, 512 tokens for most text models) goes
  through it in consecutive windows, joined so that every frame and token stands once;
- empty text gives the special tokens alone ([CLS], [SEP]).

`layer` counts as Hugging Face's hidden_states do: 0 is what enters the first layer, N the output
of the last one, after the final layer norm where a model has one (for large wav2vec 2.0, HuBERT
and WavLM that is last_hidden_state; transformers 5 ends their hidden_states before the norm).
Layers above are not computed. `layer: all` keeps every one of them: rows are (layers, width) then.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from labelmer.digest import canonical_json, file_digest
from labelmer.errors import InputError

SAMPLE_RATE = 16000
ALL = "all"  # as a layer: every one of them
ROWS_PER_BATCH = 3000  # padded rows: a minute of speech at 50 frames/s


def load(folder, layer, device="cpu"):
    """The encoder in a snapshot's folder, cut to give the hidden states of `layer`.

    layer: -(N + 1) ... N for a network of N layers, or "all"; None or 0 for the filterbank.
    Everything is read from the folder. InputError: not a snapshot, a family not known, a layer out
    of range, weights that lack a part.
    """
    folder = Path(folder)
    return FAMILIES[model_type(folder)](folder, layer, device)


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
    if family not in FAMILIES:
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

        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        width, layers = config.hidden_size, config.num_hidden_layers
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

    InputError: no weights, or weights that lack a tensor, which would be random numbers then.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what counts in its report of the loading is checked below
    try:
        model, report = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=use_safetensors,
            dtype=torch.float32,
            output_loading_info=True,
            **options,
        )
    except OSError as error:
        raise InputError(
            f"{folder}: no weights to load ({error}); fetch the encoder anew"
        ) from None
    # The pooler and the mask of pretraining are not used here, and many checkpoints lack them.
    unused = ("pooler", "masked_spec_embed")
    missing = sorted(k for k in report["missing_keys"] if not any(name in k for name in unused))
    if missing:
        raise InputError(
            f"{folder}: the weights lack {len(missing)} tensors, the first is '{missing[0]}'; "
            "expected a checkpoint of this very model_type; fetch it anew, or choose another"
        )
    return model.eval()


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

    modality  "speech" or "text"
    width     numbers per row, and per layer where all are kept
    rate_hz   frames per second; None for text
    layer     index of the hidden states, from 0, or "all"
    row       shape of a row: (width,), or (layers, width) where all are kept
    """

    modality = "speech"
    rate_hz = None

    @property
    def row(self):
        return (self.depth + 1, self.width) if self.layer == ALL else (self.width,)

    def lengths(self, inputs):
        """Rows that each item will have; the network does not run."""
        return [
            sum(len(range(window.rows)[window.keep]) for window in self._windows(item))
            for item in inputs
        ]

    def marks(self, inputs):
        """Per item the strings of its rows (tokens); None for speech."""
        return None

    @torch.inference_mode()
    def encode(self, inputs, budget=ROWS_PER_BATCH):
        """Features of each item, float32 (rows, *row), in batches of `budget` padded rows."""
        windows = [self._windows(item) for item in inputs]
        flat = [window for item in windows for window in item]
        states = [None] * len(flat)
        for batch in batches_by_length([window.rows for window in flat], budget):
            hidden = self._run([flat[i].content for i in batch])  # (batch, longest, *row)
            for i, rows in zip(batch, hidden.float().cpu().numpy(), strict=True):
                states[i] = rows[: flat[i].rows][flat[i].keep]
        parts = iter(states)
        return [np.concatenate([next(parts) for _ in item]) for item in windows]


class Filterbank(Encoder):
    """Log-mel filterbank frames as Kaldi computes them, without dither, on the int16 scale."""

    def __init__(self, folder, layer, device):
        if layer not in (None, 0):
            raise InputError(
                f"{folder}: bad layer {layer}, expected 0: a filterbank has no layers; remove it"
            )
        self.config = _fbank_config(folder)
        self.layer, self.device = 0, device
        self.width = self.config["num_mel_bins"]
        self.field = _samples(self.config["frame_length_ms"])
        self.hop = _samples(self.config["frame_shift_ms"])
        self.rate_hz = SAMPLE_RATE / self.hop

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
                    sample_frequency=SAMPLE_RATE,
                    dither=0.0,
                )
                for samples in batch
            ]
        )[0]


class Waveform(Encoder):
    """wav2vec 2.0 and its kin (HuBERT, WavLM, data2vec): convolutions, then a transformer."""

    def __init__(self, folder, layer, device):
        self.extractor = _feature_extractor(folder)
        self.model = network(folder)
        config, encoder = self.model.config, self.model.encoder
        self.width, self.device = config.hidden_size, device
        self.depth = config.num_hidden_layers
        self.layer = _cut(encoder, "layers", layer, folder)
        # The "stable" variants end in a layer norm; the others have one before the first layer.
        stable = getattr(config, "do_stable_layer_norm", False)
        if self.layer not in (ALL, self.depth) and stable:
            encoder.layer_norm = torch.nn.Identity()
        self.entered = []  # what enters each layer, where all are kept
        if self.layer == ALL:
            for block in encoder.layers:
                block.register_forward_pre_hook(lambda _, given: self.entered.append(given[0]))
        # Positions come from convolutions, which would see the padding: _front adds them instead.
        self.positions, encoder.pos_conv_embed = encoder.pos_conv_embed, _Nothing()
        self.convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.field = 1
        for kernel, stride in reversed(self.convolutions):
            self.field = (self.field - 1) * stride + kernel
        self.rate_hz = SAMPLE_RATE / math.prod(config.conv_stride)
        self.model.to(device)
        self.positions.to(device)

    def _windows(self, samples):
        rows = max(len(samples), self.field)
        for kernel, stride in self.convolutions:
            rows = (rows - kernel) // stride + 1
        return [Window(samples, rows, slice(None))]

    def _run(self, batch):
        hidden, mask = _padded([self._front(samples) for samples in batch])
        self.entered.clear()
        last = self.model.encoder(hidden, attention_mask=mask)[0]
        return torch.stack([*self.entered, last], dim=2) if self.layer == ALL else last

    def _front(self, samples):
        """One utterance up to the transformer: (rows, width)."""
        samples = _at_least(_unit(samples), self.field)
        values = self.extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        extracted = self.model.feature_extractor(values["input_values"].to(self.device))
        projected = self.model.feature_projection(extracted.transpose(1, 2))
        hidden = projected[0] if isinstance(projected, tuple) else projected  # HuBERT: no tuple
        return (hidden + self.positions(hidden))[0]


class Whisper(Encoder):
    """Whisper's encoder on the clip itself, not on the clip and silence up to 30 s.

    One row for every 320 samples begun. Differs from transformers' 30 s window as its frames do
    not attend to silence; a clip of exactly 30 s gives the same.
    """

    def __init__(self, folder, layer, device):
        self.extractor = _feature_extractor(folder)
        self.encoder = network(folder, attn_implementation="sdpa").get_encoder()
        self.width, self.device = self.encoder.config.d_model, device
        self.depth = self.encoder.config.encoder_layers
        self.layer = _cut(self.encoder, "layers", layer, folder)
        if self.layer not in (ALL, self.depth):
            self.encoder.layer_norm = torch.nn.Identity()
        self.hop = self.extractor.hop_length * self.encoder.conv2.stride[0]
        self.longest = self.encoder.config.max_source_positions * self.hop
        self.rate_hz = SAMPLE_RATE / self.hop
        self.encoder.to(device)

    def _windows(self, samples):
        starts = range(0, max(len(samples), 1), self.longest)
        clips = [samples[start : start + self.longest] for start in starts]
        return [Window(clip, self._rows(clip), slice(None)) for clip in clips]

    def _rows(self, clip):
        return max(1, -(-len(clip) // self.hop))

    def _run(self, batch):
        hidden, mask = _padded([self._front(clip) for clip in batch])
        states = []
        for layer in self.encoder.layers:
            states.append(hidden)
            hidden = layer(hidden, mask[:, None, None, :])
        hidden = self.encoder.layer_norm(hidden)
        return torch.stack([*states, hidden], dim=2) if self.layer == ALL else hidden

    def _front(self, clip):
        """One clip up to the transformer: (rows, width)."""
        samples = _at_least(_unit(clip), self._rows(clip) * self.hop)
        mel = self.extractor(
            samples,
            sampling_rate=SAMPLE_RATE,
            padding="longest",
            truncation=False,
            return_tensors="pt",
        )
        hidden = mel["input_features"].to(self.device)
        for convolution in (self.encoder.conv1, self.encoder.conv2):
            hidden = torch.nn.functional.gelu(convolution(hidden))
        hidden = hidden[0].T
        return hidden + self.encoder.embed_positions.weight[: len(hidden)]


class Text(Encoder):
    """The BERT family: tokens, special ones included."""

    modality = "text"

    def __init__(self, folder, layer, device):
        self.tokenizer = _tokenizer(folder)
        self.model = network(folder)
        config = self.model.config
        self.width, self.device = config.hidden_size, device
        self.depth = config.num_hidden_layers
        # DeBERTa cannot run on no layers at all, so one stays even for layer 0.
        self.layer = _cut(self.model.encoder, "layer", layer, folder, least=1)
        self.model.to(device)
        example = self.tokenizer("a", return_special_tokens_mask=True)
        content = [i for i, special in enumerate(example["special_tokens_mask"]) if not special]
        self.before = example["input_ids"][: content[0]]
        self.after = example["input_ids"][content[-1] + 1 :]
        # RoBERTa numbers its positions from after the padding's index.
        taken = config.pad_token_id + 1 if "roberta" in config.model_type else 0
        longest = min(config.max_position_embeddings - taken, self.tokenizer.model_max_length)
        self.room = longest - len(self.before) - len(self.after)

    def marks(self, inputs):
        """Per item its token strings, special tokens included."""
        return [
            self.tokenizer.convert_ids_to_tokens(self.before + self._content(text) + self.after)
            for text in inputs
        ]

    def _content(self, text):
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    def _windows(self, text):
        content = self._content(text)
        starts = range(0, max(len(content), 1), self.room)
        windows = []
        for start in starts:
            tokens = self.before + content[start : start + self.room] + self.after
            first = 0 if start == 0 else len(self.before)
            end = len(tokens) if start == starts[-1] else len(tokens) - len(self.after)
            windows.append(Window(tokens, len(tokens), slice(first, end)))
        return windows

    def _run(self, batch):
        tokens, mask = _padded(
            [torch.tensor(window, device=self.device) for window in batch],
            self.tokenizer.pad_token_id,
        )
        output = self.model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True)
        states = output.hidden_states
        return torch.stack(states, dim=2) if self.layer == ALL else states[self.layer]


FAMILIES = {
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm", "data2vec-audio"), Waveform),
    "whisper": Whisper,
    "labelmer-fbank": Filterbank,
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "deberta", "deberta-v2"), Text),
}


class _Nothing(torch.nn.Module):
    """Adds nothing, whatever it is added to."""

    def forward(self, hidden):
        return hidden.new_zeros(())


def _padded(items, value=0.0):
    """Items (rows, ...) as one batch (batch, longest, ...) and its mask (batch, longest)."""
    batch = pad_sequence(items, batch_first=True, padding_value=value)
    lengths = torch.tensor([len(item) for item in items], device=batch.device)
    return batch, torch.arange(batch.shape[1], device=batch.device) < lengths[:, None]


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


def _tokenizer(folder):
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: no readable tokenizer ({error}); take its files from the checkpoint that "
            "this one was made from"
        ) from None


def _feature_extractor(folder):
    from transformers import AutoFeatureExtractor

    try:
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: no readable preprocessor_config.json ({error}); it says how the encoder "
            "wants its audio; take it from the checkpoint that this one was made from"
        ) from None
    if extractor.sampling_rate != SAMPLE_RATE:
        raise InputError(
            f"{folder}: the encoder wants audio at {extractor.sampling_rate} Hz, "
            f"expected {SAMPLE_RATE} Hz; choose another encoder"
        )
    return extractor


def _fbank_config(folder):
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))


def _samples(milliseconds):
    return round(SAMPLE_RATE * milliseconds / 1000)


def _unit(samples):
    """Samples as float32 in [-1, 1): int16 is scaled, float32 is taken as it is."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768
    return np.array(samples, np.float32)


def _at_least(samples, count):
    """Samples, padded with zeros to at least `count`."""
    return np.pad(samples, (0, max(0, count - len(samples))))
