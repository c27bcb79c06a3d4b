"""Functions of a batch that then take any number of rows: many, in parts, and none at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_ROWS = 500  # At a time.


def in_parts(function: Callable, x: tf.Tensor | np.ndarray) -> Any:
    """What a function gives for any number of rows, some at a time.

    Args:
        function: Takes rows [B, ...] and returns tensors [B, ...], nested in any way.
        x: The rows, [N, ...].
    """
    parts = [
        function(tf.convert_to_tensor(x[start : start + _ROWS]))
        for start in range(0, max(len(x), 1), _ROWS)
    ]
    return tf.nest.map_structure(lambda *values: tf.concat(values, axis=0), *parts)


def never_empty(function: Callable) -> Callable:
    """A function of tensors with a row for each example, which then takes no rows at all, too.

    In their place it gets a row of zeros, and what it makes of that is dropped: TensorFlow's
    convolution by oneDNN gives an empty batch the shape of its input.
    """

    def wrapped(*inputs: tf.Tensor) -> Any:
        count = tf.shape(inputs[0])[0]
        missing = tf.cast(count == 0, tf.int32)
        # A pad would do, but TensorFlow Lite has none for bytes.
        filled = [tf.concat([x, tf.zeros([missing, *x.shape[1:]], x.dtype)], 0) for x in inputs]
        return tf.nest.map_structure(lambda output: output[:count], function(*filled))

    return wrapped
