"""The figures of a trained model, drawn from held-out examples and samples of the prior."""

from collections.abc import Mapping
from collections.abc import Sequence
import math
import textwrap

from matplotlib import figure
import numpy as np
from sklearn import metrics
from sklearn import neighbors
import tensorflow as tf

from keras_aae import data
from keras_aae import evaluation
from keras_aae.data import images as images_lib
from keras_aae.data import splits
from keras_aae.evaluation import suggestion
from keras_aae.models import autoencoder
from keras_aae.reporting import figures

_SHOWN = 12  # Reconstructions, and samples beside their nearest training image.
_ROWS, _COLUMNS = 8, 12  # Of samples.
_STYLES = 10
_MEMBERS = 10  # Of each cluster.
_MISTAKES = 24
_SUGGESTED = 40
_COMPARED = 256 << 20  # Bytes of training images, as float32, that samples are compared with.
_CODES = 5000  # Codes, and samples of the prior, in a figure at the most.
_VIEWS = 3  # Of each image.
_STEPS = 16  # Of a walk over the code space, each way.


def draw(
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    results: Mapping,
    rows: Sequence[Mapping[str, float]],
) -> dict[str, figure.Figure]:
    """The figures of a model by name; `report.CAPTIONS` has their order and what they show.

    Args:
        evaluator: The evaluator of the trained model.
        dataset: The data of the model; held-out examples are validation examples, at most 5,000.
        results: The numbers of the model; see docs/RESULTS.md.
        rows: The numbers of each evaluation in training; see `training.loop.Monitor`.
    """
    model = evaluator.model
    held_out = dataset.validation.spread(_CODES)
    predictions = evaluator.predict(held_out)
    drawn: dict[str, figure.Figure] = {}
    if len(model.example_shape) == 3:
        drawn |= _images(evaluator, dataset, held_out, predictions)
    if model.prediction == "class":
        drawn |= _mistakes(held_out, predictions, dataset.classes)
    drawn |= _codes(model, held_out.y, predictions, dataset.classes)
    if results.get("calibration"):
        drawn["reliability"] = figures.reliability(results["calibration"]["reliability"])
    if "likelihood" in results:
        bandwidths, nats = zip(*results["likelihood"]["curve"], strict=True)
        drawn["bandwidth"] = figures.curve(bandwidths, nats, "bandwidth", "nats, validation images")
    if rows:
        drawn["learning_curves"] = figures.learning_curves(rows)
    return drawn


def suggestions(train: data.Split, found: suggestion.Suggestions) -> figure.Figure:
    """The training images to label next, at most 40, with what the model takes each for."""
    images = train.take(found.places[:_SUGGESTED]).array()
    captions = [
        f"{name} {share:.0%}" for name, share in zip(found.predicted, found.confidence, strict=True)
    ]
    return figures.captioned_images(images, captions[:_SUGGESTED])


def _images(
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    held_out: data.Split,
    predictions: Mapping[str, np.ndarray],
) -> dict[str, figure.Figure]:
    """The figures that show images, but for mistakes."""
    model = evaluator.model
    shown = held_out.take(np.linspace(0, len(held_out.x) - 1, _SHOWN).astype(int))
    images = shown.array()
    reconstructed = model.decode(model.encode(images) | model.label_code(shown.y))
    samples = model.generate(tf.range(_ROWS * _COLUMNS, dtype=tf.int64)).numpy()
    drawn = {
        "reconstructions": figures.image_rows(
            {"image": images, "reconstruction": reconstructed.numpy()}
        ),
        "samples": figures.image_grid(samples.reshape(_ROWS, _COLUMNS, *model.example_shape)),
        "nearest_training_images": _nearest_training_images(
            samples, held_out.spread(len(samples)).array(), _candidates(dataset.train)
        ),
    }
    if model.views:
        drawn["views"] = _views(model, images)
    if model.categorical and model.categorical.name == "class":
        drawn["style_against_class"] = _style_against_class(model, dataset.classes)
    if model.categorical and model.categorical.name == "cluster":
        drawn["clusters"] = _clusters(evaluator, dataset, held_out, predictions)
    if model.parts == {"style": 2}:
        drawn["walk"] = figures.image_grid(_walk(model))
    return drawn


def _views(model: autoencoder.Autoencoder, images: np.ndarray) -> figure.Figure:
    """Images, and below each some views of it."""
    assert model.views
    x = model.normalize(images)
    views = {
        f"view {number + 1}": model.views(x, tf.constant([number, 0])).numpy()
        for number in range(_VIEWS)
    }
    return figures.image_rows(
        {"image": images, **views}, title=textwrap.fill(str(model.views), 110)
    )


