"""What both clients take from their command lines: a server, a model and pictures."""

import argparse

import numpy as np
from PIL import Image


def read(description, server, arguments):
    """Reads the command line.

    Args:
        description: Of the program.
        server: The default address of the server.
        arguments: A list, or None for those of the process.

    Returns:
        Its settings, and the pictures as uint8 [B, side, side, 1].
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("images", nargs="+", help="grey image files, light ink on a dark ground")
    parser.add_argument("--server", default=server)
    parser.add_argument("--model", default="quickstart")
    parser.add_argument("--label", default="stable", help="stable or canary")
    parser.add_argument("--side", type=int, default=28, help="height and width in pixels")
    parser.add_argument("--deadline", type=float, default=10, help="seconds")
    given = parser.parse_args(arguments)
    size = (given.side, given.side)
    try:
        pictures = [Image.open(path).convert("L").resize(size) for path in given.images]
    except OSError as error:
        parser.error(str(error))
    return given, np.stack([np.asarray(picture, np.uint8)[..., None] for picture in pictures])
