"""What the encoder of a model makes of examples before it says what they are."""

import keras
import numpy as np
import tensorflow as tf

from keras_aae.data import rows
from keras_aae.models import autoencoder
from keras_aae.models import batches


def features(model: autoencoder.Autoencoder, x: np.ndarray | rows.Rows) -> np.ndarray:
    """The last hidden layer of the encoder for raw examples, float32 [N, size].

    Args:
        model: A model whose encoder gives classes or clusters; its averaged weights are used.
        x: As for `encode`, or `data.Rows`.
    """
    assert model.categorical
    encoder = model.averaged_encoder
    hidden = keras.Model(encoder.inputs, encoder.get_layer(model.categorical.logits).input)

    @tf.function(autograph=False, reduce_retracing=True)
    def compute(x: tf.Tensor) -> tf.Tensor:
        noise = [tf.zeros([tf.shape(x)[0], each.shape[-1]]) for each in encoder.inputs[1:]]
        return hidden([model.normalize(x), *noise], training=False)

    parts = [batches.in_parts(compute, tf.identity, part) for part in rows.chunks(x)]
    return np.concatenate([part.numpy() for part in parts])


def deviation(values: np.ndarray) -> np.ndarray:
    """The standard deviation of each feature, [size]; 1 of one that is constant.

    Args:
        values: Features, [N, size].
    """
    found = values.std(axis=0)
    return np.where(found > 0, found, 1)
