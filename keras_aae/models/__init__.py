"""The variants of the method by name.

Adding one is a file in this folder and a line in `_MODELS`. The classes are imported when asked
for, so the names can be checked without TensorFlow.
"""

import importlib
import inspect

_MODELS = {
    "aae": ("keras_aae.models.aae", "AdversarialAutoencoder"),
    "label_informed": ("keras_aae.models.label_informed", "LabelInformedAAE"),
    "vae": ("keras_aae.models.vae", "VariationalAutoencoder"),
    "supervised": ("keras_aae.models.supervised", "SupervisedAAE"),
    "semisup": ("keras_aae.models.semisup", "SemiSupervisedAAE"),
    "clustering": ("keras_aae.models.clustering", "ClusteringAAE"),
    "dimreduce": ("keras_aae.models.dimreduce", "DimensionalityReductionAAE"),
    "dimreduce_unsup": (
        "keras_aae.models.dimreduce",
        "UnsupervisedDimensionalityReductionAAE",
    ),
}
NAMES = tuple(_MODELS)
NEED_LABELS = ("label_informed", "supervised", "semisup", "dimreduce")


def get(name: str) -> type:
    """The model class of that name.

    Raises:
        KeyError: there is none.
    """
    module, attribute = _MODELS[name]
    return getattr(importlib.import_module(module), attribute)


def build(config, input_shape, num_classes, observation):
    """A model with the settings of a run.

    Keyword arguments of the class's constructor, and of its bases', take the value of the setting
    of the same name.

    Args:
        config: A `config.Config`.
        input_shape: The shape of one example.
        num_classes: The number of classes in the data set; models without classes leave it aside.
        observation: An `observation.Observation` for the data.
    """
    model_class = get(config.model)
    values = {**vars(config), "num_classes": num_classes, "observation": observation}
    names = {
        parameter.name
        for cls in model_class.__mro__
        if cls.__module__.startswith(__name__) and "__init__" in vars(cls)
        for parameter in inspect.signature(cls.__init__).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return model_class(input_shape, **{name: values[name] for name in names if name in values})
