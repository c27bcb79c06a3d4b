"""`python -m benchmarks.first_step <flags>`: the command line, up to the end of its first step."""

import os
from unittest import mock

from keras_aae import launch
from keras_aae.training import loop

if __name__ == "__main__":
    with mock.patch.object(loop.Worker, "on_train_batch_end", lambda *_: os._exit(0)):
        launch.run()
