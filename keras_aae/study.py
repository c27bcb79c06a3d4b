"""A study: runs that differ in their seed or in one setting, and what they have in common."""

import dataclasses
import pathlib
import shlex
import sys

import keras

from keras_aae import config as config_lib
from keras_aae import errors
from keras_aae import experiment
from keras_aae import interrupts
from keras_aae import plan
from keras_aae.reporting import study_page
from keras_aae.reporting import tables
from keras_aae.training import run_directory

_LEFT_OUT = ("classes", "edge", "export")  # Of the results of a run.


def run(config: config_lib.Config) -> dict:
    """Trains the runs of a study that are not finished, one after the other, and summarises.

    Args:
        config: The settings, with `seeds` or `sweep`.

    Returns:
        What `summary.json` holds; see docs/RESULTS.md.

    Raises:
        UserError: as `experiment.run`; or the directory holds a single run.
        Interrupted: a signal asked the program to end; how to go on was said.
    """
    variations = plan.variations(config)
    directory = _directory(config, [each.name for each in variations])
    summary: dict = {"name": config.name, "command": config.command(), "runs": []}
    for number, each in enumerate(variations, 1):
        print(f"{each.name}: {number} of {len(variations)}", file=sys.stderr)
        results = _results(config, each, directory.path)
        kept = {name: value for name, value in results.items() if name not in _LEFT_OUT}
        kept["command"] = each.config.command()  # As a run of its own, wherever it was.
        summary["runs"].append({"value": each.value, "directory": each.name, "results": kept})
        # After each run, so that a study that is stopped shows what it has.
        directory.write_summary(summary)
        directory.write("study.html", study_page.render(summary, len(variations)))
    print(tables.markdown(tables.rows(tables.groups(summary))), end="")
    print(f"study      {directory.path / 'study.html'}")
    return summary


def _directory(config: config_lib.Config, names: list[str]) -> run_directory.RunDirectory:
    """The directory of a study with runs of those names; more runs than it has may join it."""
    if not config.run_dir:
        return run_directory.RunDirectory.new(config.name)
    directory = run_directory.RunDirectory(config.run_dir)
    if directory.exists():
        raise errors.UserError(
            f"--run_dir={config.run_dir}: holds a single run; give a study another one"
        )
    if others := [name for name in directory.runs_of_study() if name not in names]:
        raise errors.UserError(
            f"--run_dir={config.run_dir}: holds a study with other runs: {', '.join(others)}. Name "
            "them, too, or give another --run_dir"
        )
    return directory


def _results(config: config_lib.Config, variation: plan.Variation, path: pathlib.Path) -> dict:
    """Trains one run to its end, unless it is there; returns its results."""
    keras.utils.clear_session()
    try:
        return experiment.run(
            dataclasses.replace(
                variation.config,
                run_dir=str(path / variation.name),
                export_dir=str(path / "saved_models"),
            )
        )
    except interrupts.Interrupted:
        command = f"{config.command()} --run_dir={shlex.quote(str(path))}"
        print(f"keras_aae: to go on with all runs: {command}", file=sys.stderr)
        raise
