"""What is implausible about decoded audio by its level: a mishap of a format or of a copy."""

import math
from typing import Any

import numpy as np

from labelmer.corpus.containers.stream import Finding


def measure(block: np.ndarray, mono: np.ndarray) -> dict[str, Any]:
    """What oddities() has to know of a block (frames, channels) and of its mean over channels."""
    low, high = block.min(axis=0), block.max(axis=0)
    peak = max(-low.min(), high.max())
    if peak > 1e9:  # no sound, and its square may overflow
        block, mono = np.clip(block, -1e9, 1e9), np.clip(mono, -1e9, 1e9)
    size = np.abs(block) if peak > 0.75 else np.zeros(1)
    # Only of what is loud: faint sound has few levels, and stays at its largest by itself.
    first = block[:, 0] if peak > 0.1 else np.zeros(1)
    flat = (first == first.max()) | (first == first.min())
    bits = np.clip(first * 32768, -32768, 32767).astype(np.int16)
    return {
        "count": len(block),
        "zeros": len(block) - np.count_nonzero(block.any(axis=1)),
        "low": low,
        "high": high,
        "loud": np.count_nonzero(size > 0.75) / block.shape[1],
        "full": np.count_nonzero(size >= 0.99) / block.shape[1],
        "beyond": np.count_nonzero(size > 1) / block.shape[1],
        "flat": np.count_nonzero(flat[2:] & flat[1:-1] & flat[:-2]),
        "rough": _roughness(bits),
        "smooth": _roughness(bits.byteswap()),
        "total": block.sum(axis=0),
        "power": np.array([channel @ channel for channel in block.T]),
        "mixed_total": mono.sum(),
        "mixed_power": mono @ mono,
    }


def _roughness(samples: np.ndarray) -> np.ndarray:
    """The power of the differences between neighbours, and of the samples: 2 to 1 in noise."""
    samples = samples - samples.mean(dtype=np.float32)
    steps = np.diff(samples)
    return np.array([steps @ steps, samples @ samples], np.float64)


def oddities(levels: list[dict[str, Any]]) -> list[Finding]:
    """What is implausible about decoded blocks: a list of (kind, sentence). Full scale is 1."""
    level: dict[str, Any] = {name: [block[name] for block in levels] for name in levels[0]}
    low, high = np.min(level.pop("low"), axis=0), np.max(level.pop("high"), axis=0)
    level = {name: np.sum(values, axis=0) for name, values in level.items()}
    peak, count = max(-low.min(), high.max()), level["count"]
    mean, mixed_mean = level["total"] / count, level["mixed_total"] / count
    deviation = np.sqrt(np.maximum(level["power"] / count - mean**2, 0))
    mixed = math.sqrt(max(level["mixed_power"] / count - mixed_mean**2, 0))
    if (low == high).all():
        kind = "digital silence" if peak == 0 else "one constant value"
        return [("no sound", f"nothing but {kind}; check the file and its times")]
    found = []
    share = {name: level[name] / count for name in ("zeros", "loud", "full", "beyond")}
    if share["zeros"] > 0.9:
        text = f"digital silence in {share['zeros']:.0%} of it; check the file and its times"
        found.append(("mostly silence", text))
    clipped = share["full"] > 0.05
    rough, smooth = (part[0] / max(part[1], 1) for part in (level["rough"], level["smooth"]))
    wrong = peak >= 16 or share["beyond"] > 0.05 or share["loud"] > 0.5
    if rough > 1 and smooth < rough / 2:
        text = "noise, and sound when the two bytes of each sample change places; write it anew"
        found.append(("wrong order of bytes", text))
    elif wrong or (deviation.max() > 0.5 and not clipped):
        found.append(
            (
                "beyond full scale",
                f"samples up to {peak:.4g}, where full scale is 1, {share['beyond']:.0%} beyond "
                f"it, {share['loud']:.0%} beyond 0.75; were integers written as float, signed as "
                "unsigned, or bytes in the wrong order? write it anew as it was recorded",
            )
        )
    elif clipped:
        text = f"clipped: {share['full']:.0%} of its samples lie at full scale; take the original"
        found.append(("clipped", text))
    elif level["flat"] > 0.01 * count:
        flat = level["flat"] / count
        text = (
            f"clipped: {flat:.0%} of its samples stay at its largest, {peak:.2g}; take the original"
        )
        found.append(("clipped", text))
    elif peak < 2**-8:
        found.append(
            (
                "faint",
                f"no sample above {peak:.2g} of full scale, so that 16 bit keep "
                f"{2 * peak * 32768:.0f} steps; were 24 bit written as 32? check the file's scale",
            )
        )
    if abs(mixed_mean) > max(mixed, 0.02):
        text = f"an offset of {mixed_mean:.3f}, more than its sound ({mixed:.3f}); remove it"
        found.append(("offset", text))
    # As nobody else is heard there, not even from afar.
    faint = max(2**-15, 2**-8 * deviation.max())
    silent = np.flatnonzero(deviation < faint) if deviation.max() > 2**-8 else np.zeros(0, int)
    if len(silent):
        text = (
            f"channel {silent[0] + 1} of {len(deviation)} is silent, and takes its share off the "
            "mean's level; keep the other alone, if that is not wanted"
        )
        found.append(("silent channel", text))
    # Unrelated channels would have this level together.
    if mixed < 0.5 * math.sqrt((deviation**2).sum()) / len(deviation):
        text = (
            f"its channels cancel: their mean has a level of {mixed:.2g}, the channels "
            f"{', '.join(f'{x:.2g}' for x in deviation)}; keep one, or turn one over"
        )
        found.append(("channels cancel", text))
    return found
