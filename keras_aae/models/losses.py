"""Losses and their terms: pure functions, most of which give a value for each example, [B]."""

import numpy as np
import tensorflow as tf


def bernoulli(target: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean over pixels of -log p(target) under Bernoulli pixels, in nats.

    Args:
        target: [B, ...] in [0, 1].
        logits: [B, ...] of the same shape.
    """
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))


def squared_error(target: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
    """Mean over the features of the squared difference; both [B, ...]."""
    return _mean(tf.math.squared_difference(target, output))


def adversarial(logits: tf.Tensor, *, real: bool) -> tf.Tensor:
    """-log D(code) where `real`, else -log(1 - D(code)), in nats.

    The discriminator minimises it with `real=True` on samples of the prior and `real=False` on
    codes; the encoder with `real=True` on codes, the non-saturating form of the game (paper,
    section 1.1).

    Args:
        logits: [B, 1] of the discriminator.
        real: Whether the codes are to pass as samples of the prior.
    """
    target = tf.ones_like(logits) if real else tf.zeros_like(logits)
    return _mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits))


def classification(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """-log q(y = label | x) in nats, divided by the labelled share of the batch; else 0.

    The mean of the result over the batch is the mean cross-entropy of the labelled examples.

    Args:
        labels: Integer [B], -1 where unlabelled.
        logits: [B, classes].
    """
    known = labels >= 0
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(labels, 0), logits)
    share = tf.reduce_mean(tf.cast(known, logits.dtype))
    return tf.math.divide_no_nan(tf.where(known, cross_entropy, 0.0), share)


def pointwise_mutual_information(joint: tf.Tensor) -> tf.Tensor:
    """The log of P(y, y') / (P(y) P(y')) for the classes of two views of an example, in nats.

    Its mean under P is the mutual information I(y; y'), and it is the gradient of that, but for a
    constant. Which view comes first is left open, so that P counts both ways.

    Args:
        joint: The joint distribution P(y, y'), [K, K], with a sum of 1.

    Returns:
        [K, K], symmetric.
    """
    joint = tf.maximum((joint + tf.transpose(joint)) / 2, 1e-8)
    marginal = tf.math.log(tf.reduce_sum(joint, axis=0))
    return tf.math.log(joint) - marginal - marginal[:, None]


def sliced_wasserstein(codes: tf.Tensor, samples: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """The squared 2-Wasserstein distance of two sets along each of some directions, the mean.

    What is reported, `evaluation.prior_match`, goes by the 1-Wasserstein distance.

    Args:
        codes: [B, size].
        samples: As many others, [B, size].
        directions: Unit vectors, [size, D].

    Returns:
        A scalar.
    """
    first, second = (tf.sort(tf.matmul(points, directions), axis=0) for points in (codes, samples))
    return tf.reduce_mean(tf.math.squared_difference(first, second))


def separation(heads: tf.Tensor, threshold: float) -> tf.Tensor:
    """Sum over pairs of heads of max(0, threshold - distance), a scalar.

    Args:
        heads: Cluster heads, [K, n].
        threshold: The Euclidean distance from which on a pair costs nothing (paper, section 7).
    """
    first, second = np.triu_indices(heads.shape[0], k=1)
    distances = tf.norm(tf.gather(heads, first) - tf.gather(heads, second), axis=-1)
    return tf.reduce_sum(tf.nn.relu(threshold - distances))


def _mean(values: tf.Tensor) -> tf.Tensor:
    """The mean over all axes but the first."""
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
