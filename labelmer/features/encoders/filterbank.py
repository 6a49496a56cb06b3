"""Log-mel filterbank frames, which need no weights."""

from pathlib import Path

import numpy as np
import torch

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import Encoder, Window, at_least, padded, settings, unit

FAMILY = {
    "encoder": "Filterbank",
    "title": "a filterbank",
    "modality": "speech",
    "model_types": ["labelmer-fbank"],
    "builtins": {
        "fbank": {
            "model_type": "labelmer-fbank",
            "num_mel_bins": 80,
            "frame_length_ms": 25,
            "frame_shift_ms": 10,
        }
    },
    "network": False,
}


class Filterbank(Encoder):
    """As Kaldi computes them, without dither, on the int16 scale."""

    @classmethod
    def size(cls, folder: Path) -> tuple[int, int]:
        return settings(folder)["num_mel_bins"], 0

    def __init__(self, folder: Path, layer: int | str | None, device: str) -> None:
        if layer not in (None, 0):
            raise InputError(
                f"{folder}: bad layer {layer}, expected 0: a filterbank has no layers; remove it"
            )
        self.config = settings(folder)
        self.layer = 0
        self.width = self.config["num_mel_bins"]
        self.field = _samples(self.config["frame_length_ms"])
        self.hop = _samples(self.config["frame_shift_ms"])
        self.rate_hz = RATE / self.hop
        self._place("cpu")

    def _windows(self, samples: np.ndarray) -> list[Window]:
        rows = 1 + (max(len(samples), self.field) - self.field) // self.hop
        return [Window(samples, rows, slice(None))]

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        from torchaudio.compliance import kaldi

        return padded(
            [
                kaldi.fbank(
                    torch.from_numpy(at_least(unit(samples), self.field))[None] * 32768,
                    num_mel_bins=self.width,
                    frame_length=self.config["frame_length_ms"],
                    frame_shift=self.config["frame_shift_ms"],
                    sample_frequency=RATE,
                    dither=0.0,
                )
                for samples in batch
            ]
        )[0]


def _samples(milliseconds: float) -> int:
    return round(RATE * milliseconds / 1000)
