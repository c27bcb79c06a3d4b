"""Which examples train, validate and test, and which labels the model is given.

Every choice is class-balanced and drawn from the seed. A training label that the model is not given
is replaced by -1 here, before anything else sees it.
"""

from typing import NamedTuple

import numpy as np

from keras_aae import errors
from keras_aae import streams
from keras_aae.data import sources

UNLABELLED = -1


class Split(NamedTuple):
    """Examples and their labels.

    Attributes:
        x: uint8 images [N, H, W, C] or float32 feature vectors [N, D].
        y: int32 [N], -1 where the label is unknown or withheld.
    """

    x: np.ndarray
    y: np.ndarray

    def take(self, indices) -> "Split":
        """The examples at those indices."""
        return Split(self.x[indices], self.y[indices])

    def spread(self, count: int) -> "Split":
        """At most that many examples, from all over a split that may be sorted by class."""
        shown = min(count, len(self.x))
        return self.take(np.arange(shown) * len(self.x) // max(shown, 1))


class Dataset(NamedTuple):
    """A data set split for a run.

    Attributes:
        train: All training examples; only the labels the model is given.
        validation: Held out of the training examples, with their labels.
        test: The test examples; may be empty.
        classes: The name of each class.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (height, width, channels) or (features,)."""
        return self.train.x.shape[1:]


def load(
    name: str, *, data_dir: str = "", labels: int = -1, validation: float = 0.1, seed: int = 0
) -> Dataset:
    """Reads a data set and splits it.

    Args:
        name: As `--dataset`: see `sources.read`.
        data_dir: Where TFDS data sets are prepared.
        labels: How many training labels to keep, class-balanced; 0 for none, -1 for all.
        validation: The share of the training examples to hold out, of each class alike.
        seed: Draws the held-out examples and the labelled subset.

    Raises:
        UserError: the data is missing or damaged, or has too few labels or examples.
    """
    raw = sources.read(name, data_dir)
    everything = Split(raw.x_train, raw.y_train)
    held_out = _held_out(raw.y_train, validation, _generator(seed, "validation split"))
    train = everything.take(~held_out)
    if not held_out.any() or held_out.all():
        raise errors.UserError(
            f"--dataset={name}: {len(held_out)} training examples are too few to hold out "
            f"--validation={validation:g} of each class"
        )
    kept = _labelled(train.y, labels, raw.classes, _generator(seed, "labelled subset"))
    return Dataset(
        train=train._replace(y=np.where(kept, train.y, UNLABELLED).astype(np.int32)),
        validation=everything.take(held_out),
        test=Split(raw.x_test, raw.y_test),
        classes=raw.classes,
    )


def _generator(seed, stream):
    return np.random.default_rng(streams.number(seed, stream))


def _held_out(y, share, generator):
    """A mask of the examples to hold out: the same share of every class and of the unlabelled."""
    mask = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        mask[members[: round(share * len(members))]] = True
    return mask


def _labelled(y, count, classes, generator):
    """A mask of the examples whose label is given: `count`, as many of each class."""
    known = y != UNLABELLED
    if count == -1:
        return known
    if count and not classes:
        raise errors.UserError(f"--labels={count}: the data set has no labels")
    if count and count % len(classes):
        raise errors.UserError(
            f"--labels={count}: expected a multiple of {len(classes)}, the number of classes, for "
            "a balanced subset"
        )
    mask = np.zeros(len(y), bool)
    for label, class_name in enumerate(classes if count else ()):
        members = generator.permutation(np.flatnonzero(y == label))
        wanted = count // len(classes)
        if len(members) < wanted:
            raise errors.UserError(
                f"--labels={count}: needs {wanted} of each class, but class {class_name} has "
                f"{len(members)} labelled training examples"
            )
        mask[members[:wanted]] = True
    return mask
