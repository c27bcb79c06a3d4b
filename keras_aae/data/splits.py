"""Which examples train, validate and test, and which labels the model is given.

The held-out examples are the same share of each class; a given number of labels is as many of each
class. Both are drawn from the seed. A training label that the model is not given is replaced by -1
here, before anything else sees it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import io
import os
import pathlib
import sys
from typing import NamedTuple

import numpy as np

from keras_aae import errors
from keras_aae import files
from keras_aae import progress
from keras_aae import streams
from keras_aae.data import npz
from keras_aae.data import raw_data
from keras_aae.data import rows
from keras_aae.data import sources

UNLABELLED = -1

_SPLITS = ("train", "validation", "test")
_KEPT, _KEPT_BYTES = 10_000, 16 << 20  # Of each split, to export, convert and explore a run with.


def spread(places: np.ndarray, count: int) -> np.ndarray:
    """At most that many of some places, [N], from all over them."""
    shown = min(count, len(places))
    return places[np.arange(shown) * len(places) // max(shown, 1)]


class Split(NamedTuple):
    """Examples and their labels.

    Attributes:
        x: uint8 images [N, H, W, C] or float32 feature vectors [N, D]; `rows.Rows` where they stay
            on the disk.
        y: int32 [N], -1 where the label is unknown or withheld.
    """

    x: rows.Examples
    y: np.ndarray

    def take(self, indices: np.ndarray | slice) -> "Split":
        """The examples at those indices, or under a mask; those on the disk stay there."""
        return Split(rows.take(self.x, indices), self.y[indices])

    def array(self) -> np.ndarray:
        """The examples, as an array in memory."""
        return np.asarray(self.x)

    def spread(self, count: int) -> "Split":
        """At most that many examples, from all over a split that may be sorted by class."""
        return self.take(spread(np.arange(len(self.x)), count))


class Dataset(NamedTuple):
    """A data set split for a run.

    Attributes:
        train: All training examples; only the labels the model is given.
        validation: Held out of the training examples, with their labels.
        test: The test examples; may be empty.
        classes: The name of each class.
        origins: Where each training example comes from: its path in the folder that was read, or
            its place among the training examples there; empty where it isn't known.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    origins: np.ndarray = np.empty(0)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (height, width, channels) or (features,)."""
        return self.train.x.shape[1:]

    def sample(self) -> "Dataset":
        """Evenly spaced examples of each split, as arrays; without `origins`.

        Of each split at most 10,000, and at most 16 MB, or one where that is larger.
        """
        size = max(1, np.asarray(self.train.x[:1]).nbytes)
        count = max(1, min(_KEPT, _KEPT_BYTES // size))
        some = [split.spread(count) for split in (self.train, self.validation, self.test)]
        train, validation, test = (Split(split.array(), split.y) for split in some)
        return Dataset(train, validation, test, self.classes)

    def digest(self) -> str:
        """The identity of the data: a digest of all examples, labels and class names."""
        arrays = [values for split in self[:3] for values in split]
        described = [f"{values.dtype.str} {values.shape}" for values in arrays]
        total = sum(len(values) for values in arrays)
        with progress.bar("checksum of the data", total, "value", delay=5) as bar:
            digests = [files.digest_of_parts(_parts(values, bar.update)) for values in arrays]
        return files.digest(repr((described, digests, self.classes)).encode())

    def to_bytes(self) -> bytes:
        """The content of an .npz file that `read` reads; without `origins`."""
        arrays = {
            f"{name}_{axis}": values
            for name, split in zip(_SPLITS, self[:3], strict=True)
            for axis, values in split._asdict().items()
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, classes=np.array(self.classes, str), **arrays)
        return buffer.getvalue()

    @classmethod
    def read(cls, path: pathlib.Path) -> "Dataset":
        """Reads what `to_bytes` gave.

        Raises:
            UserError: the file is damaged.
        """
        kept = npz.read(path, [*(f"{name}_{axis}" for name in _SPLITS for axis in "xy"), "classes"])
        train, validation, test = (Split(kept[f"{name}_x"], kept[f"{name}_y"]) for name in _SPLITS)
        classes = tuple(str(name) for name in kept["classes"].ravel())
        sources.check_classes(classes, str(path))
        dataset = cls(train, validation, test, classes)
        if not _is_consistent(dataset):
            raise errors.UserError(f"{path}: damaged (its arrays don't go together)")
        return dataset


def _parts(x: rows.Examples, read: Callable[[int], object]) -> Iterator[memoryview]:
    """The bytes of examples in order; calls `read` with how many were read."""
    for part in rows.chunks(x):
        read(len(part))
        yield np.ascontiguousarray(part).data


def _is_consistent(dataset: Dataset) -> bool:
    """Whether the examples of all splits are alike, and their labels classes."""
    first = dataset.train.x
    return (first.dtype, first.ndim) in ((np.uint8, 4), (np.float32, 2)) and all(
        split.x.dtype == first.dtype
        and split.x.shape[1:] == first.shape[1:]
        and _are_labels(split.y, len(split.x), len(dataset.classes))
        for split in dataset[:3]
    )


def _are_labels(y: np.ndarray, count: int, classes: int) -> bool:
    """Whether these are labels, int32 [count], of so many classes."""
    fits = y.dtype == np.int32 and y.shape == (count,)
    return fits and bool(((y >= UNLABELLED) & (y < classes)).all())


def load(
    name: str | os.PathLike,
    *,
    data_dir: str | os.PathLike = "",
    labels: int = -1,
    validation: float = 0.1,
    seed: int = 0,
    max_memory: float | None = None,
    image_size: int | None = None,
    on_bad_image: str = "fail",
) -> Dataset:
    """Reads a data set and splits it.

    Args:
        name: As `--dataset`: see `sources.read`.
        data_dir: Where TFDS data sets are prepared.
        labels: How many training labels to keep, as many of each class: a multiple of the number of
            classes; 0 for none, -1 for all.
        validation: The share of the training examples to hold out, of each class alike.
        seed: Draws the held-out examples and the labelled subset.
        max_memory: As for `sources.read`, like the next two.
        image_size: See there.
        on_bad_image: See there.

    Raises:
        ValueError: `on_bad_image` is neither `fail` nor `skip`, or `image_size` is below 1.
        UserError: the data is missing or damaged, takes more memory than it may, or has too few
            labels or examples; `labels`, `validation` or `seed` is out of its range; or one of the
            others is given for data that doesn't use it.
    """
    raw = sources.read(os.fspath(name), os.fspath(data_dir), max_memory, image_size, on_bad_image)
    return split(raw, labels=labels, validation=validation, seed=seed)


def split(
    raw: raw_data.Raw, *, labels: int = -1, validation: float = 0.1, seed: int = 0
) -> Dataset:
    """Splits a data set; as `load`."""
    if not 0 < validation < 1:
        raise errors.UserError(
            f"--validation={validation:g}: expected a share between 0 and 1 to hold out"
        )
    if seed < 0:
        raise errors.UserError(f"--seed={seed}: expected 0 or more")
    everything = Split(raw.x_train, raw.y_train)
    held_out = _held_out(raw.y_train, validation, _generator(seed, "validation split"))
    train = everything.take(~held_out)
    _say_empty(train.y, raw.classes)
    if not held_out.any() or held_out.all():
        raise errors.UserError(
            f"--dataset: {len(held_out)} training examples are too few to hold out "
            f"--validation={validation:g} of each class"
        )
    kept = _labelled(train.y, labels, raw.classes, _generator(seed, "labelled subset"))
    return Dataset(
        train=train._replace(y=np.where(kept, train.y, UNLABELLED).astype(np.int32)),
        validation=everything.take(held_out),
        test=Split(raw.x_test, raw.y_test),
        classes=raw.classes,
        origins=_origins(raw)[~held_out],
    )


def _say_empty(y: np.ndarray, classes: Sequence[str]) -> None:
    """Says on stderr which classes no training example has, if any has a label."""
    there = np.unique(y[y != UNLABELLED])
    empty = [name for index, name in enumerate(classes) if index not in there]
    if empty and there.size:
        print(f"no training example has the class {', '.join(empty)}", file=sys.stderr)


def _origins(raw: raw_data.Raw) -> np.ndarray:
    """What each training example is called, [N]: by default its place."""
    return np.array(raw.origins, object) if raw.origins else np.arange(len(raw.y_train))


def _generator(seed: int, stream: str) -> np.random.Generator:
    return np.random.default_rng(streams.seed_of(seed, stream))


def _held_out(y: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """A mask of the examples to hold out: the same share of every class and of the unlabelled.

    One of each class at least stays to train on.
    """
    mask = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = generator.permutation(np.flatnonzero(y == label))
        most = len(members) - (label != UNLABELLED)
        mask[members[: min(round(share * len(members)), most)]] = True
    return mask


def _labelled(
    y: np.ndarray, count: int, classes: Sequence[str], generator: np.random.Generator
) -> np.ndarray:
    """A mask of the examples whose label is given: `count`, as many of each class."""
    known = y != UNLABELLED
    if count == -1:
        return known
    if count < -1:
        raise errors.UserError(f"--labels={count}: expected -1, all, or 0 and more")
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
