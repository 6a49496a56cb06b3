"""Extract features: utterances or label words through an encoder into one ragged file.

INPUT is a session's segments (.h5, for a speech encoder) or its table of utterances (.tsv, for a
text encoder). Without it, the words of the labels are run, as --config '{"labels": {NAME: WORDS}}'
gives them. --config also holds the encoder's `layer`, the options of its family (`window_s`,
`silence`), the `precision` of a network on a CPU, float32 (the default) or bfloat16, and the
`dtype` of the numbers in OUT: float16 (the default), bfloat16 or float32.

If OUT is there already, its items whose key still matches are taken over and only the rest is
computed; so it is with OUT.part, which an interrupted run leaves. A key tells a CPU's features from
a GPU's, so that the two never stand in one file. Equal input gives equal bytes on a machine, with
the same threads and if no memory runs out, however often a run was interrupted.
"""

import importlib.metadata
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labelmer import __version__
from labelmer.base.bfloat16 import BFLOAT16
from labelmer.base.digest import code_digest
from labelmer.base.errors import InputError
from labelmer.base.log import log
from labelmer.base.options import TEXT
from labelmer.base.progress import Progress
from labelmer.base.ragged import FEATURE_DTYPE, LARGEST, feature_key, feature_params
from labelmer.base.ragged_writer import Writer
from labelmer.base.stage import CARRIED, add_device, command, parse, stage_parser
from labelmer.features import encoders, made
from labelmer.features.items import Items, read_items, text_items
from labelmer.features.options import extraction_rules

if TYPE_CHECKING:
    from labelmer.features.encoders.base import Encoder

UNITS = {"speech": "frames", "text": "tokens"}
# A character as HTML, program code or an address writes it, or as UTF-8 that was read as Latin-1.
BROKEN = (
    r"&(?:#\d+|#x[0-9a-f]+|[a-z]{2,6});|\\u[0-9a-fA-F]{4}"
    r"|(?<=[^\W\d])%(?:2[0-9A-F]|3[A-F]|[CDE][0-9A-F])|â€.|[ÂÃÐØÙ][¡-¿]"
)
# Tokens of Whisper's, tags of web pages and of speech synthesis, and values as Python, JSON and
# electronic mail write them.
AROUND = (
    r"<\|[^|<>]*\|>|\[BLANK_AUDIO\]"
    r"|</?(?:a|b|br|div|em|font|i|p|s|span|strong|u|speak|prosody|break)\b[^<>]*>"
    r"|^\s*(?:b['\"]|[\[{]\s*['\"])|\\[\"'n]|=[0-9A-F]{2}=[0-9A-F]{2}"
)
FOREIGN = {  # what is in a text and no word: what is said of it, and what to do
    BROKEN: (
        "have what stands for a character on web pages, in program code or in another encoding",
        "write the characters themselves",
    ),
    AROUND: ("have what a program put around or between the words", "take it off"),
}


