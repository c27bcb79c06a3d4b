"""What was measured, as tables."""

from collections.abc import Mapping
from collections.abc import Sequence
import statistics

Times = Mapping[str, Sequence[float]]  # The values of all rounds, by what was measured.


def ratios(times: Times) -> str:
    """The times of contestants beside the first one's: the median over the rounds of the ratio.

    A round that is slow for all of them changes no ratio.
    """
    first = next(iter(times.values()))
    rows = [
        f"| {name} | {_ratio(own, first):.2f} | {statistics.median(own):.1f} |\n"
        for name, own in times.items()
    ]
    return "| | ratio | ms a step |\n|---|---|---|\n" + "".join(rows)


def _ratio(own: Sequence[float], first: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(own, first, strict=True))


def medians(times: Times) -> str:
    """The medians over the rounds."""
    rows = [f"| {name} | {statistics.median(own):.2f} |\n" for name, own in times.items()]
    return "| | median |\n|---|---|\n" + "".join(rows)
