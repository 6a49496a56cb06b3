"""Fetch an encoder, or a transcriber: an offline snapshot in a folder, with a note of its origin.

A source is one of

    hub:OWNER/NAME@REVISION   a Hugging Face repository at a commit of 40 hexadecimal digits
    path:DIR                  a snapshot on this machine
    package:MODULE/DIR        a snapshot inside an installed Python package
    builtin:NAME              of an encoder without weights, such as fbank
    files:DIR                 features made elsewhere, one ID.npy per utterance

Only this stage may use the network, and only for hub:. Weights end up as safetensors, whatever
they were before, so that nothing is unpickled later. source.json says what was fetched: source,
revision, model_type, width, layers, and the digests that features depend on.
"""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelmer.base.errors import InputError
from labelmer.base.files import refuse_foreign
from labelmer.base.log import log
from labelmer.base.stage import CARRIED, command, parse, stage_parser
from labelmer.features import encoders
from labelmer.features.checkpoint import spoken
from labelmer.features.made import width_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMS = "hub:OWNER/NAME@40-HEX-REVISION, path:DIR, package:MODULE/DIR, files:DIR"
HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
PACKAGE = re.compile(r"(\w+)/(.+)")
# Configs, vocabularies, merges, SentencePiece, and PhoBERT's and BERTweet's merges.
SETTINGS = ["*.json", "*.txt", "*.model", "*.codes"]
SAFE = ["model.safetensors", "model-*-of-*.safetensors"]
PICKLED = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]
INDICES = ["model.safetensors.index.json", "pytorch_model.bin.index.json"]
POINTER = b"version https://git-lfs"  # how a file begins that Git LFS has not brought


