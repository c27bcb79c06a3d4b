"""Trains a model in a run directory; a run that was killed goes on from its last checkpoint.

A checkpoint follows every evaluation. All randomness is a function of the seed and the step, so the
weights, the optimizers and the step are the whole state: a run that goes on from a checkpoint ends
where an uninterrupted one ends.
"""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import math
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from keras_aae import config as config_lib
from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import files
from keras_aae import interrupts
from keras_aae import models
from keras_aae import progress
from keras_aae.data import batching
from keras_aae.data import propagation
from keras_aae.models import autoencoder
from keras_aae.training import checkpoints as checkpoints_lib
from keras_aae.training import run_directory
from keras_aae.training import runtime as runtime_lib


def train(
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    config: config_lib.Config,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
    runtime: runtime_lib.Runtime,
) -> None:
    """Trains up to `config.steps`, from the last checkpoint where there is one.

    Args:
        model: The compiled model.
        dataset: Its data.
        config: The settings of the run.
        directory: Gets the metrics, a row for each evaluation, the events and the checkpoints.
        checkpoints: The run's checkpoints.
        runtime: What the model was made on. Of several processes the chief alone validates and
            writes.

    Raises:
        NotFiniteError: a loss or a weight is no longer finite.
        UserError: no checkpoint is readable, the last one doesn't fit `steps` or
            `steps_per_execution`, an example can't be read, or the directory can't be written.
        WorkerLostError: another process is gone.
        Interrupted: a signal asked the program to end; where it trains alone it wrote a checkpoint.
    """
    start = _restored(config, directory, checkpoints, runtime)
    begin = _propagated(dataset, runtime) if start < config.propagation_steps else dataset
    every = config.evaluate_every
    with contextlib.ExitStack() as stack:
        interrupt = stack.enter_context(interrupts.awaited())
        worker = Worker(checkpoints, every, interrupt)
        if runtime.is_chief:
            worker = Monitor(
                model, dataset.validation, config, directory, checkpoints, interrupt, runtime
            )
            stack.enter_context(contextlib.closing(worker))
        stack.enter_context(runtime.together())
        # A run that was interrupted within an epoch first goes on to the end of it.
        end_of_epoch = min(start + -start % every, config.steps)
        for until in sorted({end_of_epoch, config.propagation_steps, config.steps}):
            if start < until:
                drawn = begin if start < config.propagation_steps else dataset
                _fit(model, minibatches(drawn, config, start), start, until, every, worker)
                start = until


def _restored(
    config: config_lib.Config,
    directory: run_directory.RunDirectory,
    checkpoints: checkpoints_lib.Checkpoints,
    runtime: runtime_lib.Runtime,
) -> int:
    """The step that the model is at with the last checkpoint; 0 where there is none."""
    start = checkpoints.restore()
    runtime.agree("the step of the last checkpoint", start)
    if start > config.steps:
        raise errors.UserError(
            f"{directory.given}: its checkpoint is at step {start}, past --steps={config.steps}"
        )
    if start % config.steps_per_execution:
        raise errors.UserError(
            f"--steps_per_execution={config.steps_per_execution}: expected a divisor of {start}, "
            "the step of the checkpoint"
        )
    if start and runtime.is_chief:
        print(f"Going on from step {start}")
    return start


def _propagated(dataset: data.Dataset, runtime: runtime_lib.Runtime) -> data.Dataset:
    """The data with propagated labels beside those given."""
    train = dataset.train
    if runtime.is_chief:
        print("labels: looking for the nearest neighbours to propagate them to", flush=True)
    labels = propagation.propagate(train, len(dataset.classes))
    if runtime.is_chief:
        given, known = (np.sum(y != data.UNLABELLED) for y in (train.y, labels))
        print(f"labels: {given} given, {known - given} propagated")
    return dataset._replace(train=train._replace(y=labels))


def _fit(
    model: autoencoder.Autoencoder,
    batches: batching.Minibatches,
    start: int,
    until: int,
    every: int,
    worker: keras.callbacks.Callback,
) -> None:
    """Trains from one step up to another, in epochs of so many steps."""
    try:
        model.fit(
            batches,
            initial_epoch=start // every,
            epochs=until // every,
            steps_per_epoch=min(every, until - start),
            verbose=0,
            callbacks=[worker],
        )
    except tf.errors.OpError as error:
        if batches.error:
            raise batches.error from error
        raise


