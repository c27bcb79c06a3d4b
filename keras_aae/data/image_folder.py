"""Reads a folder of images, of any sizes; those that don't fit in memory stay in their files."""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import math
import os
import pathlib
import sys
from typing import TypeVar

import numpy as np

from keras_aae import errors
from keras_aae import image_files
from keras_aae import plain_text
from keras_aae import progress
from keras_aae import reading
from keras_aae.data import memory
from keras_aae.data import rows

_T = TypeVar("_T")

_WINDOW = 1000  # Files that wait for a thread at a time.
_VALIDATION = ("val", "valid", "validation")  # Names that people give to a folder of held-out data.
_Labelled = list[tuple[pathlib.Path, int]]  # Files and the index of each one's class, -1 for none.


def read(
    path: pathlib.Path,
    max_memory: float | None = None,
    image_size: int | None = None,
    on_bad_image: str = "fail",
) -> tuple[rows.Examples, np.ndarray, rows.Examples, np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Reads a folder with train/<class>/, perhaps test/<class>/, of images.

    Images right in train/ have no label. Folders within that of a class count as part of it. What
    is left out or scaled is said on stderr.

    Args:
        path: The folder.
        max_memory: As for `sources.read`.
        image_size: As for `sources.read`.
        on_bad_image: As for `sources.read`.

    Returns:
        As `sources.Raw`.

    Raises:
        UserError: there is no such folder, a class has no images, they differ in size and none is
            given, or an image can't be read. Of images that stay on the disk only the heads are
            read here, unless unreadable ones are skipped.
    """
    if not os.path.isdir(path / "train"):
        raise errors.UserError(
            f"{path}: expected a folder train/ with one folder of images for each class"
        )
    try:
        classes = tuple(folder.name for folder in _folders(path / "train"))
        train, test = _image_files(path, classes)
    except (OSError, RecursionError) as error:
        fault = getattr(error, "filename", None) or path
        raise errors.UserError(f"{fault}: not readable ({reading.reason(error)})") from error
    _check_has_images(path / "train", classes, train)
    described = _described(path, [file for file, _ in train + test], on_bad_image)
    train, test = ([each for each in part if each[0] in described] for part in (train, test))
    _check_has_images(path / "train", classes, train)
    shape = _common_shape(path, described, image_size)
    in_memory = len(described) * math.prod(shape) <= memory.allowed(max_memory)
    (x_train, y_train), (x_test, y_test) = (_read(each, shape, in_memory) for each in (train, test))
    names = tuple(file.relative_to(path).as_posix() for file, _ in train)
    return x_train, y_train, x_test, y_test, classes, names


def _read(
    labelled: _Labelled, shape: tuple[int, int, int], in_memory: bool
) -> tuple[rows.Examples, np.ndarray]:
    """The images, uint8 [N, *shape], and their labels, int32 [N]."""
    images = _rows([file for file, _ in labelled], shape)
    labels = np.array([label for _, label in labelled], np.int32)
    return (np.asarray(images) if in_memory else images), labels


def _image_files(path: pathlib.Path, classes: tuple[str, ...]) -> tuple[_Labelled, _Labelled]:
    """The images of train/ and of test/; says what else there is."""
    train, test = (_split_files(path / split, classes) for split in ("train", "test"))
    beside = _loose_files(path)
    others = [file for file in (*beside, *(f for f, _ in train + test)) if not _is_image(file)]
    _say(path, others, "left out", "file that is no image", "files that are no images")
    _say_beside(path, [file for file in beside if _is_image(file)])
    return _images(train), _images(test)


def _split_files(folder: pathlib.Path, classes: tuple[str, ...]) -> _Labelled:
    """All files of train/ or test/."""
    if not folder.is_dir():
        return []
    for sub in _folders(folder):
        if sub.name not in classes:
            raise errors.UserError(f"{sub}: train/ has no class of that name")
    files = [(file, -1) for file in _loose_files(folder)]
    for index, name in enumerate(classes):
        files += [(file, index) for file in _files_below(folder / name)]
    return files


def _images(files: _Labelled) -> _Labelled:
    return [(file, label) for file, label in files if _is_image(file)]


def _folders(path: pathlib.Path) -> list[pathlib.Path]:
    return sorted(sub for sub in path.iterdir() if sub.is_dir() and not _is_hidden(sub.name))


def _loose_files(path: pathlib.Path) -> list[pathlib.Path]:
    return sorted(file for file in path.iterdir() if not (file.is_dir() or _is_hidden(file.name)))


def _files_below(path: pathlib.Path) -> list[pathlib.Path]:
    """The files at any depth. A link to a folder is not followed and counts as a file."""
    return [
        file
        for file in sorted(path.rglob("*"))
        if (file.is_symlink() or not file.is_dir())
        and not any(_is_hidden(part) for part in file.relative_to(path).parts)
    ]


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is of no concern to a person, and left out without a word."""
    return name.startswith(".") or name.lower() in ("thumbs.db", "desktop.ini")


def _is_image(file: pathlib.Path) -> bool:
    return file.suffix.lower() in image_files.ENDINGS


def _check_has_images(folder: pathlib.Path, classes: tuple[str, ...], train: _Labelled) -> None:
    """Raises where train/ or one of its classes has no images."""
    filled = {label for _, label in train}
    empty = [folder / name for index, name in enumerate(classes) if index not in filled]
    if not train or empty:
        raise errors.UserError(
            f"{empty[0] if train else folder}: no images there ({image_files.FORMATS})"
        )


def _say_beside(path: pathlib.Path, images: list[pathlib.Path]) -> None:
    """Says which folders, and which of the images given, lie unused beside train/ and test/."""
    beside = [folder for folder in _folders(path) if folder.name not in ("train", "test")]
    held_out = [folder for folder in beside if folder.name.lower() in _VALIDATION]
    for name in (folder.name for folder in held_out):
        _note(
            path, f"{name}/ is not used; the validation split is drawn from train/ (--validation)"
        )
    strange = [folder for folder in beside if folder not in held_out] + images
    where = "beside train/ and test/"
    _say(path, strange, "left out", f"entry {where}", f"entries {where}")


def _say(path: pathlib.Path, files: list[pathlib.Path], done: str, one: str, many: str) -> None:
    """Prints a line on stderr that counts the files and names the first three, if there are any."""
    if files:
        names = [file.relative_to(path).as_posix() for file in files[:3]]
        listed = ", ".join(names + ["..."] * (len(files) > 3))
        what = one if len(files) == 1 else many
        _note(path, f"{done} {len(files)} {what} ({listed})")


def _note(path: pathlib.Path, text: str) -> None:
    print(plain_text.escaped(f"{path}/: {text}"), file=sys.stderr)


def _described(
    path: pathlib.Path, files: list[pathlib.Path], on_bad_image: str
) -> dict[pathlib.Path, image_files.Description]:
    """What each file holds; with `skip` those that can't be read are left out, which is said."""
    described: dict[pathlib.Path, image_files.Description] = {}
    bad: list[pathlib.Path] = []
    with progress.bar("images", len(files), "file", delay=5) as bar:
        for file, found in zip(files, _in_threads(_LOOKS[on_bad_image], files), strict=True):
            bar.update()
            if found is None:
                bad.append(file)
            else:
                described[file] = found
    _say(path, bad, "left out", "image that is not readable", "images that are not readable")
    return described


def _readable(file: pathlib.Path) -> image_files.Description | None:
    """What a file holds that can be read to its end; None for any other."""
    try:
        return image_files.describe(file, whole=True)
    except errors.UserError:
        return None


_LOOKS: dict[str, Callable[[pathlib.Path], image_files.Description | None]] = {
    "fail": image_files.describe,
    "skip": _readable,
}


def _common_shape(
    path: pathlib.Path,
    described: Mapping[pathlib.Path, image_files.Description],
    image_size: int | None,
) -> tuple[int, int, int]:
    """The shape that all images are brought to; says which have further frames or another size.

    They are grey if all are, else in colour, and of the most common size unless one is given.

    Raises:
        UserError: none is given, and most images are of other sizes than the most common one.
    """
    shapes = {file: found.shape for file, found in described.items()}
    sizes = collections.Counter(shape[:2] for shape in shapes.values())
    (height, width), count = sizes.most_common(1)[0]
    if image_size:
        height = width = image_size
    elif 2 * count < len(shapes):
        raise errors.UserError(
            f"{path}: has images of {len(sizes)} sizes, the most common one {width} x {height} "
            f"pixels ({count} of {len(shapes)}); say with --image_size what to scale them to"
        )
    more = [file for file, found in described.items() if found.has_more]
    _say(path, more, "read the first frame of", "file that has more", "files that have more")
    others = [file for file, shape in shapes.items() if shape[:2] != (height, width)]
    to = f"to {width} x {height} pixels"
    _say(path, others, "scaled", f"image {to}", f"images {to}")
    return height, width, max(shape[2] for shape in shapes.values())


def _rows(files: list[pathlib.Path], shape: tuple[int, int, int]) -> rows.Rows:
    """The images, which are decoded as they are wanted."""

    def read(places: np.ndarray) -> np.ndarray:
        images = np.empty((len(places), *shape), np.uint8)
        wanted = [files[place] for place in places]
        for image, pixels in zip(
            images, _in_threads(lambda f: image_files.read_as(f, shape), wanted), strict=True
        ):
            image[...] = pixels[0]
        return images

    return rows.Rows(read, np.arange(len(files)), shape, np.dtype(np.uint8))


def _in_threads(
    function: Callable[[pathlib.Path], _T], files: Sequence[pathlib.Path]
) -> Iterator[_T]:
    """The result of a function for each file, in order."""
    with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(files), _WINDOW):
            yield from pool.map(function, files[start : start + _WINDOW])
