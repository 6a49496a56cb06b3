"""wav2vec2-BERT (w2v-BERT 2.0), a conformer that reads log-mel frames in pairs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from labelmer.base.errors import InputError
from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import (
    at_least,
    cut,
    explained,
    padded,
    sent,
    unit,
)
from labelmer.features.encoders.layered import Layered
from labelmer.features.encoders.snapshot import network

if TYPE_CHECKING:
    from transformers import SeamlessM4TFeatureExtractor

FAMILY = {
    "encoder": "Wav2Vec2Bert",
    "title": "wav2vec2-BERT",
    "modality": "speech",
    "model_types": ["wav2vec2-bert"],
    "options": {
        "window_s": {
            "description": "seconds of speech that wav2vec 2.0 and its kin see at once; what is "
            "longer goes in windows that overlap by a fifth",
            "type": "number",
            "minimum": 1,
            "default": 60.0,
            "example": 20,
        }
    },
}
LENGTH, SHIFT, POINTS = 400, 160, 512  # samples of a frame, from one to the next, of its FFT
EMPHASIS = 0.97
FLOOR = 2.0**-23  # of a band's energy


class Wav2Vec2Bert(Layered):
    """Log-mel frames as Kaldi computes them, each band normalised over an utterance, two to a row.

    A frame that is left over counts in the normalisation and has no row, as transformers has it.
    What is longer than window_s goes through in windows of that length.
    """

    def __init__(self, folder: Path, layer: int | str | None, device: str, window_s: float) -> None:
        self.model = network(folder)
        config = self.model.config
        extractor = _extractor(folder, config.feature_projection_input_dim)
        self.filters = torch.from_numpy(extractor.mel_filters).float()
        self.taper = torch.from_numpy(extractor.window).float()
        self.stride = extractor.stride
        self.hop, self.field = self.stride * SHIFT, LENGTH + (self.stride - 1) * SHIFT
        self.width, self.depth = config.hidden_size, config.num_hidden_layers
        self.layer = cut(self.model.encoder, "layers", layer, folder)
        self._note_entries(self.model.encoder.layers)
        self.rate_hz = RATE / self.hop
        self.longest = self._rows(round(window_s * RATE))
        self._place(device, self.model)

    def _rows(self, samples: int) -> int:
        return (1 + (max(samples, self.field) - LENGTH) // SHIFT) // self.stride

    def _run(self, batch: list[np.ndarray]) -> torch.Tensor:
        self.entered.clear()  # an attempt for which memory ran out may have left something
        frames = self._log_mel(batch)
        rows = [self._rows(len(samples)) for samples in batch]
        paired = frames[:, : max(rows) * self.stride].reshape(len(batch), max(rows), -1)
        mask = sent(torch.arange(max(rows)) < torch.tensor(rows)[:, None], self.device)
        hidden, _ = self.model.feature_projection(paired)
        # float32: where positions are kept from batch to batch, they are so in the type of this.
        last = self.model.encoder(hidden.float(), attention_mask=mask)[0]
        return self._states(last)

    def _log_mel(self, batch: list[np.ndarray]) -> torch.Tensor:
        """Normalised log-mel frames (batch, longest, bands) of utterances, zeros behind their ends.

        What SeamlessM4TFeatureExtractor gives utterance by utterance, for which it waits for a GPU.
        """
        clips = [torch.from_numpy(at_least(unit(samples), self.field)) for samples in batch]
        frames_of = [1 + (len(clip) - LENGTH) // SHIFT for clip in clips]
        counts = torch.tensor(frames_of)
        samples = sent(padded(clips)[0], self.device)
        inside = sent(torch.arange(max(frames_of)) < counts[:, None], self.device)[..., None]
        counts = sent(counts, self.device)[:, None, None]
        filters, taper = (sent(part, self.device) for part in (self.filters, self.taper))
        # The power of a clip overflows float16.
        with torch.autocast(samples.device.type, enabled=False):
            frames = samples.unfold(1, LENGTH, SHIFT) * 2**15
            frames = frames - frames.mean(2, keepdim=True)
            before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
            power = torch.fft.rfft((frames - EMPHASIS * before) * taper, POINTS).abs().square()
            mel = (power @ filters).clamp(min=FLOOR).log()
            centred = (mel - (mel * inside).sum(1, keepdim=True) / counts) * inside
            variance = centred.square().sum(1, keepdim=True) / (counts - 1)
            return centred * torch.rsqrt(variance + 1e-7)


def _extractor(folder: Path, width: int) -> "SeamlessM4TFeatureExtractor":
    """How the snapshot wants its audio; InputError if it does not give rows of this width."""
    from transformers import SeamlessM4TFeatureExtractor

    advice = "take preprocessor_config.json from the checkpoint that this one was made from"
    with explained(f"{folder}: no readable preprocessor_config.json", advice):
        extractor = SeamlessM4TFeatureExtractor.from_pretrained(folder, local_files_only=True)
    found = extractor.num_mel_bins * extractor.stride
    if (extractor.sampling_rate, found) != (RATE, width):
        raise InputError(
            f"{folder}: preprocessor_config.json gives rows of {found} numbers at "
            f"{extractor.sampling_rate} Hz, expected {width} at {RATE} Hz; {advice}"
        )
    return extractor
