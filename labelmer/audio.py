"""Audio files -> 16 kHz, mono, 16 bit: decode, cut, mix down, resample."""

import os
import re
from pathlib import Path

import numpy as np
import soundfile

from labelmer.errors import InputError
from labelmer.stage import log

RATE = 16_000  # Hz


def span(path, start_s=None, end_s=None):
    """What a cut takes of a file: (first frame, stop frame, rate in Hz, frames in the file).

    start_s and end_s are in seconds; None takes the whole file. A cut that reaches past the end
    of the file stops there.
    """
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: not readable as audio ({error})") from None
    # libsndfile takes a shortened WAV for a whole one and says so here only.
    short = re.search(r"^data : (\d+) \(should be (\d+)\)", info.extra_info, re.MULTILINE)
    if short:
        log.warning("%s: its header says %s bytes of audio, it holds %s", path, *short.groups())
    if start_s is None:
        return 0, info.frames, info.samplerate, info.frames
    first, stop = round(start_s * info.samplerate), round(end_s * info.samplerate)
    return min(first, info.frames), min(stop, info.frames), info.samplerate, info.frames


def resampled_length(frames, rate):
    """Samples at 16 kHz that `frames` at `rate` Hz become."""
    return -(-frames * RATE // rate)


def read(path, first, stop, rate):
    """Frames first:stop of a file as int16 mono at 16 kHz, shape (samples,).

    Channels are averaged. Files that are 16 kHz, mono and 16 bit already pass bit for bit.
    """
    try:
        samples, _ = soundfile.read(path, start=first, stop=stop, dtype="float64", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: damaged audio ({error})") from None
    if len(samples) != stop - first:
        raise InputError(
            f"{path}: {len(samples)} frames could be decoded, its header says {stop - first}; "
            "replace the file"
        )
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise InputError(f"{path}: samples that are not numbers (NaN or Inf); replace the file")
    if rate != RATE:
        mono = _resample(mono, rate)
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def relative(path, root):
    """A path as it stands below the corpus root, for tables and messages."""
    root = Path(root)
    return os.path.relpath(path, root if root.is_dir() else root.parent)


def _resample(mono, rate):
    # Imported here: most corpora are at 16 kHz already, and the import costs seconds.
    import torch
    import torchaudio

    resampled = torchaudio.functional.resample(torch.from_numpy(mono), rate, RATE).numpy()
    # torchaudio reckons the length in float32: in long clips it can be one sample off.
    length = resampled_length(len(mono), rate)
    return np.pad(resampled[:length], (0, max(0, length - len(resampled))))
