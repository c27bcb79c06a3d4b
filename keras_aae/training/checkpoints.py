"""The checkpoints of a run.

A checkpoint is `ckpt-<step>.index` and `.data-*`, TensorFlow's, and a record `ckpt-<step>.json` of
their checksums. It counts once the record is there, which is written last.
"""

import pathlib
import re
import shutil
import sys
from typing import Any

import tensorflow as tf

from keras_aae import errors
from keras_aae import files
from keras_aae import reading
from keras_aae.models import metrics
from keras_aae.models import optimizers as optimizers_lib
from keras_aae.models import trainer
from keras_aae.training import run_directory

_KEPT = 2  # The newest; the others are removed.
_NAME = re.compile(r"ckpt-(0|[1-9][0-9]*)(\.json|\.index|\.data-[0-9of-]+|_temp)")


class Checkpoints:
    """The checkpoints of a run: the model, its optimizers and what was measured.

    Args:
        model: The compiled model.
        directory: The run's directory.

    Attributes:
        step: That of the checkpoint that was restored or written last; 0 where there is none.
        seconds: Seconds spent on training so far.
        rows: For each evaluation so far `step`, `seconds`, the losses, and `validation_*`.
        running: The state of the running means of the losses since the last evaluation, a number
            for each variable of theirs; empty at the start of an epoch.
    """

    def __init__(self, model: trainer.Trainer, directory: run_directory.RunDirectory):
        self.step = 0
        self.seconds = 0.0
        self.rows: list[dict[str, Any]] = []
        self.running: list[float] = []
        self._model = model
        self._directory = directory
        self._folder = directory.checkpoints
        self._run = directory.id
        self._rate = optimizers_lib.constant_rate(model.optimizer)
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizers=tf.train.Checkpoint(**model.optimizers)
        )

    def restore(self) -> int:
        """Restores the newest readable checkpoint; returns its step, 0 where there is none.

        Raises:
            UserError: there are checkpoints, but none is readable; or none of a run that is
                finished.
        """
        self._remove_unfinished()
        steps = self._steps()
        for step in reversed(steps):
            try:
                self._restore(step)
                return step
            except errors.UserError as error:
                print(f"{error}; trying the one before", file=sys.stderr)
        if steps:
            raise errors.UserError(
                f"{self._folder}: none of its checkpoints can be resumed from; nothing was "
                "changed. To train from the start, give another --run_dir"
            )
        if self._directory.has_model:
            raise errors.UserError(
                f"{self._folder}: no checkpoint of this run, which is finished; nothing was "
                "changed. Its model is there for --mode=export. To train again, give another "
                "--run_dir"
            )
        return 0

    def save(self, within_epoch: bool = False) -> None:
        """Writes a checkpoint; of those up to it only the newest two are kept.

        Args:
            within_epoch: Whether it falls within an epoch, so that the running means of the losses
                are kept.

        Raises:
            NotFiniteError: a weight, or an optimizer's, is not finite.
            UserError: it can't be written, or the run's directory is another one now.
        """
        self.check_finite()
        self._directory.check_held()
        step = int(self._model.step.numpy())
        with files.writing(self._folder, tf.errors.OpError):
            self._discard(step)
            self._write(step)
            parts = self._parts(step)
            for path in (*parts, self._folder):
                files.sync(path)
            record = {
                "run": self._run,
                "step": step,
                "seconds": self.seconds,
                "rows": self.rows,
                "running": [float(each) for each in self._running_means()] if within_epoch else [],
                "files": {part.name: files.digest_of_file(part) for part in parts},
            }
            files.write_record(self._record(step), record)
            self.step = step
            # Later ones were damaged when training went on from an earlier one: they don't count.
            kept = [each for each in self._steps() if each <= step][-_KEPT:]
            self._remove_others(kept)

    def remove_all(self) -> None:
        """Removes every checkpoint, so that training begins at its start.

        Raises:
            UserError: one can't be removed.
        """
        with files.writing(self._folder):
            for step in self._steps():
                self._discard(step)
        self.step = 0

    def _discard(self, step: int) -> None:
        """Removes the checkpoint of a step, where there is one."""
        # The record first: what goes then is no checkpoint any more.
        for path in (self._record(step), *self._parts(step)):
            _remove(path)

    def _write(self, step: int) -> None:
        """Writes TensorFlow's files of a checkpoint; of a failure, as on a full disk, none stay."""
        try:
            self._checkpoint.write(str(self._folder / f"ckpt-{step}"))
        except BaseException:
            for path in self._parts(step):
                _remove(path)
            self._remove_unfinished()
            raise

    def _remove_unfinished(self) -> None:
        """Removes what TensorFlow left of checkpoints that were not written to the end."""
        for path in self._entries():
            name = _NAME.fullmatch(path.name)
            if name and name[2] == "_temp":
                _remove(path)

    def _running_means(self) -> list[tf.Variable]:
        """The variables of the losses' means; held-out examples alone have an error rate."""
        means = [each for each in self._model.metrics if each.name != metrics.ERROR_RATE]
        return [variable for each in means for variable in each.variables]

    def restore_running_means(self) -> None:
        """Sets the running means of the losses as they were, once, after Keras has reset them."""
        # Early runs of 0.4 kept the error rate, too, behind them.
        for variable, value in zip(self._running_means(), self.running, strict=False):
            variable.assign(value)
        self.running = []

    def _steps(self) -> list[int]:
        """The steps of the checkpoints that are there, in order, by listing the folder."""
        found = (_NAME.fullmatch(path.name) for path in self._entries())
        return sorted(int(name[1]) for name in found if name and name[2] == ".json")

    def _entries(self) -> list[pathlib.Path]:
        return list(self._folder.iterdir()) if self._folder.is_dir() else []

    def _record(self, step: int) -> pathlib.Path:
        return self._folder / f"ckpt-{step}.json"

    def _parts(self, step: int) -> list[pathlib.Path]:
        """TensorFlow's files of a checkpoint."""
        return [
            path
            for path in sorted(self._entries())
            if (name := _NAME.fullmatch(path.name))
            and int(name[1]) == step
            and name[2].startswith((".index", ".data"))
        ]

    def _restore(self, step: int) -> None:
        """Restores a checkpoint.

        Raises:
            UserError: it is damaged, or of another run or model.
        """
        path = self._folder / f"ckpt-{step}"
        record = files.read_record(self._record(step))
        try:
            found = {part.name: files.digest_of_file(part) for part in self._parts(step)}
        except OSError as error:
            raise errors.UserError(
                f"{path}: damaged checkpoint ({reading.reason(error)})"
            ) from error
        if not record or found != record["files"]:
            raise errors.UserError(f"{path}: damaged checkpoint; its checksums are others")
        if record.get("run", self._run) != self._run:  # Early runs of 0.4 didn't keep it.
            raise errors.UserError(f"{path}: a checkpoint of another run")
        try:
            self._checkpoint.read(str(path)).assert_existing_objects_matched().expect_partial()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
            raise errors.UserError(
                f"{path}: a checkpoint of another model than these settings make "
                f"({reading.reason(error)})"
            ) from error
        if self._rate is not None:  # The settings', not the checkpoint's: a rollback lowers it.
            self._model.optimizer.learning_rate = self._rate
        self.step = step
        self.seconds, self.rows, self.running = (
            record[name] for name in ("seconds", "rows", "running")
        )

    def _remove_others(self, kept: list[int]) -> None:
        """Removes other checkpoints up to the last one."""
        for path in self._entries():
            name = _NAME.fullmatch(path.name)
            if name and int(name[1]) <= kept[-1] and int(name[1]) not in kept:
                _remove(path)

    def check_finite(self) -> None:
        """Raises a NotFiniteError where a weight, or an optimizer's, is not finite."""
        for holder in (self._model, *self._model.optimizers.values()):
            for variable in holder.variables:
                values = tf.cast(tf.convert_to_tensor(variable), tf.float32)
                if not bool(tf.reduce_all(tf.math.is_finite(values))):
                    raise errors.NotFiniteError(f"{variable.path} has values that are not finite")


def _remove(path: pathlib.Path) -> None:
    """Removes a file, or a folder that took a file's place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
