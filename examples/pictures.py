"""What both clients take from their command lines: a server, a model and pictures."""

import argparse

import numpy as np

from keras_aae import errors
from keras_aae import image_files


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
    shape = (given.side, given.side, 1)
    try:
        return given, np.concatenate([image_files.read_as(path, shape) for path in given.images])
    except errors.UserError as error:
        parser.error(str(error))
