"""Contestants take turns, each in a process of its own: all of them see the same machine."""

from collections.abc import Iterator
import contextlib
import subprocess
import sys

from benchmarks import cases


def contest(name: str, rounds: int, checkout: str = "") -> dict[str, list[float]]:
    """The milliseconds that a step of each contestant of a case takes, in each round.

    In a round they are measured one after the other.

    Args:
        name: A key of `cases.CASES`.
        rounds: How many count; one before them warms up.
        checkout: Another checkout of keras_aae, which takes part as `reference` where ours does.

    Raises:
        RuntimeError: a contestant ended.
    """
    case = cases.CASES[name]
    names = list(case.contestants)
    if checkout and "ours" in names:
        names.insert(1, "reference")
    with contextlib.ExitStack() as stack:
        workers = {
            each: stack.enter_context(_worker(name, each, checkout * (each == "reference")))
            for each in names
        }
        times = [
            {each: _seconds(each, worker, case.steps) for each, worker in workers.items()}
            for _ in range(rounds + 1)
        ]
    return {each: [1e3 * row[each] / case.steps for row in times[1:]] for each in names}


@contextlib.contextmanager
def _worker(*arguments: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "benchmarks.worker", *filter(None, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()


def _seconds(name: str, worker: subprocess.Popen, steps: int) -> float:
    """What a worker says that so many steps took."""
    try:
        worker.stdin.write(f"{steps}\n")
        worker.stdin.flush()
    except BrokenPipeError:
        pass  # It ended; there is no answer.
    answer = worker.stdout.readline()
    if not answer:
        raise RuntimeError(f"{name}: ended with status {worker.wait()}")
    return float(answer)
