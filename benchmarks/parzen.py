"""The Parzen window: the log-density of images under Gaussians on samples, for each bandwidth."""

from collections.abc import Callable

import numpy as np
from scipy import special

from benchmarks import cases
from benchmarks import examples
from benchmarks import timing
from keras_aae.evaluation import likelihood

_SAMPLES = 1000


def ours(case: cases.Case) -> Callable[[int], float]:
    """What `--parzen_samples` adds up."""
    window = likelihood.Window(_images(case), likelihood.BANDWIDTHS)
    samples = _images(case)[:_SAMPLES]

    def density() -> None:
        window.add(samples)
        window.log_density()

    return timing.repeated(density)


def scipy(case: cases.Case) -> Callable[[int], float]:
    """The same with NumPy's matrix product and SciPy's sum of exponentials."""
    images = _images(case)
    samples = images[:_SAMPLES]

    def density() -> None:
        squares = (images**2).sum(axis=1)[:, None] - 2 * images @ samples.T
        squares += (samples**2).sum(axis=1)
        for bandwidth in likelihood.BANDWIDTHS:
            special.logsumexp(-0.5 * squares / bandwidth**2, axis=1)

    return timing.repeated(density)


def _images(case: cases.Case) -> np.ndarray:
    images = examples.images(case)
    return images.reshape(len(images), -1)
