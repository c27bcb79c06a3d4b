"""Calibration against values worked out by hand."""

from conftest import bars
import keras
import numpy as np
import pytest
from test_models import make

from keras_aae import data
from keras_aae import evaluation
from keras_aae.evaluation import calibration


def test_the_error_of_a_reliability_diagram_worked_out_by_hand():
    # Three of four are right at 0.95, one of two at 0.65.
    sure = np.array([0.95, 0.95, 0.95, 0.95, 0.65, 0.65])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    bins = calibration.reliability(probabilities, np.array([0, 0, 0, 1, 0, 1]))
    assert [each["confidence"] for each in bins] == pytest.approx([0.65, 0.95])
    assert [each["accuracy"] for each in bins] == pytest.approx([0.5, 0.75])
    assert [each["share"] for each in bins] == pytest.approx([1 / 3, 2 / 3])
    error = calibration.expected_calibration_error(bins)
    assert error == pytest.approx(0.15 / 3 + 0.2 * 2 / 3)


def test_a_probability_of_one_belongs_to_the_last_interval():
    (only,) = calibration.reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert only == {"confidence": 1.0, "accuracy": 1.0, "share": 1.0}


@pytest.mark.parametrize("expected", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found_again(expected):
    generator = np.random.default_rng(0)
    right = generator.dirichlet(np.ones(4), 20_000)
    labels = (right.cumsum(axis=1) > generator.random((20_000, 1))).argmax(axis=1)
    # Logits that are too large by the factor `expected`.
    wrong = right**expected / (right**expected).sum(axis=1, keepdims=True)
    assert calibration.temperature(wrong, labels) == pytest.approx(expected, rel=0.05)


def test_a_model_that_is_always_right_or_sure_of_what_is_wrong_gets_a_temperature():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    # Of two labels each has a probability of 3/4 and half of the rest, 7/8: a gap of log 7, which
    # was that of 1 and 1e-30.
    right = calibration.temperature(sure, np.array([0, 1]))
    assert right == pytest.approx(30 * np.log(10) / np.log(7), rel=1e-3)
    assert 500 < calibration.temperature(sure, np.array([1, 0])) <= 1000


def test_a_few_right_answers_do_not_make_a_model_sure():
    """Six of six are right with 90 %: the next may well be wrong."""
    probabilities = np.where(np.eye(3), 0.9, 0.05)[[0, 1, 2, 0, 1, 2]]
    found = calibration.temperature(probabilities, np.array([0, 1, 2, 0, 1, 2]))
    calibrated = probabilities ** (1 / found)
    calibrated /= calibrated.sum(axis=1, keepdims=True)
    assert calibrated.max(axis=1) == pytest.approx(7 / 8 + 1 / 8 / 3, abs=1e-4)


def split(count=60, labelled=True):
    x, y = bars(count)
    return data.Split(x, y if labelled else np.full_like(y, -1))


def test_calibrating_changes_how_sure_a_model_is_and_nothing_else(tmp_path):
    model = make("semisup")
    evaluator = evaluation.Evaluator(model)
    before = evaluator.predict(split())
    evaluator.calibrate(split())
    temperature = float(model.temperature)
    assert temperature != pytest.approx(1, abs=0.01)
    after = evaluator.predict(split())
    powers = before["class_probabilities"] ** (1 / temperature)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after["class_probabilities"], expected, atol=1e-5)
    for name in ("style", "squared_error"):
        np.testing.assert_array_equal(before[name], after[name])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    answer = again.classify(split().x)
    np.testing.assert_allclose(answer["class_probabilities"], expected, atol=1e-5)
    assert evaluator.calibration(split())["temperature"] == pytest.approx(temperature)


@pytest.mark.parametrize(("name", "labelled"), [("semisup", False), ("clustering", True)])
def test_without_labels_or_classes_there_is_nothing_to_calibrate(name, labelled):
    evaluator = evaluation.Evaluator(make(name))
    evaluator.model.temperature.assign(2.0)
    evaluator.calibrate(split(labelled=labelled))
    assert float(evaluator.model.temperature) == 1
    assert evaluator.calibration(split(labelled=labelled)) is None
