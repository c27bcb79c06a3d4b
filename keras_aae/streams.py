"""Named streams of random numbers.

Every draw of a run's data and training belongs to a stream with a name, like "style prior". What it
draws is a function of the run's seed, the step, the replica and that name, and of nothing else: see
`models.seeds`. So a run that goes on from a checkpoint draws what an uninterrupted one draws, and
switching one draw off leaves all others as they were: two runs that differ in one setting are
paired.
"""

from collections.abc import Iterator
import contextlib
import random
import threading
import zlib

import numpy as np

_drawing = threading.RLock()


def seed_of(seed: int, stream: str) -> int:
    """A 31-bit seed for what is drawn once: a split, an order, initial weights.

    Args:
        seed: The seed of the run, 0 or more.
        stream: The name of the stream.

    Raises:
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"Expected a seed of 0 or more. Received: seed={seed}")
    return int(np.random.SeedSequence([seed, name_hash(stream)]).generate_state(1)[0] >> 1)


@contextlib.contextmanager
def initial_weights(seed: int, stream: str) -> Iterator[None]:
    """Draws the initial weights of the Keras layers that are made inside from a stream.

    Keras seeds each initializer from Python's generator, whose state is put back at the end. One
    thread at a time is inside.

    Args:
        seed: The seed of the run, 0 or more.
        stream: The name of the stream.
    """
    with _drawing:
        state = random.getstate()
        random.seed(seed_of(seed, stream))
        try:
            yield
        finally:
            random.setstate(state)


def name_hash(name: str) -> int:
    """A 31-bit number for a name, the same in every process."""
    return zlib.crc32(name.encode()) >> 1
