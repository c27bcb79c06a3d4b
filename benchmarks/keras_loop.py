"""A loop as tutorials write it: Keras models, a compiled step, three gradient tapes."""

from collections.abc import Callable

import keras
import tensorflow as tf

from benchmarks import cases
from benchmarks import examples
from benchmarks import timing


def _dense(inputs: int, outputs: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(cases.WIDTH, activation="relu"),
            keras.layers.Dense(cases.WIDTH, activation="relu"),
            keras.layers.Dense(outputs),
        ]
    )


def loop(case: cases.Case) -> Callable[[int], float]:
    """Reconstruction, discrimination and generation, in turn."""
    size, batch = case.flags["style_size"], case.flags["batch_size"]
    encoder, decoder = _dense(784, size), _dense(size, 784)
    discriminator = _dense(size, 1)
    own, adversary, generator = (keras.optimizers.Adam(1e-3, beta_1=0.5) for _ in range(3))
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    ones, zeros = tf.ones([batch, 1]), tf.zeros([batch, 1])

    @tf.function
    def step(images: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = entropy(images, decoder(encoder(images, training=True), training=True))
        trained = encoder.trainable_variables + decoder.trainable_variables
        own.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        codes, samples = encoder(images, training=True), tf.random.normal([batch, size])
        with tf.GradientTape() as tape:
            loss = entropy(ones, discriminator(samples)) + entropy(zeros, discriminator(codes))
        trained = discriminator.trainable_variables
        adversary.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        with tf.GradientTape() as tape:
            loss = entropy(ones, discriminator(encoder(images, training=True)))
        trained = encoder.trainable_variables
        generator.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))

    images = examples.images(case).reshape(-1, 784)
    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).repeat()
    batches = iter(dataset.batch(batch, drop_remainder=True).prefetch(2))

    return timing.repeated(lambda: step(next(batches)))
