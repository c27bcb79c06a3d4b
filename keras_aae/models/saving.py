"""What Keras saves of a model: the arguments of its constructor, and which layers are trainable."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import inspect
from typing import Any

import keras
from tensorflow_probability import distributions as tfd

# Beside arguments by name: what a user's subclass takes as `*args`, and a flag for each layer.
_POSITIONAL, _TRAINABLE = "positional arguments", "trainable layers"


def arguments(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call of a constructor, by name."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    found: dict[str, Any] = {}
    for name, value in signature.bind(None, *args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            found[_POSITIONAL] = list(value)
        else:
            found[name] = value
    del found["self"]
    return found


def config(model: keras.Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `made` makes a model like this one of.

    Args:
        model: The model.
        given: What `arguments` gave when it was made.

    Raises:
        ValueError: one of the arguments could not be loaded again: a distribution as prior that has
            no registered name, or a function that isn't registered with Keras.
    """
    for name, value in given.items():
        if isinstance(value, tfd.Distribution):
            raise ValueError(
                f"Expected a {name} with a name, to save the model: keras_aae.priors.register "
                f"gives it one. Received: {name}={value}"
            )
        if inspect.isfunction(value) and not _is_registered(value):
            raise ValueError(
                f"Expected {name} to be registered, to save the model: "
                "keras.saving.register_keras_serializable() decorates a function with a name. "
                f"Received: {name}={value}"
            )
    whole = {**given, _TRAINABLE: trainable(model)}
    return {name: keras.saving.serialize_keras_object(value) for name, value in whole.items()}


def made(cls: type, saved: Mapping[str, Any], custom_objects: Any) -> Any:
    """A model of what `config` gave, or of arguments alone."""
    given = {
        name: keras.saving.deserialize_keras_object(value, custom_objects)
        for name, value in saved.items()
    }
    positional, flags = given.pop(_POSITIONAL, ()), given.pop(_TRAINABLE, None)
    model = cls(*positional, **given)
    if flags is not None:
        set_trainable(model, flags)
    return model


def trainable(layer: keras.layers.Layer) -> list[bool]:
    """Of a layer and of each in it whether it is trainable, from the outside in."""
    return [each.trainable for each in layer._flatten_layers()]


def set_trainable(layer: keras.layers.Layer, flags: Sequence[bool]) -> None:
    """Sets what `trainable` gave of a layer like this one."""
    # A layer's flag sets those of all in it, which come after it.
    for each, flag in zip(layer._flatten_layers(), flags, strict=True):
        each.trainable = flag


def _is_registered(function: Callable) -> bool:
    name = keras.saving.get_registered_name(function)
    return keras.saving.get_registered_object(name) is function
