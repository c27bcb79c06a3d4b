"""Runs .tflite files with LiteRT; imports no TensorFlow."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os

from ai_edge_litert import interpreter
import numpy as np

from keras_aae import errors
from keras_aae import reading


class Model:
    """A .tflite file of one use: classify, cluster, encode or decode.

    Args:
        path: The file that `--mode=convert` wrote.

    Raises:
        UserError: there is no such file, or it isn't a model with a signature.

    Attributes:
        use: The name of its signature.
        inputs: The shape of each input by name; -1 stands for the batch, of any size from 1.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = path
        with _reading(path):
            with reading.open_regular(path) as file:
                content = file.read()
            loaded = interpreter.Interpreter(model_content=content, num_threads=1)
            signatures = loaded.get_signature_list()
            if len(signatures) != 1:
                raise ValueError(f"expected one signature, received {sorted(signatures)}")
            self.use = next(iter(signatures))
            self._run = loaded.get_signature_runner(self.use)
        self.inputs = {
            name: tuple(int(size) for size in detail["shape_signature"])
            for name, detail in self._run.get_input_details().items()
        }

    def __call__(self, **inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        """The outputs by name, [B, ...], for inputs by name, [B, ...] of the signature's dtypes.

        Raises:
            UserError: the model can't be run.
        """
        with _reading(self._path):
            return self._run(**inputs)


@contextlib.contextmanager
def _reading(path: str | os.PathLike) -> Iterator[None]:
    """Turns what LiteRT says of a file that is no such model into a UserError with its path."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        why = reading.reason(error)
        raise errors.UserError(f"{path}: not a readable .tflite model ({why})") from error
