"""Exports a model as a SavedModel for TF Serving."""

from collections.abc import Mapping
import json
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from keras_aae import files
from keras_aae.deployment import model_base
from keras_aae.models import autoencoder
from keras_aae.reporting import report


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
            `model.signatures`.
        base_path: The model's folder, which holds a folder for each version.
        about: What to say of the model in its card beside its signatures, as JSON takes it: how it
            was trained, its numbers.

    Returns:
        The folder of the new version, a whole number.

    Raises:
        UserError: it can't be written.
    """
    base_path = pathlib.Path(base_path)
    unfinished = base_path / f".unfinished-{os.getpid()}"
    with files.writing(base_path, tf.errors.OpError):
        base_path.mkdir(parents=True, exist_ok=True)
        for stale in base_path.glob(".unfinished-*"):
            shutil.rmtree(stale)
        signatures = _write(model, unfinished)
        _write_card({**(about or {}), "signatures": signatures}, unfinished / "assets.extra")
        model_base.write_warm_up(unfinished / "assets.extra", base_path.name, model.signatures())
        target = base_path / str(_next_version(base_path))
        unfinished.rename(target)
    model_base.register(base_path.parent, base_path.name, int(target.name))
    return target


def _write(model, path):
    """Writes the SavedModel; returns the inputs and outputs of each signature, for the card."""
    archive = keras.export.ExportArchive()
    for network in (model.averaged_encoder, model.averaged_decoder):
        archive.track(network)
    signatures = model.signatures()
    functions = {
        name: archive.add_endpoint(name, signature.function, signature.inputs)
        for name, signature in signatures.items()
    }
    default = signatures[model.default_signature]
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


def _text(spec):
    """The dtype and shape of a tensor, like `uint8 [?, 28, 28, 1]`; a free axis is a `?`."""
    sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype.name} [{sizes}]"


def _write_card(card, folder):
    """Writes `model_card.json`, and `README.md` for people."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(card, indent=2)
    (folder / "model_card.json").write_text(text, encoding="utf-8")
    page = report.template("model_card.md.jinja").render(card=card)
    (folder / "README.md").write_text(page, encoding="utf-8")


def _next_version(base_path):
    versions = [int(folder.name) for folder in base_path.iterdir() if folder.name.isdigit()]
    return max(versions, default=0) + 1
