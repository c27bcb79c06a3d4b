"""Trains a model in a run directory so that nothing is lost when it is killed.

A checkpoint follows every evaluation. All randomness is a function of the seed and the step, so the
weights, the optimizers and the step are the whole state: a run that goes on from a checkpoint ends
where an uninterrupted one ends.
"""

from collections.abc import Mapping
import contextlib
import math
import sys
import time

import keras
import tensorflow as tf

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import files
from keras_aae import models
from keras_aae import progress
from keras_aae.data import batching
from keras_aae.models import autoencoder
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import run_directory


def train(
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    config: config_lib.Config,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
) -> None:
    """Trains up to `config.steps`, from the last checkpoint where there is one.

    Args:
        model: The compiled model.
        dataset: Its data.
        config: The settings of the run.
        directory: Gets the metrics, a row for each evaluation, the events and the checkpoints.
        checkpoints: The run's checkpoints.

    Raises:
        UserError: the losses are no longer finite, or the directory can't be written.
    """
    start = checkpoints.restore()
    if start >= config.steps:
        return
    if start:
        print(f"Going on from step {start}")
    batches = minibatches(dataset, config, start)
    monitor = Monitor(model, dataset.validation, config, directory, checkpoints)
    with contextlib.closing(monitor):
        model.fit(
            batches,
            initial_epoch=start // config.evaluate_every,
            epochs=config.steps // config.evaluate_every,
            steps_per_epoch=config.evaluate_every,
            verbose=0,
            callbacks=[monitor],
        )


def minibatches(
    dataset: data.Dataset, config: config_lib.Config, start: int = 0
) -> batching.Minibatches:
    """The minibatches that a run trains on.

    Args:
        dataset: Its data.
        config: The settings of the run.
        start: The step to begin with.
    """
    sizes = batch_sizes(config)
    return batching.Minibatches(
        dataset, seed=config.seed, augment_shift=config.augment_shift, start=start, **sizes
    )


def batch_sizes(config: config_lib.Config) -> dict[str, int]:
    """The arguments `batch_size` and `labelled_batch_size` of `data.minibatches`."""
    labels = models.VARIANTS[config.model].labels
    if labels == "all":
        return {"batch_size": 0, "labelled_batch_size": config.batch_size}
    labelled = config.labelled_batch_size if labels == "few" else 0
    return {"batch_size": config.batch_size, "labelled_batch_size": labelled}


class Monitor(keras.callbacks.Callback):
    """After each epoch: validation numbers, a row of the table and a checkpoint.

    An epoch is `config.evaluate_every` steps.

    Attributes:
        rows: For each evaluation so far `step`, `seconds`, the losses, and `validation_*`.
    """

    def __init__(
        self,
        model: autoencoder.Autoencoder,
        validation: data.Split,
        config: config_lib.Config,
        directory: run_directory.RunDirectory,
        checkpoints: checkpoints_lib.Checkpoints,
    ):
        super().__init__()
        start = int(model.step.numpy())
        self.rows = directory.read_metrics(start)
        self._evaluator = evaluation.Evaluator(model)
        self._validation = validation
        self._config = config
        self._directory = directory
        self._checkpoints = checkpoints
        self._events = tf.summary.create_file_writer(str(directory.events))
        self._bar = progress.bar(config.name, config.steps, "step", initial=start)

    def close(self) -> None:
        """Ends the progress bar and the events file."""
        self._bar.close()
        self._events.close()

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._began = time.perf_counter()
        self._shown = 0  # Of the steps of this epoch.

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._bar.update(batch + 1 - self._shown)
        self._shown = batch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        losses = {
            name: float(value) for name, value in (logs or {}).items()
        }  # Waits for the last step.
        self._checkpoints.seconds.assign_add(time.perf_counter() - self._began)
        step = (epoch + 1) * self._config.evaluate_every
        _check_finite(losses, step)
        seconds = round(float(self._checkpoints.seconds.numpy()), 2)
        numbers = self._evaluator.evaluate(self._validation)
        validation = {f"validation_{name}": value for name, value in numbers.items()}
        self.rows.append({"step": step, "seconds": seconds, **losses, **validation})
        self._directory.write_metrics(self.rows)
        self._write_events(self.rows[-1])
        self._show(step, numbers)
        self._checkpoints.save()

    def _write_events(self, row: Mapping[str, float]) -> None:
        with (
            files.writing(self._directory.events, tf.errors.OpError),
            self._events.as_default(step=row["step"]),
        ):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            self._events.flush()

    def _show(self, step: int, numbers: Mapping[str, float]) -> None:
        named = [f"{name.replace('_', ' ')} {evaluation.text(n)}" for name, n in numbers.items()]
        summary = f"validation {', '.join(named)}"
        self._bar.write(f"step {step}: {summary}", file=sys.stderr)
        self._bar.set_postfix_str(summary, refresh=False)


def _check_finite(losses: Mapping[str, float], step: int) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            raise errors.UserError(
                f"the {name} loss is no longer finite at step {step}; try a smaller "
                "--learning_rate in a new --run_dir"
            )
