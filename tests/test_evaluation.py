from conftest import bars
import numpy as np
import pytest
import tensorflow as tf
from test_models import SHAPE
from test_models import make

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import evaluation
from keras_aae import models
from keras_aae.models import priors
from keras_aae.reporting import figures
from keras_aae.reporting import gallery
from keras_aae.reporting import report


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


def test_clusters_stand_for_the_label_that_most_of_their_examples_have():
    clusters, labels = np.array([0, 0, 0, 2, 2, 3]), np.array([1, 1, 0, 2, 0, 2])
    names = evaluation.majority_labels(clusters, labels, 5)
    assert names.tolist() == [1, -1, 0, 2, -1]  # Cluster 2 is even: the lower label.


def test_clustering_scores_worked_out_by_hand():
    perfect = evaluation.clustering_scores(np.array([5, 5, 2, 2]), np.array([0, 0, 1, 1]))
    assert perfect == {
        "normalized_mutual_information": pytest.approx(1),
        "adjusted_rand_index": pytest.approx(1),
        "clusters_in_use": 2,
    }
    # Independent: no information, and 0 pairs agree where 2 * 2 / 6 are expected of at most 2.
    independent = evaluation.clustering_scores(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
    assert independent["normalized_mutual_information"] == pytest.approx(0, abs=1e-9)
    assert independent["adjusted_rand_index"] == pytest.approx((0 - 2 / 3) / (2 - 2 / 3))


def test_the_error_of_clusters_is_that_of_their_names(monkeypatch):
    evaluator = evaluation.Evaluator(make("clustering"))
    guesses = {2: [0, 1, 1, 3], 3: [0, 0, 1, 1, 1, 2]}

    def predict(split):
        clusters = np.array(guesses[int(split.x.max())])
        if len(split.x) < len(clusters):
            clusters = clusters[: len(split.x)]
        return {"cluster_probabilities": np.eye(4)[clusters], "squared_error": np.zeros(1)}

    monkeypatch.setattr(evaluator, "predict", predict)
    split = data.Split(np.full((4, *SHAPE), 2, np.uint8), np.array([0, 1, 0, 2]))
    naming = data.Split(np.full((6, *SHAPE), 3, np.uint8), np.array([2, 0, 1, 1, 0, 1]))
    # The split's own names: 0 -> 0, 1 -> 0 (even), 3 -> 2. The others': 0 -> 0, 1 -> 1, 3 -> none.
    assert evaluator.evaluate(split)["error_rate"] == pytest.approx(1 / 4)
    numbers = evaluator.evaluate(split, naming)
    assert numbers["error_rate"] == pytest.approx(2 / 4)
    assert numbers["clusters_in_use"] == 3


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


def test_the_contours_of_a_gaussian_are_circles_of_half_nine_tenths_and_all_but_a_hundredth():
    gaussian = priors.get("gaussian", 2)
    samples = gaussian.sample(100_000, seed=(0, 1)).numpy()
    lines = figures.contours(samples, lambda z: gaussian.log_prob(z).numpy(), 5.0)
    radii = sorted(np.hypot(*line.T).mean() for line in lines)
    # |z|^2 is exponential with mean 2: a share p lies within sqrt(-2 log(1 - p)).
    np.testing.assert_allclose(radii, [1.1774, 2.1460, 3.0349], rtol=0.02)
    for line in lines:
        assert np.ptp(np.hypot(*line.T)) < 0.01


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
    if model.category:
        expected.add({"class": "style_against_class", "cluster": "clusters"}[model.category])
    elif style_size == 2:
        expected.add("walk")
    if model.tells == "class":
        expected |= {"confusion", "worst_mistakes"}
    if name.startswith("dimreduce"):
        expected.add("representation")
    assert set(drawn) == expected


def test_mistakes_are_counted_by_class_and_the_surest_come_first(monkeypatch):
    evaluator = evaluation.Evaluator(make("semisup"))
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.95, 0, 0.05], [0, 0.2, 0.8], [0, 1, 0]]
    )
    split = data.Split(bars(5)[0], np.array([0, 0, 1, 1, -1]))
    drawn = gallery._mistakes(evaluator, split, {"class_probabilities": probabilities}, "abc")
    shown = {text.get_text() for text in drawn["confusion"].axes[0].texts}
    assert shown == {"1"}
    places = {text.get_position() for text in drawn["confusion"].axes[0].texts}
    assert places == {(0, 0), (1, 0), (0, 1), (2, 1)}  # (given, class)
    captions = [axes.get_title() for axes in drawn["worst_mistakes"].axes]
    assert captions == ["a, not b", "c, not b", "b, not a"]


def test_clusters_show_their_head_their_members_and_their_name():
    model = make("clustering")
    split = data.Split(*bars(30))
    evaluator = evaluation.Evaluator(model)
    predictions = evaluator.predict(split)
    dataset = data.Dataset(split, split, split, "abc")
    axes = gallery._clusters(evaluator, dataset, split, predictions).axes[0]
    names = evaluator.cluster_names(split)
    rows = [text.get_text() for text in axes.get_yticklabels()]
    assert rows == [f"{i}: {'abc'[n] if n >= 0 else '-'}" for i, n in enumerate(names)]
    canvas = axes.images[0].get_array()
    cluster = int(evaluator.guesses(predictions)[0])
    top = cluster * 13
    np.testing.assert_allclose(canvas[top : top + 12, 13:25], split.x[0, ..., 0] / 255, atol=1e-6)
    head = {"cluster_probabilities": tf.one_hot([cluster], 4), "style": tf.zeros([1, 2])}
    np.testing.assert_allclose(
        canvas[top : top + 12, :12], model.decode(head)[0, ..., 0], atol=1e-6
    )


def test_clusters_of_examples_without_labels_have_no_name():
    model = make("clustering")
    images, _ = bars(30)
    split = data.Split(images, np.full(30, data.UNLABELLED, np.int32))
    evaluator = evaluation.Evaluator(model)
    assert set(evaluator.evaluate(split)) == {"reconstruction_mse"}
    drawn = gallery.draw(evaluator, data.Dataset(split, split, split, ()), {}, [])
    rows = [text.get_text() for text in drawn["clusters"].axes[0].get_yticklabels()]
    assert rows == ["0: -", "1: -", "2: -", "3: -"]


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
