"""What a model is worth, in numbers, on examples it was not trained on."""

import numpy as np
import tensorflow as tf

from keras_aae import data
from keras_aae.models import base

_BATCH = 500


class Evaluator:
    """Evaluates one model; the compiled function is kept from one evaluation to the next.

    Args:
        model: The model, whose averaged weights are used.
    """

    def __init__(self, model: base.Autoencoder):
        self._predict = tf.function(
            lambda x: _predict(model, x),
            input_signature=[model.example_spec],
            reduce_retracing=True,
        )

    def predict(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """What the model makes of raw examples.

        Args:
            x: uint8 images [N, H, W, C], or float features [N, D].

        Returns:
            The parts of the code [N, size]; `reconstruction` like x, float32, images in [0, 1]; and
            `squared_error` [N], the mean over the normalised pixels or features of each example.
        """
        batches = [self._predict(x[start : start + _BATCH]) for start in range(0, len(x), _BATCH)]
        return {
            name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]
        }

    def evaluate(self, split: data.Split) -> dict[str, float]:
        """The numbers of a split.

        Returns:
            `reconstruction_mse`, the mean squared error per normalised pixel or feature (pixels in
            [0, 1]), and for a model with classes `error_rate`, the share in [0, 1] of the labelled
            examples that it gets wrong.
        """
        predictions = self.predict(split.x)
        numbers = {"reconstruction_mse": float(predictions["squared_error"].mean())}
        known = split.y != data.UNLABELLED
        if "class_probabilities" in predictions and known.any():
            guesses = predictions["class_probabilities"].argmax(axis=1)
            numbers["error_rate"] = float(np.mean(guesses[known] != split.y[known]))
        return numbers


def _predict(model, x):
    code = model.encode(x)
    reconstruction = model.decode(code)
    squared_error = model.observation.squared_error(x, reconstruction)
    return code | {"reconstruction": reconstruction, "squared_error": squared_error}
