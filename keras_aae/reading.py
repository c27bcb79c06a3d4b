"""Opens the files that people name, and says why one can't be read."""

import os
import stat
from typing import BinaryIO

_LONGEST = 200  # Characters of a reason.


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file: a pipe would be waited for, and a device may have no end.

    Raises:
        OSError: it is another kind of file, there is none, or it can't be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")
    return open(path, "rb")


def reason(error: Exception) -> str:
    """What an exception says, on one short line; its name where it says nothing."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return text[:_LONGEST] or type(error).__name__
