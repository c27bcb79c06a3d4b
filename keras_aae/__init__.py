"""Adversarial autoencoders (Makhzani et al., arXiv 1511.05644) in TensorFlow and Keras.

The public names below are imported when first used, so `import keras_aae` costs no TensorFlow
import.
"""

import importlib
import os
from typing import Any

from keras_aae.models import VARIANTS
from keras_aae.version import VERSION as __version__

_PUBLIC = {
    **{each.class_name: f"keras_aae.models.{each.module}" for each in VARIANTS.values()},
    "Autoencoder": "keras_aae.models.autoencoder",
    "Config": "keras_aae.config",
    "UserError": "keras_aae.errors",
    "adversaries": "keras_aae.models",
    "latents": "keras_aae.models",
    "phases": "keras_aae.models",
    "data": "keras_aae",
    "evaluation": "keras_aae",
    "networks": "keras_aae.models",
    "priors": "keras_aae.models",
}
__all__ = ["__version__", "load", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'keras_aae' has no attribute {name!r}")
    home = _PUBLIC[name]
    if name.islower():  # A module.
        return importlib.import_module(f"{home}.{name}")
    return getattr(importlib.import_module(home), name)


def load(path: str | os.PathLike) -> Any:
    """The trained model of a finished run, or a saved one: a compiled Keras model; needs no data.

    Args:
        path: The directory of the run, or the .keras file that `model.save` wrote.

    Raises:
        UserError: `path` is neither a .keras file nor the directory of a finished run of this
            version, or the run's model is damaged.
        ValueError: there is no such .keras file, or it holds a model of another kind. A damaged one
            raises what zipfile, h5py or Keras do.
    """
    if os.path.isfile(path) or str(path).endswith(".keras"):
        return importlib.import_module("keras_aae.models").load(path)
    run_directory = importlib.import_module("keras_aae.training.run_directory")
    return run_directory.RunDirectory(path, "path").load_model()


def __dir__() -> list[str]:
    return sorted(__all__)
