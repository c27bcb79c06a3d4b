"""What the programs print, and how they end where it can't be printed."""

from collections.abc import Iterator
import contextlib
import errno
import io
import os
import signal
import sys


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """Around a program: ends it without a traceback where what it prints can't be written.

    Characters that the output's encoding lacks are printed as escapes. What goes to a closed stdout
    or stderr is discarded.
    """
    _open()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # Nobody reads it, as after `| head`.
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"keras_aae: the output can't be written: {error.strerror}", file=sys.stderr)
        status = 2
    else:
        return
    # What is left of it has to go somewhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _open() -> None:
    """Sees to it that there is an output that takes any text."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
