"""Random changes that leave what an image shows as it is."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any

import keras
import tensorflow as tf

Views = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class _Saved:
    """A dataclass of numbers that Keras can save."""

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras to save."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "_Saved":
        """New views with what `get_config` gave."""
        return cls(**config)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Affine(_Saved):
    """Views of images: each value is drawn evenly between minus and plus its limit.

    Attributes:
        rotation: In radians.
        shear: The slant, as a tangent.
        scale: The logarithm of the magnification.
        shift: In shares of the image's height and width.
    """

    # XLA in TensorFlow 2.21 has no kernel for ImageProjectiveTransformV3.
    xla = False

    rotation: float = 0.3
    shear: float = 0.3
    scale: float = 0.15
    shift: float = 0.07

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image; see `affine`."""
        return affine(images, seed, self)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Jitter(_Saved):
    """Views of standardised feature vectors: Gaussian noise is added.

    Attributes:
        stddev: Its standard deviation.
    """

    stddev: float = 0.3

    def __call__(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each feature vector [B, D]."""
        return features + self.stddev * tf.random.stateless_normal(tf.shape(features), seed)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Flip(_Saved):
    """Views of images: each is mirrored left to right with a probability of 1/2."""

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image [B, H, W, C]."""
        mirrored = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed) < 0.5
        return tf.where(mirrored, images[:, :, ::-1], images)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class ColorJitter(_Saved):
    """Views of images: each value is drawn evenly between minus and plus its limit.

    Attributes:
        brightness: What is added to every pixel.
        contrast: The logarithm of the factor on the distance to the image's mean.
        saturation: The factor on the distance of a pixel's channels to their mean, less 1.
    """

    brightness: float = 0.2
    contrast: float = 0.5
    saturation: float = 0.5

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image, [B, H, W, C] in [0, 1]."""
        draws = tf.random.stateless_uniform([3, tf.shape(images)[0], 1, 1, 1], seed, -1, 1)
        grey = tf.reduce_mean(images, axis=3, keepdims=True)
        images = grey + (images - grey) * (1 + draws[0] * self.saturation)
        mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
        images = mean + (images - mean) * tf.exp(draws[1] * self.contrast)
        return tf.clip_by_value(images + draws[2] * self.brightness, 0, 1)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Tint(_Saved):
    """Views of images: each channel is multiplied by a factor of its own.

    Attributes:
        limit: The logarithm of a factor is drawn evenly between minus and plus this.
    """

    limit: float = 0.2

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image, [B, H, W, C] in [0, 1]."""
        shape = [tf.shape(images)[0], 1, 1, images.shape[3]]
        factors = tf.exp(tf.random.stateless_uniform(shape, seed, -self.limit, self.limit))
        return tf.clip_by_value(images * factors, 0, 1)


