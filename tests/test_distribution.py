import threading

from conftest import bars
import keras
import numpy as np
import pytest
import tensorflow as tf
from test_models import make

from keras_aae import data
from keras_aae import models
from keras_aae.data import augmentation
from keras_aae.models import categorical
from keras_aae.models import networks
from keras_aae.models import seeds
from keras_aae.training import runtime


def two_replicas():
    # The default cross-device ops mix up the collectives of several strategies in one process.
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def dataset():
    x, y = bars(48)
    split = data.Split(x, y)
    return data.Dataset(split, split, split, tuple("abc"))


def train(strategy, name, updates=3, **settings):
    """A model trained on the same global batches, with SGD and fixed prior draws."""
    with strategy.scope():
        model = make(name, **settings)
        model.sample_for = lambda part, batch: tf.ones([tf.shape(batch.x)[0], model.parts[part]])
        model.compile(keras.optimizers.SGD(0.1))
    batches = runtime.distribute(
        strategy,
        lambda context: data.minibatches(
            dataset(), batch_size=12, labelled_batch_size=6, context=context
        ),
    )
    model.fit(batches, steps_per_epoch=updates, verbose=0, shuffle=False)
    return model


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("update", ["joint", "sequential"])
def test_one_and_two_replicas_make_equal_updates(name, update, monkeypatch):
    settings = {"update": update}
    if issubclass(models.get(name), categorical.CategoricalAAE):
        settings["views"] = augmentation.Affine(0, 0, 0, 0)
    if name == "vae":
        monkeypatch.setattr(seeds.Seeds, "normal", lambda self, shape, stream: tf.ones(shape))
    else:
        settings["discriminator_noise"] = 0.0
    one = train(tf.distribute.get_strategy(), name, **settings)
    two = train(two_replicas(), name, **settings)
    for first, second in zip(one.variables, two.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-4, atol=1e-6)


def test_batch_statistics_are_those_of_the_global_batch():
    settings = {"network": networks.CONV, "discriminator_noise": 0.0}
    one = train(tf.distribute.get_strategy(), "aae", updates=1, **settings)
    two = train(two_replicas(), "aae", updates=1, **settings)
    for first, second in zip(one.encoder.variables, two.encoder.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-3, atol=1e-5)


def test_replicas_draw_different_prior_samples_and_noise():
    strategy = two_replicas()
    with strategy.scope():
        model = make("aae")
        model.compile(keras.optimizers.SGD(0.0))
    drawn = {}

    def spy(name, batch, code):
        sample = model.priors["style"].sample(4, seed=batch.seeds("prior"))
        drawn[threading.get_ident()] = sample  # A thread for each replica.
        return tf.reduce_sum(sample, axis=1)

    model.generation = spy

    @tf.function
    def run():
        batch = {"x": tf.zeros([4, 12, 12, 1], tf.uint8), "y": tf.fill([4], -1)}

        def replica():
            model.train_step(batch)
            return drawn[threading.get_ident()]

        return strategy.run(replica)

    first, second = strategy.experimental_local_results(run())
    assert not np.array_equal(first, second)


def test_replicas_stay_identical():
    model = train(two_replicas(), "semisup")
    for variable in model.encoder.trainable_variables:
        copies = variable.value.values
        np.testing.assert_array_equal(*[copy.numpy() for copy in copies])


def test_auto_is_a_single_device_without_gpus():
    assert runtime.get("auto").num_replicas_in_sync == 1
    assert runtime.get("single").num_replicas_in_sync == 1
    assert isinstance(runtime.get("mirrored"), tf.distribute.MirroredStrategy)
