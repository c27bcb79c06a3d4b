"""Measures training side by side with other implementations.

    pip install -e '.[benchmarks]'
    python -m benchmarks

Each contestant has a process of its own, all of them stay until the end, and in each round one
after the other takes some steps: what slows the machine for a while slows all of them. What is told
are medians over the rounds, as ratios to the first contestant. Nothing else should run on the
machine: PyTorch suffers from it far more than TensorFlow does.
"""

import argparse
import importlib.util
import json
import pathlib

from benchmarks import cases
from benchmarks import command
from benchmarks import contest
from benchmarks import tables

_COMMANDS = 3  # Rounds of the command line, which take a minute each.


def main() -> None:
    """Prints a table for each case and for the command line, and writes all times to --output."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", default=",".join(cases.CASES), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--reference", default="", help="another checkout to compare ours with")
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file for all times")
    given = parser.parse_args()
    names = given.cases.split(",")
    if unknown := set(names) - set(cases.CASES):
        parser.error(f"--cases: expected some of {', '.join(cases.CASES)}. Received: {unknown}")
    if given.rounds < 1:
        parser.error(f"--rounds: expected 1 or more. Received: {given.rounds}")
    needed = {"torch", "pythae"} if set(names) - {"quickstart"} else set()
    if missing := {name for name in needed if not importlib.util.find_spec(name)}:
        parser.error(f"no {', '.join(sorted(missing))} here: pip install -e '.[benchmarks]'")
    found = {}
    for name in names:
        found[name] = contest.contest(name, given.rounds, given.reference)
        print(f"\n{cases.CASES[name].name}\n\n{tables.ratios(found[name])}")
    rounds = [command.measure() for _ in range(min(given.rounds, _COMMANDS))]
    found["command"] = {name: [each[name] for each in rounds] for name in rounds[0]}
    print(f"\nthe command line\n\n{tables.medians(found['command'])}")
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