def extract(
    items: Items,
    encoder: "Encoder",
    facts: Mapping[str, Any],
    out: Path,
    code: str,
    dtype: str = FEATURE_DTYPE,
) -> tuple[int, int]:
    """Write the features of items to a ragged file; return how many were kept and computed.

    Of an item that mixed precision makes infinite the features are computed again in float32, and
    what is beyond the dtype's range is stored as its largest number: both are counted in the log,
    and each item of the second kind is named in a warning.

    encoder  of encoders.load, of the items' modality
    facts    where the encoder comes from: encoder, source, revision, weights, content
    out      path of the file; what it holds already is taken over item by item if its key matches
    code     digest of the code that computes a feature, a part of every key
    dtype    of the numbers in the file: float16, bfloat16 or float32
    """
    if dtype not in LARGEST:
        raise InputError(f"{out}: bad dtype '{dtype}', expected one of {list(LARGEST)}; correct it")
    if encoder.modality != items.modality:
        raise InputError(
            f"{out}: '{facts['encoder']}' is a {encoder.modality} encoder, expected one for "
            f"{items.modality}, which the input is; correct the encoder's `modality` or its source"
        )
    content, kind = facts["content"], (encoder.on, encoder.precision)
    params = feature_params(content, encoder.layer, encoder.options, code, dtype, *kind)
    keys = [feature_key(content, params) for content in items.contents]
    lengths = encoder.lengths(items.inputs)
    attrs = _attributes(encoder, facts, params, code, dtype)
    marks, places = encoder.marks(items.inputs), encoder.token_spans(items.inputs)
    if marks is not None:
        tell_of_lost_words(items, marks, encoder, out)
    if places is not None and encoder.places_known:
        tell_of_lost_letters(items, places, out)
    with Writer(out, items.ids, lengths, encoder.row, dtype, attrs, marks, places) as writer:
        held, finished = writer.take_over(keys)
        wanted = [i for i in range(len(items.ids)) if i not in held]
        plan = _batches(wanted, lengths, encoder.budget)
        # A batch begun is computed whole: the last bits of a feature hang on its batch, and a run
        # that was interrupted shall end in the bytes of one that was not.
        left = [batch for batch in plan if not finished.issuperset(batch)]
        begun = [batch for batch in left if not finished.isdisjoint(batch)]
        if len(begun) > 1:  # the interrupted run had another plan
            left = _batches([i for i in wanted if i not in finished], lengths, encoder.budget)
        if finished:
            log.info("%s: %d items were left by an interrupted run", out, len(finished))
        counts = _compute(items, left, encoder, writer, keys, dtype)
    repeated = sum(i in finished for batch in left for i in batch)
    counts["once more, as an interrupted run had done a part of their batch"] = repeated
    counts["once more in smaller batches, as memory ran out"] = encoder.repeated
    computed = sum(map(len, left))
    log.info("%s: %d items kept, %d computed", out, len(keys) - computed, computed)
    for how, number in counts.items():
        if number:
            log.info("%s: of these, %d were computed %s", out, number, how)
    return len(keys) - computed, computed


NAMED = 5  # texts of a kind that are named
PARTED = 0.05  # of all letters: from here on it is worth a word that tokens part them


def tell_of_lost_words(items: Items, marks: list[list[str]], encoder: "Encoder", out: Path) -> None:
    """Warn of what the encoder does not see of the words as they stand. marks: each text's tokens.

    The encoder says which token, if any, stands for what its vocabulary does not have (`unknown`).
    """
    unknown = encoder.unknown
    tokens = dict(zip(items.ids, marks, strict=True))
    counts = {name: sum(token == unknown for token in of) for name, of in tokens.items()}
    lost = {name: count for name, count in counts.items() if count}
    if lost:
        worst = sorted(lost, key=lambda name: -lost[name] / len(tokens[name]))[:NAMED]
        log.warning(
            "%s: the vocabulary lacks words: %d of %d tokens are %s, in %d of %d texts; most in "
            "%s; choose an encoder for this language, or look at these texts",
            *(out, sum(lost.values()), sum(map(len, marks)), unknown, len(lost), len(tokens)),
            ", ".join(f"'{name}' ({lost[name]} of {len(tokens[name])})" for name in worst),
        )
    texts = dict(zip(items.ids, items.inputs, strict=True))
    apart = [name for name, text in texts.items() if not unicodedata.is_normalized("NFC", text)]
    composed = encoder.marks([unicodedata.normalize("NFC", texts[name]) for name in apart]) or []
    _tell_of_texts(
        [f"'{name}'" for name, of in zip(apart, composed, strict=True) if of != tokens[name]],
        "write accents as characters of their own, which makes other tokens",
        "compose them (Unicode's form NFC)",
        out,
    )
    odd = {name: _odd(text) for name, text in texts.items()}
    _tell_of_texts(
        [f"'{name}' (U+{ord(found):04X})" for name, found in odd.items() if found],
        "have characters that nobody sees or that stand for lost ones, and that may change tokens",
        "take them out of the words",
        out,
    )
    for pattern, (what, remedy) in FOREIGN.items():
        matches = {name: re.search(pattern, text) for name, text in texts.items()}
        named = [f"'{name}' ({found[0]})" for name, found in matches.items() if found]
        _tell_of_texts(named, what, remedy, out)


