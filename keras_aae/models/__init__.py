"""The variants of the method by name.

Adding one is a file in this folder and an entry in `VARIANTS`. The classes are imported when they
are asked for, so that names and settings can be checked without TensorFlow.
"""

from collections.abc import Mapping
import importlib
import os
from typing import Any
from typing import NamedTuple

_EVERY = frozenset(
    (
        *("style_size", "prior", "network", "update_rule", "input_noise", "average"),
        "reconstruction_weight",
    )
)
_ADVERSARIAL = _EVERY | {"posterior", "discriminator_noise", "adversarial_weight", "sliced_weight"}
_CONDITIONAL = _ADVERSARIAL | {"style_adversary"}
_CATEGORICAL = _CONDITIONAL | {"agreement_weight", "consistency_weight", "views"}
_CLUSTERING = _CATEGORICAL | {"num_clusters"}
_SEMISUP = _CATEGORICAL | {"class_prior", "classification_weight", "pseudo_label_weight"}


class Variant(NamedTuple):
    """What is known of a variant without its code.

    Attributes:
        module: The module of its class.
        class_name: The name of its class.
        settings: The settings of `config.Config` that its constructor takes.
        labels: Which training labels it learns from: `none`; `few`, beside examples without them;
            or `all`.
        defaults: The settings whose default is another than in `models.defaults`.
    """

    module: str
    class_name: str
    settings: frozenset[str]
    labels: str = "none"
    defaults: Mapping[str, Any] = {}


VARIANTS = {
    "aae": Variant("aae", "AdversarialAutoencoder", _ADVERSARIAL),
    "label_informed": Variant(
        "label_informed",
        "LabelInformedAAE",
        _ADVERSARIAL,
        labels="few",
        defaults={"prior": "gaussian_mixture", "style_size": 2},
    ),
    "vae": Variant("vae", "VariationalAutoencoder", _EVERY),
    "supervised": Variant("supervised", "SupervisedAAE", _CONDITIONAL, labels="all"),
    "semisup": Variant("semisup", "SemiSupervisedAAE", _SEMISUP, labels="few"),
    "clustering": Variant("clustering", "ClusteringAAE", _CLUSTERING),
    "dimreduce": Variant(
        "dimreduce", "DimensionalityReductionAAE", _SEMISUP | {"head_distance"}, labels="few"
    ),
    "dimreduce_unsup": Variant(
        "dimreduce", "UnsupervisedDimensionalityReductionAAE", _CLUSTERING | {"head_distance"}
    ),
}
NAMES = tuple(VARIANTS)


def load(path: str | os.PathLike) -> Any:
    """A model that was saved as a .keras file, compiled where it was.

    `keras.models.load_model` does the same once the class of the model is imported.

    Args:
        path: The file.

    Raises:
        ValueError: there is no such file, or it holds a model of another kind. A damaged one raises
            what zipfile, h5py or Keras do.
    """
    import keras

    from keras_aae.models import autoencoder

    for name in NAMES:
        get(name)  # Registers the class with Keras.
    model = keras.models.load_model(path)
    if not isinstance(model, autoencoder.Autoencoder):
        raise ValueError(f"{path}: expected a model of keras_aae. Received: {type(model).__name__}")
    return model


def get(name: str) -> Any:
    """The model class of that name.

    Raises:
        KeyError: there is none.
    """
    variant = VARIANTS[name]
    module = importlib.import_module(f"{__name__}.{variant.module}")
    return getattr(module, variant.class_name)
