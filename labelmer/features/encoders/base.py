"""What all encoders share: batches that never change a feature, windows, padding, precision."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from labelmer.base.errors import InputError, lacks_memory
from labelmer.base.log import log
from labelmer.features.encoders.onednn import through_onednn

ALL = "all"  # as a layer: every one of them
# Padded rows of a batch. Half a minute of speech fills a CPU; a GPU wants ten.
ROWS_PER_BATCH = {"cpu": 1500, "cuda": 30000}
GPU_MEMORY_PER_ROW = 2**20  # bytes, of which the first convolution takes most


def batches_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of items in batches of similar length, the longest first.

    A batch's padded total (items x longest) stays within `budget`, unless one item alone is over.
    """
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


@dataclass(frozen=True)
class Window:
    """A part of an item that the network takes in one go."""

    content: object  # samples or token ids
    rows: int  # rows that the network gives for it
    keep: slice  # those that stand in the item's result


class Encoder:
    """What every encoder answers. A family's class has its own __init__, _windows and _run."""

    family: Any  # the Family that it is of, whose module is no part of an encoder's code, and
    options: dict[str, Any]  # of it what it runs with, by name: load() sets both
    width: int  # numbers per row, and per layer where all are kept
    depth: int  # layers of the whole network
    layer: int | str  # index of the hidden states, from 0, or "all"
    rate_hz: float | None = None  # frames per second; None for text
    model: Any = None  # the whole network; None for the filterbank
    front_end: Sequence[torch.nn.Module] = ()  # below the transformer; may be left as it is
    tokenizer: Any = None  # of a text encoder, and
    unknown: str | None = None  # its token for what the vocabulary does not have
    places_known = False  # does the tokenizer itself say where its tokens stand?
    mixed = True  # can it run in mixed precision on a GPU?
    on_cpu = "float32"  # precision that is wanted on a CPU, or "bfloat16"
    device: str  # where it runs: _place() sets it and the next two
    budget: int  # padded rows of a batch; halved, with a line in the log, when memory runs out
    repeated: int  # items that ran more than once for that reason

    def __init__(self, folder: Path, layer: int | str | None, device: str, **options: Any) -> None:
        """Read a snapshot, and end with _place(). options: all that the family has."""
        raise NotImplementedError

    def _windows(self, item: Any) -> list[Window]:
        """The windows of an item, of samples or of a text."""
        raise NotImplementedError

    def _run(self, batch: list[Any]) -> torch.Tensor:
        """The network's rows (batch, longest, *row) for the contents of windows."""
        raise NotImplementedError

    @classmethod
    def size(cls, folder: Path) -> tuple[int | None, int]:
        """Width and number of layers of a snapshot, by its config.json.

        The width is None where an option, which no snapshot knows, says it.
        """
        from transformers import AutoConfig

        with explained(f"{folder}: config.json cannot be used", "correct it"):
            config = AutoConfig.from_pretrained(folder, local_files_only=True)
            return int(config.hidden_size), int(config.num_hidden_layers)

    def ask_for(self, precision: str) -> None:
        """Run in this precision on a CPU, with a warning where it has no instructions for it."""
        self.on_cpu = precision
        there = torch.cpu.get_capabilities()
        quick = there.get("avx512_bf16") or there.get("amx_bf16") or there.get("bf16")
        if self.precision == "bfloat16" and not quick:
            log.warning(
                "precision: bfloat16 on a processor that has neither AMX nor AVX512-BF16: it is "
                "rounded and no quicker; take the encoder's precision out, or use another machine"
            )

    @property
    def modality(self) -> str:
        """What goes in: "speech" or "text"."""
        return self.family.modality

    @property
    def on(self) -> str:
        """Where it runs, "cpu" or "cuda"."""
        return kind(self.device)

    @property
    def row(self) -> tuple[int, ...]:
        """Shape of a row: (width,), or (layers, width) where all are kept."""
        return (self.depth + 1, self.width) if self.layer == ALL else (self.width,)

    @property
    def precision(self) -> str:
        """In which it runs: "float16" where it can on a GPU, on_cpu on a CPU, else "float32"."""
        if self.on == "cpu":
            return self.on_cpu
        return "float16" if self.mixed else "float32"

    def lengths(self, inputs: Sequence[Any]) -> list[int]:
        """Rows that each item will have; the network does not run."""
        return [
            sum(len(range(window.rows)[window.keep]) for window in self._windows(item))
            for item in inputs
        ]

    def marks(self, inputs: Sequence[Any]) -> list[list[str]] | None:
        """Per item the strings of its rows (tokens); None for speech."""
        return None

    def token_spans(self, inputs: Sequence[Any]) -> list[np.ndarray] | None:
        """Per item the characters [start, end) of its text that its rows cover, an int array
        (rows, 2); None for speech."""
        return None

    def encode(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        """Features of each item: a list of float32 arrays (rows, *row)."""
        return self.begin(inputs)()

    @torch.inference_mode()
    def begin(
        self, inputs: Sequence[Any], dtype: str = "float32", exact: bool = False
    ) -> Callable[[], list[np.ndarray]]:
        """Start to encode; returns a function that waits for the arrays of encode(), of `dtype`.

        A GPU is still at work when this returns, so that what went before can be written.
        exact: float32 throughout, on a GPU too, and without TF32, which has 10 bits of 23.
        """
        half = self.precision != "float32" and not exact
        # What the modules must know of a batch is kept in them while it goes through.
        with (
            self.lock,
            torch.autocast(self.on, getattr(torch, self.precision) if half else None, half),
            _ieee() if exact else nullcontext(),
        ):
            flat, lengths = self._encoded(inputs, getattr(torch, dtype))
        ends = np.cumsum(lengths)
        if self.on == "cpu":
            return lambda: np.split(flat.numpy(), ends[:-1])
        host = torch.empty_like(flat, device="cpu", pin_memory=True)
        host.copy_(flat, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record(torch.cuda.current_stream(self.device))

        def wait() -> list[np.ndarray]:
            copied.synchronize()
            return np.split(host.numpy(), ends[:-1])

        return wait

    def states(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """Features of each item as tensors (rows, *row) on the device, for a gradient too."""
        flat, lengths = self._encoded(inputs)
        return list(flat.split(lengths))

    def _encoded(
        self, inputs: Sequence[Any], dtype: torch.dtype = torch.float32
    ) -> tuple[torch.Tensor, list[int]]:
        """Features of all items in one tensor (all rows, *row), and the rows of each item."""
        items = [self._windows(item) for item in inputs]
        windows = [window for item in items for window in item]
        owners = [number for number, item in enumerate(items) for _ in item]
        again: set[int] = set()  # the items that ran more than once
        parts: list[Any] = [None] * len(windows)
        waiting = batches_by_length([window.rows for window in windows], self.budget)[::-1]
        while waiting:
            batch = waiting.pop()
            hidden = self._attempt([windows[i].content for i in batch])  # (batch, longest, *row)
            if hidden is None:
                waiting += self._halved(batch, windows)
                again |= {owners[i] for i in batch}
                continue
            hidden = hidden.to(dtype)
            for i, rows in zip(batch, hidden, strict=True):
                parts[i] = rows[: windows[i].rows][windows[i].keep]
        self.repeated += len(again)
        ends = np.cumsum([0, *map(len, items)])
        lengths = [sum(map(len, parts[a:b])) for a, b in itertools.pairwise(ends)]
        with torch.autocast(self.on, enabled=False):  # a CPU's refuses to join float16
            return torch.cat(parts), lengths

    def _attempt(self, contents: list[Any]) -> torch.Tensor | None:
        """The network's output, or None if memory ran out."""
        try:
            return self._run(contents)
        except (RuntimeError, MemoryError) as error:
            # A gradient keeps what all batches computed: smaller ones would not save memory.
            if torch.is_grad_enabled() or not lacks_memory(error):
                raise
        if self.on != "cpu":
            torch.cuda.empty_cache()
        return None

    def _halved(self, batch: list[int], windows: list[Window]) -> list[list[int]]:
        """A batch that was too large, in two, and all later ones half as large."""
        rows = len(batch) * max(windows[i].rows for i in batch)
        if len(batch) == 1:
            raise InputError(
                f"memory ran out on one utterance of {rows} rows; use a machine with more, or give "
                "the encoder a shorter window_s if it takes one"
            )
        self.budget = rows // 2
        log.warning("memory ran out on a batch of %d rows; from now on %d", rows, self.budget)
        middle = len(batch) // 2
        return [batch[middle:], batch[:middle]]

    def _place(self, device: str, network: torch.nn.Module | None = None) -> None:
        """Move the network to the device, and take batches that fit it."""
        self.device, self.lock, self.repeated = device, threading.Lock(), 0
        self.budget = ROWS_PER_BATCH[self.on]
        if self.on == "cuda":
            # All of it, not what is free: a run that goes on must find the batches it began with.
            memory = torch.cuda.get_device_properties(device).total_memory
            self.budget = min(self.budget, memory // GPU_MEMORY_PER_ROW)
            self.budget = max(1, self.budget // (self.depth + 1 if self.layer == ALL else 1))
        if network is not None:
            network.to(device)
        if network is not None and self.on == "cpu":
            through_onednn(network)


@contextmanager
def explained(what: str, advice: str) -> Iterator[None]:
    """Whatever a library raises on files that are not as they should be, as an InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # transformers, safetensors and pickle have no common class
        if lacks_memory(error):
            raise
        said, _, more = str(error).strip().partition("\n")
        if said.endswith(":"):
            said += " " + more.strip().partition("\n")[0]
        raise InputError(f"{what} ({type(error).__name__}: {said}); {advice}") from None


class ZeroPadding:
    """Zeros what is padding before every convolution within some modules, as at an item's end.

    mask: (batch, longest), True inside an item; set before the modules run.
    """

    mask: torch.Tensor

    def __init__(self, *modules: torch.nn.Module) -> None:
        for module in modules:
            for part in module.modules():
                if isinstance(part, torch.nn.Conv1d):
                    part.register_forward_pre_hook(self._zeroed)

    def _zeroed(self, _: object, given: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return given[0] * self.mask[:, None]  # (batch, channels, longest)


def spans(rows: int, longest: int) -> list[tuple[int, int, slice]]:
    """Stretches (start, stop, keep) of up to `longest` rows that together cover all rows.

    Neighbours share a fifth of `longest`; `keep` is a stretch's rows without its halves of that.
    """
    half = longest // 10
    starts = range(0, max(rows - 2 * half, 1), longest - 2 * half)
    return [
        (
            start,
            min(start + longest, rows),
            slice(half if start else 0, longest - half if start != starts[-1] else longest),
        )
        for start in starts
    ]


def kind(device: torch.device | str) -> str:
    """The type, "cpu" or "cuda", of a device such as "cuda:1"."""
    return torch.device(device).type


@contextmanager
def _ieee() -> Iterator[None]:
    """Convolutions and matrix products of float32 as IEEE has it, not in a GPU's TF32."""
    settings = torch.backends.cudnn, torch.backends.cuda.matmul
    given = [setting.allow_tf32 for setting in settings]
    try:
        for setting in settings:
            setting.allow_tf32 = False
        yield
    finally:
        for setting, value in zip(settings, given, strict=True):
            setting.allow_tf32 = value


def sent(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """A CPU's tensor on a device, without waiting for what the device still has to do."""
    return tensor if kind(device) == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def padded(
    items: list[torch.Tensor], lengths: Sequence[int] | None = None, value: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Items (rows, ...) as one batch (batch, longest, ...) and its mask (batch, longest).

    lengths: rows of each item that count; all of them, if not given.
    """
    batch = pad_sequence(items, batch_first=True, padding_value=value)
    counts = sent(torch.tensor(lengths or [len(item) for item in items]), batch.device)
    return batch, torch.arange(batch.shape[1], device=batch.device) < counts[:, None]


def cut(
    stack: torch.nn.Module, name: str, layer: int | str | None, folder: Path, least: int = 0
) -> int | str:
    """Drop the layers above `layer` from stack.<name>, `least` remain; return its index from 0."""
    if layer == ALL:
        return ALL
    layers = getattr(stack, name)
    count = len(layers)
    if not isinstance(layer, int) or not -(count + 1) <= layer <= count:
        raise InputError(
            f"{folder}: bad layer {layer}, expected a whole number from {-(count + 1)} to {count}, "
            "or all; correct the encoder's `layer`"
        )
    index = layer % (count + 1)
    setattr(stack, name, layers[: max(index, least)])
    return index


def settings(folder: Path | str) -> dict[str, Any]:
    """A snapshot's config.json, as a dict."""
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))


def unit(samples: np.ndarray) -> np.ndarray:
    """Samples as float32 in [-1, 1): int16 is scaled, float32 is taken as it is."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768
    return np.array(samples, np.float32)


def at_least(samples: np.ndarray, count: int) -> np.ndarray:
    """Samples, padded with zeros to at least `count`."""
    return np.pad(samples, (0, max(0, count - len(samples))))
