"""Salience on rationales: shares worked out by hand, from files as evaluate writes them."""

import csv
import json
import re

import h5py
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from scipy import stats

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.ragged_writer import Writer
from labelmer.figures import examples, plot
from labelmer.report import columns, rationales, salience
from labelmer.report.salience_file import SalienceFile, read_rationales, share_within

CLASSES = ["angry", "sad"]
CONFIG = {"protocol": "one session held out", "selection": "best epoch on validation"}
TEXTS = {"a": "so very mad", "b": "so very sad", "c": "oh no"}
SPEAKERS = {"a": "s1", "b": "s2", "c": "s2"}
SECONDS = {"a": 2.0, "b": 2.0, "c": 1.0}
TOKENS = {name: ["[CLS]", *text.split(), "[SEP]"] for name, text in TEXTS.items()}
SPANS = {
    name: [(0, 0), *(word.span() for word in re.finditer(r"\S+", text)), (0, 0)]
    for name, text in TEXTS.items()
}
PREDICTED = {"a": "angry", "b": "sad", "c": "sad"}
EXPERIMENT = {"speech": "fbank", "text": "minilm", "mode": "frozen"}
OPTIONS = ["--speech", "fbank", "--text", "minilm", "--mode", "frozen"]
RATE = 2.0  # frames per second
# Of the last word, or of the last half second: its salience, by variant and utterance.
LAST = {("full", 1): {"a": 0.8, "b": 0.6}, ("full", 2): {"a": 0.6, "b": 0.6}}
LAST |= {("additive", seed): {"a": 0.4, "b": 0.2} for seed in (1, 2)}
RATIONALES = [("a", "text", 8, 11), ("b", "text", 8, 11), ("a", "speech", 1.5, 2.0)]


def weights(name, rows, last, peak):
    """Weights (rows,) of which `peak` has what LAST says, and the others the rest."""
    values = np.full(rows, (1 - last.get(name, 0.5)) / (rows - 1))
    values[peak] = last.get(name, 0.5)
    return values


def write_salience(folder, variant, seed, fold=1, modality="text"):
    """A file of salience as evaluate writes it; the labels say the opposite of the salience."""
    columns = ["salience", "expert_pooling", "says", *(f"says_{c}" for c in CLASSES)]
    attrs = {"kind": "salience", "modality": modality, "columns": json.dumps(columns)}
    attrs |= {
        "classes": json.dumps(CLASSES),
        **EXPERIMENT,
        "variant": variant,
        "fold": str(fold),
        "seed": str(seed),
    }
    attrs |= {"rate_hz": RATE} if modality == "speech" else {}
    lengths = {name: len(TOKENS[name]) for name in TEXTS}
    marks, spans = TOKENS.values(), SPANS.values()
    if modality == "speech":
        lengths = {name: round(RATE * SECONDS[name]) for name in TEXTS}
        marks, spans = None, None
    path, shape = folder / f"{modality}.h5", (len(columns),)
    counts = list(lengths.values())
    with Writer(path, TEXTS, counts, shape, "float32", attrs, marks, spans) as writer:
        for index, (name, rows) in enumerate(lengths.items()):
            own = weights(name, rows, LAST[variant, seed], -2 if modality == "text" else -1)
            said = np.linspace(0.9, 0.5, rows)
            both = (said, 1 - said) if PREDICTED[name] == "angry" else (1 - said, said)
            values = np.stack([own, np.full(rows, 1 / rows), said, *both], axis=1)
            writer.write(index, values, bytes(31) + b"1")
    return path


