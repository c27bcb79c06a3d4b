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
    """The times of contestants beside the first one's: the median over the rounds of the ratio.

    A round that is slow for all of them changes no ratio.
    """
    first = next(iter(times.values()))
    rows = [
        [name, f"{_ratio(own, first):.2f}", f"{statistics.median(own):.1f}"]
        for name, own in times.items()
    ]
    return tables.markdown([["", "ratio", "ms a step"], *rows])


def _ratio(own: Sequence[float], first: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(own, first, strict=True))


def medians(times: Times) -> str:
    """The medians over the rounds."""
    rows = [[name, f"{statistics.median(own):.2f}"] for name, own in times.items()]
    return tables.markdown([["", "median"], *rows])
