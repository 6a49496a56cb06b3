"""Speech recognition by Whisper: samples in, words out, and why there are none.

Radford et al., "Robust speech recognition via large-scale weak supervision" (2023). Clips that are
longer than the 30 s of a window are cut where they are quietest, and each window is recognised by
itself: neither the words before it nor its neighbours in the batch have a say.

Like every model of its kind Whisper invents words where there are none. So a window has none

- whose samples are all alike ("silence"): the network does not run;
- in which the probability that nobody speaks, that of the token `<|nospeech|>` as the first one, is
  above `no_speech` ("no speech");
- whose text compresses by more than `repetition` ("repetition"): it goes round in circles;
- whose text has neither letters nor digits ("no words").

Probability and compression are those of Whisper's own code (whisper/transcribe.py), and so are the
defaults, 0.6 and 2.4. Two things there are left out: a high probability of the words does not make
up for a low one of speech, as silence is "you" with 0.4 a token; and repeated words are not
drawn by chance once more, as equal audio shall give equal words.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labelmer.base.errors import InputError, lacks_memory
from labelmer.base.log import log
from labelmer.features.checkpoint import spoken
from labelmer.features.encoders.base import kind, unit
from labelmer.features.encoders.snapshot import feature_extractor, network, tokenizer_of
from labelmer.features.transcribing import TranscriberOptions

WINDOWS = {"cpu": 8, "cuda": 32}  # of a batch, without beams
QUIET = 0.2  # seconds over which is listened for the quietest place
HOP = 0.02  # seconds between two such places
# Tokens that a window may have, so that one that goes round in circles holds its batch no longer
# than its sound lasts. Whisper's own code allows 224 in 30 s: this is four times as many, and some
# for the shortest windows.
TOKENS_PER_SECOND, TOKENS_ANYWAY = 30, 16


@dataclass(frozen=True)
class Recognised:
    """What was recognised in a clip."""

    text: str  # the words that count
    heard: str  # all that was recognised, before the thresholds judged
    reason: str  # why there are no words, or none in some of its windows; else ""
    no_speech: float | None  # the greatest of its windows; None where the network did not run
    compression: float | None  # the same
    windows: int


class Recogniser:
    """A Whisper checkpoint that a folder holds.

    language    code of what is spoken, of a multilingual checkpoint; None of an English one
    beam        hypotheses that are followed at once
    no_speech, repetition  thresholds, see above

    It computes in float32, on a GPU as well. InputError: not a whole Whisper checkpoint, a language
    that it does not know, or does not ask for.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        language: str | None = None,
        beam: int = TranscriberOptions.beam,
        no_speech: float = TranscriberOptions.no_speech,
        repetition: float = TranscriberOptions.repetition,
    ) -> None:
        self.device, self.beam = device, beam
        self.no_speech, self.repetition = no_speech, repetition
        self.spoken = spoken(folder, language)
        self.model = whole(folder).to(device)
        self.tokenizer = tokenizer_of(folder)
        self.extractor = feature_extractor(folder, self.model.config.num_mel_bins)
        self.rate = self.extractor.sampling_rate
        self.longest = self.extractor.n_samples  # of a window
        self.at_once = max(1, WINDOWS[kind(device)] // beam)

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices of clips in batches of similar length, the longest first.

        lengths: samples of each. A batch's windows fit the network, unless one clip alone has more.
        """
        batches: list[list[int]] = []
        room = 0
        for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            # Cut at the quietest places, windows are half as long at least.
            windows = max(1, -(-lengths[i] // (self.longest // 2)) - 1)
            if windows > room:
                batches.append([])
                room = self.at_once
            batches[-1].append(i)
            room -= windows
        return batches

    def recognise(self, clips: Sequence[np.ndarray]) -> list[Recognised]:
        """What is said in each clip, of int16 samples or of float32 in [-1, 1) at 16 kHz."""
        cut = [self.windows(unit(clip)) for clip in clips]
        flat = [window for windows in cut for window in windows]
        sounding = [i for i, window in enumerate(flat) if len(window) and np.ptp(window) > 0]
        waiting = [
            sounding[start : start + self.at_once]
            for start in range(0, len(sounding), self.at_once)
        ][::-1]
        found: dict[int, Recognised] = {}
        while waiting:
            batch = waiting.pop()
            said = self._attempt([flat[i] for i in batch])
            if said is None:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
            else:
                found |= dict(zip(batch, said, strict=True))
        silence = Recognised("", "", "silence", None, None, 1)
        rest = iter(found.get(i, silence) for i in range(len(flat)))
        return [_joined([next(rest) for _ in windows]) for windows in cut]

    def windows(self, clip: np.ndarray) -> list[np.ndarray]:
        """A clip in windows, cut at the quietest place in the second half of each."""
        hop, reach = int(HOP * self.rate), int(QUIET / HOP)
        windows = []
        while len(clip) > self.longest:
            half = self.longest // 2
            blocks = clip[half : self.longest]
            blocks = blocks[: len(blocks) // hop * hop].reshape(-1, hop)
            energy = np.convolve((blocks**2).sum(1), np.ones(reach), "valid")
            place = len(energy) - 1 - int(energy[::-1].argmin())  # the last of equal ones
            end = half + (place * 2 + reach) * hop // 2
            windows.append(clip[:end])
            clip = clip[end:]
        return [*windows, clip]

    def _attempt(self, windows: list[np.ndarray]) -> list[Recognised] | None:
        """What is said in the windows of a batch, or None if memory ran out."""
        try:
            return self._run(windows)
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
        if len(windows) == 1:
            raise InputError(
                "memory ran out on one window of speech; use a machine with more, a smaller "
                "checkpoint, or a smaller transcriber: beam"
            )
        if kind(self.device) != "cpu":
            torch.cuda.empty_cache()
        self.at_once = len(windows) // 2
        log.warning("memory ran out on %d windows; from now on %d", len(windows), self.at_once)
        return None

    @torch.inference_mode()
    def _run(self, windows: list[np.ndarray]) -> list[Recognised]:
        from transformers import LogitsProcessorList

        given = {"sampling_rate": self.rate, "return_tensors": "pt", "device": self.device}
        mel = self.extractor(windows, **given).input_features.to(self.device)
        heard = self.model.get_encoder()(mel)
        config = self.model.generation_config
        start = torch.full((len(mel), 1), config.decoder_start_token_id, device=self.device)
        first = self.model(encoder_outputs=heard, decoder_input_ids=start).logits[:, 0]
        nobody = first.softmax(-1)[:, config.no_timestamps_token_id - 1].tolist()
        tokens = self.model.generate(
            encoder_outputs=heard,
            num_beams=self.beam,
            do_sample=False,
            logits_processor=LogitsProcessorList([self._ending(windows)]),
            force_unique_generate_call=True,  # a window is done, whatever it says of times
            **self.spoken,
        )
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [self._judged(text, p) for text, p in zip(texts, nobody, strict=True)]

    def _ending(self, windows: list[np.ndarray]) -> Callable[[Tensor, Tensor], Tensor]:
        """What ends each window of a batch by its own length: its neighbours have no say."""
        most = [len(w) / self.rate * TOKENS_PER_SECOND + TOKENS_ANYWAY for w in windows]
        limits = torch.tensor(most, device=self.device).repeat_interleave(self.beam)
        end = self.model.generation_config.eos_token_id

        def ending(tokens: Tensor, scores: Tensor) -> Tensor:
            done = limits <= tokens.shape[1]
            scores = scores.masked_fill(done[:, None], -torch.inf)
            scores[done, end] = 0
            return scores

        return ending

    def _judged(self, text: str, nobody: float) -> Recognised:
        """A window's text, or why it has none. nobody: the probability that nobody speaks."""
        text, no_speech = " ".join(text.split()), round(nobody, 4)
        data = text.encode()
        compression = round(len(data) / len(zlib.compress(data)), 3)
        reason = ""
        if no_speech > self.no_speech:
            reason = "no speech"
        elif compression > self.repetition:
            reason = "repetition"
        elif not any(character.isalnum() for character in text):
            reason = "no words"
        return Recognised("" if reason else text, text, reason, no_speech, compression, 1)


def whole(folder: Path) -> Any:
    """The network of a Whisper checkpoint, decoder included, in float32, ready for inference."""
    from transformers import GenerationConfig, WhisperForConditionalGeneration

    inner = network(folder, attn_implementation="sdpa")
    with torch.device("meta"):  # its own weights are thrown away
        model = WhisperForConditionalGeneration(inner.config)
    # The output layer of every Whisper is its embedding of the tokens.
    model.model, model.proj_out.weight = inner, inner.get_decoder().embed_tokens.weight
    model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model.eval()


def _joined(windows: list[Recognised]) -> Recognised:
    """What was recognised in all windows of a clip."""

    def greatest(values: list[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    return Recognised(
        " ".join(window.text for window in windows if window.text),
        " ".join(window.heard for window in windows if window.heard),
        ", ".join(sorted({window.reason for window in windows if window.reason})),
        greatest([window.no_speech for window in windows]),
        greatest([window.compression for window in windows]),
        len(windows),
    )
