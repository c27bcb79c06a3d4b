"""A data set as it was found, wherever it comes from."""

from typing import NamedTuple

import numpy as np

from keras_aae.data import rows


class Raw(NamedTuple):
    """A data set before it is split.

    Attributes:
        x_train: uint8 [N, H, W, C] in [0, 255], or float32 [N, D]; images that don't fit in memory
            are `rows.Rows`.
        y_train: int32 [N], -1 for unknown.
        x_test: Like x_train; may be empty.
        y_test: Like y_train.
        classes: The name of each class.
        origins: What each training example is called where it was read: its path within the folder,
            or the number of its record; empty where that is its place here.
    """

    x_train: rows.Examples
    y_train: np.ndarray
    x_test: rows.Examples
    y_test: np.ndarray
    classes: tuple[str, ...]
    origins: tuple[str, ...] = ()
