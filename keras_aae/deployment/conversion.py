"""Converts a trained model to .tflite files, and checks each against the SavedModel.

There is a file for each use: a signature `classify`, `cluster`, `encode` or `decode`.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import pathlib
import time
from typing import Any
from typing import NamedTuple
import warnings

import numpy as np
import tensorflow as tf

from keras_aae import data
from keras_aae import errors
from keras_aae import files
from keras_aae import reading
from keras_aae.data import sources
from keras_aae.deployment import export
from keras_aae.deployment import litert
from keras_aae.models import autoencoder
from keras_aae.training import run_directory

_USES = ("classify", "cluster", "encode", "decode")  # A file each: several in one are larger.
_CALIBRATION = 300  # Training examples that the ranges of int8 are read off.
_COMPARED = 500  # Test examples to compare the outputs of.
_TIMED = 200  # Runs of one example.


def convert(
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    precisions: Sequence[str],
    directory: run_directory.RunDirectory,
) -> list[dict]:
    """Writes `edge/<use>-<precision>.tflite`, and `edge/classes.txt`, to the run's directory.

    Args:
        model: The trained model.
        dataset: Its examples: training ones calibrate int8; test ones, or validation ones where
            there are none, check the files.
        precisions: Some of `config.PRECISIONS`.
        directory: The run's directory.

    Returns:
        For each file `use`, `precision`, the path `file` and the size in `bytes`;
        `largest_deviation`, the largest absolute difference of a float output from the SavedModel's
        on at most 500 examples; `median_ms` and `p99_ms`, wall-clock milliseconds of one example on
        one thread of this machine; for `classify` also `error_rate`, in [0, 1], None without
        labels. Of a file that can't be made `use`, `precision` and the `fault`.

    Raises:
        UserError: the files can't be written, or a class's name is more than a line.
    """
    held_out = dataset.test if len(dataset.test.x) else dataset.validation
    sources.check_classes(dataset.classes, "edge/classes.txt")
    directory.write("edge/classes.txt", "".join(f"{name}\n" for name in dataset.classes))
    rows = []
    with export.temporary(model) as saved_model:
        signatures = tf.saved_model.load(str(saved_model)).signatures
        for name in (name for name in _USES if name in signatures):
            compared = _inputs(model, name, held_out.spread(_COMPARED))
            use = _Use(
                name,
                calibration=_inputs(model, name, dataset.train.spread(_CALIBRATION)),
                compared=compared,
                expected=signatures[name](**{key: tf.constant(x) for key, x in compared.items()}),
            )
            rows += [_one(saved_model, use, each, held_out, directory) for each in precisions]
    return rows


class _Use(NamedTuple):
    """A signature to convert, and what its files are made and checked with.

    Attributes:
        name: Of the signature.
        calibration: Inputs that the ranges of int8 are read off.
        compared: Inputs to compare the outputs of.
        expected: The SavedModel's outputs for `compared`.
    """

    name: str
    calibration: dict[str, np.ndarray]
    compared: dict[str, np.ndarray]
    expected: dict[str, tf.Tensor]


def _one(
    saved_model: pathlib.Path,
    use: _Use,
    precision: str,
    held_out: data.Split,
    directory: run_directory.RunDirectory,
) -> dict:
    """Makes and checks one file; see `convert`."""
    row: dict[str, Any] = {"use": use.name, "precision": precision}
    path = directory.path / f"edge/{use.name}-{precision}.tflite"
    try:
        content = _convert(saved_model, use.name, precision, use.calibration)
    except Exception as error:  # The converter raises what its passes happen to raise.
        return {**row, "fault": reading.reason(error)}
    files.write(path, content)
    try:
        converted = litert.Model(path)
        checked: dict[str, Any] = _check(converted, use.compared, use.expected)
        if use.name == "classify":
            checked["error_rate"] = _error_rate(converted, held_out)
    except errors.UserError as error:  # What can be made is not always what can be run.
        path.unlink()
        return {**row, "fault": reading.reason(error)}
    return {**row, "file": str(path), "bytes": len(content), **checked}


def for_browser(saved_model: pathlib.Path, use: str) -> bytes:
    """A float32 .tflite file of one use that takes one example at a time.

    LiteRT's runtime for the browser refuses inputs with a dynamic dimension, and returns zeros
    where a shape is computed as the model runs.

    Args:
        saved_model: The export.
        use: The name of its signature.

    Returns:
        The content of the file.

    Raises:
        KeyError: the export has no such signature.
    """
    loaded = tf.saved_model.load(str(saved_model))
    signature = loaded.signatures[use]
    specs = {
        name: tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, name=name)
        for name, spec in signature.structured_input_signature[1].items()
    }
    one = tf.function(lambda **inputs: signature(**inputs), autograph=False)
    concrete = one.get_concrete_function(**specs)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], loaded).convert()


def _inputs(model: autoencoder.Autoencoder, use: str, split: data.Split) -> dict[str, np.ndarray]:
    """What a signature takes, by name, made of examples."""
    if use != "decode":
        return {model.observation.name: split.array()}
    labels = np.maximum(split.y, 0)
    code = model.encode(split.array()) | model.label_code(labels)
    return {part: code[part].numpy() for part in model.parts}


def _convert(
    saved_model: pathlib.Path, use: str, precision: str, calibration: Mapping[str, np.ndarray]
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=[use])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.representative_dataset = lambda: ((use, row) for row in _one_by_one(calibration))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with warnings.catch_warnings():
        # Calibration still goes through the deprecated tf.lite.Interpreter.
        warnings.simplefilter("ignore", UserWarning)
        return converter.convert()


def _one_by_one(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    count = len(next(iter(inputs.values())))
    return ({key: x[index : index + 1] for key, x in inputs.items()} for index in range(count))


def _check(
    converted: litert.Model, inputs: Mapping[str, np.ndarray], expected: Mapping[str, tf.Tensor]
) -> dict[str, float]:
    """How far the outputs are from those expected, and how long one example takes."""
    outputs = converted(**inputs)
    deviations = [
        np.abs(outputs[key] - value.numpy()).max()
        for key, value in expected.items()
        if value.dtype.is_floating
    ]
    one = next(_one_by_one(inputs))
    converted(**one)  # The first run after a change of the batch size allocates.
    seconds = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        converted(**one)
        seconds.append(time.perf_counter() - start)
    median, slow = 1000 * np.quantile(seconds, [0.5, 0.99])
    return {
        "largest_deviation": float(max(deviations)),
        "median_ms": round(float(median), 4),
        "p99_ms": round(float(slow), 4),
    }


def _error_rate(converted: litert.Model, split: data.Split) -> float | None:
    """The share of the labelled examples that a classifier gets wrong; None without labels."""
    known = split.take(split.y != data.UNLABELLED)
    (name,) = converted.inputs
    starts = range(0, len(known.x), _COMPARED)
    guesses = [converted(**{name: known.x[i : i + _COMPARED]})["class"] for i in starts]
    return float(np.mean(np.concatenate(guesses) != known.y)) if guesses else None


def table(rows: Sequence[Mapping]) -> str:
    """The rows of `convert` as lines of text for people."""
    lines = [f"{'file':<34}{'bytes':>10}{'deviation':>11}{'error':>9}{'median':>10}{'99 %':>10}"]
    for row in rows:
        name = f"{row['use']}-{row['precision']}.tflite"
        if "fault" in row:
            lines.append(f"{name:<34}can't be made: {row['fault']}")
            continue
        error = f"{row['error_rate']:.2%}" if row.get("error_rate") is not None else "-"
        lines.append(
            f"{name:<34}{row['bytes']:>10,}{row['largest_deviation']:>11.5f}{error:>9}"
            f"{row['median_ms']:>7.3f} ms{row['p99_ms']:>7.3f} ms"
        )
    return "\n".join(lines)
