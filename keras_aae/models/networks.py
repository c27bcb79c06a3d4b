"""Families of encoders, decoders and discriminators.

Networks output logits or unbounded codes, in float32; no activation follows the last layer. They
are deterministic functions: where a posterior wants noise, the encoder receives it as an input.

A family of one's own is a subclass of `Family`, and `register` gives it a name. An encoder needs no
more than a backbone; any Keras layer or model will do, see `Backbone`.
"""

import abc
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import inspect
import math
from typing import Any

import keras
import tensorflow as tf

from keras_aae.models import saving

_FAMILIES: dict[str, type["Family"]] = {}


class Family(abc.ABC):
    """Builds networks that fit together, anew at each call; subclassed Keras models will do, too.

    To be saved with a model, a family is registered with Keras, as `register` does.
    """

    @abc.abstractmethod
    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The backbone of the encoder.

        Args:
            x: [B, height, width, channels] in [0, 1], or standardised [B, features]; scaling them
                to what the backbone takes is part of it.

        Returns:
            Features [B, F].
        """

    @abc.abstractmethod
    def decoder(self, code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
        """A model from codes [B, code_size] to the logits of pixels, or to features [B, D]."""

    @abc.abstractmethod
    def discriminator(self, code_size: int) -> keras.Model:
        """A model from codes [B, code_size] to logits [B, 1], high for samples of the prior."""

    def encoder(
        self, input_shape: tuple[int, ...], outputs: Mapping[str, int], noise_size: int = 0
    ) -> keras.Model:
        """The backbone with a dense layer for each output.

        Args:
            input_shape: The shape of one example.
            outputs: The size of each output by name.
            noise_size: How many values of noise it receives; they meet the features in a hidden
                layer as wide as those.

        Returns:
            A model from examples [B, *input_shape], or from them and noise [B, noise_size], to
            {name: [B, size]}.
        """
        inputs = x = keras.Input(input_shape)
        x = self.features(x)
        if noise_size:
            noise = keras.Input((noise_size,))
            inputs, width = [inputs, noise], x.shape[-1]
            x = keras.layers.Concatenate()([x, noise])
            x = keras.layers.Dense(width, activation="relu")(x)
        made = {name: _last(size, name=name)(x) for name, size in outputs.items()}
        return keras.Model(inputs, made, name="encoder")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras to save.

        Raises:
            ValueError: a subclass has some, is no dataclass, and lacks a `get_config` of its own.
        """
        if dataclasses.is_dataclass(self):
            return dataclasses.asdict(self)
        made = type(self).__init__
        if made is not object.__init__ and len(inspect.signature(made).parameters) > 1:
            raise ValueError(
                f"Expected {type(self).__name__}.get_config, to save the model: its constructor "
                "takes arguments"
            )
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Family":
        """The family with those arguments."""
        return cls(**config)


def register(name: str) -> Callable[[type[Family]], type[Family]]:
    """A decorator that gives a family a name, for `network=`, and registers it with Keras."""

    def registered(family: type[Family]) -> type[Family]:
        _FAMILIES[name] = family
        return keras.saving.register_keras_serializable("keras_aae")(family)

    return registered


def get(network: str | Family, input_shape: tuple[int, ...]) -> Family:
    """The family of that name, or the family itself where one is passed.

    Args:
        network: `auto` (convolutions for images, dense layers for feature vectors), the name of a
            family, or a family.
        input_shape: The shape of one example.

    Raises:
        ValueError: there is no such family, or it doesn't take such inputs.
    """
    images = len(input_shape) == 3
    if network == "auto":
        network = Conv() if images else MLP()
    elif isinstance(network, str) and network in _FAMILIES:
        network = _FAMILIES[network]()
    if not isinstance(network, Family):
        raise ValueError(
            f"Expected network to be one of {sorted(_FAMILIES)}, 'auto' or a Family. "
            f"Received: {network!r}"
        )
    if isinstance(network, Conv) and not images:
        raise ValueError(
            "Expected inputs [height, width, channels] for network='conv' and those like it, else "
            f"use 'mlp'. Received: network={network}, input_shape={input_shape}"
        )
    return network


def copy_weights(network: keras.layers.Layer, copy: keras.layers.Layer) -> None:
    """Copies a network's weights, and what its layers compute from them, to one like it."""
    copy.set_weights(network.get_weights())
    for layer in copy._flatten_layers():
        if hasattr(layer, "finalize_state"):  # Of a Normalization, which computes with the result.
            layer.finalize_state()


