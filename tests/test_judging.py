"""What a classifier that was trained by itself says of generated examples."""

import types

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_models import make

from keras_aae import data
from keras_aae.evaluation import features
from keras_aae.evaluation import judging


def generator(size=3):
    """Generates images as bright as the value that is chosen, in fifths."""

    def generate(seeds, values):
        del seeds
        brightness = tf.reshape(tf.cast(values, tf.float32) / 5, [-1, 1, 1, 1])
        return tf.tile(brightness, [1, 2, 2, 1])

    latent = types.SimpleNamespace(size=size)
    about = {"prediction": "class", "example_shape": (2, 2, 1), "class_names": ()}
    return types.SimpleNamespace(categorical=latent, generate=generate, **about)


def test_clusters_that_stand_for_no_class_are_refused():
    with pytest.raises(ValueError, match="expected validation examples with labels"):
        judging.class_consistency(generator(), reader(), np.full(3, -1), count=6)


def reader(mistaken=(), **changes):
    """Reads the brightness of bytes, and takes some values for the next one."""

    def classify(images):
        assert images.dtype == tf.uint8
        values = np.rint(images.numpy()[:, 0, 0, 0] / 51).astype(int)
        return {"class": tf.constant(values + np.isin(values, mistaken))}

    described = {"prediction": "class", "example_shape": (2, 2, 1), "class_names": ()}
    described["categorical"] = types.SimpleNamespace(size=3)
    spec = tf.TensorSpec([None, 2, 2, 1], tf.uint8)
    return types.SimpleNamespace(classify=classify, example_spec=spec, **{**described, **changes})


def test_the_share_is_that_of_the_classes_that_the_judge_reads():
    found = judging.class_consistency(generator(), reader(mistaken=[2]), count=10)
    assert found == {"share": 0.7, "by_value": [1.0, 1.0, 0.0]}
    found = judging.class_consistency(generator(), reader(), count=1001)
    assert found == {"share": 1.0, "by_value": [1.0, 1.0, 1.0]}


def test_a_cluster_is_read_as_the_class_that_it_stands_for():
    names = np.array([1, 1, -1, 3])
    found = judging.class_consistency(generator(4), reader(mistaken=[0]), names, count=8)
    assert found == {"share": 0.75, "by_value": [1.0, 1.0, 0.0, 1.0]}


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (reader(prediction="cluster"), "a judge whose encoder gives classes"),
        (reader(categorical=None), "a judge whose encoder gives classes"),
        (
            reader(example_shape=(3, 2, 1)),
            r"same example shape: \(2, 2, 1\). Received: \(3,",
        ),
        (reader(class_names=("a", "b")), "same class names"),
    ],
)
def test_a_judge_of_something_else_is_refused(judge, said):
    with pytest.raises(ValueError, match=said):
        judging.check(generator(), judge)


@pytest.mark.parametrize("name", ["aae", "clustering"])
def test_the_names_of_classes_do_not_matter_to_a_model_that_has_none(name):
    judging.check(make(name), make("semisup", class_names=("a", "b", "c")))


def test_the_kernel_distance_is_that_worked_out_by_hand():
    first, second = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (0 * 1 + 1)^3 = 1 and (2 * 3 + 1)^3 = 343 within; 1, 1, 3^3 and 4^3 between.
    assert judging.kernel_distance(first, second) == pytest.approx(1 + 343 - 2 * 93 / 4)


def test_a_feature_is_constant_though_its_mean_is_rounded():
    values = np.tile(np.float32([0.1, 1e-20, 0, 3e7]), (4000, 1))
    assert values.std(axis=0).any()
    np.testing.assert_array_equal(features.deviation(values), np.ones(4))
    values[::2, 0] = 0.3
    np.testing.assert_allclose(features.deviation(values), [0.1, 1, 1, 1], rtol=1e-6)


def test_equal_examples_have_a_finite_distance():
    same = data.Split(np.repeat(bars(1)[0], 40, axis=0), np.zeros(40, int))
    judge = make("semisup", seed=1)
    found = judging.kernel_distances(make("aae"), judge, same)
    assert np.isfinite(list(found.values())).all()
    with pytest.raises(ValueError, match="infinity"):
        judging.kernel_distance(np.full((2, 1), np.inf, np.float32), np.zeros((2, 1)))


def test_the_kernel_distance_of_large_features_is_that_of_double_precision():
    first, second = (np.random.default_rng(n).normal(100, 1, (50, 4)) for n in range(2))
    exact = judging.kernel_distance(first.astype(np.float32).astype(float), second)
    found = judging.kernel_distance(first.astype(np.float32), second)
    assert found == exact


def test_features_are_single_precision_whatever_the_judge_computes_in():
    assert features.features(make("semisup", dtype="mixed_bfloat16"), bars(5)[0]).dtype == "float32"


def test_features_of_an_encoder_without_layers_of_its_own_are_refused():
    class Encoder(keras.Model):
        pass

    judge = types.SimpleNamespace(categorical=True, averaged_encoder=Encoder())
    with pytest.raises(ValueError, match=r"a functional encoder\. Received: Encoder"):
        features.features(judge, bars(5)[0])


def test_features_are_what_the_logits_are_made_of():
    model, (images, _) = make("semisup"), bars(5)
    seen = features.features(model, images)
    weights, bias = model.averaged_encoder.get_layer("class_logits").get_weights()
    logits = model.encode(images, logits=True)["class_logits"]
    np.testing.assert_allclose(seen @ weights + bias, logits, rtol=1e-4, atol=1e-5)


def test_real_examples_are_nearer_to_others_than_those_of_an_untrained_model():
    judge = make("semisup", seed=1)
    found = judging.kernel_distances(make("aae"), judge, data.Split(*bars(200)))
    assert abs(found["real"]) < 0.05 * found["generated"]
    with pytest.raises(ValueError, match=r"expected 4 test examples or more\. Received: 3"):
        judging.kernel_distances(make("aae"), judge, data.Split(*bars(3)))


@pytest.mark.parametrize(
    ("name", "count", "measured"),
    [
        ("aae", 4, ["kernel_distance"]),
        ("clustering", 4, ["kernel_distance"]),
        ("semisup", 3, ["class_consistency"]),
    ],
)
def test_a_judge_says_what_can_be_said(name, count, measured):
    model, images = make(name), np.zeros((count, 12, 12, 1), np.uint8)
    held_out = data.Split(images, np.full(count, data.UNLABELLED))
    examples = data.Dataset(held_out, held_out, held_out, model.class_names)
    assert [*judging.measure(model, make("semisup", seed=1), examples)] == measured


def test_a_judge_that_can_say_nothing_is_refused():
    images = data.Split(np.zeros((3, 12, 12, 1), np.uint8), np.full(3, data.UNLABELLED))
    with pytest.raises(ValueError, match="expected a model with classes, or 4 test examples"):
        judging.measure(make("aae"), make("semisup"), data.Dataset(images, images, images, ()))