def _tell_of_empty_texts(items: Items, out: Path) -> None:
    """Warn where a corpus has hardly any words."""
    empty = [name for name, text in zip(items.ids, items.inputs, strict=True) if not text.strip()]
    if len(empty) > 1 and 2 * len(empty) >= len(items.ids):
        log.warning(
            "%s: %d of %d texts are empty, such as that of '%s': what is learned from them is not "
            "of words; study speech alone, or give the words",
            *(out, len(empty), len(items.ids), empty[0]),
        )


def _tell_of_texts(named: list[str], what: str, remedy: str, out: Path) -> None:
    """Warn of texts, if there are any, by the first of their names."""
    if named:
        count, first = len(named), ", ".join(named[:NAMED])
        log.warning("%s: %d texts %s: %s; %s", out, count, what, first, remedy)


def tell_of_lost_letters(items: Items, places: list[np.ndarray], out: Path) -> None:
    """Warn of letters and digits that are in no token, or that many tokens part.

    places: the characters that each token of a text covers
    """
    missing, parted, letters = {}, {}, 0
    for name, text, spans in zip(items.ids, items.inputs, places, strict=True):
        edges = np.zeros(len(text) + 1, int)
        np.add.at(edges, spans[:, 0], 1)
        np.add.at(edges, spans[:, 1], -1)
        tokens, letter = edges.cumsum()[:-1], np.array([c.isalnum() for c in text], bool)
        missing[name] = int((letter & (tokens == 0)).sum())
        parted[name] = int((letter & (tokens > 1)).sum())
        letters += int(letter.sum())
    for counts, least, what in (
        (missing, 1, "are in no token, so that the encoder does not see them"),
        (parted, PARTED * letters, "are parted into bytes, as the vocabulary lacks them"),
    ):
        if (total := sum(counts.values())) >= least and total:
            worst = sorted(counts, key=lambda name: -counts[name])[:NAMED]
            log.warning(
                "%s: %d of %d letters and digits of the words %s; most in %s; choose an encoder "
                "for this language, or look at these texts",
                *(out, total, letters, what),
                ", ".join(f"'{name}' ({counts[name]})" for name in worst if counts[name]),
            )


def _odd(text: str) -> str | None:
    """The first character that is not seen (a control, a mark of format) or stands for what was
    lost, or None.

    But for joiners, which belong to words of some scripts and to emoji.
    """
    kinds = ("Cc", "Cf", "Co", "Cn")
    found = (c for c in text if unicodedata.category(c) in kinds or c == "\ufffd")
    return next((c for c in found if c not in "\u200c\u200d"), None)


def _batches(wanted: list[int], lengths: list[int], budget: int) -> list[list[int]]:
    """The wanted items in batches of similar length."""
    from labelmer.features.encoders.base import batches_by_length

    batches = batches_by_length([lengths[i] for i in wanted], budget)
    return [[wanted[b] for b in batch] for batch in batches]


def _compute(
    items: Items,
    batches: list[list[int]],
    encoder: "Encoder",
    writer: Writer,
    keys: list[bytes],
    dtype: str,
) -> Counter[str]:
    """Encode and write the items of the batches; reading, encoding and writing overlap.

    Returns how many items were computed more than once: a Counter by why.
    """

    def read(batch: list[int]) -> list[Any]:
        inputs = [np.array(items.inputs[i]) if speech else items.inputs[i] for i in batch]
        if items.file:
            items.file.release()
        return inputs

    def store(batch: list[int], features: Callable[[], list[np.ndarray]]) -> None:
        for i, rows in zip(batch, features(), strict=True):
            low, high = rows.min(initial=0), rows.max(initial=0)
            if not -LARGEST[dtype] <= low <= high <= LARGEST[dtype]:  # NaN is caught too
                exact = encoder.begin(read([i]), "float32", exact=True)()[0]
                rows = _within(exact, dtype, items.ids[i], writer.path)
                counts["once more in float32, as they were beyond what was tried first"] += 1
            writer.write(i, rows, keys[i])
        writer.commit()

    speech = items.modality == "speech"
    counts: Counter[str] = Counter()
    width = "float32" if dtype == BFLOAT16 else dtype  # numpy knows no bfloat16: the writer rounds
    unit = "seconds of audio" if speech else "texts"
    size = (lambda i: len(items.inputs[i]) / items.rate) if speech else (lambda _: 1)
    total = sum(size(i) for batch in batches for i in batch)
    with (
        Progress("extract", total, unit) as progress,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as storer,
    ):
        coming = [reader.submit(read, batch) for batch in batches[:1]]
        stored = []
        for number, batch in enumerate(batches):
            inputs = coming.pop().result()
            coming += [reader.submit(read, batch) for batch in batches[number + 1 : number + 2]]
            try:
                features = encoder.begin(inputs, width)
            except InputError as error:
                longest = items.ids[batch[0]]
                raise InputError(f"{writer.path}: with '{longest}' or less: {error}") from None
            stored.append(storer.submit(store, batch, features))
            if number > 1:
                stored[number - 2].result()  # so that no more than three batches are in memory
            progress.advance(sum(size(i) for i in batch))
        for last in stored[-2:]:
            last.result()
    return counts


