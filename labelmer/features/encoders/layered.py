"""What speech encoders share whose network is a stack of layers over frames of the samples."""

import numpy as np
import torch

from labelmer.features.encoders.base import ALL, Encoder, Window, spans


class Layered(Encoder):
    """Speech in windows of frames, and what enters each of a stack's layers.

    hop      samples from one frame to the next
    field    samples that a frame sees
    longest  frames of a window
    """

    hop: int
    field: int
    longest: int

    def _note_entries(self, layers: torch.nn.ModuleList) -> None:
        """Keep what enters each of the layers, where all are wanted."""
        self.entered: list[torch.Tensor] = []
        if self.layer == ALL:
            for block in layers:
                block.register_forward_pre_hook(lambda _, given: self.entered.append(given[0]))

    def _states(self, last: torch.Tensor) -> torch.Tensor:
        """The hidden states of a batch, of which `last` left the last layer."""
        states, self.entered[:] = [*self.entered, last], []  # nothing of a batch shall outlive it
        return torch.stack(states, dim=2) if self.layer == ALL else last

    def _rows(self, samples: int) -> int:
        """Frames of so many samples."""
        raise NotImplementedError

    def _windows(self, samples: np.ndarray) -> list[Window]:
        stretches = spans(self._rows(len(samples)), self.longest)
        if len(stretches) == 1:
            return [Window(samples, stretches[0][1], slice(None))]
        return [
            Window(samples[a * self.hop : (b - 1) * self.hop + self.field], b - a, keep)
            for a, b, keep in stretches
        ]
