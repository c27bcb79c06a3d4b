"""One run from its settings to its results: train, evaluate, draw, report, export."""

from collections.abc import Mapping
import datetime
import io
import os
import pathlib
import platform

import keras
import tensorflow as tf

import keras_aae
from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import models
from keras_aae.deployment import conversion
from keras_aae.deployment import export
from keras_aae.deployment import model_base
from keras_aae.evaluation import likelihood
from keras_aae.models import observation
from keras_aae.reporting import comparison
from keras_aae.reporting import gallery
from keras_aae.reporting import report
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import loop
from keras_aae.training import run_directory
from keras_aae.training import runtime

_STEPS = [30_000, 600_000]  # Updates at which the paper's schedule divides the rate by ten.


def run(config: config_lib.Config) -> dict:
    """Does what `config.mode` asks for.

    Args:
        config: The settings.

    Returns:
        What `results.json` holds; empty in the modes that work on no run.

    Raises:
        UserError: the data, the run directory or a setting is at fault.
    """
    if config.mode in ("promote", "versions"):
        _serve(config)
        return {}
    name = "comparison" if config.mode == "compare" else config.name
    path = config.run_dir or config_lib.default_run_dir(name, datetime.datetime.now())
    directory = run_directory.RunDirectory(path)
    if config.mode == "compare":
        print(f"comparison {comparison.compare(config.runs.split(','), directory)}")
        return {}
    with directory.claim(config):
        results = directory.read_results()
        if config.mode == "train" and results and results["updates"] == config.updates:
            print(f"{directory.path}: this run is finished; nothing to train.")
        else:
            try:
                results = _run(config, directory, results)
            except KeyboardInterrupt as error:
                again = f"{config.command()} --mode={config.mode} --run_dir={directory.path}"
                raise errors.UserError(
                    f"interrupted. To go on from the last checkpoint: {again}"
                ) from error
    _tell(results, directory)
    return results


def _serve(config):
    """Promotes a version where that is asked for, and lists all of them."""
    base = pathlib.Path(config.export_dir)
    if config.mode == "promote":
        model_base.promote(base, config.name, config.version)
    for version in model_base.versions(base):
        print(f"{version.name:<24}{version.number:>4}  {', '.join(version.labels)}".rstrip())


def _run(config, directory, results):
    """Trains where that is asked for, then makes what the mode asks for from the trained model."""
    if config.mode == "train":
        dataset, model, checkpoints = _prepare(config, directory)
        loop.train(model, dataset, config, directory, checkpoints)
    else:
        dataset, model, checkpoints = restore(config, directory)
    evaluator = evaluation.Evaluator(model)
    if config.mode in ("train", "evaluate") or not results:
        kept = {key: (results or {}).get(key) for key in ("export", "edge")}
        results = (
            _describe(config, dataset, model, checkpoints)
            | _evaluate(config, evaluator, dataset, directory)
            | kept
        )
    if config.mode in ("train", "export"):
        base_path = pathlib.Path(config.export_dir) / config.name
        about = {**results, "settings": vars(config)}
        results["export"] = export.export(model, base_path, about).as_posix()
    if config.mode == "convert":
        saved_model = exported(results)
        precisions = config.precision.split(",")
        results["edge"] = conversion.convert(model, saved_model, dataset, precisions, directory)
        print(conversion.table(results["edge"]))
    rows = directory.read_metrics(results["updates"])
    _show(config, results, gallery.draw(evaluator, dataset, results, rows), directory)
    directory.write_results(results)
    return results


def _prepare(config, directory):
    """The data of a run, its new model, and its checkpoints."""
    dataset = data.load(
        config.dataset,
        data_dir=config.data_dir,
        labels=config.labels,
        validation=config.validation,
        seed=config.seed,
    )
    model = build_model(config, dataset)
    return dataset, model, checkpoints_lib.Checkpoints(model, directory)


def restore(config: config_lib.Config, directory: run_directory.RunDirectory):
    """The data of a run, its model as the last checkpoint has it, and its checkpoints.

    Raises:
        UserError: there is no checkpoint, or the data is not there.
    """
    dataset, model, checkpoints = _prepare(config, directory)
    if not checkpoints.restore():
        raise errors.UserError(
            f"--run_dir={directory.path}: no checkpoint to go on from; train first"
        )
    return dataset, model, checkpoints


