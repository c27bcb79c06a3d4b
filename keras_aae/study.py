"""A study: runs that differ in their seed or in one setting, and what they have in common."""

import dataclasses
import pathlib
import shlex
import sys
from typing import Any

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
        UserError: as `experiment.run`; or the directory is in use, or holds a single run or a
            study of other runs; or, once the others have run, some could not.
        Interrupted: a signal asked the program to end; how to go on was said.
    """
    variations = plan.variations(config)
    directory = experiment.directory_of(config, config.name)
    summary: dict[str, Any] = {"name": config.name, "command": config.command(), "runs": []}
    failed: dict[str, str] = {}
    with directory.claim_study([each.name for each in variations]) as finished:
        for each in variations:  # That no run is of other settings is known before one begins.
            run_directory.RunDirectory(directory.path / each.name).check(each.config)
        for number, each in enumerate(variations, 1):
            print(f"{each.name}: {number} of {len(variations)}", file=sys.stderr)
            try:
                finished[each.name] = _summarised(config, each, directory.path)
            except errors.UserError as error:
                print(f"keras_aae: {each.name}: {error}", file=sys.stderr)
                failed[each.name] = str(error)
                finished.pop(each.name, None)
            # After each run, so that a study that is stopped shows what it has.
            summary["runs"] = [finished[it.name] for it in variations if it.name in finished]
            summary["failed"] = failed
            if summary["runs"]:
                directory.write_summary(summary)
                directory.write("study.html", study_page.render(summary, len(variations)))
    if summary["runs"]:
        print(tables.markdown(tables.rows(tables.groups(summary))), end="")
        print(f"study      {directory.path / 'study.html'}")
    if failed:
        (name, reason), *others = failed.items()
        raise errors.UserError(f"{name}: {reason}" + f" (and {len(others)} more)" * bool(others))
    return summary


def _summarised(config: config_lib.Config, variation: plan.Variation, path: pathlib.Path) -> dict:
    """Trains one run to its end, unless it is there; returns what the summary holds of it."""
    results = _results(config, variation, path)
    kept = {name: value for name, value in results.items() if name not in _LEFT_OUT}
    kept["command"] = variation.config.command()  # As a run of its own, wherever it was.
    return {"value": variation.value, "directory": variation.name, "results": kept}


def _results(config: config_lib.Config, variation: plan.Variation, path: pathlib.Path) -> dict:
    """The results of one run, which is trained unless it is there; says how to go on with all."""
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
