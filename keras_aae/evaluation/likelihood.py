"""The Parzen-window estimate of the log-likelihood (paper, section 3).

An isotropic Gaussian of one bandwidth stands on each of many samples of the model:

    log p(x) = log mean_j N(x; s_j, bandwidth^2 I).

The bandwidth is chosen on validation images. The estimate is a weak yardstick; it is here because
the paper reports it.
"""

from collections.abc import Sequence
import io
import pathlib
import sys

import numpy as np
import tensorflow as tf

from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import progress
from keras_aae.data import images as images_lib
from keras_aae.data import npz
from keras_aae.models import autoencoder

BANDWIDTHS = tuple(float(value) for value in np.geomspace(0.1, 0.6, 13).round(4))
_ROWS, _CHUNK = 1000, 1000  # Examples and samples at a time: the distances take 4 MB.
_CHOOSING = 1000  # Validation images at the most that choose the bandwidth.
_TESTED = 10_000  # Test images at the most.
_KEEP = 100_000  # Samples between two savings: about a minute.


def estimate(
    model: autoencoder.Autoencoder,
    validation: data.Split,
    test: data.Split,
    samples: int,
    directory: pathlib.Path,
) -> dict:
    """The log-likelihood of a model's test images.

    What has been added up is kept in the directory, in `likelihood-<samples>.npz`, every 100,000
    samples and at the end, so that an estimate of the same model on the same images that was killed
    goes on.

    Args:
        model: The model to draw samples from.
        validation: Images; evenly spaced ones, 1,000 at the most, choose the bandwidth.
        test: Two images or more; evenly spaced ones, 10,000 at the most, are estimated.
        samples: How many samples to draw; they are made in chunks and not kept.
        directory: Of the model's run.

    Returns:
        `nats`, the mean log-likelihood of the test images; `standard_error` of that mean;
        `samples`; `bandwidth`, the best on the validation images; and `curve`, a pair of bandwidth
        and validation nats for each of `BANDWIDTHS`.

    Raises:
        UserError: it can't be written.
    """
    choosing = validation.spread(_CHOOSING).x
    testing = test.spread(_TESTED).x
    window = Window(images_lib.flat(np.concatenate([choosing, testing])), BANDWIDTHS)
    _fill(window, model, samples, directory)
    nats = window.log_density()
    curve = [float(value) for value in nats[:, : len(choosing)].mean(axis=1)]
    best = int(np.argmax(curve))
    values = nats[best, len(choosing) :]
    return {
        "nats": float(values.mean()),
        "standard_error": float(values.std(ddof=1) / np.sqrt(len(values))),
        "samples": samples,
        "bandwidth": BANDWIDTHS[best],
        "curve": list(zip(BANDWIDTHS, curve, strict=True)),
    }


class Window:
    """A Parzen window under several bandwidths, seen from fixed points.

    Attributes:
        count: How many samples it stands on.
        sums: For each bandwidth and point the log of the sum of exp(-0.5 |x - s|^2 / bandwidth^2)
            over the samples s, float64 [bandwidths, N].
    """

    def __init__(self, x: np.ndarray, bandwidths: tuple[float, ...]):
        """A window on no samples.

        Args:
            x: The points, float32 [N, D].
            bandwidths: Standard deviations of the window.
        """
        self.count = 0
        self.sums = np.full((len(bandwidths), len(x)), -np.inf)
        self._rows = [tf.constant(x[start : start + _ROWS]) for start in range(0, len(x), _ROWS)]
        self._scales = tuple(-0.5 / bandwidth**2 for bandwidth in bandwidths)
        self._norms = x.shape[1] * np.log(np.array(bandwidths) * np.sqrt(2 * np.pi))

    def digest(self) -> str:
        """The identity of the points and bandwidths."""
        parts = [*(rows.numpy() for rows in self._rows), np.array(self._scales)]
        return files.digest(b"".join(part.tobytes() for part in parts))

    def add(self, samples: np.ndarray) -> None:
        """Puts the window on more samples, float32 [any, D]."""
        added = [_log_sums(rows, samples, self._scales).numpy() for rows in self._rows]
        self.sums = np.logaddexp(self.sums, np.concatenate(added, axis=1))
        self.count += len(samples)

    def log_density(self) -> np.ndarray:
        """The log-density at each point in nats, float64 [bandwidths, N]."""
        return self.sums - np.log(self.count) - self._norms[:, None]


@tf.function(autograph=False, jit_compile=True, reduce_retracing=True)
def _log_sums(x: tf.Tensor, samples: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """Log sum_j exp(scale |x_i - s_j|^2) for each scale and row: [scales, rows]."""
    squares = (
        tf.reduce_sum(x**2, axis=1)[:, None]
        - 2 * tf.matmul(x, samples, transpose_b=True)
        + tf.reduce_sum(samples**2, axis=1)
    )
    nearest = tf.reduce_min(squares, axis=1)  # The largest term of each sum, whatever the scale.
    beyond = squares - nearest[:, None]
    return tf.map_fn(
        lambda scale: scale * nearest + tf.math.log(tf.reduce_sum(tf.exp(scale * beyond), axis=1)),
        tf.constant(scales),
    )


def _fill(
    window: Window, model: autoencoder.Autoencoder, samples: int, directory: pathlib.Path
) -> None:
    """Puts the window on the model's first so many samples, from where it had got to."""
    path = directory / f"likelihood-{samples}.npz"
    key = _key(window, model)
    _restore(window, key, path)
    generate = tf.function(model.generate, autograph=False)
    with progress.bar("likelihood", samples, "sample", initial=window.count) as bar:
        while window.count < samples:
            until = min(window.count + _CHUNK, samples)
            drawn = generate(tf.range(window.count, until, dtype=tf.int64))
            bar.update(until - window.count)
            window.add(tf.reshape(drawn, [len(drawn), -1]))
            if window.count % _KEEP == 0 or window.count == samples:
                files.write(path, _kept(window, key))


def _key(window: Window, model: autoencoder.Autoencoder) -> str:
    """What an estimate depends on: the points, the bandwidths and the decoder."""
    weights = [each.tobytes() for each in model.averaged_decoder.get_weights()]
    return files.digest(b"".join([window.digest().encode(), *weights]))


def _kept(window: Window, key: str) -> bytes:
    """The window as the bytes of an .npz file, with what it depends on."""
    buffer = io.BytesIO()
    np.savez(buffer, key=key, count=window.count, sums=window.sums)
    return buffer.getvalue()


def _restore(window: Window, key: str, path: pathlib.Path) -> None:
    """Takes up the window that was kept, where there is one that depends on the same."""
    if not path.exists():
        return
    try:
        kept = npz.read(path, ["key", "count", "sums"])
    except errors.UserError as error:
        print(f"{error}; begun again", file=sys.stderr)
        return
    if str(kept["key"]) == key:
        window.count, window.sums = int(kept["count"]), kept["sums"]