def write_corpus(root, told=RATIONALES):
    """Utterances, segments, rationales, salience and predictions of a tiny run."""
    ids = list(TEXTS)
    about = {"session": "s", "dialogue": "d", "start_s": None, "end_s": None}
    frame = pd.DataFrame({"id": ids, "speaker": list(SPEAKERS.values()), **about})
    tables.write(root / "utterances.tsv", frame.assign(text=list(TEXTS.values())), "utterances")
    segments = {
        "id": ids,
        "seconds": list(SECONDS.values()),
        "source": "x.wav",
        "problem": "",
        "audio": "",
    }
    tables.write(root / "segments.tsv", pd.DataFrame(segments), "segments")
    columns = list(tables.TABLES["rationales"])
    told = pd.DataFrame(told, columns=columns)
    tables.write(root / "rationales.tsv", told, "rationales")
    lengths = [round(16_000 * seconds) for seconds in SECONDS.values()]
    audio = {"kind": "segments", "unit": "samples", "rate_hz": 16_000}
    with Writer(root / "segments.h5", ids, lengths, (), "int16", audio) as writer:
        for index, length in enumerate(lengths):
            tone = 9000 * np.sin(np.arange(length) / 20) * np.linspace(0, 1, length)
            writer.write(index, tone, bytes(31) + b"1")
    for variant, seed in LAST:
        for modality in ("speech", "text"):
            write_salience(root / f"{variant}{seed}", variant, seed, modality=modality)
    rows = {"id": ids, "session": "s", "dialogue": "d", "speaker": list(SPEAKERS.values())}
    rows |= {"part": "test", "predicted": list(PREDICTED.values()), **EXPERIMENT}
    told = pd.DataFrame(rows).assign(true=["angry", "sad", "angry"], fold=1)
    told = told.assign(p_angry=[0.9, 0.2, 0.4], p_sad=[0.1, 0.8, 0.6])
    for variant, seed in LAST:
        run = told.assign(variant=variant, seed=seed)
        tables.write(root / f"{variant}{seed}.tsv", run, "predictions")


def test_recognised_words_have_no_rationale_of_text(tmp_path, monkeypatch):
    told = {"speech": dict.fromkeys(TEXTS, (0.0, 0.1)), "text": dict.fromkeys(TEXTS, (0.0, 1.0))}
    monkeypatch.setitem(EXPERIMENT, "mode", "frozen-recognised")
    files = {
        m: SalienceFile(write_salience(tmp_path, "full", 1, modality=m)) for m in ("speech", "text")
    }
    assert len(salience.shares_of(files["speech"], told))
    assert salience.shares_of(files["text"], told).empty


def test_a_row_of_a_whole_utterance_tells_no_stretch(tmp_path):
    path = write_salience(tmp_path, "full", 1, modality="speech")
    file = SalienceFile(path)
    told = {"speech": dict.fromkeys(TEXTS, (0.0, 0.1)), "text": {}}
    assert len(salience.shares_of(file, told)) and not file.whole
    attrs = {**file.attrs, "rate_hz": 0.0}
    counts, shape = [1] * len(TEXTS), (len(file.columns),)
    with Writer(path, file.ids, counts, shape, "float32", attrs) as writer:
        for index in range(len(file)):
            writer.write(index, np.ones((1, *shape)), bytes(31) + b"1")
    file = SalienceFile(path)
    assert file.whole and file.spans(0).tolist() == [[0, np.inf]]
    assert len(salience.shares_of(file, told)) == 0
    axes = Figure().subplots()
    sound = examples.weighed(file, "c", {"speech": {}})
    examples.draw_sound(axes, np.zeros(16_000, np.int16), sound)
    assert axes.images[0].get_extent()[1] == 1.0  # the band is as long as the audio


def weigh(root):
    folders = [str(root / f"{variant}{seed}") for variant, seed in LAST]
    arguments = [root / "rationales.tsv", root / "salience.tsv", "--utterances"]
    arguments += [root / "utterances.tsv", "--segments", root / "segments.tsv"]
    overlaps = [c for c in tables.TABLES["audit"] if "_in_" in c]
    audit = {"fold": 1, "held_out": "s", "part": "test", "utterances": 3, "speakers": 3}
    audit |= {"dialogues": 1, "scenarios": 0, "known_scenario": 0} | dict.fromkeys(overlaps, 0)
    tables.write(root / "audit.tsv", pd.DataFrame([audit]), "audit")
    arguments += ["--audit", root / "audit.tsv"]
    salience.main([*map(str, arguments), "--salience", *folders, "--config", json.dumps(CONFIG)])
    return columns.read(root / "salience.tsv", "salience")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def table(root):
    return weigh(root)


def row_of(table, **wanted):
    rows = table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_share_within_a_stretch():
    spans = np.array([[0, 1], [1, 2], [2, 4], [0, 0]])
    assert share_within(spans, 0.75, 3).tolist() == [0.25, 1, 0.5, 0]


