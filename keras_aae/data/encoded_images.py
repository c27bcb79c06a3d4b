"""Images in files or records, of any sizes: brought to one size, and decoded as they are wanted."""

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
from typing import NamedTuple
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

Image = pathlib.Path | image_files.Encoded
Described = Mapping[Image, image_files.Description]

_WINDOW = 1000  # Images that wait for a thread at a time.


class Wanted(NamedTuple):
    """How images are to be read.

    Attributes:
        max_memory: The GB that they may take in memory; None for half of what this machine grants.
        image_size: The height and width to scale them to; None for their most common size.
        on_bad_image: What to do about those that can't be read: `fail`, or `skip`.
    """

    max_memory: float | None = None
    image_size: int | None = None
    on_bad_image: str = "fail"


def note(where: pathlib.Path | str, text: str) -> None:
    """Prints a line on stderr about a folder or a data set."""
    place = f"{where}/" if isinstance(where, pathlib.Path) else where
    print(plain_text.escaped(f"{place}: {text}"), file=sys.stderr)


def say(where: pathlib.Path | str, images: Sequence[Image], done: str, one: str, many: str) -> None:
    """Prints a line that counts the images and names the first three, if there are any.

    Args:
        where: The folder or the data set that they are of.
        images: Those meant; in a folder they may be other files.
        done: What was done to them.
        one: What one of them is.
        many: What several of them are.
    """
    if images:
        names = [_short(where, image) for image in images[:3]]
        listed = ", ".join(names + ["..."] * (len(images) > 3))
        what = one if len(images) == 1 else many
        note(where, f"{done} {len(images)} {what} ({listed})")


def _short(where: pathlib.Path | str, image: Image) -> str:
    """The name of an image within its folder or data set."""
    return image.relative_to(where).as_posix() if isinstance(image, pathlib.Path) else str(image)


def describe(
    where: pathlib.Path | str, images: Sequence[Image], wanted: Wanted
) -> dict[Image, image_files.Description]:
    """What each image holds, by its head where that is enough.

    Args:
        where: The folder or the data set that they are of.
        images: Those meant.
        wanted: Where it says `skip` they are read to their end, and those that can't be are left
            out, which is said.

    Raises:
        UserError: one can't be read, and none is skipped.
    """
    described: dict[Image, image_files.Description] = {}
    bad: list[Image] = []
    with progress.bar("images", len(images), "image", delay=5) as bar:
        look = _LOOKS[wanted.on_bad_image]
        for image, found in zip(images, _in_threads(look, images), strict=True):
            bar.update()
            if found is None:
                bad.append(image)
            else:
                described[image] = found
    say(where, bad, "left out", "image that is not readable", "images that are not readable")
    return described


def _readable(image: Image) -> image_files.Description | None:
    """What an image holds that can be read to its end; None for any other."""
    try:
        return image_files.describe(image, whole=True)
    except errors.UserError:
        return None


_LOOKS: dict[str, Callable[[Image], image_files.Description | None]] = {
    "fail": image_files.describe,
    "skip": _readable,
}


def read(
    where: pathlib.Path | str,
    splits: Sequence[Sequence[Image]],
    described: Described,
    wanted: Wanted,
) -> list[rows.Examples]:
    """The images of each split, uint8 [N, H, W, C]; in memory where all of them fit.

    Args:
        where: The folder or the data set that they are of.
        splits: The images of each.
        described: What each of them holds.
        wanted: How they are to be read.

    Raises:
        UserError: no size is given and fewer than half have the most common one, or one can't be
            read.
    """
    shape = _common_shape(where, described, wanted.image_size)
    found: list[rows.Examples] = [_rows(images, shape) for images in splits]
    if len(described) * math.prod(shape) > memory.allowed(wanted.max_memory):
        return found
    return [np.asarray(images) for images in found]


def _common_shape(
    where: pathlib.Path | str, described: Described, image_size: int | None
) -> tuple[int, int, int]:
    """The shape that all images are brought to; says which have further frames or another size.

    They are grey if all are, else in colour, and of the most common size unless one is given.

    Raises:
        UserError: none is given, and most images are of other sizes than the most common one.
    """
    shapes = {image: found.shape for image, found in described.items()}
    sizes = collections.Counter(shape[:2] for shape in shapes.values())
    (height, width), count = sizes.most_common(1)[0]
    if image_size:
        height = width = image_size
    elif 2 * count < len(shapes):
        raise errors.UserError(
            f"{where}: has images of {len(sizes)} sizes, the most common one {width} x {height} "
            f"pixels ({count} of {len(shapes)}); say with --image_size what to scale them to"
        )
    more = [image for image, found in described.items() if found.has_more]
    say(where, more, "read the first frame of", "file that has more", "files that have more")
    others = [image for image, shape in shapes.items() if shape[:2] != (height, width)]
    to = f"to {width} x {height} pixels"
    say(where, others, "scaled", f"image {to}", f"images {to}")
    return height, width, max(shape[2] for shape in shapes.values())


def _rows(images: Sequence[Image], shape: tuple[int, int, int]) -> rows.Rows:
    """The images, which are decoded as they are wanted and must be the same ones then."""
    marks = np.array([_mark(image) for image in images], np.int64)

    def read_at(places: np.ndarray) -> np.ndarray:
        pixels = np.empty((len(places), *shape), np.uint8)
        wanted = [images[place] for place in places]
        found = _in_threads(lambda image: image_files.read_as(image, shape), wanted)
        for each, place, decoded in zip(pixels, places, found, strict=True):
            if _mark(images[place]) != tuple(marks[place]):
                raise errors.UserError(f"{images[place]}: changed while it was in use")
            each[...] = decoded[0]
        return pixels

    return rows.Rows(read_at, np.arange(len(images)), shape, np.dtype(np.uint8))


def _mark(image: Image) -> tuple[int, int, int]:
    """What is another once the file of an image has changed; records look after theirs."""
    if not isinstance(image, pathlib.Path):
        return 0, 0, 0
    try:
        return reading.mark(os.stat(image))
    except OSError as error:
        raise errors.UserError(f"{image}: not readable ({reading.reason(error)})") from error


def _in_threads(function: Callable[[Image], _T], images: Sequence[Image]) -> Iterator[_T]:
    """The result of a function for each image, in order."""
    with futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for start in range(0, len(images), _WINDOW):
            yield from pool.map(function, images[start : start + _WINDOW])
