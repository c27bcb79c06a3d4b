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
import statistics

from benchmarks import cases
from benchmarks import command
from benchmarks import contest


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
        results = contest.contest(name, given.rounds, given.reference)
        found[name] = {result.contestant: result.rounds for result in results}
        _show(cases.CASES[name], results)
    found["command"] = _commands(given.rounds)
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n")


def _commands(rounds: int) -> dict[str, list[float]]:
    """Prints what the command line takes, and returns it for each round."""
    times = [command.measure() for _ in range(rounds)]
    found = {name: [each[name] for each in times] for name in times[0]}
    print("\nthe command line\n\n| | median |\n|---|---|")
    for name, values in found.items():
        print(f"| {name} | {statistics.median(values):.2f} |")
    return found


def _show(case: cases.Case, results: list[contest.Result]) -> None:
    print(f"\n{case.name}\n\n| | ratio | ms a step |\n|---|---|---|")
    for result in results:
        print(f"| {result.contestant} | {result.ratio:.2f} | {result.milliseconds:.1f} |")


if __name__ == "__main__":
    main()
