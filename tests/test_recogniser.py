"""The recogniser: what is said, in windows and batches, and that nothing is invented."""

import json

import numpy as np
import pytest
import torch
import transformers
from conftest import beside
from test_encoders import noise, snapshot  # noqa: F401

from labelmer.base.errors import InputError
from labelmer.demo.speech import VOICES, Synthesiser
from labelmer.features import fetch
from labelmer.features.recogniser import TOKENS_ANYWAY, TOKENS_PER_SECOND, Recogniser

WORDS = ["the", "old", "tree", "is", "falling", "on", "my", "new", "car", "we", "see", "a", "dog"]
MARKS = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|pl|>", "<|translate|>"]
MARKS += ["<|transcribe|>", "<|nospeech|>", "<|notimestamps|>"]
WINDOW = 2.0  # seconds
LONG = noise(0.3, 1.0, 0.02, 5.0, 2.0, 1.4, 3.3)


def make_transcriber(folder, multilingual=False, seed=0, tokens=24):
    """A tiny random Whisper of a few words, whole: decoder, tokenizer and generation_config.

    tokens: that it can say at most; it says four less.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    names = {name: number for number, name in enumerate([*WORDS, *MARKS])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=MARKS, unk_token=MARKS[0]
    ).save_pretrained(folder)
    transformers.WhisperFeatureExtractor(80, chunk_length=int(WINDOW)).save_pretrained(folder)
    end, start, *marks = (names[mark] for mark in MARKS)
    ends = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end}
    ends["decoder_start_token_id"] = start
    torch.manual_seed(seed)
    model = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            d_model=16,
            encoder_layers=2,
            encoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_layers=2,
            decoder_attention_heads=2,
            decoder_ffn_dim=32,
            vocab_size=len(names),
            max_source_positions=100,
            max_target_positions=tokens,
            init_std=0.6,  # so that what is heard has a say
            **ends,
        )
    )
    model.save_pretrained(folder)
    said = {
        "no_timestamps_token_id": marks[-1],
        "max_length": tokens - 4,
        "is_multilingual": multilingual,
    }
    said |= {"begin_suppress_tokens": [end], "suppress_tokens": [start, *marks], **ends}
    if multilingual:
        said["lang_to_id"] = {"<|en|>": marks[0], "<|pl|>": marks[1]}
        said["task_to_id"] = {"translate": marks[2], "transcribe": marks[3]}
    (folder / "generation_config.json").write_text(json.dumps(said))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a tiny random Whisper that knows English alone."""
    return make_transcriber(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def several(tmp_path_factory):
    """The folder of a tiny random Whisper of two languages."""
    return make_transcriber(tmp_path_factory.mktemp("several"), multilingual=True)


@pytest.mark.parametrize("beam", [1, 3])
def test_batched_equals_single(beam, tiny):
    recogniser = Recogniser(tiny, beam=beam, repetition=1e9)
    clips = [*LONG, np.zeros(8000, np.int16), np.zeros(0, np.int16)]
    together = recogniser.recognise(clips)
    assert together == [recogniser.recognise([clip])[0] for clip in clips]
    assert len({found.text for found in together}) > 4  # not all the same
    assert [found.windows for found in together[:3]] == [1, 1, 1] and together[3].windows > 2
    assert together[0].text.split()[0] in WORDS and 0 < together[0].no_speech < 1


def test_it_says_what_transformers_says(tiny):
    recogniser = Recogniser(tiny, repetition=1e9)
    model = transformers.WhisperForConditionalGeneration.from_pretrained(tiny).eval()
    for clip, found in zip(LONG[:3], recogniser.recognise(LONG[:3]), strict=True):
        mel = recogniser.extractor(clip / 32768, sampling_rate=16000, return_tensors="pt")
        tokens = model.generate(mel.input_features, do_sample=False)
        (text,) = recogniser.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        # It goes on for ever: the length of what it hears may end it before transformers does.
        most = len(clip) / 16000 * TOKENS_PER_SECOND + TOKENS_ANYWAY
        words, said = found.text.split(), text.split()
        assert words == said[: len(words)]
        assert len(words) == len(said) or most - 6 < len(words) <= most


@pytest.mark.parametrize("beam", [1, 3])
def test_what_goes_round_in_circles_ends_with_its_sound(beam, tmp_path):
    folder = make_transcriber(tmp_path, tokens=300)
    recogniser = Recogniser(folder, beam=beam, repetition=1e9)
    never = torch.zeros(len(WORDS) + len(MARKS))
    never[len(WORDS)] = -1e9  # of the token that ends
    recogniser.model.proj_out.bias = torch.nn.Parameter(never)
    clips = [LONG[1], LONG[0], LONG[5]]  # 1 s, 0.3 s, 1.4 s
    together = recogniser.recognise(clips)
    words = [len(found.heard.split()) for found in together]
    assert words == [16 + 30 - 2, 16 + 9 - 2, 16 + 42 - 2]  # two tokens begin
    assert together == [recogniser.recognise([clip])[0] for clip in clips]


def test_long_clips_are_cut_where_they_are_quietest(tiny):
    clip = LONG[3].astype(np.float32) / 32768  # 5 s
    quiet = [(1.5, 1.75), (3.0, 3.25)]
    for start, end in quiet:
        clip[round(start * 16000) : round(end * 16000)] *= 0.01
    windows = Recogniser(tiny).windows(clip)
    assert np.array_equal(np.concatenate(windows), clip)
    ends = np.cumsum([len(window) for window in windows])[:-1] / 16000
    assert len(ends) == 2 and max(len(window) for window in windows) <= WINDOW * 16000
    assert all(start < end_of < end for end_of, (start, end) in zip(ends, quiet, strict=True))


def test_batches_hold_clips_of_similar_length_whose_windows_fit(tiny):
    recogniser = Recogniser(tiny)
    recogniser.at_once = 4
    lengths = [round(seconds * 16000) for seconds in (1, 9, 0.5, 2, 1.5, 3, 0)]
    batches = recogniser.batches(lengths)
    assert batches == [[1], [5, 3, 4], [0, 2, 6]]
    for batch in batches[1:]:
        clips = [np.zeros(lengths[i], np.float32) for i in batch]
        assert sum(len(recogniser.windows(clip)) for clip in clips) <= 4


def test_where_nothing_sounds_no_word_is_invented(tiny, monkeypatch):
    recogniser = Recogniser(tiny)
    monkeypatch.setattr(recogniser, "_run", lambda windows: pytest.fail("the network ran"))
    for clip in (np.zeros(0, np.int16), np.zeros(1000, np.int16), np.full(99999, 7, np.int16)):
        (found,) = recogniser.recognise([clip])
        assert (found.text, found.reason, found.no_speech) == ("", "silence", None)


def test_a_window_without_speech_and_one_that_repeats_itself_have_no_words(tiny):
    (said,) = Recogniser(tiny, repetition=1e9).recognise([LONG[1]])
    assert said.text and not said.reason
    (found,) = Recogniser(tiny, no_speech=said.no_speech / 2).recognise([LONG[1]])
    assert (found.text, found.reason, found.heard) == ("", "no speech", said.text)
    assert (found.no_speech, found.compression) == (said.no_speech, said.compression)
    (found,) = Recogniser(tiny, repetition=said.compression - 0.01).recognise([LONG[1]])
    assert (found.text, found.reason, found.heard) == ("", "repetition", said.text)


def test_of_a_long_clip_the_windows_that_speak_stay(tiny):
    clip = np.concatenate([LONG[1], np.zeros(3 * 16000, np.int16), LONG[1]])
    (found,) = Recogniser(tiny, repetition=1e9).recognise([clip])
    assert found.text and found.reason == "silence" and found.windows > 2


def test_less_memory_gives_smaller_batches_and_the_same_words(tiny, monkeypatch, caplog):
    recogniser = Recogniser(tiny, repetition=1e9)
    expected, run = recogniser.recognise(LONG), recogniser._run

    def small(windows):
        if len(windows) > 3:
            raise RuntimeError("CUDA out of memory")
        return run(windows)

    monkeypatch.setattr(recogniser, "_run", small)
    assert recogniser.recognise(LONG) == expected
    assert "memory ran out on 8 windows; from now on 4" in caplog.text
    monkeypatch.setattr(recogniser, "_run", lambda windows: small([*windows] * 4))
    with pytest.raises(InputError, match="memory ran out on one window"):
        recogniser.recognise(LONG)


def test_a_multilingual_checkpoint_is_told_the_language(several):
    polish = Recogniser(several, language="pl", repetition=1e9).recognise(LONG)
    english = Recogniser(several, language="en", repetition=1e9).recognise(LONG)
    assert polish != english
    for language in (None, "polish"):
        with pytest.raises(InputError, match=r"expected one of \['en', 'pl'\]"):
            Recogniser(several, language=language)


def test_a_checkpoint_that_is_no_recogniser_is_named(tiny, snapshot, tmp_path):  # noqa: F811
    with pytest.raises(InputError, match="language 'pl', but the checkpoint knows English alone"):
        Recogniser(tiny, language="pl")
    with pytest.raises(InputError, match="an encoder alone, expected its decoder as well"):
        Recogniser(snapshot("whisper"))
    with pytest.raises(InputError, match="model_type 'bert', expected whisper"):
        Recogniser(snapshot("bert"))
    fetch.fetch(f"path:{tiny}", tmp_path / "whole")
    path = tmp_path / "whole" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": None}))
    with pytest.raises(InputError, match=r"config\.json: eos_token_id: None, expected a token's"):
        Recogniser(tmp_path / "whole")
    path.unlink()
    with pytest.raises(InputError, match=r"generation_config\.json: cannot be read .*take a whole"):
        Recogniser(tmp_path / "whole")


def test_pickled_weights_give_the_same_words(tiny, tmp_path):
    model = transformers.WhisperForConditionalGeneration.from_pretrained(tiny)
    for path in tiny.iterdir():
        if path.suffix != ".safetensors":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    fetch.fetch(f"path:{tmp_path}", tmp_path / "fetched")
    recogniser = Recogniser(tmp_path / "fetched", repetition=1e9)
    assert recogniser.recognise(LONG[:3]) == Recogniser(tiny, repetition=1e9).recognise(LONG[:3])


# The real one, on real sounds


@pytest.fixture(scope="module")
def real():
    """The recogniser of the real whisper-tiny.en."""
    return Recogniser(beside("models", "whisper-tiny.en"))


# What a voice of the demo corpus says: a small recogniser mishears it elsewhere.
SAID = [
    ((1, "F"), "The old tree is falling on my new car."),
    ((1, "F"), "Please open the window and close the door."),
    ((3, "M"), "Please open the window and close the door."),
    ((4, "F"), "Please open the window and close the door."),
]


def spoken():
    """The int16 clips of SAID."""
    speak, clips = Synthesiser().speak, []
    for name, sentence in SAID:
        voice = VOICES[name]
        said = {"pitch": voice.pitch, "range": 50, "rate": voice.rate, "volume": 60}
        clips.append((speak(sentence, voice.name, **said) * 32767).astype(np.int16))
    return clips


def test_english_speech_is_what_was_said(real):
    clips = spoken()
    pause = np.zeros(30 * 16000 - len(clips[0]), np.int16)
    long = np.concatenate([clips[0], pause, clips[1]])
    *alone, joined = real.recognise([*clips, long])
    sentences = [sentence for _, sentence in SAID]
    assert [found.text for found in alone] == sentences
    assert max(found.no_speech for found in alone) < 0.4
    assert joined.windows == 2 and not joined.reason
    assert joined.text == " ".join(sentences[:2])


def test_noise_is_no_speech(real):
    draw = np.random.default_rng(0)
    hum = 3000 * np.sin(2 * np.pi * 50 * np.arange(48000) / 16000)
    clips = [draw.normal(0, level, size) for level in (3, 300, 3000) for size in (8000, 48000)]
    for found in real.recognise([np.int16(clip) for clip in (*clips, hum)]):
        assert (found.text, found.reason) == ("", "no speech") and found.no_speech > 0.7
