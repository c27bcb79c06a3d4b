"""The prior distributions p(z) and p(y) that codes are matched to, as TFP distributions.

Each has `event_shape` [size] and an empty `batch_shape`, and samples float32. The scale of all is
about one, so noise on a discriminator's input means the same under each.
"""

from collections.abc import Callable
import math

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

_REGISTERED: dict[str, Callable[[int], tfd.Distribution]] = {}
_PETALS = 10
_PETAL_RADIUS, _PETAL_LENGTH, _PETAL_WIDTH = 1.6, 0.5, 0.1  # Of the centres; standard deviations.
_ROLL_TURNS, _ROLL_RADIUS, _ROLL_WIDTH = (0.5, 2.5), 2.2, 0.06
_ROLL_STRETCHES, _ROLL_POINTS = 10, 25


def register(name: str) -> Callable[[Callable], Callable]:
    """A decorator that gives a prior a name, for `prior=`; models with it can be saved.

        @ka.priors.register("wide")
        def wide(size):
            return ka.priors.gaussian(size, stddev=5.0)

    The function takes the number of dimensions, gives a TFP distribution of event shape [size], and
    raises ValueError where it is not defined in so many.
    """

    def registered(make: Callable[[int], tfd.Distribution]) -> Callable[[int], tfd.Distribution]:
        _REGISTERED[name] = make
        return make

    return registered


def get(prior: str | tfd.Distribution, size: int) -> tfd.Distribution:
    """The prior of that name, or the distribution itself where one is passed.

    Args:
        prior: One of `defaults.PRIORS`, a name that was registered, or a distribution of
            `event_shape` [size] and dtype float32.
        size: Dimensions of the code.

    Raises:
        ValueError: there is no such prior, or not in so many dimensions.
    """
    if not isinstance(prior, tfd.Distribution):
        if prior not in _REGISTERED:
            raise ValueError(
                f"Expected prior to be one of {sorted(_REGISTERED)} or a TFP distribution. "
                f"Received: {prior!r}"
            )
        prior = _REGISTERED[prior](size)
    if (prior.event_shape, prior.batch_shape, prior.dtype) != ([size], [], tf.float32):
        raise ValueError(
            f"Expected a prior of event_shape [{size}], batch_shape [] and dtype float32 for "
            f"style_size={size}. Received: {prior}"
        )
    return prior


@register("gaussian")
def gaussian(size: int, stddev: float = 1.0) -> tfd.Distribution:
    """An isotropic Gaussian N(0, stddev^2 I) in `size` dimensions (paper, section 2)."""
    return tfd.MultivariateNormalDiag(tf.zeros(size), tf.fill([size], float(stddev)))


@register("uniform")
def uniform(size: int) -> tfd.Distribution:
    """A cube of unit variance: uniform in [-sqrt(3), sqrt(3)] in each of `size` dimensions."""
    limit = tf.fill([size], math.sqrt(3.0))
    return tfd.Independent(tfd.Uniform(-limit, limit), reinterpreted_batch_ndims=1)


def categorical(num_classes: int) -> tfd.Distribution:
    """One-hot vectors of `num_classes` equally likely classes (paper, section 5).

    Raises:
        ValueError: there are fewer than two classes.
    """
    if num_classes < 2:
        raise ValueError(f"Expected at least 2 classes. Received: num_classes={num_classes}")
    return tfd.OneHotCategorical(logits=tf.zeros(num_classes), dtype=tf.float32)


@register("gaussian_mixture")
def gaussian_mixture(size: int = 2) -> tfd.Distribution:
    """Ten equally likely 2-D Gaussians, like the petals of a flower (paper, section 2.3).

    Raises:
        ValueError: `size` is not 2.
    """
    _check_plane("gaussian_mixture", size)
    angles = np.arange(_PETALS) * 2 * math.pi / _PETALS
    along = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    petals = _gaussians(_PETAL_RADIUS * along, along, _PETAL_LENGTH, _PETAL_WIDTH)
    return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(_PETALS)), petals)


@register("swiss_roll")
def swiss_roll(size: int = 2) -> tfd.Distribution:
    """A 2-D spiral of even density along its length (paper, section 2.3).

    It is a mixture of ten stretches of equal length, each a mixture of narrow Gaussians that lie
    along the spiral, so that its density is known.

    Raises:
        ValueError: `size` is not 2.
    """
    _check_plane("swiss_roll", size)
    # Points at equal distances along the spiral r = c t, whose length up to t grows like t^2 / 2.
    start, end = (2 * math.pi * turns for turns in _ROLL_TURNS)
    share = (np.arange(_ROLL_STRETCHES * _ROLL_POINTS) + 0.5) / (_ROLL_STRETCHES * _ROLL_POINTS)
    t = np.sqrt(start**2 + share * (end**2 - start**2))
    scale = _ROLL_RADIUS / end
    points = scale * t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=-1)
    along = np.stack([np.cos(t) - t * np.sin(t), np.sin(t) + t * np.cos(t)], axis=-1)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    spacing = scale * (end**2 - start**2) / 2 / len(t)
    shape = (_ROLL_STRETCHES, _ROLL_POINTS, 2)
    pieces = _gaussians(points.reshape(shape), along.reshape(shape), spacing, _ROLL_WIDTH)
    even = tfd.Categorical(logits=tf.zeros(shape[:2]))
    stretches = tfd.MixtureSameFamily(even, pieces)
    return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(_ROLL_STRETCHES)), stretches)


def _check_plane(name: str, size: int) -> None:
    if size != 2:
        raise ValueError(f"Expected style_size=2 for prior={name!r}. Received: style_size={size}")


def _gaussians(
    centres: np.ndarray, along: np.ndarray, length: float, width: float
) -> tfd.Distribution:
    """2-D Gaussians of two standard deviations: `length` along a unit vector, `width` across."""
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    axes = np.stack([length * along, width * across], axis=-1)
    covariance = axes @ np.swapaxes(axes, -1, -2)
    return tfd.MultivariateNormalTriL(
        tf.constant(centres, tf.float32), tf.constant(np.linalg.cholesky(covariance), tf.float32)
    )
