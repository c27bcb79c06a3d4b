"""Signals that ask the program to end: Ctrl-C (SIGINT), SIGTERM and SIGHUP, as one exception.

A signal that the program was started to ignore, like SIGHUP under nohup, stays ignored.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to end.

    Attributes:
        status: The exit status that says so, 128 and the signal's number: 130 for Ctrl-C, 143 for
            SIGTERM.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


def exit_at_once() -> None:
    """From now on a signal ends the process, for a start during which there is nothing to lose.

    An exception would be caught by some of the libraries that are being imported.
    """
    for number in _handled():
        signal.signal(number, lambda number, frame: _leave(number))


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within, a signal raises an Interrupted where the program is."""

    def handle(number: int, frame: object) -> NoReturn:
        raise Interrupted(number)

    with _handling(handle):
        yield


@contextlib.contextmanager
def awaited() -> Iterator[Callable[[], Interrupted | None]]:
    """Within, a first signal waits for a good moment; a second one is raised at once.

    Yields:
        A function that returns the error of the signal that came, to raise when the moment is good,
        or None. What was not raised by the end is raised there, whatever else went wrong.
    """
    came: list[Interrupted] = []

    def handle(number: int, frame: object) -> None:
        came.append(Interrupted(number))
        if len(came) > 1:
            raise came[-1]

    with _handling(handle):
        try:
            yield lambda: came[0] if came else None
        finally:
            if came and not isinstance(sys.exception(), Interrupted):
                raise came[0]


@contextlib.contextmanager
def by_default() -> Iterator[None]:
    """Within, a signal ends the process as the kernel does by default.

    For waits in TensorFlow during which no handler and no other thread of Python runs. The kernel
    spares process 1 of a container.
    """
    with _handling(signal.SIG_DFL):
        yield


def _leave(number: int) -> NoReturn:
    sys.stderr.write("keras_aae: interrupted\n")
    sys.stderr.flush()
    os._exit(128 + number)


@contextlib.contextmanager
def _handling(handler: Callable | signal.Handlers) -> Iterator[None]:
    """Within, a function handles the signals; only a program's main thread can have that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _handled()}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _handled() -> list[signal.Signals]:
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
