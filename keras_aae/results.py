"""What is known of a run once it is trained: what `results.json` holds."""

from collections.abc import Mapping
import os
import platform

import keras
import numpy as np
import tensorflow as tf

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import version
from keras_aae.evaluation import likelihood
from keras_aae.models import autoencoder
from keras_aae.models import latents
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import cluster as cluster_lib
from keras_aae.training import loop
from keras_aae.training import run_directory


def gather(
    config: config_lib.Config,
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
) -> dict:
    """What `results.json` holds, before the export; see docs/RESULTS.md.

    Args:
        config: The settings of the run.
        evaluator: Of the trained model.
        dataset: Its data.
        directory: The run's directory; keeps the sums of an estimate of the likelihood.
        checkpoints: The run's checkpoints, which know the seconds of training.

    Raises:
        UserError: the directory can't be written.
    """
    return {
        **_description(config, dataset, evaluator.model, checkpoints.seconds),
        **_numbers(config, evaluator, dataset, directory),
        "curve": [_validation(row) for row in checkpoints.rows],
        "rollbacks": directory.read_rollbacks(),
        "export": None,
        "edge": None,
        "class_consistency": None,
        "kernel_distance": None,
    }


def _description(
    config: config_lib.Config,
    dataset: data.Dataset,
    model: autoencoder.Autoencoder,
    seconds: float,
) -> dict:
    """What was trained, on what and how fast."""
    step = int(model.step.numpy())
    batch = sum(loop.batch_sizes(config).values())
    return {
        "name": config.name,
        "model": config.model,
        "dataset": config.dataset,
        "classes": list(dataset.classes),
        "seed": config.seed,
        "labels": config.labels,
        "labels_given": int((dataset.train.y != data.UNLABELLED).sum()),
        "examples": {
            "train": len(dataset.train.x),
            "validation": len(dataset.validation.x),
            "test": len(dataset.test.x),
        },
        "views": str(model.views) if model.views else None,
        "steps": step,
        "train_seconds": round(seconds, 2),
        "images_per_second": round(step * batch / seconds, 1),
        "machine": _machine(config),
        "command": config.command(),
        "versions": {
            "keras_aae": version.VERSION,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def _validation(row: Mapping[str, float]) -> dict[str, float]:
    """When an evaluation was, and its numbers."""
    prefix = "validation_"
    numbers = {
        name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)
    }
    return {"step": row["step"], "seconds": row["seconds"], **numbers}


def _machine(config: config_lib.Config) -> str:
    gpus = len(tf.config.list_logical_devices("GPU"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {gpus} GPUs"
    cluster = cluster_lib.find(config)
    return f"{machine}, {cluster.workers} workers" if cluster else machine


def _numbers(
    config: config_lib.Config,
    evaluator: evaluation.Evaluator,
    dataset: data.Dataset,
    directory: run_directory.RunDirectory,
) -> dict:
    """The numbers of the held-out examples."""
    validation, test = dataset.validation, dataset.test
    has_test = len(test.x) > 0
    numbers: dict = {
        "validation": evaluator.evaluate(validation),
        "test": evaluator.evaluate(test, validation) if has_test else None,
    }
    _check_finite(numbers)
    numbers |= {
        "prior_match": evaluator.prior_match(test if has_test else validation),
        "style_probe": evaluator.style_probe(validation, test) if has_test else None,
        # Not of validation examples, which the temperature was chosen on.
        "calibration": evaluator.calibration(test) if has_test else None,
    }
    latent = evaluator.model.categorical
    if isinstance(latent, latents.LearnedCategorical):
        shares = latent.shares.numpy().tolist()
        numbers["learned_shares"] = dict(zip(dataset.classes, shares, strict=True))
    if config.parzen_samples:
        numbers["likelihood"] = likelihood.estimate(
            evaluator.model, validation, test, config.parzen_samples, directory.path
        )
    return numbers


def _check_finite(numbers: Mapping[str, Mapping[str, float] | None]) -> None:
    """Raises a UserError where examples are so far from those of training that a number is not."""
    for split, found in numbers.items():
        for name, value in (found or {}).items():
            if not np.isfinite(value):
                raise errors.UserError(
                    f"the {name.replace('_', ' ')} of the {split} examples is {value}: some are "
                    "too far from those that it was trained on. Nothing is exported"
                )


def show(results: Mapping, directory: run_directory.RunDirectory) -> None:
    """Prints where everything is; the test error comes last."""
    print(f"report     {directory.path / 'report.html'}")
    print(f"results    {directory.path / 'results.json'}")
    print(f"export     {results['export']}")
    for name, numbers in (("validation", results["validation"]), ("test", results["test"])):
        for key, value in (numbers or {}).items():
            print(f"{name:<11}{key.replace('_', ' ')} {evaluation.text(value)}")
