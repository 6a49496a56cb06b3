"""From predictions to tables, figures and page, on a grid small enough to compute by hand."""

import base64
import functools
import itertools
import json
import re
import shlex
import shutil
import zlib
from dataclasses import asdict
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import escape
from matplotlib.image import imread

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.options import filled, schema_of
from labelmer.corpus.options import FoldOptions
from labelmer.figures import FIGURES, plot
from labelmer.report import columns, inputs, page, runs, tabulate
from labelmer.report.protocol import protocol, selection, with_audit
from labelmer.report.text import points
from labelmer.scores import calibration

ROOT = Path(__file__).parents[1]
CLASSES = ["angry", "sad"]
CONFIG = {
    "protocol": "one session held out, the next one validates",
    "selection": "best epoch on validation",
    "classes": CLASSES,
}
# The true classes of each fold's test part, and what each variant says by fold and seed.
TRUE = {1: ["angry", "angry", "angry", "sad"], 2: ["angry", "sad"]}
ODD = "<i>odd"  # as good as a name gets for testing escapes
ODD_TEXT = "</script><i>&amp;"
SAID = {
    ("full", 1, 1): ["angry", "angry", "angry", "sad"],
    ("full", 1, 2): ["angry", "angry", "sad", "sad"],
    ("full", 2, 1): ["angry", "angry"],
    ("full", 2, 2): ["angry", "sad"],
    (ODD, 1, 1): ["sad", "sad", "sad", "sad"],
    (ODD, 1, 2): ["sad", "sad", "sad", "sad"],
    (ODD, 2, 1): ["sad", "sad"],
    (ODD, 2, 2): ["sad", "sad"],
}
ENCODERS = {"speech": "fbank", "text": "minilm", "mode": "frozen"}
CONFIG["inputs"] = {"full": ["speech", "text"], ODD: ["speech"]}
OPTIONS = ["--speech", "fbank", "--text", "minilm", "--mode", "frozen"]
# Those of tables; salience is tested in test_salience.py.
KINDS = {n for n, f in FIGURES.items() if f.reads in columns.RESULTS} - {"salience", "confusion"}
DECLARED = {name: asdict(figure) for name, figure in FIGURES.items()}


# Who speaks the test utterances of each fold: a speaker is in one fold alone.
SPEAKERS = {1: ["s1", "s1", "s2", "s2"], 2: ["s3", "s4"]}


def predictions(variant, fold, seed, speakers=SPEAKERS):
    true, said = TRUE[fold], SAID[variant, fold, seed]
    test = pd.DataFrame(
        {"id": [f"f{fold}u{i}" for i in range(len(true))], "true": true, "predicted": said}
    ).assign(part="test", speaker=speakers[fold])
    # All wrong on purpose: nothing of it may reach a table.
    validation = pd.DataFrame({"id": ["v"], "true": ["sad"], "predicted": ["angry"]})
    validation = validation.assign(part="validation", speaker="s9")
    both = pd.concat([test, validation], ignore_index=True)
    both = both.assign(session=f"Session{fold}", dialogue="d")
    for name in CLASSES:
        both[f"p_{name}"] = (both["predicted"] == name).astype(float)
    return both.assign(**ENCODERS, variant=variant, fold=fold, seed=seed)


# What becomes of a prediction when its input is disturbed: full has both modalities, ODD speech.
OTHER = dict(zip(CLASSES, CLASSES[::-1], strict=True))
DISTURBED = {
    "full": {
        ("missing", "speech", 1.0): lambda said: "sad",
        ("missing", "text", 1.0): lambda said: said,
        ("transcripts", "text", 1.0): lambda said: "angry",
        ("most-salient", "text", 0.5): OTHER.get,
        ("random", "text", 0.5): lambda said: said,
    },
    ODD: {
        ("most-salient", "speech", 0.5): lambda said: said,
        ("random", "speech", 0.5): OTHER.get,
    },
}


def perturbed(variant, fold, seed):
    """The table "perturbed" of a run: every class that it names has the probability 3/4."""
    frame = predictions(variant, fold, seed)
    test = frame[frame["part"] == "test"].drop(columns="part")
    changed = []
    for (change, modality, share), say in DISTURBED[variant].items():
        rows = test.assign(predicted=test["predicted"].map(say))
        for name in CLASSES:
            rows[f"p_{name}"] = np.where(rows["predicted"] == name, 0.75, 0.25)
        changed.append(rows.assign(change=change, modality=modality, share=share))
    return pd.concat(changed, ignore_index=True)


def history(seed, variant="full"):
    draw = np.random.default_rng(seed)
    epochs = np.arange(1, 6)
    accuracy = 0.5 + 0.05 * epochs + 0.01 * draw.random(5)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "updates": 20,
            "learning_rate": 1e-3,
            "train_loss": 2 / epochs,
            "validation_loss": 1 / epochs,
            "validation_wa": accuracy,
            "validation_ua": accuracy,
            "chosen": (epochs == 4).astype(int),
            "seconds": 1.0,
            "waiting": 0.1,
            "peak_memory_mb": 900.0,
        }
    ).assign(**ENCODERS, variant=variant, fold=1, seed=seed)


def write_splits(folder, known_scenario=0):
    overlaps = {
        f"{what}_in_{part}": 0
        for what in ("speakers", "dialogues", "scenarios", "transcripts", "audio")
        for part in tables.PARTS
    }
    overlaps |= {"scenarios": 0, "known_scenario": known_scenario}
    rows = [
        {"fold": fold, "held_out": f"Session{fold}", "part": part, "utterances": 40 + fold}
        | {"speakers": 2, "dialogues": 3, "n_angry": 30, "n_sad": 10 + fold}
        | overlaps
        | {"transcripts_in_train": 17}
        for fold, part in itertools.product(TRUE, tables.PARTS)
    ]
    tables.write(folder / "audit.tsv", pd.DataFrame(rows), "audit")
    left_out = [("all", "Session1", f"x{i}", "code xxx is in no class") for i in range(23)]
    said = "its words stand in validation or test"
    left_out += [
        (str(fold), "Session2", name, said) for fold in (1, 2) for name in ("y", f"z{fold}")
    ]
    columns = list(tables.TABLES["left_out"])
    tables.write(folder / "left_out.tsv", pd.DataFrame(left_out, columns=columns), "left_out")


