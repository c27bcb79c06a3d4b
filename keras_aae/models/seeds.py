"""The seeds of random draws in a training step."""

import tensorflow as tf

from keras_aae import streams


class Seeds:
    """The seeds of one step's draws on one replica, for TensorFlow's stateless operations.

    Args:
        seed: The seed of the run.
        step: The number of the step, an integer scalar.
        replica: The number of the replica, an integer scalar.
        part: Stands before the names of all streams.
    """

    def __init__(self, seed: int, step: tf.Tensor, replica: tf.Tensor | int = 0, part: str = ""):
        self._arguments = seed, step, replica
        self._part = part
        base = tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)])
        self._base = tf.random.fold_in(base, replica)

    def __call__(self, stream: str) -> tf.Tensor:
        """The seed of a stream, int32 [2]; the same at each call."""
        return tf.random.fold_in(self._base, streams.name_hash(self._part + stream))

    def within(self, part: str) -> "Seeds":
        """Seeds for a part of the step that draws what other parts draw too, like a phase."""
        return Seeds(*self._arguments, part=f"{self._part}{part}/")

    def normal(self, shape: tf.Tensor, stream: str) -> tf.Tensor:
        """Standard Gaussian numbers, float32, of that shape."""
        return tf.random.stateless_normal(shape, self(stream))

    def noise(self, x: tf.Tensor, stddev: float, stream: str) -> tf.Tensor:
        """`x` with Gaussian noise added."""
        return x + stddev * self.normal(tf.shape(x), stream) if stddev else x
