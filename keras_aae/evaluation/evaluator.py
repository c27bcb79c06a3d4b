"""What a model is worth, in numbers, on examples it was not trained on."""

from collections.abc import Mapping
import warnings

import numpy as np
from sklearn import exceptions
from sklearn import linear_model
from sklearn import metrics
from sklearn import neural_network
from sklearn import pipeline
from sklearn import preprocessing
import tensorflow as tf

from keras_aae import data
from keras_aae.evaluation import calibration
from keras_aae.evaluation import prior_match
from keras_aae.models import autoencoder
from keras_aae.models import seeds

_BATCH = 500
_SAMPLED = 10_000  # Codes compared with the prior, or read by probes, at the most.


class Evaluator:
    """Evaluates one model; the compiled function is kept from one evaluation to the next.

    Args:
        model: The model, whose averaged weights are used.

    Attributes:
        model: The model.
    """

    def __init__(self, model: autoencoder.Autoencoder):
        self.model = model
        self._predict = tf.function(
            lambda x, y, start: _predict(model, x, y, start),
            input_signature=[
                model.example_spec,
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec((), tf.int32),
            ],
            autograph=False,
        )

    def predict(self, split: data.Split) -> dict[str, np.ndarray]:
        """What the model makes of examples.

        Args:
            split: One example or more; models whose decoder receives the class use their labels.

        Returns:
            What `encode` gives with `logits=True`, float32 [N, size]; of a model that predicts them
            `class` or `cluster`, int32 [N], and their calibrated probabilities, float32 [N, K];
            `style_sample`, float32 [N, size], drawn from q(z|x); and `squared_error`, float32 [N],
            of the reconstruction, the mean over the normalised pixels or features of each example.

        Raises:
            ValueError: there are none, or they have another dtype, like images as floats; or the
                labels have another shape.
        """
        if not len(split.x):
            raise ValueError("Expected one example or more. Received: none")
        if split.y.shape != (len(split.x),):
            raise ValueError(f"Expected labels [{len(split.x)}]. Received: {split.y.shape}")
        expected = self.model.example_spec.dtype.as_numpy_dtype
        if split.x.dtype != expected:
            raise ValueError(
                f"Expected examples of dtype {expected.__name__}. Received: {split.x.dtype}"
            )
        starts = range(0, len(split.x), _BATCH)
        parts = [split.take(slice(start, start + _BATCH)) for start in starts]
        batches = [
            self._predict(part.array(), part.y, start)
            for part, start in zip(parts, starts, strict=True)
        ]
        return {
            name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]
        }

    def evaluate(self, split: data.Split, naming: data.Split | None = None) -> dict[str, float]:
        """The numbers of a split.

        Args:
            split: The examples.
            naming: Labelled examples to name clusters by. Default: those of the split itself, which
                makes `error_rate` optimistic.

        Returns:
            `reconstruction_mse`, the mean squared error per normalised pixel or feature (pixels in
            [0, 1]); of a model whose decoder receives the label over labelled examples alone, and
            left out without any. Without labels, and for a model that predicts nothing, that alone.
            For a model that predicts classes `error_rate`, the share in [0, 1] of the labelled
            examples that it gets wrong. For a model that predicts clusters `error_rate`, where each
            cluster stands for the class that most of its examples in `naming` have, unless none of
            those has a label; and what `clustering_scores` gives, of the labelled examples.
        """
        predictions = self.predict(split)
        known = split.y != data.UNLABELLED
        squared = predictions["squared_error"]
        if self.model.decodes_labels:
            squared = squared[known]
        numbers = {"reconstruction_mse": float(squared.mean())} if squared.size else {}
        if not self.model.prediction or not known.any():
            return numbers
        guesses, labels = predictions[self.model.prediction][known], split.y[known]
        if self.model.prediction == "cluster":
            numbers |= clustering_scores(guesses, labels)
            names = (
                self._names(predictions, split) if naming is None else self.cluster_names(naming)
            )
            if (names < 0).all():  # No label says what a cluster stands for.
                return numbers
            guesses = names[guesses]
        return {**numbers, "error_rate": float(np.mean(guesses != labels))}

    def cluster_names(self, split: data.Split) -> np.ndarray:
        """The class that each cluster stands for, int [clusters]; see `majority_labels`."""
        return self._names(self.predict(split), split)

    def cluster_titles(self, dataset: data.Dataset) -> list[str]:
        """`<number>: <class>` for each cluster, by `cluster_names` of the validation examples.

        `<number>` alone where no labelled example names it.
        """
        names = [
            f": {dataset.classes[index]}" if index >= 0 else ""
            for index in self.cluster_names(dataset.validation)
        ]
        return [f"{number}{name}" for number, name in enumerate(names)]

    def _names(self, predictions: Mapping[str, np.ndarray], split: data.Split) -> np.ndarray:
        known = split.y != data.UNLABELLED
        count = self.model.num_predicted
        return majority_labels(predictions["cluster"][known], split.y[known], count)

    def calibrate(self, split: data.Split) -> None:
        """Sets the model's temperature to the one that fits labelled examples best.

        Args:
            split: Examples that it was not trained on. Without labels, and of a model that doesn't
                predict classes, the temperature is 1.
        """
        self.model.temperature.assign(1.0)
        known = split.take(split.y != data.UNLABELLED)
        if self.model.prediction == "class" and len(known.x):
            probabilities = self.predict(known)["class_probabilities"]
            self.model.temperature.assign(calibration.temperature(probabilities, known.y))

    def calibration(self, split: data.Split) -> dict | None:
        """How far the probabilities of classes can be trusted.

        Args:
            split: Examples; unlabelled ones are left out.

        Returns:
            The `temperature`, the `expected_calibration_error` in [0, 1], and `reliability`; see
            `calibration.reliability`. None without labels or classes.
        """
        known = split.take(split.y != data.UNLABELLED)
        if self.model.prediction != "class" or not len(known.x):
            return None
        bins = calibration.reliability(self.predict(known)["class_probabilities"], known.y)
        return {
            "temperature": float(self.model.temperature.numpy()),
            "expected_calibration_error": calibration.expected_calibration_error(bins),
            "reliability": bins,
        }

    def prior_match(self, split: data.Split) -> dict[str, float]:
        """How well the styles of held-out examples, drawn from q(z|x), match their prior.

        Returns:
            As `prior_match.prior_match`.
        """
        codes = self.predict(split.spread(_SAMPLED))["style_sample"]
        prior = self.model.priors["style"]
        first, second = (prior.sample(len(codes), seed=(0, index)).numpy() for index in (1, 2))
        return prior_match.prior_match(codes, first, second)

    def style_probe(self, fitting: data.Split, testing: data.Split) -> dict[str, float] | None:
        """How well simple classifiers read the class from the style.

        Args:
            fitting: Held-out examples to fit the classifiers on, evenly spaced ones, 10,000 at the
                most; unlabelled ones are left out.
            testing: The same, to measure them on; classes that `fitting` lacks are left out.

        Returns:
            The error rates, in [0, 1], of a `linear` classifier (logistic regression) and an `mlp`
            (100 hidden units) on standardised styles: the higher, the less the style depends on the
            class. None where a split has labels of fewer than two classes. Not from the paper.
        """
        fitting = fitting.take(fitting.y != data.UNLABELLED)
        testing = testing.take(np.isin(testing.y, fitting.y))
        known = [split.spread(_SAMPLED) for split in (fitting, testing)]
        if any(len(np.unique(split.y)) < 2 for split in known):
            return None
        (x_fit, y_fit), (x_test, y_test) = (
            (self.predict(split)["style"], split.y) for split in known
        )
        probes = {
            "linear": linear_model.LogisticRegression(max_iter=1000),
            "mlp": neural_network.MLPClassifier((100,), max_iter=100, random_state=0),
        }
        errors: dict[str, float] = {}
        for name, probe in probes.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
                fitted = pipeline.make_pipeline(preprocessing.StandardScaler(), probe)
                errors[name] = float(1 - fitted.fit(x_fit, y_fit).score(x_test, y_test))
        return errors


