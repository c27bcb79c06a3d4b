"""What a classifier that was trained by itself says of generated examples."""

import types

from conftest import bars
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
    return types.SimpleNamespace(
        categorical=latent, generate=generate, example_shape=(2, 2, 1), class_names=()
    )


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


def test_the_names_of_classes_do_not_matter_to_a_model_that_has_none():
    judging.check(make("aae"), make("semisup", class_names=("a", "b", "c")))


def test_the_kernel_distance_is_that_worked_out_by_hand():
    first, second = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # (0 * 1 + 1)^3 = 1 and (2 * 3 + 1)^3 = 343 within; 1, 1, 3^3 and 4^3 between.
    assert judging.kernel_distance(first, second) == pytest.approx(1 + 343 - 2 * 93 / 4)


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
