"""Encoders, decoders and discriminators: plain Keras functional models.

Every network outputs logits or unbounded codes; no activation follows the last layer. Noise is the
model's business, so a network is a deterministic function. A `Family` is what a model takes to
build its networks; pass one of your own to use other networks.
"""

from collections.abc import Callable
import math
from typing import NamedTuple

import keras

_HIDDEN = 1000  # Units in each hidden layer of the paper's networks (appendix A.2.1).
_CONV_CHANNELS = (32, 64, 128, 256)  # Of each stride-2 stage.
_CONV_DENSE = 256


class Family(NamedTuple):
    """Functions that build networks which fit together.

    Attributes:
        encoder: (input_shape, {head: size}) -> model from [B, *input_shape] to {head: [B, size]}.
        decoder: (code_size, output_shape) -> model from codes [B, code_size] to [B, *output_shape].
        discriminator: (code_size) -> model from codes [B, code_size] to logits [B, 1].
    """

    encoder: Callable[[tuple[int, ...], dict[str, int]], keras.Model]
    decoder: Callable[[int, tuple[int, ...]], keras.Model]
    discriminator: Callable[[int], keras.Model]


def get(name: "str | Family", input_shape: tuple[int, ...]) -> Family:
    """The family of that name, or the family itself where one is passed.

    Raises:
        ValueError: there is no such family, or it doesn't take such inputs.
    """
    if isinstance(name, Family):
        return name
    families = {"mlp": MLP, "conv": CONV}
    if name not in families:
        raise ValueError(
            f"Expected network to be one of {sorted(families)} or a Family. Received: {name!r}"
        )
    if name == "conv" and len(input_shape) != 3:
        raise ValueError(
            "Expected inputs [height, width, channels] for network='conv', else use 'mlp'. "
            f"Received: input_shape={input_shape}"
        )
    return families[name]


def _dense_stack(x, sizes):
    for size in sizes:
        x = keras.layers.Dense(size, activation="relu")(x)
    return x


def _heads(x, heads):
    return {name: keras.layers.Dense(size, name=name)(x) for name, size in heads.items()}


def mlp_encoder(input_shape: tuple[int, ...], heads: dict[str, int]) -> keras.Model:
    """Two hidden layers of 1000 rectified units, then the heads (paper, appendix A.2.1)."""
    inputs = keras.Input(input_shape)
    x = _dense_stack(keras.layers.Flatten()(inputs), (_HIDDEN, _HIDDEN))
    return keras.Model(inputs, _heads(x, heads), name="encoder")


def mlp_decoder(code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
    """The mirror image of `mlp_encoder`."""
    inputs = keras.Input((code_size,))
    x = _dense_stack(inputs, (_HIDDEN, _HIDDEN))
    x = keras.layers.Dense(math.prod(output_shape))(x)
    return keras.Model(inputs, keras.layers.Reshape(output_shape)(x), name="decoder")


def mlp_discriminator(code_size: int) -> keras.Model:
    """Two hidden layers of 1000 rectified units, one logit: high for samples of the prior."""
    return _discriminator(code_size, _HIDDEN)


def _discriminator(code_size, hidden):
    inputs = keras.Input((code_size,))
    x = _dense_stack(inputs, (hidden, hidden))
    return keras.Model(inputs, keras.layers.Dense(1)(x), name="discriminator")


def _normalised(x):
    """Batch normalisation, with the statistics of the global batch, and a leaky rectifier."""
    x = keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
    return keras.layers.LeakyReLU(negative_slope=0.1)(x)


def _stages(input_shape):
    """The sizes (height, width) between stride-2 stages: halved while 8 or more, and 4 to 2."""
    sizes = [input_shape[:2]]
    while (min(sizes[-1]) >= 8 or sizes[-1] == (4, 4)) and len(sizes) <= len(_CONV_CHANNELS):
        sizes.append(tuple(math.ceil(side / 2) for side in sizes[-1]))
    return sizes


def conv_encoder(input_shape: tuple[int, ...], heads: dict[str, int]) -> keras.Model:
    """4x4 convolutions of stride 2, up to four of them, a dense layer, then the heads."""
    inputs = x = keras.Input(input_shape)
    for _, channels in zip(_stages(input_shape)[1:], _CONV_CHANNELS, strict=False):
        x = _normalised(keras.layers.Conv2D(channels, 4, 2, "same", use_bias=False)(x))
    x = _normalised(keras.layers.Dense(_CONV_DENSE, use_bias=False)(keras.layers.Flatten()(x)))
    return keras.Model(inputs, _heads(x, heads), name="encoder")


def conv_decoder(code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
    """The mirror image of `conv_encoder`."""
    sizes = _stages(output_shape)
    channels = [output_shape[-1], *_CONV_CHANNELS][: len(sizes)]
    inputs = keras.Input((code_size,))
    x = _normalised(keras.layers.Dense(_CONV_DENSE, use_bias=False)(inputs))
    x = _normalised(keras.layers.Dense(math.prod(sizes[-1]) * channels[-1], use_bias=False)(x))
    x = keras.layers.Reshape((*sizes[-1], channels[-1]))(x)
    for size, count in reversed(list(zip(sizes, channels, strict=True))[:-1]):
        last = size is sizes[0]
        x = keras.layers.Conv2DTranspose(count, 4, 2, "same", use_bias=last)(x)
        surplus = [(0, made - side) for made, side in zip(x.shape[1:3], size, strict=True)]
        x = keras.layers.Cropping2D(surplus)(x)
        x = x if last else _normalised(x)
    return keras.Model(inputs, x, name="decoder")


def conv_discriminator(code_size: int) -> keras.Model:
    """Two hidden layers of 200 rectified units, one logit: high for samples of the prior."""
    return _discriminator(code_size, 200)


MLP = Family(mlp_encoder, mlp_decoder, mlp_discriminator)
CONV = Family(conv_encoder, conv_decoder, conv_discriminator)
