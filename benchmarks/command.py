"""What the command line takes besides its steps: seconds until it answers, and memory."""

import os
import subprocess
import sys
import tempfile
import time

from keras_aae import errors

_FLAGFILE = "--flagfile=quickstart.cfg"


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds and gigabytes by what they are, in each round."""
    measured = [_once() for _ in range(rounds)]
    return {name: [each[name] for each in measured] for name in measured[0]}


def _once() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        flags = (_FLAGFILE, f"--export_dir={folder}/models")
        help_seconds, _ = _run("keras_aae.launch", "--help")
        first_seconds, _ = _run("benchmarks.first_step", *flags, f"--run_dir={folder}/first")
        smoke_seconds, memory = _run(
            "keras_aae.launch", *flags, "--smoke", f"--run_dir={folder}/smoke"
        )
    return {
        "`--help`, seconds": help_seconds,
        "quickstart.cfg to its first step, seconds": first_seconds,
        "quickstart.cfg --smoke, whole, seconds": smoke_seconds,
        "quickstart.cfg --smoke, most memory, GB": memory,
    }


def _run(module: str, *flags: str) -> tuple[float, float]:
    """The seconds that a command takes, and the most memory that it has, in GB."""
    start = time.perf_counter()
    command = [sys.executable, "-m", module, *flags]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise errors.UserError(f"{' '.join(command)}: ended with status {code}")
    return time.perf_counter() - start, 1024 * usage.ru_maxrss / 1e9