def text(value: float) -> str:
    """A number for people to read: a count as it is, anything else to four digits."""
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def majority_labels(clusters: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """The label that most members of each cluster have.

    The paper (section 6) takes the label of the one validation example that is most probable.

    Args:
        clusters: The cluster of each example, int [N].
        labels: The label of each example, int [N], 0 or more.
        count: The number of clusters.

    Returns:
        Int [count]; -1, which is no label, for a cluster with no members.
    """
    table = np.zeros((count, labels.max(initial=0) + 1), int)
    np.add.at(table, (clusters, labels), 1)
    return np.where(table.any(axis=1), table.argmax(axis=1), -1)


def clustering_scores(clusters: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """How well clusters agree with labels, whatever they are called.

    Args:
        clusters: The cluster of each example, int [N].
        labels: The label of each example, int [N].

    Returns:
        `normalized_mutual_information` in [0, 1]; `adjusted_rand_index`, at most 1 and 0 by chance;
        and `clusters_in_use`, how many clusters have members.
    """
    return {
        "normalized_mutual_information": float(
            metrics.normalized_mutual_info_score(labels, clusters)
        ),
        "adjusted_rand_index": float(metrics.adjusted_rand_score(labels, clusters)),
        "clusters_in_use": len(np.unique(clusters)),
    }


def _predict(
    model: autoencoder.Autoencoder, x: tf.Tensor, y: tf.Tensor, start: tf.Tensor
) -> dict[str, tf.Tensor]:
    code = model.encode(x, logits=True)
    sample = model.encode(x, seeds.Seeds(model.seed, start))["style"]
    reconstruction = model.decode(code | model.label_code(y))
    squared_error = model.observation.squared_error(x, reconstruction)
    return {
        **code,
        **(model.predicted(code) if model.prediction else {}),
        "style_sample": sample,
        "squared_error": squared_error,
    }
