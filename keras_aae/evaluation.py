"""What a model is worth, in numbers, on examples it was not trained on."""

import warnings

import numpy as np
from sklearn import exceptions
from sklearn import linear_model
from sklearn import neural_network
from sklearn import pipeline
from sklearn import preprocessing
import tensorflow as tf

from keras_aae import data
from keras_aae import prior_match
from keras_aae.models import autoencoder

_BATCH = 500


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
        )

    def predict(self, split: data.Split) -> dict[str, np.ndarray]:
        """What the model makes of examples.

        Args:
            split: The examples; their labels are used by models that are conditioned on them.

        Returns:
            The inferred parts of the code [N, size]; `style_sample` [N, size], drawn from q(z|x);
            `reconstruction` like x, float32, images in [0, 1]; and
            `squared_error` [N], the mean over the normalised pixels or features of each example.
        """
        starts = range(0, len(split.x), _BATCH)
        parts = [split.take(slice(start, start + _BATCH)) for start in starts]
        batches = [
            self._predict(part.x, part.y, start) for part, start in zip(parts, starts, strict=True)
        ]
        return {
            name: np.concatenate([batch[name].numpy() for batch in batches]) for name in batches[0]
        }

    def evaluate(self, split: data.Split) -> dict[str, float]:
        """The numbers of a split.

        Returns:
            `reconstruction_mse`, the mean squared error per normalised pixel or feature (pixels in
            [0, 1]), and for a model with classes `error_rate`, the share in [0, 1] of the labelled
            examples that it gets wrong.
        """
        predictions = self.predict(split)
        numbers = {"reconstruction_mse": float(predictions["squared_error"].mean())}
        known = split.y != data.UNLABELLED
        if "class_probabilities" in predictions and known.any():
            guesses = predictions["class_probabilities"].argmax(axis=1)
            numbers["error_rate"] = float(np.mean(guesses[known] != split.y[known]))
        return numbers

    def prior_match(self, split: data.Split) -> dict[str, float]:
        """How well the styles of held-out examples, drawn from q(z|x), match their prior.

        Returns:
            As `prior_match.prior_match`.
        """
        codes = self.predict(split)["style_sample"]
        prior = self.model.priors["style"]
        first, second = (prior.sample(len(codes), seed=(0, index)).numpy() for index in (1, 2))
        return prior_match.prior_match(codes, first, second)

    def style_probe(self, fitting: data.Split, testing: data.Split) -> dict[str, float] | None:
        """How much the style still tells of the class: what simple classifiers read from it.

        Args:
            fitting: Labelled examples, not trained on, to fit the classifiers on.
            testing: Labelled examples to try them on.

        Returns:
            The error rates, in [0, 1], of a `linear` classifier and of a small `mlp`; the more the
            better. None where a split lacks labels.
        """
        known = [split.take(split.y != data.UNLABELLED) for split in (fitting, testing)]
        if any(len(np.unique(split.y)) < 2 for split in known):
            return None
        (x_fit, y_fit), (x_test, y_test) = (
            (self.predict(split)["style"], split.y) for split in known
        )
        probes = {
            "linear": linear_model.LogisticRegression(max_iter=1000),
            "mlp": neural_network.MLPClassifier((100,), max_iter=100, random_state=0),
        }
        errors = {}
        for name, probe in probes.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
                fitted = pipeline.make_pipeline(preprocessing.StandardScaler(), probe)
                errors[name] = float(1 - fitted.fit(x_fit, y_fit).score(x_test, y_test))
        return errors


def _predict(model, x, y, start):
    code = model.encode(x)
    sample = model.encode(x, autoencoder.Seeds(model.seed, start, 0))["style"]
    reconstruction = model.decode(code | model.condition(y))
    squared_error = model.observation.squared_error(x, reconstruction)
    classes = {"class_probabilities": model.class_probabilities(code)} if model.classifies else {}
    return {
        **code,
        **classes,
        "style_sample": sample,
        "reconstruction": reconstruction,
        "squared_error": squared_error,
    }
