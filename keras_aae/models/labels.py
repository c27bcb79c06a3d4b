"""Labels in the forms that people give them, checked: outside compiled functions, and inside."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_aae.data import splits
from keras_aae.models import checks


def of_array(y: Any, count: int, classes: int) -> np.ndarray:
    """The labels of so many examples, int32 [N]; as `of_batch`.

    Raises:
        ValueError: they are not numbers, of another count, or as for `of_batch`.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf":
        raise ValueError(f"Expected labels that are numbers. Received: dtype {y.dtype}")
    labels = of_batch(tf.convert_to_tensor(y), classes).numpy()
    if len(labels) != count:
        raise ValueError(f"Expected {count} labels. Received: shape {y.shape}")
    return labels


def of_batch(y: tf.Tensor, classes: int) -> tf.Tensor:
    """Labels as int32 [B], -1 where unknown.

    Args:
        y: Integers [B] or [B, 1], of any dtype, -1 where unknown; or one-hot [B, classes], all
            zeros where unknown.
        classes: How many there are; 0 for any number.

    Raises:
        ValueError: a value is no such label (inside a compiled function it is
            tf.errors.InvalidArgumentError), or a one-hot has another width.
    """
    if y.shape.rank == 2 and y.shape[1] != 1:
        return _from_one_hot(y, classes)
    y = tf.reshape(y, [-1])
    labels = tf.cast(y, tf.int32)
    fits = (tf.cast(labels, y.dtype) == y) & (labels >= splits.UNLABELLED)
    most = classes - 1 if classes else tf.int32.max
    message = f"Expected integer labels from 0 to {most}, -1 where unknown"
    return checks.checked(labels, fits & (labels <= most), message, y)


def _from_one_hot(y: tf.Tensor, classes: int) -> tf.Tensor:
    message = f"Expected labels as integers, or one-hot of {classes or 'any'} classes"
    if classes not in (0, y.shape[1]):
        raise ValueError(f"{message}. Received: shape {y.shape}")
    ones = tf.cast(y, tf.float32)
    known = tf.reduce_any(ones != 0, axis=1)
    fits = tf.reduce_all((ones == 0) | (ones == 1)) & (tf.reduce_sum(ones, axis=1) <= 1)
    labels = tf.where(known, tf.argmax(ones, axis=1, output_type=tf.int32), splits.UNLABELLED)
    return checks.checked(labels, fits, message, ones)


def in_range(values: tf.Tensor | np.ndarray, size: int, name: str) -> tf.Tensor:
    """Chosen classes or clusters as a tensor, checked to be integers from 0 to size - 1.

    Args:
        values: Integer [B].
        size: How many classes or clusters there are.
        name: `class` or `cluster`.

    Raises:
        ValueError: one is no integer, or out of range; as for `of_batch`.
    """
    values = tf.convert_to_tensor(values)
    message = f"Expected each {name} from 0 to {size - 1}"
    if not values.dtype.is_integer:
        raise ValueError(f"{message}, as an integer. Received: dtype {values.dtype.name}")
    if values.dtype not in (tf.int32, tf.int64):  # A one-hot takes few others.
        values = tf.cast(values, tf.int64)
    return checks.checked(values, (values >= 0) & (values < size), message, values)
