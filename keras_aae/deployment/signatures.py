"""What an exported model offers: functions of named tensors, one for each use."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_aae.deployment import image_bytes
from keras_aae.models import autoencoder
from keras_aae.models import batches


class Signature(NamedTuple):
    """A function of the exported model.

    Attributes:
        function: Takes a tensor for each of the inputs; returns named tensors.
        inputs: The inputs' names, shapes and dtypes; the first axis is the batch.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]


def of(model: autoencoder.Autoencoder, *, converted: bool = False) -> dict[str, Signature]:
    """The signatures of a model by name.

    There are `encode`, `decode`, `reconstruct` and `generate`; `transfer` where there is a discrete
    latent variable; `classify` or `cluster` where that is predicted. Each that takes uint8 images
    has a twin `<name>_float` for float32 in [0, 1]; the `default` one has a twin `<name>_bytes` for
    image files, where images are grey or in three colours.

    Args:
        model: The model.
        converted: Whether they are for a converter to another format. That has neither the branch
            which an empty batch needs nor decoders of image files.

    Returns:
        Functions whose inputs and outputs are tensors [B, ...] by name, where B may be 0: examples
        as raw data has them, `image_bytes` string [B], `seed` int64 [B], `label` or `cluster` int32
        [B], the parts of a code float32 [B, size], and images float32 [B, H, W, C] in [0, 1], or
        features.
    """
    spec = model.example_spec
    signatures = _for_examples(model, spec)
    if spec.dtype != tf.float32:
        floats = tf.TensorSpec(spec.shape, tf.float32, name=spec.name)
        signatures |= {
            f"{name}_float": signature
            for name, signature in _for_examples(model, floats).items()
            if floats in signature.inputs
        }
    if converted:
        return signatures
    signatures = {
        name: Signature(batches.never_empty(function), inputs)
        for name, (function, inputs) in signatures.items()
    }
    if spec.dtype == tf.uint8 and spec.shape[-1] in (1, 3):
        signatures[f"{default(model)}_bytes"] = _of_files(model, signatures[default(model)])
    return signatures


def _of_files(model: autoencoder.Autoencoder, signature: Signature) -> Signature:
    """The signature of images for image files."""
    return Signature(
        lambda contents: signature.function(image_bytes.decode(contents, model.example_shape)),
        [tf.TensorSpec([None], tf.string, name=image_bytes.NAME)],
    )


def default(model: autoencoder.Autoencoder) -> str:
    """The signature that `serving_default` repeats: `classify`, `cluster` or `encode`."""
    return {"class": "classify", "cluster": "cluster", None: "encode"}[model.prediction]


def _for_examples(model: autoencoder.Autoencoder, example: tf.TensorSpec) -> dict[str, Signature]:
    """The signatures that take examples of that spec."""
    name = model.observation.name
    seed = tf.TensorSpec([None], tf.int64, name="seed")
    chosen = _chosen(model)
    label = chosen if model.decodes_labels else []
    parts = [
        tf.TensorSpec((None, size), tf.float32, name=part) for part, size in model.parts.items()
    ]
    signatures = {
        "encode": Signature(lambda x: model.encode(x), [example]),
        "decode": Signature(
            lambda *code: {name: model.decode(dict(zip(model.parts, code, strict=True)))}, parts
        ),
        "reconstruct": Signature(lambda *inputs: {name: model(*inputs)}, [example, *label]),
        "generate": Signature(lambda *inputs: {name: model.generate(*inputs)}, [seed, *chosen]),
    }
    if chosen:
        signatures["transfer"] = Signature(
            lambda *inputs: {name: model.transfer(*inputs)}, [example, *chosen]
        )
    if model.prediction:
        signatures[default(model)] = Signature(model.classify, [example])
    return signatures


def _chosen(model: autoencoder.Autoencoder) -> list[tf.TensorSpec]:
    """The input that chooses a class or cluster, where there are any."""
    if not model.categorical:
        return []
    name = {"class": "label", "cluster": "cluster"}[model.categorical.name]
    return [tf.TensorSpec([None], tf.int32, name=name)]
