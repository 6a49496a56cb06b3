"""Whisper's encoder, which reads log-mel frames of a clip and of the silence behind it."""

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import (
    ALL,
    Encoder,
    Window,
    ZeroPadding,
    at_least,
    cut,
    sent,
    settings,
    spans,
    unit,
)
from labelmer.features.encoders.snapshot import feature_extractor, network

FAMILY = {
    "encoder": "Whisper",
    "title": "Whisper's encoder",
    "modality": "speech",
    "model_types": ["whisper"],
    "options": {
        "silence": {
            "description": "what Whisper's encoder hears behind a clip, up to the 30 s that it was "
            "trained on; see below",
            "enum": ["full", "compact", "none"],
            "default": "compact",
            "example": "full",
        }
    },
}
# mypy does not look into a literal that holds values of several types.
SILENCES = FAMILY["options"]["silence"]["enum"]  # type: ignore[index]
NEAR = 50  # rows of compact silence that stand for themselves: 1 s
STEP = 10  # rows of it that one stands for from there on


class Whisper(Encoder):
    """A clip and the silence behind it, up to the 30 s that it was trained on.

    One row for every 320 samples begun; those of silence are not kept. `silence` is

    full     all 1,500 rows, as transformers has it;
    compact  the clip's rows and 50 of silence, then one row of ten. Behind a clip the rows are
             alike but for their positions, so the middle one of ten stands for all: log 10 is added
             to its key's scores in every attention, as if ten equal keys stood there;
    none     the clip alone, which it was not trained on.
    """

    def __init__(self, folder: Path, layer: int | str | None, device: str, silence: str) -> None:
        if silence not in SILENCES:
            raise InputError(
                f"{folder}: bad silence {silence!r}, expected one of {sorted(SILENCES)}; correct "
                "the encoder's `silence`"
            )
        self.silence = silence
        self.extractor = feature_extractor(folder, settings(folder).get("num_mel_bins", 80))
        self.model = network(folder, attn_implementation="sdpa")
        self.encoder = self.model.get_encoder()
        self.width, self.depth = self.encoder.config.d_model, self.encoder.config.encoder_layers
        self.layer = cut(self.encoder, "layers", layer, folder)
        if self.layer not in (ALL, self.depth):
            self.encoder.layer_norm = torch.nn.Identity()
        self.front_end = [self.encoder.conv1, self.encoder.conv2]
        self.padding = ZeroPadding(*self.front_end)
        self.stride = self.encoder.conv2.stride[0]  # log-mel frames of a row
        self.hop = self.extractor.hop_length * self.stride
        self.longest = self.encoder.config.max_source_positions
        self.rate_hz = RATE / self.hop
        self._place(device, self.encoder)  # the decoder never runs

    def _windows(self, samples: np.ndarray) -> list[Window]:
        windows = []
        for start, stop, keep in spans(self._rows(samples), self.longest):
            content = samples[start * self.hop : stop * self.hop]
            through = len(self._plan(stop - start)[0])
            windows.append(Window(content, through, slice(*keep.indices(stop - start))))
        return windows

    def _rows(self, clip: np.ndarray) -> int:
        return max(1, -(-len(clip) // self.hop))

    def _plan(self, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
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

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        plans = [self._plan(self._rows(clip)) for clip in batch]
        sources, positions, scores = (
            pad_sequence([torch.from_numpy(plan[part]) for plan in plans], True, padding)
            for part, padding in enumerate((0, 0, -math.inf))
        )
        mask = sent(scores[:, None, None].float(), self.device)
        if len({len(plan[2]) for plan in plans}) == 1 and not any(plan[2].any() for plan in plans):
            mask = None  # all nought: without it, attention has faster kernels
        hidden, self.padding.mask = self._mel(batch, [plan[3] for plan in plans])
        for convolution in self.front_end:
            hidden = torch.nn.functional.gelu(convolution(hidden))
        sources = sent(sources[:, :, None], self.device)
        hidden = torch.take_along_dim(hidden.transpose(1, 2), sources, 1)
        hidden = hidden + self.encoder.embed_positions.weight[sent(positions, self.device)]
        kept = slice(max(map(self._rows, batch)))  # of silence nothing stays in memory
        states = []
        for layer in self.encoder.layers:
            if self.layer == ALL:
                states.append(hidden[:, kept])
            hidden = layer(hidden, mask)
        hidden = self.encoder.layer_norm(hidden[:, kept])
        return torch.stack([*states, hidden], dim=2) if self.layer == ALL else hidden

    def _mel(self, clips: list[np.ndarray], heard: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-mel frames of clips, each with zeros behind it up to the rows that are heard.

        Returns (batch, bins, longest) and its mask (batch, longest), with self.stride frames for a
        row: what WhisperFeatureExtractor gives clip by clip, for which it waits for a GPU.
        """
        length, step = self.extractor.n_fft, self.extractor.hop_length
        padded = [
            np.pad(at_least(unit(clip), rows * self.hop), length // 2, "reflect")
            for clip, rows in zip(clips, heard, strict=True)
        ]
        samples = sent(pad_sequence(list(map(torch.from_numpy, padded)), True), self.device)
        frames = torch.tensor(heard) * self.stride
        inside = torch.arange(max(heard) * self.stride) < frames[:, None]
        inside = sent(inside, self.device)
        window = torch.hann_window(length, device=self.device)
        filters = sent(torch.from_numpy(self.extractor.mel_filters.T).float(), self.device)
        # The power of a clip overflows float16.
        with torch.autocast(samples.device.type, enabled=False):
            waves = torch.stft(samples, length, step, None, window, False, return_complex=True)
            power = waves[..., : inside.shape[1]].abs().square()
            mel = (filters @ power).clamp(min=1e-10).log10()
            loudest = mel.masked_fill(~inside[:, None], -math.inf).amax((1, 2), keepdim=True)
            return (torch.maximum(mel, loudest - 8) + 4) / 4, inside
