"""How much memory a data set may take, of what this machine grants."""

from collections.abc import Iterator
import contextlib
import math
import os
import pathlib

import numpy as np

from keras_aae import errors

_GB = 1e9
_COPIES = 3  # Of an array that isn't bytes, itself included, while it is checked and converted.


def needed(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """About how many bytes it takes to read an array, with labels as int64 or text."""
    if dtype == np.uint8 and len(shape) > 1:
        return math.prod(shape)
    read_as = {"S": 4 * dtype.itemsize, "b": 8, "i": 8, "u": 8}.get(dtype.kind, dtype.itemsize)
    return math.prod(shape) * read_as * _COPIES


def check(where: str | os.PathLike, needed: int, max_memory: float | None) -> None:
    """Raises where a data set takes more memory than it may.

    Args:
        where: The data set.
        needed: About how many bytes it takes to read it.
        max_memory: The GB that it may take; None for half of what this machine grants, since the
            splits of a run are a second copy.

    Raises:
        UserError: it takes more.
    """
    if needed > allowed(max_memory):
        by = "half of this machine's memory" if max_memory is None else "--max_memory"
        raise errors.UserError(
            f"{where}: takes about {needed / _GB:.3g} GB of memory to read (images as bytes once, "
            f"all else {_COPIES} times, labels as int64 or text). Expected: at most "
            f"{allowed(max_memory) / _GB:.3g} GB, {by}. A "
            "larger --max_memory allows more"
        )


def allowed(max_memory: float | None) -> float:
    """How many bytes a data set may take.

    Args:
        max_memory: In GB; None for half of what this machine grants.

    Raises:
        UserError: `max_memory` is not above 0.
    """
    if max_memory is not None and not max_memory > 0:
        raise errors.UserError(f"--max_memory={max_memory}: expected more than 0")
    return granted() / 2 if max_memory is None else max_memory * _GB


def granted(root: pathlib.Path = pathlib.Path("/")) -> int:
    """The bytes of memory that this process may use: the machine's, or those of its control group.

    Args:
        root: Where `proc` and `sys` are.
    """
    amounts = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _limit_files(root):
        with contextlib.suppress(OSError, ValueError):  # Not there, or "max", which is no limit.
            amounts.append(int(file.read_text()))
    return min(amounts)


def _limit_files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where limits may be: of the control groups that this process is in, and of those around."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # Version 2.
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = pathlib.PurePosixPath(path.lstrip("/"))
        yield from (top / each / name for each in (group, *group.parents))
