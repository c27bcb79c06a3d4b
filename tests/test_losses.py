import math

import numpy as np
import pytest
import tensorflow as tf

from keras_aae.models import losses

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


def test_the_sliced_wasserstein_distance_of_sorted_projections():
    codes, samples = tf.constant([[3.0, 0], [0, 0]]), tf.constant([[0.0, 1], [1, 1]])
    # Along the first axis 0, 3 to 0, 1; along the second 0, 0 to 1, 1.
    directions = tf.eye(2)
    expected = np.mean([0, 4, 1, 1])
    assert float(losses.sliced_wasserstein(codes, samples, directions)) == expected
    assert float(losses.sliced_wasserstein(codes, codes[::-1], directions)) == 0


def test_classification_averages_over_the_labelled_examples_only():
    logits = tf.math.log([[0.5, 0.5], [0.9, 0.1], [0.25, 0.75], [0.1, 0.9]])
    labels = tf.constant([0, -1, 1, -1])
    loss = losses.classification(labels, logits)
    np.testing.assert_allclose(loss, [2 * LN2, 0, 2 * math.log(4 / 3), 0], rtol=1e-5, atol=1e-7)
    assert float(tf.reduce_mean(loss)) == pytest.approx((LN2 + math.log(4 / 3)) / 2)


def test_classification_of_a_batch_without_labels_is_zero():
    np.testing.assert_array_equal(losses.classification(tf.constant([-1, -1]), tf.zeros([2, 3])), 0)


def mutual_information(joint):
    return float(tf.reduce_sum(joint * losses.pointwise_mutual_information(tf.constant(joint))))


def test_mutual_information_of_joint_distributions_worked_out_by_hand():
    assert mutual_information(np.eye(4, dtype=np.float32) / 4) == pytest.approx(
        math.log(4), rel=1e-4
    )
    assert mutual_information(np.full([3, 3], 1 / 9, np.float32)) == pytest.approx(0, abs=1e-6)
    # P = [[0.4, 0.1], [0.1, 0.4]]: 0.8 log(0.4 / 0.25) + 0.2 log(0.1 / 0.25).
    expected = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    for joint in ([[0.4, 0.1], [0.1, 0.4]], [[0.4, 0.2], [0.0, 0.4]]):  # Both ways count alike.
        assert mutual_information(np.array(joint, np.float32)) == pytest.approx(expected)


def test_pointwise_mutual_information_is_the_gradient_of_mutual_information_but_for_a_constant():
    joint = tf.constant([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.2]])
    with tf.GradientTape() as tape:
        tape.watch(joint)
        information = tf.reduce_sum(joint * losses.pointwise_mutual_information(joint))
    known = joint.numpy() > 0
    difference = tape.gradient(information, joint) - losses.pointwise_mutual_information(joint)
    np.testing.assert_allclose(difference.numpy()[known], -1, atol=1e-5)


def test_pointwise_mutual_information_is_finite_where_a_class_is_empty():
    joint = tf.constant([[1.0, 0.0], [0.0, 0.0]])
    assert np.isfinite(losses.pointwise_mutual_information(joint)).all()


def test_separation_sums_what_each_pair_of_heads_lacks():
    heads = tf.constant([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    # Distances 5, 1 and sqrt(9 + 9) = 4.243; a threshold of 5 is lacking by 0, 4 and 0.757.
    assert float(losses.separation(heads, 5.0)) == pytest.approx(4 + 5 - math.sqrt(18), rel=1e-5)
    assert float(losses.separation(heads, 0.5)) == 0
