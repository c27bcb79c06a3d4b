"""Whether the probabilities of classes are right: of what is said with 90 %, 90 % should be true.

A network that has seen few labels is often too sure. Temperature scaling (Guo et al., arXiv
1706.04599) divides its logits by one number that validation labels choose, which changes no
prediction.
"""

import numpy as np
from scipy import optimize

BINS = 15  # Of equal width, as in Guo et al.
_LEAST, _MOST = 0.01, 1000.0  # Temperatures tried.
_TINY = 1e-30


def temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which labels have the highest likelihood, in [0.01, 1000].

    Targets are smoothed, after Platt (1999, "Probabilistic outputs for support vector machines"):
    (N + 1) / (N + 2) on the label, and 1 / (N + 2) spread evenly over all classes, the label's too.
    Without that, a model that is right on a few examples would be scaled to full certainty.

    Args:
        probabilities: float [N, classes], the softmax of the logits; N is 1 or more.
        labels: int [N].
    """
    logits = np.log(np.maximum(probabilities, _TINY), dtype=np.float64)
    count, classes = logits.shape
    targets = (np.eye(classes)[labels] * (count + 1) + 1 / classes) / (count + 2)
    found = optimize.minimize_scalar(
        lambda log: _nats(logits / np.exp(log), targets),
        bounds=(np.log(_LEAST), np.log(_MOST)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _nats(logits: np.ndarray, targets: np.ndarray) -> float:
    """The mean cross-entropy of targets; both [N, classes]."""
    logits = logits - logits.max(axis=1, keepdims=True)
    expected = (targets * logits).sum(axis=1)
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - expected))


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, float]]:
    """How often predictions are right, by how sure they are.

    Args:
        probabilities: float [N, classes].
        labels: int [N].

    Returns:
        For each of `BINS` intervals of the highest probability that has examples: the mean
        `confidence` in it, the `accuracy`, and the `share` of all examples.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    interval = np.minimum((sure * BINS).astype(int), BINS - 1)
    return [
        {
            "confidence": float(sure[interval == index].mean()),
            "accuracy": float(right[interval == index].mean()),
            "share": float(np.mean(interval == index)),
        }
        for index in np.unique(interval)
    ]


def expected_calibration_error(bins: list[dict[str, float]]) -> float:
    """The mean distance between confidence and accuracy, by share, in [0, 1]; 0 is perfect."""
    return sum(each["share"] * abs(each["confidence"] - each["accuracy"]) for each in bins)
