"""What a run is put together from, by its settings: its data and its compiled model."""

import dataclasses
from typing import Any

import keras
import numpy as np

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import models
from keras_aae.data import raw_data
from keras_aae.data import sources
from keras_aae.data import splits
from keras_aae.models import autoencoder
from keras_aae.models import observation
from keras_aae.models import optimizers
from keras_aae.training import runtime as runtime_lib

_STEPS = [30_000, 600_000]  # Steps at which the paper's schedule divides the rate by ten.


def load_data(config: config_lib.Config) -> data.Dataset:
    """The data of a run, split.

    Raises:
        UserError: it is not there, damaged, or doesn't fit the settings.
    """
    names = ("data_dir", "max_memory", "image_size", "on_bad_image")
    raw = sources.read(config.dataset, **{name: getattr(config, name) for name in names})
    labels, learns = config.labels, models.VARIANTS[config.model].labels
    if learns != "none" and not raw.classes:
        raise errors.UserError(
            f"--dataset={config.dataset}: has no labels, and --model={config.model} learns from "
            "them"
        )
    if labels is None:
        labels = _few(config, raw) if learns == "few" else {"none": 0, "all": -1}[learns]
    dataset = splits.split(raw, labels=labels, validation=config.validation, seed=config.seed)
    _check_images(config, dataset)
    if config.propagation_steps and data.UNLABELLED not in dataset.train.y:
        raise errors.UserError(
            f"--propagation_steps={config.propagation_steps}: all training examples have their "
            "label"
        )
    return dataset


def _few(config: config_lib.Config, raw: raw_data.Raw) -> int:
    """The default number of labels: 10 of each class, or what the smallest has left to train on."""
    counts = np.bincount(raw.y_train[raw.y_train >= 0], minlength=len(raw.classes))
    if not counts.all():
        name = raw.classes[int(counts.argmin())]
        raise errors.UserError(
            f"--dataset={config.dataset}: class {name} has no labelled training example, and "
            f"--model={config.model} learns from some of each class"
        )
    left = counts - np.round(config.validation * counts)
    return len(raw.classes) * max(1, int(left.min(initial=config_lib.LABELS_PER_CLASS)))


def _check_images(config: config_lib.Config, dataset: data.Dataset) -> None:
    """Raises a UserError where a setting wants images and the data set has features."""
    images = len(dataset.input_shape) == 3
    if config.parzen_samples and not (images and len(dataset.test.x) > 1):
        raise errors.UserError("--parzen_samples: expected images, two test images at least")
    fields = {field.name: field for field in dataclasses.fields(config)}
    for name in () if images else ("pixel_loss", "augment_shift", "views"):
        value = getattr(config, name)
        if value not in (fields[name].default, 0, "none"):
            raise errors.UserError(
                f"--{name}={value}: --dataset={config.dataset} has feature vectors, not images"
            )


def build_model(
    config: config_lib.Config, dataset: data.Dataset, runtime: runtime_lib.Runtime | None = None
) -> autoencoder.Autoencoder:
    """The compiled model of a run.

    Args:
        config: The settings.
        dataset: The data.
        runtime: What it trains on. None: a single device.

    Raises:
        UserError: the settings don't fit the data or each other.
    """
    model_class = models.get(config.model)
    variant = models.VARIANTS[config.model]
    arguments = {name: getattr(config, name) for name in variant.settings}
    if variant.labels != "none":
        arguments["num_classes"] = len(dataset.classes)
    with (runtime or runtime_lib.Runtime()).strategy.scope():
        try:
            model = model_class(
                dataset.input_shape,
                observation=observation.of(dataset.train.x, config.pixel_loss),
                class_names=dataset.classes,
                seed=config.seed,
                **arguments,
            )
        except ValueError as error:
            raise errors.UserError(
                f"--model={config.model} on --dataset={config.dataset}: {error}"
            ) from error
        model.compile(
            _optimizer(config, config.momentum),
            _optimizer(config, config.adversarial_momentum),
            steps_per_execution=config.steps_per_execution,
        )
    return model


def _optimizer(config: config_lib.Config, momentum: float) -> keras.optimizers.Optimizer:
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(_schedule(config), momentum=momentum)
    return optimizers.Adam(_schedule(config), beta_1=momentum)


def _schedule(config: config_lib.Config) -> Any:
    """The learning rate, which may be a function of the step."""
    rate = config.learning_rate
    if config.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(rate, config.steps)
    if config.schedule == "steps":
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            _STEPS, [rate, rate / 10, rate / 100]
        )
    return rate
