"""What Keras saves of a model: its constructor's arguments, and what they don't say."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import inspect
from typing import Any

import keras
from tensorflow_probability import distributions as tfd

# Beside arguments by name: what a user's subclass takes by its place alone, the policy that the
# model was made under, a flag for each layer, and what a constructor may have drawn or be given
# later.
_POSITIONAL, _POLICY, _TRAINABLE = "positional arguments", "dtype policy", "trainable layers"
_SEED, _NAMES = "drawn seed", "names of classes"
_NAMELESS = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}


def arguments(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call of a constructor, by name."""
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    bound = signature.bind(None, *args, **kwargs)
    _, *given = bound.arguments.items()
    kinds = {name: signature.parameters[name].kind for name, _ in given}
    if _NAMELESS & set(kinds.values()):  # Then all that can stand by its place does.
        return {_POSITIONAL: list(bound.args[1:]), **bound.kwargs}
    found: dict[str, Any] = {}
    for name, value in given:
        found |= value if kinds[name] is inspect.Parameter.VAR_KEYWORD else {name: value}
    return found


def config(model: keras.Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """The serialised arguments that `made` builds the model again from.

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
        if inspect.isroutine(value) and not _is_registered(value):
            raise _not_registered(name, value)
    whole = {**given, _POLICY: model.dtype_policy, _TRAINABLE: trainable(model)}
    whole |= {_SEED: model.seed, _NAMES: list(model.class_names)}
    if "class_names" in given:  # Perhaps an array, which Keras takes for one of numbers.
        whole["class_names"] = model.class_names
    saved = {name: keras.saving.serialize_keras_object(value) for name, value in whole.items()}
    for name, value in saved.items():
        if not all(map(_loads, _functions_in(value))):
            raise _not_registered(name, given[name])
    return saved


def made(cls: type, saved: Mapping[str, Any], custom_objects: Any) -> Any:
    """A model of what `config` gave, or of arguments alone."""
    given = {
        name: keras.saving.deserialize_keras_object(value, custom_objects)
        for name, value in saved.items()
    }
    positional, flags = given.pop(_POSITIONAL, ()), given.pop(_TRAINABLE, {})
    seed, names = given.pop(_SEED, None), given.pop(_NAMES, None)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(given.pop(_POLICY, before))
    try:
        model = cls(*positional, **given)
    finally:
        keras.config.set_dtype_policy(before)
    set_trainable(model, flags)
    if seed is not None:
        model.seed, model.class_names = seed, tuple(names)
    return model


def trainable(layer: keras.layers.Layer) -> dict[str, bool]:
    """Of a layer and of each in it whether it is trainable, by its place."""
    return {place: each.trainable for place, each in _places(layer)}


def set_trainable(layer: keras.layers.Layer, flags: Mapping[str, bool]) -> None:
    """Sets the flags that `trainable` gave of a layer like this one.

    Flags without a layer here are ignored, and layers without a flag keep theirs.
    """
    whole = trainable(layer) | dict(flags)
    for place, each in _places(layer):  # A layer's flag sets those of all in it, which come after.
        each.trainable = whole[place]


def _places(layer: keras.layers.Layer, place: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """A layer and each in it, from the outside in, with a place that another like it has, too."""
    yield place, layer
    for number, inner in enumerate(layer._layers):
        yield from _places(inner, f"{place}/{number}")


def _not_registered(name: str, value: Any) -> ValueError:
    return ValueError(
        f"Expected {name} to be registered, to save the model: "
        "keras.saving.register_keras_serializable() decorates a function with a name. "
        f"Received: {name}={value}"
    )


def _functions_in(saved: Any) -> Iterator[dict]:
    """The functions in what Keras saves of an object."""
    if isinstance(saved, dict):
        if saved.get("class_name") in ("function", "method", "__lambda__"):
            yield saved
        saved = list(saved.values())
    if isinstance(saved, (list, tuple)):
        for each in saved:
            yield from _functions_in(each)


def _loads(function: dict) -> bool:
    """Whether Keras finds a function that it saved."""
    try:
        return callable(keras.saving.deserialize_keras_object(function))
    except (TypeError, ValueError):
        return False


def _is_registered(function: Callable) -> bool:
    name = keras.saving.get_registered_name(function)
    return keras.saving.get_registered_object(name) is function