@keras.saving.register_keras_serializable("keras_aae")
@dataclasses.dataclass(frozen=True)
class Cutout(_Saved):
    """Views of images: a square of each is grey (DeVries and Taylor, arXiv 1708.04552).

    Attributes:
        size: Its side, in shares of the image's height and width. Its centre is drawn evenly from
            the image, so that a part may lie outside.
    """

    size: float = 0.4

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image, [B, H, W, C] in [0, 1]."""
        _, height, width, _ = images.shape
        centre = tf.random.stateless_uniform([2, tf.shape(images)[0], 1], seed)
        inside = [
            tf.abs((tf.range(side, dtype=tf.float32) + 0.5) / side - at) < self.size / 2
            for side, at in zip((height, width), tf.unstack(centre), strict=True)
        ]
        square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
        return tf.where(square, 0.5, images)


@keras.saving.register_keras_serializable("keras_aae")
class Chain:
    """Views of views: one kind of change after the other.

    Args:
        views: The changes, in order.
    """

    def __init__(self, views: Sequence[Views]):
        self.views = tuple(views)
        self.xla = all(getattr(each, "xla", True) for each in self.views)

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A view of each image [B, H, W, C]."""
        for place, each in enumerate(self.views):
            images = each(images, tf.random.fold_in(seed, place))
        return images

    def __repr__(self) -> str:
        return ", ".join(map(repr, self.views))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, for Keras to save."""
        return {"views": [keras.saving.serialize_keras_object(each) for each in self.views]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        """New views with what `get_config` gave."""
        return cls([keras.saving.deserialize_keras_object(each) for each in config["views"]])


def named(name: str, shape: tuple[int, ...]) -> Views | None:
    """The views of that name for normalised examples of that shape; None for `none`.

    Args:
        name: `digits`: affine changes; of colour images also changes of colour, and a small square
            cut out. `photos`: mirror images, smaller rotation and shear, scaling, shift, of colour
            images changes of colour and a tint, and a larger square. `auto`: `photos` for colour
            images, `digits` for grey ones.
        shape: (height, width, channels), of colour with 3 channels; or (features,), whose views are
            `Jitter` unless they are `none`.

    Raises:
        ValueError: there are none of that name.
    """
    if len(shape) == 1:
        digits: Views = Jitter()
        photos: Views = digits
    else:
        color = (ColorJitter(),) if shape[-1] == 3 else ()
        tint = (Tint(),) if color else ()
        digits = Chain((Affine(), *color, Cutout(0.3))) if color else Affine()
        small = Affine(rotation=0.1, shear=0.1, scale=0.2, shift=0.1)
        photos = Chain((Flip(), small, *color, *tint, Cutout()))
    auto = digits if shape[-1] == 1 else photos
    views = {"auto": auto, "digits": digits, "photos": photos, "none": None}
    if name not in views:
        raise ValueError(f"Expected views to be auto, digits, photos or none. Received: {name}")
    return views[name]


def shift(images: tf.Tensor, seed: tf.Tensor, limit: int) -> tf.Tensor:
    """Moves each image by a random whole number of pixels down and across, repeating its edge.

    Args:
        images: [B, H, W, C].
        seed: Integer [2], for stateless draws.
        limit: The largest shift, in pixels.

    Returns:
        Images of the same shape and dtype.
    """
    count, height, width, _ = images.shape
    moves = tf.random.stateless_uniform([2, count, 1], seed, -limit, limit + 1, tf.int32)
    rows = tf.clip_by_value(tf.range(height) + moves[0], 0, height - 1)
    columns = tf.clip_by_value(tf.range(width) + moves[1], 0, width - 1)
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def affine(images: tf.Tensor, seed: tf.Tensor, limits: Affine) -> tf.Tensor:
    """Turns, slants, scales and moves each image about its centre, repeating its edge.

    Args:
        images: Float [B, H, W, C].
        seed: Integer [2], for stateless draws.
        limits: How far each change may go.

    Returns:
        Images of the same shape, interpolated linearly.
    """
    _, height, width, _ = images.shape
    draws = tf.random.stateless_uniform([5, tf.shape(images)[0]], seed, -1, 1)
    angle, slant, zoom = draws[0] * limits.rotation, draws[1] * limits.shear, draws[2]
    scale = tf.exp(zoom * limits.scale)
    cos, sin = scale * tf.cos(angle), scale * tf.sin(angle)
    # Where the pixel (x, y) of the result comes from: rotation times shear, about the centre.
    matrix = ((cos, cos * slant - sin), (sin, sin * slant + cos))
    centre = ((width - 1) / 2, (height - 1) / 2)
    moves = (draws[3] * limits.shift * width, draws[4] * limits.shift * height)
    rows = [
        (a, b, here - a * centre[0] - b * centre[1] + move)
        for (a, b), here, move in zip(matrix, centre, moves, strict=True)
    ]
    flat = [*rows[0], *rows[1], tf.zeros_like(angle), tf.zeros_like(angle)]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(flat, axis=-1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