def _within(features: np.ndarray, dtype: str, name: str, out: Path) -> np.ndarray:
    """Features within a dtype's range, what is beyond it as its largest number, with a warning.

    InputError naming the item if they are not finite in float32 either.
    """
    largest, limit = np.abs(features).max(), LARGEST[dtype]
    if not np.isfinite(largest):
        raise InputError(
            f"{out}: {name}: largest feature {largest} in float32, expected a finite number; "
            "listen to the utterance, take it out of the corpus, or choose another `layer`"
        )
    if largest > limit:
        log.warning(
            "%s: %s: largest feature %.6g, but %s holds numbers up to %g: %d numbers are stored as "
            "that; for the very numbers give the encoder dtype: float32 (or bfloat16)",
            *(out, name, largest, dtype, limit, np.count_nonzero(np.abs(features) > limit)),
        )
    return features.clip(-limit, limit)


def _attributes(
    encoder: "Encoder", facts: Mapping[str, Any], params: str, code: str, dtype: str
) -> dict[str, Any]:
    rate = {"rate_hz": encoder.rate_hz} if encoder.rate_hz else {}
    return {
        "kind": "features",
        "unit": UNITS[encoder.modality],
        **rate,
        "width": encoder.width,
        "encoder": facts["encoder"],
        "source": facts["source"],
        "revision": facts["revision"],
        "weights": facts["weights"],
        "family": encoder.family.name,
        "layer": encoder.layer,
        **encoder.options,
        "dtype": dtype,
        "device": encoder.on,
        "precision": encoder.precision,
        "params": params,
        "code": code,
        "labelmer": __version__,
        "torch": importlib.metadata.version("torch"),
        "transformers": importlib.metadata.version("transformers"),
    }


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("input", type=Path, nargs="?", help="segments or utterances; see above")
    encoders.add_encoder(parser)
    parser.add_argument("out", type=Path, help="ragged file to write")
    add_device(parser, os.cpu_count())
    words = {"type": "object", "additionalProperties": TEXT}
    args = parse(parser, argv, optional={"labels": words, "files": CARRIED, **extraction_rules()})
    labels = args.config.get("labels")
    if (args.input is None) == (labels is None):
        raise InputError(f"{args.out}: expected either INPUT or labels in --config, and not both")
    if args.out.suffix != ".h5" or args.out.is_dir() or args.out == args.input:
        raise InputError(
            f"{args.out}: expected a file of its own that ends in .h5; correct the name"
        )
    items = text_items(labels) if args.input is None else read_items(args.input)
    facts = encoders.read_facts(args.folder, args.encoder)
    family = encoders.family_of(args.folder)

    os.environ["HF_HUB_OFFLINE"] = "1"  # read when it is imported
    import torch

    from labelmer.learning.device import device_of

    torch.set_num_threads(args.threads)
    layer, dtype = args.config.get("layer"), args.config.get("dtype", FEATURE_DTYPE)
    options = encoders.options_in(args.config)
    precision = args.config.get("precision", encoders.PRECISIONS[0])
    encoder = encoders.load(args.folder, layer, device_of(args.gpu), precision, **options)
    if family.source == "files":
        made_in = facts["source"].removeprefix("files:")
        items = made.found(items, made_in, encoder.width, encoder.rate_hz)
    if items.modality == "text":
        _tell_of_empty_texts(items, args.out)
    extract(items, encoder, facts, args.out, code_digest(family.module), dtype)
