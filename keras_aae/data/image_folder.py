"""Reads a folder of images into arrays."""

import os
import pathlib
import sys

import numpy as np

from keras_aae import errors
from keras_aae import image_files
from keras_aae import plain_text
from keras_aae import reading
from keras_aae.data import memory

_VALIDATION = ("val", "valid", "validation")  # Names that people give to a folder of held-out data.
_Labelled = list[tuple[pathlib.Path, int]]  # Files and the index of each one's class, -1 for none.


def read(
    path: pathlib.Path, max_memory: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Reads a folder with train/<class>/, perhaps test/<class>/, of images.

    Images right in train/ have no label. Folders within that of a class count as part of it. What
    is left out is said on stderr.

    Args:
        path: The folder.
        max_memory: As for `sources.read`.

    Returns:
        As `sources.Raw`.

    Raises:
        UserError: there is no such folder, a class has no images, an image can't be read, they
            differ in size or take more memory than they may.
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
    images = _read_images(path, [file for file, _ in train + test], max_memory)
    labels = np.array([label for _, label in train + test], np.int32)
    cut = len(train)
    return images[:cut], labels[:cut], images[cut:], labels[cut:], classes


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


def _read_images(
    path: pathlib.Path, files: list[pathlib.Path], max_memory: float | None
) -> np.ndarray:
    """The images as uint8 [N, H, W, C]: grey if all are, else colour; says of further frames."""
    first = image_files.read(files[0]).pixels
    memory.check(path, len(files) * first.size, max_memory)
    images, more = np.empty((len(files), *first.shape), np.uint8), []
    for index, file in enumerate(files):
        pixels, has_more = image_files.read(file)
        _check_size(file, pixels, files[0], first)
        more += [file] * has_more
        if pixels.shape[2] > images.shape[3]:
            memory.check(path, len(files) * pixels.size, max_memory)
            images = np.repeat(images, pixels.shape[2], axis=3)
        images[index] = pixels
    _say(path, more, "read the first frame of", "file that has more", "files that have more")
    return images


def _check_size(
    file: pathlib.Path, pixels: np.ndarray, first_file: pathlib.Path, first: np.ndarray
) -> None:
    if pixels.shape[:2] != first.shape[:2]:
        raise errors.UserError(
            f"{file}: expected {first.shape[1]} x {first.shape[0]} pixels like {first_file}. "
            f"Received: {pixels.shape[1]} x {pixels.shape[0]}"
        )
