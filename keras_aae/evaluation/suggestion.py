"""Which unlabelled examples to label next."""

import csv
import io
from typing import NamedTuple

import numpy as np
from sklearn import metrics

from keras_aae import data
from keras_aae import errors
from keras_aae.data import splits
from keras_aae.evaluation import features as features_lib
from keras_aae.models import autoencoder

_COMPARED = 10_000  # Labelled examples, and unlabelled ones, at the most.


class Suggestions(NamedTuple):
    """Examples to label, those first that are unlike all that are labelled.

    Attributes:
        places: Where they stand among the training examples, int [K].
        predicted: The name of the class, or the number of the cluster, that the model takes each
            for.
        confidence: The probability of that, float [K].
        distance: From the nearest example that is labelled or stands before it, float [K]: between
            features of the encoder, each divided by its standard deviation. Infinite where there is
            none.
    """

    places: np.ndarray
    predicted: list[str]
    confidence: np.ndarray
    distance: np.ndarray

    def to_csv(self, origins: np.ndarray) -> str:
        """A table of them, with what each example is called: `data.Dataset.origins`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["example", "predicted", "confidence", "distance"])
        for place, name, share, distance in zip(*self, strict=True):
            writer.writerow([origins[place], name, f"{share:.4f}", f"{distance:.2f}"])
        return text.getvalue()


def suggest(model: autoencoder.Autoencoder, train: data.Split, count: int) -> Suggestions:
    """The unlabelled examples that are farthest from all labelled ones.

    A model is sure of whole groups of examples that no labelled one is like, and may be wrong
    about all of them, so that its confidence doesn't find them. The distance between features of
    the encoder's last hidden layer does: greedy k-centres, as in Sener and Savarese, arXiv
    1708.00489. Each suggestion is the example farthest from what is labelled or suggested before
    it. Of many examples 10,000 labelled and 10,000 unlabelled ones are compared, evenly spaced.

    Args:
        model: The trained model, which predicts classes or clusters by its encoder.
        train: The training examples, with the labels that are known.
        count: How many are wanted, at least 1; where fewer are unlabelled, all of those come.

    Raises:
        UserError: all training examples are labelled.
    """
    known, places = (
        splits.spread(np.flatnonzero(mask), _COMPARED)
        for mask in (train.y != data.UNLABELLED, train.y == data.UNLABELLED)
    )
    if not len(places):
        raise errors.UserError("--mode=suggest: all training examples have their label")
    features = _standardised(model, train.take(np.concatenate([known, places])))
    labelled, candidates = np.split(features, [len(known)])
    chosen, distances = _farthest_first(candidates, labelled, min(count, len(places)))
    answer = model.classify(train.take(places[chosen]).array())
    probabilities = answer[f"{model.prediction}_probabilities"].numpy()
    names = model.class_names if model.prediction == "class" else ()
    guesses = answer[str(model.prediction)].numpy()
    predicted = [names[guess] if names else str(guess) for guess in guesses]
    return Suggestions(places[chosen], predicted, probabilities.max(axis=1), distances)


def _standardised(model: autoencoder.Autoencoder, split: data.Split) -> np.ndarray:
    """The encoder's features of examples, each divided by its standard deviation, [N, size]."""
    values = features_lib.features(model, split.x)
    return (values - values.mean(axis=0)) / features_lib.deviation(values)


def _farthest_first(
    candidates: np.ndarray, centres: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the candidates that greedy k-centres takes, and the distance of each then.

    Without centres the first is the candidate nearest to the mean, and its distance infinite.
    """
    if len(centres):
        _, distances = metrics.pairwise_distances_argmin_min(candidates, centres)
        index = int(distances.argmax())
    else:
        distances = np.full(len(candidates), np.inf)
        middle = candidates.mean(axis=0, keepdims=True)
        index = int(metrics.pairwise_distances_argmin(middle, candidates)[0])
    chosen: list[int] = []
    reached: list[float] = []
    while len(chosen) < count:
        chosen.append(index)
        reached.append(distances[index])
        to_new = np.linalg.norm(candidates - candidates[index], axis=1)
        distances = np.minimum(distances, to_new)
        distances[index] = -1  # Not again, though others may be at no distance, too.
        index = int(distances.argmax())
    return np.array(chosen, int), np.array(reached)
