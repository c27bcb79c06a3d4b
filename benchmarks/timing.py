"""How long something takes."""

from collections.abc import Callable
import time


def repeated(call: Callable[[], object]) -> Callable[[int], float]:
    """A function that calls so many times and returns the seconds that it took."""

    def seconds(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            call()
        return time.perf_counter() - start

    return seconds
