"""Contestants take turns, each in a process of its own: all of them see the same machine."""

import contextlib
import pathlib
import subprocess
import sys

from benchmarks import cases
from keras_aae import errors

_ROOT = pathlib.Path(__file__).resolve().parent.parent


def contest(name: str, rounds: int, reference: str = "") -> dict[str, list[float]]:
    """The milliseconds that a step of each contestant of a case takes, in each round.

    In a round they are measured one after the other.

    Args:
        name: A key of `cases.CASES`.
        rounds: How many count; one before them warms up.
        reference: Another checkout of keras_aae, which takes part where ours does.

    Raises:
        UserError: a contestant ended.
    """
    case = cases.CASES[name]
    commands = {each: [name, each] for each in case.contestants}
    if reference:
        checkout = str(pathlib.Path(reference).resolve())
        commands["reference"] = [name, case.contestants[0], checkout]
    with contextlib.ExitStack() as stack:
        workers = {each: stack.enter_context(_worker(own)) for each, own in commands.items()}
        times = [
            {each: _seconds(each, worker, case.steps) for each, worker in workers.items()}
            for _ in range(rounds + 1)
        ]
    return {each: [1e3 * row[each] / case.steps for row in times[1:]] for each in commands}


def _worker(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.worker", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)


def _seconds(name: str, worker: subprocess.Popen[str], steps: int) -> float:
    """What a worker says that so many steps took."""
    assert worker.stdin and worker.stdout
    # It may have ended; then there is no answer.
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.write(f"{steps}\n")
        worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise errors.UserError(f"{name}: ended with status {worker.wait()}")
    return float(answer)
