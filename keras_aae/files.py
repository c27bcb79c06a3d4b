"""Files that are there whole or not at all."""

from collections.abc import Iterator
import contextlib
import os
import pathlib

from keras_aae import errors


def write(target: pathlib.Path, content: str | bytes) -> None:
    """Writes a file so that it is there whole or not at all, and makes its folder.

    Raises:
        UserError: it can't be written.
    """
    unfinished = target.with_name(f".{target.name}.unfinished")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(unfinished, target)


@contextlib.contextmanager
def writing(path: pathlib.Path, *more: type[Exception]) -> Iterator[None]:
    """Turns an error of the operating system, like a full disk, into a UserError with the path.

    Args:
        path: What is written.
        *more: Other exceptions that mean the same.
    """
    expected: tuple[type[Exception], ...] = (OSError, *more)
    try:
        yield
    except expected as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise errors.UserError(f"{path}: not writable ({reason})") from error
