"""Our training step: with the pipeline, the running means of losses and the averaged weights."""

from collections.abc import Callable
import dataclasses
import pathlib
import tempfile

from absl import flags
import numpy as np
import tensorflow as tf

from benchmarks import cases
from benchmarks import examples
from benchmarks import timing
from keras_aae import assembly
from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import launch
from keras_aae.models import networks as networks_lib
from keras_aae.training import loop


def joint(case: cases.Case) -> Callable[[int], float]:
    """One optimizer step for the autoencoder, one for the discriminators."""
    return _step(_config(case, "joint"))


def sequential(case: cases.Case) -> Callable[[int], float]:
    """One phase after the other, as in the paper."""
    return _step(_config(case, "sequential"))


def half_batch(case: cases.Case) -> Callable[[int], float]:
    """Of half as many images."""
    return _step(_resized(_config(case, "joint"), 0.5))


def twice_the_batch(case: cases.Case) -> Callable[[int], float]:
    """Of twice as many images."""
    return _step(_resized(_config(case, "joint"), 2))


def four_times_the_batch(case: cases.Case) -> Callable[[int], float]:
    """Of four times as many images."""
    return _step(_resized(_config(case, "joint"), 4))


def on_the_disk(case: cases.Case) -> Callable[[int], float]:
    """With images that are read from a .npz file as they are needed."""
    config = _config(case, "joint")
    whole = data.load(config.dataset)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "images.npz")
        x = np.concatenate([whole.train.x, whole.validation.x])
        np.savez(path, x_train=x, y_train=np.concatenate([whole.train.y, whole.validation.y]))
        # What is opened stays readable when its folder is gone.
        return _step(dataclasses.replace(config, dataset=str(path), max_memory=0.001))


def _config(case: cases.Case, update_rule: str) -> config_lib.Config:
    values = flags.FlagValues()
    launch.define_flags(values)
    given = {**case.flags, "update_rule": update_rule}
    return launch.read_config(["", *(f"--{flag}={each}" for flag, each in given.items())], values)


def _resized(config: config_lib.Config, factor: float) -> config_lib.Config:
    names = ("batch_size", "labelled_batch_size")
    sizes = {name: round(factor * getattr(config, name)) for name in names}
    return dataclasses.replace(config, **sizes)


def _step(config: config_lib.Config) -> Callable[[int], float]:
    dataset = assembly.load_data(config)
    model = assembly.build_model(config, dataset)
    # What `fit` calls for each step; that it begins takes as long as ten steps, once a run.
    batches = iter(loop.minibatches(dataset, config))
    step = model.make_train_function()
    return timing.repeated(lambda: step(batches))


def networks(case: cases.Case) -> Callable[[int], float]:
    """Reconstruction by the networks alone, forward and backward, without an optimizer."""
    images = tf.constant(examples.images(case)[: cases.IMAGES])
    shape = tuple(images.shape[1:])
    family = networks_lib.get(case.flags["network"], shape)
    encoder = family.encoder(shape, {"code": 20})
    decoder = family.decoder(20, shape)
    variables = encoder.trainable_variables + decoder.trainable_variables

    @tf.function
    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            code = encoder(images, training=True)["code"]
            logits = decoder(code, training=True)
            loss = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
            loss = tf.reduce_mean(loss)
        return tape.gradient(loss, [variable.value for variable in variables])

    return timing.repeated(lambda: gradients()[-1].numpy())
