"""openSMILE's eGeMAPS (v02), the set of descriptors that papers compare with."""

from pathlib import Path

import numpy as np
import torch

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import Encoder, Window, at_least, padded, settings, unit

FAMILY = {
    "encoder": "Egemaps",
    "title": "openSMILE's eGeMAPS",
    "modality": "speech",
    "model_types": ["labelmer-egemaps"],
    "builtins": {"egemaps": {"model_type": "labelmer-egemaps", "feature_set": "eGeMAPSv02"}},
    "options": {
        "level": {
            "description": "of eGeMAPS: its 88 functionals, one row for each utterance, or its 25 "
            "low-level descriptors, 100 frames per second",
            "enum": ["functionals", "low-level"],
            "default": "functionals",
            "example": "low-level",
        }
    },
    "network": False,
}
LEVELS = {"functionals": ("Functionals", 88), "low-level": ("LowLevelDescriptors", 25)}
FIELD, HOP = 960, 160  # samples of the longest frame, of pitch, and from one to the next


class Egemaps(Encoder):
    """An utterance through openSMILE. What is shorter than 60 ms is padded with zeros to them."""

    @classmethod
    def size(cls, folder: Path) -> tuple[None, int]:
        return None, 0  # the level says how wide a row is

    def __init__(self, folder: Path, layer: int | str | None, device: str, level: str) -> None:
        if layer not in (None, 0):
            raise InputError(
                f"{folder}: bad layer {layer}, expected 0: eGeMAPS has no layers; remove it"
            )
        if level not in LEVELS:
            raise InputError(
                f"{folder}: bad level {level!r}, expected one of {sorted(LEVELS)}; correct the "
                "encoder's `level`"
            )
        try:
            import opensmile
        except ModuleNotFoundError as error:
            raise InputError(
                f"builtin:egemaps needs the Python package '{error.name}', which is not installed; "
                "install the extra: pip install 'labelmer[opensmile]' (its licence is for "
                "non-commercial use)"
            ) from None
        name, self.width = LEVELS[level]
        self.layer, self.whole = 0, level == "functionals"
        self.smile = opensmile.Smile(
            opensmile.FeatureSet[settings(folder)["feature_set"]], opensmile.FeatureLevel[name]
        )
        self.rate_hz = None if self.whole else RATE / HOP
        self._place("cpu")

    def _windows(self, samples: np.ndarray) -> list[Window]:
        rows = 1 if self.whole else 2 + (max(len(samples), FIELD) - FIELD) // HOP
        return [Window(samples, rows, slice(None))]

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        clips = [at_least(unit(samples), FIELD) for samples in batch]
        found = [np.array(self.smile.process_signal(clip, RATE), np.float32) for clip in clips]
        return padded([torch.from_numpy(rows) for rows in found])[0]
