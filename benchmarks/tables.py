"""What was measured, as tables."""

from collections.abc import Mapping
from collections.abc import Sequence
import statistics

from benchmarks import cases
from keras_aae.reporting import tables

Times = Mapping[str, Sequence[float]]  # The values of all rounds, by what was measured.


def shown(name: str, times: Times) -> str:
    """The table of a case, or of the command line."""
    return medians(times) if name == cases.COMMAND else ratios(times)


def ratios(times: Times) -> str:
    """The times of contestants divided by the first one's, round by round: median and range.

    A round that is slow for all of them changes no ratio.
    """
    rows = []
    for name, ratio in within_rounds(times).items():
        spread = f"{min(ratio):.2f} to {max(ratio):.2f}"
        median = statistics.median
        rows.append([name, f"{median(ratio):.2f}", spread, f"{median(times[name]):.1f}"])
    return tables.markdown([["", "ratio", "of the rounds", "ms a step"], *rows])


def within_rounds(times: Times) -> dict[str, list[float]]:
    """The times of each contestant divided by the first one's of the same round."""
    first = next(iter(times.values()))
    return {name: [a / b for a, b in zip(own, first, strict=True)] for name, own in times.items()}


def medians(times: Times) -> str:
    """The medians over the rounds."""
    rows = [[name, f"{statistics.median(own):.2f}"] for name, own in times.items()]
    return tables.markdown([["", "median"], *rows])
