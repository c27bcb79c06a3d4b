"""Which devices a run uses."""

from collections.abc import Callable

import tensorflow as tf


def get(name: str) -> tf.distribute.Strategy:
    """The distribution strategy.

    Args:
        name: `single`, `mirrored` (every GPU), or `auto` (mirrored with two GPUs or more).
    """
    if name == "mirrored" or (name == "auto" and len(tf.config.list_logical_devices("GPU")) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def distribute(
    strategy: tf.distribute.Strategy,
    minibatches: Callable[[tf.distribute.InputContext], tf.data.Dataset],
):
    """The minibatches of every replica, as `fit` takes them.

    Args:
        strategy: The strategy in use.
        minibatches: Gives the per-replica batches for a part of the strategy; see
            `data.minibatches`.
    """
    if strategy.num_replicas_in_sync == 1:
        return minibatches(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(minibatches)
