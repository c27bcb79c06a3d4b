"""Checks of values, outside compiled functions and inside."""

import math

import numpy as np
import tensorflow as tf


def not_negative(**values: float) -> None:
    """Raises a ValueError where one of the values is negative, infinite or NaN."""
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"Expected 0 <= {name} < inf. Received: {name}={value}")


def checked(values: tf.Tensor, fits: tf.Tensor, message: str, received: tf.Tensor) -> tf.Tensor:
    """The values, where all of them fit.

    Args:
        values: What is given back.
        fits: bool, whether each is as expected.
        message: What was expected.
        received: What came, whose range the message names.

    Raises:
        ValueError: one doesn't fit; inside a compiled function, as it runs,
            tf.errors.InvalidArgumentError.
    """
    fits = tf.reduce_all(fits)
    if tf.executing_eagerly():
        if not fits:
            raise ValueError(f"{message}. Received: {np.min(received)} to {np.max(received)}")
        return values
    came = [f"{message}. Received:", tf.reduce_min(received), "to", tf.reduce_max(received)]
    with tf.control_dependencies([tf.debugging.Assert(fits, came)]):
        return tf.identity(values)
