"""The model base of TF Serving: which versions it serves, under which labels, and their warm-up.

`models.config` in the model base is the only record. It serves the versions that have a label:
`canary` is the newest export, `stable` the one that was promoted last, at first the first export.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import MutableMapping
import contextlib
import os
import pathlib
import re
import sys
from typing import NamedTuple

from google.protobuf import text_format
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from keras_aae import errors
from keras_aae import files
from keras_aae import reading
from keras_aae.deployment import signatures as signatures_lib

_CONFIG = "models.config"
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")  # Of a version: an int64.
_MOUNT = "/models"  # Where the server sees the model base; see saved_models/compose.yaml.


class Version(NamedTuple):
    """An exported version of a model, and its labels."""

    name: str
    number: int
    labels: tuple[str, ...]


def check(base: pathlib.Path, name: str) -> None:
    """Raises what an export would raise for where it goes, before there is a model.

    Args:
        base: The model base; need not be there yet.
        name: The model.

    Raises:
        UserError: the name or the path can't be used, the folder can't be written to, no version
            can follow the last one, or `models.config` is damaged.
    """
    files.check_readable_by_tensorflow(base, "--export_dir")
    folder = base / name
    with files.writing(folder):  # The path may be too long.
        if name == _CONFIG or (folder.exists() and not folder.is_dir()):
            raise errors.UserError(
                f"--name={name}: {folder} is a file of the model base; choose another --name"
            )
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise errors.UserError(f"--export_dir={base}: {there} can't be written to")
    next_number(base, name)
    _read(base)


def register(base: pathlib.Path, name: str) -> None:
    """Labels the newest version `canary`, and the oldest `stable` where none is.

    Of processes that export at once, the order in which they register doesn't matter.

    Args:
        base: The model base, which holds a folder for each model.
        name: The model, of which a version is there.

    Raises:
        UserError: there is no such model base, or `models.config` is damaged or can't be written.
    """
    with _changing(base, name) as labels:
        there = numbers(base, name)
        labels["canary"] = max(there)
        if labels["stable"] not in there:
            labels["stable"] = min(there)


def promote(base: pathlib.Path, name: str, version: int = 0) -> int:
    """Makes a version stable; an older one rolls back.

    Args:
        base: The model base.
        name: The model.
        version: Its number. Default, 0: the canary, or the newest where none is.

    Returns:
        The version.

    Raises:
        UserError: there is no such model base, model or version, or `models.config` is damaged or
            can't be written.
    """
    with _changing(base, name) as labels:
        there = numbers(base, name)
        version = version or labels.get("canary", 0) or max(there, default=0)
        if version not in there:
            raise errors.UserError(
                f"--name={name} --version={version}: expected one of the versions {there} in {base}"
            )
        labels["stable"] = version
    return version


def versions(base: pathlib.Path) -> list[Version]:
    """The versions of every model in a model base, in order.

    Folders that can't be read, as a disk's lost+found, are left out, which is said.

    Raises:
        UserError: there is no such folder, or `models.config` is damaged.
    """
    if not base.is_dir():
        raise errors.UserError(f"--export_dir={base}: no such folder")
    served = _read(base)
    names = sorted(folder.name for folder in base.iterdir() if _has_versions(base, folder.name))
    labels = {entry.name: entry.version_labels for entry in served.model_config_list.config}
    return [
        Version(
            name,
            number,
            tuple(sorted(key for key, value in labels.get(name, {}).items() if value == number)),
        )
        for name in names
        for number in numbers(base, name)
    ]


def _has_versions(base: pathlib.Path, name: str) -> bool:
    try:
        return bool(numbers(base, name))
    except errors.UserError as error:
        print(f"{error}; left out", file=sys.stderr)
        return False


def numbers(base: pathlib.Path, name: str) -> list[int]:
    """The numbers of the versions of a model that are there, in order.

    Raises:
        UserError: its folder can't be read.
    """
    folder = base / name
    try:
        there = list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise errors.UserError(f"{folder}: not readable ({reading.reason(error)})") from error
    return sorted(
        int(each.name) for each in there if _NUMBER.fullmatch(each.name) and each.is_dir()
    )


def next_number(base: pathlib.Path, name: str) -> int:
    """The number of the next version of a model.

    Raises:
        UserError: the last one is the largest that there can be.
    """
    last = max(numbers(base, name), default=0)
    if not _NUMBER.fullmatch(str(last + 1)):
        raise errors.UserError(f"{base / name / str(last)}: no version can follow this one")
    return last + 1


def write_warm_up(
    folder: pathlib.Path, name: str, signatures: Mapping[str, signatures_lib.Signature]
) -> None:
    """Writes a request of zeros for each signature, which the server sends itself at its start.

    Args:
        folder: The version's `assets.extra`.
        name: The model.
        signatures: Its signatures.
    """
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for key, signature in signatures.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = key
            for spec in signature.inputs:
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(_zeros(spec)))
            writer.write(log.SerializeToString())


def _zeros(spec: tf.TensorSpec) -> np.ndarray:
    """One row of zeros; of image files one of a black pixel."""
    if spec.dtype == tf.string:
        return np.array([tf.io.encode_png(tf.zeros([1, 1, 1], tf.uint8)).numpy()])
    return np.zeros((1, *spec.shape[1:]), spec.dtype.as_numpy_dtype)


def _read(base: pathlib.Path) -> model_server_config_pb2.ModelServerConfig:
    path = base / _CONFIG
    served = model_server_config_pb2.ModelServerConfig()
    try:
        with reading.open_regular(path) as file:
            return text_format.Parse(file.read().decode(), served)
    except FileNotFoundError:
        return served
    except (text_format.ParseError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise errors.UserError(f"{path}: damaged ({reading.reason(error)})") from error


def _entry(
    served: model_server_config_pb2.ModelServerConfig, name: str
) -> model_server_config_pb2.ModelConfig:
    """The part of `models.config` on a model, which is added where there is none."""
    for entry in served.model_config_list.config:
        if entry.name == name:
            return entry
    return served.model_config_list.config.add(
        name=name, base_path=f"{_MOUNT}/{name}", model_platform="tensorflow"
    )


@contextlib.contextmanager
def _changing(base: pathlib.Path, name: str) -> Iterator[MutableMapping[str, int]]:
    """The labels of a model in `models.config`, to change; written by one process at a time.

    What stands there of other models stays as it is.
    """
    if not base.is_dir():
        raise errors.UserError(f"--export_dir={base}: no such folder")
    with files.locked(base / f".{_CONFIG}.lock"):
        served = _read(base)
        entry = _entry(served, name)
        yield entry.version_labels
        # A label may only name a version that is served.
        served_numbers = entry.model_version_policy.specific.versions
        served_numbers[:] = sorted(set(entry.version_labels.values()))
        # Where it is a link, to the file that it stands for.
        files.write((base / _CONFIG).resolve(), text_format.MessageToString(served))
