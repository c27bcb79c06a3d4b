"""The numbers of finished runs as tables: what a study with several seeds found."""

from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
from typing import Any
from typing import NamedTuple

import numpy as np

from keras_aae import errors
from keras_aae import files
from keras_aae.training import run_directory

_SECONDS = 300  # Of training, for what a short run gives.
_NUMBERS = (
    *("steps", "train_seconds", "validation", "test", "prior_match", "style_probe", "calibration"),
    *("likelihood",),
)


class Spread(NamedTuple):
    """A number over several runs.

    Attributes:
        values: That of each run, in order.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the runs."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """The standard deviation over the runs, with n - 1; 0 for one run."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0


class Group(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
        name: What they are called in a table.
        results: What the `results.json` of each holds.
    """

    name: str
    results: list[dict[str, Any]]

    def numbers(self) -> dict[str, Spread]:
        """The numbers that all runs have, by name: `test.error_rate` for one within `test`."""
        flat = [numbers(each) for each in self.results]
        names = [name for name in flat[0] if all(name in each for each in flat)]
        return {name: Spread(tuple(each[name] for each in flat)) for name in names}


def numbers(results: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a run by name: `test.error_rate` for a number within `test`.

    `early.error_rate` is the last validation error within five minutes of training.
    """
    flat: dict[str, float] = {}
    for name in _NUMBERS:
        value = results.get(name)
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for key, part in parts:
            if isinstance(part, (int, float)):
                flat[f"{name}.{key}".rstrip(".")] = part
    early = [row for row in results.get("curve", ()) if row["seconds"] <= _SECONDS]
    if early and "error_rate" in early[-1]:
        flat["early.error_rate"] = early[-1]["error_rate"]
    return flat


def read(path: str) -> list[Group]:
    """The groups of a study, or the one of a run.

    Args:
        path: The directory of a study or of a finished run, or the summary of a study, a file.

    Raises:
        UserError: there is neither, or it is damaged.
    """
    place = pathlib.Path(path)
    file = place if place.is_file() else place / run_directory.SUMMARY
    summary = files.read_record(file)
    if summary is not None and "runs" not in summary:
        raise errors.UserError(
            f"--runs={path}: expected the summary of a study, or the directory of a run or a study"
        )
    if summary is not None:
        return groups(summary)
    results = finished(run_directory.RunDirectory(place, "--runs"))
    return [Group(results["name"], [results])]


def finished(directory: run_directory.RunDirectory) -> dict[str, Any]:
    """The results of one of the runs that --runs names.

    Raises:
        UserError: it is not finished, another version wrote it, or its results are damaged.
    """
    results = directory.read_results()
    if results is None:
        raise errors.UserError(f"{directory.given}: expected a finished run; it has no results")
    return results


def groups(summary: Mapping[str, Any]) -> list[Group]:
    """The runs of a study by the value of the swept setting, in order."""
    made: dict[str, Group] = {}
    for run in summary["runs"]:
        name = " ".join(filter(None, (summary["name"], run["value"])))
        made.setdefault(name, Group(name, [])).results.append(run["results"])
    return list(made.values())


class _Column(NamedTuple):
    """A number in a table."""

    title: str
    name: str
    digits: int
    scale: float = 1.0
    every: bool = False  # Whether that of each run stands beside the mean.

    def cell(self, spread: Spread | None) -> str:
        if spread is None:
            return "-"
        if len(set(spread.values)) == 1:
            return f"{self.scale * spread.mean:.{self.digits}f}"
        mean, deviation, *each = (
            f"{self.scale * value:.{self.digits}f}"
            for value in (spread.mean, spread.deviation, *spread.values)
        )
        return f"{mean} ± {deviation}" + (f" ({', '.join(each)})" if self.every else "")


_COLUMNS = (
    _Column("validation error after 5 minutes, %", "early.error_rate", 2, 100),
    _Column("validation error, %", "validation.error_rate", 2, 100),
    _Column("test error, %", "test.error_rate", 2, 100, every=True),
    _Column("calibration error, %", "calibration.expected_calibration_error", 2, 100),
    _Column("nats", "likelihood.nats", 0),
    _Column("reconstruction", "test.reconstruction_mse", 4),
    _Column("ratio", "prior_match.sliced_wasserstein_ratio", 1),
    _Column("holes", "prior_match.hole_rate", 3),
    _Column("outside", "prior_match.outside_rate", 3),
    _Column("steps", "steps", 0),
    _Column("minutes", "train_seconds", 1, 1 / 60),
)


def rows(found: Sequence[Group]) -> list[list[str]]:
    """A header and a row for each group; a column that no group has is left out.

    A number is mean ± standard deviation over the seeds. The test error of each seed follows it.
    """
    spreads = [group.numbers() for group in found]
    shown = [column for column in _COLUMNS if any(column.name in each for each in spreads)]
    table = [["run", "seeds", *(column.title for column in shown)]]
    for group, spread in zip(found, spreads, strict=True):
        seeds = ", ".join(str(each["seed"]) for each in group.results)
        table.append(
            [group.name, seeds, *(column.cell(spread.get(column.name)) for column in shown)]
        )
    return table


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table as Markdown, the first row its header."""
    lines = [f"| {' | '.join(row)} |" for row in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines) + "\n"
