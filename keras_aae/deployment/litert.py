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
        with _named(path, "not a readable .tflite model"):
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
        with _named(self._path, "can't be run"):
            return self._run(**inputs)


@contextlib.contextmanager
def _named(path: str | os.PathLike, fault: str) -> Iterator[None]:
    """Turns what LiteRT complains of into a UserError that names the file and the fault."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise errors.UserError(f"{path}: {fault} ({reading.reason(error)})") from error
