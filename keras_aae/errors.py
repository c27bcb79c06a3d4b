"""The package's exceptions, and how TensorFlow is imported."""

from collections.abc import Iterator
import contextlib
import os

from keras_aae import plain_text


class UserError(Exception):
    """A mistake in a flag, a file or a run directory.

    Its message is one line that names the thing at fault, what was expected and what came. The
    command line prints it without a stack trace and exits with status 2.

    Args:
        message: The line; control characters in it, of a file's name for example, are escaped.
    """

    def __init__(self, message: str):
        super().__init__(plain_text.escaped(message))


class NotFiniteError(UserError):
    """A loss or a weight became infinite or NaN in training."""


class WorkerLostError(Exception):
    """Of the processes that train together another one is gone; each has to start again."""


@contextlib.contextmanager
def importing_tensorflow() -> Iterator[None]:
    """A context in which to import modules that import TensorFlow.

    Unless they are set, it sets TF_CPP_MIN_LOG_LEVEL to 2, errors alone, and TF_ENABLE_ONEDNN_OPTS
    to 1: oneDNN's kernels on every processor made convolutions 1.5 times faster on one with AVX2.
    KERAS_BACKEND becomes `tensorflow` in any case.

    Raises:
        UserError: a package is missing; it says what to install.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{error.name} is not installed; pip install 'keras-aae[all]' brings all that training "
            "needs"
        ) from error