def _candidates(train: data.Split) -> np.ndarray:
    """The training images that the nearest are looked for among: all, or 256 MB of float32."""
    size = 4 * math.prod(train.x.shape[1:])
    return train.spread(max(1, _COMPARED // size)).array()


def _nearest_training_images(
    samples: np.ndarray, held_out: np.ndarray, train: np.ndarray
) -> figure.Figure:
    """The first samples beside their nearest training image, and how near all of them are.

    Args:
        samples: float [N, H, W, C] in [0, 1].
        held_out: uint8 [K, H, W, C], to compare their distances with those of the samples.
        train: uint8 [M, H, W, C], the training images or some of them.
    """
    nearest, distances = _nearest(
        np.concatenate([images_lib.flat(samples), images_lib.flat(held_out)]), train
    )
    of_samples, of_held_out = np.split(distances, [len(samples)])
    shown = min(_SHOWN, len(samples))
    return figures.image_rows(
        {"sample": samples[:shown], "nearest": nearest[:shown]},
        title=f"Median distance to the nearest of {len(train):,} training images, root mean "
        f"square per pixel: samples {np.median(of_samples):.4f}, held-out images "
        f"{np.median(of_held_out):.4f}",
    )


def _nearest(images: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The candidate nearest to each image, by the Euclidean distance of their pixels.

    Args:
        images: As `images.flat` gives them, [N, pixels].
        candidates: Images [M, H, W, C], uint8 or in [0, 1].

    Returns:
        The nearest candidates, [N, H, W, C], and the root of the mean squared difference, [N].
    """
    flat = images_lib.flat(candidates)
    tree = neighbors.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat)
    found = tree.kneighbors(images, return_distance=False)[:, 0]
    distances = np.sqrt(np.mean((images - flat[found]) ** 2, axis=1))
    return candidates[found], distances


def _style_against_class(model: autoencoder.Autoencoder, classes: Sequence[str]) -> figure.Figure:
    """A row for each of ten samples of the prior of the style, decoded with each class."""
    shown = splits.spread(np.arange(len(classes)), figures.MOST_VALUES)
    seeds = tf.repeat(tf.range(_STYLES, dtype=tf.int64), len(shown))
    images = model.generate(seeds, tf.tile(tf.constant(shown), [_STYLES])).numpy()
    return figures.image_grid(
        images.reshape(_STYLES, len(shown), *model.example_shape),
        rows=[f"style {index}" for index in range(_STYLES)],
        columns=[classes[each] for each in shown],
        title=_part(shown, f"of {len(classes):,} classes", len(classes)),
    )


def _part(shown: np.ndarray, of: str, count: int) -> str | None:
    """A title that says that not all of so many are shown, where that is so."""
    return f"{len(shown)} {of}" if len(shown) < count else None


def _clusters(
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    held_out: data.Split,
    predictions: Mapping[str, np.ndarray],
) -> figure.Figure:
    """A row for each cluster: decoded with the style z = 0, and some of its held-out members.

    Of many clusters the largest are shown.
    """
    model, latent = evaluator.model, evaluator.model.categorical
    assert latent
    clusters = predictions["cluster"]
    sizes = np.bincount(clusters, minlength=latent.size)
    shown = np.sort(np.argsort(-sizes, kind="stable")[: figures.MOST_VALUES])
    styles = tf.zeros([len(shown), model.parts["style"]])
    decoded = model.decode({latent.part: tf.one_hot(shown, latent.size), "style": styles}).numpy()
    members = np.ones((len(shown), _MEMBERS, *model.example_shape), np.float32)
    for row, cluster in enumerate(shown):
        own = held_out.take(clusters == cluster).spread(_MEMBERS).array()
        members[row, : len(own)] = images_lib.scaled(own)
    titles = evaluator.cluster_titles(dataset)
    return figures.image_grid(
        np.concatenate([decoded[:, None], members], axis=1),
        rows=[titles[cluster] for cluster in shown],
        columns=["z = 0", *[""] * _MEMBERS],
        title=_part(shown, f"largest of {latent.size:,} clusters", latent.size),
    )


def _walk(model: autoencoder.Autoencoder) -> np.ndarray:
    """Decoded codes at the quantiles of the prior in each dimension.

    Returns:
        Images [steps, steps, H, W, C] in [0, 1]; the second dimension of the code rises up the
        rows. White where the density of the prior is lower than at 99 % of its samples.
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


def _mistakes(
    held_out: data.Split,
    predictions: Mapping[str, np.ndarray],
    classes: Sequence[str],
) -> dict[str, figure.Figure]:
    """The confusion matrix, and the images whose wrong class is the most probable."""
    known = held_out.y != data.UNLABELLED
    if not known.any():
        return {}
    labels, guesses = held_out.y[known], predictions["class"][known]
    counts = metrics.confusion_matrix(labels, guesses, labels=np.arange(len(classes)))
    drawn = {"confusion": figures.confusion_matrix(counts, classes)}
    confidence = predictions["class_probabilities"].max(axis=1)[known]
    order = np.argsort(np.where(guesses != labels, -confidence, 1.0), kind="stable")
    wrong = int((guesses != labels).sum())
    worst = order[: min(_MISTAKES, wrong)]
    if len(worst) and held_out.x.ndim == 4:
        captions = [f"{classes[guesses[i]]}, not {classes[labels[i]]}" for i in worst]
        drawn["worst_mistakes"] = figures.captioned_images(
            held_out.take(known).x[worst], captions, title=f"{len(worst)} of {wrong:,} wrong"
        )
    return drawn


def _codes(
    model: autoencoder.Autoencoder,
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    classes: Sequence[str],
) -> dict[str, figure.Figure]:
    """The figures of codes: in the representation, where the model has one, and of the style."""
    drawn = {}
    if 2 <= predictions.get("representation", np.empty((0, 0))).shape[1] <= 3:
        heads = model.cluster_heads.numpy()
        drawn["representation"] = figures.representation_scatter(
            predictions["representation"], heads, labels, classes
        )
    prior, codes = model.priors["style"], predictions["style_sample"]
    samples = prior.sample(_CODES, seed=(0, 0)).numpy()
    if codes.shape[1] == 2:
        drawn["codes_against_prior"] = figures.code_scatter(
            codes, samples, lambda z: prior.log_prob(z).numpy(), labels, classes
        )
    else:
        drawn["codes_against_prior"] = figures.code_histograms(codes, samples)
    return drawn
