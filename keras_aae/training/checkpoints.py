"""The checkpoints of a run."""

import sys

import tensorflow as tf

from keras_aae import errors
from keras_aae import files
from keras_aae.models import trainer
from keras_aae.training import run_directory


class Checkpoints:
    """The checkpoints of a run: the model, its optimizers and the seconds spent on training.

    Args:
        model: The compiled model.
        directory: The run's directory.

    Attributes:
        seconds: Seconds spent on training so far.
    """

    def __init__(self, model: trainer.Trainer, directory: run_directory.RunDirectory):
        self.seconds = tf.Variable(0.0, dtype=tf.float64)
        self._model = model
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizers=tf.train.Checkpoint(**model.optimizers), seconds=self.seconds
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory.checkpoints), max_to_keep=2
        )

    def restore(self) -> int:
        """Goes on from the newest readable checkpoint; returns its step, 0 where there is none.

        Raises:
            UserError: there are checkpoints, but none is readable.
        """
        for path in reversed(self._manager.checkpoints):
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched().expect_partial()
            except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
                reason = " ".join(str(error).split())[:120]
                print(
                    f"{path}: damaged checkpoint, trying the one before ({reason})", file=sys.stderr
                )
                continue
            return int(self._model.step.numpy())
        if self._manager.checkpoints:
            raise errors.UserError(
                f"{self._manager.directory}: no readable checkpoint; remove that folder to train "
                "from the start"
            )
        return 0

    def save(self) -> None:
        """Writes a checkpoint and removes the one before the last.

        Raises:
            UserError: it can't be written.
        """
        with files.writing(self._manager.directory, tf.errors.OpError):
            self._manager.save(checkpoint_number=int(self._model.step.numpy()))
