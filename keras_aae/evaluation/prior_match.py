"""How well codes match their prior, in three numbers that the prior itself pins down.

Distances are Euclidean, between held-out codes and as many samples of the prior; the yardstick for
each is what two independent sets of samples of the prior give.
"""

import numpy as np
from sklearn import neighbors

_DIRECTIONS = 256


def prior_match(codes: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Compares codes with their prior.

    Args:
        codes: [N, size], of held-out examples.
        first: [N, size], samples of the prior to compare the codes with.
        second: [N, size], independent samples of the prior, for the yardstick.

    Returns:
        `sliced_wasserstein_ratio`: the distance of codes to samples over that of samples to
        samples; 1 means indistinguishable. `hole_rate`: the share of samples that lie farther from
        every code than 99 % of the samples lie from other samples; 0.01 means no holes.
        `outside_rate`: the share of codes that lie so far from every sample; 0.01 means none.
    """
    first, second = first[: len(codes)], second[: len(codes)]
    yardstick = sliced_wasserstein(first, second)
    reach = np.quantile(_nearest(first, second), 0.99)
    return {
        "sliced_wasserstein_ratio": sliced_wasserstein(codes, first) / yardstick,
        "hole_rate": float(np.mean(_nearest(first, codes) > reach)),
        "outside_rate": float(np.mean(_nearest(codes, first) > reach)),
    }


def sliced_wasserstein(first: np.ndarray, second: np.ndarray) -> float:
    """The 1-Wasserstein distance of projections, averaged over 256 fixed directions.

    Args:
        first: [N, size].
        second: [N, size].
    """
    directions = np.random.default_rng(0).normal(size=(first.shape[1], _DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    one, two = (np.sort(points @ directions, axis=0) for points in (first, second))
    return float(np.abs(one - two).mean())


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each point to the nearest of the others."""
    tree = neighbors.NearestNeighbors(n_neighbors=1).fit(others)
    return tree.kneighbors(points)[0][:, 0]