def built(network: keras.Model, *shapes: tuple[int, ...]) -> keras.Model:
    """The network, called once on zeros where it has no weights yet.

    Args:
        network: The network.
        shapes: That of each input, without the batch.
    """
    if not network.built:
        inputs = [keras.ops.zeros((1, *shape)) for shape in shapes]
        network(inputs if len(inputs) > 1 else inputs[0])
    return network


def _last(size: int, name: str | None = None) -> keras.layers.Layer:
    """A network's last layer, in float32 also under mixed precision."""
    return keras.layers.Dense(size, name=name, dtype="float32")


def _image(x: keras.KerasTensor, shape: tuple[int, ...]) -> keras.KerasTensor:
    """A last layer, and its values in the shape of an example."""
    return keras.layers.Reshape(shape, dtype="float32")(_last(math.prod(shape))(x))


def _hidden(x: keras.KerasTensor, width: int, depth: int) -> keras.KerasTensor:
    for _ in range(depth):
        x = keras.layers.Dense(width, activation="relu")(x)
    return x


def _discriminator(code_size: int, width: int, depth: int) -> keras.Model:
    code = keras.Input((code_size,))
    x = _hidden(code, width, depth)
    return keras.Model(code, _last(1)(x), name="discriminator")


@register("mlp")
@dataclasses.dataclass(frozen=True)
class MLP(Family):
    """Dense networks with rectified units, by default the paper's (appendix A.2.1).

    Attributes:
        width: Units in each hidden layer.
        depth: The number of hidden layers in each network.
    """

    width: int = 1000
    depth: int = 2

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return _hidden(keras.layers.Flatten()(x), self.width, self.depth)

    def decoder(self, code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
        code = keras.Input((code_size,))
        x = _image(_hidden(code, self.width, self.depth), output_shape)
        return keras.Model(code, x, name="decoder")

    def discriminator(self, code_size: int) -> keras.Model:
        return _discriminator(code_size, self.width, self.depth)


@register("conv")
@dataclasses.dataclass(frozen=True)
class Conv(Family):
    """4x4 convolutions of stride 2 with batch normalisation, and the mirror image as decoder.

    A stage halves the image while both sides are 8 or more, and from 4x4 to 2x2: two stages for
    28x28 pixels, four for 32x32.

    Attributes:
        channels: Of each stage, for as many as there may be.
        width: Units of the dense layer between convolutions and code.
        discriminator_width: Units in each of the discriminator's two hidden layers.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256)
    width: int = 256
    discriminator_width: int = 200

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        for _, channels in zip(self._sizes(x.shape[1:])[1:], self.channels, strict=False):
            x = _normalized(keras.layers.Conv2D(channels, 4, 2, "same", use_bias=False)(x))
            x = self._refined(x)
        x = keras.layers.Flatten()(x)
        return _normalized(keras.layers.Dense(self.width, use_bias=False)(x))

    def decoder(self, code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
        sizes = self._sizes(output_shape)
        channels = [output_shape[-1], *self.channels][: len(sizes)]
        code = keras.Input((code_size,))
        x = _normalized(keras.layers.Dense(self.width, use_bias=False)(code))
        if len(sizes) == 1:
            return keras.Model(code, _image(x, output_shape), name="decoder")
        smallest = (*sizes[-1], channels[-1])
        x = _normalized(keras.layers.Dense(math.prod(smallest), use_bias=False)(x))
        x = keras.layers.Reshape(smallest)(x)
        for size, count in reversed(list(zip(sizes[1:-1], channels[1:-1], strict=True))):
            x = _normalized(_enlarged(x, size, count, use_bias=False))
        x = _enlarged(x, sizes[0], channels[0], use_bias=True, dtype="float32")
        return keras.Model(code, x, name="decoder")

    def discriminator(self, code_size: int) -> keras.Model:
        return _discriminator(code_size, self.discriminator_width, depth=2)

    def _refined(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """What follows each stage of the encoder: here nothing."""
        return x

    def _sizes(self, shape: tuple[int, ...]) -> list[tuple[int, int]]:
        """(height, width) of the image and after each stage."""
        sizes = [(shape[0], shape[1])]
        while (min(sizes[-1]) >= 8 or sizes[-1] == (4, 4)) and len(sizes) <= len(self.channels):
            height, width = sizes[-1]
            sizes.append((math.ceil(height / 2), math.ceil(width / 2)))
        return sizes


@register("resnet")
@dataclasses.dataclass(frozen=True)
class ResNet(Conv):
    """`Conv` with residual blocks after each stage of the encoder (He et al., arXiv 1512.03385).

    Attributes:
        blocks: How many after each stage, of two 3x3 convolutions each.
    """

    blocks: int = 1

    def _refined(self, x: keras.KerasTensor) -> keras.KerasTensor:
        for _ in range(self.blocks):
            y = _normalized(_conv3(x, x.shape[-1]))
            y = _batch_norm(_conv3(y, x.shape[-1]))
            x = _rectified(keras.layers.Add()([x, y]))
        return x


@register("wide_resnet")
@dataclasses.dataclass(frozen=True)
class WideResNet(ResNet):
    """`ResNet` that begins with a 3x3 convolution at the image's full size.

    As wide residual networks do (Zagoruyko and Komodakis, arXiv 1605.07146), whose width and depth
    are `channels` and `blocks` here.

    Attributes:
        stem: Channels of that convolution.
    """

    stem: int = 32

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return super().features(_normalized(_conv3(x, self.stem)))


@keras.saving.register_keras_serializable("keras_aae")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's layer, which trains with TensorFlow's fused kernel on one replica.

    The kernel knows the examples of its own replica alone.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        single = tf.distribute.get_strategy().num_replicas_in_sync == 1 and mask is None
        plain = self.scale and self.center and self.axis in (-1, len(inputs.shape) - 1)
        if not (training and self.trainable and single and plain):
            return super().call(inputs, training=training, mask=mask)
        rows = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]])
        normalized, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=rows,
            scale=self.gamma,
            offset=self.beta,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is that of the population, estimated; Keras keeps that of the batch.
        count = tf.cast(tf.shape(rows)[0], variance.dtype)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * (count - 1) / count)
        return tf.reshape(normalized, tf.shape(inputs))

    def _move(self, average: keras.Variable, value: tf.Tensor) -> None:
        """Moves a moving average towards a value."""
        average.assign(average * self.momentum + value * (1 - self.momentum))


def _normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return _rectified(_batch_norm(x))


def _batch_norm(x: keras.KerasTensor) -> keras.KerasTensor:
    """Batch normalisation, with the statistics of the global batch."""
    return BatchNormalization(momentum=0.9, synchronized=True)(x)


def _rectified(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.LeakyReLU(negative_slope=0.1)(x)


def _conv3(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    return keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)


def _enlarged(
    x: keras.KerasTensor,
    size: tuple[int, int],
    channels: int,
    use_bias: bool,
    dtype: str | None = None,
) -> keras.KerasTensor:
    """A transposed convolution of stride 2, cropped where the size is odd."""
    x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", use_bias=use_bias, dtype=dtype)(x)
    surplus = [(0, made - side) for made, side in zip(x.shape[1:3], size, strict=True)]
    return keras.layers.Cropping2D(surplus, dtype=dtype)(x)


@keras.saving.register_keras_serializable("keras_aae")
class Backbone(Family):
    """Any Keras layer or model as the encoder's backbone, beside another family's networks.

        backbone = keras.applications.MobileNetV2((64, 64, 3), include_top=False, weights=None)
        network = ka.networks.Backbone(backbone, scale=2.0, offset=-1.0)

    The networks get copies of the layer, with its weights and, of each layer in it, whether that is
    trainable.

    Args:
        layer: Takes [B, height, width, channels] or [B, features] and gives [B, F], or
            [B, h, w, F], which is averaged over h and w. It has to have a `get_config`, to be
            copied.
        scale: Examples in [0, 1] are multiplied by it on their way to the layer.
        offset: This is added then.
        others: The family of the decoder and the discriminators, or its name. `auto`: `conv`, or
            `mlp` for the decoder of features.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        scale: float = 1.0,
        offset: float = 0.0,
        others: str | Family = "auto",
    ):
        self.layer = layer
        self.scale = scale
        self.offset = offset
        self.others = others

    def features(self, x: keras.KerasTensor) -> keras.KerasTensor:
        copy = type(self.layer).from_config(self.layer.get_config())
        x = copy(keras.layers.Rescaling(self.scale, self.offset)(x))
        if self.layer.built:
            copy_weights(self.layer, copy)
            saving.set_trainable(copy, saving.trainable(self.layer))
        return keras.layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x

    def decoder(self, code_size: int, output_shape: tuple[int, ...]) -> keras.Model:
        return get(self.others, output_shape).decoder(code_size, output_shape)

    def discriminator(self, code_size: int) -> keras.Model:
        others = Conv() if self.others == "auto" else get(self.others, (1, 1, 1))
        return others.discriminator(code_size)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "layer": serialize(self.layer),
            "scale": self.scale,
            "offset": self.offset,
            "others": serialize(self.others),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Backbone":
        deserialize = keras.saving.deserialize_keras_object
        restored = {name: deserialize(config[name]) for name in ("layer", "others")}
        return cls(**{**config, **restored})
