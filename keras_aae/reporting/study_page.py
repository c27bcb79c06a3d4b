"""The page of a study: its numbers, and its learning curves with their spread."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_aae.reporting import figures
from keras_aae.reporting import report
from keras_aae.reporting import tables

# Settings by which a run is measured on other examples.
_CHANGE_EXAMPLES = ("dataset", "validation", "seed", "image_size", "on_bad_image")
_DECIDES = ("validation.error_rate", "validation.reconstruction_mse")  # The first that there is.


def render(summary: Mapping[str, Any], planned: int) -> str:
    """The page as HTML, which contains its pictures and links to the reports of the runs.

    Args:
        summary: What `summary.json` holds, of one run or more.
        planned: How many runs the study has when it is finished.
    """
    groups = tables.groups(summary)
    numbers = {group.name: group.numbers() for group in groups}
    names = dict.fromkeys(name for found in numbers.values() for name in found)
    curves = {group.name: _curves(group) for group in groups}
    return report.template("study.html.jinja").render(
        summary=summary,
        planned=planned,
        groups=groups,
        table={name: [found.get(name) for found in numbers.values()] for name in names},
        best=best(groups) if len(groups) > 1 and _can_compare(summary, planned) else None,
        curves=figures.png(figures.bands(curves)) if any(curves.values()) else None,
    )


def _can_compare(summary: Mapping[str, Any], planned: int) -> bool:
    """Whether all runs that could be are there, and measured on the same examples."""
    swept = summary["runs"][0]["value"].partition("=")[0]
    return (
        swept not in _CHANGE_EXAMPLES and len(summary["runs"]) + len(summary["failed"]) == planned
    )


def best(groups: list[tables.Group]) -> tuple[str, tables.Group] | None:
    """The validation number that decides and the group with its least mean.

    It is the error rate, or the reconstruction error where no group has one. None where only some
    have it, or none has either.
    """
    numbers = [group.numbers() for group in groups]
    name = next((name for name in _DECIDES if any(name in each for each in numbers)), None)
    if name is None or not all(name in each for each in numbers):
        return None
    return name, min(groups, key=lambda group: group.numbers()[name].mean)


def _curves(group: tables.Group) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each validation number the steps [T] and the values of the runs, [runs, T]."""
    rows = [results["curve"] for results in group.results]
    steps = np.array([row["step"] for row in rows[0]])
    names = [name for name in rows[0][0] if name not in ("step", "seconds")]
    return {
        name: (steps, np.array([[row[name] for row in run] for run in rows], float))
        for name in names
    }
