from conftest import bars
import numpy as np
import pytest
import tensorflow as tf
from test_models import SHAPE
from test_models import make

from keras_aae import data
from keras_aae import evaluation


def test_the_error_rate_is_the_share_of_wrong_labelled_examples(monkeypatch):
    evaluator = evaluation.Evaluator(make("semisup"))
    predictions = {
        "class": np.array([0, 2, 1, 0]),
        "squared_error": np.array([0.1, 0.2, 0.3, 0.4]),
    }
    monkeypatch.setattr(evaluator, "predict", lambda split: predictions)
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
        return {"cluster": clusters, "squared_error": np.zeros(1)}

    monkeypatch.setattr(evaluator, "predict", predict)
    split = data.Split(np.full((4, *SHAPE), 2, np.uint8), np.array([0, 1, 0, 2]))
    naming = data.Split(np.full((6, *SHAPE), 3, np.uint8), np.array([2, 0, 1, 1, 0, 1]))
    # The split's own names: 0 -> 0, 1 -> 0 (even), 3 -> 2. The others': 0 -> 0, 1 -> 1, 3 -> none.
    assert evaluator.evaluate(split)["error_rate"] == pytest.approx(1 / 4)
    numbers = evaluator.evaluate(split, naming)
    assert numbers["error_rate"] == pytest.approx(2 / 4)
    assert numbers["clusters_in_use"] == 3
    unnamed = naming._replace(y=np.full(6, data.UNLABELLED))
    assert "error_rate" not in evaluator.evaluate(split, unnamed)


@pytest.mark.parametrize("count", [1, 500, 501])
def test_prediction_in_parts_is_prediction_of_the_whole(count):
    model = make("semisup")
    images, _ = bars(count)
    predictions = evaluation.Evaluator(model).predict(data.Split(images, np.zeros(count, np.int32)))
    expected = np.mean((model(images).numpy() - images / 255.0) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(predictions["squared_error"], expected, rtol=1e-5)


def test_no_examples_are_refused():
    none = data.Split(np.zeros((0, *SHAPE), np.uint8), np.zeros(0, np.int32))
    with pytest.raises(ValueError, match="Expected one example or more"):
        evaluation.Evaluator(make("aae")).evaluate(none)


def test_labels_of_another_shape_are_refused():
    images, labels = bars(4)
    with pytest.raises(ValueError, match=r"Expected labels \[4\]\. Received: \(4, 1\)"):
        evaluation.Evaluator(make("aae")).evaluate(data.Split(images, labels[:, None]))


def test_the_probe_reads_the_class_from_a_style_that_depends_on_it(monkeypatch):
    evaluator = evaluation.Evaluator(make("aae"))
    images, labels = bars(300)
    split = data.Split(images, labels)
    generator = np.random.default_rng(0)
    # The first style depends on the class, the second does not.
    for leak, low, high in ((3.0, 0.0, 0.1), (0.0, 0.5, 0.8)):
        centres = leak * np.stack([np.cos(labels * 2.1), np.sin(labels * 2.1)], axis=-1)
        style = centres + generator.normal(size=(300, 2)) * 0.5
        monkeypatch.setattr(evaluator, "predict", lambda _, style=style: {"style": style})
        errors = evaluator.style_probe(split, split)
        assert low <= errors["linear"] <= high
        assert low <= errors["mlp"] <= high
    fitting = data.Split(images[labels < 2], labels[labels < 2])
    probed = []

    def predict(each):
        probed.append(each)
        return {"style": np.zeros((len(each.x), 2))}

    monkeypatch.setattr(evaluator, "predict", predict)
    evaluator.style_probe(fitting, split)
    assert set(probed[1].y) == {0, 1}  # The third class can't be told from what is not there.
    unlabelled = data.Split(images, np.full(300, -1))
    assert evaluator.style_probe(split, unlabelled) is None


def test_a_supervised_model_reconstructs_with_the_label(monkeypatch):
    model = make("supervised")
    images, labels = bars(6)
    found = evaluation.Evaluator(model).predict(data.Split(images, labels))["squared_error"]

    def squared_error(given):
        return np.mean((model(images, tf.constant(given)) - images / 255.0) ** 2, axis=(1, 2, 3))

    np.testing.assert_allclose(found, squared_error(labels), rtol=1e-5)
    assert not np.allclose(found, squared_error((labels + 1) % 3), rtol=1e-4)


def test_the_reconstruction_of_a_decoder_that_receives_labels_is_over_labelled_examples_alone():
    evaluator = evaluation.Evaluator(make("supervised"))
    x, y = bars(12)
    few = np.where(np.arange(12) < 4, y, data.UNLABELLED)
    alone = evaluator.evaluate(data.Split(x[:4], y[:4]))["reconstruction_mse"]
    assert evaluator.evaluate(data.Split(x, few))["reconstruction_mse"] == pytest.approx(alone)
    assert evaluator.evaluate(data.Split(x, np.full(12, data.UNLABELLED))) == {}
