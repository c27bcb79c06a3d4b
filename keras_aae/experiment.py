"""One run from its settings to its results: train, evaluate, draw, report, export."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import itertools
import pathlib
import shlex
import sys

from keras_aae import assembly
from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import interrupts
from keras_aae import results as results_lib
from keras_aae.deployment import conversion
from keras_aae.deployment import export
from keras_aae.deployment import model_base
from keras_aae.evaluation import judging
from keras_aae.evaluation import suggestion
from keras_aae.models import autoencoder
from keras_aae.reporting import comparison
from keras_aae.reporting import figures
from keras_aae.reporting import gallery
from keras_aae.reporting import report
from keras_aae.reporting import tables
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import cluster
from keras_aae.training import loop
from keras_aae.training import run_directory
from keras_aae.training import runtime as runtime_lib

_ROLLBACKS = 10  # At the most: then the learning rate is a thousandth.
_TRUSTED = 3  # Rollbacks to one checkpoint; failing again, it is what is at fault.
_SUGGESTED = 100  # Examples to label, the most useful first.
# Results that a run has from elsewhere than its last evaluation.
_OF_OTHERS = ("edge", "class_consistency", "kernel_distance", "likelihood")


def run(config: config_lib.Config) -> dict:
    """Does what `config.mode` asks for.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds; empty for `compare`, `table`, `promote` and `versions`, and where
        other processes than the chief train.

    Raises:
        UserError: the data, a directory, a setting or a loss is at fault.
        WorkerLostError: of several processes that train together another one is gone.
        Interrupted: a signal asked the program to end; how to go on was said.
    """
    with interrupts.raised():
        return {
            "train": _train,
            "evaluate": _evaluate_again,
            "export": _export_again,
            "convert": _convert,
            "suggest": _suggest,
            "judge": _judge,
            "compare": _compare,
            "table": _table,
            "promote": _versions,
            "versions": _versions,
        }[config.mode](config)


def _compare(config: config_lib.Config) -> dict:
    page = comparison.render(run_directory.listed(config.runs))
    directory = directory_of(config, "comparison")
    directory.write("comparison.html", page)
    print(f"comparison {directory.path / 'comparison.html'}")
    return {}


def _table(config: config_lib.Config) -> dict:
    paths = run_directory.listed(config.runs)
    groups = [group for path in paths for group in tables.read(path)]
    print(tables.markdown(tables.rows(groups)), end="")
    return {}


def _versions(config: config_lib.Config) -> dict:
    """Promotes a version where that is asked for, and lists all of them."""
    base = pathlib.Path(config.export_dir)
    if config.mode == "promote":
        model_base.promote(base, config.name, config.version)
    for each in model_base.versions(base):
        print(f"{each.name:<24}{each.number:>4}  {', '.join(each.labels)}".rstrip())
    return {}


def directory_of(config: config_lib.Config, name: str) -> run_directory.RunDirectory:
    """The directory that --run_dir names, or a new one of that name."""
    if config.run_dir:
        return run_directory.RunDirectory(config.run_dir)
    return run_directory.RunDirectory.new(name)


# The modes that work on a run


def _train(config: config_lib.Config) -> dict:
    """Trains to the end, unless that is done, and leaves behind all that a run leaves."""
    finished = _finished(config)
    if finished:
        print(f"{config.run_dir}: this run is finished; nothing to train.")
        results_lib.show(finished, run_directory.RunDirectory(config.run_dir))
        return finished
    runtime = runtime_lib.Runtime(config.strategy, config.steps_per_execution, cluster.find(config))
    if runtime.is_chief:
        model_base.check(pathlib.Path(config.export_dir), config.name)
    dataset = assembly.load_data(config)
    model = assembly.build_model(config, dataset, runtime)
    if model.views and runtime.is_chief:
        print(f"views: {model.views}")
    loop.minibatches(dataset, config).check(runtime.strategy.num_replicas_in_sync)
    # Only now, when all that can be refused was, does the run get its directory.
    directory = directory_of(config, config.name)
    if not runtime.is_chief:
        return _work_for_the_chief(config, model, dataset, directory, runtime)
    with _at_work(config, directory, dataset):
        runtime.wait()
        model, checkpoints = _trained(config, model, dataset, directory, runtime)
        if runtime.workers > 1:
            # What belongs to several processes can't be saved and exported by one.
            model, checkpoints = _restored(config, dataset, directory)
        evaluator = evaluation.Evaluator(model)
        evaluator.calibrate(dataset.validation)
        directory.save_model(model, dataset)
        results = results_lib.gather(config, evaluator, dataset, directory, checkpoints)
        results = _with_others(results, _previous(directory))
        # What was measured is there first, whatever becomes of figures and export.
        directory.write_results(results)
        _draw(evaluator, dataset, results, directory, checkpoints)
        results = _export(config, model, results, directory)
    runtime.wait()
    results_lib.show(results, directory)
    return results


def _work_for_the_chief(
    config: config_lib.Config,
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    directory: run_directory.RunDirectory,
    runtime: runtime_lib.Runtime,
) -> dict:
    """Trains along in the run that another process holds, and waits for its end."""
    runtime.wait()
    directory.check_same(config, dataset)
    _trained(config, model, dataset, directory, runtime)
    runtime.wait()
    return {}


def _finished(config: config_lib.Config) -> dict | None:
    """The results of a run that has all that the settings ask for; None of any other.

    Raises:
        UserError: it is a run of other settings or other data.
    """
    if not config.run_dir:
        return None
    directory = run_directory.RunDirectory(config.run_dir)
    directory.check(config)
    results = _previous(directory) if directory.exists() else {}
    if not results.get("export") or not directory.has_model:
        return None
    base_path = pathlib.Path(config.export_dir, config.name)
    exported = export.find(base_path, directory.id, config.steps)
    if not exported or exported.absolute() != pathlib.Path(results["export"]).absolute():
        return None
    if config.parzen_samples not in (0, results.get("likelihood", {}).get("samples", 0)):
        return None
    directory.check_same(config, assembly.load_data(config))
    return results


def _previous(directory: run_directory.RunDirectory) -> dict:
    """The results that a run has; empty where there are none, or damaged ones, which is said."""
    try:
        return directory.read_results() or {}
    except errors.UserError as error:
        print(f"{error}; made again", file=sys.stderr)
        return {}


def _trained(
    config: config_lib.Config,
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    directory: run_directory.RunDirectory,
    runtime: runtime_lib.Runtime,
) -> tuple[autoencoder.Autoencoder, checkpoints_lib.Checkpoints]:
    """Trains to the end.

    Where values are no longer finite and `config.on_nan` says so, training goes back to the last
    checkpoint and on at half the learning rate; each time is kept in the run's directory. Where
    that was in vain with one checkpoint, whose weights a higher rate may have spoilt, it goes back
    to the start.
    """
    while True:
        rollbacks = directory.read_rollbacks()
        if rollbacks:
            rate = config.learning_rate / 2 ** len(rollbacks)
            model = assembly.build_model(
                dataclasses.replace(config, learning_rate=rate), dataset, runtime
            )
        checkpoints = checkpoints_lib.Checkpoints(model, directory)
        try:
            loop.train(model, dataset, config, directory, checkpoints, runtime)
            return model, checkpoints
        except errors.NotFiniteError as error:
            step = int(model.step.numpy())
            if config.on_nan == "stop" or len(rollbacks) == _ROLLBACKS:
                after = f" after going back {len(rollbacks)} times" if rollbacks else ""
                other = "" if rollbacks or runtime.workers > 1 else "--on_nan=rollback, or "
                raise errors.NotFiniteError(
                    f"{error} at step {step}{after}; checkpoints before it, if any, are kept. "
                    f"Try {other}a smaller --learning_rate in another --run_dir"
                ) from error
            last = checkpoints.step
            place = _place_to_go_back_to(last, [each.get("checkpoint") for each in rollbacks])
            print(
                f"{error} at step {step}: going back to step {place}, at half the learning rate",
                file=sys.stderr,
            )
            if not place:
                checkpoints.remove_all()
            rollbacks.append({"step": step, "reason": str(error), "checkpoint": last})
            directory.write_rollbacks(rollbacks)


def _place_to_go_back_to(last: int, before: Sequence[int | None]) -> int:
    """The step of the last checkpoint, or 0 where it was in vain to go on from that.

    Args:
        last: The step of the last checkpoint.
        before: What it was at each rollback so far.
    """
    tried = list(itertools.takewhile(lambda step: step == last, reversed(before)))
    # The one after those that a checkpoint is trusted for went to the start, and wrote another.
    return last if (len(tried) + 1) % (_TRUSTED + 1) else 0


def _evaluate_again(config: config_lib.Config) -> dict:
    """Evaluates, draws and reports a run again from its last checkpoint; needs its data set."""
    directory = run_directory.RunDirectory(config.run_dir)
    dataset = assembly.load_data(config)
    with _at_work(config, directory, dataset):
        model, checkpoints = _restored(config, dataset, directory)
        evaluator = evaluation.Evaluator(model)
        evaluator.calibrate(dataset.validation)
        results = results_lib.gather(config, evaluator, dataset, directory, checkpoints)
        before = _previous(directory)
        results = _with_others(results, before) | {"export": before.get("export")}
        _draw(evaluator, dataset, results, directory, checkpoints)
        _report(config, results, directory)
    results_lib.show(results, directory)
    return results


def _with_others(results: dict, before: Mapping) -> dict:
    """The results of a run, with what is known of the same weights from before."""
    kept = {name: before[name] for name in _OF_OTHERS if before.get(name) and not results.get(name)}
    machine = before.get("machine", results["machine"])  # The seconds are its.
    return {**results, **kept, "machine": machine}


def _restored(
    config: config_lib.Config, dataset: data.Dataset, directory: run_directory.RunDirectory
) -> tuple[autoencoder.Autoencoder, checkpoints_lib.Checkpoints]:
    """The model at the end of its training, on one device.

    Raises:
        UserError: there is no readable checkpoint of that.
    """
    model = assembly.build_model(config, dataset)
    checkpoints = checkpoints_lib.Checkpoints(model, directory)
    step = checkpoints.restore()
    if step != config.steps:
        done = _previous(directory).get("steps") == config.steps
        how = "the results that are there stay" if done else "train it to its end first"
        raise errors.UserError(
            f"{directory.given}: no readable checkpoint of its last step, {config.steps}; the last "
            f"one is of step {step}. So it can't be evaluated; {how}"
        )
    return model, checkpoints


def _export_again(config: config_lib.Config) -> dict:
    """Exports a finished run again."""
    with _finished_run(config) as (directory, model, results):
        results = _export(config, model, results, directory)
    results_lib.show(results, directory)
    return results


def _convert(config: config_lib.Config) -> dict:
    """Converts the trained model of a finished run to .tflite files."""
    with _finished_run(config) as (directory, model, results):
        precisions = list(dict.fromkeys(config.precision.split(",")))
        examples = directory.load_examples()
        results["edge"] = conversion.convert(model, examples, precisions, directory)
        _report(config, results, directory)
    print(conversion.table(results["edge"]))
    results_lib.show(results, directory)
    return results


def _suggest(config: config_lib.Config) -> dict:
    """Lists the unlabelled training examples to label next; needs the data set."""
    dataset = assembly.load_data(config)
    with _finished_run(config, dataset) as (directory, model, results):
        suggestions = suggestion.suggest(model, dataset.train, _SUGGESTED)
        directory.write("suggestions.csv", suggestions.to_csv(dataset.origins))
        if len(model.example_shape) == 3:
            picture = gallery.suggestions(dataset.train, suggestions)
            directory.write("figures/suggestions.png", figures.png(picture))
        _report(config, results, directory)
    print(f"suggestions {directory.path / 'suggestions.csv'}")
    results_lib.show(results, directory)
    return results


def _judge(config: config_lib.Config) -> dict:
    """Has the classifier of another finished run look at generated examples."""
    judge = run_directory.RunDirectory(config.runs, "--runs")
    with _finished_run(config) as (directory, model, results):
        if judge.id == directory.id:
            raise errors.UserError(f"--runs={config.runs}: expected another run than it judges")
        try:
            found = judging.measure(model, judge.load_model(), directory.load_examples())
        except ValueError as error:
            raise errors.UserError(
                f"--mode=judge --run_dir={config.run_dir} --runs={config.runs}: {error}"
            ) from error
        results |= {name: {"judge": config.runs, **numbers} for name, numbers in found.items()}
        _report(config, results, directory)
    results_lib.show(results, directory)
    if "class_consistency" in found:
        print(f"class consistency {evaluation.text(found['class_consistency']['share'])}")
    if "kernel_distance" in found:
        print(f"kernel distance   {evaluation.text(found['kernel_distance']['generated'])}")
    return results


@contextlib.contextmanager
def _finished_run(
    config: config_lib.Config, dataset: data.Dataset | None = None
) -> Iterator[tuple[run_directory.RunDirectory, autoencoder.Autoencoder, dict]]:
    """A finished run, held for this process: its directory, its model and its results."""
    directory = run_directory.RunDirectory(config.run_dir)
    with _at_work(config, directory, dataset):
        model, results = directory.load_model(), directory.read_results()
        if results is None:
            raise errors.UserError(
                f"{directory.given}: no results; --mode=evaluate makes them again"
            )
        yield directory, model, results


@contextlib.contextmanager
def _at_work(
    config: config_lib.Config,
    directory: run_directory.RunDirectory,
    dataset: data.Dataset | None = None,
) -> Iterator[None]:
    """Holds a run's directory; an interruption says how to go on."""
    with directory.claim(config, dataset):
        try:
            yield
        except interrupts.Interrupted:
            place = f"--mode=train --run_dir={shlex.quote(str(directory.path))}"
            again = f"{config.command()} {place}" if config.mode == "train" else "the same command"
            print(f"keras_aae: to go on: {again}", file=sys.stderr)
            raise


# What a run leaves


def _draw(
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    results: Mapping,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
) -> None:
    """Writes the figures."""
    drawn = gallery.draw(evaluator, dataset, results, checkpoints.rows)
    for name, picture in drawn.items():
        directory.write(f"figures/{name}.png", figures.png(picture))


def _export(
    config: config_lib.Config,
    model: autoencoder.Autoencoder,
    results: Mapping,
    directory: run_directory.RunDirectory,
) -> dict:
    """Exports the model and reports; returns the results with the path of the export."""
    base_path = pathlib.Path(config.export_dir) / config.name
    about = {**results, "settings": vars(config)}
    path = export.export(model, base_path, about, run=directory.id)
    exported = {**results, "export": path.as_posix()}
    _report(config, exported, directory)
    return exported


def _report(
    config: config_lib.Config, results: Mapping, directory: run_directory.RunDirectory
) -> None:
    """Writes the report, with the figures that are there, and the results."""
    images = directory.read_figures(list(report.CAPTIONS))
    directory.write("report.html", report.render(config, results, images))
    directory.write_results(results)
