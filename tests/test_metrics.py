"""Metrics against scikit-learn and against cases worked out by hand."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as oracle

from labelmer.scores import metrics

CLASSES = ["angry", "happy", "neutral", "sad"]


def random_case(seed, classes=CLASSES):
    draw = np.random.default_rng(seed)
    true = draw.choice(classes, size=200, p=[0.1, 0.2, 0.4, 0.3])
    guessed = draw.choice(classes, size=200)
    return true, np.where(draw.random(200) < 0.5, true, guessed)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed):
    true, predicted = random_case(seed)
    assert metrics.scores(true, predicted, CLASSES) == pytest.approx(
        {
            "wa": oracle.accuracy_score(true, predicted),
            "ua": oracle.balanced_accuracy_score(true, predicted),
            "weighted_f1": oracle.f1_score(true, predicted, average="weighted"),
            "macro_f1": oracle.f1_score(true, predicted, average="macro"),
        }
    )


def test_scores_of_a_case_worked_out_by_hand():
    true = ["angry"] * 3 + ["sad"]
    predicted = ["angry", "angry", "sad", "sad"]
    found = metrics.scores(true, predicted, ["angry", "sad"])
    # angry: precision 1, recall 2/3, F1 4/5; sad: precision 1/2, recall 1, F1 2/3
    assert found == pytest.approx(
        {
            "wa": 3 / 4,
            "ua": (2 / 3 + 1) / 2,
            "weighted_f1": (3 * 4 / 5 + 2 / 3) / 4,
            "macro_f1": (4 / 5 + 2 / 3) / 2,
        }
    )


def test_a_class_that_is_not_there_is_left_out_of_every_mean():
    true = ["angry"] * 3 + ["sad"]
    predicted = ["angry", "angry", "happy", "sad"]
    found = metrics.scores(true, predicted, CLASSES)
    assert found["ua"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 1) / 2)
    assert found["weighted_f1"] == pytest.approx((3 * 4 / 5 + 1) / 4)


def test_always_the_largest_class_has_chance_as_ua():
    true = ["neutral"] * 97 + ["angry", "happy", "sad"]
    found = metrics.scores(true, ["neutral"] * 100, CLASSES)
    assert (found["wa"], found["ua"]) == (0.97, 0.25)


def test_accuracies_take_numbers_too():
    assert metrics.accuracies(np.array([0, 0, 2]), np.array([0, 1, 2])) == pytest.approx(
        {"wa": 2 / 3, "ua": 3 / 4}
    )


def test_by_class_keeps_the_order_and_marks_what_is_undefined():
    found = metrics.by_class(["sad", "sad", "angry"], ["sad", "angry", "angry"], CLASSES)
    np.testing.assert_allclose(found["precision"], [0.5, np.nan, np.nan, 1])
    np.testing.assert_allclose(found["recall"], [1, np.nan, np.nan, 0.5])
    np.testing.assert_allclose(found["f1"], [2 / 3, np.nan, np.nan, 2 / 3])
    assert list(found["support"]) == [1, 0, 0, 2]


def test_a_class_that_is_never_predicted_has_precision_0():
    found = metrics.by_class(["sad", "angry"], ["angry", "angry"], ["angry", "sad"])
    assert list(found["precision"]) == [0.5, 0]


def test_confusion_has_true_classes_in_rows():
    counts = metrics.confusion(["sad", "sad", "angry"], ["sad", "angry", "angry"], CLASSES)
    assert counts.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]


@pytest.mark.parametrize(
    "module",
    ["scores.metrics", "models.fuse", "report.tabulate", "figures.plot", "report.page"],
)
def test_a_report_starts_without_torch(module):
    code = f"import sys, labelmer.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