def test_shares_of_words_by_hand(table):
    row = row_of(table, variant="full", modality="text", measure="salience")
    # Seeds first: a 0.7, b 0.6. Each has five tokens, one of them on the rationale.
    assert row["share"] == pytest.approx(0.65)
    assert (row["uniform"], row["ratio"]) == pytest.approx((0.2, 3.25))
    assert row["over_uniform"] == pytest.approx(0.45)
    assert row["attention"] == "additive"
    assert row["over_attention"] == pytest.approx(0.65 - 0.3)
    assert (row["utterances"], row["speakers"], row["seeds"], row["folds"]) == (2, 2, 2, 1)
    assert (row["protocol"], row["selection"]) == tuple(CONFIG.values())


def test_intervals_are_of_speakers(table):
    row = row_of(table, variant="full", modality="text", measure="salience")
    assert 0 <= row["low"] < 0.6 and 0.7 < row["high"] <= 1  # there are two of them
    test = stats.ttest_rel([0.7, 0.6], [0.4, 0.2])
    bounds = "over_attention_low", "over_attention_high"
    assert tuple(row[list(bounds)]) == pytest.approx(tuple(test.confidence_interval()))
    assert row["over_attention_p"] == pytest.approx(test.pvalue)


def test_shares_of_frames_by_hand(table):
    row = row_of(table, variant="full", modality="speech", measure="salience")
    # Of a alone: the last of four frames.
    assert (row["share"], row["uniform"]) == pytest.approx((0.7, 0.25))
    assert (row["utterances"], row["speakers"]) == (1, 1)
    assert np.isnan([row["low"], row["high"], row["over_uniform_p"]]).all()


def test_every_measure_is_weighed(table):
    of_text = table[(table["modality"] == "text") & (table["variant"] == "full")]
    assert list(of_text["measure"]) == ["salience", "expert_pooling", "says"]
    even = row_of(of_text, measure="expert_pooling")
    assert (even["share"], even["over_uniform"]) == pytest.approx((0.2, 0))
    # The labels say 0.9, 0.8, 0.7, 0.6, 0.5 of the predicted class, and the fourth counts.
    assert row_of(of_text, measure="says")["share"] == pytest.approx(0.6 / 3.5)


def test_plain_attention_is_not_compared_with_itself(table):
    plain = row_of(table, variant="additive", modality="text", measure="salience")
    assert plain["attention"] == "" and np.isnan(plain["over_attention"])
    says = row_of(table, variant="additive", modality="text", measure="says")
    assert says["over_attention"] == pytest.approx(0.6 / 3.5 - 0.3)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("x", "text", 0, 2), "id 'x': no session of the config has such"),
        (
            ("c", "text", 3, 6),
            r"id 'c': the text rationale is \[3, 6\), expected .* its 5 characters",
        ),
        (("c", "text", 1.5, 3), r"the text rationale is \[1.5, 3\)"),
        (("c", "text", 3, 3), r"the text rationale is \[3, 3\)"),
        (("c", "speech", -0.1, 0.5), r"the speech rationale is \[-0.1, 0.5\)"),
        (("c", "speech", 0.5, 1.2), "expected a stretch of its 1 seconds"),
    ],
)
def test_a_rationale_that_does_not_fit_is_named(tmp_path, row, words):
    columns = list(tables.TABLES["rationales"])
    path = tmp_path / "rationales.tsv"
    tables.write(path, pd.DataFrame([row], columns=columns), "rationales")
    with pytest.raises(InputError, match=words):
        read_rationales(path, TEXTS, SECONDS)


def test_rationales_of_sessions_that_the_study_leaves_out_are_left_out(root, tmp_path):
    names = list(tables.TABLES["rationales"])
    rows = [("c", "speech", 0, 0.5), ("elsewhere", "text", 0, 3)]
    tables.write(tmp_path / "all.tsv", pd.DataFrame(rows, columns=names), "rationales")
    other = tables.read(root / "utterances.tsv", "utterances").head(1).assign(id="elsewhere")
    tables.write(tmp_path / "other.tsv", other, "utterances")
    arguments = [tmp_path / "all.tsv", tmp_path / "out.tsv"]
    for name in ("utterances", "segments"):
        arguments += [f"--{name}", root / f"{name}.tsv"]
    rationales.main([*map(str, arguments), "--left-out", str(tmp_path / "other.tsv")])
    assert tables.read(tmp_path / "out.tsv", "rationales")["id"].tolist() == ["c"]
    with pytest.raises(SystemExit):  # without the other session nobody knows that id
        rationales.main([*map(str, arguments)])


