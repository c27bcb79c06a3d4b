"""Reads .npz files, whoever made them.

Images that would take too much memory stay in the file, where that holds them as they are: saved by
`np.savez`, not compressed.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import io
import math
import os
import sys
from typing import IO
from typing import Any
import warnings
import zipfile

import numpy as np

from keras_aae import errors
from keras_aae import reading
from keras_aae.data import memory
from keras_aae.data import rows

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_CHUNK = 16 << 20  # Bytes that are read at a time.
_LONGEST_HEADER = 10_000  # Bytes, as numpy has it.
_ENDING = ".npy"  # Of the name of an array in the archive.


def read(
    path: str | os.PathLike,
    required: Sequence[str],
    optional: Sequence[str] = (),
    max_memory: float | None = None,
) -> dict[str, Any]:
    """Arrays of an .npz file by name; images that don't fit in memory are `rows.Rows`.

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
        members = {name: _member(archive, name) for name in names}
        stays: dict[str, rows.Rows] = {}
        if sum(each.needed for each in members.values()) > memory.allowed(max_memory):
            stored = {name: each for name, each in members.items() if each.is_stored_images}
            stays = {name: _rows(archive, name, each) for name, each in stored.items()}
        others = [name for name in names if name not in stays]
        memory.check(path, sum(members[name].needed for name in others), max_memory)
        return stays | {name: _array(archive, name) for name in others}


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


@dataclasses.dataclass(frozen=True)
class _Member:
    """An array in an archive, by its header.

    Attributes:
        shape: Its shape.
        dtype: Its dtype.
        needed: About how many bytes it takes to read it.
        is_stored_images: Whether it may be images that stand in the file as they do in memory.
        start: Where in the file its values begin, if so.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    needed: int
    is_stored_images: bool
    start: int


def _member(archive: zipfile.ZipFile, name: str) -> _Member:
    """The header of an array.

    Raises:
        ValueError: it holds objects, or isn't as long as the header says.
    """
    info = archive.getinfo(name + _ENDING)
    with archive.open(info) as file:
        shape, in_columns, dtype = _header(file)
        length = file.tell()
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} has a negative size")
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are not read; save plain arrays")
    if info.file_size != length + math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} is not as long as it says")
    images = dtype == np.uint8 and len(shape) in (3, 4) and not in_columns
    as_it_is = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    return _Member(
        shape,
        dtype,
        memory.needed(shape, dtype),
        is_stored_images=images and as_it_is,
        start=_start(archive, info) + length,
    )


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape of an array, whether it stands there by columns, and its dtype.

    A header may say that it is gigabytes long, which numpy believes.
    """
    version = np.lib.format.read_magic(file)
    size = file.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(size, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"it has a header of {length} bytes")
    return _HEADERS[version](io.BytesIO(size + file.read(length)))


def _start(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: behind a header of 30 bytes, its name and an extra field."""
    assert archive.fp
    archive.fp.seek(info.header_offset + 26)
    lengths = np.frombuffer(archive.fp.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def _rows(archive: zipfile.ZipFile, name: str, member: _Member) -> rows.Rows:
    """The images of an array that stays in the file; they are read once for their checksum."""
    with archive.open(name + _ENDING) as values:
        while values.read(_CHUNK):  # At the end zipfile compares the checksum.
            pass
    assert archive.fp
    # Open for as long as the images are in use: another file that takes the path's place is not it.
    file = os.fdopen(os.dup(archive.fp.fileno()), "rb")
    path = archive.filename or archive.fp.name
    count, *example = member.shape
    size = math.prod(example)
    mark = reading.mark(os.fstat(file.fileno()))

    def read(places: np.ndarray) -> np.ndarray:
        images = np.empty((len(places), size), np.uint8)
        for image, place in zip(images, places, strict=True):
            try:
                got = os.preadv(file.fileno(), [image.data], member.start + int(place) * size)
            except OSError as error:
                raise errors.UserError(f"{path}: not readable ({reading.reason(error)})") from error
            if got != size:
                raise errors.UserError(f"{path}: became shorter while it was read")
        if reading.mark(os.fstat(file.fileno())) != mark:
            raise errors.UserError(f"{path}: changed while it was in use")
        return images

    return rows.Rows(read, np.arange(count), tuple(example), member.dtype)


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name + _ENDING) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.nbytes:
        codes = np.ravel(array, "K").view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:  # Python's text must not have them; numpy doesn't look.
            raise ValueError(f"{name} has text that isn't Unicode")
    return array
