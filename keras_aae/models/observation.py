"""How raw data enters the graph, and what a decoder's output says about it.

Preprocessing is part of the model, so whoever feeds it, in training or as a served SavedModel,
sends raw data.
"""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_aae.data import images
from keras_aae.data import rows
from keras_aae.models import checks
from keras_aae.models import defaults
from keras_aae.models import losses

_IMAGES = "Expected images of dtype uint8, or float in [0, 1]"
_UNIT_RANGE = "Expected float images in [0, 1]; divide bytes by 255"
_FINITE = "Expected features that are finite numbers"
_LARGEST = float(np.finfo(np.float32).max)


class Observation(abc.ABC):
    """The distribution of an example given the decoder's output.

    Attributes:
        dtype: The dtype of raw examples.
        name: What an example is called in exported signatures.
    """

    dtype: tf.DType
    name: str

    @abc.abstractmethod
    def normalize(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Raw examples as the encoder takes them, float32.

        Raises:
            ValueError: a value is out of its range; inside a compiled function it is
                tf.errors.InvalidArgumentError.
        """

    def check(self, x: np.ndarray) -> None:
        """Raises a ValueError where `normalize` would. Override it to do without a copy."""
        self.normalize(x)

    @abc.abstractmethod
    def mean(self, output: tf.Tensor) -> tf.Tensor:
        """The expected example for a decoder's output: pixels in [0, 1], or features."""

    def reread(self, output: tf.Tensor) -> tf.Tensor:
        """The expected example as the encoder takes it, `normalize(mean(output))`.

        Overridden where `normalize` checks its input: numbers of a decoder that are not finite are
        no mistake in the data, and training finds them in the loss.
        """
        return self.normalize(self.mean(output))

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

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras to save."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Observation":
        """The observation with those arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_aae")
class Pixels(Observation):
    """uint8 images, or float ones in [0, 1]; the decoder gives the logits of pixels in [0, 1].

    Args:
        loss: `cross_entropy`, that of Bernoulli pixels in nats, or `squared_error`, the paper's.

    Raises:
        ValueError: there is no such loss.
    """

    dtype = tf.uint8
    name = "image"

    def __init__(self, loss: str = defaults.PIXEL_LOSS):
        if loss not in defaults.PIXEL_LOSSES:
            raise ValueError(
                f"Expected loss to be one of {defaults.PIXEL_LOSSES}. Received: loss={loss!r}"
            )
        self._loss = loss

    def normalize(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        x = tf.convert_to_tensor(x)
        if x.dtype.is_floating:
            x = tf.cast(x, tf.float32)
            return checks.checked(x, (x >= 0) & (x <= 1), _UNIT_RANGE, x)
        if x.dtype != tf.uint8:
            raise ValueError(f"{_IMAGES}. Received: {x.dtype.name}")
        return tf.cast(x, tf.float32) / images.WHITE

    def check(self, x: np.ndarray) -> None:
        if x.dtype.kind == "f":
            _check_range(x, 0, 1, _UNIT_RANGE)
        elif x.dtype != np.uint8:
            raise ValueError(f"{_IMAGES}. Received: {x.dtype.name}")

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(output)

    def reread(self, output: tf.Tensor) -> tf.Tensor:
        return self.mean(output)

    def squared_error(self, x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        return losses.squared_error(self.normalize(x), mean)

    def loss(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        if self._loss == "cross_entropy":
            return losses.bernoulli(target, output)
        return losses.squared_error(target, self.mean(output))

    def get_config(self) -> dict[str, Any]:
        return {"loss": self._loss}


@keras.saving.register_keras_serializable("keras_aae")
class Features(Observation):
    """float32 feature vectors, standardised in the graph; the decoder gives their expected values.

    Args:
        mean: The mean of each feature, [D].
        stddev: The standard deviation of each feature, [D]; that of a constant feature counts as 1,
            and so does one that is too small for float32 to divide by.
    """

    dtype = tf.float32
    name = "features"

    def __init__(self, mean: Sequence[float] | np.ndarray, stddev: Sequence[float] | np.ndarray):
        self._mean = np.asarray(mean, np.float32)
        stddev = np.asarray(stddev, np.float32)
        self._stddev = np.where(stddev >= np.finfo(np.float32).tiny, stddev, np.float32(1))

    def normalize(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        x = tf.cast(x, tf.float32)
        return self._standardized(checks.checked(x, tf.math.is_finite(x), _FINITE, x))

    def check(self, x: np.ndarray) -> None:
        if x.dtype.kind not in "biuf":
            raise ValueError(f"{_FINITE}. Received: {x.dtype.name}")
        _check_range(x, -_LARGEST, _LARGEST, _FINITE)

    def _standardized(self, x: tf.Tensor) -> tf.Tensor:
        return (x - self._mean) / self._stddev

    def mean(self, output: tf.Tensor) -> tf.Tensor:
        return output * self._stddev + self._mean

    def reread(self, output: tf.Tensor) -> tf.Tensor:
        return output

    def squared_error(self, x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        return losses.squared_error(self.normalize(x), self._standardized(mean))

    def loss(self, target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        return losses.squared_error(target, output)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self._mean.tolist(), "stddev": self._stddev.tolist()}


def of(x: rows.Examples, pixel_loss: str = defaults.PIXEL_LOSS) -> Observation:
    """The observation that fits examples.

    Args:
        x: uint8 images [N, H, W, C] or float features [N, D].
        pixel_loss: The `loss` of `Pixels`.
    """
    if x.ndim == 4:
        return Pixels(pixel_loss)
    features = np.asarray(x)
    # In float64: the squares of large features are beyond float32.
    return Features(features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64))


def of_shape(shape: tuple[int, ...]) -> Observation:
    """The observation of examples of that shape: images, or features on the scale they come in."""
    if len(shape) == 3:
        return Pixels()
    return Features(np.zeros(shape), np.ones(shape))


def _check_range(x: np.ndarray, low: float, high: float, message: str) -> None:
    """Raises a ValueError where a value is out of that range, or no number; makes no copy."""
    if not x.size:
        return
    lowest, highest = x.min(), x.max()
    if not (lowest >= low and highest <= high):
        raise ValueError(f"{message}. Received: {lowest} to {highest}")
