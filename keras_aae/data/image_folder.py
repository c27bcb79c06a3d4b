"""Reads a folder of images, of any sizes; those that don't fit in memory stay in their files."""

import os
import pathlib
from typing import NoReturn

import numpy as np

from keras_aae import errors
from keras_aae import image_files
from keras_aae import reading
from keras_aae.data import encoded_images
from keras_aae.data import raw_data

_VALIDATION = ("val", "valid", "validation")  # Names that people give to a folder of held-out data.
_Labelled = list[tuple[pathlib.Path, int]]  # Files and the index of each one's class, -1 for none.


def read(path: pathlib.Path, wanted: encoded_images.Wanted) -> raw_data.Raw:
    """Reads a folder with train/<class>/, perhaps test/<class>/, of images.

    Images right in train/ have no label. Folders within that of a class count as part of it. What
    is left out or scaled is said on stderr.

    Args:
        path: The folder.
        wanted: How its images are to be read.

    Raises:
        UserError: there is no such folder, a class has no images, no size is given and fewer than
            half of them have the most common one, or an image can't be read. Of images that stay on
            the disk only the heads are read here, unless unreadable ones are skipped.
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
    described = encoded_images.describe(path, [file for file, _ in train + test], wanted)
    train, test = ([each for each in part if each[0] in described] for part in (train, test))
    _check_has_images(path / "train", classes, train)
    files = [[file for file, _ in part] for part in (train, test)]
    x_train, x_test = encoded_images.read(path, files, described, wanted)
    y_train, y_test = (np.array([label for _, label in part], np.int32) for part in (train, test))
    names = tuple(file.relative_to(path).as_posix() for file, _ in train)
    return raw_data.Raw(x_train, y_train, x_test, y_test, classes, names)


def _image_files(path: pathlib.Path, classes: tuple[str, ...]) -> tuple[_Labelled, _Labelled]:
    """The images of train/ and of test/; says what else there is."""
    train, test = (_split_files(path / split, classes) for split in ("train", "test"))
    beside = _loose_files(path)
    others = [file for file in (*beside, *(f for f, _ in train + test)) if not _is_image(file)]
    encoded_images.say(
        path, others, "left out", "file that is no image", "files that are no images"
    )
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
    """The files at any depth. A link to a folder is not followed and counts as a file.

    Raises:
        OSError: a folder can't be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise error

    found: list[pathlib.Path] = []
    if not path.is_dir():
        return found
    for folder, folders, files in os.walk(path, onerror=refuse):
        here = pathlib.Path(folder)
        folders[:] = [name for name in folders if not _is_hidden(name)]
        links = [name for name in folders if (here / name).is_symlink()]
        found += [here / name for name in (*links, *files) if not _is_hidden(name)]
    return sorted(found)


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
        encoded_images.note(
            path, f"{name}/ is not used; the validation split is drawn from train/ (--validation)"
        )
    strange = [folder for folder in beside if folder not in held_out] + images
    where = "beside train/ and test/"
    encoded_images.say(path, strange, "left out", f"entry {where}", f"entries {where}")
