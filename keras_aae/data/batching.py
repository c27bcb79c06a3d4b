"""Minibatches as a pure function of the seed and the update's number.

A batch is drawn by index from arrays in memory: a stateless shuffle says which example stands where
in each pass over the data. So a run that was stopped goes on with the very batch it would have
seen, with nothing to save, and any number of replicas sees the same global batch.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_aae import errors
from keras_aae import streams
from keras_aae.data import augmentation
from keras_aae.data import splits


def minibatches(
    dataset: splits.Dataset,
    *,
    seed: int = 0,
    batch_size: int = 100,
    labelled_batch_size: int = 0,
    augment_shift: int = 0,
    start: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Endless training minibatches, each `{"x": [B, ...], "y": [B]}`.

    A batch holds `batch_size` examples without their labels, then `labelled_batch_size` labelled
    ones. Each part passes over its examples in a new order every time.

    Args:
        dataset: What to draw from.
        seed: Draws the orders and the shifts.
        batch_size: Examples drawn from the whole training set, over all replicas; their y is -1.
        labelled_batch_size: Examples drawn from the labelled subset, over all replicas; either
            may be 0.
        augment_shift: Shift each image by up to so many pixels, edges repeated.
        start: The update to begin with.
        context: The part of a distribution strategy that reads here; None for all of it.

    Returns:
        A dataset of per-replica batches: x as in the data set, y int32 with -1 for unlabelled.

    Raises:
        UserError: a batch size does not divide by the number of replicas, or there is nothing to
            draw from.
    """
    context = context or tf.distribute.InputContext()
    replicas = context.num_replicas_in_sync
    here = replicas // context.num_input_pipelines
    pools = _pools(dataset, batch_size, labelled_batch_size, replicas)
    x = tf.constant(dataset.train.x)

    def batch(count):
        update = count // here
        part = update * replicas + context.input_pipeline_id * here + count % here
        drawn = [_draw(seed, pool, part) for pool in pools]
        images = tf.gather(x, tf.concat([rows for rows, _ in drawn], 0))
        if augment_shift and images.shape.rank == 4:
            images = augmentation.shift(
                images, tf.stack([streams.number(seed, "shift"), part]), augment_shift
            )
        return {"x": images, "y": tf.concat([labels for _, labels in drawn], 0)}

    counts = tf.data.Dataset.range(start * here, np.iinfo(np.int64).max)
    return counts.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)


class _Pool(NamedTuple):
    """Examples that batches are filled with, pass after pass.

    Attributes:
        name: Of its order, a stream of random numbers.
        rows: int32, which training examples they are.
        labels: int32, the label to give with each training example.
        size: How many stand in a replica's batch.
    """

    name: str
    rows: tf.Tensor
    labels: tf.Tensor
    size: int


def _pools(dataset, batch_size, labelled_batch_size, replicas):
    """The pools that fill the two parts of a batch, each where its batch size is not 0."""
    for flag, size in (("batch_size", batch_size), ("labelled_batch_size", labelled_batch_size)):
        if size % replicas:
            raise errors.UserError(
                f"--{flag}={size}: expected a multiple of the {replicas} replicas"
            )
    y = dataset.train.y
    labelled = np.flatnonzero(y != splits.UNLABELLED)
    if labelled_batch_size and not labelled.size:
        raise errors.UserError(
            "--labels: the model learns from labels, but no training example has one"
        )
    withheld = np.full_like(y, splits.UNLABELLED)
    pools = (
        ("unlabelled order", np.arange(len(y)), withheld, batch_size),
        ("labelled order", labelled, y, labelled_batch_size),
    )
    return [
        _Pool(name, tf.constant(rows, tf.int32), tf.constant(labels), size // replicas)
        for name, rows, labels, size in pools
        if size
    ]


def _draw(seed, pool, part):
    """The examples in part number `part` of a pool, int32 [size], and their labels."""
    count = len(pool.rows)
    positions = part * pool.size + tf.range(pool.size, dtype=tf.int64)
    order = tf.fill([pool.size], tf.constant(streams.number(seed, pool.name), tf.int64))
    # tf.random.experimental.index_shuffle pads a [n, 2] seed along the wrong axis; the op itself
    # takes [n, 3].
    shuffled = tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=tf.stack([order, positions // count, tf.zeros_like(positions)], axis=1),
        max_index=tf.constant(count - 1, tf.int64),
    )
    rows = tf.gather(pool.rows, tf.cast(shuffled, tf.int32))
    return rows, tf.gather(pool.labels, rows)
