"""What is read of a Hugging Face snapshot: the network, its tokenizer, its feature extractor."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.ragged import RATE
from labelmer.features.encoders.base import explained, settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, SequenceFeatureExtractor

# The pooler and the mask of pretraining are not used here, and many checkpoints lack them.
UNUSED = ("pooler", "masked_spec_embed")
ONE_CHECKPOINT = "take config.json and weights from one checkpoint, or choose another"
ZEROS = 0.02  # share of the weights that may stand in tensors of zeros
LAYER = re.compile(r"encoder\.layers?\.(\d+)\.")
WHOLE = "take whole files; if labelmer wrote the folder, move it away, and run the workflow again"
TOKENIZER = "take the tokenizer's files from the checkpoint that this one was made from"


def network(folder: Path, use_safetensors: bool = True, **options: Any) -> torch.nn.Module:
    """The whole network of a snapshot in float32, ready for inference.

    InputError: no weights, or weights that are not those of the config: tensors that are missing
    (they would be random numbers), of another shape, or not finite. A warning names layers that the
    weights have and the config does not.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what counts in its report of the loading is checked below
    with explained(f"{folder}: no weights to load", WHOLE):
        try:
            model, report = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=use_safetensors,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are named below
                **options,
            )
        except Exception:
            _check_config(folder)
            raise
    _check_weights(folder, model, report)
    return model.eval()


def _check_config(folder: Path) -> None:
    """InputError if no network can be made by config.json, whatever the weights are."""
    from transformers import AutoConfig, AutoModel

    advice = "correct it, or take the file that came with the weights"
    with explained(f"{folder}: config.json cannot be used", advice), torch.device("meta"):
        AutoModel.from_config(AutoConfig.from_pretrained(folder, local_files_only=True))


def _check_weights(folder: Path, model: torch.nn.Module, report: dict[str, Any]) -> None:
    """Hold what transformers reports of the loading against what the network needs."""

    def used(name: str) -> bool:
        return not any(part in name for part in UNUSED)

    for name, found, wanted in sorted(report["mismatched_keys"]):
        if used(name):
            raise InputError(
                f"{folder}: the tensor '{name}' has shape {tuple(found)} in the weights, expected "
                f"{tuple(wanted)} by config.json; {ONE_CHECKPOINT}"
            )
    missing = sorted(filter(used, report["missing_keys"]))
    if missing:
        raise InputError(
            f"{folder}: the weights lack {len(missing)} tensors, the first is '{missing[0]}'; "
            f"expected a checkpoint of this very model_type and size; {ONE_CHECKPOINT}"
        )
    sizes, empty = {}, []
    for name, values in model.named_parameters():
        if not values.numel() or not used(name):
            continue
        extremes = torch.stack(values.aminmax())
        if not extremes.isfinite().all():
            raise InputError(
                f"{folder}: the tensor '{name}' holds numbers that are not finite, so no feature "
                "could be; take whole weights, or choose another encoder"
            )
        if values.ndim > 1:  # a bias may be zero
            sizes[name] = values.numel()
            if not extremes.any():
                empty.append(name)
    # Some networks have a small one that they do not use, as RoBERTa for its one type of token.
    if sum(sizes[name] for name in empty) > ZEROS * sum(sizes.values()):
        raise InputError(
            f"{folder}: the tensor '{empty[0]}' holds zeros alone (such tensors: {len(empty)} of "
            f"{len(sizes)}), as where a download broke off; take whole weights"
        )
    unknown = {int(found[1]) for found in map(LAYER.search, report["unexpected_keys"]) if found}
    if unknown:
        log.warning(
            "%s: the weights have the layers %s, which config.json (num_hidden_layers %d) leaves "
            "out: `layer` counts without them; correct config.json if it is not meant so",
            *(folder, sorted(unknown), model.config.num_hidden_layers),
        )


def tokenizer_of(folder: Path) -> "PreTrainedTokenizerBase":
    """A snapshot's tokenizer; InputError if it has none, or one that knows no word."""
    from transformers import AutoTokenizer

    with explained(f"{folder}: no readable tokenizer", TOKENIZER):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Without its files, transformers makes one up that knows no word.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise InputError(
            f"{folder}: a tokenizer of {len(tokenizer)} special tokens alone, expected its "
            f"vocabulary (tokenizer.json, vocab.txt or the like); {TOKENIZER}"
        )
    return tokenizer


def feature_extractor(folder: Path, bins: int | None = None) -> "SequenceFeatureExtractor":
    """How a snapshot wants its audio; of its preprocessor_config.json the encoders obey
    do_normalize and the sampling rate.

    bins: of the mel spectrum that the network takes; None if it takes samples. InputError: none, or
    one of another rate or of another kind of network.
    """
    from transformers import AutoFeatureExtractor

    advice = (
        "it says how the encoder wants its audio; take it from the checkpoint that this one was "
        "made from"
    )
    with explained(f"{folder}: no readable preprocessor_config.json", advice):
        extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    if extractor.sampling_rate != RATE:
        raise InputError(
            f"{folder}: the encoder wants audio at {extractor.sampling_rate!r} Hz, "
            f"expected {RATE} Hz; choose another encoder"
        )
    wanted, spectral = bins or 1, bins is not None
    if extractor.feature_size != wanted or hasattr(extractor, "hop_length") != spectral:
        raise InputError(
            f"{folder}: preprocessor_config.json is that of a {type(extractor).__name__} with "
            f"feature_size {extractor.feature_size!r}, expected one of "
            f"{settings(folder)['model_type']} with {wanted}; {advice}"
        )
    return extractor
