"""Contestants take turns, each in a process of its own: all of them see the same machine."""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import statistics
import subprocess
import sys

from benchmarks import cases


@dataclasses.dataclass(frozen=True)
class Result:
    """What a contestant took in each round, in milliseconds a step.

    Attributes:
        contestant: Its name.
        rounds: The time of each round.
        ratio: The median over the rounds of its time divided by that of the first contestant.
    """

    contestant: str
    rounds: list[float]
    ratio: float

    @property
    def milliseconds(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)


def contest(name: str, rounds: int, checkout: str = "") -> list[Result]:
    """Measures the contestants of a case, one after the other in each round.

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
        rounds_and_warm_up = [
            [_seconds(each, worker, case.steps) for each, worker in workers.items()]
            for _ in range(rounds + 1)
        ]
    return summary(
        names, [[1e3 * each / case.steps for each in row] for row in rounds_and_warm_up[1:]]
    )


def summary(names: Sequence[str], times: Sequence[Sequence[float]]) -> list[Result]:
    """The results of contestants by the time of each, a row for each round."""
    ratios = [[each / row[0] for each in row] for row in times]
    columns = zip(names, zip(*times, strict=True), zip(*ratios, strict=True), strict=True)
    return [Result(name, list(own), statistics.median(ratio)) for name, own, ratio in columns]


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
