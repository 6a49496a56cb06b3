"""names: which spellings are one name, and how that is said."""

import pytest

from labelmer.base import names

SAME = [
    ("Jos\u00e9", "Jose\u0301", "U+00E9 against U+0065 U+0301"),
    ("Ann", "ann", "U+0041 against U+0061"),
    ("Ann", "Ann\u200b", "nothing against U+200B"),
    ("\ufeffAnn", "Ann", "U+FEFF against nothing"),
    ("A1", "\uff21\uff11", "U+0041 U+0031 against U+FF21 U+FF11"),
    ("q\u0323\u0307", "q\u0307\u0323", "U+0323 U+0307 against U+0307 U+0323"),
    ("\uac00", "\u1100\u1161", "U+AC00 against U+1100 U+1161"),
    ("stra\u00dfe", "STRASSE", None),
    ("a\u00adb", "ab", "U+00AD against nothing"),
    ("x\ufe0f", "x", "U+FE0F against nothing"),
    ("a\u034f\u0301", "\u00e1", None),
    ("a\u3000b", " a  b", None),
    ("\u03c3", "\u03c2", "U+03C3 against U+03C2"),
    ("\u0390", "\u1fd3", "U+0390 against U+1FD3"),
    ("O'Neil", "O\u2019Neil", "U+0027 against U+2019"),
    ("Ann-1", "Ann\u20111", "U+002D against U+2011"),
    ("Ann-1", "Ann\u20131", "U+002D against U+2013"),
    ("\u0130pek", "ipek", "U+0130 against U+0069"),
    ("\u0639\u0644\u064a", "\u0639\u0644\u06cc", "U+064A against U+06CC"),
    ("S1", "S\u06f1", "U+0031 against U+06F1"),
    ("\u0149", "\u02bcn", None),
    ("O'Neil", "O\ua78bNeil", None),
    ("ILGIN", "\u0131lg\u0131n", None),
    ("Ann", "Ann\u2800", "nothing against U+2800"),
    ("1", "1.0", "nothing against U+002E U+0030"),
    ("7", "007", "nothing against U+0030 U+0030"),
    ("EB0", "\u0415\u04120", "U+0045 U+0042 against U+0415 U+0412"),
    ("\u0412\u0435\u0440\u0430", "\u0432\u0435\u0440\u0430", "U+0412 against U+0432"),
    ("\u0645\u062d\u0640\u0645\u062f", "\u0645\u062d\u0645\u062f", "U+0640 against nothing"),
    ("\u05d3\u05bc\u05d5", "\u05d3\u05d5", "U+05BC against nothing"),
    ("\u0645\u064f\u062d", "\u0645\u062d", "U+064F against nothing"),
    ("\u0634\u0627\u06c1", "\u0634\u0627\u0647", "U+06C1 against U+0647"),
]


@pytest.mark.parametrize("a, b, said", SAME)
def test_spellings_of_one_name(a, b, said):
    assert names.key(a) == names.key(b)
    assert names.alike([a, "another", b]) == tuple(sorted([a, b]))
    assert names.like(a, [b, a, "another"]) == [b]
    if said:
        assert names.difference(a, b) == said


@pytest.mark.parametrize(
    "pair",
    [
        ("a1", "a2"),
        ("Jose", "Jos\u00e9"),
        ("a b", "ab"),
        ("a_b", "a-b"),
        ("1.0", "10"),
        ("1.5", "1.50"),
    ],
)
def test_names_that_are_two(pair):
    assert names.alike(pair) is None and names.meant(*pair[:1], pair[1:]) == ""


@pytest.mark.parametrize(
    "pair", [("spk1", "spk01"), ("S1", "s001"), ("F_02_b", "f_2_B"), ("a0", "a00")]
)
def test_zeros_before_a_number_count_only_where_a_name_may_be_no_number(pair):
    assert names.alike(pair) is None
    assert names.alike(pair, names.numbered) == tuple(sorted(pair))


@pytest.mark.parametrize("pair", [("spk1", "spk10"), ("lr0.001", "lr0.01"), ("a0", "a")])
def test_names_that_are_two_whatever_their_numbers(pair):
    assert names.alike(pair, names.numbered) is None


def test_a_path_is_said_to_be_misspelt_where_another_spelling_is_there(tmp_path):
    (tmp_path / "Audio").mkdir()
    (tmp_path / "Audio" / "x.wav").touch()
    assert "backslashes" in names.misspelt(tmp_path / "Audio\\x.wav")
    for path in ("Audio/X.WAV", "audio/x.wav", "Audio/x.wav "):
        assert "spelt otherwise" in names.misspelt(tmp_path / path)
    (tmp_path / "Audio" / "z.wav").symlink_to("gone.wav")
    assert names.misspelt(tmp_path / "Audio/z.wav").endswith(
        "Audio/z.wav is a link to gone.wav, which is not there"
    )
    for path in ("Audio/y.wav", "sound/x.wav", "Audio/x.wav"):
        assert names.misspelt(tmp_path / path) == ""
