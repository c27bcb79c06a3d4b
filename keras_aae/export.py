"""Exports a model as a SavedModel for TF Serving."""

import os
import pathlib
import shutil

import keras

from keras_aae import run_directory
from keras_aae.models import autoencoder


def export(model: autoencoder.Autoencoder, base_path: str | os.PathLike) -> pathlib.Path:
    """Writes the next version of a model.

    The version is written beside its place and renamed, so a server never sees half of one.

    Args:
        model: The model, whose averaged weights are exported with raw examples as inputs; see
            `model.signatures`.
        base_path: The model's folder, which holds a folder for each version.

    Returns:
        The folder of the new version, a whole number.

    Raises:
        UserError: it can't be written.
    """
    base_path = pathlib.Path(base_path)
    unfinished = base_path / f".unfinished-{os.getpid()}"
    with run_directory.writing(base_path):
        base_path.mkdir(parents=True, exist_ok=True)
        for stale in base_path.glob(".unfinished-*"):
            shutil.rmtree(stale)
        _write(model, unfinished)
        target = base_path / str(_next_version(base_path))
        unfinished.rename(target)
    return target


def _write(model, path):
    archive = keras.export.ExportArchive()
    for network in (model.averaged_encoder, model.averaged_decoder):
        archive.track(network)
    signatures = model.signatures()
    default = next(name for name in ("classify", "cluster", "encode") if name in signatures)
    signatures["serving_default"] = signatures[default]
    for name, signature in signatures.items():
        archive.add_endpoint(name, signature.function, signature.inputs)
    archive.write_out(str(path), verbose=False)


def _next_version(base_path):
    versions = [int(folder.name) for folder in base_path.iterdir() if folder.name.isdigit()]
    return max(versions, default=0) + 1