def write_predictions(folder, runs=SAID, speakers=SPEAKERS):
    made = functools.partial(predictions, speakers=speakers)
    return write_runs(folder, "predictions", made, runs)


def write_perturbed(folder, runs=SAID):
    return write_runs(folder, "perturbed", perturbed, runs)


def write_runs(folder, name, made, runs):
    """A file of the table `name` for each run, as made(*run) has it; returns their paths."""
    paths = []
    for number, run in enumerate(runs):
        paths.append(folder / f"{name}{number}.tsv")
        tables.write(paths[-1], made(*run), name)
    return paths


def run_tabulate(paths, root, config=CONFIG, changed=None, metadata=None):
    """Write the tables into root/reports; changed: paths of the disturbed predictions; metadata: a
    model's config.json.

    Each utterance of a fold is a second longer than the one before.
    """
    changed = changed or write_perturbed(root / "perturbed")
    seconds = {f"f{fold}u{i}": 1.0 + i for fold, true in TRUE.items() for i in range(len(true))}
    segments = pd.DataFrame(seconds.items(), columns=["id", "seconds"])
    segments = segments.assign(source="a.wav", problem="", audio="")
    tables.write(root / "segments.tsv", segments, "segments")
    options = {
        "--segments": root / "segments.tsv",
        "--audit": root / "splits/audit.tsv",
        "--out": root / "reports",
        "--config": json.dumps(config),
        "--log": root / "log",
    }
    options |= {"--metadata": metadata} if metadata else {}
    files = ["--predictions", *map(str, paths), "--perturbed", *map(str, changed)]
    tabulate.main([*files, *words(options)])


NOTHING_SHOWN = {"salience": [], "audio": []}
LEARNED = {"runs": 4, "updates": 512.0, "chosen": 301.5, "chosen_least": 77, "chosen_most": 512}
LEARNED |= {"late": 0.25, "selection": "best epoch"}
MULTIPLIED = {"member": "a+b/frozen/c", "models": 2, "runs": 4, "weight": 0.72}
MULTIPLIED |= {"weight_least": 0.0, "weight_most": 1.25, "left_out": 0.25}
MULTIPLIED |= {"selection": LEARNED["selection"]}


def run_page(reports, splits, out, *others):
    options = {"--title": "a & b", "--reports": reports, "--splits": splits, "--out": out}
    for name, said in (("convergence", LEARNED), ("weights", MULTIPLIED)):
        options[f"--{name}"] = reports / f"{name}.tsv"
        row = {**ENCODERS, "variant": "full", **said}
        columns.write(options[f"--{name}"], pd.DataFrame([row]), name)
    shown = out.with_name("browser.json")
    shown.write_text(json.dumps({"about": {"text": ODD_TEXT}, **NOTHING_SHOWN}))
    options |= {"--browser": shown}
    options["--config"] = json.dumps({"figures": DECLARED, "linear": [ODD]})
    page.main([*words(options), *map(str, others)])


def words(options):
    return [str(word) for option in options.items() for word in option]


