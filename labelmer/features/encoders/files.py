"""Features made elsewhere, which are only taken over: files:FOLDER."""

from pathlib import Path

import numpy as np
import torch

from labelmer.base.errors import InputError
from labelmer.features.encoders.base import Encoder, Window, padded, settings

FAMILY = {
    "encoder": "Files",
    "title": "features made elsewhere (files:)",
    "modality": "speech",
    "model_types": ["labelmer-files"],
    "source": "files",
    "options": {
        "rate_hz": {
            "description": "frames per second of features made elsewhere (`files:`); 0: one row "
            "for each utterance as a whole",
            "type": "number",
            "minimum": 0,
            "default": 0.0,
            "example": 50,
        }
    },
    "network": False,
}


class Files(Encoder):
    """Rows as they stand in the files: an item is an array (frames, width), of made.found()."""

    @classmethod
    def size(cls, folder: Path) -> tuple[int, int]:
        return settings(folder)["width"], 0

    def __init__(self, folder: Path, layer: int | str | None, device: str, rate_hz: float) -> None:
        if layer not in (None, 0):
            raise InputError(
                f"{folder}: bad layer {layer}, expected 0: of features made elsewhere there is "
                "one; remove it"
            )
        self.layer, self.width = 0, settings(folder)["width"]
        self.rate_hz = rate_hz or None
        self._place("cpu")

    def _windows(self, array: np.ndarray) -> list[Window]:
        return [Window(array, len(array), slice(None))]

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        return padded([torch.from_numpy(np.array(rows, np.float32)) for rows in batch])[0]