def minibatches(
    dataset: data.Dataset, config: config_lib.Config, start: int = 0
) -> batching.Minibatches:
    """The minibatches that a run trains on.

    Args:
        dataset: Its data.
        config: The settings of the run.
        start: The step to begin with.

    Raises:
        UserError: no training example has a label, and the model learns from labels.
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


class Worker(keras.callbacks.Callback):
    """What each process does beside training: it times it, and ends it on bad values or a signal.

    Args:
        checkpoints: The run's checkpoints.
        every: Steps of an epoch.
        interrupt: Returns the error of a signal that came, or None.

    Raises:
        NotFiniteError: a loss or a weight is no longer finite.
        Interrupted: a signal asked the program to end.
    """

    def __init__(
        self,
        checkpoints: checkpoints_lib.Checkpoints,
        every: int,
        interrupt: Callable[[], interrupts.Interrupted | None],
    ):
        super().__init__()
        self._checkpoints = checkpoints
        self._every = every
        self._interrupt = interrupt

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._began = time.perf_counter()
        if self._checkpoints.running:
            self._checkpoints.restore_running_means()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        interrupt = self._interrupt()
        # After its last step an epoch ends first: its numbers belong to the table.
        if interrupt and int(self.model.step.numpy()) % self._every:
            self._checkpoints.seconds += time.perf_counter() - self._began
            self._keep_within_epoch()
            raise interrupt

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        # float() waits for the last step, so that its time counts.
        losses = {name: float(value) for name, value in (logs or {}).items()}
        self._checkpoints.seconds += time.perf_counter() - self._began
        for name, value in losses.items():
            if not math.isfinite(value):
                raise errors.NotFiniteError(f"the {name} loss is not finite")
        self._keep((epoch + 1) * self._every, losses)
        interrupt = self._interrupt()
        if interrupt:
            raise interrupt

    def _keep(self, step: int, losses: Mapping[str, float]) -> None:
        """Keeps what an epoch gave; here it is only checked, as the chief does."""
        self._checkpoints.check_finite()

    def _keep_within_epoch(self) -> None:
        """Keeps what a part of an epoch gave; here nothing."""


class Monitor(Worker):
    """After each epoch: validation numbers, a row of the table and a checkpoint.

    An epoch is `config.evaluate_every` steps. Where one process trains alone, a checkpoint is also
    written when a signal asks the program to end, after the `steps_per_execution` steps that are
    being taken. Several would have to end after the same step for that.

    Args:
        model: The compiled model, as its checkpoint left it.
        validation: Held-out examples.
        config: The settings of the run.
        directory: Gets the metrics and the events.
        checkpoints: The run's checkpoints, which hold the rows.
        interrupt: Returns the error of a signal that came, or None.
        runtime: What the model was made on.

    Raises:
        UserError: the directory can't be written.
        NotFiniteError, Interrupted: as `Worker`.
    """

    def __init__(
        self,
        model: autoencoder.Autoencoder,
        validation: data.Split,
        config: config_lib.Config,
        directory: run_directory.RunDirectory,
        checkpoints: checkpoints_lib.Checkpoints,
        interrupt: Callable[[], interrupts.Interrupted | None],
        runtime: runtime_lib.Runtime,
    ):
        super().__init__(checkpoints, config.evaluate_every, interrupt)
        start = int(model.step.numpy())
        self._evaluator = evaluation.Evaluator(model)
        self._validation = validation
        self._directory = directory
        self._alone = runtime.workers == 1
        self._events = self._tables_so_far()
        self._bar = progress.bar(config.name, config.steps, "step", initial=start)

    def _tables_so_far(self) -> tf.summary.SummaryWriter:
        """Writes the rows so far to `metrics.csv` and to an events file, which replace others."""
        if self._checkpoints.rows:
            self._directory.write_metrics(self._checkpoints.rows)
        with files.writing(self._directory.events):
            for path in self._directory.events.glob("events.*"):
                path.unlink()
        events = tf.summary.create_file_writer(str(self._directory.events))
        for row in self._checkpoints.rows:
            self._write_events(events, row)
        return events

    def close(self) -> None:
        """Ends the progress bar and the events file."""
        self._bar.close()
        self._events.close()

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._shown = 0  # Of the steps of this epoch.

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._bar.update(batch + 1 - self._shown)
        self._shown = batch + 1
        super().on_train_batch_end(batch, logs)

    def _keep_within_epoch(self) -> None:
        if self._alone:
            self._checkpoints.save(within_epoch=True)

    def _keep(self, step: int, losses: Mapping[str, float]) -> None:
        checkpoints = self._checkpoints
        numbers = self._evaluator.evaluate(self._validation)
        validation = {f"validation_{name}": value for name, value in numbers.items()}
        row = {"step": step, "seconds": round(checkpoints.seconds, 2), **losses, **validation}
        checkpoints.rows.append(row)
        checkpoints.save()
        self._directory.write_metrics(checkpoints.rows)
        self._write_events(self._events, row)
        self._show(step, numbers)

    def _write_events(self, events: tf.summary.SummaryWriter, row: Mapping[str, float]) -> None:
        with (
            files.writing(self._directory.events, tf.errors.OpError),
            events.as_default(step=row["step"]),
        ):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            events.flush()

    def _show(self, step: int, numbers: Mapping[str, float]) -> None:
        named = [f"{name.replace('_', ' ')} {evaluation.text(n)}" for name, n in numbers.items()]
        summary = f"validation {', '.join(named)}"
        self._bar.write(f"step {step}: {summary}", file=sys.stderr)
        self._bar.set_postfix_str(summary, refresh=False)
