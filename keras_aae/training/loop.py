"""Trains a model in a run directory so that nothing is lost when it is killed.

A checkpoint follows every evaluation. All randomness is a function of the seed and the update's
number, so the weights, the optimizers and that number are the whole state: a run that goes on from
a checkpoint ends where an unbroken one ends.
"""

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
from keras_aae import progress
from keras_aae.models import base
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import run_directory
from keras_aae.training import runtime


def train(
    model: base.PhasedAutoencoder,
    dataset: data.Dataset,
    config: config_lib.Config,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
) -> None:
    """Trains up to `config.updates`, from the last checkpoint where there is one.

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
    if start >= config.updates:
        return
    if start:
        print(f"Going on from update {start}")
    batches = runtime.distribute(
        model.distribute_strategy,
        lambda context: data.minibatches(
            dataset,
            seed=config.seed,
            **model.batch_sizes(config),
            augment_shift=config.augment_shift,
            start=start,
            context=context,
        ),
    )
    monitor = Monitor(model, dataset.validation, config, directory, checkpoints)
    with contextlib.closing(monitor):
        model.fit(
            batches,
            initial_epoch=start // config.evaluate_every,
            epochs=config.updates // config.evaluate_every,
            steps_per_epoch=config.evaluate_every,
            shuffle=False,
            verbose=0,
            callbacks=[monitor],
        )


class Monitor(keras.callbacks.Callback):
    """After each epoch: validation numbers, a row of the table and a checkpoint.

    An epoch is `config.evaluate_every` updates.

    Attributes:
        rows: For each evaluation so far `updates`, `seconds`, the losses, and `validation_*`.
    """

    def __init__(self, model, validation, config, directory, checkpoints):
        super().__init__()
        start = int(model.updates.numpy())
        self.rows = directory.read_metrics(start)
        self._evaluator = evaluation.Evaluator(model)
        self._validation = validation
        self._config = config
        self._directory = directory
        self._checkpoints = checkpoints
        self._events = tf.summary.create_file_writer(str(directory.events))
        self._bar = progress.bar(config.name, config.updates, "update", initial=start)

    def close(self):
        """Ends the progress bar and the events file."""
        self._bar.close()
        self._events.close()

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        losses = {name: float(value) for name, value in logs.items()}  # Waits for the last update.
        self._checkpoints.seconds.assign_add(time.perf_counter() - self._began)
        updates = (epoch + 1) * self._config.evaluate_every
        _check_finite(losses, updates)
        seconds = round(float(self._checkpoints.seconds.numpy()), 2)
        numbers = self._evaluator.evaluate(self._validation)
        validation = {f"validation_{name}": value for name, value in numbers.items()}
        self.rows.append({"updates": updates, "seconds": seconds, **losses, **validation})
        self._directory.write_metrics(self.rows)
        self._write_events(self.rows[-1])
        self._show(updates, numbers)
        self._checkpoints.save()

    def _write_events(self, row):
        with (
            files.writing(self._directory.events, tf.errors.OpError),
            self._events.as_default(step=row["updates"]),
        ):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            self._events.flush()

    def _show(self, updates, numbers):
        named = [f"{name.replace('_', ' ')} {evaluation.text(n)}" for name, n in numbers.items()]
        summary = f"validation {', '.join(named)}"
        self._bar.write(f"update {updates}: {summary}", file=sys.stderr)
        self._bar.set_postfix_str(summary, refresh=False)


def _check_finite(losses, updates):
    for name, value in losses.items():
        if not math.isfinite(value):
            raise errors.UserError(
                f"the {name} loss is no longer finite at update {updates}; try a smaller "
                "--learning_rate in a new --run_dir"
            )
