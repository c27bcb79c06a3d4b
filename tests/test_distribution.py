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
from keras_aae.models import phases
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


def train(strategy, name, steps=3, **settings):
    """A model trained on the same global batches, with SGD and fixed prior draws."""
    with strategy.scope():
        model = make(name, **settings)
        for latent in model.latents:
            latent.sample = lambda count, seed, size=latent.size: tf.ones([count, size])
        for phase in model.phases:
            if adversary := getattr(phase, "adversary", None):
                adversary.sample = lambda batch, size=adversary.latent.size: tf.ones(
                    [tf.shape(batch.x)[0], size]
                )
        model.compile(keras.optimizers.SGD(0.1))
    size = 0 if model.decodes_labels else 12
    batches = data.minibatches(dataset(), batch_size=size, labelled_batch_size=6)
    model.fit(batches, steps_per_epoch=steps, verbose=0)
    return model


@pytest.mark.parametrize(
    ("name", "rule"), [*((name, "joint") for name in models.NAMES), ("dimreduce", "sequential")]
)
def test_one_and_two_replicas_make_equal_steps(name, rule, monkeypatch):
    settings = {"update_rule": rule}
    if "agreement_weight" in models.VARIANTS[name].settings:
        settings["views"] = augmentation.Affine(0, 0, 0, 0)
    for draw in ("stateless_normal", "stateless_uniform"):  # Replicas draw different numbers.
        monkeypatch.setattr(tf.random, draw, lambda shape, *arguments, **named: tf.fill(shape, 0.5))
    one = train(tf.distribute.get_strategy(), name, **settings)
    two = train(two_replicas(), name, **settings)
    for first, second in zip(one.variables, two.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-4, atol=1e-6)


def test_batch_statistics_are_those_of_the_global_batch():
    settings = {"network": "conv", "discriminator_noise": 0.0, "sliced_weight": 0.0}
    one = train(tf.distribute.get_strategy(), "aae", steps=1, **settings)
    two = train(two_replicas(), "aae", steps=1, **settings)
    for first, second in zip(one.encoder.variables, two.encoder.variables, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-3, atol=1e-5)


def test_replicas_draw_different_prior_samples_and_noise():
    strategy = two_replicas()
    with strategy.scope():
        model = make("aae")
        model.compile(keras.optimizers.SGD(0.0))
    drawn = {}

    class Spy(phases.Phase):
        def networks(self, model):
            return (model.encoder,)

        def loss(self, model, batch, code):
            sample = model.priors["style"].sample(4, seed=batch.seeds("style prior"))
            drawn[threading.get_ident()] = sample  # A thread for each replica.
            return tf.reduce_sum(sample, axis=1)

    model.phases = (Spy("generation"),)
    model.compile(keras.optimizers.SGD(0.0))

    @tf.function
    def run():
        batch = {"x": tf.zeros([4, 12, 12, 1], tf.uint8), "y": tf.fill([4], -1)}

        def replica():
            model.train_step(batch)
            return drawn[threading.get_ident()]

        return strategy.run(replica)

    first, second = strategy.experimental_local_results(run())
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_fit_gives_each_replica_its_share_of_labelled_examples(steps_per_execution):
    """A model built in scope, fitted as a Keras user does."""
    strategy = two_replicas()
    with strategy.scope():
        model = make("semisup")
        model.compile(keras.optimizers.SGD(0.1), steps_per_execution=steps_per_execution)
    seen = []
    original = model._batch

    def spy(given, seeds, training):
        batch = original(given, seeds, training=training)
        tf.py_function(lambda labels: seen.append(labels.numpy()), [batch.y], [])
        return batch

    model._batch = spy
    model.fit(
        data.minibatches(dataset(), batch_size=12, labelled_batch_size=6),
        steps_per_epoch=2,
        verbose=0,
    )
    assert int(model.step.numpy()) == 2
    assert [len(labels) for labels in seen] == [9] * 4
    assert [(labels >= 0).sum() for labels in seen] == [3] * 4


def test_what_keras_would_cut_in_parts_is_refused_with_what_to_do():
    strategy = two_replicas()
    with strategy.scope():
        model = make("semisup")
        model.compile(keras.optimizers.SGD(0.1))
    x, y = bars(16)
    with pytest.raises(ValueError, match=r"keras_aae\.data\.minibatches.*2 replicas"):
        model.fit(x, y)
    with pytest.raises(ValueError, match="jit_compile=False with 2 replicas"):
        make_in(strategy, "aae").compile("sgd", jit_compile=True)


def make_in(strategy, name):
    with strategy.scope():
        return make(name)


def test_replicas_stay_identical():
    model = train(two_replicas(), "semisup")
    for variable in model.encoder.trainable_variables:
        copies = variable.value.values
        np.testing.assert_array_equal(*[copy.numpy() for copy in copies])


def test_auto_is_a_single_device_without_gpus():
    assert runtime.Runtime("auto").strategy.num_replicas_in_sync == 1
    assert runtime.Runtime("single").strategy.num_replicas_in_sync == 1
    assert isinstance(runtime.Runtime("mirrored").strategy, tf.distribute.MirroredStrategy)


@pytest.mark.parametrize("name", ["semisup", "clustering"])
@pytest.mark.parametrize("count", [33, 40])
def test_two_replicas_measure_what_one_does(name, count):
    """Also where a replica gets none of the last examples."""
    images, labels = bars(count)
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            model = make(name)
            model.compile()
        found.append(model.evaluate(images, labels, batch_size=8, verbose=0, return_dict=True))
    assert found[0].keys() == found[1].keys()
    assert "error_rate" in found[0]
    # A discriminator draws its samples of the prior for each replica.
    for key in found[0].keys() - {"discrimination", "generation"}:
        assert found[1][key] == pytest.approx(found[0][key], rel=1e-5), key
    assert np.isfinite(list(found[1].values())).all()


def test_mirrored_models_of_other_shapes_train_one_after_the_other():
    """As in a sweep: the second strategy of a process numbered its operations like the first."""
    for size in (2, 3):
        with runtime.Runtime("mirrored").strategy.scope():
            model = make("aae", style_size=size)
            model.compile(keras.optimizers.SGD(0.1))
        model.fit(data.minibatches(dataset(), batch_size=12), steps_per_epoch=2, verbose=0)
        assert int(model.step.numpy()) == 2
