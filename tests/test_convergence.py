"""How long each variant went on learning, from the histories of its trainings."""

import json

import pandas as pd
import pytest

from labelmer.base import tables
from labelmer.report import columns, convergence


def history(variant, fold, chosen, epochs=10):
    """A history of epochs of 20 updates, of which one was chosen."""
    rows = pd.DataFrame({"epoch": range(1, epochs + 1)})
    rows = rows.assign(updates=20 * rows["epoch"], chosen=(rows["epoch"] == chosen).astype(int))
    for name in tables.TABLES["history"]:
        if name not in rows and name not in tables.RUN:
            rows[name] = 0.5
    run = {
        "speech": "s",
        "text": "t",
        "mode": "frozen",
        "variant": variant,
        "fold": fold,
        "seed": 1,
    }
    return rows.assign(**run)


def test_each_variant_is_a_row_with_the_updates_that_were_best(tmp_path):
    runs = [("full", 1, 10), ("full", 2, 4), ("additive", 1, 2), ("additive", 2, 3)]
    paths = [tmp_path / f"{v}{f}.tsv" for v, f, _ in runs]
    for path, run in zip(paths, runs, strict=True):
        tables.write(path, history(*run), "history")
    out = tmp_path / "convergence.tsv"
    config = json.dumps({"selection": "the best epoch", "training": {}})
    files = ["--histories", *map(str, paths), "--out", str(out)]
    convergence.main([*files, "--config", config, "--log", str(tmp_path / "log")])
    full, additive = columns.read(out, "convergence").itertuples()
    assert (full.variant, full.runs, full.updates, full.chosen) == ("full", 2, 200, 140)
    assert (full.chosen_least, full.chosen_most, full.late) == (80, 200, 0.5)
    assert (additive.chosen, additive.late) == (50, 0) and full.selection == "the best epoch"
    assert "full: 50% of its runs were best in the last tenth" in (tmp_path / "log").read_text()


def test_trainings_of_different_length_are_weighed_by_their_own(tmp_path):
    both = pd.concat([history("full", 1, 5, epochs=5), history("full", 2, 5, epochs=50)])
    (row,) = convergence.convergence(both).to_dict("records")
    assert row["updates"] == 550 and row["chosen"] == 100 and row["late"] == pytest.approx(0.5)


def test_what_patience_ended_is_not_late():
    both = pd.concat([history("full", 1, 37, epochs=40), history("full", 2, 38, epochs=40)])
    lates = [convergence.convergence(both, patience).late[0] for patience in (None, 3, 2, 4)]
    assert lates == [1, 0.5, 0, 1]


def test_the_last_tenth_is_late():
    lates = [convergence.convergence(history("full", 1, n, epochs=100)).late[0] for n in (90, 91)]
    assert lates == [0, 1]
