"""BERT and its kin, down to ModernBERT: tokens, special ones included."""

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from labelmer.base.errors import InputError
from labelmer.features.encoders.base import (
    ALL,
    Encoder,
    Window,
    cut,
    explained,
    padded,
    sent,
    spans,
)
from labelmer.features.encoders.snapshot import TOKENIZER, network, tokenizer_of

FAMILY = {
    "encoder": "Text",
    "title": "the BERT family",
    "modality": "text",
    "model_types": [
        "bert",
        "roberta",
        "xlm-roberta",
        "deberta",
        "deberta-v2",
        "mpnet",
        "distilbert",
        "modernbert",
    ],
}
LAYERS = {"distilbert": "transformer.layer", "modernbert": "layers"}  # else encoder.layer


class Text(Encoder):
    """Tokens of a text; one that is longer than the model can take goes through in windows.

    Empty text gives the special tokens alone ([CLS], [SEP]); what is written like a special token
    in a text ("[MASK]", "<s>") is words like others, and is split into smaller tokens.
    """

    def __init__(self, folder: Path, layer: int | str | None, device: str) -> None:
        self.tokenizer = tokenizer_of(folder)
        self.model = network(folder)
        config = self.model.config
        self.width, self.depth = config.hidden_size, config.num_hidden_layers
        self.mixed = config.model_type != "deberta"  # it masks with what float16 cannot hold
        stack, _, name = LAYERS.get(config.model_type, "encoder.layer").rpartition(".")
        # DeBERTa cannot run on no layers at all, so one stays even for layer 0.
        self.layer = cut(self.model.get_submodule(stack), name, layer, folder, least=1)
        if config.model_type == "modernbert" and self.layer not in (ALL, self.depth):
            self.model.final_norm = torch.nn.Identity()
        self._place(device, self.model)
        unknown = self.tokenizer.unk_token_id
        self.unknown = self.tokenizer.unk_token
        self.special = set(self.tokenizer.all_special_ids) - {unknown}
        # Asked for its length, its marks and its features, a text is tokenised once.
        self._content = functools.cache(self._cut)
        self.places_known = self.tokenizer.is_fast
        self.before, self.after = self._around(folder)
        self._check_vocabulary(folder, [*self.before, *self.after, self.tokenizer.pad_token_id])
        # RoBERTa and MPNet number their positions from after the padding's index.
        numbered = config.model_type in ("roberta", "xlm-roberta", "mpnet")
        taken = config.pad_token_id + 1 if numbered else 0
        longest = min(config.max_position_embeddings - taken, self.tokenizer.model_max_length)
        self.room = longest - len(self.before) - len(self.after)
        if self.room < 1:
            raise InputError(
                f"{folder}: the model takes {longest} tokens, expected more than its "
                f"{len(self.before) + len(self.after)} special ones; correct model_max_length in "
                "tokenizer_config.json"
            )

    def _around(self, folder: Path) -> tuple[list[int], list[int]]:
        """The special tokens before and after a text."""
        with explained(f"{folder}: the tokenizer cannot read 'a'", TOKENIZER):
            # Of a vocabulary without that letter, its first token that can be read back.
            names = map(self.tokenizer.convert_ids_to_tokens, range(len(self.tokenizer)))
            texts = itertools.chain(["a"], names)
            text, content = next((t, ids) for t in texts if (ids := self._ids(t)))
            tokens = self.tokenizer(text)["input_ids"]
            start = next(i for i in range(len(tokens)) if tokens[i : i + len(content)] == content)
        if len(tokens) == len(content):
            raise InputError(
                f"{folder}: the tokenizer puts no special tokens around a text, so that an empty "
                f"one has none; {TOKENIZER}"
            )
        return tokens[:start], tokens[start + len(content) :]

    def _check_vocabulary(self, folder: Path, needed: list[int | None]) -> None:
        """InputError if the tokenizer gives a token that the network has no embedding for."""
        rows, names = self.model.get_input_embeddings().num_embeddings, self.tokenizer.get_vocab()
        if None in needed:
            raise InputError(f"{folder}: the tokenizer has no padding token; {TOKENIZER}")
        for name, number in names.items():
            if number >= rows and (number not in self.special or number in needed):
                raise InputError(
                    f"{folder}: the tokenizer's '{name}' is token {number}, but the weights have "
                    f"embeddings for {rows} tokens; {TOKENIZER}"
                )

    def marks(self, inputs: Sequence[str]) -> list[list[str]]:
        """Per item its token strings, special tokens included."""
        return [
            self.tokenizer.convert_ids_to_tokens(self.before + self._ids(text) + self.after)
            for text in inputs
        ]

    def token_spans(self, inputs: Sequence[str]) -> list[np.ndarray]:
        """Per item the characters of its text that each token covers, blanks at its ends aside.

        Special tokens, and what a tokenizer does not find again, cover nothing.
        """
        found = []
        for text in inputs:
            words = [_without_blanks(text, *span) for _, *span in self._content(text)]
            rows = [(0, 0)] * len(self.before) + words + [(0, 0)] * len(self.after)
            found.append(np.array(rows, dtype=int).reshape(-1, 2))
        return found

    def _ids(self, text: str) -> list[int]:
        return [token for token, *_ in self._content(text)]

    def _cut(self, text: str) -> list[tuple[int, int, int]]:
        """The tokens of a text: a list of (id, start, end)."""
        found = []
        for token, start, end in self._tokens(text):
            if token not in self.special:
                found.append((token, start, end))
                continue
            # Of what is written like a special token the two pieces are words.
            name = self.tokenizer.convert_ids_to_tokens(token)
            for piece, at in ((name[:1], start), (name[1:], start + 1)):
                found += [(t, at + a, at + b) for t, a, b in self._tokens(piece)]
        return found

    def _tokens(self, text: str) -> list[tuple[int, int, int]]:
        fast = self.tokenizer.is_fast
        found = self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=fast,
            verbose=False,
        )
        ids = found["input_ids"]
        spans = found["offset_mapping"] if fast else self._found_again(ids, text)
        return [(token, *span) for token, span in zip(ids, spans, strict=True)]

    def _found_again(self, ids: list[int], text: str) -> list[tuple[int, int]]:
        """Where tokens stand by their spelling, of a tokenizer in Python, which does not tell."""
        at, spans = 0, []
        for token in self.tokenizer.convert_ids_to_tokens(ids):
            piece = token.removeprefix("##")
            start = text.find(piece, at)
            start, at = (start, start + len(piece)) if start >= 0 else (at, at)
            spans.append((start, at))
        return spans

    def _windows(self, text: str) -> list[Window]:
        content = self._ids(text)
        windows = []
        for start, stop, keep in spans(len(content), self.room):
            tokens = self.before + content[start:stop] + self.after
            # The special tokens stand once, at the ends of the whole text.
            first = 0 if start == 0 else len(self.before) + keep.start
            last = len(tokens) if stop == len(content) else len(self.before) + keep.stop
            windows.append(Window(tokens, len(tokens), slice(first, last)))
        return windows

    def _run(self, batch: list[list[int]]) -> torch.Tensor:
        padding = self.tokenizer.pad_token_id
        windows = padded([torch.tensor(window) for window in batch], value=padding)
        tokens, mask = (sent(part, self.device) for part in windows)
        output = self.model(input_ids=tokens, attention_mask=mask.long(), output_hidden_states=True)
        states = output.hidden_states
        return torch.stack(states, dim=2) if self.layer == ALL else states[self.layer]


def _without_blanks(text: str, start: int, end: int) -> tuple[int, int]:
    """A span of a text without the blanks at its ends."""
    words = text[start:end]
    start = end - len(words.lstrip())
    return start, start + len(words.strip())
