from conftest import bars
import numpy as np
import pytest
import tensorflow as tf
from test_models import SHAPE
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import evaluation
from keras_aae import figures
from keras_aae import gallery
from keras_aae import models
from keras_aae import priors
from keras_aae import report


def test_the_error_rate_is_the_share_of_wrong_labelled_examples(monkeypatch):
    evaluator = evaluation.Evaluator(make("semisup"))
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0, 1, 0], [0.4, 0.3, 0.3]])
    squared_error = np.array([0.1, 0.2, 0.3, 0.4])
    monkeypatch.setattr(
        evaluator,
        "predict",
        lambda split: {"class_probabilities": probabilities, "squared_error": squared_error},
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
    predictions = evaluation.Evaluator(model).predict(data.Split(images, np.zeros(count, np.int32)))
    reconstruction = model(images).numpy()
    np.testing.assert_allclose(predictions["reconstruction"], reconstruction, atol=1e-6)
    expected = np.mean((reconstruction - images / 255.0) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(predictions["squared_error"], expected, rtol=1e-5)


def test_the_probe_reads_the_class_from_a_style_that_tells_it(monkeypatch):
    evaluator = evaluation.Evaluator(make("aae"))
    images, labels = bars(300)
    split = data.Split(images, labels)
    generator = np.random.default_rng(0)
    # The first style tells the class by its sign, the second not at all.
    for leak, low, high in ((3.0, 0.0, 0.1), (0.0, 0.5, 0.8)):
        centres = leak * np.stack([np.cos(labels * 2.1), np.sin(labels * 2.1)], axis=-1)
        style = centres + generator.normal(size=(300, 2)) * 0.5
        monkeypatch.setattr(evaluator, "predict", lambda _, style=style: {"style": style})
        errors = evaluator.style_probe(split, split)
        assert low <= errors["linear"] <= high
        assert low <= errors["mlp"] <= high
    unlabelled = data.Split(images, np.full(300, -1))
    assert evaluator.style_probe(split, unlabelled) is None


def test_a_supervised_model_reconstructs_with_the_label(monkeypatch):
    model = make("supervised")
    images, labels = bars(6)
    reconstruction = evaluation.Evaluator(model).predict(data.Split(images, labels))
    np.testing.assert_allclose(
        reconstruction["reconstruction"], model(images, tf.constant(labels)), atol=1e-6
    )
    other = model(images, tf.constant((labels + 1) % 3)).numpy()
    assert not np.allclose(reconstruction["reconstruction"], other, atol=1e-6)


def test_a_grid_puts_every_image_in_its_place():
    images = np.arange(6).reshape(2, 3, 1, 1, 1) / 10
    canvas = figures.image_grid(images).axes[0].images[0].get_array()
    np.testing.assert_allclose(canvas, [[0, 1, 0.1, 1, 0.2], [1] * 5, [0.3, 1, 0.4, 1, 0.5]])


def test_rows_take_colour_and_bytes():
    rows = {"a": np.full((4, 3, 3, 3), 255, np.uint8), "b": np.ones((4, 3, 3, 3))}
    canvas = figures.image_rows(rows).axes[0].images[0].get_array()
    np.testing.assert_array_equal(canvas, np.ones((7, 15, 3)))


@pytest.mark.parametrize("size", [1, 3, 7])
def test_codes_of_any_size_have_a_histogram_for_each_dimension(size):
    codes = np.random.default_rng(0).normal(size=(50, size))
    picture = figures.code_histograms(codes, codes)
    assert len([axes for axes in picture.axes if axes.get_visible()]) == size


@pytest.mark.parametrize("prior", priors.NAMES)
def test_the_scatter_draws_codes_by_class_over_the_contours(prior):
    distribution = priors.get(prior, 2)
    samples = distribution.sample(500, seed=(0, 1)).numpy()
    labels = np.arange(500) % 3 - 1
    picture = figures.code_scatter(
        samples, samples, lambda z: distribution.log_prob(z).numpy(), labels, ["a", "b"]
    )
    names = [text.get_text() for text in picture.axes[0].get_legend().get_texts()]
    assert names == ["a", "b", "no label"]
    assert picture.axes[0].collections[-1].get_paths()


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("style_size", [2, 3])
def test_every_model_has_its_gallery(name, style_size):
    model = make(name, style_size=style_size)
    split = data.Split(*bars(30))
    dataset = data.Dataset(split, split, split, ("a", "b", "c"))
    rows = [{"updates": u, "seconds": 1.0, "reconstruction": 1 / u} for u in (1, 2)]
    results = {"likelihood": {"curve": [(0.1, -5.0), (0.2, 3.0)]}}
    drawn = gallery.draw(evaluation.Evaluator(model), dataset, results, rows)
    expected = {"reconstructions", "samples", "nearest_training_images"}
    expected |= {"codes_against_prior", "bandwidth", "learning_curves"}
    if "class_probabilities" in model.parts:
        expected.add("style_against_class")
    elif style_size == 2:
        expected.add("walk")
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
        "style_probe": None,
        "prior_match": {"sliced_wasserstein_ratio": 1, "hole_rate": 0, "outside_rate": 0},
        "export": None,
        "versions": {"keras_aae": "0", "tensorflow": "2", "keras": "3"},
    }
    page = report.render(config_lib.Config(), results, {"samples": b"png"})
    assert "<script>" not in page
    assert "1:01" in page
    assert "data:image/png;base64,cG5n" in page
