"""Whether generated examples show the class that they were generated for.

A classifier that was trained by itself judges: what a model thinks of its own examples proves
nothing. Not from the paper, whose figures 7 and 9 leave that to the eye.
"""

import numpy as np
import tensorflow as tf

from keras_aae import progress
from keras_aae.data import images as images_lib
from keras_aae.models import autoencoder
from keras_aae.models import latents

_GENERATED = 10_000
_BATCH = 500


def class_consistency(
    model: autoencoder.Autoencoder,
    judge: autoencoder.Autoencoder,
    names: np.ndarray | None = None,
    count: int = _GENERATED,
) -> dict:
    """How often a judge reads the class for which an example was generated.

    Args:
        model: Generates examples of each of its classes or clusters, as many of each.
        judge: Predicts classes of such examples; its classes are those of the model.
        names: The class that each cluster stands for, int [clusters]; of one that stands for none,
            -1, all examples count as wrong. Default: the values of the model are classes.
        count: How many examples.

    Returns:
        `share`, of all generated examples that in [0, 1], and `by_value`, that of each class or
        cluster.

    Raises:
        ValueError: the model has no class or cluster to choose, no cluster stands for a class, or
            the judge predicts no classes, or those of other examples.
    """
    size = _chosen(model, judge).size
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


def _chosen(model: autoencoder.Autoencoder, judge: autoencoder.Autoencoder) -> latents.Categorical:
    """The latent variable of the model whose values are chosen, once both models fit."""
    if not model.categorical:
        raise ValueError("expected a model that generates by class or cluster")
    if judge.prediction != "class":
        raise ValueError("expected a judge that predicts classes")
    for what in ("example_shape", "class_names"):
        ours, theirs = getattr(model, what), getattr(judge, what)
        if ours != theirs:
            raise ValueError(
                f"expected a judge of the same {what.replace('_', ' ')}: {ours}. Received: {theirs}"
            )
    return model.categorical


def _raw(examples: tf.Tensor, judge: autoencoder.Autoencoder) -> tf.Tensor:
    """Generated examples as the judge takes them: images as bytes."""
    if judge.example_spec.dtype != tf.uint8:
        return examples
    return tf.cast(tf.round(images_lib.WHITE * examples), tf.uint8)
