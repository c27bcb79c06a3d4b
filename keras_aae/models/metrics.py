"""The error rate as a Keras metric."""

from typing import Any

import keras
import tensorflow as tf

ERROR_RATE = "error_rate"  # Its name in what `fit` and `evaluate` measure.
_CLASSES = 1024  # Of the labels that clusters are compared with, at the most.


def error_rate(prediction: str | None, size: int) -> keras.metrics.Metric | None:
    """The metric that fits what a model predicts: `class`, `cluster` or None."""
    if prediction == "class":
        return ClassErrorRate(name=ERROR_RATE)
    if prediction == "cluster":
        return ClusterErrorRate(size, name=ERROR_RATE)
    return None


class ClassErrorRate(keras.metrics.Mean):
    """The share of the labelled examples whose most probable class is another; NaN without any."""

    def update_state(self, y: tf.Tensor, scores: tf.Tensor, sample_weight: Any = None) -> Any:
        """Adds examples.

        Args:
            y: int32 [B], -1 where unknown; those are left out.
            scores: float32 [B, classes], logits or probabilities.
            sample_weight: Not used.
        """
        del sample_weight
        known = tf.cast(y >= 0, tf.float32)
        wrong = tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32) != y, tf.float32)
        return super().update_state(wrong, sample_weight=known)

    def result(self) -> tf.Tensor:
        """The error rate in [0, 1]."""
        return tf.convert_to_tensor(self.total) / tf.convert_to_tensor(self.count)


class ClusterErrorRate(keras.metrics.Metric):
    """The share of the labelled examples that are not of the class most frequent in their cluster.

    Labels are 0 to 1023; examples with any other are left out.

    Args:
        clusters: The number of clusters.
        **kwargs: As `keras.metrics.Metric`.
    """

    def __init__(self, clusters: int, **kwargs: Any):
        super().__init__(**kwargs)
        self._clusters = clusters
        self._counts = self.add_weight(
            shape=(clusters, _CLASSES), initializer="zeros", name="counts"
        )

    def update_state(self, y: tf.Tensor, scores: tf.Tensor, sample_weight: Any = None) -> None:
        """Adds examples; as in `ClassErrorRate`."""
        del sample_weight
        members = tf.one_hot(tf.argmax(scores, axis=-1), self._clusters)
        self._counts.assign_add(tf.matmul(members, tf.one_hot(y, _CLASSES), transpose_a=True))

    def result(self) -> tf.Tensor:
        """The error rate in [0, 1]; NaN without labelled examples."""
        counts = tf.convert_to_tensor(self._counts)
        right = tf.reduce_sum(tf.reduce_max(counts, axis=1))
        return 1 - right / tf.reduce_sum(counts)
