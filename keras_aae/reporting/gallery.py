"""Which pictures a trained model has to show, drawn from held-out examples and the prior."""

from collections.abc import Mapping
from collections.abc import Sequence

from matplotlib import figure
import numpy as np
from sklearn import metrics
from sklearn import neighbors
import tensorflow as tf

from keras_aae import data
from keras_aae import evaluation
from keras_aae.reporting import figures

_SHOWN = 12  # Reconstructions, and samples beside their nearest training image.
_ROWS, _COLUMNS = 8, 12  # Of samples.
_STYLES = 10
_MEMBERS = 10  # Of each cluster.
_MISTAKES = 24
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
    held_out = dataset.validation.spread(_CODES)
    predictions = evaluator.predict(held_out)
    drawn = {}
    if len(model.example_shape) == 3:
        drawn |= _pictures(evaluator, dataset, held_out, predictions)
    if model.tells == "class":
        drawn |= _mistakes(evaluator, held_out, predictions, dataset.classes)
    if 2 <= predictions.get("representation", np.empty((0, 0))).shape[1] <= 3:
        drawn["representation"] = figures.representation_scatter(
            predictions["representation"],
            model.cluster_heads.numpy(),
            held_out.y,
            dataset.classes,
        )
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


def _pictures(evaluator, dataset, held_out, predictions):
    """The figures that show images."""
    model = evaluator.model
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
    if model.category == "class":
        drawn["style_against_class"] = _style_against_class(model, dataset.classes)
    if model.category == "cluster":
        drawn["clusters"] = _clusters(evaluator, dataset, held_out, predictions)
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


def _clusters(evaluator, dataset, held_out, predictions):
    """A row for each cluster: its head, the style 0 decoded, and some of its held-out members."""
    model = evaluator.model
    count = model.parts["cluster_probabilities"]
    styles = tf.zeros([count, model.parts["style"]])
    heads = model.decode({"cluster_probabilities": tf.eye(count), "style": styles}).numpy()
    members = np.ones((count, _MEMBERS, *model.example_shape), np.float32)
    clusters = evaluator.guesses(predictions)
    for cluster in range(count):
        shown = held_out.take(clusters == cluster).spread(_MEMBERS).x
        members[cluster, : len(shown)] = shown / np.float32(255)
    found = evaluator.cluster_names(dataset.validation)
    names = [dataset.classes[name] if name >= 0 else "-" for name in found]
    return figures.image_grid(
        np.concatenate([heads[:, None], members], axis=1),
        rows=[f"{index}: {name}" for index, name in enumerate(names)],
        columns=["head", *[""] * _MEMBERS],
    )


def _mistakes(evaluator, held_out, predictions, classes):
    """The confusion matrix, and the images whose wrong class is the most probable."""
    known = held_out.y != data.UNLABELLED
    if not known.any():
        return {}
    labels, guesses = held_out.y[known], evaluator.guesses(predictions)[known]
    counts = metrics.confusion_matrix(labels, guesses, labels=np.arange(len(classes)))
    drawn = {"confusion": figures.confusion_matrix(counts, classes)}
    confidence = predictions["class_probabilities"].max(axis=1)[known]
    worst = np.argsort(np.where(guesses != labels, -confidence, 1.0), kind="stable")
    worst = worst[: min(_MISTAKES, int((guesses != labels).sum()))]
    if len(worst) and held_out.x.ndim == 4:
        captions = [f"{classes[guesses[i]]}, not {classes[labels[i]]}" for i in worst]
        drawn["worst_mistakes"] = figures.captioned_images(held_out.x[known][worst], captions)
    return drawn


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
