import math

import numpy as np
import pytest
import tensorflow as tf

from keras_aae import losses

LN2 = math.log(2)


def test_bernoulli_is_the_mean_over_pixels_of_the_negative_log_likelihood():
    target = tf.constant([[[0.0], [1.0]], [[1.0], [0.5]]])
    logits = tf.constant([[[0.0], [math.log(3)]], [[-math.log(3)], [0.0]]])
    # sigmoid(log 3) = 3/4: -log(1/2), -log(3/4); -log(1/4), -log(1/2).
    expected = [(LN2 + math.log(4 / 3)) / 2, (math.log(4) + LN2) / 2]
    np.testing.assert_allclose(losses.bernoulli(target, logits), expected, rtol=1e-6)


def test_squared_error_is_a_mean_over_features():
    np.testing.assert_allclose(
        losses.squared_error(
            tf.constant([[1.0, 2.0], [0.0, 0.0]]), tf.constant([[3.0, 2.0], [0, 1]])
        ),
        [2.0, 0.5],
    )


def test_adversarial_is_minus_log_of_the_probability_of_being_real_or_not():
    logits = tf.constant([[0.0], [math.log(3)]])
    np.testing.assert_allclose(
        losses.adversarial(logits, real=True), [LN2, math.log(4 / 3)], rtol=1e-6
    )
    np.testing.assert_allclose(
        losses.adversarial(logits, real=False), [LN2, math.log(4)], rtol=1e-6
    )


def test_classification_averages_over_the_labelled_examples_only():
    logits = tf.math.log([[0.5, 0.5], [0.9, 0.1], [0.25, 0.75], [0.1, 0.9]])
    labels = tf.constant([0, -1, 1, -1])
    loss = losses.classification(labels, logits)
    np.testing.assert_allclose(loss, [2 * LN2, 0, 2 * math.log(4 / 3), 0], rtol=1e-5, atol=1e-7)
    assert float(tf.reduce_mean(loss)) == pytest.approx((LN2 + math.log(4 / 3)) / 2)


def test_classification_of_a_batch_without_labels_is_zero():
    np.testing.assert_array_equal(losses.classification(tf.constant([-1, -1]), tf.zeros([2, 3])), 0)
