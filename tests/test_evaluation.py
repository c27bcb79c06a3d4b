from conftest import bars
import numpy as np
import pytest
from test_models import SHAPE
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import evaluation
from keras_aae import figures
from keras_aae import gallery
from keras_aae import models
from keras_aae import report


def test_the_error_rate_is_the_share_of_wrong_labelled_examples(monkeypatch):
    evaluator = evaluation.Evaluator(make("semisup"))
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0, 1, 0], [0.4, 0.3, 0.3]])
    squared_error = np.array([0.1, 0.2, 0.3, 0.4])
    monkeypatch.setattr(
        evaluator,
        "predict",
        lambda x: {"class_probabilities": probabilities, "squared_error": squared_error},
    )
    numbers = evaluator.evaluate(
        data.Split(np.zeros((4, *SHAPE), np.uint8), np.array([0, 2, 0, -1]))
    )
    assert numbers == {
        "reconstruction_mse": pytest.approx(0.25),
        "error_rate": pytest.approx(1 / 3),
    }


@pytest.mark.parametrize("count", [1, 500, 501])
def test_prediction_in_parts_is_prediction_of_the_whole(count):
    model = make("semisup")
    images, _ = bars(count)
    predictions = evaluation.Evaluator(model).predict(images)
    reconstruction = model(images).numpy()
    np.testing.assert_allclose(predictions["reconstruction"], reconstruction, atol=1e-6)
    expected = np.mean((reconstruction - images / 255.0) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(predictions["squared_error"], expected, rtol=1e-5)


def test_a_grid_puts_every_image_in_its_place():
    images = np.arange(6).reshape(2, 3, 1, 1, 1) / 10
    canvas = figures.image_grid(images).axes[0].images[0].get_array()
    np.testing.assert_allclose(canvas, [[0, 1, 0.1, 1, 0.2], [1] * 5, [0.3, 1, 0.4, 1, 0.5]])


def test_a_grid_takes_colour_and_bytes():
    images = np.full((1, 2, 3, 3, 3), 255, np.uint8)
    assert figures.image_grid(images).axes[0].images[0].get_array().shape == (3, 7, 3)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_codes_of_any_size_are_drawn_against_the_prior(size):
    codes = np.random.default_rng(0).normal(size=(50, size))
    picture = figures.code_against_prior(codes, codes, np.arange(50) % 3 - 1, ["a", "b"])
    visible = [axes for axes in picture.axes if axes.get_visible()]
    assert len(visible) == (1 if size == 2 else size)


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("style_size", [2, 3])
def test_every_model_has_its_gallery(name, style_size):
    model = make(name, style_size=style_size)
    split = data.Split(*bars(30))
    rows = [{"updates": u, "seconds": 1.0, "reconstruction": 1 / u} for u in (1, 2)]
    drawn = gallery.draw(model, evaluation.Evaluator(model), split, ("a", "b", "c"), rows)
    expected = {"reconstructions", "samples", "codes_against_prior", "learning_curves"}
    if "class_probabilities" in model.parts:
        expected.add("style_against_class")
    assert set(drawn) == expected


def test_the_report_escapes_what_it_shows():
    results = {
        "model": "aae",
        "dataset": "<script>alert(1)</script>",
        "labels_given": 0,
        "seed": 0,
        "updates": 10,
        "train_seconds": 61.0,
        "images_per_second": 5.0,
        "machine": "m",
        "examples": {"train": 1, "validation": 1, "test": 0},
        "validation": {"reconstruction_mse": 0.5},
        "test": None,
        "export": None,
        "versions": {"keras_aae": "0", "tensorflow": "2", "keras": "3"},
    }
    page = report.render(config_lib.Config(), results, {"samples": b"png"})
    assert "<script>" not in page
    assert "1:01" in page
    assert "data:image/png;base64,cG5n" in page
