"""Calibration: errors worked out by hand, and temperatures that are known."""

import numpy as np
import pytest
from scipy.special import log_softmax

from labelmer.scores import calibration

pytestmark = pytest.mark.filterwarnings("error")


def test_the_error_of_a_case_worked_out_by_hand():
    # Said 0.9 and 0.62, each of five utterances; right: 4 and 2 of 5.
    confidence = np.repeat([0.9, 0.62], 5)
    right = np.array([1, 1, 1, 1, 0, 1, 1, 0, 0, 0], dtype=bool)
    error = calibration.expected_calibration_error(confidence, right)
    assert error == pytest.approx(0.5 * 0.1 + 0.5 * 0.22)
    # In one bin they make up for each other in part: 0.76 said, 0.6 right.
    assert calibration.expected_calibration_error(confidence, right, bins=1) == pytest.approx(0.16)


def test_who_is_as_right_as_said_has_no_error():
    assert calibration.expected_calibration_error([0.75] * 4, [True] * 3 + [False]) == 0


def test_bins_hold_their_upper_edge_and_empty_ones_have_no_mean():
    found = calibration.reliability([0.25, 0.3, 0.5, 1.0], [True, False, True, True], bins=4)
    assert list(found["count"]) == [1, 2, 0, 1]
    np.testing.assert_allclose(found["confidence"], [0.25, 0.4, np.nan, 1])
    np.testing.assert_allclose(found["accuracy"], [1, 0.5, np.nan, 1])
    assert calibration.reliability([0.0], [False])["count"][0] == 1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_and_its_scaling_calibrates(temperature):
    draw = np.random.default_rng(0)
    honest = log_softmax(2 * draw.normal(size=(8000, 4)), axis=1)
    true = (np.exp(honest).cumsum(axis=1)[:, :-1] < draw.random((8000, 1))).sum(axis=1)
    said = log_softmax(honest * temperature, axis=1)  # too sure where temperature > 1
    found = calibration.best_temperature(said[:4000], true[:4000])
    assert found == pytest.approx(temperature, rel=0.08)
    errors = []
    for logs in (said[4000:], calibration.scaled(said[4000:], found)):
        right = logs.argmax(axis=1) == true[4000:]
        errors.append(calibration.expected_calibration_error(np.exp(logs).max(axis=1), right))
    assert errors[1] < 0.03
    assert temperature == 1.0 or errors[1] < errors[0] / 3


def test_a_search_that_does_not_end_is_no_minimum(monkeypatch):
    monkeypatch.setattr(calibration, "SEARCH", {"maxiter": 1})
    logs = np.log([[[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [[0.6, 0.4], [0.7, 0.3], [0.1, 0.9]]])
    with pytest.raises(RuntimeError, match="of 2 weights has no minimum yet"):
        calibration.best_weights(logs, np.array([0, 1, 1]))


def test_scaling_changes_no_prediction():
    logs = log_softmax(np.random.default_rng(1).normal(size=(200, 4)), axis=1)
    scaled = calibration.scaled(logs, 3.0)
    assert (scaled.argmax(axis=1) == logs.argmax(axis=1)).all()
    np.testing.assert_allclose(np.exp(scaled).sum(axis=1), 1)


def test_one_utterance_and_a_probability_of_zero_stay_finite():
    logs = calibration.log_probabilities(np.array([[1.0, 0.0]]))
    for true, bound in ((0, calibration.COLDEST), (1, calibration.HOTTEST)):
        found = calibration.best_temperature(logs, np.array([true]))
        assert calibration.COLDEST <= found <= calibration.HOTTEST
        assert true == 0 or found == pytest.approx(bound)
