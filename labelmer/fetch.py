"""Fetch an encoder: an offline snapshot in a folder, with a note of where it comes from.

A source is one of

    hub:OWNER/NAME@REVISION   a Hugging Face repository at a commit of 40 hexadecimal digits
    path:DIR                  a snapshot on this machine
    package:MODULE/DIR        a snapshot inside an installed Python package
    builtin:fbank             log-mel filterbank frames, no weights

Only this stage may use the network, and only for hub:. Weights end up as safetensors, whatever
they were before, so that nothing is unpickled later. source.json says what was fetched: source,
revision, model_type, width, layers, and the digests that features depend on.
"""

import importlib.metadata
import importlib.util
import json
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from labelmer.errors import InputError
from labelmer.stage import command, log, parse, refuse_foreign, stage_parser

FORMS = "hub:OWNER/NAME@40-HEX-REVISION, path:DIR, package:MODULE/DIR or builtin:fbank"
HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
PACKAGE = re.compile(r"(\w+)/(.+)")
SETTINGS = ["*.json", "*.txt", "*.model"]  # configs, vocabularies, merges, sentencepiece
SAFE = ["model.safetensors", "model-*-of-*.safetensors"]
PICKLED = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]
FBANK = {
    "model_type": "labelmer-fbank",
    "num_mel_bins": 80,
    "frame_length_ms": 25,
    "frame_shift_ms": 10,
}


def fetch(source, folder):
    """Put the snapshot that `source` names into a folder, whole or not at all.

    Replaces the encoder that the folder held. Returns what source.json says. InputError: a
    malformed source, a source that is not there or cannot be reached, a snapshot that is no known
    encoder, a folder that holds something else.
    """
    from labelmer import encoders  # here, for --help to answer without importing torch

    folder = Path(folder)
    refuse_foreign(folder)
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        revision = _fill(part, source)
        facts = {"source": source, "revision": revision, **encoders.describe(part)}
        (part / "source.json").write_text(json.dumps(facts, indent=1) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except InputError as error:  # its message may name the part folder, which is gone then
        raise InputError(f"encoder {folder.name}, source '{source}': {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return facts


def _fill(folder, source):
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
    elif source == "builtin:fbank":
        revision = ""
        (folder / "config.json").write_text(json.dumps(FBANK, indent=1) + "\n")
    else:
        raise InputError(f"bad source, expected {FORMS}; correct it")
    if source != "builtin:fbank":
        _only_safetensors(folder)
    return revision


def _download(repository, revision, folder):
    """Settings and safetensors of a repository; its pickled weights if it has no others."""
    import huggingface_hub

    def download(patterns):
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


def _copy(origin, folder):
    if not origin.is_dir():
        raise InputError(f"there is no folder {origin}; correct the path")
    weights = _files(origin, SAFE) or _files(origin, PICKLED)
    for path in [*_files(origin, SETTINGS), *weights]:
        shutil.copyfile(path, folder / path.name)


def _package(module):
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


def _only_safetensors(folder):
    """Convert pickled weights, if that is all there is, and remove them."""
    if not _files(folder, SAFE) and _files(folder, PICKLED):
        import torch

        from labelmer import encoders

        log.info("converting pickled weights to safetensors")
        torch.manual_seed(0)  # parts that are not used may be missing, and are drawn then
        model = encoders.network(folder, use_safetensors=False, weights_only=True)
        model.save_pretrained(folder)
    for path in _files(folder, [*PICKLED, "pytorch_model.bin.index.json"]):
        path.unlink()
    if not _files(folder, SAFE):
        raise InputError(
            f"no weights, expected {SAFE[0]} (or its shards) or {PICKLED[0]}; "
            "choose a snapshot that has them"
        )


def _files(folder, patterns):
    """Files of a folder, not of its subfolders, that match one of the patterns, sorted."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in patterns)
    )


def _first_line(error):
    return str(error).strip().partition("\n")[0] or type(error).__name__


@command
def main(argv=None):
    """Command line of the stage."""
    parser = stage_parser(__doc__)
    parser.add_argument("folder", type=Path, help="folder to make, or to replace")
    parser.add_argument("--source", required=True, help="see above")
    args = parse(parser, argv)
    facts = fetch(args.source, args.folder)
    log.info(
        "%s: %s, width %d, %d layers, weights %s",
        *(facts[name] for name in ("source", "model_type", "width", "layers", "weights")),
    )


if __name__ == "__main__":
    main()
