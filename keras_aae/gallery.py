"""Which pictures a trained model has to show, drawn from held-out examples and the prior."""

from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib import figure
import numpy as np
import tensorflow as tf

from keras_aae import data
from keras_aae import evaluation
from keras_aae import figures
from keras_aae.models import base

_SHOWN = 12  # Reconstructions.
_ROWS, _COLUMNS = 8, 12  # Of samples.
_STYLES = 10
_CODES = 5000  # Codes, and samples of the prior, in a picture at the most.


def draw(
    model: base.Autoencoder,
    evaluator: evaluation.Evaluator,
    held_out: data.Split,
    classes: Sequence[str],
    rows: Sequence[Mapping[str, float]],
) -> dict[str, figure.Figure]:
    """The figures of a model by name, in the order to show them.

    Args:
        model: The trained model.
        evaluator: Its evaluator.
        held_out: Examples that it was not trained on.
        classes: The name of each class.
        rows: The numbers of each evaluation; see `training.train`.
    """
    held_out = data.Split(held_out.x[:_CODES], held_out.y[:_CODES])
    predictions = evaluator.predict(held_out.x)
    drawn = {}
    if len(model.example_shape) == 3:
        drawn |= _pictures(model, held_out, predictions, classes)
    prior = model.sample_prior(tf.range(_CODES, dtype=tf.int64))
    drawn["codes_against_prior"] = figures.code_against_prior(
        predictions["style"], prior["style"].numpy(), held_out.y, classes
    )
    if rows:
        drawn["learning_curves"] = figures.learning_curves(rows)
    return drawn


def _pictures(model, held_out, predictions, classes):
    chosen = np.linspace(0, len(held_out.x) - 1, _SHOWN).astype(int)
    samples = model.generate(tf.range(_ROWS * _COLUMNS, dtype=tf.int64)).numpy()
    drawn = {
        "reconstructions": figures.reconstructions(
            held_out.x[chosen], predictions["reconstruction"][chosen]
        ),
        "samples": figures.image_grid(samples.reshape(_ROWS, _COLUMNS, *model.example_shape)),
    }
    if "class_probabilities" in model.parts:
        seeds = tf.repeat(tf.range(_STYLES, dtype=tf.int64), len(classes))
        labels = tf.tile(tf.range(len(classes)), [_STYLES])
        images = (
            model.generate(seeds, labels)
            .numpy()
            .reshape(_STYLES, len(classes), *model.example_shape)
        )
        drawn["style_against_class"] = figures.image_grid(
            images, rows=[f"style {index}" for index in range(_STYLES)], columns=classes
        )
    return drawn
