"""How raw data enters the graph, and what a decoder's output says about it.

Preprocessing is part of the model, so whoever feeds it, in training or as a served SavedModel,
sends raw data.
"""

import abc

import numpy as np
import tensorflow as tf

from keras_aae.models import losses


class Observation(abc.ABC):
    """The distribution of an example given the decoder's output.

    Attributes:
        dtype: The dtype of raw examples.
        name: What an example is called in exported signatures.
    """

    dtype: tf.DType
    name: str

    @abc.abstractmethod
    def normalize(self, x: tf.Tensor) -> tf.Tensor:
        """Raw examples as the encoder takes them, float32."""

    @abc.abstractmethod
    def mean(self, output: tf.Tensor) -> tf.Tensor:
        """The expected example for a decoder's output: pixels in [0, 1], or features."""

    @abc.abstractmethod
    def squared_error(self, x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        """The mean squared error of each example, [B], on the scale of `normalize`'s result.

        Args:
            x: Raw examples [B, ...].
            mean: Expected examples, from `mean`, [B, ...].
        """

    @abc.abstractmethod
    def loss(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """The reconstruction loss of each example, [B]: a mean over its pixels or features."""


class Pixels(Observation):
    """uint8 images, or float ones in [0, 1]; the decoder gives the logits of pixels in [0, 1].

    Args:
        loss: `cross_entropy`, that of Bernoulli pixels in nats, or `squared_error`, the paper's.

    Raises:
        ValueError: there is no such loss.
    """

    dtype = tf.uint8
    name = "image"

    def __init__(self, loss: str = "cross_entropy"):
        if loss not in ("cross_entropy", "squared_error"):
            raise ValueError(
                f"Expected loss='cross_entropy' or 'squared_error'. Received: loss={loss!r}"
            )
        self._loss = loss

    def normalize(self, x):
        x = tf.convert_to_tensor(x)
        return tf.cast(x, tf.float32) / (1.0 if x.dtype.is_floating else 255.0)

    def mean(self, output):
        return tf.sigmoid(output)

    def squared_error(self, x, mean):
        return losses.squared_error(self.normalize(x), mean)

    def loss(self, target, output):
        if self._loss == "cross_entropy":
            return losses.bernoulli(target, output)
        return losses.squared_error(target, self.mean(output))


class Features(Observation):
    """float32 feature vectors, standardised in the graph; the decoder gives their expected values.

    Args:
        mean: The mean of each feature, [D].
        stddev: The standard deviation of each feature, [D]; a constant feature counts as 1.
    """

    dtype = tf.float32
    name = "features"

    def __init__(self, mean: np.ndarray, stddev: np.ndarray):
        self._mean = np.asarray(mean, np.float32)
        self._stddev = np.where(np.asarray(stddev) > 0, stddev, 1.0).astype(np.float32)

    def normalize(self, x):
        return (tf.cast(x, tf.float32) - self._mean) / self._stddev

    def mean(self, output):
        return output * self._stddev + self._mean

    def squared_error(self, x, mean):
        return losses.squared_error(self.normalize(x), self.normalize(mean))

    def loss(self, target, output):
        return losses.squared_error(target, output)


def of(x: np.ndarray, pixel_loss: str = "cross_entropy") -> Observation:
    """The observation that fits examples.

    Args:
        x: uint8 images [N, H, W, C] or float features [N, D].
        pixel_loss: The `loss` of `Pixels`.
    """
    if x.dtype == np.uint8:
        return Pixels(pixel_loss)
    return Features(x.mean(axis=0), x.std(axis=0))
