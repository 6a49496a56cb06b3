"""The baseline and late fusions of any kind, through the whole workflow to the page."""

import pytest
from conftest import Workspace, tiny_study
from corpora import turns_of, write_release
from test_reruns import change, configure, write_recognised

from labelmer.base import tables
from labelmer.report import columns

pytestmark = pytest.mark.slow

RUNS = "results/tiny/main/predictions/fbank+minilm/frozen"
VARIANTS = {
    "speech-only": {"modalities": ["speech"]},
    "linear": {"architecture": "linear"},
    "linear-speech": {"architecture": "linear", "modalities": ["speech"]},
    "of-one-modality": {"product_of": ["speech-only", "linear-speech"]},
    "of-three": {"product_of": ["linear", "speech-only", "linear-speech"]},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A workspace in which the whole workflow has run; linear-speech is a part of others alone."""
    workspace = Workspace(tmp_path_factory.mktemp("finished"))
    write_release(workspace.folder / "corpus", turns_of(sessions=2))
    write_recognised(workspace.folder / "recognised.tsv", turns_of(sessions=2))
    config = tiny_study(VARIANTS, transcripts="recognised.tsv")
    config["experiments"][0]["variants"].remove("linear-speech")
    workspace.configure(config)
    workspace.snakemake()
    return workspace


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copied(tmp_path / "elsewhere")


def table(workspace, name):
    return columns.read(workspace.folder / f"results/tiny/main/reports/{name}.tsv", name)


def test_every_table_has_the_baseline_and_the_fusions_beside_the_network(finished):
    variants = set(VARIANTS) - {"linear-speech"}
    for name in ("compare", "folds", "calibration", "slices", "robustness", "deletion"):
        assert set(table(finished, name)["variant"]) == variants, name
    page = (finished.folder / "results/tiny/main/reports/index.html").read_text()
    assert all(f">{variant}<" in page for variant in variants)


def test_each_is_tested_under_the_changes_that_it_can_know(finished):
    found = table(finished, "robustness").groupby("variant")["condition"].agg(set)
    both = {"all", "speech missing", "text missing", "transcripts"}
    assert found["linear"] == found["of-three"] == both
    assert found["speech-only"] == found["of-one-modality"] == {"all"}
    assert set(table(finished, "missing_rates")["variant"]) == {"linear", "of-three"}
    deleted = table(finished, "deletion")
    orders = deleted.groupby("variant")["order"].agg(set)
    assert orders["speech-only"] == {"random", "most-salient"}
    assert orders["linear"] == orders["of-three"] == orders["of-one-modality"] == {"random"}


def test_the_baseline_has_a_model_and_neither_history_nor_salience(finished):
    results = finished.folder / "results/tiny/main"
    folder = results / "models/fbank+minilm/frozen/linear/fold1.seed1"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    of_salience = {path.name for path in (results / "salience/fbank+minilm/frozen").iterdir()}
    assert of_salience == {"speech-only"}


def test_seeds_together_and_another_experiment_are_multiplied(copy):
    """The tables of three late fusions, without the figures and the page."""
    elsewhere = "other+minilm/frozen/{}"
    sums = {
        "seeds": {"product_of": ["speech-only"], "seeds": "together"},
        "two": {"product_of": ["speech-only", elsewhere.format("linear-speech")]},
        "both": {
            "product_of": ["fbank+minilm/frozen/linear", elsewhere.format("linear")],
            "seeds": "together",
        },
    }
    experiment, encoders = copy.config()["experiments"][0], copy.config()["encoders"]
    here = {**experiment, "variants": ["speech-only", "linear", "seeds", "two", "both"]}
    there = {**experiment, "speech": "other", "variants": ["linear", "both"]}
    configure(copy, seeds=[1, 2], experiments=[here, there], variants=sums)
    configure(copy, encoders={"other": encoders["fbank"]})
    reports = "results/tiny/main/reports/{}.tsv"
    copy.snakemake(reports.format("compare"), reports.format("weights"))  # no figure is drawn
    runs = table(copy, "folds").groupby("variant")["seed"].agg(set)
    assert runs["seeds"] == runs["both"] == {"1+2"} and runs["two"] == runs["linear"] == {"1", "2"}
    compared = table(copy, "compare").query("speech == 'fbank'").set_index("variant")
    assert compared["models"].to_dict() == {**compared["models"], "seeds": 2, "two": 2, "both": 4}
    folds = compared["folds"].iloc[0]
    assert compared["runs"].to_dict() == {
        **dict.fromkeys(("speech-only", "linear", "two"), 2 * folds),
        **dict.fromkeys(("seeds", "both"), folds),
    }
    assert set(compared["seeds"]) == {2}
    assert compared.loc["two", "inputs"] == "speech, other+minilm/frozen"
    summary = table(copy, "summary").query("speech == 'fbank'").set_index("variant")
    assert summary.loc["seeds", "seed_sd"].isna().all()
    assert summary.loc["two", "seed_sd"].notna().all()
    # Two seeds vote in the one and none in the other, so that McNemar's test has no say.
    pairs = table(copy, "pairs").query("speech == 'fbank'").set_index(["variant", "other"])
    known = pairs["p_mcnemar"].notna()
    assert known["both", "seeds"] and known["two", "speech-only"]
    assert not known["seeds", "speech-only"] and not known["both", "linear"]
    weights = table(copy, "weights")
    assert set(weights.query("variant == 'both'")["member"]) == set(sums["both"]["product_of"])
    both = table(copy, "compare").query("variant == 'both'").set_index("speech")["inputs"]
    assert both.to_dict() == {
        "fbank": "speech, text, other+minilm/frozen",
        "other": "speech, text, fbank+minilm/frozen",
    }
    assert len(weights.query("variant == 'both'")) == 4  # in each of the two experiments
    for name in ("classes", "confusion", "calibration", "robustness"):
        assert {"seeds", "two", "both"} <= set(table(copy, name)["variant"]), name
    conditions = table(copy, "robustness").groupby("variant")["condition"].agg(set)
    assert conditions["both"] == {"all", "speech missing", "text missing", "transcripts"}


def test_metadata_of_another_experiment_has_its_columns_told(copy):
    """Also where no experiment lists that variant."""
    experiment, encoders = copy.config()["experiments"][0], copy.config()["encoders"]
    told = {"product_of": ["linear", "other+minilm/frozen/metadata-only"]}
    here = {**experiment, "variants": ["linear", "told"]}
    there = {**experiment, "speech": "other", "variants": ["linear"]}
    configure(copy, variants={"metadata-only": {"architecture": "metadata"}, "told": told})
    configure(copy, encoders={"other": encoders["fbank"]}, experiments=[here, there])
    report = "results/tiny/main/reports/compare.tsv"
    _, said = copy.snakemake("--dry-run", "--printshellcmds", report)
    models = "results/tiny/main/models/other+minilm/frozen/metadata-only"
    assert f"--metadata {models}/fold{{1,2}}.seed1/config.json --segments" in " ".join(said.split())


def test_how_networks_are_trained_does_not_run_the_baseline_again(copy):
    configure(copy, training={"learning_rate": 5.0e-4})
    rules = {rule for rule, _ in copy.jobs()}
    assert {"train", "fuse"} <= rules and "linear" not in rules


def test_the_baselines_code_runs_it_again_and_trains_no_network(copy):
    change(copy, "labelmer/models/linear.py", "1e-1, 1.0)", "1e-1, 1.0, 10.0)")
    rules = {rule for rule, _ in copy.jobs()}
    assert {"linear", "fuse", "tabulate"} <= rules and not {"train", "evaluate"} & rules


def test_without_any_network_there_are_reports_all_the_same(copy):
    metadata = {name: {"architecture": "metadata"} for name in ("metadata-only", "again")}
    products = {"linear-sum": {"product_of": ["linear-speech", "metadata-only"]}}
    products["guesses"] = {"product_of": ["again", "metadata-only"]}
    experiment = copy.config()["experiments"][0]
    configure(copy, variants={**metadata, **products})
    configure(copy, experiments=[{**experiment, "variants": ["linear", *products]}])
    copy.snakemake()
    inputs = table(copy, "compare").set_index("variant")["inputs"].to_dict()
    # Metadata that stands in a late fusion alone is named too; one dialogue trains, so its scenario
    # tells nothing.
    given = "role, quarter, seconds, words"
    fused = {"linear-sum": f"{given}, speech", "guesses": given}
    assert inputs == {"linear": "speech, text", **fused}
    conditions = table(copy, "robustness").groupby("variant")["condition"].agg(set)
    assert conditions["linear-sum"] == conditions["guesses"] == {"all"}
    one = tables.read(copy.folder / RUNS / "linear-sum/fold1.seed1.tsv", "predictions")
    assert set(one["part"]) == {"validation", "test"}
