"""Images, labels, splits and minibatches.

    dataset = data.load("mnist_5k", labels=100, validation=0.1, seed=0)
    batches = data.minibatches(dataset, seed=0, batch_size=100, labelled_batch_size=50)

`minibatches` is imported when first used: reading data takes no TensorFlow import.
"""

import importlib
from typing import Any

from keras_aae.data.rows import Rows
from keras_aae.data.splits import UNLABELLED
from keras_aae.data.splits import Dataset
from keras_aae.data.splits import Split
from keras_aae.data.splits import load

__all__ = ["UNLABELLED", "Dataset", "Minibatches", "Rows", "Split", "load", "minibatches"]


def __getattr__(name: str) -> Any:
    if name in ("Minibatches", "minibatches"):
        return importlib.import_module("keras_aae.data.batching").Minibatches
    raise AttributeError(f"module 'keras_aae.data' has no attribute {name!r}")
