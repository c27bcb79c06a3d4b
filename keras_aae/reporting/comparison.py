"""Finished runs side by side, as the paper shows the AAE beside the VAE (section 2.1): one page."""

from collections.abc import Mapping
from typing import Any

from keras_aae.reporting import report
from keras_aae.reporting import tables
from keras_aae.training import run_directory

_SHOWN = (
    *("codes_against_prior", "walk", "representation", "clusters", "style_against_class"),
    *("confusion", "samples", "reconstructions"),
)


def render(runs: list[str]) -> str:
    """The page as HTML: the numbers of the runs as a table, and their figures in rows.

    Args:
        runs: The directories of the finished runs, in the order to show them; at least one.

    Raises:
        UserError: one of them holds no finished run, another version wrote it, or its results are
            damaged.
    """
    directories = [run_directory.RunDirectory(path, "--runs") for path in runs]
    results = [tables.finished(directory) for directory in directories]
    rows = [_flat(found) for found in results]
    keys = dict.fromkeys(key for row in rows for key in row)
    pictures = [directory.read_figures(list(_SHOWN)) for directory in directories]
    images = {name: [found.get(name) for found in pictures] for name in _SHOWN}
    return report.template("comparison.html.jinja").render(
        names=[found["name"] for found in results],
        table={key: [row.get(key) for row in rows] for key in keys},
        figures={name: row for name, row in images.items() if any(row)},
        captions=report.CAPTIONS,
    )


def _flat(results: Mapping[str, Any]) -> dict[str, str | float]:
    """The settings and numbers of a run by name; see `tables.numbers`."""
    settings = {key: str(results[key]) for key in ("model", "dataset", "labels_given", "seed")}
    return {**settings, **tables.numbers(results)}
