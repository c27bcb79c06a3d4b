"""Reads a folder of images, in any format that Pillow reads, into arrays."""

import contextlib
import functools
import pathlib
import sys

import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import TiffImagePlugin

from keras_aae import errors

# Formats that Pillow knows from others but whose pixels it does not read.
_ONLY_RECOGNISED = {"BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# (format, mode) of Pillow whose grey is known to go from 0 to 65535, or to the 4095 of 12 bits.
_SIXTEEN_BITS = {
    ("PNG", "I;16"),
    ("PNG", "I"),
    ("PPM", "I;16"),
    ("PPM", "I"),
    ("TIFF", "I;16"),
    ("TIFF", "I;16B"),
    ("JPEG2000", "I;16"),
}
_VALIDATION = ("val", "valid", "validation")  # Names that people give to a folder of held-out data.
_Labelled = list[tuple[pathlib.Path, int]]  # Files and the index of each one's class, -1 for none.


def read(
    path: pathlib.Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Reads a folder with train/<class>/, perhaps test/<class>/, of images.

    Images right in train/ have no label. Folders within that of a class count as part of it. What
    is left out is said on stderr.

    Returns:
        As `sources.Raw`.

    Raises:
        UserError: there is no such folder, a class has no images, an image can't be read, or they
            differ in size.
    """
    if not (path / "train").is_dir():
        raise errors.UserError(
            f"{path}: expected a folder train/ with one folder of images for each class"
        )
    classes = tuple(folder.name for folder in _folders(path / "train"))
    train, test = _image_files(path, classes)
    _check_has_images(path / "train", classes, train)
    images = _read_images(path, [file for file, _ in train + test])
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
    return file.suffix.lower() in _image_endings()


@functools.cache
def _image_endings() -> frozenset[str]:
    """The endings, like `.png`, of the files that Pillow reads."""
    endings = Image.registered_extensions()  # Registers the readers, too, on its first call.
    opened = (Image.OPEN.keys() | {"MPO"}) - _ONLY_RECOGNISED  # The JPEG reader opens MPO.
    return frozenset(ending for ending, kind in endings.items() if kind in opened)


def _check_has_images(folder: pathlib.Path, classes: tuple[str, ...], train: _Labelled) -> None:
    """Raises where train/ or one of its classes has no images."""
    filled = {label for _, label in train}
    empty = [folder / name for index, name in enumerate(classes) if index not in filled]
    if not train or empty:
        raise errors.UserError(
            f"{empty[0] if train else folder}: no images there "
            "(.png, .jpg, .webp, .tiff or another format that Pillow reads)"
        )


def _say_beside(path: pathlib.Path, images: list[pathlib.Path]) -> None:
    """Says which folders, and which of the images given, lie unused beside train/ and test/."""
    beside = [folder for folder in _folders(path) if folder.name not in ("train", "test")]
    held_out = [folder for folder in beside if folder.name.lower() in _VALIDATION]
    for name in (folder.name for folder in held_out):
        text = f"{name}/ is not used; the validation split is drawn from train/ (--validation)"
        print(f"{path}/: {text}", file=sys.stderr)
    strange = [folder for folder in beside if folder not in held_out] + images
    where = "beside train/ and test/"
    _say(path, strange, "left out", f"entry {where}", f"entries {where}")


def _say(path: pathlib.Path, files: list[pathlib.Path], done: str, one: str, many: str) -> None:
    """Prints a line on stderr that counts the files and names the first three, if there are any."""
    if files:
        names = [file.relative_to(path).as_posix() for file in files[:3]]
        listed = ", ".join(names + ["..."] * (len(files) > 3))
        what = one if len(files) == 1 else many
        print(f"{path}/: {done} {len(files)} {what} ({listed})", file=sys.stderr)


def _read_images(path: pathlib.Path, files: list[pathlib.Path]) -> np.ndarray:
    """The images as uint8 [N, H, W, C]: grey if all are, else colour; says of further frames."""
    pictures, frames = zip(*(_read_image(file) for file in files), strict=True)
    animated = [file for file, count in zip(files, frames, strict=True) if count > 1]
    read = "read the first frame of"
    _say(path, animated, read, "file that has more", "files that have more")
    _check_sizes(files, pictures)
    shape = (*pictures[0].shape[:2], max(picture.shape[2] for picture in pictures))
    return np.stack([np.broadcast_to(picture, shape) for picture in pictures])


def _check_sizes(files: list[pathlib.Path], pictures: tuple[np.ndarray, ...]) -> None:
    height, width, _ = pictures[0].shape
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise errors.UserError(
                f"{file}: expected {width} x {height} pixels like {files[0]}. "
                f"Received: {picture.shape[1]} x {picture.shape[0]}"
            )


def _read_image(file: pathlib.Path) -> tuple[np.ndarray, int]:
    """The first frame as it is shown, turned as EXIF says, and the number of frames."""
    try:
        with Image.open(file) as picture:
            frames = getattr(picture, "n_frames", 1)
            picture.load()
            with contextlib.suppress(Exception):  # Damaged EXIF data turns nothing.
                ImageOps.exif_transpose(picture, in_place=True)
            deep = picture.mode == "F" or picture.mode.startswith("I")
            return _deep_pixels(picture, file) if deep else _pixels(picture), frames
    except errors.UserError:
        raise
    except Exception as error:  # Pillow's readers have no common base class for a damaged file.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise errors.UserError(f"{file}: not a readable image ({reason})") from error


def _pixels(picture: Image.Image) -> np.ndarray:
    """Pixels of up to 8 bits as uint8: grey [H, W, 1], colour [H, W, 3].

    What is transparent is laid on white, as a viewer shows it.
    """
    grey = picture.mode in ("1", "L", "LA") or _has_grey_palette(picture)
    if _is_transparent(picture):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def _has_grey_palette(picture: Image.Image) -> bool:
    """Whether the colours are in a palette and those in use are all grey."""
    if picture.mode not in ("P", "PA"):
        return False
    colours = np.asarray(picture.convert("RGBA"))[..., :3]
    return bool((colours == colours[..., :1]).all())


def _is_transparent(picture: Image.Image) -> bool:
    """Whether there is an alpha channel, in the palette too, or a transparent colour."""
    mode = picture.palette.mode if picture.mode == "P" and picture.palette else picture.mode
    return "transparency" in picture.info or mode in ("LA", "PA", "RGBA", "RGBa")


def _deep_pixels(picture: Image.Image, file: pathlib.Path) -> np.ndarray:
    """Pixels of 12 or 16 bits, scaled to 8: grey, uint8 [H, W, 1].

    Raises:
        UserError: the pixels are of another kind; which value is white would be a guess.
    """
    values = np.asarray(picture)[..., None]
    if (picture.format, picture.mode) not in _SIXTEEN_BITS:
        raise errors.UserError(
            f"{file}: expected pixels of 8 bits, or 16-bit grey of a PNG, PNM, TIFF or JPEG 2000. "
            f"Received: {picture.format}, mode {picture.mode}, {values.min():g} to {values.max():g}"
        )
    tags = getattr(picture, "tag_v2", {})
    white = 4095 if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,) else 65535
    grey = np.rint(values / (white / 255))
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # There 0 is white.
        grey = 255 - grey
    grey[values == picture.info.get("transparency", -1)] = 255
    return grey.astype(np.uint8)
