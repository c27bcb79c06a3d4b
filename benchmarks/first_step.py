"""Runs the command line up to the end of its first step.

python -m benchmarks.first_step <flags of keras_aae.launch>
"""

import os

from keras_aae import launch
from keras_aae.training import loop


def _end(worker: object, batch: int, logs: object = None) -> None:
    os._exit(0)


if __name__ == "__main__":
    loop.Worker.on_train_batch_end = _end
    launch.run()
