"""Examples that stay on the disk and are read when they are wanted."""

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import math
from typing import Any

import numpy as np

_CHUNK = 16 << 20  # Bytes that are read at a time where all are wanted one after the other.


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Examples by their place, as an array [N, ...] has them, but read at each access.

    It takes arrays of indices, slices and masks, not a single index.

    Attributes:
        read: Returns the examples at given places in the file or folder, [n, ...].
        places: int64 [N], where each of these examples stands there.
        example_shape: The shape of one.
        dtype: The dtype of all.
    """

    read: Callable[[np.ndarray], np.ndarray]
    places: np.ndarray
    example_shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, ...], as of an array."""
        return (len(self.places), *self.example_shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, which: np.ndarray | slice) -> np.ndarray:
        """Reads the examples at indices, in a slice or under a mask.

        Raises:
            ValueError: what was read has another dtype.
        """
        places = self.places[which]
        examples = self.read(places)
        if examples.dtype != self.dtype:
            raise ValueError(f"Expected examples of {self.dtype}. Received: {examples.dtype}")
        return examples.reshape(len(places), *self.example_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all of them."""
        del copy
        return self[:].astype(dtype or self.dtype, copy=False)

    def take(self, which: np.ndarray | slice) -> "Rows":
        """The examples at indices, in a slice or under a mask, which stay on the disk."""
        return dataclasses.replace(self, places=self.places[which])

    def reshape(self, shape: tuple[int, ...]) -> "Rows":
        """As numpy's; the number of examples stays."""
        return dataclasses.replace(self, example_shape=shape[1:])


Examples = np.ndarray | Rows


def take(x: Examples, which: np.ndarray | slice) -> Examples:
    """Some of the examples; those on the disk stay there."""
    return x.take(which) if isinstance(x, Rows) else x[which]


def chunks(x: Examples) -> Iterator[np.ndarray]:
    """The examples in order, as arrays of 16 MB or one example."""
    size = max(1, math.prod(x.shape[1:]) * x.dtype.itemsize)
    count = max(1, _CHUNK // size)
    for start in range(0, len(x), count):
        yield np.asarray(x[start : start + count])
