"""Opens the files that people name, and says why a file can't be read or written."""

import errno
import io
import os
import re
import stat

_LONGEST = 200  # Characters of a reason.
# What a library may say in the midst of a long message: it goes first.
_TELLING = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)]


def open_regular(path: str | os.PathLike) -> io.BufferedReader:
    """Opens a regular file: a pipe would be waited for, and a device may have no end.

    Raises:
        OSError: it is another kind of file, there is none, or it can't be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")
    return open(path, "rb")


def mark(found: os.stat_result) -> tuple[int, int, int]:
    """(inode, bytes, ns of the last change): another once a file is written to or replaced."""
    return found.st_ino, found.st_size, found.st_mtime_ns


def reason(error: Exception) -> str:
    """What an exception says, on one short line that opens with the fault of the disk, if any.

    It is the exception's name where that says nothing.
    """
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    text = re.sub(r"\{\{function_node \S+\}\} ?", "", text)  # Where in TensorFlow it came up.
    telling = [each for each in _TELLING if each in text and each != text]
    return ": ".join([*telling[:1], text])[:_LONGEST] or type(error).__name__
