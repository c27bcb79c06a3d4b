"""What a classifier that was trained by itself says of generated examples.

What a model thinks of its own examples proves nothing. Not from the paper, whose figures leave it
to the eye.
"""

import numpy as np
from sklearn import metrics
import tensorflow as tf

from keras_aae import data
from keras_aae import progress
from keras_aae.data import images as images_lib
from keras_aae.evaluation import evaluator
from keras_aae.evaluation import features as features_lib
from keras_aae.models import autoencoder

_GENERATED = 10_000
_BATCH = 500
_COMPARED = 2000  # Real examples, and generated ones, whose features are compared, at the most.
_LEAST_COMPARED = 4  # Real examples, without which there is no kernel distance.


def check(model: autoencoder.Autoencoder, judge: autoencoder.Autoencoder) -> None:
    """Raises a ValueError where a model can't judge another.

    The judge's encoder has to predict classes, of examples of the model's shape; the same classes,
    where the model predicts some or knows their names.
    """
    if judge.prediction != "class" or not judge.categorical:
        raise ValueError("expected a judge whose encoder gives classes")
    has_classes = model.prediction == "class" or model.class_names
    for what in ("example_shape", *(("class_names",) if has_classes else ())):
        ours, theirs = getattr(model, what), getattr(judge, what)
        if ours != theirs:
            raise ValueError(
                f"expected a judge of the same {what.replace('_', ' ')}: {ours}. Received: {theirs}"
            )


def measure(
    model: autoencoder.Autoencoder, judge: autoencoder.Autoencoder, examples: data.Dataset
) -> dict[str, dict]:
    """What a judge can say of the examples that a model generates.

    Args:
        model: Generates examples.
        judge: Predicts their classes; see `check`.
        examples: The data of the model: validation labels name its clusters, test examples are
            what generated ones are compared with.

    Returns:
        `kernel_distance`, where there are test examples for it, see `kernel_distances`, and
        `class_consistency`, of a model with classes, or clusters that have names, see
        `class_consistency`.

    Raises:
        ValueError: the judge is none for this model, or nothing can be said.
    """
    check(model, judge)
    found: dict[str, dict] = {}
    if len(examples.test.x) >= _LEAST_COMPARED:
        found["kernel_distance"] = kernel_distances(model, judge, examples.test)
    names = None
    if model.prediction == "cluster":
        names = evaluator.Evaluator(model).cluster_names(examples.validation)
    if model.categorical and (names is None or (names >= 0).any()):
        found["class_consistency"] = class_consistency(model, judge, names)
    if not found:
        raise ValueError(
            f"expected a model with classes, or {_LEAST_COMPARED} test examples or more. "
            f"Received: {len(examples.test.x)}"
        )
    return found


def class_consistency(
    model: autoencoder.Autoencoder,
    judge: autoencoder.Autoencoder,
    names: np.ndarray | None = None,
    count: int = _GENERATED,
) -> dict:
    """How often a judge reads the class for which an example was generated.

    Args:
        model: Generates examples of each of its classes or clusters, as many of each.
        judge: Predicts their classes; see `check`.
        names: The class that each cluster stands for, int [clusters]; of one that stands for none,
            -1, all examples count as wrong. Default: the values of the model are classes.
        count: How many examples.

    Returns:
        `share`, the fraction of generated examples, in [0, 1], that the judge assigns to the class
        that was asked for; and `by_value`, a list of that fraction for each class or cluster.

    Raises:
        ValueError: no cluster stands for a class.
    """
    assert model.categorical
    size = model.categorical.size
    if names is not None and (names < 0).all():
        raise ValueError("expected validation examples with labels, which say what clusters are")
    chosen = np.arange(count) % size
    wanted = chosen if names is None else names[chosen]
    read = np.empty(count, int)
    with progress.bar("generated examples", count, "example", delay=5) as bar:
        for start in range(0, count, _BATCH):
            part = slice(start, min(start + _BATCH, count))
            examples = model.generate(np.arange(part.start, part.stop), chosen[part])
            read[part] = judge.classify(_raw(examples, judge))["class"].numpy()
            bar.update(part.stop - part.start)
    right = read == wanted
    by_value = [float(right[chosen == value].mean()) for value in range(min(size, count))]
    return {"share": float(right.mean()), "by_value": by_value}


def kernel_distances(
    model: autoencoder.Autoencoder, judge: autoencoder.Autoencoder, real: data.Split
) -> dict[str, float]:
    """How far generated examples are from real ones, in features of a judge.

    The kernel inception distance of Binkowski et al., arXiv 1801.01401, with the judge's last
    hidden layer in place of Inception's, each feature divided by its standard deviation: numbers of
    one judge can be compared with each other, and with no others.

    Args:
        model: Generates examples from its prior.
        judge: A classifier; see `check`.
        real: Examples that neither was trained on. The distance of one half of them, and of as many
            generated ones, to the other half is measured; of many 4,000 are taken, evenly spaced.

    Returns:
        `generated`, and `real`, which is 0 but for chance.

    Raises:
        ValueError: there are fewer than four real examples.
    """
    if len(real.x) < _LEAST_COMPARED:
        raise ValueError(
            f"expected {_LEAST_COMPARED} test examples or more. Received: {len(real.x)}"
        )
    seen = features_lib.features(judge, real.spread(2 * _COMPARED).x)
    scale = features_lib.deviation(seen)
    first, second = seen[::2] / scale, seen[1::2] / scale
    generated = _raw(model.generate(np.arange(len(second))), judge)
    made = features_lib.features(judge, np.asarray(generated)) / scale
    return {"generated": kernel_distance(first, made), "real": kernel_distance(first, second)}


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The squared maximum mean discrepancy under the kernel (x.y / size + 1)^3, without a bias.

    Args:
        first: [N, size], two rows or more.
        second: [M, size], two rows or more.
    """

    def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        one, other = one.astype(np.float64), other.astype(np.float64)
        return metrics.pairwise.polynomial_kernel(one, other, degree=3, coef0=1)

    def within(rows: np.ndarray) -> float:
        values, count = kernel(rows, rows), len(rows)
        return (values.sum() - np.trace(values)) / (count * (count - 1))

    return float(within(first) + within(second) - 2 * kernel(first, second).mean())


def _raw(examples: tf.Tensor, judge: autoencoder.Autoencoder) -> tf.Tensor:
    """Generated examples as the judge takes them: images as bytes."""
    if judge.example_spec.dtype != tf.uint8:
        return examples
    return tf.cast(tf.round(images_lib.WHITE * examples), tf.uint8)