def draw_all(root, figures):
    """Every figure of the experiment, as the workflow would ask for them."""
    reports = root / "reports"
    for variant in ("full", ODD):
        confusion = [str(reports / "confusion.tsv"), str(figures / f"{variant}.confusion")]
        plot.main(["confusion", *confusion, *OPTIONS, "--variant", variant])
    for kind in KINDS:
        table = reports / f"{FIGURES[kind].reads}.tsv"
        plot.main([kind, str(table), str(figures / kind), *OPTIONS])
    paths = [str(root / f"history{i}.tsv") for i in range(4)]
    for number, path in enumerate(paths):
        tables.write(path, history(number, ["full", ODD][number // 2]), "history")
    plot.main(["training", *paths, str(figures / "training"), *OPTIONS])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A results folder with tables, figures and page."""
    root = tmp_path_factory.mktemp("results")
    write_splits(root / "splits")
    paths = write_predictions(root / "predictions")
    run_tabulate(paths, root)
    figures = root / "reports/figures/fbank+minilm/frozen"
    draw_all(root, figures)
    (figures / "examples.svg").write_text("<svg/>")  # it needs a corpus
    run_page(root / "reports", root / "splits", root / "reports/index.html")
    return root


def read(root, name, **wanted):
    table = columns.read(root / f"reports/{name}.tsv", name)
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def test_every_table_states_protocol_selection_and_numbers(root):
    for name in {*columns.RESULTS} - {*page.SOMETIMES}:  # elsewhere
        table = read(root, name)
        assert set(table["protocol"]) == {CONFIG["protocol"]}
        assert set(table["selection"]) == {CONFIG["selection"]}
        assert set(table["folds"]) == set(table["seeds"]) == {2}
        assert set(table["utterances"]) == ({4, 2} if name in ("folds", "slices") else {6})


def test_how_many_models_are_multiplied_is_told_where_seeds_are_together(root):
    table = read(root, "compare")
    assert set(table["models"]) == {1} and set(table["runs"]) == {4}  # two folds, two seeds
    assert "multiplied" not in tabulate.compare_text(table)
    together = table["variant"] == "full"
    fused = table.assign(models=2, runs=table["runs"].mask(together, 2))
    said = " ".join(tabulate.compare_text(fused).split())
    assert "Models multiplied in a run: full 2 (all seeds), " in said


def test_a_variant_has_each_seed_or_all_of_them_together():
    single = [predictions("full", f, s).astype({"seed": str}) for f in TRUE for s in (2, 1)]
    together = [t.assign(variant="sum", seed="1+2") for t in single[::2]]
    tested = [t[t["part"] == "test"] for t in (*single, *together)]
    found = runs.grid(tested, TRUE)
    assert runs.protocol(found, CONFIG)["seeds"] == 2
    pooled = runs.pooled(found, CLASSES)
    assert {variant[-1]: p.voters for variant, p in pooled.items()} == {"full": 2, "sum": 1}
    with pytest.raises(InputError, match=r"missing: .*, sum, fold 2, seed 1\+2; expected"):
        runs.grid(tested[:-1], TRUE)


def test_folds_by_hand(root):
    table = read(root, "folds", variant="full").set_index(["fold", "seed"]).sort_index()
    np.testing.assert_allclose(table["wa"], [1, 3 / 4, 1 / 2, 1])
    np.testing.assert_allclose(table["ua"], [1, 5 / 6, 1 / 2, 1])
    assert list(table["held_out"]) == ["Session1", "Session1", "Session2", "Session2"]


def test_summary_by_hand(root):
    ua = read(root, "summary", variant="full", metric="ua").iloc[0]
    # Folds: 11/12 and 9/12. Seeds: 9/12 and 11/12. Pooled: (4/4 + 1/2) / 2 and (3/4 + 2/2) / 2.
    assert ua["mean"] == pytest.approx(10 / 12)
    assert ua["sd"] == pytest.approx((2 / 12) / 2**0.5)
    assert ua["seed_sd"] == pytest.approx((2 / 12) / 2**0.5)
    assert ua["pooled"] == pytest.approx((3 / 4 + 7 / 8) / 2)
    wa = read(root, "summary", variant="full", metric="wa").iloc[0]
    assert (wa["mean"], wa["pooled"]) == pytest.approx(((7 / 8 + 3 / 4) / 2, 5 / 6))


def test_classes_by_hand(root):
    table = read(root, "classes", variant="full").set_index("label")
    assert list(table.index) == CLASSES
    np.testing.assert_allclose(table["recall"], [7 / 8, 3 / 4])
    np.testing.assert_allclose(table["precision"], [(4 / 5 + 1) / 2, (1 + 2 / 3) / 2])
    np.testing.assert_allclose(table["f1"], [(8 / 9 + 6 / 7) / 2, (2 / 3 + 4 / 5) / 2])
    assert list(table["support"]) == [4, 2]


def test_confusion_by_hand(root):
    table = read(root, "confusion", variant="full")
    assert list(zip(table["true"], table["predicted"], strict=True)) == [
        *itertools.product(CLASSES, CLASSES)
    ]
    np.testing.assert_allclose(table["count"], [3.5, 0.5, 0.5, 1.5])
    np.testing.assert_allclose(table["share"], [7 / 8, 1 / 8, 1 / 4, 3 / 4])


def test_compare_has_the_best_variant_first(root):
    table = read(root, "compare")
    assert list(table["variant"]) == ["full", ODD]
    assert list(table["ua"]) == pytest.approx([10 / 12, 1 / 2])
    assert list(table["ua_pooled"]) == pytest.approx([13 / 16, 1 / 2])


def test_pairs_by_hand(root):
    row = read(root, "pairs").iloc[0]
    assert (row["variant"], row["other"]) == (ODD, "full")
    assert row["difference"] == pytest.approx(1 / 2 - 13 / 16)
    # The seeds of full vote: 5 right, ties going to the first class; odd says sad: 2 right.
    assert (row["right_alone"], row["other_right_alone"]) == (1, 4)
    assert row["p_mcnemar"] == pytest.approx(2 * (1 + 5) / 2**5)
    assert row["p_mcnemar_holm"] == row["p_mcnemar"]  # one row: nothing to correct
    assert row["p_jackknife_holm"] == row["p_jackknife"]
    assert row["low"] <= row["difference"] <= row["high"]
    assert (row["speakers"], row["seeds"], row["utterances"]) == (4, 2, 6)


@pytest.mark.slow
def test_the_reference_stands_first_wherever_it_is_given(tmp_path):
    write_splits(tmp_path / "splits")
    paths = write_predictions(tmp_path, [(ODD, *run[1:]) for run in SAID if run[0] == ODD])
    full = write_predictions(tmp_path / "full", [run for run in SAID if run[0] == "full"])
    run_tabulate([*paths, *full], tmp_path)
    assert list(read(tmp_path, "pairs")["other"]) == ["full"]
    assert columns.reference_of(["additive", "text-only"]) == "additive"


def test_pairs_of_one_table_are_corrected_together(tmp_path):
    """Holm counts the pairs of all experiments; a pair of the same predictions does not differ."""
    write_splits(tmp_path / "splits")
    paths, changed = write_predictions(tmp_path), write_perturbed(tmp_path)
    for number, run in enumerate(SAID):
        variant = "twin" if run[0] == "full" else "odd"
        for text in ("minilm", "bert"):
            twin = {"variant": variant, "text": text}
            paths.append(tmp_path / f"{text}{number}.tsv")
            tables.write(paths[-1], predictions(*run).assign(**twin), "predictions")
            changed.append(tmp_path / f"{text}{number}.changed.tsv")
            tables.write(changed[-1], perturbed(*run).assign(**twin), "perturbed")
    inputs = {**CONFIG["inputs"], "twin": ["speech", "text"], "odd": ["speech"]}
    run_tabulate(paths, tmp_path, {**CONFIG, "inputs": inputs}, changed)
    pairs = read(tmp_path, "pairs")
    assert list(pairs["text"]) == ["minilm"] * 6 + ["bert"]
    lowest = pairs.loc[pairs["p_mcnemar"].idxmin()]
    assert lowest["p_mcnemar_holm"] == pytest.approx(min(1, 7 * lowest["p_mcnemar"]))
    same = pairs[(pairs["variant"] == "twin") & (pairs["other"] == "full")].iloc[0]
    assert (same["difference"], same["p_jackknife"], same["p_mcnemar"]) == (0, 1, 1)
    assert same[["low", "high", "detectable"]].isna().all()


def test_intervals_hold_the_pooled_value_and_stand_in_compare(root):
    summary = read(root, "summary")
    for unit in ("speaker", "utterance"):
        assert (summary[f"{unit}_low"] <= summary["pooled"]).all()
        assert (summary["pooled"] <= summary[f"{unit}_high"]).all()
    ua = read(root, "summary", variant="full", metric="ua").iloc[0]
    compare = read(root, "compare", variant="full").iloc[0]
    assert (compare["ua_low"], compare["ua_high"]) == (ua["speaker_low"], ua["speaker_high"])
    assert compare["speakers"] == 4


def test_calibration_by_hand(root):
    # All predictions are sure. Each seed of full has 5 of 6 right; the validation part is all
    # wrong, so the temperature is the hottest: 100, which leaves 1e-12 ^ (1/100) : 1.
    table = read(root, "calibration", variant="full", scaling="none").set_index("bin")
    assert list(table["count"]) == [0] * 14 + [6]
    assert (table.loc[15, "confidence"], table.loc[15, "accuracy"]) == pytest.approx((1, 5 / 6))
    compare = read(root, "compare", variant="full").iloc[0]
    confidence = 1 / (1 + 10 ** (-12 / 100))
    assert compare["temperature"] == pytest.approx(100)
    assert compare["ece"] == pytest.approx(1 / 6)
    assert compare["ece_scaled"] == pytest.approx(5 / 6 - confidence)
    odd = read(root, "compare", variant=ODD).iloc[0]
    assert odd["ece"] == pytest.approx(4 / 6)


def test_compare_as_text(root, capsys):
    tabulate.main(["--show", str(root / "reports/compare.tsv")])
    lines = capsys.readouterr().out.splitlines()
    full = next(line for line in lines if line.startswith("full"))
    assert re.split(r"\s{2,}", full)[:3] == ["full", "83.3 ± 11.8", "81.2 ± 8.8"]
    assert len({len(line) for line in lines[2:5]}) == 1  # aligned
    assert f"Protocol: {CONFIG['protocol']}." in lines
    assert f"Selection: {CONFIG['selection']}." in lines


def test_every_protocol_says_how_many_test_turns_are_of_scenarios_that_training_knows(tmp_path):
    write_splits(tmp_path / "splits", known_scenario=7)
    run_tabulate(write_predictions(tmp_path / "predictions"), tmp_path)
    said = f"{CONFIG['protocol']}; 14 of 83 test utterances are of scenarios that training knows"
    for name in ("compare", "folds", "slices", "robustness", "pairs"):
        assert set(read(tmp_path, name)["protocol"]) == {said}


def audit_of(*rows):
    """An audit of rows (part, speakers in train, speakers in validation, angry utterances)."""
    return pd.DataFrame(
        {"fold": 1 + number // 3, "part": part, "utterances": 9, "speakers": 4}
        | {"known_scenario": 0, "n_angry": angry, "n_sad": 9 - angry}
        | {"speakers_in_train": train, "speakers_in_validation": validation}
        | {"audio_in_train": 0, "audio_in_validation": 0, "dialogues": 3}
        | {"dialogues_in_train": 0, "dialogues_in_validation": 0}
        for number, (part, train, validation, angry) in enumerate(rows)
    )


def test_speakers_that_parts_share_are_told():
    audit = audit_of(
        *(("train", 4, 0, 5), ("validation", 0, 4, 5), ("test", 3, 0, 5)),
        *(("train", 4, 2, 5), ("validation", 2, 4, 5), ("test", 0, 1, 5)),
    )
    assert with_audit("the parts are given", audit) == (
        "the parts are given; 3 of 8 test speakers train as well; 1 of 8 test speakers validate as "
        "well; 2 of 8 validation speakers train as well"
    )


def test_dialogues_that_parts_share_are_told():
    audit = audit_of(("train", 4, 0, 5), ("validation", 0, 4, 5), ("test", 0, 0, 5))
    audit.loc[2, ["dialogues_in_train", "dialogues_in_validation"]] = 1, 2
    assert with_audit("one fold", audit) == (
        "one fold; 1 of 3 test dialogues train as well; 2 of 3 test dialogues validate as well"
    )


def test_classes_that_validation_or_test_lacks_are_told_by_their_fold_or_counted():
    one = audit_of(
        *(("train", 4, 0, 5), ("validation", 0, 4, 5), ("test", 0, 0, 5)),
        *(("train", 4, 0, 5), ("validation", 0, 4, 9), ("test", 0, 0, 0)),
    )
    assert with_audit("p", one) == (
        "p; in fold 2 the test part has no utterance of 'angry': its UA is over fewer classes; in "
        "fold 2 the validation part has no utterance of 'sad': its UA is over fewer classes"
    )
    several = audit_of(("train", 4, 0, 5), ("test", 0, 0, 0), ("test", 0, 0, 9))
    assert with_audit("p", several) == (
        "p; in 2 folds the test part lacks classes: its UA there is over fewer"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hold_out": "session"}, "5 folds, one session held out; the next session validates;"),
        ({"hold_out": "speakers"}, "a group of speakers held out; the next group of speakers val"),
        ({"hold_out": "part"}, "5 folds, the parts are given; scripts that several speakers share"),
        (
            {"hold_out": "speaker", "validation": "partner", "scenarios": "apart"},
            "one speaker held out with one of 5 groups of scenarios; training, validation and test "
            "share no scenario; the other speaker",
        ),
        (
            {"hold_out": "session", "scenarios": "apart", "scenario_groups": [["a"], ["b"], ["c"]]},
            "with one of 3 groups",
        ),
        (
            {"hold_out": "session", "validation": "dialogues", "fraction": 0.25},
            "whole dialogues of the training speakers validate (a share of 0.25); scripts",
        ),
    ],
)
def test_the_protocol_in_words(options, said):
    folds = FoldOptions(**options)
    more = {"validating": folds.validating, "scenario_parts": folds.scenario_parts}
    assert said in protocol(filled(schema_of(FoldOptions), options) | more, 5)


def test_what_is_given_no_modality_is_named_with_its_columns(tmp_path, capsys):
    write_splits(tmp_path / "splits")
    about = tmp_path / "config.json"
    about.write_text(json.dumps({"format": 1, "classes": CLASSES, "columns": ["scenario", "role"]}))
    config = {**CONFIG, "inputs": {"full": ["speech", "text"], ODD: ["metadata"]}}
    disturbed = [run for run in SAID if run[0] == "full"]
    changed = write_perturbed(tmp_path / "perturbed", disturbed)
    paths = write_predictions(tmp_path / "predictions")
    run_tabulate(paths, tmp_path, config, changed, metadata=about)
    for name in ("compare", "folds"):
        inputs = dict(read(tmp_path, name)[["variant", "inputs"]].to_numpy())
        assert inputs == {"full": "speech, text", ODD: "scenario, role"}
    found = read(tmp_path, "robustness", variant=ODD)
    assert list(found["condition"]) == ["all"]
    tabulate.main(["--show", str(tmp_path / "reports/compare.tsv")])
    assert f"{ODD} neither hears nor reads: it is given scenario, role." in capsys.readouterr().out


def test_of_members_experiments_the_own_is_not_named():
    """Of a late fusion that names both, in either of them."""
    rows = [{**ENCODERS, "speech": speech, "variant": "both"} for speech in ("fbank", "other")]
    given = {"both": ["speech", "fbank+minilm/frozen", "other+minilm/frozen"]}
    assert inputs.of_rows(pd.DataFrame(rows), given) == [
        "speech, other+minilm/frozen",
        "speech, fbank+minilm/frozen",
    ]


def test_one_fold_and_one_seed_have_no_spread(tmp_path):
    write_splits(tmp_path / "splits")
    audit = tables.read(tmp_path / "splits/audit.tsv", "audit")
    tables.write(tmp_path / "splits/audit.tsv", audit[audit["fold"] == 1], "audit")
    runs = [("full", 1, 1)]
    changed = write_perturbed(tmp_path, runs)
    run_tabulate(write_predictions(tmp_path, runs), tmp_path, changed=changed)
    summary = read(tmp_path, "summary")
    assert summary["sd"].isna().all()
    assert summary["seed_sd"].isna().all()
    assert len(read(tmp_path, "pairs")) == 0
    assert "±" not in tabulate.compare_text(read(tmp_path, "compare")).split("\n\n")[1]


def refused(tmp_path, caplog, paths, config=CONFIG):
    """The message with which tabulate refuses these predictions."""
    write_splits(tmp_path / "splits")
    with pytest.raises(SystemExit):
        run_tabulate(paths, tmp_path, config)
    assert not (tmp_path / "reports").exists()
    return caplog.text


def test_a_missing_run_is_named(tmp_path, caplog):
    runs = [run for run in SAID if run != ("full", 2, 1)]
    message = refused(tmp_path, caplog, write_predictions(tmp_path, runs))
    assert "missing: fbank+minilm, frozen, full, fold 2, seed 1;" in message


def test_a_fold_that_no_variant_has_is_missing_too(tmp_path, caplog):
    runs = [run for run in SAID if run[1] == 1]
    message = refused(tmp_path, caplog, write_predictions(tmp_path, runs))
    assert message.count("fold 2, seed") == 4


def test_a_run_given_twice_is_named(tmp_path, caplog):
    paths = write_predictions(tmp_path)
    message = refused(tmp_path, caplog, [*paths, paths[0]])
    assert "full, fold 1, seed 1 are given twice" in message


def test_a_missing_file_is_named(tmp_path, caplog):
    assert "no.tsv: there is no such file" in refused(tmp_path, caplog, [tmp_path / "no.tsv"])


def spoiled(tmp_path, change):
    """The predictions with one file, 0.tsv, changed."""
    paths = write_predictions(tmp_path)
    tables.write(paths[0], change(predictions("full", 1, 1)), "predictions")
    return paths


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(index=0), ["id 'f1u0' of fold 1", "absent"]),
        (lambda t: t.assign(true="sad"), ["id 'f1u0' of fold 1", "'sad': 1"]),
        (lambda t: t.assign(predicted="glad"), ["0.tsv", "'f1u0'", "predicted is 'glad'"]),
        (lambda t: t.drop(columns="p_sad"), ["0.tsv", "['angry']"]),
        (lambda t: t.assign(part="validation"), ["0.tsv", "no row has part 'test'"]),
        (lambda t: t.assign(seed=[1, 1, 2, 2, 1]), ["0.tsv", "one run to a file"]),
        (lambda t: t.assign(fold=9), ["missing", "full, fold 1, seed 1"]),
    ],
)
def test_predictions_that_do_not_fit_are_refused(tmp_path, caplog, change, words):
    message = refused(tmp_path, caplog, spoiled(tmp_path, change))
    assert all(word in message for word in words)


def test_a_fold_that_the_audit_lacks_is_refused(tmp_path, caplog):
    paths = write_predictions(tmp_path)
    tables.write(tmp_path / "new.tsv", predictions("full", 2, 2).assign(fold=3), "predictions")
    message = refused(tmp_path, caplog, [*paths, tmp_path / "new.tsv"])
    assert "full, fold 3, seed 2 belong to no fold of the audit" in message


def test_without_a_validation_part_there_is_no_temperature(tmp_path, caplog):
    message = refused(tmp_path, caplog, spoiled(tmp_path, lambda t: t[t["part"] == "test"]))
    assert "0.tsv: no row has part 'validation'" in message


def test_an_utterance_with_two_speakers_is_named(tmp_path, caplog):
    paths = write_predictions(tmp_path)
    other = {1: ["s1", "s1", "s2", "s5"]}
    tables.write(paths[0], predictions("full", 1, 1, other), "predictions")
    message = refused(tmp_path, caplog, paths)
    assert "id 'f1u3' has the speakers ['s2', 's5'] in the predictions" in message


def test_predictions_of_an_earlier_version_are_named_with_what_they_lack(tmp_path, caplog):
    paths = write_predictions(tmp_path)
    rows = [line.split("\t") for line in paths[0].read_text().splitlines()]
    kept = [n for n, name in enumerate(rows[0]) if name not in ("session", "dialogue", "speaker")]
    paths[0].write_text("".join("\t".join(row[n] for n in kept) + "\n" for row in rows))
    message = refused(tmp_path, caplog, paths)
    assert f"{paths[0]}: bad columns" in message and "make it anew" in message
    assert "missing ['session', 'dialogue', 'speaker']" in message


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("speakers", [["s1"] * 6, list("abcdef")])
def test_one_speaker_one_seed_one_variant_and_an_empty_class(tmp_path, speakers):
    """The smallest design: all is there, and what is not defined is empty."""
    write_splits(tmp_path / "splits")
    speakers_of = {1: speakers[:4], 2: speakers[4:]}
    paths, changed = ([tmp_path / f"{kind}{fold}.tsv" for fold in TRUE] for kind in "pc")
    for fold, path, other in zip(TRUE, paths, changed, strict=True):
        said = predictions("full", fold, 1, speakers_of)
        tables.write(path, said.assign(p_glad=0.0), "predictions")
        tables.write(other, perturbed("full", fold, 1).assign(p_glad=0.0), "perturbed")
    config = CONFIG | {"classes": [*CLASSES, "glad"]}
    run_tabulate(paths, tmp_path, config, changed)
    summary = read(tmp_path, "summary")
    assert summary["speaker_low"].isna().all() == (len(set(speakers)) == 1)
    assert summary["utterance_low"].notna().all()
    assert len(read(tmp_path, "pairs")) == 0
    kinds = ("calibration", "folds", "slices", "robustness", "missing_rates", "deletion")
    for kind in kinds:
        plot.main([kind, str(tmp_path / f"reports/{kind}.tsv"), str(tmp_path / kind), *OPTIONS])
    figures = tmp_path / "reports/figures/fbank+minilm/frozen"
    figures.mkdir(parents=True)
    for name in (*kinds, "full.confusion", "training", "examples"):
        (figures / f"{name}.svg").write_bytes((tmp_path / "folds.svg").read_bytes())
    run_page(tmp_path / "reports", tmp_path / "splits", tmp_path / "index.html")
    html = (tmp_path / "index.html").read_text()
    assert "Paired differences" not in html and "1 seeds" not in html and "1 seed," in html
    assert "mean over seeds" not in html and "McNemar" not in html


@pytest.mark.filterwarnings("error")
def test_pairs_of_one_speaker_are_drawn_without_intervals(tmp_path):
    write_splits(tmp_path / "splits")
    speakers = {1: ["s1"] * 4, 2: ["s1"] * 2}
    run_tabulate(write_predictions(tmp_path, speakers=speakers), tmp_path)
    row = read(tmp_path, "pairs").iloc[0]
    assert row[["low", "high", "p_jackknife", "p_jackknife_holm", "detectable"]].isna().all()
    assert row["p_mcnemar"] == 0.375
    plot.main(["pairs", str(tmp_path / "reports/pairs.tsv"), str(tmp_path / "pairs"), *OPTIONS])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "+1.2"), (-0.0123, "−1.2"), (0.0004, "0.0"), (-0.0004, "0.0")],
)
def test_differences_are_points_with_a_sign(value, text):
    assert points(value) == text


def test_captions_name_the_bins_that_there_are():
    texts = [path.read_text() for path in (ROOT / "workflow/report").glob("*.rst")]
    captions = [figure.caption for figure in FIGURES.values()]
    templates = [path.read_text() for path in page.STYLE.parent.glob("page*.html")]
    named = [" ".join(text.split()) for text in [*texts, *templates, *captions]]
    assert {n for text in named for n in re.findall(r"(\d+) bins", text)} == {str(calibration.BINS)}


def test_figures_are_written_in_both_formats_and_are_not_blank(root):
    figures = root / "reports/figures/fbank+minilm/frozen"
    stems = {*KINDS, "training", "full.confusion", f"{ODD}.confusion"}
    assert {p.name for p in figures.iterdir()} - {"examples.svg"} == {
        f"{s}.{k}" for s in stems for k in ("svg", "png")
    }
    for stem in stems:
        pixels = imread(figures / f"{stem}.png")[..., :3]
        assert min(pixels.shape[:2]) > 300
        assert 0.01 < (pixels < 0.99).any(axis=2).mean() < 0.95
        assert (figures / f"{stem}.svg").read_text().startswith("<?xml")


@pytest.mark.slow
def test_the_same_tables_give_the_same_bytes(root, tmp_path):
    draw_all(root, tmp_path)
    first = root / "reports/figures/fbank+minilm/frozen"
    for path in tmp_path.iterdir():
        assert (first / path.name).read_bytes() == path.read_bytes(), path.name


def test_training_with_one_panel_too_few_for_its_grid(tmp_path):
    paths = [str(tmp_path / f"{i}.tsv") for i in range(5)]
    for number, path in enumerate(paths):
        tables.write(path, history(number, "abcde"[number]), "history")
    stem = str(tmp_path / "training")
    plot.main(["training", *paths, stem, *OPTIONS])
    assert (tmp_path / "training.svg").exists()


def test_a_figure_of_an_unknown_variant_names_the_known(root, tmp_path, caplog):
    table = str(root / "reports/confusion.tsv")
    with pytest.raises(SystemExit):
        plot.main(["confusion", table, str(tmp_path / "x"), *OPTIONS, "--variant", "ful"])
    assert "variant 'ful', expected one of" in caplog.text


def test_only_a_confusion_matrix_is_of_one_variant(root, tmp_path):
    table = str(root / "history0.tsv")
    with pytest.raises(SystemExit):
        plot.main(["training", table, str(tmp_path / "x"), *OPTIONS, "--variant", "a"])
    with pytest.raises(SystemExit):
        plot.main(["confusion", str(root / "reports/confusion.tsv"), str(tmp_path / "x"), *OPTIONS])


@pytest.fixture(scope="module")
def html(root):
    return (root / "reports/index.html").read_text()


def test_the_page_holds_every_figure_and_needs_no_other_file(root, html):
    for path in (root / "reports/figures").rglob("*.svg"):
        assert page.data_uri(path) in html
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "http" not in re.sub(r'"data:[^"]*"', "", html)


def cells_of(html):
    """The texts of all cells of tables' bodies that are no heads of rows."""
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", "", cell).split()) for cell in cells]


def test_the_page_holds_every_table(html):
    cells = cells_of(html)
    assert {"83.3 ± 11.8", "81.2 ± 8.8"} <= set(cells)  # compare
    assert {"−31.2", "0.375", "16.7", "26.5"} <= set(cells)  # pairs, calibration
    assert {"87.5", "90.0"} <= set(cells)  # classes
    assert cells.count("Session2") == 4 + 3  # folds and audit
    assert {"17", "41", "42"} <= set(cells)  # audit
    assert {"recognised words", "18.8", "+50.0 –"} <= set(cells)  # robustness
    assert html.count("<table ") == 11
    assert "short, up to 1.7 s" in cells  # slices
    assert cells[-6:] == [
        *("code xxx is in no class", "all", "23"),
        *("its words stand in validation or test", "2", "3"),  # y, z1, z2 in two folds
    ]


def test_protocol_and_selection_stand_at_the_top_once_and_n_below_every_figure(html):
    for said in (CONFIG["protocol"], CONFIG["selection"]):
        assert html.count(said) == 1 and html.index(said) < html.index("<figure")
    captions = re.findall(r"<figcaption>(.*?)</", html, re.DOTALL)
    assert len(captions) == len(KINDS) + 2  # training and examples
    assert (
        sum("2 folds, 2 seeds, n = 6 test utterances" in text for text in captions)
        == len(captions) - 1
    )  # the title of the examples says how many are drawn


def test_every_heading_stands_in_the_contents_in_order(html):
    contents = re.search(r"<nav aria-label=.Contents.>(.*?)</nav>", html, re.DOTALL)[1]
    listed = re.findall(r'<a href="#([^"]*)">(.*?)</a>', contents)
    chapters = html[html.index("</nav>") :]
    assert listed == re.findall(r'<h[23] id="((?!measured)[^"]*)">(.*?)</h', chapters)
    assert {"Variants compared", "Confusion", "What was left out"} <= {text for _, text in listed}


def test_in_short_the_best_is_held_against_the_next_and_the_linear_one(root, html):
    short = re.search(r'<section class="short".*?</section>', html, re.DOTALL)[0]
    said = unescape(" ".join(re.sub("<[^>]*>", "", short).split()))
    best, other = (row for _, row in read(root, "compare").iterrows())
    [pair] = read(root, "pairs").to_dict("records")
    lead = pair["difference"] * (1 if pair["variant"] == best["variant"] else -1)
    assert lead > 0 and f"{best['variant']} has the highest unweighted accuracy" in said
    assert f"{points(lead)} points" in said
    assert f"against {other['variant']}, the next, the best linear model" in said
    classes = read(root, "classes", variant=best["variant"])
    assert f"lowest recall: {classes.loc[classes['recall'].idxmin(), 'label']}" in said
    wrong = read(root, "confusion", variant=best["variant"])[lambda t: t["true"] != t["predicted"]]
    most = wrong.loc[wrong["count"].idxmax()]
    assert f"most frequent error: {most['true']} taken for {most['predicted']}" in said


def test_the_page_speaks_of_nothing_that_it_has_not(html):
    words = html[: html.index("<script")]
    assert "Salience: no colour" not in words and "the turns around it" not in words
    assert "<label hidden>Colour" in words and "dashed line" not in words
    weights = {"text": "...", "classes": True, "turns": None}
    there = page.there({"browser-salience": [None, weights], "browser-audio": ["...", None]})
    assert there["salience"] and there["classes"] and not there["turns"]
    assert there["audio"] == "some"


def test_the_page_escapes_what_it_is_given(html):
    assert "<i>" not in html
    assert "&lt;i&gt;odd" in html
    assert "a &amp; b" in html
    held = re.search(r'<script type="application/json" id="browser-about">(.*?)</script>', html)
    assert json.loads(held[1]) == {"text": ODD_TEXT}


def test_each_figure_has_its_data_and_its_command(root, html):
    held = re.search(r'<script type="application/json" id="tables">(.*?)</script>', html)
    given = {
        name: zlib.decompress(base64.b64decode(text)) for name, text in json.loads(held[1]).items()
    }
    names = [*page.RESULTS, "convergence", "weights"]
    assert given == {name: (root / f"reports/{name}.tsv").read_bytes() for name in names}
    told = re.findall(r'data-table="(\w+)"', html)
    assert {*told} == {FIGURES[name].reads for name in KINDS} | {"confusion"}
    assert html.count("<summary>Data and command</summary>") == len(told) + 2  # training, examples
    folder = root / "reports/figures/fbank+minilm/frozen"
    assert f"snakemake --force {folder}/folds.svg --cores 1 --configfile" in html
    odd = shlex.quote(f"{folder}/{ODD}.confusion.svg")
    assert escape(odd) in html


def test_what_the_page_shows_of_utterances_is_missed_by_name(root, tmp_path, caplog):
    arguments = ["--browser", str(tmp_path / "b.json")]
    with pytest.raises(SystemExit):
        run_page(root / "reports", root / "splits", tmp_path / "index.html", *arguments)
    assert "b.json: cannot be read (No such file or directory); write it anew" in caplog.text
    for text, words in (("[1]", "b.json: [1], expected"), ('{"about": {}}', "audio is missing")):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(SystemExit):
            run_page(root / "reports", root / "splits", tmp_path / "index.html", *arguments)
        assert words in caplog.text and "did not expect" not in caplog.text


def test_a_missing_figure_is_named(root, tmp_path, caplog):
    (tmp_path / "reports").mkdir()
    for path in (root / "reports").glob("*.tsv"):
        (tmp_path / "reports" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(SystemExit):
        run_page(tmp_path / "reports", root / "splits", tmp_path / "index.html")
    assert "calibration.svg: there is no such figure" in caplog.text  # the first of them


def test_a_corpus_of_which_nothing_is_left_out_or_deleted_says_so(root):
    results = {name: read(root, name) for name in page.RESULTS}
    results["deletion"] = results["deletion"][:0]
    splits = {
        name: tables.read(root / f"splits/{name}.tsv", name) for name in ("audit", "left_out")
    }
    splits["left_out"] = splits["left_out"][:0]
    data = {f"browser-{name}": content for name, content in NOTHING_SHOWN.items()}
    html = page.render("c", results, splits, DECLARED, root / "reports/figures", data)
    assert "<p>Nothing.</p>" in html and ">Deletion</h3>" not in html
    assert "in the last tenth" not in html
    old = root / "reports/figures/fbank+minilm/frozen/training.svg"  # nothing is trained any more
    assert page.data_uri(old) not in html


def test_the_page_says_with_which_weights_a_late_fusion_multiplies(html):
    row = html.split("Weights of late fusions (1 row)")[1].split("<tbody>")[1].split("</tbody>")[0]
    assert re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) == [
        *("full", "a+b/frozen/c", "2", "4", "0.72", "0.00", "1.25", "25.0"),
    ]


def test_the_page_says_how_long_each_variant_learned(html):
    cells = re.findall(r"<td>([^<]*)</td>", html)
    assert ["512", "302", "77", "512", "25.0"] in [cells[i : i + 5] for i in range(len(cells))]


def test_the_page_shows_salience_where_there_are_rationales(root, tmp_path):
    shutil.copytree(root / "reports", tmp_path / "reports")
    reports, figures = tmp_path / "reports", tmp_path / "reports/figures/fbank+minilm/frozen"
    row = {**ENCODERS, "variant": "full", "modality": "text", "measure": "salience"}
    row |= {"share": 0.625, "uniform": 0.25, "ratio": 2.5, "over_uniform": 0.375}
    row |= {"over_uniform_p": 0.012, "utterances": 21, "speakers": 4}
    row |= {"protocol": CONFIG["protocol"], "selection": CONFIG["selection"], "folds": 2}
    names = list(columns.RESULTS["salience"])
    table = pd.DataFrame([row | {"seeds": 2, "attention": ""}], columns=names)
    columns.write(reports / "salience.tsv", table, "salience")
    plot.main(["salience", str(reports / "salience.tsv"), str(figures / "salience"), *OPTIONS])
    (figures / "examples.svg").write_text("<svg/>")
    run_page(
        reports, root / "splits", tmp_path / "page.html", "--salience", reports / "salience.tsv"
    )
    html = (tmp_path / "page.html").read_text()
    cells = cells_of(html)
    assert {"62.5 –", "25.0", "2.50", "+37.5 –", "0.012", "21"} <= set(cells)
    assert page.data_uri(figures / "salience.svg") in html
    assert page.data_uri(figures / "examples.svg") in html
    assert "Salience and rationales" not in (root / "reports/index.html").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/report").glob("*.rst")), ids=str)
def test_captions_render_with_what_snakemake_gives_them(path):
    publish_parts = pytest.importorskip("docutils.core").publish_parts
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {
        "protocol": "one session held out"
    }
    wildcards = {"corpus": "iemocap", "variant": "full", **ENCODERS}
    snakemake = SimpleNamespace(config=config, wildcards=SimpleNamespace(**wildcards))
    text = Environment(undefined=StrictUndefined).from_string(path.read_text())
    strict = {"halt_level": 2, "report_level": 2}
    body = publish_parts(
        text.render(snakemake=snakemake), writer="html", settings_overrides=strict
    )["body"]
    assert "{{" not in body
    of_folds = path.stem not in ("left_out", "recognition")
    assert not of_folds or "one session held out" in body


@pytest.mark.parametrize("refit", [True, False])
def test_it_is_said_what_trains_anew(refit):
    anew = "training and validation part train anew together, for as many updates (refit)"
    assert (anew in selection(refit)) == refit and "test part chooses nothing" in selection(refit)
