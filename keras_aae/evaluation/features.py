"""What the encoder of a model makes of examples before it says what they are."""

import keras
import numpy as np
import tensorflow as tf

from keras_aae.data import rows
from keras_aae.models import autoencoder
from keras_aae.models import batches

_ROUNDING = 1e-5  # Of a feature that is constant, as a share of it: float32 has seven digits.


def features(model: autoencoder.Autoencoder, x: np.ndarray | rows.Rows) -> np.ndarray:
    """The last hidden layer of the encoder for raw examples, float32 [N, size].

    Args:
        model: A model whose encoder gives classes or clusters; its averaged weights are used.
        x: As for `encode`, or `data.Rows`.

    Raises:
        ValueError: the encoder is a subclassed Keras model, whose layers can't be told apart.
    """
    assert model.categorical
    encoder = model.averaged_encoder
    if not hasattr(encoder, "inputs"):
        raise ValueError(f"expected a functional encoder. Received: {type(encoder).__name__}")
    hidden = keras.Model(encoder.inputs, encoder.get_layer(model.categorical.logits).input)

    @tf.function(autograph=False, reduce_retracing=True)
    def compute(x: tf.Tensor) -> tf.Tensor:
        noise = [tf.zeros([tf.shape(x)[0], each.shape[-1]]) for each in encoder.inputs[1:]]
        return tf.cast(hidden([model.normalize(x), *noise], training=False), tf.float32)

    parts = [batches.in_parts(compute, part) for part in rows.chunks(x)]
    return np.concatenate([part.numpy() for part in parts])


def deviation(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each feature, float64 [size]; 1 of one that is constant.

    Args:
        values: Features, [N, size].
    """
    found = values.std(axis=0, dtype=np.float64)
    varies = np.ptp(values, axis=0) > _ROUNDING * np.abs(values).max(axis=0)
    return np.where(varies, found, 1)
