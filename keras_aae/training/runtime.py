"""Which devices a run uses."""

import tensorflow as tf


def strategy(name: str, steps_per_execution: int = 1) -> tf.distribute.Strategy:
    """The distribution strategy.

    Args:
        name: `single` (the current strategy, by default one device), `mirrored` (every GPU), or
            `auto` (mirrored with two GPUs or more).
        steps_per_execution: Steps in one call of the compiled function.
    """
    if name == "mirrored" or (name == "auto" and len(tf.config.list_logical_devices("GPU")) > 1):
        # The default operations between devices can't be placed in a loop of several steps.
        operations = tf.distribute.HierarchicalCopyAllReduce() if steps_per_execution > 1 else None
        return tf.distribute.MirroredStrategy(cross_device_ops=operations)
    return tf.distribute.get_strategy()