def exported(results: Mapping) -> pathlib.Path:
    """The SavedModel that a run has exported.

    Args:
        results: What its `results.json` holds.

    Raises:
        UserError: there is none, or it is gone.
    """
    path = results["export"]
    if not path or not (pathlib.Path(path) / "saved_model.pb").exists():
        raise errors.UserError(f"{path or 'this run'}: no SavedModel there; --mode=export first")
    return pathlib.Path(path)


def _show(config, results, figures, directory):
    """Writes the figures and the report."""
    images = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=110)
        images[name] = buffer.getvalue()
        directory.write(f"figures/{name}.png", images[name])
    directory.write("report.html", report.render(config, results, images))


def build_model(config: config_lib.Config, dataset: data.Dataset):
    """The compiled model of a run, on the devices of its strategy."""
    seen = observation.of(dataset.train.x, config.pixel_loss)
    with runtime.get(config.strategy).scope():
        try:
            model = models.build(config, dataset.input_shape, len(dataset.classes), seen)
        except ValueError as error:
            raise errors.UserError(
                f"--model={config.model} on --dataset={config.dataset}: {error}"
            ) from error
        model.compile(
            _optimizer(config, config.momentum), _optimizer(config, config.adversarial_momentum)
        )
    return model


def _optimizer(config, momentum):
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(_schedule(config), momentum=momentum)
    return keras.optimizers.Adam(_schedule(config), beta_1=momentum)


def _schedule(config):
    """The learning rate, which may be a function of the update."""
    rate = config.learning_rate
    if config.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, config.updates)
    if config.schedule == "steps":
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            _STEPS, [rate, rate / 10, rate / 100]
        )
    return rate


def _describe(config, dataset, model, checkpoints):
    """What was trained, on what and how fast."""
    updates, seconds = int(model.updates.numpy()), float(checkpoints.seconds.numpy())
    batch = sum(model.batch_sizes(config).values())
    return {
        "name": config.name,
        "model": config.model,
        "dataset": config.dataset,
        "seed": config.seed,
        "labels": config.labels,
        "labels_given": int((dataset.train.y != data.UNLABELLED).sum()) if model.uses_labels else 0,
        "examples": {
            "train": len(dataset.train.x),
            "validation": len(dataset.validation.x),
            "test": len(dataset.test.x),
        },
        "updates": updates,
        "train_seconds": round(seconds, 2),
        "images_per_second": round(updates * batch / seconds, 1),
        "machine": _machine(),
        "command": config.command(),
        "versions": {
            "keras_aae": keras_aae.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _machine():
    gpus = len(tf.config.list_logical_devices("GPU"))
    return f"{platform.machine()}, {os.cpu_count()} cores, {gpus} GPUs"


def _evaluate(config, evaluator, dataset, directory):
    """The numbers of the held-out examples; see docs/RESULTS.md."""
    has_test = len(dataset.test.x) > 0
    held_out = dataset.test if has_test else dataset.validation
    numbers = {
        "validation": evaluator.evaluate(dataset.validation),
        "test": evaluator.evaluate(dataset.test, dataset.validation) if has_test else None,
        "prior_match": evaluator.prior_match(held_out),
        "style_probe": evaluator.style_probe(dataset.validation, dataset.test)
        if has_test
        else None,
    }
    if config.parzen_samples:
        if len(dataset.input_shape) != 3 or not has_test:
            raise errors.UserError(
                "--parzen_samples: expected a data set of images with test images"
            )
        samples = config.parzen_samples
        images = (dataset.validation, dataset.test)
        numbers["likelihood"] = likelihood.estimate(
            evaluator.model, *images, samples, directory.path
        )
    return numbers


def _tell(results, directory):
    """Prints where everything is; the test error comes last."""
    print(f"report     {directory.path / 'report.html'}")
    print(f"results    {directory.path / 'results.json'}")
    print(f"export     {results['export']}")
    for name, numbers in (("validation", results["validation"]), ("test", results["test"])):
        for key, value in (numbers or {}).items():
            print(f"{name:<11}{key.replace('_', ' ')} {evaluation.text(value)}")
