"""The examples that every contestant is given."""

import numpy as np

from benchmarks import cases
from keras_aae import data
from keras_aae.data import images as images_lib


def images(case: cases.Case) -> np.ndarray:
    """The training images of a case, float32 [N, 28, 28, 1] in [0, 1]."""
    return images_lib.scaled(data.load(case.flags["dataset"]).train.array())


def labels(case: cases.Case) -> np.ndarray:
    """All their labels, int32 [N]."""
    return data.load(case.flags["dataset"]).train.y
