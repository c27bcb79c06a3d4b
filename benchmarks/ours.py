"""Our training step: with the pipeline, the running means of losses and the averaged weights."""

from collections.abc import Callable
import time

from absl import flags
import tensorflow as tf

from benchmarks import cases
from benchmarks import examples
from keras_aae import assembly
from keras_aae import launch
from keras_aae.models import networks as networks_lib
from keras_aae.training import loop


def joint(case: cases.Case) -> Callable[[int], float]:
    """One optimizer step for the autoencoder, one for the discriminators."""
    return _step(case, "joint")


def sequential(case: cases.Case) -> Callable[[int], float]:
    """One phase after the other, as in the paper."""
    return _step(case, "sequential")


def _step(case: cases.Case, update_rule: str) -> Callable[[int], float]:
    values = flags.FlagValues()
    launch.define_flags(values)
    given = {**case.flags, "update_rule": update_rule}
    config = launch.read_config(["", *(f"--{flag}={each}" for flag, each in given.items())], values)
    dataset = assembly.load_data(config)
    model = assembly.build_model(config, dataset)
    # What `fit` calls for each step; that it begins takes as long as ten steps, once a run.
    batches = iter(loop.minibatches(dataset, config))
    step = model.make_train_function()

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step(batches)
        return time.perf_counter() - start

    return seconds


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

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            gradients()[-1].numpy()
        return time.perf_counter() - start

    return seconds
