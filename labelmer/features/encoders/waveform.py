"""wav2vec 2.0 and its kin (HuBERT, WavLM, UniSpeech-SAT, data2vec), which read the samples."""

import math
from pathlib import Path

import numpy as np
import torch

from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import (
    ALL,
    ZeroPadding,
    at_least,
    cut,
    padded,
    sent,
    unit,
)
from labelmer.features.encoders.layered import Layered
from labelmer.features.encoders.snapshot import feature_extractor, network

FAMILY = {
    "encoder": "Waveform",
    "title": "wav2vec 2.0 and its kin (HuBERT, WavLM, UniSpeech-SAT, data2vec)",
    "modality": "speech",
    "model_types": ["wav2vec2", "hubert", "wavlm", "unispeech-sat", "data2vec-audio"],
    "options": {
        "window_s": {  # IEMOCAP's longest utterance takes 34
            "description": "seconds of speech that wav2vec 2.0 and its kin see at once; what is "
            "longer goes in windows that overlap by a fifth",
            "type": "number",
            "minimum": 1,
            "default": 60.0,
            "example": 20,
        }
    },
}


class Waveform(Layered):
    """Convolutions, then a transformer.

    What is longer than window_s goes through in windows of that length. Whether a checkpoint asks
    for an attention mask makes no difference: padding is masked everywhere.
    """

    def __init__(self, folder: Path, layer: int | str | None, device: str, window_s: float) -> None:
        self.normalise = feature_extractor(folder).do_normalize
        self.model = network(folder)
        config, encoder = self.model.config, self.model.encoder
        self.width, self.depth = config.hidden_size, config.num_hidden_layers
        self.layer = cut(encoder, "layers", layer, folder)
        # The "stable" variants end in a layer norm; the others have one before the first layer.
        stable = getattr(config, "do_stable_layer_norm", False)
        if self.layer not in (ALL, self.depth) and stable:
            encoder.layer_norm = torch.nn.Identity()
        self._note_entries(encoder.layers)
        self.front_end = [self.model.feature_extractor]
        self.norm = _norm_of_each(self.model.feature_extractor.conv_layers[0])
        self.padding = ZeroPadding(encoder.pos_conv_embed)
        self.convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.field = 1
        for kernel, stride in reversed(self.convolutions):
            self.field = (self.field - 1) * stride + kernel
        self.hop = math.prod(config.conv_stride)
        self.rate_hz = RATE / self.hop
        self.longest = self._rows(round(window_s * RATE))
        self._place(device, self.model)
        # A CPU's cache holds the convolutions of one utterance; a GPU waits for its commands.
        self.one_by_one = self.on == "cpu"

    def _rows(self, samples: int) -> int:
        rows = max(samples, self.field)
        for kernel, stride in self.convolutions:
            rows = (rows - kernel) // stride + 1
        return rows

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        self.entered.clear()  # an attempt for which memory ran out may have left something
        groups = [[samples] for samples in batch] if self.one_by_one else [batch]
        extracted = [rows for group in groups for rows in self._convolved(group)]
        hidden, mask = padded(extracted, [self._rows(len(samples)) for samples in batch])
        projected = self.model.feature_projection(hidden)
        hidden = projected[0] if isinstance(projected, tuple) else projected  # HuBERT: no tuple
        self.padding.mask = mask
        last = self.model.encoder(hidden, attention_mask=mask)[0]
        return self._states(last)

    def _convolved(self, batch: list[np.ndarray]) -> torch.Tensor:
        """Utterances through the convolutions: (batch, longest, channels)."""
        clips = [torch.from_numpy(at_least(unit(samples), self.field)) for samples in batch]
        samples, inside = (sent(part, self.device) for part in padded(clips))
        counts = inside.sum(1, keepdim=True)
        if self.normalise:
            samples = _normalised(samples, inside, counts)
        if self.norm is not None:
            kernel, stride = self.convolutions[0]
            self.norm.frames = (counts - kernel) // stride + 1
        return self.model.feature_extractor(samples).transpose(1, 2)


class _GroupNorm(torch.nn.GroupNorm):
    """Group norm with a group per channel, of each item over its own frames.

    frames: (batch, 1), how many each item has; set before it runs.
    """

    frames: torch.Tensor

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:  # (batch, channels, longest)
        if len(hidden) == 1:
            return super().forward(hidden)
        inside = torch.arange(hidden.shape[2], device=hidden.device) < self.frames[:, None]
        frames = self.frames[:, None]
        mean = (hidden * inside).sum(2, keepdim=True, dtype=torch.float32) / frames
        centred = (hidden - mean) * inside
        variance = centred.square().sum(2, keepdim=True) / frames
        scaled = centred * torch.rsqrt(variance + self.eps) * self.weight[:, None]
        return (scaled + self.bias[:, None]).to(hidden.dtype)


def _norm_of_each(convolution: torch.nn.Module) -> _GroupNorm | None:
    """Make the group norm of a first convolution one of each item; None if it has no such norm."""
    norm = getattr(convolution, "layer_norm", None)
    if not isinstance(norm, torch.nn.GroupNorm):
        return None
    own = _GroupNorm(norm.num_groups, norm.num_channels, norm.eps)
    own.weight, own.bias = norm.weight, norm.bias
    convolution.layer_norm = own
    return own


def _normalised(samples: torch.Tensor, inside: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Utterances (batch, longest) with zero mean and unit variance, as Wav2Vec2FeatureExtractor."""
    centred = (samples - samples.sum(1, keepdim=True) / counts) * inside
    return centred * torch.rsqrt(centred.square().sum(1, keepdim=True) / counts + 1e-7)
