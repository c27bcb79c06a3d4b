"""Classifies pictures with a converted model; needs numpy, Pillow and ai-edge-litert alone.

    python -m keras_aae.edge runs/quickstart/edge/classify-int8.tflite digit.png

No TensorFlow is imported.
"""

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
import sys

import numpy as np

from keras_aae import console
from keras_aae import errors
from keras_aae import image_files
from keras_aae import reading
from keras_aae.deployment import litert


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the most probable classes of images; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_aae.edge", description="Classifies images with a converted model."
    )
    parser.add_argument("model", help="a classify-*.tflite or cluster-*.tflite file")
    parser.add_argument("images", nargs="+", help="image files; MNIST is light ink on dark ground")
    parser.add_argument("--invert", action="store_true", help="swap dark and light first")
    given = parser.parse_args(arguments)
    try:
        for line in _lines(given):
            print(line)
    except errors.UserError as error:
        print(f"keras_aae: {error}", file=sys.stderr)
        return 2
    return 0


def _lines(given: argparse.Namespace) -> Iterator[str]:
    """A line for each image: its file, its class, and the three most probable ones."""
    model = litert.Model(given.model)
    shape = model.inputs.get("image", ())
    if model.use not in ("classify", "cluster") or len(shape) != 4 or shape[-1] not in (1, 3):
        inputs = ", ".join(f"{name} {list(each)}" for name, each in model.inputs.items())
        raise errors.UserError(
            f"{given.model}: expected a classify or cluster file for grey or RGB images. "
            f"Received: {model.use} of {inputs}"
        )
    predicted = "class" if model.use == "classify" else "cluster"
    known = _class_names(pathlib.Path(given.model).with_name("classes.txt"))
    for path in given.images:
        image = image_files.read_as(path, shape[1:], given.invert)
        probabilities = model(image=image)[f"{predicted}_probabilities"][0]
        best = np.argsort(-probabilities)[:3]
        named = [known[i] if predicted == "class" and i < len(known) else str(i) for i in best]
        shares = [f"{name} {probabilities[i]:.1%}" for name, i in zip(named, best, strict=True)]
        yield f"{path}: {named[0]} ({', '.join(shares)})"


def _class_names(path: pathlib.Path) -> list[str]:
    """The names of the classes in the file beside a model, where there is one."""
    if not path.exists():
        return []
    try:
        with reading.open_regular(path) as file:
            return file.read().decode().splitlines()
    except (OSError, ValueError) as error:
        raise errors.UserError(f"{path}: not readable ({reading.reason(error)})") from error


if __name__ == "__main__":
    with console.printing():
        sys.exit(main())