def test_a_rationale_may_end_with_the_audio_but_for_rounding(tmp_path):
    columns = list(tables.TABLES["rationales"])
    path = tmp_path / "rationales.tsv"
    tables.write(path, pd.DataFrame([("c", "speech", 0, 1.004)], columns=columns), "rationales")
    assert read_rationales(path, TEXTS, SECONDS)["speech"] == {"c": (0, 1.004)}


def test_another_kind_of_file_is_refused(root):
    with pytest.raises(InputError, match=r"segments\.h5: a file of segments, expected salience"):
        SalienceFile(root / "segments.h5")


@pytest.mark.parametrize("lacking", ["modality", "variant", "rate_hz", "columns"])
def test_a_file_that_says_too_little_is_refused_by_name(root, tmp_path, lacking):
    path = tmp_path / "speech.h5"
    path.write_bytes((root / "full1/speech.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        del file.attrs[lacking]
    with pytest.raises(InputError, match=rf"speech\.h5: not a whole file of .*'{lacking}'"):
        SalienceFile(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("columns", value) for value in ("[", "[1]", 3)),
        *(("fold", value) for value in ([1, 2], "one")),
        *(("rate_hz", value) for value in ([1, 2], "fast")),
        *(("modality", value) for value in (3, "smell")),
    ],
)
def test_a_file_that_says_other_things_is_refused_by_name(root, tmp_path, name, value):
    path = tmp_path / "speech.h5"
    path.write_bytes((root / "full1/speech.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(InputError, match=r"speech\.h5: not a whole file of salience"):
        SalienceFile(path)


@pytest.mark.parametrize("value", [np.nan, -0.1, 0.9])
def test_damaged_weights_are_an_error_that_names_file_id_and_measure(root, tmp_path, value):
    path = tmp_path / "text.h5"
    path.write_bytes((root / "full1/text.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["values"][1, 0] = value
    with pytest.raises(InputError, match=r"text.h5: id 'a': the values of salience .* damaged"):
        SalienceFile(path).weights("a", "salience")


@pytest.mark.filterwarnings("error")
def test_without_a_rationale_that_a_variant_sees_the_table_is_empty_and_the_figure_says_so(
    tmp_path, caplog
):
    """Such as a rationale of words where all variants listen alone."""
    write_corpus(tmp_path, [("a", "text", 8, 11)])
    for path in tmp_path.glob("*/text.h5"):
        path.unlink()
    assert len(weigh(tmp_path)) == 0
    assert "no test utterance has a rationale of a modality that a variant sees" in caplog.text
    plot.main(["salience", str(tmp_path / "salience.tsv"), str(tmp_path / "figure"), *OPTIONS])
    assert "No test utterance has a rationale" in (tmp_path / "figure.svg").read_text()


@pytest.mark.filterwarnings("error")
def test_where_no_token_lies_on_the_rationale_there_is_no_ratio(tmp_path):
    write_corpus(tmp_path, [("a", "text", 2, 3), ("b", "text", 2, 3)])  # the blank after "so"
    table = weigh(tmp_path)
    assert (table["uniform"] == 0).all() and table["ratio"].isna().all()
    plot.main(["salience", str(tmp_path / "salience.tsv"), str(tmp_path / "figure"), *OPTIONS])


def test_a_seed_or_a_variant_without_an_utterance_is_refused(root):
    told = {"text": {"a": (8, 11), "b": (8, 11)}}
    rows = salience.shares_of(SalienceFile(root / "full1" / "text.h5"), told)
    some = rows[rows["id"] == "a"]
    for other in (some.assign(seed=2), some.assign(variant="additive")):
        with pytest.raises(InputError, match=r"'b': .* lacks its text salience with one of the"):
            salience.salience_table(pd.concat([rows, other]), SPEAKERS)


# Pictures


def pool(count, right=True, name="angry", start=0):
    """Predictions of the same class, the longer the surer."""
    said = name if right else "sad"
    ids = [f"{name}{right}{i:02d}" for i in range(start, start + count)]
    rows = {"id": ids, "true": name, "predicted": said, "seconds": np.arange(count, dtype=float)}
    return pd.DataFrame(rows).assign(confidence=0.5 + np.arange(count) / 100)


def test_typical_utterances_are_of_middling_length_and_confidence():
    # Of 0 to 8 seconds the median is 4, and 2 to 6 are the nearest half.
    assert list(examples.typical(pool(9), 1)["seconds"]) == [4]
    assert list(examples.typical(pool(9), 2)["seconds"]) == [3, 5]
    assert list(examples.typical(pool(1), 2)["seconds"]) == [0]
    assert len(examples.typical(pool(0), 2)) == 0


def test_the_order_of_the_predictions_does_not_matter():
    predictions = pd.concat([pool(9), pool(7, name="sad"), pool(6, right=False)])
    shuffled = predictions.sample(frac=1, random_state=3)
    first, second = (examples.chosen(p, CLASSES, set()) for p in (predictions, shuffled))
    assert list(first["id"]) == list(second["id"])
    assert list(first["true"] == first["predicted"]) == [True] * 4 + [False] * 2
    assert list(first["true"][:4]) == ["angry"] * 2 + ["sad"] * 2


def test_of_a_class_with_rationales_one_with_a_rationale_is_chosen():
    names = list("abcde")  # a fifth class is not shown
    predictions = pd.concat([pool(9, name=name) for name in names])
    rows = examples.chosen(predictions, names, {"aTrue00", "cTrue08"})
    assert list(rows["id"]) == ["aTrue00", "bTrue04", "cTrue08", "dTrue04"]


def illustrated(root, out, rationales=True):
    arguments = [out, "--predictions", root / "full1.tsv", "--salience", root / "full1"]
    arguments += ["--utterances", root / "utterances.tsv", "--segments", root / "segments.h5"]
    arguments += ["--rationales", root / "rationales.tsv"] if rationales else ["--rationales"]
    plot.main(["examples", *map(str, arguments), *OPTIONS])


def figures(root, out):
    """Both figures, drawn into a folder."""
    plot.main(["salience", str(root / "salience.tsv"), str(out / "salience"), *OPTIONS])
    illustrated(root, out / "examples")


@pytest.mark.slow
def test_figures_are_not_blank_and_the_same_bytes_each_time(root, table, tmp_path):
    for folder in ("once", "again"):
        figures(root, tmp_path / folder)
    for path in sorted((tmp_path / "once").iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    for name in ("salience", "examples"):
        pixels = imread(tmp_path / "once" / f"{name}.png")[..., :3]
        assert 0.01 < (pixels < 0.99).any(axis=2).mean() < 0.95


def test_without_rationales_and_with_one_modality(root, tmp_path):
    write_corpus(tmp_path)
    (tmp_path / "full1" / "text.h5").unlink()
    illustrated(tmp_path, tmp_path / "examples", rationales=False)
    assert (tmp_path / "examples.svg").stat().st_size > 0


def test_lines_wrap_and_know_their_place_in_the_text():
    text = " ".join(["unbelievable"] * 30 + ["x" * 250])
    lines = examples.lines_of(text)
    assert all(len(line) <= examples.COLUMNS for _, line in lines)
    assert all(text[at : at + len(line)] == line for at, line in lines)
    assert "".join(line for _, line in lines).replace(" ", "") == text.replace(" ", "")
    assert examples.lines_of("") == [(0, "")]


def check(root):
    arguments = [root / "rationales.tsv", root / "checked.tsv"]
    arguments += ["--utterances", root / "utterances.tsv", "--segments", root / "segments.tsv"]
    rationales.main(list(map(str, arguments)))


def test_rationales_are_held_against_the_corpus(tmp_path, caplog):
    write_corpus(tmp_path)
    check(tmp_path)
    pd.testing.assert_frame_equal(
        tables.read(tmp_path / "checked.tsv", "rationales"),
        tables.read(tmp_path / "rationales.tsv", "rationales"),
    )
    write_corpus(tmp_path / "other", [("a", "text", 8, 12)])
    with pytest.raises(SystemExit):
        check(tmp_path / "other")
    assert "id 'a': the text rationale is [8, 12), expected" in caplog.text
    assert not (tmp_path / "other/checked.tsv").exists()


def test_rationales_may_be_quoted_as_spreadsheets_write_them(tmp_path):
    write_corpus(tmp_path)
    path = tmp_path / "rationales.tsv"
    rows = tables.read(path, "rationales")
    rows.to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_ALL)
    check(tmp_path)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "checked.tsv", "rationales"), rows)
