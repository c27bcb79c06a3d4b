"""Reads image files as a viewer shows them; imports numpy and Pillow alone.

A file's format is known by its content and one of a few. Pillow has readers for many more; some
start other programs, which a file that only claims to be a picture must not do.
"""

from collections.abc import Iterator
import contextlib
import math
import os
import threading
from typing import BinaryIO
from typing import NamedTuple
from typing import Protocol
import warnings

import numpy as np
from PIL import ExifTags
from PIL import Image
from PIL import ImageOps
from PIL import TiffImagePlugin

from keras_aae import errors
from keras_aae import reading

FORMATS = "PNG, JPEG, WebP, BMP, TIFF or GIF"
ENDINGS = frozenset(
    (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
    + (".webp", ".bmp", ".tif", ".tiff", ".gif")
)

# Where Pillow warns of many pixels, `_opened` raises; catching the warning isn't safe in threads.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

# Pixels. While it is decoded a picture takes up to 25 bytes for each, of large ones one at a time.
_LARGE = 10_000_000
_one_large = threading.Lock()

_READERS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # Pillow's; that of JPEG opens MPO, too.
_ON_THEIR_SIDE = (5, 6, 7, 8)  # Values of EXIF's orientation that turn by a quarter.
_MODES = {1: "L", 3: "RGB"}  # By the number of channels.
# (format, mode) of Pillow whose grey is known to go from 0 to 65535, or to the 4095 of 12 bits.
_SIXTEEN_BITS = {("PNG", "I;16"), ("PNG", "I"), ("TIFF", "I;16"), ("TIFF", "I;16B")}


class Encoded(Protocol):
    """An image in one of the formats that is not a file by itself; `str` of it is its name."""

    def open(self) -> BinaryIO:
        """Its bytes, as those of a file."""


class Picture(NamedTuple):
    """What an image file shows.

    Attributes:
        pixels: Its first frame, uint8: grey [H, W, 1] or colour [H, W, 3].
        has_more: Whether further frames were left out.
    """

    pixels: np.ndarray
    has_more: bool


class Description(NamedTuple):
    """What an image file holds.

    Attributes:
        shape: Of the pixels: (height, width, channels).
        has_more: Whether it has more frames than the first.
    """

    shape: tuple[int, int, int]
    has_more: bool


def read(path: str | os.PathLike | Encoded) -> Picture:
    """The first frame of an image file, turned as EXIF says, with transparency laid on white.

    Raises:
        UserError: the file is missing, damaged, of another format or with too many pixels, or it
            isn't known which of its values is white.
    """
    with _opened(path) as opened, _alone_if_large(opened):
        has_more = getattr(opened, "is_animated", False)
        opened.load()
        with contextlib.suppress(Exception):  # Damaged EXIF data turns nothing.
            ImageOps.exif_transpose(opened, in_place=True)
        pixels = _deep_pixels(opened, path) if _is_deep(opened) else _pixels(opened)
        return Picture(pixels, has_more)


def _alone_if_large(opened: Image.Image) -> contextlib.AbstractContextManager:
    """Waits for other threads to be done with a large picture, where this one is large, too."""
    return _one_large if math.prod(opened.size) > _LARGE else contextlib.nullcontext()


def describe(path: str | os.PathLike | Encoded, *, whole: bool = False) -> Description:
    """What `read` would give, by the head of the file where that is enough.

    Args:
        path: The file.
        whole: Whether to read it to its end, where other faults may show.

    Raises:
        UserError: as `read`, for what was read.
    """
    if not whole:
        with _opened(path) as opened:
            # Versions of Pillow differ in when they turn a TIFF; a PNG is read whole to find EXIF.
            if opened.format not in ("TIFF", "PNG"):
                return _described_by_head(opened)
    pixels, has_more = read(path)
    return Description(pixels.shape, has_more)


def _described_by_head(opened: Image.Image) -> Description:
    width, height = opened.size
    with contextlib.suppress(Exception):  # As in `read`.
        if opened.getexif().get(ExifTags.Base.Orientation, 1) in _ON_THEIR_SIDE:
            width, height = height, width
    channels = 1 if _is_deep(opened) or _is_grey(opened) else 3
    return Description((height, width, channels), getattr(opened, "is_animated", False))


def read_as(
    path: str | os.PathLike | Encoded, shape: tuple[int, ...], invert: bool = False
) -> np.ndarray:
    """An image file as a model takes it, scaled to its size: uint8 [1, H, W, C].

    Args:
        path: The file.
        shape: (H, W, C), where C is 1 for grey and 3 for colour.
        invert: Whether to swap dark and light.

    Raises:
        UserError: as `read`.
    """
    height, width, channels = shape
    pixels = read(path).pixels
    pixels = 255 - pixels if invert else pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture = picture.convert(_MODES[channels])
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, np.uint8).reshape(1, height, width, channels)


@contextlib.contextmanager
def _opened(path: str | os.PathLike | Encoded) -> Iterator[Image.Image]:
    """An image of few enough pixels, whose faults are UserErrors, however they show."""
    try:
        with (
            _open(path) as file,
            Image.open(file, formats=_READERS) as opened,
        ):
            count = math.prod(opened.size)
            if count > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise ValueError(f"it has {count} pixels")
            yield opened
    except errors.UserError:
        raise
    except Exception as error:  # Pillow's readers have no common base class for a damaged file.
        known = not isinstance(error, Image.UnidentifiedImageError)
        why = reading.reason(error) if known else f"expected a {FORMATS}"
        raise errors.UserError(f"{path}: not a readable image ({why})") from error


def _open(path: str | os.PathLike | Encoded) -> BinaryIO:
    return reading.open_regular(path) if isinstance(path, (str, os.PathLike)) else path.open()


def _pixels(picture: Image.Image) -> np.ndarray:
    """Pixels of up to 8 bits as uint8: grey [H, W, 1], colour [H, W, 3].

    What is transparent is laid on white, as a viewer shows it.
    """
    grey = _is_grey(picture)
    if _is_transparent(picture):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    pixels = np.asarray(picture.convert("L" if grey else "RGB"))
    return pixels[..., None] if grey else pixels


def _is_deep(picture: Image.Image) -> bool:
    """Whether a pixel may have more than 8 bits."""
    return picture.mode == "F" or picture.mode.startswith("I")


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA") or _has_grey_palette(picture)


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


def _deep_pixels(picture: Image.Image, path: str | os.PathLike | Encoded) -> np.ndarray:
    """Pixels of 12 or 16 bits, scaled to 8: grey, uint8 [H, W, 1].

    Raises:
        UserError: the pixels are of another kind; which value is white would be a guess.
    """
    values = np.asarray(picture)[..., None]
    if (picture.format, picture.mode) not in _SIXTEEN_BITS:
        raise errors.UserError(
            f"{path}: expected pixels of 8 bits, or 16-bit grey of a PNG or TIFF. "
            f"Received: {picture.format}, mode {picture.mode}, {values.min():g} to {values.max():g}"
        )
    tags = getattr(picture, "tag_v2", {})
    white = 4095 if tags.get(TiffImagePlugin.BITSPERSAMPLE) == (12,) else 65535
    grey = np.rint(values / (white / 255))
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:  # There 0 is white.
        grey = 255 - grey
    grey[values == picture.info.get("transparency", -1)] = 255
    return grey.astype(np.uint8)
