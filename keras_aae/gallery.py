"""Which pictures a trained model has to show, drawn from held-out examples and the prior."""

from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib import figure
import numpy as np
from sklearn import neighbors
import tensorflow as tf

from keras_aae import data
from keras_aae import evaluation
from keras_aae import figures

_SHOWN = 12  # Reconstructions, and samples beside their nearest training image.
_ROWS, _COLUMNS = 8, 12  # Of samples.
_STYLES = 10
_CODES = 5000  # Codes, and samples of the prior, in a picture at the most.
_STEPS = 16  # Of a walk over the code space, each way.


def draw(
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    results: Mapping,
    rows: Sequence[Mapping[str, float]],
) -> dict[str, figure.Figure]:
    """The figures of a model by name, in the order to show them.

    Args:
        evaluator: The trained model's evaluator.
        dataset: Its data; codes and reconstructions are those of the validation examples.
        results: Its numbers; see docs/RESULTS.md.
        rows: The numbers of each evaluation; see `training.Monitor`.
    """
    model = evaluator.model
    held_out = dataset.validation.take(slice(_CODES))
    predictions = evaluator.predict(held_out)
    drawn = {}
    if len(model.example_shape) == 3:
        drawn |= _pictures(model, dataset, held_out, predictions)
    prior, codes = model.priors["style"], predictions["style_sample"]
    samples = prior.sample(_CODES, seed=(0, 0)).numpy()
    if codes.shape[1] == 2:
        drawn["codes_against_prior"] = figures.code_scatter(
            codes, samples, lambda z: prior.log_prob(z).numpy(), held_out.y, dataset.classes
        )
    else:
        drawn["codes_against_prior"] = figures.code_histograms(codes, samples)
    if "likelihood" in results:
        bandwidths, nats = zip(*results["likelihood"]["curve"], strict=True)
        drawn["bandwidth"] = figures.curve(bandwidths, nats, "bandwidth", "nats, validation images")
    if rows:
        drawn["learning_curves"] = figures.learning_curves(rows)
    return drawn


def _pictures(model, dataset, held_out, predictions):
    """The figures that show images."""
    chosen = np.linspace(0, len(held_out.x) - 1, _SHOWN).astype(int)
    samples = model.generate(tf.range(_ROWS * _COLUMNS, dtype=tf.int64)).numpy()
    nearest = _nearest(samples[:_SHOWN], dataset.train.x)
    drawn = {
        "reconstructions": figures.image_rows(
            {"image": held_out.x[chosen], "reconstruction": predictions["reconstruction"][chosen]}
        ),
        "samples": figures.image_grid(samples.reshape(_ROWS, _COLUMNS, *model.example_shape)),
        "nearest_training_images": figures.image_rows(
            {"sample": samples[:_SHOWN], "nearest": nearest}
        ),
    }
    if "class_probabilities" in model.parts:
        drawn["style_against_class"] = _style_against_class(model, dataset.classes)
    if model.parts == {"style": 2}:
        drawn["walk"] = figures.image_grid(_walk(model))
    return drawn


def _style_against_class(model, classes):
    seeds = tf.repeat(tf.range(_STYLES, dtype=tf.int64), len(classes))
    images = model.generate(seeds, tf.tile(tf.range(len(classes)), [_STYLES])).numpy()
    return figures.image_grid(
        images.reshape(_STYLES, len(classes), *model.example_shape),
        rows=[f"style {index}" for index in range(_STYLES)],
        columns=classes,
    )


def _nearest(images, candidates):
    """The candidate nearest to each image, by the Euclidean distance of their pixels."""
    flat = candidates.reshape(len(candidates), -1) / np.float32(255)
    tree = neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat)
    found = tree.kneighbors(images.reshape(len(images), -1), return_distance=False)[:, 0]
    return candidates[found]


def _walk(model):
    """Decoded codes at the prior's quantiles in each dimension, blank where it has no density.

    Returns:
        Images [steps, steps, H, W, C]; the second dimension of the code rises up the rows.
    """
    prior = model.priors["style"]
    samples = prior.sample(_CODES, seed=(0, 0)).numpy()
    quantiles = np.quantile(samples, (np.arange(_STEPS) + 0.5) / _STEPS, axis=0)
    across, up = np.meshgrid(quantiles[:, 0], quantiles[::-1, 1])
    codes = np.stack([across.ravel(), up.ravel()], axis=-1).astype(np.float32)
    images = model.decode({"style": codes}).numpy()
    lowest = np.quantile(prior.log_prob(samples), 0.01)
    images[prior.log_prob(codes).numpy() < lowest - 1e-3] = 1.0
    return images.reshape(_STEPS, _STEPS, *model.example_shape)
