"""Minibatches as a pure function of the seed and the step.

A batch is drawn by index, from arrays in memory or from the disk: a stateless shuffle says which
example stands where in each pass over the data. So a run that was stopped goes on with the very
batch that it would have seen, with nothing to save, and any number of replicas sees the same global
batch.
"""

from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_aae import errors
from keras_aae import streams
from keras_aae.data import augmentation
from keras_aae.data import rows as rows_lib
from keras_aae.data import splits


class Minibatches:
    """Endless training minibatches, each `{"x": [B, ...], "y": [B]}`.

    A batch holds `batch_size` examples without their labels, and `labelled_batch_size` labelled
    ones, alike, as its part `labelled`; as the batch itself where `batch_size` is 0. Each part
    passes over its examples in a new order every time. `fit` gives every replica of a distribution
    strategy its share of both parts.

    Args:
        dataset: What to draw from.
        seed: Draws the orders and the shifts; 0 or more.
        batch_size: Examples drawn from the whole training set, the labelled ones included, over all
            replicas; their y is -1.
        labelled_batch_size: Examples drawn from the labelled subset, over all replicas. With 0, the
            default, no label reaches the model: set it for models that learn from labels, and
            `batch_size=0` for `SupervisedAAE`.
        augment_shift: Shift each image by up to so many pixels, edges repeated.
        start: The step to begin with.

    Raises:
        ValueError: an argument is out of its range, there are no examples, or labels are not whole
            numbers from -1 on, one for each example.
        UserError: both batch sizes are 0, or `labelled_batch_size` is not and no training example
            has a label.

    Attributes:
        error: Why examples could not be read from the disk, where that ended the minibatches with
            an error of TensorFlow's.
    """

    def __init__(
        self,
        dataset: splits.Dataset,
        *,
        seed: int = 0,
        batch_size: int = 100,
        labelled_batch_size: int = 0,
        augment_shift: int = 0,
        start: int = 0,
    ):
        whole = {"batch_size": batch_size, "labelled_batch_size": labelled_batch_size}
        whole |= {"augment_shift": augment_shift, "start": start, "seed": seed}
        for name, value in whole.items():
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ValueError(f"Expected {name}, a whole number from 0 on. Received: {value}")
        if not isinstance(dataset, splits.Dataset):
            raise ValueError(f"Expected a data.Dataset. Received: {type(dataset).__name__}")
        self._x = dataset.train.x
        if augment_shift and self._x.ndim != 4:
            raise ValueError(
                f"Expected augment_shift=0 for feature vectors. Received: {augment_shift}"
            )
        labels = _labels(dataset.train.y, len(self._x))
        self._seed = seed
        self._shift = augment_shift
        self._start = start
        self._pools = _pools(labels, batch_size, labelled_batch_size)
        self.error: errors.UserError | None = None

    @property
    def steps_per_pass(self) -> int:
        """How many batches make a pass over the examples of the first part, at least 1."""
        pool = self._pools[0]
        return max(1, -(-len(pool.rows) // pool.size))

    @property
    def num_classes(self) -> int:
        """One more than the largest label that a batch has; 0 without any."""
        return int(self._pools[-1].labels.max()) + 1

    @property
    def has_labels(self) -> bool:
        """Whether a part of each batch has its labels."""
        return self._pools[-1].setting == "labelled_batch_size"

    def check(self, replicas: int) -> None:
        """Raises a UserError where a batch size does not divide by the number of replicas."""
        for pool in self._pools:
            if pool.size % replicas:
                raise errors.UserError(
                    "--batch_size, --labelled_batch_size: expected multiples of the "
                    f"{replicas} replicas. Received: {pool.size}"
                )

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        return iter(self.batches())

    def distributed(
        self, strategy: tf.distribute.Strategy
    ) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """The minibatches of every replica, as Keras's `fit` takes them.

        Raises:
            UserError: a batch size does not divide by the number of replicas.
        """
        if strategy.num_replicas_in_sync == 1:
            return self.batches()
        return strategy.distribute_datasets_from_function(self.batches)

    def batches(self, context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        """A dataset of per-replica batches: x as in the data set, y int32, -1 for unlabelled.

        Args:
            context: The part of a distribution strategy that reads here; None for all of it.

        Raises:
            UserError: a batch size does not divide by the number of replicas.
        """
        context = context or tf.distribute.InputContext()
        replicas = context.num_replicas_in_sync
        here = replicas // context.num_input_pipelines
        self.check(replicas)
        pools = [_part(pool, replicas) for pool in self._pools]
        gather = self._gatherer()

        @tf.autograph.experimental.do_not_convert
        def batch(count: tf.Tensor) -> dict[str, tf.Tensor]:
            # The count goes over the replicas here, step by step; a part is one replica's share of
            # one step, numbered over the replicas of all pipelines.
            step = count // here
            part = step * replicas + context.input_pipeline_id * here + count % here
            parts = [_draw(self._seed, pool, part) for pool in pools]
            images = gather(tf.concat([rows for rows, _ in parts], 0))
            if self._shift:
                seed = tf.stack([streams.seed_of(self._seed, "shift"), part])
                images = augmentation.shift(images, seed, self._shift)
            split = tf.split(images, [pool.size for pool in pools])
            first, *rest = ({"x": x, "y": y} for x, (_, y) in zip(split, parts, strict=True))
            return {**first, "labelled": rest[0]} if rest else first

        counts = tf.data.Dataset.range(self._start * here, np.iinfo(np.int64).max)
        return counts.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)

    def _gatherer(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A function, for the graph, from int32 indices to examples."""
        x = self._x
        if not isinstance(x, rows_lib.Rows):
            with tf.device("CPU:0"):  # It may be larger than the memory of a GPU.
                constant = tf.constant(x)
            return lambda rows: tf.gather(constant, rows)

        def read(rows: np.ndarray) -> np.ndarray:
            try:
                return x[rows]
            except errors.UserError as error:
                self.error = error
                raise

        def gather(rows: tf.Tensor) -> tf.Tensor:
            examples = tf.numpy_function(read, [rows], x.dtype, stateful=False)
            return tf.ensure_shape(examples, [rows.shape[0], *x.example_shape])

        return gather


class _Pool(NamedTuple):
    """Examples that a part of each batch is filled with, pass after pass.

    Attributes:
        setting: The setting that gives its size.
        name: Of its order, a stream of random numbers.
        rows: int32, which training examples they are.
        labels: int32, the label to give with each training example.
        size: How many stand in a batch.
    """

    setting: str
    name: str
    rows: np.ndarray
    labels: np.ndarray
    size: int


def _labels(y: np.ndarray, count: int) -> np.ndarray:
    """The labels of so many examples, int32 [N].

    Raises:
        ValueError: they are of another shape or dtype, or one is below -1; or there are none.
    """
    labels = np.asarray(y)
    if not count or labels.shape != (count,):
        raise ValueError(
            f"Expected examples, and a label, or -1, for each. Received: {count} examples, labels "
            f"of shape {labels.shape}"
        )
    expected = "Expected labels, whole numbers from -1 on. Received"
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{expected}: dtype {labels.dtype}")
    if labels.min() < splits.UNLABELLED:
        raise ValueError(f"{expected}: {labels.min()}")
    return labels.astype(np.int32)


def _pools(y: np.ndarray, batch_size: int, labelled_batch_size: int) -> list[_Pool]:
    """The pools that fill the two parts of a batch, each where its batch size is not 0."""
    labelled = np.flatnonzero(y != splits.UNLABELLED)
    if labelled_batch_size and not labelled.size:
        raise errors.UserError(
            "--labels: the model learns from labels, but no training example has one"
        )
    if not batch_size and not labelled_batch_size:
        raise errors.UserError("--batch_size=0: expected a --labelled_batch_size of 1 or more")
    withheld = np.full_like(y, splits.UNLABELLED)
    pools = (
        _Pool("batch_size", "unlabelled order", np.arange(len(y)), withheld, batch_size),
        _Pool("labelled_batch_size", "labelled order", labelled, y, labelled_batch_size),
    )
    return [pool for pool in pools if pool.size]


def _part(pool: _Pool, replicas: int) -> _Pool:
    """A pool with the size of one replica's share, and its arrays as tensors."""
    return pool._replace(
        rows=tf.constant(pool.rows, tf.int32),
        labels=tf.constant(pool.labels),
        size=pool.size // replicas,
    )


def _draw(seed: int, pool: _Pool, part: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The examples in part number `part` of a pool, int32 [size], and their labels."""
    count = len(pool.rows)
    positions = part * pool.size + tf.range(pool.size, dtype=tf.int64)
    order = tf.fill([pool.size], tf.constant(streams.seed_of(seed, pool.name), tf.int64))
    # Position p of an endless sequence is place p mod count of pass p div count, and the seed of a
    # pass gives its order. tf.random.experimental.index_shuffle pads a [n, 2] seed along the wrong
    # axis; the operation itself takes [n, 3].
    shuffled = tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=tf.stack([order, positions // count, tf.zeros_like(positions)], axis=1),
        max_index=tf.constant(count - 1, tf.int64),
    )
    rows = tf.gather(pool.rows, tf.cast(shuffled, tf.int32))
    return rows, tf.gather(pool.labels, rows)