def fetch(
    source: str, folder: Path | str, transcriber: bool = False, language: str | None = None
) -> dict[str, Any]:
    """Put the snapshot that `source` names into a folder, whole or not at all.

    Replaces the encoder that the folder held. Returns what source.json says. transcriber: it has to
    be a whole Whisper, of that language. InputError: a malformed source, a source that is not there
    or cannot be reached, a snapshot that is no known encoder, not such a transcriber or cannot be
    loaded, a folder that holds something else. Warns where the tokenizer changes words that its
    vocabulary has.
    """
    folder = Path(folder)
    named = f"{'transcriber' if transcriber else 'encoder'} {folder.name}, source '{source}'"
    refuse_foreign(folder)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        revision = _fill(part, source)
        facts = encoders.write_facts(part, {"source": source, "revision": revision})
        if transcriber:
            _check_transcriber(part, language)
        encoder = encoders.load(part, -1 if encoders.family_of(part).network else None)
        if encoder.modality == "text":
            known = encoder.model.get_input_embeddings().num_embeddings
            for fault in word_faults(part, encoder.tokenizer, known):
                log.warning("%s: %s", named, fault)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        place = error.filename2 or error.filename or folder
        raise InputError(
            f"{named}: {place}: {error.strerror}; mend that, and fetch again"
        ) from error
    except InputError as error:  # its message may name the part folder, which is gone then
        raise InputError(f"{named}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return facts


def _check_transcriber(folder: Path, language: str | None) -> None:
    """InputError if a snapshot is not a whole Whisper that recognises a language."""
    from labelmer.features.encoders.snapshot import tokenizer_of

    spoken(folder, language)
    tokenizer_of(folder)


def _fill(folder: Path, source: str) -> str:
    """Put the files of a source into an empty folder; return its revision."""
    form, _, rest = source.partition(":")
    if form == "hub" and (match := HUB.fullmatch(rest)):
        repository, revision = match.groups()
        _download(repository, revision, folder)
    elif form == "path" and rest:
        revision = ""
        _copy(Path(rest), folder)
    elif form == "package" and (match := PACKAGE.fullmatch(rest)):
        module, inside = match.groups()
        place, revision = _package(module)
        _copy(place / inside, folder)
    elif source in encoders.builtins() or (form == "files" and rest):
        settings = encoders.builtins().get(source) or {
            "model_type": "labelmer-files",
            "width": width_of(rest),
        }
        (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
        return ""
    else:
        forms = " or ".join([FORMS, *encoders.builtins()])
        raise InputError(f"bad source, expected {forms}; correct it")
    _check_shards(folder)
    _only_safetensors(folder)
    return revision


def _download(repository: str, revision: str, folder: Path) -> None:
    """Settings and safetensors of a repository; its pickled weights if it has no others."""
    import huggingface_hub

    def download(patterns: list[str]) -> Path:
        # Into the hub's own cache, which is asked first: a pinned revision is had only once.
        cached = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=patterns, ignore_patterns=["*/*"]
        )
        return Path(cached)

    try:
        cached = download(SETTINGS + SAFE)
        if not _files(cached, SAFE):
            cached = download(SETTINGS + PICKLED)
    except Exception as error:  # the hub, its HTTP client and its transfers have one each
        raise InputError(
            f"cannot be had from {huggingface_hub.constants.ENDPOINT} ({_first_line(error)}); "
            "check name and revision; the machine must be online once for an encoder, or have a "
            "copy of it: path:DIR"
        ) from error
    _copy(cached, folder)


def _copy(origin: Path, folder: Path) -> None:
    if not origin.is_dir():
        raise InputError(f"there is no folder {origin}; correct the path")
    weights = _files(origin, SAFE) or _files(origin, PICKLED)
    for path in [*_files(origin, SETTINGS), *weights]:
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                raise InputError(
                    f"{path}: a pointer of Git LFS, expected the file itself; get it: git lfs pull"
                )
        shutil.copyfile(path, folder / path.name)


def _package(module: str) -> tuple[Path, str]:
    """Folder and version of an installed package, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"there is no Python package '{module}' here; "
            f"install it: pip install {module.replace('_', '-')}"
        )
    names = importlib.metadata.packages_distributions().get(module, [])
    version = importlib.metadata.version(names[0]) if names else ""
    return Path(spec.submodule_search_locations[0]), version


def _check_shards(folder: Path) -> None:
    """InputError if an index of weights names a file that is not there."""
    for index in _files(folder, INDICES):
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{index.name} is damaged ({error}); take a whole one") from None
        absent = sorted(name for name in names if not (folder / name).exists())
        if absent and ("safetensors" in index.name or not _files(folder, SAFE)):
            raise InputError(
                f"{absent[0]} (and {len(absent) - 1} more) is not there, expected all "
                f"{len(names)} files that {index.name} names; complete the snapshot"
            )


WORDS = 1000  # of a kind that are looked at, spread over the vocabulary
KNOWN = 0.5  # share of the embeddings that a tokenizer knows at least; a few are spare
NOTICED = 0.01  # share of the vocabulary from which on a change of its words is said


def word_faults(folder: Path, tokenizer: "PreTrainedTokenizerBase", embeddings: int) -> list[str]:
    """What a snapshot's tokenizer does to words that its own vocabulary has: a list of sentences.

    Each says what is done, to how many words, and what to add to the snapshot if it is not meant.
    embeddings: how many tokens the network has embeddings for.
    """
    special = set(tokenizer.all_special_tokens)
    tokens = [t for t in sorted(tokenizer.get_vocab()) if t not in special and t[0] not in "[<"]
    capital = [t for t in tokens if t != t.lower()]
    accented = [t for t in tokens if t != _bare(t)]
    looked_at, faults = [], []
    for kind, found, plain, name, key in (
        ("capitals", capital, str.lower, "lower-cases", "do_lower_case"),
        ("accents", accented, _bare, "takes accents away", "strip_accents"),
    ):
        sample = found[:: 1 + len(found) // WORDS]
        words = [tokenizer.convert_tokens_to_string([token]).strip() for token in sample]
        looked_at.append([w for w in words if w and "\ufffd" not in w])  # a part of a character
        blind = [
            word
            for word in looked_at[-1]
            if plain(word) != word and tokenizer.tokenize(word) == tokenizer.tokenize(plain(word))
        ]
        if len(blind) * 2 > len(sample) and len(found) >= NOTICED * len(tokens):
            faults.append(
                f"the vocabulary has {len(found)} words with {kind} (such as '{blind[0]}'), and "
                f"the tokenizer {name}: they are never found; if it is not meant so, add "
                f"tokenizer_config.json with {key}: false, or mend tokenizer.json's normalizer"
            )
    if not faults:
        faults += _disagreement(folder, tokenizer, [w for found in looked_at for w in found])
    if len(tokenizer) < KNOWN * embeddings:
        faults.append(
            f"the tokenizer knows {len(tokenizer)} tokens, the weights {embeddings}: are the two "
            "of one checkpoint?"
        )
    return faults


def _disagreement(
    folder: Path, tokenizer: "PreTrainedTokenizerBase", words: list[str]
) -> list[str]:
    """A sentence on the first word that tokenizer.json alone reads otherwise, in a list."""
    from tokenizers import Tokenizer

    if not (folder / "tokenizer.json").exists():
        return []
    alone = Tokenizer.from_file(str(folder / "tokenizer.json"))
    alone.no_padding()
    alone.no_truncation()
    for word in ["Say it, you're happy!", *words]:
        here, there = tokenizer.tokenize(word), alone.encode(word, add_special_tokens=False).tokens
        if here != there:
            return [
                f"'{word}' becomes {here}, but {there} by tokenizer.json alone: "
                "tokenizer_config.json says otherwise, or lacks a setting (do_lower_case, "
                "strip_accents); make the two agree"
            ]
    return []


def _bare(text: str) -> str:
    """Text without accents."""
    parts = unicodedata.normalize("NFD", text)
    bare = "".join(c for c in parts if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", bare) if bare != parts else text


def _only_safetensors(folder: Path) -> None:
    """Convert pickled weights, if that is all there is, and remove them."""
    if not _files(folder, SAFE) and _files(folder, PICKLED):
        import torch

        from labelmer.features.encoders.snapshot import network

        log.info("converting pickled weights to safetensors")
        torch.manual_seed(0)  # parts that are not used may be missing, and are drawn then
        model = network(folder, use_safetensors=False, weights_only=True)
        model.save_pretrained(folder)
    for path in _files(folder, [*PICKLED, INDICES[1]]):
        path.unlink()
    if not _files(folder, SAFE):
        raise InputError(
            f"no weights, expected {SAFE[0]} (or its shards) or {PICKLED[0]}; "
            "choose a snapshot that has them"
        )


def _files(folder: Path, patterns: list[str]) -> list[Path]:
    """Files of a folder, not of its subfolders, that match one of the patterns, sorted.

    InputError: one of them is a link to nowhere.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if any(fnmatch(path.name, pattern) for pattern in patterns)
    )
    for path in found:
        if path.is_symlink() and not path.exists():
            raise InputError(
                f"{path}: a link to {path.readlink()}, which is not there; copy the snapshot with "
                "what its links lead to (cp -rL), or get it anew"
            )
    return [path for path in found if path.is_file()]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@command
def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("folder", type=Path, help="folder to make, or to replace")
    parser.add_argument("--source", required=True, help="see above")
    parser.add_argument("--transcriber", action="store_true", help="it has to recognise words")
    parser.add_argument("--language", metavar="CODE", help="which a transcriber has to know")
    args = parse(parser, argv, optional={"source": CARRIED, "files": CARRIED})
    facts = fetch(args.source, args.folder, args.transcriber, args.language)
    log.info(
        "%s: %s, width %s, %d layers, weights %s",
        *(facts[name] for name in ("source", "model_type", "width", "layers", "weights")),
    )
