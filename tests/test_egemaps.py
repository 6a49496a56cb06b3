"""builtin:egemaps is what openSMILE gives, at both levels, however short an utterance is."""

import sys

import numpy as np
import pytest
from test_encoders import assert_batch_is_single, noise
from test_extract import CLIPS, write_segments

from labelmer.base.errors import InputError
from labelmer.base.ragged import Ragged
from labelmer.features import encoders, extract, fetch, items


def egemaps(tmp_path, **options):
    pytest.importorskip("opensmile", reason="the extra `opensmile` is not installed")
    fetch.fetch("builtin:egemaps", tmp_path / "egemaps")
    return encoders.load(tmp_path / "egemaps", None, **options)


SAMPLES = [0, 1, 959, 960, 1119, 1120, 16000, 16159, 16160]
SOUNDS = [*noise(*[n / 16000 for n in SAMPLES]), np.zeros(8000, np.int16)]


@pytest.mark.parametrize(
    ("level", "name", "width", "rate"),
    [("functionals", "Functionals", 88, None), ("low-level", "LowLevelDescriptors", 25, 100)],
)
def test_it_is_what_opensmile_gives(level, name, width, rate, tmp_path):
    encoder = egemaps(tmp_path, level=level)
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel[name])
    assert (encoder.width, encoder.rate_hz) == (width, rate)
    for clip, features in zip(SOUNDS, assert_batch_is_single(encoder, SOUNDS), strict=True):
        assert np.isfinite(features).all()
        if len(clip) >= 960:  # of less it says nothing
            np.testing.assert_array_equal(features, smile.process_signal(clip / 32768, 16000))


def test_a_file_of_functionals_has_a_row_for_each_utterance(tmp_path):
    encoder = egemaps(tmp_path)
    facts = encoders.read_facts(tmp_path / "egemaps", "smile")
    segments = items.read_items(write_segments(tmp_path / "segments.h5", CLIPS))
    assert extract.extract(segments, encoder, facts, tmp_path / "out.h5", "c0de", "float32") == (
        0,
        4,
    )
    features = Ragged(tmp_path / "out.h5")
    assert features.values.shape == (4, 88) and "rate_hz" not in features.attrs
    assert facts["width"] is None and features.attrs["width"] == 88
    assert (features.attrs["level"], features.attrs["source"]) == ("functionals", "builtin:egemaps")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    words = (
        r"builtin:egemaps needs .* 'opensmile', .* install the extra: pip .*labelmer\[opensmile\]"
    )
    with pytest.raises(InputError, match=words):
        fetch.fetch("builtin:egemaps", tmp_path / "egemaps")
    assert not (tmp_path / "egemaps").exists()


def test_the_level_goes_with_egemaps(tmp_path):
    fetch.fetch("builtin:fbank", tmp_path / "fbank")
    with pytest.raises(InputError, match="level goes with openSMILE's eGeMAPS; remove it"):
        encoders.load(tmp_path / "fbank", None, level="low-level")
