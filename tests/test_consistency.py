"""Whether generated examples show the class that they were generated for."""

import types

import numpy as np
import pytest
import tensorflow as tf
from test_models import make

from keras_aae.evaluation import consistency


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
        consistency.class_consistency(generator(), reader(), np.full(3, -1), count=6)


def reader(mistaken=(), **changes):
    """Reads the brightness of bytes, and takes some values for the next one."""

    def classify(images):
        assert images.dtype == tf.uint8
        values = np.rint(images.numpy()[:, 0, 0, 0] / 51).astype(int)
        return {"class": tf.constant(values + np.isin(values, mistaken))}

    described = {"prediction": "class", "example_shape": (2, 2, 1), "class_names": ()}
    spec = tf.TensorSpec([None, 2, 2, 1], tf.uint8)
    return types.SimpleNamespace(classify=classify, example_spec=spec, **{**described, **changes})


def test_the_share_is_that_of_the_classes_that_the_judge_reads():
    found = consistency.class_consistency(generator(), reader(mistaken=[2]), count=10)
    assert found == {"share": 0.7, "by_value": [1.0, 1.0, 0.0]}
    found = consistency.class_consistency(generator(), reader(), count=1001)
    assert found == {"share": 1.0, "by_value": [1.0, 1.0, 1.0]}


def test_a_cluster_is_read_as_the_class_that_it_stands_for():
    names = np.array([1, 1, -1, 3])
    found = consistency.class_consistency(generator(4), reader(mistaken=[0]), names, count=8)
    assert found == {"share": 0.75, "by_value": [1.0, 1.0, 0.0, 1.0]}


@pytest.mark.parametrize(
    ("judge", "said"),
    [
        (reader(prediction="cluster"), "a judge that predicts classes"),
        (
            reader(example_shape=(3, 2, 1)),
            r"same example shape: \(2, 2, 1\). Received: \(3,",
        ),
        (reader(class_names=("a", "b")), "same class names"),
    ],
)
def test_a_judge_of_something_else_is_refused(judge, said):
    with pytest.raises(ValueError, match=said):
        consistency.class_consistency(generator(), judge)


def test_a_model_without_a_class_to_choose_is_refused():
    with pytest.raises(ValueError, match="generates by class or cluster"):
        consistency.class_consistency(make("label_informed"), reader())
