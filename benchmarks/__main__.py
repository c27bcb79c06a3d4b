"""Measures training side by side with other implementations.

    pip install -e '.[benchmarks]'
    python -m benchmarks

Each contestant has a process of its own, all of them stay until the end, and in each round one
after the other takes some steps: what slows the machine for a while slows all of them. What is told
are medians over the rounds, as ratios to the first contestant. Nothing else should run on the
machine: PyTorch suffers from it far more than TensorFlow does.
"""

import argparse
from collections.abc import Mapping
import importlib.util
import json
import pathlib

from benchmarks import cases
from benchmarks import command
from benchmarks import contest
from benchmarks import tables
from keras_aae import errors
from keras_aae import files

_NAMES = (*cases.CASES, cases.COMMAND)
_NEEDED = {"pytorch": "torch", "pythae_model": "pythae"}  # By modules of contestants.


def main() -> None:
    """Prints a table for each case, and keeps its times where --output says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", default=",".join(_NAMES), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--reference", default="", help="another checkout to compare ours with")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file to keep all times in")
    given = parser.parse_args()
    names = given.cases.split(",")
    try:
        _check(names, given.rounds, given.reference)
        if given.output:
            _keep(given.output, {})  # Whether that can be is known before minutes are measured.
        for name in names:
            if name == cases.COMMAND:
                title, times = "the command line", command.measure(given.rounds)
            else:
                title = cases.CASES[name].name
                times = contest.contest(name, given.rounds, given.reference)
            print(f"\n{title}\n\n{tables.shown(name, times)}", flush=True)
            if given.output:
                _keep(given.output, {name: times})
    except errors.UserError as error:
        parser.error(f"{error}")


def _check(names: list[str], rounds: int, reference: str) -> None:
    """Raises a UserError where an argument is wrong or a package is missing."""
    if unknown := ", ".join(sorted(set(names) - set(_NAMES))):
        raise errors.UserError(
            f"--cases: expected some of {', '.join(_NAMES)}. Received: {unknown}"
        )
    if rounds < 1:
        raise errors.UserError(f"--rounds: expected 1 or more. Received: {rounds}")
    if reference and not pathlib.Path(reference, "keras_aae").is_dir():
        raise errors.UserError(f"--reference={reference}: expected a checkout of keras_aae")
    modules = {each for name in names if name in cases.CASES for each in cases.CASES[name].modules}
    needed = {_NEEDED[module] for module in modules & _NEEDED.keys()}
    missing = sorted(package for package in needed if not importlib.util.find_spec(package))
    if missing:
        raise errors.UserError(f"expected {', '.join(missing)}: pip install -e '.[benchmarks]'")


def _keep(path: pathlib.Path, measured: Mapping[str, tables.Times]) -> None:
    """Puts the times of cases into a file, beside those of others there."""
    try:
        kept = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise errors.UserError(f"--output={path}: not readable ({error})") from error
    files.write(path, json.dumps({**kept, **measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
