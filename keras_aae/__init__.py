"""Adversarial autoencoders (Makhzani et al., arXiv 1511.05644) in TensorFlow and Keras.

The public names below are imported when first used, so `import keras_aae` costs no TensorFlow
import.
"""

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "AdversarialAutoencoder": "keras_aae.models.aae",
    "LabelInformedAAE": "keras_aae.models.label_informed",
    "VariationalAutoencoder": "keras_aae.models.vae",
    "SupervisedAAE": "keras_aae.models.supervised",
    "SemiSupervisedAAE": "keras_aae.models.semisup",
    "ClusteringAAE": "keras_aae.models.clustering",
    "DimensionalityReductionAAE": "keras_aae.models.dimreduce",
    "UnsupervisedDimensionalityReductionAAE": "keras_aae.models.dimreduce",
    "Config": "keras_aae.config",
    "UserError": "keras_aae.errors",
    "data": "keras_aae",
    "evaluation": "keras_aae",
    "networks": "keras_aae.models",
    "priors": "keras_aae.models",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'keras_aae' has no attribute {name!r}")
    home = _PUBLIC[name]
    if name.islower():  # A module.
        return importlib.import_module(f"{home}.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__():
    return sorted(__all__)
