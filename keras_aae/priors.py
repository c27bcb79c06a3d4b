"""The prior distributions p(z) and p(y) that codes are matched to, as TFP distributions.

Each has `event_shape` [size] and an empty `batch_shape`, and samples float32.
"""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def gaussian(size: int, stddev: float = 1.0) -> tfd.Distribution:
    """An isotropic Gaussian N(0, stddev^2 I) in `size` dimensions (paper, section 2)."""
    return tfd.MultivariateNormalDiag(loc=tf.zeros(size), scale_diag=tf.fill([size], float(stddev)))


def categorical(num_classes: int) -> tfd.Distribution:
    """One-hot vectors of `num_classes` equally likely classes (paper, section 5)."""
    return tfd.OneHotCategorical(logits=tf.zeros(num_classes), dtype=tf.float32)
