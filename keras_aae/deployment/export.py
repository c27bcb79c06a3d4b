"""Exports a model as a SavedModel for TF Serving."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import errno
import json
import os
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf

from keras_aae import files
from keras_aae.deployment import model_base
from keras_aae.deployment import signatures as signatures_lib
from keras_aae.models import autoencoder
from keras_aae.reporting import report

_UNFINISHED = ".unfinished-"  # Opens the name of such a folder, before its process's number.


def export(
    model: autoencoder.Autoencoder,
    base_path: str | os.PathLike,
    about: Mapping[str, object] | None = None,
) -> pathlib.Path:
    """Writes the next version of a model.

    The version is written beside its place and renamed, so a server never sees half of one; then
    `models.config` in the folder above says that it is the canary.

    Args:
        model: The model, whose averaged weights are exported with raw examples as inputs; see
            `signatures.of`.
        base_path: The model's folder, which holds a folder for each version.
        about: What to say of the model in its card beside its signatures, as JSON takes it: how it
            was trained, its numbers.

    Returns:
        The folder of the new version, a whole number.

    Raises:
        UserError: it can't be written.
    """
    base_path = pathlib.Path(base_path)
    with files.writing(base_path, tf.errors.OpError), _unfinished(base_path) as unfinished:
        inputs_and_outputs = _write(model, unfinished)
        card = {"classes": list(model.class_names), **(about or {})}
        assets = unfinished / "assets.extra"
        _write_card({**card, "signatures": inputs_and_outputs}, assets)
        model_base.write_warm_up(assets, base_path.name, signatures_lib.of(model))
        target = _publish(unfinished, base_path)
    model_base.register(base_path.parent, base_path.name, int(target.name))
    return target


@contextlib.contextmanager
def temporary(model: autoencoder.Autoencoder) -> Iterator[pathlib.Path]:
    """A SavedModel of a model in a folder that goes at the end."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        _write(model, path, empty_batches=False)
        yield path


@contextlib.contextmanager
def _unfinished(base_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder of this process's own in a model's folder; what dead processes left there goes."""
    base_path.mkdir(parents=True, exist_ok=True)
    for left in base_path.glob(f"{_UNFINISHED}*"):
        if not _is_running(left.name.removeprefix(_UNFINISHED).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=base_path))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _publish(unfinished: pathlib.Path, base_path: pathlib.Path) -> pathlib.Path:
    """Renames a folder to the next version, whatever other processes publish meanwhile."""
    while True:
        versions = [int(path.name) for path in base_path.iterdir() if path.name.isdigit()]
        target = base_path / str(max(versions, default=0) + 1)
        try:
            unfinished.rename(target)
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _write(
    model: autoencoder.Autoencoder, path: pathlib.Path, empty_batches: bool = True
) -> dict[str, dict]:
    """Writes the SavedModel; returns the inputs and outputs of each signature, for the card."""
    archive = keras.export.ExportArchive()
    for network in (model.averaged_encoder, model.averaged_decoder):
        archive.track(network)
    signatures = signatures_lib.of(model, empty_batches=empty_batches)
    functions = {
        name: archive.add_endpoint(name, signature.function, signature.inputs)
        for name, signature in signatures.items()
    }
    default = signatures[signatures_lib.default(model)]
    archive.add_endpoint("serving_default", default.function, default.inputs)
    archive.write_out(str(path), verbose=False)
    return {
        name: {
            "inputs": {spec.name: _text(spec) for spec in signatures[name].inputs},
            "outputs": {
                output: _text(spec)
                for output, spec in function.get_concrete_function().structured_outputs.items()
            },
        }
        for name, function in functions.items()
    }


def _text(spec: tf.TensorSpec) -> str:
    """The dtype and shape of a tensor, like `uint8 [?, 28, 28, 1]`; a free axis is a `?`."""
    sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype.name} [{sizes}]"


def _write_card(card: Mapping[str, object], folder: pathlib.Path) -> None:
    """Writes `model_card.json`, and `README.md` for people."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(card, indent=2)
    (folder / "model_card.json").write_text(text, encoding="utf-8")
    page = report.template("model_card.md.jinja").render(card=card)
    (folder / "README.md").write_text(page, encoding="utf-8")
