"""Adam by one operation: Keras's numbers, wherever it runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_distribution import two_replicas

from keras_aae.models import optimizers

GRADIENTS = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)


def trained(kind, run, strategy=None):
    """A variable after five steps with fixed gradients, and the moments; `run` wraps a step."""
    with (strategy or tf.distribute.get_strategy()).scope():
        optimizer = kind(keras.optimizers.schedules.CosineDecay(0.1, 5), beta_1=0.5, epsilon=1e-3)
        variable = keras.Variable(np.ones((2, 3), np.float32))
        optimizer.build([variable])

    @run
    def step(gradient):
        optimizer.apply([gradient], [variable])

    for gradient in GRADIENTS:
        step(tf.constant(gradient))
    return [np.asarray(each) for each in (variable, *optimizer.variables[2:])]


def on_two_replicas(strategy):
    """Wraps a step to run on both, each with half of the gradient: optimizers add them up."""

    def half(step):
        return lambda gradient: step(gradient / 2)

    return lambda step: tf.function(lambda gradient: strategy.run(half(step), args=(gradient,)))


@pytest.mark.parametrize("where", ["eager", "graph", "xla", "mirrored"])
def test_adam_gives_the_numbers_of_keras(where):
    strategy = two_replicas() if where == "mirrored" else None
    run = {
        "eager": lambda step: step,
        "graph": tf.function,
        "xla": lambda step: tf.function(step, jit_compile=True),
        "mirrored": on_two_replicas(strategy),
    }[where]
    expected = trained(keras.optimizers.Adam, lambda step: step)
    for found, wanted in zip(trained(optimizers.Adam, run, strategy), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_the_first_step_of_adam_is_the_learning_rate_wide():
    optimizer = optimizers.Adam(0.01)
    variable = keras.Variable([1.0, 1.0])
    optimizer.apply([tf.constant([3.0, -0.2])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.99, 1.01], rtol=1e-5)


def test_adam_comes_back_as_it_was_saved():
    saved = keras.saving.serialize_keras_object(optimizers.Adam(0.02, beta_1=0.3))
    loaded = keras.saving.deserialize_keras_object(saved)
    assert type(loaded) is optimizers.Adam
    assert (float(loaded.learning_rate), loaded.beta_1) == (pytest.approx(0.02), 0.3)


def test_what_adam_cannot_do_is_refused():
    with pytest.raises(ValueError, match="Expected amsgrad=False"):
        optimizers.Adam(amsgrad=True)
