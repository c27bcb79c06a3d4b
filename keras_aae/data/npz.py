"""Reads .npz files, whoever made them."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import math
import os
import sys
import warnings
import zipfile

import numpy as np

from keras_aae import errors
from keras_aae import reading
from keras_aae.data import memory

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_ENDING = ".npy"  # Of the name of an array in the archive.


def read(
    path: str | os.PathLike,
    required: Sequence[str],
    optional: Sequence[str] = (),
    max_memory: float | None = None,
) -> dict[str, np.ndarray]:
    """Arrays of an .npz file by name.

    Args:
        path: The file.
        required: The names of arrays that have to be there.
        optional: Those of arrays that may be there; others are not read.
        max_memory: As for `sources.read`.

    Raises:
        UserError: the file is missing, damaged or no .npz file, lacks an array or has Python
            objects in one, or takes more memory than it may.
    """
    with _opened(path) as archive:
        there = [member.removesuffix(_ENDING) for member in archive.namelist()]
        for name in required:
            if name not in there:
                listed = ", ".join(there)[:200]
                raise errors.UserError(f"{path}: expected an array {name}. It has: {listed}")
        names = [name for name in (*required, *optional) if name in there]
        needed = sum(_needed(archive, name) for name in names)
        memory.check(path, needed, max_memory)
        return {name: _array(archive, name) for name in names}


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    """The archive, whose faults are UserErrors, however they show."""
    try:
        with (
            reading.open_regular(path) as file,
            zipfile.ZipFile(file) as archive,
            warnings.catch_warnings(action="ignore"),
        ):
            yield archive
    except errors.UserError:
        raise
    except Exception as error:  # zipfile, its decompressors and numpy have no common base class.
        why = reading.reason(error)
        raise errors.UserError(f"{path}: not a readable .npz file ({why})") from error


def _needed(archive: zipfile.ZipFile, name: str) -> int:
    """About how many bytes it takes to read an array, from its header.

    Raises:
        ValueError: it holds objects, or isn't as long as the header says.
    """
    with archive.open(name + _ENDING) as file:
        read_header = _HEADERS[np.lib.format.read_magic(file)]
        shape, _, dtype = read_header(file)
        start = file.tell()
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are not read; save plain arrays")
    if archive.getinfo(name + _ENDING).file_size != start + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} is not as long as it says")
    return memory.needed(shape, dtype)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name + _ENDING) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.nbytes:
        codes = np.ravel(array, "K").view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:  # Python's text must not have them; numpy doesn't look.
            raise ValueError(f"{name} has text that isn't Unicode")
    return array
