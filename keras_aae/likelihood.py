"""The Parzen-window estimate of the log-likelihood (paper, section 3).

An isotropic Gaussian of one bandwidth stands on each of many samples of the model:

    log p(x) = log mean_j N(x; s_j, bandwidth^2 I).

The bandwidth is chosen on validation images. The estimate is a weak yardstick; it is here because
the paper reports it.
"""

from collections.abc import Iterable
import math

import numpy as np
import tensorflow as tf

from keras_aae import progress
from keras_aae.models import autoencoder

BANDWIDTHS = tuple(float(value) for value in np.geomspace(0.1, 0.6, 13).round(4))
_ROWS, _CHUNK = 1000, 1000  # Examples and samples at a time: the distances take 4 MB.
_CHOOSING = 1000  # Validation images at the most: each is tried under every bandwidth.


def estimate(
    model: autoencoder.Autoencoder, validation: np.ndarray, test: np.ndarray, samples: int
) -> dict:
    """The log-likelihood of a model's test images.

    Args:
        model: The model to draw samples from.
        validation: uint8 images [N, H, W, C]; evenly spaced ones, 1,000 at the most, choose the
            bandwidth.
        test: uint8 images [M, H, W, C].
        samples: How many samples to draw; they are made in chunks and not kept.

    Returns:
        `nats`, the mean log-likelihood of the test images; `standard_error` of that mean;
        `samples`; `bandwidth`, the best on the validation images; and `curve`, a pair of bandwidth
        and validation nats for each of `BANDWIDTHS`.
    """
    with progress.bar("likelihood", 2 * samples, "sample") as bar:
        choosing = _pixels(validation[:: math.ceil(len(validation) / _CHOOSING)])
        on_validation = parzen(_samples(model, samples, bar), choosing, BANDWIDTHS)
        curve = [float(value) for value in on_validation.mean(axis=1)]
        best = BANDWIDTHS[int(np.argmax(curve))]
        values = parzen(_samples(model, samples, bar), _pixels(test), (best,))[0]
    return {
        "nats": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))),
        "samples": samples,
        "bandwidth": best,
        "curve": list(zip(BANDWIDTHS, curve, strict=True)),
    }


def parzen(
    chunks: Iterable[np.ndarray], x: np.ndarray, bandwidths: tuple[float, ...]
) -> np.ndarray:
    """The log-density of a Parzen window, in nats.

    Args:
        chunks: The samples that the window stands on, float32 [any, D] at a time.
        x: float32 [N, D].
        bandwidths: Standard deviations of the window.

    Returns:
        float64 [bandwidths, N].
    """
    total = np.full((len(bandwidths), len(x)), -np.inf)
    scales = tf.constant([-0.5 / bandwidth**2 for bandwidth in bandwidths], tf.float32)
    count = 0
    for chunk in chunks:
        count += len(chunk)
        for start in range(0, len(x), _ROWS):
            rows = slice(start, start + _ROWS)
            added = _log_sums(tf.constant(x[rows]), tf.constant(chunk), scales).numpy()
            total[:, rows] = np.logaddexp(total[:, rows], added)
    dimensions = x.shape[1]
    norms = [dimensions * np.log(bandwidth * np.sqrt(2 * np.pi)) for bandwidth in bandwidths]
    return total - np.log(count) - np.array(norms)[:, None]


@tf.function(reduce_retracing=True)
def _log_sums(x, samples, scales):
    """Log sum_j exp(scale |x_i - s_j|^2) for each scale and row: [scales, rows]."""
    squares = (
        tf.reduce_sum(x**2, axis=1)[:, None]
        - 2 * tf.matmul(x, samples, transpose_b=True)
        + tf.reduce_sum(samples**2, axis=1)
    )
    return tf.map_fn(lambda scale: tf.reduce_logsumexp(scale * squares, axis=1), scales)


def _pixels(images):
    return images.reshape(len(images), -1) / np.float32(255)


def _samples(model, count, bar):
    """The samples, flat, a chunk at a time; the same at each call. The bar counts them."""
    generate = tf.function(model.generate)
    for start in range(0, count, _CHUNK):
        seeds = tf.range(start, min(start + _CHUNK, count), dtype=tf.int64)
        yield generate(seeds).numpy().reshape(len(seeds), -1)
        bar.update(len(seeds))
